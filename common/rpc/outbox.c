/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox's epoch and its trimming. How events get their positions: numbers.c.
 */
#include "common/rpc/schema.h"
#include "common/rpc/write_lane.h"

/* Events are kept at least so long, and at most so long, or so many, if a known consumer still needs them; who comes
 * later begins with a snapshot. A consumer that was not heard of for the longest time is forgotten. */
#define KEPT_LEAST_US CLOCK_HOUR_US
#define KEPT_MOST_US  (7 * CLOCK_DAY_US)
#define KEPT_MOST     1000000
#define TRIM_ROWS     2000

int outbox_load_epoch(struct write_lane *lane)
{
        char epoch[RPC_EPOCH_SIZE];
        return rpc_epoch_load(lane->db, clock_now_us(lane->server->options.clock), epoch);
}

/* --- trimming --------------------------------------------------------------------------------------------------- */

static int save_reader(void *arg, const char *name, int64_t position, int64_t seen_us)
{
        static const char sql[] = "INSERT INTO rpc_reader (name, position, seen_us) VALUES ($1, $2, $3) ON CONFLICT "
                                  "(name) DO UPDATE SET position = excluded.position, seen_us = excluded.seen_us "
                                  "WHERE rpc_reader.seen_us <= excluded.seen_us"; /* another instance may have heard more */
        struct write_lane *lane = arg;
        return store_exec(lane->db, sql, NULL, TEXTZ(name), I64(position), I64(seen_us));
}

/* The position that every known consumer has passed; 0 if none is known: then only the limits trim. */
static int slowest_reader(struct write_lane *lane, int64_t now, int64_t *ret_position)
{
        static const char forget[] = "DELETE FROM rpc_reader WHERE seen_us < $1";
        static const char slowest[] = "SELECT MIN(position) FROM rpc_reader";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_exec(lane->db, forget, NULL, I64(now - KEPT_MOST_US));
        if (r == 0)
                r = store_query(lane->db, slowest, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret_position = store_is_null(rows, 0) ? 0 : store_i64(rows, 0);
        return 0;
}

int outbox_save_readers(struct write_lane *lane, void *arg)
{
        (void)arg;
        return readers_save(lane->server->readers, save_reader, lane);
}

int outbox_trim(struct write_lane *lane, void *arg)
{
        static const char sql[] = "DELETE FROM rpc_outbox WHERE seq IN (SELECT seq FROM rpc_outbox ORDER BY seq LIMIT $1)"
                                  " AND seq < $2 AND ((seq <= $3 AND time_us < $4) OR time_us < $5 OR seq <= $6)";
        int64_t now = clock_now_us(lane->server->options.clock), head = *(const int64_t *)arg, slowest = 0;
        int r = outbox_save_readers(lane, NULL);
        if (r == 0)
                r = slowest_reader(lane, now, &slowest);
        if (r != 0)
                return r;
        return store_exec(lane->db, sql, NULL, I64(TRIM_ROWS), I64(head), I64(slowest), I64(now - KEPT_LEAST_US),
                          I64(now - KEPT_MOST_US), I64(head - KEPT_MOST));
}
