/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that falls due: rows of the store, run as writes on the service's clock by the instance that leads. A row is
 * gone when its work has committed, so it runs once, whoever else has seen it due; work that fails is undone and comes back
 * later and later.
 *
 * SQLite's writer runs what is due as one transaction. On a shared store each row is one of its own, chosen beforehand:
 * the look for what is due would set every insertion of due work against it.
 */
#include "common/rpc/write_lane.h"

#include "common/base/log.h"

#define DUE_BATCH     64
#define DUE_PAYLOAD   65536
#define BACKOFF_LEAST CLOCK_SECOND_US
#define BACKOFF_MOST  CLOCK_HOUR_US
#define CONFLICT_TRIES 10
#define CONFLICT_REST  (CLOCK_SECOND_US / 10)

static const struct metric_family runs_family = {
        "nuanxin_due_runs_total", "Pieces of due work that have run, by kind and outcome.", METRIC_COUNTER};

struct due_row {
        struct due_row *next;
        const char *kind, *key;
        struct str payload;
        int64_t attempts;
        const struct rpc_due_kind *run; /* NULL: this build does not know the kind */
        int result;
};

/* --- for handlers ----------------------------------------------------------------------------------------------- */

int rpc_due_add(struct rpc_call *call, const char *kind, const char *key, int64_t at_us, struct str payload)
{
        static const char sql[] = "INSERT INTO rpc_due (kind, key, at_us, payload, attempts) VALUES ($1, $2, $3, $4, 0) "
                                  "ON CONFLICT (kind, key) DO UPDATE SET at_us = excluded.at_us, "
                                  "payload = excluded.payload, attempts = 0";
        struct write_lane *lane = call->writer;
        if (!lane || payload.n > DUE_PAYLOAD)
                return lane ? -E2BIG : -EPERM;
        int r = store_exec(lane->db, sql, NULL, TEXTZ(kind), TEXTZ(key), I64(at_us), BYTES(payload.p, payload.n));
        if (r == 0 && at_us < lane->due_next_us)
                lane->due_next_us = at_us; /* too early if this is undone: then a look finds nothing */
        return r;
}

int rpc_due_cancel(struct rpc_call *call, const char *kind, const char *key)
{
        static const char sql[] = "DELETE FROM rpc_due WHERE kind = $1 AND key = $2";
        if (!call->writer)
                return -EPERM;
        return store_exec(call->writer->db, sql, NULL, TEXTZ(kind), TEXTZ(key));
}

/* --- running ---------------------------------------------------------------------------------------------------- */

int due_load(struct write_lane *lane)
{
        static const char sql[] = "SELECT MIN(at_us) FROM rpc_due";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(lane->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        lane->due_next_us = store_is_null(rows, 0) ? INT64_MAX : store_i64(rows, 0);
        return 0;
}

static const struct rpc_due_kind *find_kind(const struct rpc_service *service, const char *kind)
{
        for (const struct rpc_due_kind *k = service->due; k && k->kind; k++)
                if (strcmp(k->kind, kind) == 0)
                        return k;
        return NULL;
}

/* The due rows, in the order of their time, into the lane's arena. */
static int claim(struct write_lane *lane, int64_t now, int64_t limit, struct due_row **ret_first)
{
        static const char sql[] =
                "SELECT kind, key, payload, attempts FROM rpc_due WHERE at_us <= $1 ORDER BY at_us LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct due_row **last = ret_first;
        int r = store_query(lane->db, sql, &rows, I64(now), I64(limit));
        *ret_first = NULL;
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct due_row *row = ARENA_NEW(lane->arena, struct due_row);
                row->kind = store_text_dup(rows, 0, lane->arena);
                row->key = store_text_dup(rows, 1, lane->arena);
                row->payload = arena_str(lane->arena, store_bytes(rows, 2));
                row->attempts = store_i64(rows, 3);
                row->run = find_kind(lane->server->service, row->kind);
                *last = row;
                last = &row->next;
                r = 0;
        }
        return r;
}

static int put_back(struct write_lane *lane, const struct due_row *row, int64_t now)
{
        static const char sql[] = "UPDATE rpc_due SET at_us = $3, attempts = $4 WHERE kind = $1 AND key = $2";
        int64_t wait = row->attempts < 12 ? BACKOFF_LEAST << row->attempts : BACKOFF_MOST;
        if (wait > BACKOFF_MOST)
                wait = BACKOFF_MOST;
        return store_exec(lane->db, sql, NULL, TEXTZ(row->kind), TEXTZ(row->key), I64(now + wait),
                          I64(row->attempts + 1));
}

/* The row goes first, so that its work may add it again. Gone or put off meanwhile: nothing is due. */
static int run_row(struct write_lane *lane, struct rpc_call *call, const struct due_row *row)
{
        static const char sql[] = "DELETE FROM rpc_due WHERE kind = $1 AND key = $2 AND at_us <= $3";
        int64_t gone = 0;
        if (!row->run)
                return -ENOTSUP;
        int r = store_exec(lane->db, sql, &gone, TEXTZ(row->kind), TEXTZ(row->key), I64(call->now_us));
        if (r == 0 && !gone)
                return 0;
        if (r == 0)
                r = row->run->run(call, row->key, row->payload);
        if (r == 0 && call->said.subject[0])
                r = audit_write(lane, call);
        return r;
}

static int run_in_savepoint(struct write_lane *lane, struct rpc_call *call, struct due_row *row)
{
        int64_t outbox_before = lane->outbox_next, audit_before = lane->audit_next;
        int r = store_savepoint(lane->db);
        if (r != 0)
                return r;
        call_begin(call, lane->db, lane);
        call->due_kind = row->kind;
        row->result = run_row(lane, call, row);
        if (row->result == 0)
                return store_savepoint_release(lane->db);
        if (write_lane_lost(lane, row->result))
                return row->result;
        lane->outbox_next = outbox_before;
        lane->audit_next = audit_before;
        r = store_savepoint_rollback(lane->db);
        return r == 0 ? put_back(lane, row, call->now_us) : r;
}

struct due_run {
        struct rpc_call *call;
        int64_t limit;
        struct due_row *first;
};

static int run_rows(struct write_lane *lane, void *arg)
{
        struct due_run *run = arg;
        int r = claim(lane, run->call->now_us, run->limit, &run->first);
        for (struct due_row *row = run->first; row && r == 0; row = row->next)
                r = run_in_savepoint(lane, run->call, row);
        return r == 0 ? due_load(lane) : r;
}

static int put_back_first(struct write_lane *lane, void *arg)
{
        const struct due_run *run = arg;
        int r = put_back(lane, run->first, run->call->now_us);
        return r == 0 ? due_load(lane) : r;
}

/* A lost transaction is tried again with the first row alone; if that one loses it, it alone goes back. */
static int run_somehow(struct write_lane *lane, struct due_run *run)
{
        int r = write_lane_transaction(lane, run_rows, run);
        if (r == 0)
                return 0;
        log_warn("a batch of due work was lost", "error=%d store=\"%s\"", r, store_last_error(lane->db));
        run->limit = 1;
        r = write_lane_transaction(lane, run_rows, run);
        if (r == 0 || !run->first)
                return r;
        run->first->result = r;
        run->first->next = NULL;
        return write_lane_transaction(lane, put_back_first, run);
}

/* --- on a shared store -------------------------------------------------------------------------------------------- */

static int claim_some(struct write_lane *lane, void *arg)
{
        struct due_run *run = arg;
        return claim(lane, run->call->now_us, run->limit, &run->first);
}

static int run_one(struct write_lane *lane, void *arg)
{
        const struct due_run *run = arg;
        return run_in_savepoint(lane, run->call, run->first);
}

static int put_back_one(struct write_lane *lane, void *arg)
{
        const struct due_run *run = arg;
        return put_back(lane, run->first, run->call->now_us);
}

static int load_next(struct write_lane *lane, void *arg)
{
        (void)arg;
        return due_load(lane);
}

/* A conflict is tried again a few times here, and at the next look; it counts as no failure of the work. Anything else that
 * loses the transaction (a statement whose refusal is told at its end) is this row's own: it goes back, and the others run. */
static int run_alone(struct write_lane *lane, struct due_run *run)
{
        int r = STORE_E_RETRY;
        for (int tries = 0; tries < CONFLICT_TRIES && r == STORE_E_RETRY; tries++)
                r = write_lane_transaction(lane, run_one, run);
        if (r == 0 || r == STORE_E_UNAVAILABLE)
                return r;
        run->first->result = r;
        return r == STORE_E_RETRY ? 0 : write_lane_loosely(lane, put_back_one, run);
}

static int run_each(struct write_lane *lane, struct due_run *run)
{
        int r = write_lane_loosely(lane, claim_some, run);
        struct due_row *first = run->first;
        bool again = false;
        for (struct due_row *row = first; row && r == 0; row = row->next) {
                run->first = row;
                r = run_alone(lane, run);
                again = again || row->result == STORE_E_RETRY;
        }
        run->first = first;
        if (r == 0)
                r = write_lane_loosely(lane, load_next, NULL);
        if (r == 0 && again)
                lane->due_next_us = run->call->now_us + CONFLICT_REST;
        return r;
}

/* --- both ----------------------------------------------------------------------------------------------------------- */

static void report(struct write_lane *lane, const struct due_row *row)
{
        struct metric_registry *metrics = lane->server->options.metrics;
        const char *outcome = row->result ? "failed" : "ok";
        metric_add(metric_new(metrics, &runs_family, "kind=\"%s\",outcome=\"%s\"", row->kind, outcome), 1);
        if (row->result)
                log_warn("due work failed and comes back later", "kind=%s key=%s attempts=%lld result=%d", row->kind,
                         row->key, (long long)row->attempts + 1, row->result);
}

void due_run(struct write_lane *lane)
{
        static const struct job job = {0};
        struct rpc_call call = {.server = lane->server,
                                .arena = lane->arena,
                                .job = &job,
                                .principal = &lane->server->self,
                                .actor = audit_actor(lane->arena, &lane->server->self),
                                .address = "",
                                .now_us = clock_now_us(lane->server->options.clock)};
        struct due_run run = {.call = &call, .limit = DUE_BATCH};
        int r = lane->shared ? run_each(lane, &run) : run_somehow(lane, &run);
        if (r != 0)
                lane->due_next_us = call.now_us + BACKOFF_LEAST;
        if (r != 0 && r != STORE_E_UNAVAILABLE && r != STORE_E_RETRY)
                log_error("due work could not run", "error=%d store=\"%s\"", r, store_last_error(lane->db));
        for (const struct due_row *row = run.first; row && r == 0; row = row->next)
                if (row->result != STORE_E_RETRY)
                        report(lane, row);
        arena_reset(lane->arena);
}
