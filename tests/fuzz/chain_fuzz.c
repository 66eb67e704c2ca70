/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a line of checkpoints: what is read says the same when it is written and read again.
 */
#include "common/chain/chain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct checkpoint once, again;
        struct buf line = {0};
        if (checkpoint_read(arena, str_bytes(data, size), &once) != 0)
                return 0;
        checkpoint_write(&line, &once);
        line.n--; /* its end */
        if (checkpoint_read(arena, buf_str(&line), &again) != 0 || once.kind != again.kind || strcmp(once.epoch, again.epoch) != 0 ||
            once.seq != again.seq || once.time_us != again.time_us || memcmp(once.head, again.head, CHAIN_SIZE) != 0 ||
            memcmp(once.signature, again.signature, SIGNATURE_SIZE) != 0)
                abort();
        buf_done(&line);
        return 0;
}
