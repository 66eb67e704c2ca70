/* SPDX-License-Identifier: Apache-2.0
 *
 * A write thread on a shared store. Others write at once, here and in other processes, so a transaction may be asked to run
 * again (a conflict), and the database may be away for a while (a restart, a failover). Neither is a failure of a request:
 *
 *   a conflict      the batch runs again, whole, a few times; then its requests one by one, each until its deadline.
 *                   Shortly after a conflict the lanes take turns, in all instances: what met one would meet the next.
 *   not reached     what was taken is held, and tried again, until a request's deadline is so near that another attempt
 *                   could outlast it; then it is answered as unavailable, to be repeated by the caller.
 *   outcome unknown the connection was lost while it was committed: what is found by its key is not done again.
 *
 * Stored answers are looked for before the transaction: in it, the look would set each insertion nearby against it.
 */
#include "common/rpc/write_lane.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/leader.h"
#include "common/rpc/reach.h"

#include <stdlib.h>

#define WHOLE_TRIES    2
#define ALONE_TRIES    20
#define CONTENDED_US   50000
#define PAUSE_LEAST_US 500 /* after a conflict; doubles */
#define PAUSE_MOST_US  20000
#define AWAY_LEAST_US  50000 /* while the store is not reached; doubles */
#define AWAY_MOST_US   500000
/* What is left of a request's time when it is given up, beyond the next attempt's: the pause before it is told, and some. */
#define AWAY_ROOM_US   (AWAY_MOST_US + 500000)
#define AWAY_FIRST_US  5200000 /* while only others know that it is away: a silent server is waited for so long */
#define LOOK_US        (CLOCK_SECOND_US / 5) /* for due work */
#define BEAT_US        CLOCK_SECOND_US

static void moved(struct write_lane *lane)
{
        atomic_store_explicit(&lane->moved_us, clock_monotonic_us(), memory_order_relaxed);
}

/* Half of it to all of it. False: the lane stops. */
static bool pause_for(struct write_lane *lane, int64_t us)
{
        uint32_t random;
        id_random(&random, sizeof(random));
        moved(lane);
        return lane_pause(&lane->server->write, us / 2 + (int64_t)(random % (uint32_t)(us / 2 + 1)));
}

/* --- one transaction, again if there was a conflict ------------------------------------------------------------- */

/* Opens the connection at the first need. */
static int connect_lane(struct write_lane *lane)
{
        return lane->db ? 0 : store_writer_extra(lane->all->writer, &lane->db);
}

static bool any_repeated(const struct call_list *calls)
{
        for (const struct rpc_call *call = calls->first; call; call = call->next)
                if (!call->job && batch_may_be_repeated(call))
                        return true;
        return false;
}

/* The answers that are there already; what has none stays in calls. They count with the commit: it makes them durable. */
static int find_answers(struct write_lane *lane, struct call_list *calls, struct call_list *found_ones)
{
        struct call_list rest = {0}, answered = {0};
        struct rpc_call *call;
        store_set_isolation(lane->db, STORE_READ_COMMITTED);
        int r = store_begin(lane->db);
        while ((call = call_list_take(calls))) {
                bool found = false;
                if (r == 0 && !call->job && batch_may_be_repeated(call)) {
                        call_begin(call, lane->db, lane);
                        r = answer_find(lane, call, &found);
                }
                call_list_add(found && r == 0 ? &answered : &rest, call);
        }
        if (r == 0 && answered.first)
                r = store_commit(lane->db);
        store_rollback(lane->db);
        store_set_isolation(lane->db, STORE_SERIALIZABLE);
        call_list_join(r == 0 ? found_ones : &rest, &answered);
        *calls = rest;
        return r;
}

/* Behind whoever else has met a conflict, in any instance. The statement takes no snapshot: the transaction's comes with the
 * first one after it, and shows what those before have done. Nobody else locks this table, nor is kept from reading it. */
static int write_in_turn(struct write_lane *lane, void *calls)
{
        static const char sql[] = "LOCK TABLE rpc_epoch IN SHARE ROW EXCLUSIVE MODE";
        int r = store_exec(lane->db, sql, NULL);
        return r == 0 ? batch_write_all(lane, calls) : r;
}

static int try_once(struct write_lane *lane, struct call_list *calls, bool in_turn, struct call_list *done)
{
        int r = connect_lane(lane);
        if (r == 0 && any_repeated(calls))
                r = find_answers(lane, calls, done);
        if (r == 0 && calls->first)
                r = write_lane_transaction(lane, in_turn ? write_in_turn : batch_write_all, calls);
        return r;
}

/* Once. What is found answered goes to done, also if the rest fails. */
static int attempt(struct write_lane *lane, struct call_list *calls, bool in_turn, struct call_list *done)
{
        int64_t began = clock_monotonic_us();
        moved(lane);
        lane->outcome_unknown = false;
        int r = try_once(lane, calls, in_turn, done);
        for (struct rpc_call *call = calls->first; call && lane->outcome_unknown; call = call->next)
                call->uncertain = true;
        if (r == STORE_E_UNAVAILABLE) {
                lane->attempt_us = clock_monotonic_us() - began + 1;
                metric_add(lane->all->unreached, 1);
                reach_lost(&lane->server->reach, lane->db ? store_last_error(lane->db) : "");
        } else {
                lane->attempt_us = lane->backoff_us = 0;
        }
        if (r == 0 || r == STORE_E_RETRY)
                reach_found(&lane->server->reach);
        if (r == STORE_E_RETRY)
                metric_add(lane->all->retried, 1);
        return r;
}

/* Those who wait for their turn wait with a part of the queue each: whoever has it takes what came meanwhile, too. */
static void top_up(struct write_lane *lane, struct call_list *calls, struct call_list *done)
{
        size_t most = (size_t)lane->server->options.write_batch;
        struct call_list more = {0}, fresh = {0};
        struct rpc_call *call;
        if (calls->n >= most || !lane_take(&lane->server->write, most - calls->n, 0, &more)) {
                call_list_join(&lane->held, &more);
                return;
        }
        batch_sort_out(&more, 0, &fresh, done);
        while ((call = call_list_take(&fresh)))
                call_list_add(call->job ? &lane->held : calls, call);
}

/* Shortly after a conflict the lanes take turns: what met one would meet the next. */
static int attempt_in_turn(struct write_lane *lane, struct call_list *calls, bool whole, struct call_list *done)
{
        bool in_turn = clock_monotonic_us() < atomic_load(&lane->all->contended_until_us);
        if (in_turn)
                pthread_mutex_lock(&lane->all->turn);
        if (in_turn && whole)
                top_up(lane, calls, done);
        int r = attempt(lane, calls, in_turn, done);
        if (r == STORE_E_RETRY)
                atomic_store(&lane->all->contended_until_us, clock_monotonic_us() + CONTENDED_US);
        if (in_turn)
                pthread_mutex_unlock(&lane->all->turn);
        return r;
}

/* A batch, or one request alone: again a few times. */
static int attempts(struct write_lane *lane, struct call_list *calls, bool whole, struct call_list *done)
{
        int64_t pause = PAUSE_LEAST_US;
        int tries = whole ? WHOLE_TRIES : ALONE_TRIES;
        int r = attempt_in_turn(lane, calls, whole, done);
        for (int i = 1; r == STORE_E_RETRY && i < tries && calls->first && pause_for(lane, pause); i++) {
                pause = 2 * pause < PAUSE_MOST_US ? 2 * pause : PAUSE_MOST_US;
                r = attempt_in_turn(lane, calls, whole, done);
        }
        return r;
}

/* --- a batch ---------------------------------------------------------------------------------------------------- */

/* One request or job to its end, or to being held. */
static void run_alone(struct write_lane *lane, struct rpc_call *call, struct call_list *done)
{
        struct call_list one = {0}, left = {0};
        int r = STORE_E_RETRY;
        call_list_add(&one, call);
        while (r == STORE_E_RETRY && one.first) {
                batch_sort_out(&one, AWAY_ROOM_US, &left, done);
                one = left;
                left = (struct call_list){0};
                if (one.first)
                        r = attempts(lane, &one, false, done);
                if (call->job || !lane_pause(&lane->server->write, 0)) /* its owner tries again; or nobody does */
                        break;
        }
        if ((r == STORE_E_UNAVAILABLE || r == STORE_E_RETRY) && one.first && !call->job) {
                call_list_join(&lane->held, &one);
                return;
        }
        if (r != 0 && one.first)
                batch_give_up(lane, call, r);
        else
                batch_note_commit(lane, &one);
        call_list_join(done, &one);
}

static void run_batch(struct write_lane *lane, struct call_list *calls, struct call_list *done)
{
        struct rpc_call *call;
        metric_observe(lane->all->batch_size, (int64_t)calls->n);
        int r = attempts(lane, calls, true, done);
        if (r == 0) {
                batch_note_commit(lane, calls);
                call_list_join(done, calls);
                return;
        }
        if (r == STORE_E_UNAVAILABLE) {
                call_list_join(&lane->held, calls);
                return;
        }
        metric_add(lane->all->reruns, 1);
        if (r != STORE_E_RETRY)
                log_warn("a batch of writes was lost and runs again one by one", "requests=%zu error=%d", calls->n, r);
        while ((call = call_list_take(calls)) && !lane->attempt_us)
                run_alone(lane, call, done);
        if (call) /* the store went away meanwhile */
                call_list_add(&lane->held, call);
        call_list_join(&lane->held, calls);
}

/* Takes from held what goes together: requests, or one job alone, since jobs are large. */
static void choose(struct write_lane *lane, struct call_list *calls)
{
        struct call_list *held = &lane->held;
        while (held->first && calls->n < (size_t)lane->server->options.write_batch && (!held->first->job || !calls->first)) {
                bool job = held->first->job;
                call_list_add(calls, call_list_take(held));
                if (job)
                        return;
        }
}

/* How long before its deadline a request is given up: the next attempt could last so long. */
static int64_t room(const struct write_lane *lane)
{
        if (lane->attempt_us)
                return lane->attempt_us + AWAY_ROOM_US;
        return reach_away_us(&lane->server->reach) ? AWAY_FIRST_US : 0;
}

/* All that is held, once; what could not be done is held again. */
static void run_held(struct write_lane *lane)
{
        struct call_list run = {0}, later = {0}, done = {0};
        int64_t began = clock_monotonic_us();
        batch_sort_out(&lane->held, room(lane), &run, &done);
        server_finished(lane->server, &done);
        lane->held = run;
        while (lane->held.first) {
                struct call_list calls = {0};
                choose(lane, &calls);
                later = lane->held;
                lane->held = (struct call_list){0};
                if (calls.first->job)
                        run_alone(lane, call_list_take(&calls), &done);
                else
                        run_batch(lane, &calls, &done);
                server_finished(lane->server, &done);
                call_list_join(&lane->held, &later);
                if (lane->attempt_us)
                        break;
                lane_set_target(&lane->server->write, 3 * (clock_monotonic_us() - began));
                began = clock_monotonic_us();
        }
        log_set_trace((struct str){0});
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

/* Due work is one thread's, where the leader is. */
static void look_for_due(struct write_lane *lane)
{
        int64_t now = clock_monotonic_us();
        if (lane->index != 0 || lane->attempt_us || !leader_leads(lane->all->leader) ||
            (now - lane->due_looked_us < LOOK_US && clock_now_us(lane->server->options.clock) < lane->due_next_us))
                return;
        lane->due_looked_us = now;
        if (connect_lane(lane) == 0)
                due_run(lane);
        moved(lane);
}

static int64_t patience(const struct write_lane *lane)
{
        if (lane->index != 0 || !leader_leads(lane->all->leader))
                return BEAT_US;
        return clock_now_us(lane->server->options.clock) >= lane->due_next_us ? 0 : LOOK_US;
}

/* While the store is away, everything is taken: what waits too long must be told so in time. */
static bool take(struct write_lane *lane)
{
        struct rpc_server *server = lane->server;
        struct call_list taken;
        size_t most = (size_t)server->options.write_batch;
        if (lane->attempt_us) {
                lane->backoff_us = lane->backoff_us ? 2 * lane->backoff_us : AWAY_LEAST_US;
                lane->backoff_us = lane->backoff_us < AWAY_MOST_US ? lane->backoff_us : AWAY_MOST_US;
                lane_bear(&server->write, 2 * CLOCK_SECOND_US);
                pause_for(lane, lane->backoff_us);
                most = server->options.lane_queue / lane->all->n;
                most = most > lane->held.n ? most - lane->held.n : 0;
        }
        bool go_on = lane_take(&server->write, most, lane->held.first || lane->attempt_us ? 0 : patience(lane), &taken);
        call_list_join(&lane->held, &taken);
        return go_on;
}

void *shared_lane_main(void *arg)
{
        struct write_lane *lane = arg;
        pthread_setname_np(pthread_self(), "write");
        if (connect_lane(lane) == 0 && store_begin(lane->db) == 0)
                store_rollback(lane->db); /* the first request need not wait for the connection */
        while (take(lane)) {
                moved(lane);
                if (lane->held.first)
                        run_held(lane);
                else if (lane->attempt_us)
                        lane->attempt_us = 0; /* nobody waits: the next request finds out */
                look_for_due(lane);
        }
        server_finished(lane->server, &lane->held); /* unanswered: the server is being freed */
        return NULL;
}
