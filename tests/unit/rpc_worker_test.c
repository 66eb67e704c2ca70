/* SPDX-License-Identifier: Apache-2.0
 *
 * Work beside the requests: it runs where this instance leads, its jobs go through the lanes, handlers wake it, and an ending
 * process waits for what it holds.
 */
#include "common/rpc/worker.h"
#include "tests/support/rpc_world.h"


struct worker {
        struct rpc_worker *host;
        struct world *world;
        unsigned starts, stops, wakes, done;
        int result;
        int64_t found;
        const char *wanted; /* how a written job ends: "", "fail" */
        struct job job;
};
static struct worker *workers[2]; /* by the world that they are of, in the order of their making */
static unsigned n_workers, n_freed;

static void *worker_make(struct rpc_worker *host, void *state)
{
        struct worker *w = mem_zalloc(sizeof(*w));
        w->host = host;
        w->world = state;
        w->wanted = "";
        workers[n_workers++] = w;
        CHECK(rpc_worker_loop(host) == w->world->loop);
        return w;
}

static void worker_start(void *arg)
{
        struct worker *w = arg;
        w->starts++;
        loop_stop(w->world->loop);
}

static void worker_stop(void *arg)
{
        struct worker *w = arg;
        w->stops++;
}

static void worker_wake(void *arg)
{
        struct worker *w = arg;
        w->wakes++;
        loop_stop(w->world->loop);
}

static void worker_news(void *arg)
{
        (void)arg;
}

static void worker_free(void *arg)
{
        n_freed++;
        free(arg);
}

static const struct rpc_worker_kind kind = {.make = worker_make, .start = worker_start, .stop = worker_stop,
                                            .news = worker_news, .wake = worker_wake, .free = worker_free};

/* Adds, and wakes the worker. */
static int put_and_wake(struct rpc_call *call, const Ask *ask, Told *told)
{
        (void)told;
        int r = rpc_require(call, WORLD_PATH);
        if (r == 0)
                r = thing_add(call, ask->topic);
        return r == 0 ? rpc_wake(call) : r;
}

static int get_and_wake(struct rpc_call *call, const Ask *ask, Told *told)
{
        (void)ask;
        (void)told;
        rpc_require_nothing(call);
        CHECK_INT(rpc_wake(call), -EPERM);
        return 0;
}

static const struct rpc_method methods[] = {
        {&world_contract[PUT], (rpc_handle)put_and_wake, NULL},
        {&world_contract[GET], (rpc_handle)get_and_wake, NULL},
        {0},
};
static const struct rpc_service service = {.name = "test", .methods = methods, .worker = &kind, .organization_path = world_path};

/* Turns the loop until then, for 20 s at most. */
#define UNTIL(w, condition)                                                                                  \
        do {                                                                                                 \
                (w)->late = false;                                                                           \
                loop_timer_set((w)->timer, 20 * CLOCK_SECOND_US);                                            \
                while (!(condition) && !(w)->late)                                                           \
                        loop_run((w)->loop);                                                                 \
                loop_timer_clear((w)->timer);                                                                \
                CHECK(condition);                                                                            \
        } while (0)

static struct world *begin(void)
{
        n_workers = n_freed = 0;
        struct world *w = world_make(NULL, &service);
        world_write(w);
        UNTIL(w, n_workers == 1 && workers[0]->starts == 1);
        return w;
}

static void end(struct world *w)
{
        unsigned n = n_workers;
        world_done(w);
        CHECK_INT(n_freed, n);
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static int run_read(struct rpc_call *call, void *arg)
{
        struct worker *w = arg;
        return thing_count(call, "a", &w->found);
}

static int run_write(struct rpc_call *call, void *arg)
{
        const struct worker *w = arg;
        int r = thing_add(call, "a");
        return r == 0 && strcmp(w->wanted, "fail") == 0 ? -EINVAL : r;
}

static void on_done(void *arg, int result)
{
        struct worker *w = arg;
        w->done++;
        w->result = result;
        loop_stop(w->world->loop);
}

static void give(struct worker *w, bool writes)
{
        unsigned before = w->done;
        w->job = (struct job){.run = writes ? run_write : run_read, .done = on_done, .arg = w};
        if (writes)
                rpc_worker_write(w->host, &w->job);
        else
                rpc_worker_read(w->host, &w->job);
        UNTIL(w->world, w->done > before);
        CHECK_INT(w->done, before + 1);
}

static void jobs_read_and_write(void)
{
        struct world *w = begin();
        CHECK(rpc_worker_may_write(workers[0]->host));
        give(workers[0], true);
        CHECK_INT(workers[0]->result, 0);
        give(workers[0], false);
        CHECK_INT(workers[0]->result, 0);
        CHECK_INT(workers[0]->found, 1);
        end(w);
}

static void a_job_that_fails_is_undone_and_told(void)
{
        struct world *w = begin();
        workers[0]->wanted = "fail";
        give(workers[0], true);
        CHECK_INT(workers[0]->result, -EINVAL);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM thing"), 0);
        end(w);
}

/* --- waking ---------------------------------------------------------------------------------------------------------- */

static void a_commit_wakes_the_worker(void)
{
        struct world *w = begin();
        CHECK_INT((int)ASK(w, .method = PUT)->reply.problem, 0);
        UNTIL(w, workers[0]->wakes >= 1);
        CHECK_INT((int)ASK(w, .method = GET)->reply.problem, 0); /* reads cannot */
        give(workers[0], false);
        if (!store_is_shared(w->store)) /* there it is woken besides when the instance begins to hear of the others */
                CHECK_INT(workers[0]->wakes, 1);
        end(w);
}

static void the_worker_that_leads_is_woken_wherever_it_is(void)
{
        struct world *w = begin();
        if (!store_is_shared(w->store)) {
                end(w);
                return;
        }
        struct world *beside = world_beside(w, w->loop, "two");
        world_write(beside);
        for (unsigned i = 1; i <= 3; i++) {
                CHECK_INT((int)ASK(beside, .method = PUT)->reply.problem, 0);
                UNTIL(w, workers[0]->wakes >= i);
        }
        CHECK_INT(workers[1]->starts, 0);
        CHECK_INT(workers[1]->wakes, 0);
        world_done(beside);
        end(w);
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void on_drained(void *arg)
{
        struct world *w = arg;
        w->drained = true;
        loop_stop(w->loop);
}

static void an_end_waits_for_what_is_held(void)
{
        struct world *w = begin();
        rpc_worker_hold(workers[0]->host);
        rpc_server_drain(w->server, on_drained, w);
        CHECK_INT(workers[0]->stops, 1);
        give(workers[0], true); /* what came of it is still written down */
        CHECK_INT(workers[0]->result, 0);
        CHECK(!w->drained);
        rpc_worker_release(workers[0]->host);
        CHECK(w->drained);
        CHECK_INT(workers[0]->stops, 1);
        CHECK_INT(world_number(w, "SELECT n FROM thing"), 1);
        end(w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"jobs read and write", jobs_read_and_write},
                {"a job that fails is undone, and told", a_job_that_fails_is_undone_and_told},
                {"a commit wakes the worker", a_commit_wakes_the_worker},
                {"the worker that leads is woken, wherever the commit was", the_worker_that_leads_is_woken_wherever_it_is},
                {"an end waits for what is held", an_end_waits_for_what_is_held},
        };
        return CHECK_MAIN(cases);
}
