/* SPDX-License-Identifier: Apache-2.0
 *
 * Stored answers: what makes every write safe to repeat. An answer is found by principal, method and idempotency key,
 * sealed by the keyring, and given again byte for byte.
 *
 * Answers that hold a secret are not kept. A method that opens a session keeps nothing at all: repeated, it opens
 * another session, which harms nobody. Nor does one that only reads and says so (a GET that notes who read): it reads
 * once more. Any other secret (a new API key) leaves a marker: its effect happens at most once, and a repeat is told so
 * (PROBLEM_ANSWER_NOT_KEPT) instead of making a second one.
 */
#include "common/rpc/write_lane.h"

#include "common/base/id.h"
#include "common/base/log.h"

#define SWEEP_ROWS   500 /* one sweep looks at so many rows beyond those that were added meanwhile */
#define CATCH_UP     4   /* and at so many times those */
#define KEY_SLACK_US (10 * CLOCK_SECOND_US) /* between the making of a gateway's key and the answer's */

static bool keeps_nothing(const struct rpc_call *call)
{
        const struct contract_method *m = call->served->contract;
        bool reads = m->path && m->http == CONTRACT_GET;
        return m->session == NUANXIN__SESSION_EFFECT__SESSION_OPEN || (m->secret_answer && reads);
}

static int64_t request_hash(const struct rpc_call *call)
{
        return (int64_t)str_hash(bus_frame_bytes(&call->payload));
}

/* A sealed answer opens only in its own place. */
static const char *context_of(struct rpc_call *call)
{
        const char *parts[] = {"rpc_answer/", call->actor, "/", call->served->contract->name, "/", call->key};
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                n += strlen(parts[i]);
        char *context = arena_alloc(call->arena, n + 1), *end = context;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                end = stpcpy(end, parts[i]);
        return context;
}

static int replay(struct write_lane *lane, struct rpc_call *call, const struct store_rows *row)
{
        if (store_i64(row, 0) != request_hash(call)) {
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_IDEMPOTENCY_MISMATCH);
                return 0;
        }
        call->replayed = true;
        metric_add(lane->all->replays, 1);
        if (store_is_null(row, 2)) {
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_ANSWER_NOT_KEPT);
                return 0;
        }
        struct str sealed = store_bytes(row, 2);
        int r = keyring_open(call->arena, call->server->options.keyring, context_of(call), sealed, &call->answer);
        if (r == -ENOKEY) {
                call_failed(call, r);
                return 0;
        }
        if (r != 0) {
                log_error("a stored answer does not open: is this the store's keyring?", "method=%s",
                          call->served->contract->name);
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_INTERNAL);
                return 0;
        }
        call->problem = (Nuanxin__Problem)store_i64(row, 1);
        return 0;
}

/* On a shared store what is seen need not be durable: who committed it may have been cancelled while it waited for the
 * synchronous standby. So the transaction that gives it again commits something too, behind it. */
static int fence(struct write_lane *lane)
{
        static const char sql[] = "SELECT pg_logical_emit_message(true, 'nuanxin', '')::text";
        return lane->shared ? store_exec(lane->db, sql, NULL) : 0;
}

int answer_find(struct write_lane *lane, struct rpc_call *call, bool *ret_found)
{
        static const char sql[] = "SELECT request, problem, payload FROM rpc_answer "
                                  "WHERE key = $1 AND principal = $2 AND method = $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t method = (int64_t)call->served->contract->id;
        int r = store_query(lane->db, sql, &rows, TEXTZ(call->key), TEXTZ(call->actor), I64(method));
        if (r == 0)
                r = store_next(rows);
        if (r == 1) {
                *ret_found = true;
                r = replay(lane, call, rows);
                rows = store_rows_close(rows);
                return r == 0 ? fence(lane) : r;
        }
        if (r == 0)
                *ret_found = false;
        return r;
}

/* sql: with seven arguments. */
static int insert(struct write_lane *lane, struct rpc_call *call, const char *sql, int64_t *ret_added)
{
        const struct rpc_server_options *options = &call->server->options;
        const struct contract_method *contract = call->served->contract;
        struct store_value payload = SQLNULL();
        if (!contract->secret_answer || call->problem != NUANXIN__PROBLEM__PROBLEM_NONE) {
                struct str sealed = keyring_seal(call->arena, options->keyring, context_of(call), call->answer);
                payload = BYTES(sealed.p, sealed.n);
        }
        int64_t kept = call->client_key ? options->answers_kept_us : options->gateway_answers_kept_us;
        return store_exec(lane->db, sql, ret_added, TEXTZ(call->key), TEXTZ(call->actor), I64((int64_t)contract->id),
                          I64(request_hash(call)), I64(call->problem), payload, I64(call->now_us + kept));
}

#define INSERT "INSERT INTO rpc_answer (key, principal, method, request, problem, payload, expires_us) " \
               "VALUES ($1, $2, $3, $4, $5, $6, $7)"

int answer_keep(struct write_lane *lane, struct rpc_call *call, bool *ret_was_there)
{
        static const char sql[] = INSERT " ON CONFLICT (key, principal, method) DO NOTHING";
        int64_t added = 0;
        int r = keeps_nothing(call) ? 0 : insert(lane, call, sql, &added);
        if (r != 0)
                return r;
        *ret_was_there = !keeps_nothing(call) && added == 0;
        lane->answers_since_sweep += added;
        return 0;
}

int answer_add(struct write_lane *lane, struct rpc_call *call)
{
        static const char sql[] = INSERT;
        return keeps_nothing(call) ? 0 : insert(lane, call, sql, NULL);
}

/* --- the sweep --------------------------------------------------------------------------------------------------
 *
 * No index on the time of expiry burdens each write. */

/* The gateway's keys tell when they were made: what expired of them lies between where the last sweep ended and the
 * oldest that is kept. Each sweep takes as much of it as was added since the last one, or a few times that if it lags,
 * so that deleting is as even as the writes were. */
static int sweep_front(struct write_lane *lane, int64_t now)
{
        static const char sql[] = "DELETE FROM rpc_answer WHERE key >= $1 AND key < $2 AND expires_us <= $3";
        int64_t kept = lane->server->options.gateway_answers_kept_us, end = now - kept - KEY_SLACK_US;
        int64_t begin = lane->sweep_front_us ? lane->sweep_front_us : end - kept;
        int64_t most = CATCH_UP * (now - lane->sweep_us > CLOCK_SECOND_US ? now - lane->sweep_us : CLOCK_SECOND_US);
        char first[ID_TEXT_SIZE], last[ID_TEXT_SIZE];
        if (end - begin > most)
                end = begin + most;
        if (end <= begin)
                return 0;
        id_least(first, begin);
        id_least(last, end);
        int r = store_exec(lane->db, sql, NULL, TEXTZ(first), TEXTZ(last), I64(now));
        if (r == 0)
                lane->sweep_front_us = end;
        return r;
}

/* What has another key, or was left behind: the table is walked in the order of its keys, a slice at a time and then from
 * the front again. The slices grow with what is written: a round ends before answers expire. */
static int sweep_slice(struct write_lane *lane, int64_t now)
{
        static const char find_end[] = "SELECT key FROM rpc_answer WHERE key >= $1 ORDER BY key LIMIT 1 OFFSET $2";
        static const char delete_slice[] =
                "DELETE FROM rpc_answer WHERE key >= $1 AND key < $2 AND expires_us <= $3";
        static const char delete_rest[] = "DELETE FROM rpc_answer WHERE key >= $1 AND expires_us <= $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct str from = buf_str(&lane->sweep_key), end = {0};
        int64_t slice = SWEEP_ROWS + CATCH_UP * lane->answers_since_sweep;
        int r = store_query(lane->db, find_end, &rows, TEXT(from), I64(slice));
        if (r == 0)
                r = store_next(rows);
        if (r != 0 && r != 1)
                return r;
        if (r == 1)
                end = arena_str(lane->arena, store_text(rows, 0));
        rows = store_rows_close(rows);
        if (end.n)
                r = store_exec(lane->db, delete_slice, NULL, TEXT(from), TEXT(end), I64(now));
        else
                r = store_exec(lane->db, delete_rest, NULL, TEXT(from), I64(now));
        if (r != 0)
                return r;
        lane->sweep_key.n = 0;
        buf_add_str(&lane->sweep_key, end);
        return 0;
}

int answer_sweep(struct write_lane *lane, void *arg)
{
        int64_t now = clock_now_us(lane->server->options.clock);
        (void)arg;
        int r = sweep_front(lane, now);
        if (r == 0)
                r = sweep_slice(lane, now);
        if (r == 0) {
                lane->answers_since_sweep = 0;
                lane->sweep_us = now;
        }
        return r;
}
