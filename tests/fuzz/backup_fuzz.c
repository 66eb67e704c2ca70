/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as what stands in a backup, under its seal: a block of records, or (by the first byte) a packed block. A row
 * that is taken must encode to the same bytes again.
 */
#include "common/transfer/file.h"
#include "common/transfer/record.h"

#include <stdlib.h>

static void read_records(struct str rest)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct record_reader reader = {.arena = arena};
        struct record record;
        struct buf again = {0};
        while (rest.n && record_next(&reader, &rest, &record) == 0) {
                if (record.kind != RECORD_ROW)
                        continue;
                again.n = 0;
                row_encode(&again, record.values, record.table->n_columns);
                if (!str_eq(buf_str(&again), record.encoded))
                        abort();
        }
        buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf block = {0};
        if (size < 1)
                return 0;
        struct str rest = str_bytes(data + 1, size - 1);
        if (data[0] & 1) {
                if (block_inflate(&block, rest) == 0)
                        read_records(buf_str(&block));
        } else {
                read_records(rest);
        }
        buf_done(&block);
        return 0;
}
