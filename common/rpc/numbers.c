/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of events and audit rows, in the two ways that there are.
 *
 * Where one thread writes (SQLite), it gives the next number itself, within the transaction, and takes it back with it.
 *
 * Where many write (a shared store), nobody may wait for the others' numbers. An event goes to rpc_arrival, and the leader
 * moves what has been committed to rpc_outbox: without gaps, in the order of n. Whoever writes an event has read what it is
 * about in the same transaction, so all that was committed about it before has a lower n and is visible with it: no event
 * overtakes another of its aggregate. Audit rows take what the database gives, gaps and all.
 */
#include "common/rpc/write_lane.h"

#include "common/base/log.h"
#include "common/rpc/lease.h"
#include "common/rpc/listener.h"

#define EVENT_MAX      65536
#define SETTLE_AT_ONCE 10000

static int one_number(struct write_lane *lane, const char *sql, int64_t *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query_values(lane->db, sql, &rows, NULL, 0);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret = store_i64(rows, 0);
        return 0;
}

int numbers_audited(struct write_lane *lane, int64_t *ret_newest)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_audit";
        return one_number(lane, sql, ret_newest);
}

int numbers_load(struct write_lane *lane)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox";
        int64_t head = 0, audited = 0;
        int r = one_number(lane, sql, &head);
        if (r == 0)
                r = numbers_audited(lane, &audited);
        if (r != 0)
                return r;
        lane->outbox_next = head + 1;
        lane->audit_next = audited + 1;
        return 0;
}

int rpc_emit(struct rpc_call *call, const struct contract_message *type, const void *event, const char *subject,
             const char *organization)
{
        static const char numbered[] = "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) "
                                       "VALUES ($1, $2, $3, $4, $5, $6, $7)";
        static const char arriving[] = "INSERT INTO rpc_arrival (id, type, subject, organization, time_us, data) "
                                       "VALUES ($1, $2, $3, $4, $5, $6)";
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
        const struct store_value values[] = {I64(lane->outbox_next),  TEXTZ(id),          TEXTZ(type->name),
                                             TEXTZ(subject),          TEXTZ(organization), I64(call->now_us),
                                             BYTES(data.p, data.n)};
        int r = lane->shared ? store_exec_values(lane->db, arriving, NULL, values + 1, ARRAY_LEN(values) - 1)
                             : store_exec_values(lane->db, numbered, NULL, values, ARRAY_LEN(values));
        if (r == 0)
                lane->outbox_next++;
        return r;
}

int rpc_news(struct rpc_call *call, int64_t position)
{
        struct write_lane *lane = call->writer;
        if (!lane)
                return -EPERM;
        lane->news = position > lane->news ? position : lane->news;
        return lane->shared ? listener_tell(lane, position, LISTENER_NEWS) : 0;
}

int rpc_take_turns(struct rpc_call *call, const char *lock)
{
        return call->writer->shared ? store_exec(call->db, lock, NULL) : 0;
}

int numbers_audit(struct write_lane *lane, const struct audit_row *row)
{
        static const char numbered[] = "INSERT INTO rpc_audit (seq, time_us, principal, client, method, subject, "
                                       "organization, outcome, purpose, trace) "
                                       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        static const char arriving[] = "INSERT INTO rpc_audit (time_us, principal, client, method, subject, "
                                       "organization, outcome, purpose, trace) "
                                       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        const struct store_value values[] = {I64(lane->audit_next),   I64(row->time_us),        TEXTZ(row->principal),
                                             TEXTZ(row->client),      TEXTZ(row->method),       TEXTZ(row->subject),
                                             TEXTZ(row->organization), TEXTZ(row->outcome),     TEXTZ(row->purpose),
                                             TEXT(row->trace)};
        int r = lane->shared ? store_exec_values(lane->db, arriving, NULL, values + 1, ARRAY_LEN(values) - 1)
                             : store_exec_values(lane->db, numbered, NULL, values, ARRAY_LEN(values));
        if (r == 0)
                lane->audit_next++;
        return r;
}

/* --- the leader's half -------------------------------------------------------------------------------------------- */

/* The head is what stands in the outbox itself: its last row is never trimmed, and only who holds the lease's row adds
 * to it. */
int numbers_give(struct write_lane *lane, int64_t limit, struct numbered *ret)
{
        static const char sql[] =
                "WITH moved AS (DELETE FROM rpc_arrival WHERE n IN (SELECT n FROM rpc_arrival ORDER BY n LIMIT $1) "
                "RETURNING n, id, type, subject, organization, time_us, data), "
                "given AS (INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) "
                "SELECT (SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox) + ROW_NUMBER() OVER (ORDER BY n), "
                "id, type, subject, organization, time_us, data FROM moved RETURNING seq, time_us) "
                "SELECT COUNT(*), COALESCE(MAX(seq), 0), COALESCE(MIN(time_us), 0) FROM given";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(lane->db, sql, &rows, I64(limit));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret = (struct numbered){.n = store_i64(rows, 0), .head = store_i64(rows, 1), .oldest_us = store_i64(rows, 2)};
        return 0;
}

int numbers_settle(struct write_lane *lane, int64_t *ret_head)
{
        struct numbered numbered = {.n = SETTLE_AT_ONCE};
        int r = lease_block(lane->db);
        if (r == 1)
                r = 0;
        while (r == 0 && numbered.n == SETTLE_AT_ONCE)
                r = numbers_give(lane, SETTLE_AT_ONCE, &numbered);
        if (r == 0)
                r = listener_read_head(lane->db, ret_head);
        return r == 0 ? listener_tell(lane, *ret_head, LISTENER_HEAD) : r;
}

int numbers_waiting(struct write_lane *lane, int64_t *ret_n)
{
        static const char sql[] = "SELECT COUNT(*) FROM (SELECT 1 FROM rpc_arrival LIMIT 100000) AS waiting";
        return one_number(lane, sql, ret_n);
}
