/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox's epoch, its trimming, and what is forgotten in it. How events get their positions: numbers.c.
 */
#include "common/rpc/schema.h"
#include "common/rpc/write_lane.h"

#include "contract/internal_v1.h"

/* Events are kept at least so long, and at most so long, or so many, if a known consumer still needs them; who comes
 * later begins with a snapshot. A consumer that was not heard of for the longest time is forgotten. */
#define KEPT_LEAST_US CLOCK_HOUR_US
#define KEPT_MOST_US  (7 * CLOCK_DAY_US)
#define KEPT_MOST     1000000
#define TRIM_ROWS     2000

#define FORGET_AT_ONCE 10000 /* positions looked at */

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

/* --- forgetting ------------------------------------------------------------------------------------------------- */

static int first_number(int r, struct store_rows *rows, int64_t *ret)
{
        if (r == 0)
                r = store_next(rows);
        if (r == 1)
                *ret = store_i64(rows, 0);
        return r == 1 ? 0 : r;
}

static int read_ends(struct rpc_call *call, int64_t *ret_oldest, int64_t *ret_head)
{
        static const char oldest[] = "SELECT COALESCE(MIN(seq), 1) FROM rpc_outbox";
        static const char head[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox";
        _cleanup_(store_rows_closep) struct store_rows *first = NULL;
        _cleanup_(store_rows_closep) struct store_rows *last = NULL;
        int r = store_query(call->db, oldest, &first);
        r = first_number(r, first, ret_oldest);
        if (r == 0)
                r = store_query(call->db, head, &last);
        return r == 0 ? first_number(r, last, ret_head) : r;
}

/* How many events about it have no position yet: on a shared store those of the last moment. */
static int read_arriving(struct rpc_call *call, const char *subject, int64_t *ret_n)
{
        static const char sql[] = "SELECT COUNT(*) FROM rpc_arrival WHERE subject = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (!call->writer->shared)
                return 0;
        int r = store_query(call->db, sql, &rows, TEXTZ(subject));
        return first_number(r, rows, ret_n);
}

int rpc_forget_events(struct rpc_call *call, const struct contract_message *const *types, const char *subject,
                      int64_t *position, bool *ret_all)
{
        static const char sql[] = "UPDATE rpc_outbox SET type = $1, data = $2 WHERE seq > $3 AND seq <= $4 "
                                  "AND subject = $5 AND type = $6";
        const struct contract_message *forgotten = &internal_v1_event_forgotten_msg;
        Nuanxin__Internal__V1__EventForgotten event = NUANXIN__INTERNAL__V1__EVENT_FORGOTTEN__INIT;
        int64_t oldest = 1, head = 0, arriving = 0;
        if (!call->writer)
                return -EPERM;
        int r = read_ends(call, &oldest, &head);
        if (r == 0)
                r = read_arriving(call, subject, &arriving);
        int64_t from = *position > oldest - 1 ? *position : oldest - 1;
        int64_t to = head - from > FORGET_AT_ONCE ? from + FORGET_AT_ONCE : head;
        event.subject = (char *)subject;
        struct str data = message_pack(call->arena, &event);
        for (size_t i = 0; types[i] && r == 0; i++)
                r = store_exec(call->db, sql, NULL, TEXTZ(forgotten->name), BYTES(data.p, data.n), I64(from),
                               I64(to), TEXTZ(subject), TEXTZ(types[i]->name));
        if (r != 0)
                return r;
        *position = to;
        *ret_all = to == head && !arriving;
        return 0;
}
