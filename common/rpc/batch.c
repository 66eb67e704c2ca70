/* SPDX-License-Identifier: Apache-2.0
 *
 * The one transaction around a batch of writes. A request's answer, audit row and events stand or fall with its state.
 * Replies leave only after the commit. If the transaction itself is lost, nothing of the batch is answered and its
 * requests run again: here one by one, as SQLite's single writer does; a shared store's lanes have their own way
 * (shared_lane.c).
 *
 * Each request has a savepoint where it may be needed. On SQLite one costs a copy of each page that it changes, and hardly
 * any request writes before it is refused: so a batch begins without, and if a request must be undone that has written,
 * the whole batch is, and runs again with savepoints, as do those that come next.
 */
#include "common/rpc/write_lane.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/move.h"

#define BATCH_AGAIN    2000 /* of this batch something must be undone that only a savepoint could */
#define BATCHES_CAREFUL 256 /* that have savepoints after one that lacked them */

/* --- savepoints --------------------------------------------------------------------------------------------------- */

/* Where a request began, to go back to. */
struct origin {
        bool savepoint;
        int64_t written, outbox_next;
};

static int origin_set(struct write_lane *lane, struct origin *ret)
{
        *ret = (struct origin){.savepoint = lane->shared || lane->careful, .outbox_next = lane->outbox_next};
        if (ret->savepoint)
                return store_savepoint(lane->db);
        ret->written = store_written(lane->db);
        return store_in_transaction(lane->db) ? 0 : -ECANCELED;
}

static bool origin_is_lost(const struct write_lane *lane, const struct origin *o)
{
        return !o->savepoint && store_written(lane->db) != o->written;
}

static int origin_leave(struct write_lane *lane, const struct origin *o)
{
        if (o->savepoint)
                return store_savepoint_release(lane->db);
        return store_in_transaction(lane->db) ? 0 : -ECANCELED;
}

static int origin_return(struct write_lane *lane, const struct origin *o)
{
        lane->outbox_next = o->outbox_next;
        if (o->savepoint)
                return store_savepoint_rollback(lane->db);
        if (!store_in_transaction(lane->db))
                return -ECANCELED;
        return origin_is_lost(lane, o) ? BATCH_AGAIN : 0;
}

/* --- one request in the transaction ----------------------------------------------------------------------------- */

bool batch_may_be_repeated(const struct rpc_call *call)
{
        return call->client_key || call->attempt > 0 || call->uncertain;
}

/* The handler's result, its writes still to be kept or not. A refusal's writes are undone here. */
static int settle(struct write_lane *lane, struct rpc_call *call, int result, const void *response, const struct origin *origin,
                  bool *ret_open)
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
        if (origin_is_lost(lane, origin))
                return BATCH_AGAIN;
        if (result != RPC_REFUSED)
                call_failed(call, result); /* logs the store's last error: before the next statement */
        r = origin_return(lane, origin);
        if (result == RPC_REFUSED)
                call_refused(call);
        return r;
}

/* On a shared store whether the answer was there is told when the savepoint is released: so nobody waits for it in a
 * batch. If it was, the batch is undone, and its requests run one by one. */
static int keep_together(struct write_lane *lane, struct rpc_call *call)
{
        bool found = false;
        int r = answer_add(lane, call);
        if (r == 0)
                r = audit_write(lane, call);
        if (r != 0 || !lane->alone)
                return r == 0 ? store_savepoint_leave(lane->db) : r;
        r = store_savepoint_release(lane->db);
        if (r != STORE_E_CONSTRAINT)
                return r;
        r = store_savepoint_rollback(lane->db);
        if (r == 0)
                r = answer_find(lane, call, &found);
        if (r != 0 || found)
                return r;
        /* Whoever answered it is not seen from this transaction: the next one looks first. */
        r = call->uncertain ? STORE_E_CONSTRAINT : STORE_E_RETRY;
        call->uncertain = true;
        return r;
}

/* Keeps the answer and the audit row; a request that was answered before after all is undone and replayed. */
static int keep(struct write_lane *lane, struct rpc_call *call, const struct origin *origin, bool open)
{
        bool was_there = false, found;
        if (lane->shared && open)
                return keep_together(lane, call);
        int r = answer_keep(lane, call, &was_there);
        if (r == 0 && was_there) {
                r = open ? origin_return(lane, origin) : 0;
                return r == 0 ? answer_find(lane, call, &found) : r;
        }
        if (r == 0)
                r = audit_write(lane, call);
        if (r == 0 && open)
                r = origin_leave(lane, origin);
        return r;
}

static int write_request(struct write_lane *lane, struct rpc_call *call)
{
        ProtobufCMessage *response = NULL;
        struct origin origin;
        bool found = false, open;
        /* On a shared store the lane has looked before the transaction began. */
        int r = !lane->shared && batch_may_be_repeated(call) ? answer_find(lane, call, &found) : 0;
        if (r != 0 || found)
                return r;
        r = origin_set(lane, &origin);
        if (r != 0)
                return r;
        int64_t before = clock_monotonic_us();
        int result = call->prepare_result ? call->prepare_result : call_handle(call, &response);
        r = settle(lane, call, result, response, &origin, &open);
        if (r == 0 && (open || result == RPC_REFUSED))
                r = keep(lane, call, &origin, open);
        call->handler_us = (uint32_t)(clock_monotonic_us() - before);
        return r;
}

static int write_job(struct write_lane *lane, struct rpc_call *call)
{
        int64_t outbox_before = lane->outbox_next, news_before = lane->news;
        int r = store_savepoint(lane->db);
        if (r != 0)
                return r;
        call->result = call->job->run(call, call->job->arg);
        if (call->result == 0)
                return store_savepoint_release(lane->db);
        if (write_lane_lost(lane, call->result))
                return call->result;
        lane->outbox_next = outbox_before;
        lane->news = news_before;
        return store_savepoint_rollback(lane->db);
}

/* Nothing is done: a request goes to who may write, a job comes back later. */
static void turn_away(struct rpc_call *call)
{
        call->result = -EAGAIN;
        if (call->job)
                return;
        call_unavailable(call, WRITE_RETRY_MS);
        call->not_writer = true;
}

static int write_one(struct write_lane *lane, struct rpc_call *call)
{
        call_begin(call, lane->db, lane);
        if (move_holds(lane) && !move_is_step(call)) {
                turn_away(call);
                return 0;
        }
        return call->job ? write_job(lane, call) : write_request(lane, call);
}

/* --- the batch -------------------------------------------------------------------------------------------------- */

int batch_write_all(struct write_lane *lane, void *arg)
{
        const struct call_list *calls = arg;
        int r = 0;
        lane->alone = calls->n == 1;
        for (struct rpc_call *call = calls->first; call && r == 0; call = call->next)
                r = write_one(lane, call);
        return r;
}

void batch_note_commit(const struct write_lane *lane, struct call_list *calls)
{
        for (struct rpc_call *call = calls->first; call; call = call->next)
                call->commit_us = lane->commit_us;
}

/* It may never have begun: a full disk can refuse even that. */
void batch_give_up(struct write_lane *lane, struct rpc_call *call, int error)
{
        call_begin(call, lane->db, lane);
        call->result = error;
        if (call->job)
                return;
        log_error("the store did not take a write", "method=%s error=%d store=\"%s\"", call->served->contract->name,
                  error, store_last_error(lane->db));
        call_unavailable(call, WRITE_RETRY_MS);
}

static void alone(struct write_lane *lane, struct call_list *calls, struct call_list *done)
{
        struct rpc_call *call;
        while ((call = call_list_take(calls))) {
                struct call_list one = {0};
                call_list_add(&one, call);
                int r = write_lane_transaction(lane, batch_write_all, &one);
                if (r != 0)
                        batch_give_up(lane, call, r);
                else
                        batch_note_commit(lane, &one);
                call_list_join(done, &one);
        }
}

void batch_sort_out(struct call_list *calls, int64_t room_us, struct call_list *run, struct call_list *done)
{
        int64_t now = clock_monotonic_us();
        struct rpc_call *call;
        while ((call = call_list_take(calls))) {
                bool late = call_expired(call, now), end = call->shed || call_expired(call, now + room_us);
                if (call->shed || (end && room_us))
                        call_unavailable(call, WRITE_RETRY_MS);
                else if (late)
                        call_refuse(call, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED);
                call_list_add(end ? done : run, call);
        }
}

static int together(struct write_lane *lane, struct call_list *run)
{
        int r = write_lane_transaction(lane, batch_write_all, run);
        if (r == BATCH_AGAIN) {
                lane->careful = BATCHES_CAREFUL;
                r = write_lane_transaction(lane, batch_write_all, run);
        }
        if (r == 0 && lane->careful)
                lane->careful--;
        return r;
}

void batch_run(struct write_lane *lane, struct call_list *calls)
{
        struct call_list run = {0}, done = {0};
        batch_sort_out(calls, 0, &run, &done);
        if (run.first) {
                metric_observe(lane->all->batch_size, (int64_t)run.n);
                int64_t began = clock_monotonic_us();
                int r = together(lane, &run);
                if (r != 0) {
                        lane->careful = BATCHES_CAREFUL;
                        metric_add(lane->all->reruns, 1);
                        log_warn("a batch of writes was lost and runs again one by one", "requests=%zu error=%d", run.n,
                                 r);
                        alone(lane, &run, &done);
                }
                batch_note_commit(lane, &run);
                call_list_join(&done, &run);
                lane_set_target(&lane->server->write, 3 * (clock_monotonic_us() - began));
        }
        server_finished(lane->server, &done);
        log_set_trace((struct str){0});
}
