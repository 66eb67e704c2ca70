/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads of the read and the slow lane. Reads run a few at a time in one snapshot, taken after they were; slow
 * ones run with each statement in a snapshot of its own, and then go on to the write lane.
 */
#include "common/rpc/server_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/whole.h"

#include <stdlib.h>

#define READ_BATCH  32
#define SLOW_BATCH  16
#define TOGETHER_US 1000
#define REST_US     (3 * CLOCK_SECOND_US) /* idle for so long: the caches are given back */
#define RETRY_MS    1000

#define GATHER_ROUNDS  3
#define AGAIN_FOR_US   CLOCK_SECOND_US
#define AGAIN_AFTER_US 30000
#define TRY_EVERY_US   500000

/* Answers what need not run. */
static bool done_without(struct rpc_call *call, int64_t now_us)
{
        if (call->shed)
                call_unavailable(call, RETRY_MS);
        else if (call_expired(call, now_us))
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED);
        else
                return false;
        return true;
}

/* A shared store that is away for a moment is waited for; after that moment requests are told so at once, but for one
 * attempt now and then. */
static bool is_hopeless(const struct lane_thread *t)
{
        return reach_away_us(&t->server->reach) > AGAIN_FOR_US && clock_monotonic_us() - t->failed_us < TRY_EVERY_US;
}

/* The connection, or what the store says. A lost one is opened anew; that takes an answer of the server's, while what a
 * handler returns may have needed none. */
static int connect_thread(struct lane_thread *t)
{
        int r = t->db ? 0 : store_reader_open(t->server->options.store, &t->db);
        if (r == 0 && t->failed_us) {
                t->failed_us = 0;
                reach_found(&t->server->reach);
        }
        return r == -EAGAIN && store_is_shared(t->server->options.store) ? STORE_E_RETRY : r;
}

static void note_lost(struct lane_thread *t)
{
        reach_lost(&t->server->reach, t->db ? store_last_error(t->db) : store_reader_error());
        t->failed_us = clock_monotonic_us();
        t->db = store_conn_close(t->db);
}

/* Has a shared store ended the transaction (it is away, or changes its schema), so that all in it may come again? */
static bool ends_all(const struct rpc_server *server, int r)
{
        return r == STORE_E_UNAVAILABLE || (r == STORE_E_RETRY && store_is_shared(server->options.store));
}

/* --- reads ------------------------------------------------------------------------------------------------------ */

/* STORE_E_GATHERED, or what ends_all: it has no outcome. */
static int read_request(struct rpc_call *call)
{
        ProtobufCMessage *response;
        int r = call_handle(call, &response);
        if (r == STORE_E_GATHERED || ends_all(call->server, r))
                return r;
        if (r == 0)
                call_answer(call, response);
        else if (r == RPC_REFUSED || r == RPC_KEPT)
                call_refused(call);
        else if (r == RPC_LATER)
                call->parked = true;
        else if (r == STORE_E_RETRY) /* no writer has been here yet */
                call_unavailable(call, RETRY_MS);
        else
                call_failed(call, r);
        return 0;
}

static int read_job(struct rpc_call *call)
{
        int r = call->job->run(call, call->job->arg);
        if (r == STORE_E_GATHERED || ends_all(call->server, r))
                return r;
        call->result = r;
        return 0;
}

/* From *now_us on, which becomes when it ended. */
static int read_one(struct store_conn *db, struct rpc_call *call, int64_t *now_us)
{
        call_begin(call, db, NULL);
        if (done_without(call, *now_us))
                return 0;
        int r = call->job ? read_job(call) : read_request(call);
        if (r != 0)
                return r;
        int64_t end_us = clock_monotonic_us();
        call->handler_us = (uint32_t)(end_us - *now_us);
        *now_us = end_us;
        return 0;
}

/* elsewhere: another instance may know. */
static void read_none(struct call_list *calls, bool elsewhere)
{
        for (struct rpc_call *call = calls->first; call; call = call->next) {
                call_begin(call, NULL, NULL);
                call->result = STORE_E_UNAVAILABLE; /* of a job */
                if (call->job)
                        continue;
                call_unavailable(call, RETRY_MS);
                call->not_writer = elsewhere;
        }
}

/* Each once. Those whose queries were put down stay in calls, and if the store is away all that have no outcome. */
static int read_round(struct lane_thread *t, struct call_list *calls, struct call_list *done, bool gather)
{
        struct call_list again = {0};
        int r = store_gather(t->db, gather);
        int64_t now_us = clock_monotonic_us();
        while (r == 0 && calls->first) {
                r = read_one(t->db, calls->first, &now_us);
                if (r != 0 && r != STORE_E_GATHERED)
                        break;
                call_list_add(r == STORE_E_GATHERED ? &again : done, call_list_take(calls));
                r = 0;
        }
        call_list_join(&again, calls);
        *calls = again;
        return r;
}

/* In one snapshot. Where a query costs a round trip, those of several requests go together: a handler may run again, so
 * it is run until it asks, and again when its answer is there; one that asks often goes on alone. Those without an
 * outcome stay in calls. */
static int read_some(struct lane_thread *t, struct call_list *calls, struct call_list *done)
{
        int r = connect_thread(t);
        if (r == 0)
                r = store_begin(t->db);
        bool gathers = calls->n > 1 && store_is_shared(t->server->options.store);
        for (int round = 0; r == 0 && calls->first && round < 2 * GATHER_ROUNDS; round++)
                r = read_round(t, calls, done, gathers && round < GATHER_ROUNDS);
        if (t->db)
                store_rollback(t->db);
        if (r == STORE_E_UNAVAILABLE)
                note_lost(t);
        return r;
}

static void read_batch(struct lane_thread *t, struct call_list *calls)
{
        struct call_list done = {0};
        int64_t until_us = clock_monotonic_us() + AGAIN_FOR_US;
        int r = is_hopeless(t) ? STORE_E_UNAVAILABLE : read_some(t, calls, &done);
        while (ends_all(t->server, r) && !is_hopeless(t) && clock_monotonic_us() < until_us &&
               lane_pause(&t->server->read, AGAIN_AFTER_US)) {
                server_finished(t->server, &done);
                r = read_some(t, calls, &done);
        }
        if (r == STORE_E_MOVED) {
                server_use(t->server, STORE_MOVED);
        } else if (r != 0 && !ends_all(t->server, r)) {
                log_error("a read lane cannot read the store", "error=%d", r);
                t->db = store_conn_close(t->db);
        }
        read_none(calls, r == STORE_E_MOVED);
        call_list_join(&done, calls);
        server_finished(t->server, &done);
        log_set_trace((struct str){0});
}

static void rest(struct lane_thread *t)
{
        if (t->db)
                store_rest(t->db);
        mem_rest();
}

/* A connection to a shared store takes its time: not the first request's. */
static void warm_up(struct lane_thread *t)
{
        if (store_is_shared(t->server->options.store) && connect_thread(t) == 0 && store_begin(t->db) == 0)
                store_rollback(t->db);
}

void *read_main(void *arg)
{
        struct lane_thread *t = arg;
        struct call_list calls;
        pthread_setname_np(pthread_self(), "read");
        warm_up(t);
        while (lane_take(&t->server->read, READ_BATCH, t->rests ? -1 : REST_US, &calls)) {
                t->rests = !calls.first;
                if (t->rests)
                        rest(t);
                else
                        read_batch(t, &calls);
        }
        server_finished(t->server, &calls); /* unanswered: the server is being freed */
        t->db = store_conn_close(t->db);
        return NULL;
}

/* --- the slow lane ---------------------------------------------------------------------------------------------- */

static int prepare_once(struct lane_thread *t, struct rpc_call *call)
{
        call_begin(call, NULL, NULL);
        int r = connect_thread(t);
        call->db = t->db;
        if (r == 0)
                r = access_admit(call);
        if (r == 0)
                r = call_decode(call);
        if (r == 0)
                r = call->served->method->prepare(call, call->request);
        if (r == STORE_E_UNAVAILABLE)
                note_lost(t);
        return r;
}

/* False: it has its outcome already. A refusal goes on too: the write lane keeps its answer and its audit row. No
 * snapshot is held while it runs: what takes long here must not keep the log from being checkpointed. */
static bool prepare(struct lane_thread *t, struct rpc_call *call)
{
        int64_t until_us = clock_monotonic_us() + AGAIN_FOR_US;
        call_begin(call, NULL, NULL);
        if (done_without(call, clock_monotonic_us()))
                return false;
        int r = is_hopeless(t) ? STORE_E_UNAVAILABLE : prepare_once(t, call);
        while (ends_all(t->server, r) && !is_hopeless(t) && clock_monotonic_us() < until_us &&
               lane_pause(&t->server->slow, AGAIN_AFTER_US))
                r = prepare_once(t, call);
        if (r != 0 && r != RPC_REFUSED) {
                if (ends_all(t->server, r) || !t->db)
                        call_unavailable(call, RETRY_MS);
                else
                        call_failed(call, r);
                return false;
        }
        call->prepare_result = r;
        return true;
}

/* What is prepared goes on together, but soon: not a millisecond later than it must. */
static void slow_batch(struct lane_thread *t, struct call_list *calls)
{
        struct call_list ready = {0}, done = {0};
        struct rpc_call *call;
        int64_t since = clock_monotonic_us();
        while ((call = call_list_take(calls))) {
                call_list_add(prepare(t, call) ? &ready : &done, call);
                if (calls->first && clock_monotonic_us() - since < TOGETHER_US)
                        continue;
                if (ready.first)
                        lane_hand(&t->server->write, &ready);
                server_finished(t->server, &done);
                since = clock_monotonic_us();
        }
        log_set_trace((struct str){0});
}

void *slow_main(void *arg)
{
        struct lane_thread *t = arg;
        struct rpc_server *server = t->server;
        struct call_list calls;
        pthread_setname_np(pthread_self(), "slow");
        while (lane_take(&server->slow, SLOW_BATCH, t->rests ? -1 : REST_US, &calls)) {
                t->rests = !calls.first;
                if (t->rests)
                        rest(t);
                else
                        slow_batch(t, &calls);
        }
        server_finished(server, &calls);
        t->db = store_conn_close(t->db);
        return NULL;
}
