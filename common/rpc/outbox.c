/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox: events numbered by the writer, without gaps, in the order of their commit; and its trimming.
 */
#include "common/rpc/write_lane.h"

#include "common/base/log.h"

/* Events are kept at least so long, and at most so long, or so many, if a known consumer still needs them; who comes
 * later begins with a snapshot. A consumer that was not heard of for the longest time is forgotten. */
#define KEPT_LEAST_US CLOCK_HOUR_US
#define KEPT_MOST_US  (7 * CLOCK_DAY_US)
#define KEPT_MOST     1000000
#define TRIM_ROWS     2000

#define EVENT_MAX 65536

int rpc_emit(struct rpc_call *call, const struct contract_message *type, const void *event, const char *subject,
             const char *organization)
{
        static const char sql[] = "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7)";
        struct write_lane *lane = call->writer;
        char id[ID_TEXT_SIZE];
        if (!lane) {
                log_error("an event outside the write lane", "type=%s", type->name);
                return -EPERM;
        }
        struct str data = message_pack(call->arena, event);
        if (data.n > EVENT_MAX)
                return -E2BIG;
        id_new(id, call->now_us);
        int r = store_exec(lane->db, sql, NULL, I64(lane->outbox_next), TEXTZ(id), TEXTZ(type->name), TEXTZ(subject),
                           TEXTZ(organization), I64(call->now_us), BYTES(data.p, data.n));
        if (r == 0)
                lane->outbox_next++;
        return r;
}

/* --- loading ---------------------------------------------------------------------------------------------------- */

static int load_epoch(struct write_lane *lane)
{
        static const char sql[] = "INSERT INTO rpc_epoch (id, epoch) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        char id[ID_TEXT_SIZE];
        id_new(id, clock_now_us(lane->server->options.clock));
        return store_exec(lane->db, sql, NULL, TEXTZ(id));
}

int outbox_load(struct write_lane *lane)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = load_epoch(lane);
        if (r == 0)
                r = store_query(lane->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        lane->outbox_next = store_i64(rows, 0) + 1;
        return 0;
}

/* --- trimming --------------------------------------------------------------------------------------------------- */

static int save_reader(void *arg, const char *name, int64_t position, int64_t seen_us)
{
        static const char sql[] = "INSERT INTO rpc_reader (name, position, seen_us) VALUES ($1, $2, $3) ON CONFLICT "
                                  "(name) DO UPDATE SET position = excluded.position, seen_us = excluded.seen_us";
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

int outbox_trim(struct write_lane *lane, void *arg)
{
        static const char sql[] = "DELETE FROM rpc_outbox WHERE seq IN (SELECT seq FROM rpc_outbox ORDER BY seq LIMIT $1)"
                                  " AND seq < $2 AND ((seq <= $3 AND time_us < $4) OR time_us < $5 OR seq <= $6)";
        int64_t now = clock_now_us(lane->server->options.clock), head = lane->outbox_next - 1, slowest = 0;
        (void)arg;
        int r = readers_save(lane->server->readers, save_reader, lane);
        if (r == 0)
                r = slowest_reader(lane, now, &slowest);
        if (r != 0)
                return r;
        return store_exec(lane->db, sql, NULL, I64(TRIM_ROWS), I64(head), I64(slowest), I64(now - KEPT_LEAST_US),
                          I64(now - KEPT_MOST_US), I64(head - KEPT_MOST));
}
