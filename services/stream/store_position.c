/* SPDX-License-Identifier: Apache-2.0
 *
 * How far agencies have come, and what they have acknowledged, in SQL.
 */
#include "services/stream/store_agency.h"

int subscriber_save(struct store_conn *db, const struct subscriber *s)
{
        static const char sql[] = "INSERT INTO subscriber (agency, transport, position, seen_us) VALUES ($1, $2, $3, $4) "
                                  "ON CONFLICT (agency, transport) DO UPDATE SET position = excluded.position, "
                                  "seen_us = excluded.seen_us WHERE subscriber.seen_us <= excluded.seen_us";
        return store_exec(db, sql, NULL, TEXTZ(s->agency), TEXTZ(s->transport), I64(s->position), I64(s->seen_us));
}

int subscribers_load(struct store_conn *db, struct arena *arena, struct subscriber **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT agency, transport, position, seen_us FROM subscriber ORDER BY agency, transport LIMIT 10000";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct subscriber *found = NULL;
        size_t n = 0, room = 0;
        int r = store_query(db, sql, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                if (n == room) {
                        room = room ? 2 * room : 16;
                        struct subscriber *more = ARENA_ARRAY(arena, struct subscriber, room);
                        if (n)
                                memcpy(more, found, n * sizeof(*found));
                        found = more;
                }
                found[n++] = (struct subscriber){store_text_dup(rows, 0, arena), store_text_dup(rows, 1, arena), store_i64(rows, 2),
                                                 store_i64(rows, 3)};
                r = 0;
        }
        if (r != 0)
                return r;
        *ret = found;
        *ret_n = n;
        return 0;
}

int receipts_lock(struct rpc_call *call)
{
        static const char sql[] = "LOCK TABLE receipt_mark IN SHARE ROW EXCLUSIVE MODE";
        return rpc_take_turns(call, sql);
}

int receipt_insert(struct store_conn *db, const char *agency, int64_t notice, int64_t now_us)
{
        static const char sql[] = "INSERT INTO receipt (agency, notice, acknowledged_us) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        return store_exec(db, sql, NULL, TEXTZ(agency), I64(notice), I64(now_us));
}

int receipt_mark_load(struct store_conn *db, const char *agency, struct receipt_mark *ret)
{
        static const char sql[] = "SELECT seq, receipts FROM receipt_mark WHERE agency = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(agency)), rows);
        *ret = (struct receipt_mark){0};
        if (r == 0)
                *ret = (struct receipt_mark){store_i64(rows, 0), store_i64(rows, 1)};
        return r == STREAM_E_ABSENT ? 0 : r;
}

int receipt_mark_save(struct store_conn *db, const char *agency, const struct receipt_mark *mark)
{
        static const char sql[] = "INSERT INTO receipt_mark (agency, seq, receipts) VALUES ($1, $2, $3) ON CONFLICT (agency) "
                                  "DO UPDATE SET seq = excluded.seq, receipts = excluded.receipts WHERE receipt_mark.seq < excluded.seq";
        return store_exec(db, sql, NULL, TEXTZ(agency), I64(mark->seq), I64(mark->receipts));
}
