/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as CSV, in either encoding, cut at a place that the first byte chooses: rows must be bounded, in order and
 * valid UTF-8.
 */
#include "common/csv/csv.h"

#include <stdlib.h>

struct seen {
        int64_t number, end;
};

static int on_row(void *arg, const struct csv_row *row)
{
        struct seen *seen = arg;
        if (row->number <= seen->number || row->end < seen->end || row->n > CSV_MAX_FIELDS)
                abort();
        for (size_t i = 0; i < row->n; i++)
                if (!str_is_utf8(row->fields[i]))
                        abort();
        *seen = (struct seen){row->number, row->end};
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        struct str file = str_bytes(data + 1, size - 1);
        size_t cut = file.n ? (data[0] >> 1) % file.n : 0;
        struct seen seen = {0};
        _cleanup_(csv_freep) struct csv *csv =
            csv_new(data[0] & 1 ? CSV_GB18030 : CSV_UTF8, 0, 0, on_row, &seen);
        uint32_t state =
            csv_utf8_scan(csv_utf8_scan(0, str_bytes(file.p, cut)), str_bytes(file.p + cut, file.n - cut));
        if ((state == 0) != str_is_utf8(file))
                abort();
        if (csv_push(csv, str_bytes(file.p, cut)) != 0 ||
            csv_push(csv, str_bytes(file.p + cut, file.n - cut)) != 0 || csv_end(csv) != 0)
                abort();
        return 0;
}
