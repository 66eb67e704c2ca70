/* SPDX-License-Identifier: Apache-2.0
 *
 * The one transaction around a batch of writes. Each request has a savepoint; its answer, audit row and events stand
 * or fall with its state. Replies leave only after the commit. If the transaction itself is lost, nothing of the batch
 * is answered and its requests run again, one by one.
 */
#include "common/rpc/write_lane.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdlib.h>
#include <unistd.h>

#define BEAT_US       CLOCK_SECOND_US       /* of the lock file's heartbeat */
#define DUE_POLL_US   (CLOCK_SECOND_US / 5) /* how late due work may start: the service's clock may be moved */
#define REST_US       (3 * CLOCK_SECOND_US) /* idle for so long: the cache is given back */
#define SWEEP_US      CLOCK_SECOND_US
#define SWEEP_IDLE_US (10 * CLOCK_SECOND_US)
#define RETRY_MS      1000

static const struct metric_family batch_family = {
        "nuanxin_write_batch_size", "Requests in one transaction of the write lane.", METRIC_HISTOGRAM};
static const struct metric_family replays_family = {
        "nuanxin_replays_total", "Writes answered with a stored answer.", METRIC_COUNTER};
static const struct metric_family reruns_family = {
        "nuanxin_batch_reruns_total", "Batches that were lost and ran again one by one.", METRIC_COUNTER};
static const struct metric_family head_family = {
        "nuanxin_outbox_head", "Position of the newest event in this service's outbox.", METRIC_GAUGE};

void write_lane_check_deposed(int result)
{
        if (result != STORE_E_DEPOSED)
                return;
        log_error("another process writes this store now: ending at once", NULL);
        _exit(EXIT_FAILURE);
}

bool write_lane_lost(const struct write_lane *lane, int result)
{
        return !store_in_transaction(lane->db) || result == STORE_E_RETRY || result == STORE_E_DEPOSED ||
               result == -ENOSPC || result == -EIO || result == -ECANCELED;
}

int write_lane_transaction(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg)
{
        int64_t outbox_next = lane->outbox_next, audit_next = lane->audit_next;
        int r = store_begin(lane->db);
        if (r == 0)
                r = run(lane, arg);
        if (r == 0) {
                int64_t before = clock_monotonic_us();
                r = store_commit(lane->db);
                lane->commit_us = (uint32_t)(clock_monotonic_us() - before);
                metric_observe(lane->server->commit, lane->commit_us);
        }
        if (r != 0) {
                store_rollback(lane->db);
                lane->outbox_next = outbox_next;
                lane->audit_next = audit_next;
                write_lane_check_deposed(r);
                return r;
        }
        lane->dirty = true;
        if (lane->outbox_next != outbox_next) {
                metric_set(lane->head, lane->outbox_next - 1);
                server_news(lane->server, lane->outbox_next - 1);
        }
        return 0;
}

/* --- one request in the transaction ----------------------------------------------------------------------------- */

/* Only the gateway's own first attempt is surely the first with its key; for it the answer's insertion tells. */
static bool may_be_repeated(const struct rpc_call *call)
{
        return call->client_key || call->attempt > 0;
}

/* The handler's result, its writes still in the savepoint. A refusal's writes are undone here. */
static int settle(struct write_lane *lane, struct rpc_call *call, int result, const void *response,
                  int64_t outbox_before, bool *ret_open)
{
        int r;
        *ret_open = result == 0 || result == RPC_KEPT;
        if (result == 0)
                call_answer(call, response);
        else if (result == RPC_KEPT)
                call_refused(call);
        if (*ret_open)
                return 0;
        if (result != RPC_REFUSED && write_lane_lost(lane, result))
                return result;
        if (result != RPC_REFUSED)
                call_failed(call, result); /* logs the store's last error: before the next statement */
        r = store_savepoint_rollback(lane->db);
        lane->outbox_next = outbox_before;
        if (result == RPC_REFUSED)
                call_refused(call);
        return r;
}

/* Keeps the answer and the audit row; a request that was answered before after all is undone and replayed. */
static int keep(struct write_lane *lane, struct rpc_call *call, int64_t outbox_before, bool open)
{
        bool was_there = false, found;
        int r = answer_keep(lane, call, &was_there);
        if (r == 0 && was_there) {
                r = open ? store_savepoint_rollback(lane->db) : 0;
                lane->outbox_next = outbox_before;
                return r == 0 ? answer_find(lane, call, &found) : r;
        }
        if (r == 0)
                r = audit_write(lane, call);
        if (r == 0 && open)
                r = store_savepoint_release(lane->db);
        return r;
}

static int write_request(struct write_lane *lane, struct rpc_call *call)
{
        ProtobufCMessage *response = NULL;
        int64_t outbox_before = lane->outbox_next;
        bool found = false, open;
        int r = may_be_repeated(call) ? answer_find(lane, call, &found) : 0;
        if (r != 0 || found)
                return r;
        r = store_savepoint(lane->db);
        if (r != 0)
                return r;
        int64_t before = clock_monotonic_us();
        int result = call->prepare_result ? call->prepare_result : call_handle(call, &response);
        r = settle(lane, call, result, response, outbox_before, &open);
        if (r == 0 && (open || result == RPC_REFUSED))
                r = keep(lane, call, outbox_before, open);
        call->handler_us = (uint32_t)(clock_monotonic_us() - before);
        return r;
}

static int write_job(struct write_lane *lane, struct rpc_call *call)
{
        int64_t outbox_before = lane->outbox_next;
        int r = store_savepoint(lane->db);
        if (r != 0)
                return r;
        call->result = call->job->run(call, call->job->arg);
        if (call->result == 0)
                return store_savepoint_release(lane->db);
        if (write_lane_lost(lane, call->result))
                return call->result;
        lane->outbox_next = outbox_before;
        return store_savepoint_rollback(lane->db);
}

static int write_one(struct write_lane *lane, struct rpc_call *call)
{
        call_begin(call, lane->db, lane);
        return call->job ? write_job(lane, call) : write_request(lane, call);
}

/* --- the batch -------------------------------------------------------------------------------------------------- */

static int write_all(struct write_lane *lane, void *arg)
{
        const struct call_list *calls = arg;
        int r = 0;
        for (struct rpc_call *call = calls->first; call && r == 0; call = call->next)
                r = write_one(lane, call);
        return r;
}

static void note_commit(const struct write_lane *lane, struct call_list *calls)
{
        for (struct rpc_call *call = calls->first; call; call = call->next)
                call->commit_us = lane->commit_us;
}

/* It may never have begun: a full disk can refuse even that. */
static void give_up(struct write_lane *lane, struct rpc_call *call, int error)
{
        call_begin(call, lane->db, lane);
        call->result = error;
        if (call->job)
                return;
        log_error("the store did not take a write", "method=%s error=%d store=\"%s\"", call->served->contract->name,
                  error, store_last_error(lane->db));
        call_unavailable(call, RETRY_MS);
}

static void alone(struct write_lane *lane, struct call_list *calls, struct call_list *done)
{
        struct rpc_call *call;
        while ((call = call_list_take(calls))) {
                struct call_list one = {0};
                call_list_add(&one, call);
                int r = write_lane_transaction(lane, write_all, &one);
                if (r != 0)
                        give_up(lane, call, r);
                else
                        note_commit(lane, &one);
                call_list_join(done, &one);
        }
}

/* What must not run any more is answered without the store. */
static void sort_out(struct call_list *calls, struct call_list *run, struct call_list *done)
{
        int64_t now = clock_monotonic_us();
        struct rpc_call *call;
        while ((call = call_list_take(calls))) {
                if (call->shed)
                        call_unavailable(call, RETRY_MS);
                else if (call_expired(call, now))
                        call_refuse(call, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED);
                call_list_add(call->shed || call_expired(call, now) ? done : run, call);
        }
}

static void batch_run(struct write_lane *lane, struct call_list *calls)
{
        struct call_list run = {0}, done = {0};
        sort_out(calls, &run, &done);
        if (run.first) {
                metric_observe(lane->batch_size, (int64_t)run.n);
                int64_t began = clock_monotonic_us();
                int r = write_lane_transaction(lane, write_all, &run);
                if (r != 0) {
                        metric_add(lane->reruns, 1);
                        log_warn("a batch of writes was lost and runs again one by one", "requests=%zu error=%d", run.n,
                                 r);
                        alone(lane, &run, &done);
                }
                note_commit(lane, &run);
                call_list_join(&done, &run);
                int64_t took = clock_monotonic_us() - began;
                lane->server->write.shed.target_us = 3 * took > 50000 ? 3 * took : 50000;
        }
        server_finished(lane->server, &done);
        log_set_trace((struct str){0});
}

/* --- the thread ------------------------------------------------------------------------------------------------- */

static int load_all(struct write_lane *lane, void *arg)
{
        (void)arg;
        int r = outbox_load(lane);
        if (r == 0)
                r = audit_load(lane);
        if (r == 0)
                r = due_load(lane);
        return r;
}

/* The numbers that go on from what is there. Until that is read nothing can be written. */
static bool load(struct write_lane *lane)
{
        if (lane->loaded)
                return true;
        int r = store_begin(lane->db);
        if (r == 0)
                r = load_all(lane, NULL);
        if (r == 0)
                r = store_commit(lane->db);
        if (r != 0) {
                log_error("the write lane cannot start", "error=%d store=\"%s\"", r, store_last_error(lane->db));
                store_rollback(lane->db);
                write_lane_check_deposed(r);
                return false;
        }
        lane->loaded = true;
        metric_set(lane->head, lane->outbox_next - 1);
        server_news(lane->server, lane->outbox_next - 1);
        return true;
}

static void refuse_all(struct write_lane *lane, struct call_list *calls)
{
        for (struct rpc_call *call = calls->first; call; call = call->next)
                give_up(lane, call, -EIO);
        server_finished(lane->server, calls);
}

/* Only a bit each time, each second while writes come: what nobody needs any more. */
static void sweep(struct write_lane *lane, int64_t now)
{
        if (now - lane->swept_us < (lane->answers_since_sweep ? SWEEP_US : SWEEP_IDLE_US))
                return;
        lane->swept_us = now;
        int r = write_lane_transaction(lane, answer_sweep, NULL);
        if (r == 0)
                r = write_lane_transaction(lane, outbox_trim, NULL);
        if (r != 0)
                log_warn("sweeping failed", "error=%d store=\"%s\"", r, store_last_error(lane->db));
        arena_reset(lane->arena);
}

static void housekeep(struct write_lane *lane, bool idle)
{
        int64_t now = clock_monotonic_us();
        if (now - lane->beat_us >= BEAT_US) {
                store_writer_heartbeat(lane->writer);
                lane->beat_us = now;
        }
        if (!load(lane))
                return;
        if (clock_now_us(lane->server->options.clock) >= lane->due_next_us)
                due_run(lane);
        sweep(lane, now);
        if (!idle) {
                lane->busy_us = now;
        } else if (lane->dirty) {
                write_lane_check_deposed(store_checkpoint(lane->db));
                lane->dirty = false;
        } else if (lane->busy_us && now - lane->busy_us > REST_US) {
                write_lane_check_deposed(store_settle(lane->db));
                store_rest(lane->db);
                mem_rest();
                lane->busy_us = 0;
        }
}

/* How long the thread may sleep without missing anything. */
static int64_t patience(const struct write_lane *lane)
{
        if (!lane->loaded)
                return DUE_POLL_US;
        if (lane->due_next_us == INT64_MAX)
                return BEAT_US;
        return clock_now_us(lane->server->options.clock) >= lane->due_next_us ? 0 : DUE_POLL_US;
}

static void *write_main(void *arg)
{
        struct write_lane *lane = arg;
        struct rpc_server *server = lane->server;
        struct call_list calls;
        size_t max = (size_t)server->options.write_batch;
        pthread_setname_np(pthread_self(), "write");
        housekeep(lane, false);
        for (;;) {
                if (!lane_take(&server->write, max, patience(lane), &calls)) {
                        server_finished(server, &calls); /* unanswered: the server is being freed */
                        return NULL;
                }
                bool idle = !calls.first;
                if (!idle && load(lane))
                        batch_run(lane, &calls);
                else if (!idle)
                        refuse_all(lane, &calls);
                housekeep(lane, idle);
        }
}

struct write_lane *write_lane_new(struct rpc_server *server, struct store_writer *writer)
{
        struct write_lane *lane = mem_zalloc(sizeof(*lane));
        struct metric_registry *metrics = server->options.metrics;
        lane->server = server;
        lane->writer = writer;
        lane->db = store_writer_conn(writer);
        lane->due_next_us = INT64_MAX;
        lane->arena = arena_new(16 * 1024);
        lane->batch_size = metric_new_plain(metrics, &batch_family);
        lane->replays = metric_new(metrics, &replays_family, "%s", "");
        lane->reruns = metric_new(metrics, &reruns_family, "%s", "");
        lane->head = metric_new(metrics, &head_family, "%s", "");
        if (pthread_create(&lane->thread, NULL, write_main, lane) != 0)
                abort();
        return lane;
}

struct write_lane *write_lane_free(struct write_lane *lane)
{
        if (!lane)
                return NULL;
        pthread_join(lane->thread, NULL);
        store_writer_release(lane->writer);
        arena_free(lane->arena);
        buf_done(&lane->sweep_key);
        free(lane);
        return NULL;
}
