/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's SQL: its end, its beginning, its rows.
 */
#include "services/stream/store.h"

#include "common/base/log.h"

#include <stdio.h>

#define ROW_BYTES 160 /* of a row beside its event */

int64_t log_event_bytes(size_t n)
{
        return (int64_t)n + ROW_BYTES;
}

int64_t log_person_hash(struct str person)
{
        return (int64_t)str_hash(person);
}

/* Of a column that holds a sum, or nothing yet. */
static void read_sum(const struct store_rows *rows, int column, unsigned char out[CHAIN_SIZE])
{
        struct str sum = store_bytes(rows, column);
        memset(out, 0, CHAIN_SIZE);
        if (sum.n == CHAIN_SIZE)
                memcpy(out, sum.p, CHAIN_SIZE);
}

static void read_text(const struct store_rows *rows, int column, char *out, size_t size)
{
        struct str text = store_text(rows, column);
        snprintf(out, size, "%s", text.n ? text.p : "");
}

/* --- its end ------------------------------------------------------------------------------------------------------- */

int log_end_lock(struct rpc_call *call)
{
        static const char sql[] = "LOCK TABLE log_end IN SHARE ROW EXCLUSIVE MODE";
        return rpc_take_turns(call, sql);
}

int log_end_load(struct store_conn *db, struct log_end *ret)
{
        static const char sql[] = "SELECT seq, head, bytes, epoch, begun FROM log_end WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows), rows);
        *ret = (struct log_end){0};
        if (r != 0)
                return r == STREAM_E_ABSENT ? 0 : r;
        ret->seq = store_i64(rows, 0);
        read_sum(rows, 1, ret->head);
        ret->bytes = store_i64(rows, 2);
        read_text(rows, 3, ret->epoch, sizeof(ret->epoch));
        ret->begun = store_i64(rows, 4);
        return 0;
}

int log_end_save(struct store_conn *db, const struct log_end *end)
{
        static const char sql[] = "INSERT INTO log_end (id, seq, head, bytes, epoch, begun) VALUES (1, $1, $2, $3, $4, $5) "
                                  "ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, head = excluded.head, "
                                  "bytes = excluded.bytes, epoch = excluded.epoch, begun = excluded.begun";
        return store_exec(db, sql, NULL, I64(end->seq), BYTES(end->head, CHAIN_SIZE), I64(end->bytes), TEXTZ(end->epoch),
                          I64(end->begun));
}

int log_epoch_load(struct store_conn *db, char ret_epoch[40])
{
        static const char sql[] = "SELECT epoch FROM rpc_epoch WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows), rows);
        if (r == 0)
                read_text(rows, 0, ret_epoch, 40);
        return r == STREAM_E_ABSENT ? STORE_E_RETRY : r;
}

/* --- its beginning ------------------------------------------------------------------------------------------------- */

int log_mark_load(struct store_conn *db, struct log_mark *ret)
{
        static const char sql[] =
                "SELECT cut, cut_head, freed, epoch, checkpoint, checkpoint_us FROM log_mark WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows), rows);
        *ret = (struct log_mark){0};
        if (r != 0)
                return r == STREAM_E_ABSENT ? 0 : r;
        ret->cut = store_i64(rows, 0);
        read_sum(rows, 1, ret->cut_head);
        ret->freed = store_i64(rows, 2);
        read_text(rows, 3, ret->epoch, sizeof(ret->epoch));
        ret->checkpoint = store_i64(rows, 4);
        ret->checkpoint_us = store_i64(rows, 5);
        return 0;
}

int log_mark_save(struct store_conn *db, const struct log_mark *mark)
{
        static const char sql[] =
                "INSERT INTO log_mark (id, cut, cut_head, freed, epoch, checkpoint, checkpoint_us) "
                "VALUES (1, $1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET cut = excluded.cut, "
                "cut_head = excluded.cut_head, freed = excluded.freed, epoch = excluded.epoch, "
                "checkpoint = excluded.checkpoint, checkpoint_us = excluded.checkpoint_us";
        return store_exec(db, sql, NULL, I64(mark->cut), BYTES(mark->cut_head, CHAIN_SIZE), I64(mark->freed),
                          TEXTZ(mark->epoch), I64(mark->checkpoint), I64(mark->checkpoint_us));
}

/* --- how far it goes ------------------------------------------------------------------------------------------------ */

int log_position(struct store_conn *db, struct log_position *ret)
{
        static const char sql[] =
                "SELECT r.epoch, e.seq, e.head, e.bytes, m.cut, m.freed, m.checkpoint, m.checkpoint_us, l.taken_us "
                "FROM rpc_epoch r LEFT JOIN log_end e ON e.id = 1 LEFT JOIN log_mark m ON m.id = 1 "
                "LEFT JOIN log l ON l.seq = COALESCE(m.cut, 0) + 1 WHERE r.id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows), rows);
        if (r != 0)
                return r == STREAM_E_ABSENT ? STORE_E_RETRY : r;
        struct str epoch = store_text(rows, 0);
        *ret = (struct log_position){
                .oldest = store_i64(rows, 4) + 1,
                .latest = store_i64(rows, 1),
                .bytes = store_i64(rows, 3) - store_i64(rows, 5),
                .oldest_us = store_i64(rows, 8),
                .checkpoint = store_i64(rows, 6),
                .checkpoint_us = store_i64(rows, 7),
        };
        read_sum(rows, 2, ret->head);
        log_epoch_digits(epoch, ret->epoch);
        return 0;
}

int log_taken_after(struct store_conn *db, int64_t seq, int64_t *ret_us)
{
        static const char sql[] = "SELECT taken_us FROM log WHERE seq > $1 ORDER BY seq LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, I64(seq)), rows);
        if (r == 0 || r == STREAM_E_ABSENT)
                *ret_us = r == 0 ? store_i64(rows, 0) : 0;
        return r == STREAM_E_ABSENT ? 0 : r;
}

int log_latest(struct store_conn *db, int64_t *ret)
{
        struct log_end end;
        int r = log_end_load(db, &end);
        if (r == 0)
                *ret = end.seq;
        return r;
}

int log_head_at(struct store_conn *db, int64_t seq, unsigned char ret_head[CHAIN_SIZE])
{
        static const char sql[] = "SELECT head FROM log WHERE seq = $1 "
                                  "UNION ALL SELECT cut_head FROM log_mark WHERE id = 1 AND cut = $1 LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        memset(ret_head, 0, CHAIN_SIZE);
        if (seq == 0)
                return 0;
        int r = first_row(store_query(db, sql, &rows, I64(seq)), rows);
        if (r == 0)
                read_sum(rows, 0, ret_head);
        return r == STREAM_E_ABSENT ? -ENODATA : r;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static int unpack(struct arena *arena, struct str event, struct log_row *row)
{
        ProtobufCMessage *message;
        int r = message_unpack(arena, &stream_v1_stored_event_msg, event.p, event.n, &message);
        if (r != 0) {
                log_error("a row of the log cannot be read", "seq=%lld", (long long)row->seq);
                return r;
        }
        row->event = (const StoredEvent *)message;
        row->contract = contract_message_by_name(str_of(row->event->type));
        return 0;
}

/* Columns: seq, event, head, erased_by; the latter two may be missing. */
static int read_rows(struct store_rows *rows, struct arena *arena, size_t limit, size_t bytes, bool chained,
                     struct log_row **ret_rows, size_t *ret_n)
{
        struct log_row *found = ARENA_ARRAY(arena, struct log_row, limit ? limit : 1);
        size_t n = 0, sum = 0;
        int r = 0;
        while (r == 0 && n < limit && sum < bytes && (r = store_next(rows)) == 1) {
                struct log_row *row = &found[n++];
                struct str event = store_bytes(rows, 1);
                row->seq = store_i64(rows, 0);
                if (chained)
                        read_sum(rows, 2, row->head);
                if (chained)
                        row->erased_by = store_i64(rows, 3);
                sum += event.n;
                r = row->erased_by ? 0 : unpack(arena, event, row);
        }
        if (r != 0)
                return r;
        *ret_rows = found;
        *ret_n = n;
        return 0;
}

int log_read(struct store_conn *db, struct arena *arena, int64_t after, int64_t through, size_t limit, size_t bytes,
             struct log_row **ret_rows, size_t *ret_n)
{
        static const char sql[] = "SELECT seq, event, head, erased_by FROM log WHERE seq > $1 AND seq <= $2 "
                                  "ORDER BY seq LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (through - after < (int64_t)limit)
                limit = through > after ? (size_t)(through - after) : 0;
        int r = store_query(db, sql, &rows, I64(after), I64(through), I64((int64_t)limit));
        return r == 0 ? read_rows(rows, arena, limit, bytes, true, ret_rows, ret_n) : r;
}

int log_insert(struct store_conn *db, const struct store_value *rows, size_t n)
{
        static const char sql[] = "INSERT INTO log (seq, person, taken_us, event, salt, leaf, head, erased_by) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
        return store_exec_many(db, sql, rows, LOG_COLUMNS, n);
}

int log_delete_through(struct store_conn *db, int64_t seq)
{
        static const char sql[] = "DELETE FROM log WHERE seq <= $1";
        return store_exec(db, sql, NULL, I64(seq));
}

int log_erase(struct store_conn *db, const struct log_raw *row, int64_t by)
{
        static const char sql[] = "UPDATE log SET event = NULL, salt = $3, person = NULL, erased_by = $2 WHERE seq = $1";
        unsigned char what[CHAIN_SIZE];
        chain_what(what, row->salt, row->event);
        return store_exec(db, sql, NULL, I64(row->seq), I64(by), BYTES(what, CHAIN_SIZE));
}

/* Columns: seq, taken_us, erased_by, event, salt, head. */
static int read_raw(struct store_rows *rows, struct arena *arena, size_t limit, struct log_raw **ret_rows, size_t *ret_n)
{
        struct log_raw *found = ARENA_ARRAY(arena, struct log_raw, limit);
        size_t n = 0;
        int r = 0;
        while (r == 0 && n < limit && (r = store_next(rows)) == 1) {
                struct log_raw *row = &found[n++];
                row->seq = store_i64(rows, 0);
                row->taken_us = store_i64(rows, 1);
                row->erased_by = store_i64(rows, 2);
                if (!store_is_null(rows, 3))
                        row->event = arena_str(arena, store_bytes(rows, 3));
                if (!store_is_null(rows, 4))
                        row->salt = arena_str(arena, store_bytes(rows, 4));
                read_sum(rows, 5, row->head);
                r = 0;
        }
        if (r != 0)
                return r;
        *ret_rows = found;
        *ret_n = n;
        return 0;
}

#define RAW_COLUMNS "seq, taken_us, erased_by, event, salt, head"

int log_read_raw(struct store_conn *db, struct arena *arena, int64_t after, size_t limit, struct log_raw **ret_rows, size_t *ret_n)
{
        static const char sql[] = "SELECT " RAW_COLUMNS " FROM log WHERE seq > $1 ORDER BY seq LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(after), I64((int64_t)limit));
        return r == 0 ? read_raw(rows, arena, limit, ret_rows, ret_n) : r;
}

int log_read_person(struct store_conn *db, struct arena *arena, int64_t person, int64_t after, int64_t before, size_t limit,
                    struct log_raw **ret_rows, size_t *ret_n)
{
        /* The index is in parts (001_log.sql). Those from the first row after $2 on, to the one with $3 or the last. */
        static const char sql[] =
                "WITH RECURSIVE part (n) AS (SELECT n FROM (SELECT seq / 8192 AS n FROM log WHERE seq > $2 ORDER BY seq LIMIT 1) AS first "
                "UNION ALL SELECT n + 1 FROM part WHERE n < $3 / 8192 AND n < (SELECT MAX(seq) FROM log) / 8192) "
                "SELECT " RAW_COLUMNS " FROM part CROSS JOIN log WHERE log.seq / 8192 = part.n AND person = $1 "
                "AND seq > $2 AND seq < $3 ORDER BY seq LIMIT $4";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(person), I64(after), I64(before), I64((int64_t)limit));
        return r == 0 ? read_raw(rows, arena, limit, ret_rows, ret_n) : r;
}

/* --- the state ------------------------------------------------------------------------------------------------------- */

int state_put(struct store_conn *db, const char *type, const char *subject, int64_t seq, int64_t person, struct str event)
{
        static const char sql[] =
                "INSERT INTO log_state (type, subject, seq, person, event) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (type, subject) DO UPDATE SET seq = excluded.seq, person = excluded.person, event = excluded.event";
        return store_exec(db, sql, NULL, TEXTZ(type), TEXTZ(subject), I64(seq), person ? I64(person) : SQLNULL(),
                          BYTES(event.p, event.n));
}

int state_read_person(struct store_conn *db, struct arena *arena, int64_t person, int64_t after, int64_t before, size_t limit,
                      struct log_raw **ret_rows, size_t *ret_n)
{
        static const char sql[] = "SELECT seq, seq, 0, event, NULL, NULL FROM log_state WHERE person = $1 AND seq > $2 "
                                  "AND seq < $3 ORDER BY seq LIMIT $4";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(person), I64(after), I64(before), I64((int64_t)limit));
        return r == 0 ? read_raw(rows, arena, limit, ret_rows, ret_n) : r;
}

int state_delete(struct store_conn *db, int64_t seq)
{
        static const char sql[] = "DELETE FROM log_state WHERE seq = $1";
        return store_exec(db, sql, NULL, I64(seq));
}

int log_state_read(struct store_conn *db, struct arena *arena, int64_t after, size_t limit, size_t bytes,
                   struct log_row **ret_rows, size_t *ret_n)
{
        static const char sql[] = "SELECT seq, event FROM log_state WHERE seq > $1 ORDER BY seq LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(after), I64((int64_t)limit));
        return r == 0 ? read_rows(rows, arena, limit, bytes, false, ret_rows, ret_n) : r;
}
