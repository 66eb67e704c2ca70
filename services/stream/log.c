/* SPDX-License-Identifier: Apache-2.0
 *
 * Cursors. What reads the store is in store_log.c, what signs in state.c.
 */
#include "services/stream/log.h"

#include <inttypes.h>
#include <stdio.h>

void log_epoch_digits(struct str epoch, char out[LOG_EPOCH_SIZE])
{
        size_t most = LOG_EPOCH_SIZE - 1;
        struct str end = epoch.n > most ? (struct str){epoch.p + epoch.n - most, most} : epoch;
        snprintf(out, LOG_EPOCH_SIZE, "%.*s", (int)end.n, end.p ? end.p : "");
}

void log_cursor_write(const struct log_position *position, int64_t seq, char out[LOG_CURSOR_SIZE])
{
        snprintf(out, LOG_CURSOR_SIZE, "%s:%" PRId64, position->epoch, seq);
}

static bool is_epoch(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
                        return false;
        return s.n == LOG_EPOCH_SIZE - 1;
}

int log_cursor_read(const struct log_position *position, struct str cursor, int64_t *ret_after)
{
        struct str rest = cursor, epoch = str_cut(&rest, ':');
        int64_t after;
        if (!cursor.n) {
                *ret_after = position->oldest - 1;
                return 0;
        }
        if (!is_epoch(epoch) || str_to_i64(rest, 0, INT64_MAX, &after) < 0)
                return LOG_E_UNKNOWN;
        if (!str_is(epoch, position->epoch))
                return LOG_E_GONE;
        if (after > position->latest)
                return LOG_E_UNKNOWN;
        if (after < position->oldest - 1)
                return LOG_E_GONE;
        *ret_after = after;
        return 0;
}
