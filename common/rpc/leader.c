/* SPDX-License-Identifier: Apache-2.0
 *
 * The leader's thread: takes the lease and keeps it, numbers, sweeps. See leader.h.
 *
 * A leader that is frozen, cut off or slow goes on believing for a moment that it leads. Its numbering finds another term
 * in the lease's row and changes nothing; by its own clock, begun before it asked for the time that it has, it steps down
 * before a successor may begin.
 */
#include "common/rpc/leader.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/follower.h"
#include "common/rpc/lease.h"
#include "common/rpc/listener.h"
#include "common/rpc/reach.h"
#include "common/rpc/schema.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIFE_US        (3 * CLOCK_SECOND_US)
#define RENEW_US       CLOCK_SECOND_US
#define TRY_US         (CLOCK_SECOND_US / 2)
#define LOOK_LEAST_US  20000  /* for events that nobody has told of, while some come */
#define LOOK_MOST_US   200000 /* and while none do */
#define TELL_US        10000  /* how often the others' leader is told that events came */
#define AGAIN_US       5000   /* after a conflict */
#define AWAY_US        200000 /* after the store was not reached */
#define SWEEP_US       CLOCK_SECOND_US
#define SCHEMA_US      (2 * CLOCK_SECOND_US)
#define NUMBER_AT_ONCE 2000

static const struct metric_family leads_family = {
        "nuanxin_leader", "1 while this instance leads: numbers events, follows, runs due work.", METRIC_GAUGE};
static const struct metric_family numbered_family = {
        "nuanxin_numbering_events_total", "Events that this instance has given positions.", METRIC_COUNTER};
static const struct metric_family rounds_family = {
        "nuanxin_numbering_rounds_total", "Transactions in which it did so.", METRIC_COUNTER};
static const struct metric_family lag_family = {
        "nuanxin_numbering_lag_seconds", "Age of the oldest event of a round when it got its position.", METRIC_HISTOGRAM};
static const struct metric_family waiting_family = {
        "nuanxin_arrivals_waiting", "Events without a position, as last counted by the leader.", METRIC_GAUGE};

struct leader {
        struct rpc_server *server;
        struct write_lane lane; /* its own connection and arena */
        struct lease lease;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        bool woken, resigning, stopping; /* under the lock */
        atomic_bool vacant, arrived; /* nobody leads; events came while another does */
        atomic_bool leads;
        /* The thread's own. Times are monotonic. */
        int64_t held_until_us, renew_at_us, try_at_us, sweep_at_us, schema_at_us, tell_at_us, look_us;
        int64_t head;    /* the newest position */
        int64_t audited; /* the newest audit row at the last sweep */
        bool gave_up; /* resigned */
        struct metric *leads_now, *numbered, *rounds, *lag, *waiting;
};

/* --- what its transactions do ------------------------------------------------------------------------------------- */

static int take(struct write_lane *lane, void *arg)
{
        struct leader *l = arg;
        int r = lease_take(lane->db, &l->lease, LIFE_US);
        if (r != 1)
                return r == 0 ? -EAGAIN : r;
        r = outbox_load_epoch(lane);
        return r == 0 ? listener_read_head(lane->db, &l->head) : r;
}

static int renew(struct write_lane *lane, void *arg)
{
        struct leader *l = arg;
        int r = lease_renew(lane->db, &l->lease, LIFE_US);
        return r == 1 ? 0 : r == 0 ? -ESTALE : r;
}

struct round {
        struct leader *leader;
        struct numbered numbered;
};

static int number(struct write_lane *lane, void *arg)
{
        struct round *round = arg;
        int r = lease_hold(lane->db, &round->leader->lease);
        if (r != 1)
                return r == 0 ? -ESTALE : r;
        r = numbers_give(lane, NUMBER_AT_ONCE, &round->numbered);
        if (r == 0 && round->numbered.n)
                r = listener_tell(lane, round->numbered.head, LISTENER_HEAD);
        return r;
}

static int give(struct write_lane *lane, void *arg)
{
        struct leader *l = arg;
        int r = lease_give(lane->db, &l->lease);
        return r == 1 ? listener_tell(lane, l->head, LISTENER_VACANT) : r == 0 ? -ESTALE : r;
}

static int tell_arrivals(struct write_lane *lane, void *arg)
{
        (void)arg;
        return listener_tell(lane, 0, LISTENER_ARRIVED);
}

static int sweep_led(struct write_lane *lane, void *arg)
{
        struct leader *l = arg;
        int64_t waiting = 0, audited = 0;
        int r = numbers_audited(lane, &audited);
        /* As many answers as audit rows were added since, here and elsewhere. */
        lane->answers_since_sweep = l->audited ? audited - l->audited : 0;
        l->audited = audited;
        if (r == 0)
                r = answer_sweep(lane, NULL);
        if (r == 0)
                r = outbox_trim(lane, &l->head);
        if (r == 0)
                r = numbers_waiting(lane, &waiting);
        metric_set(l->waiting, waiting);
        return r;
}

/* --- leading and not ------------------------------------------------------------------------------------------------ */

static void begin(struct rpc_server *server)
{
        followers_start(server->followers);
        worker_start(server->worker);
}

static void end(struct rpc_server *server)
{
        followers_stop(server->followers);
        worker_stop(server->worker);
}

static void on_changed(void *arg)
{
        struct leader *l = arg;
        if (leader_leads(l) && !server_is_draining(l->server))
                begin(l->server);
        else
                end(l->server);
}

static void set_leads(struct leader *l, bool leads, const char *why)
{
        if (leader_leads(l) == leads)
                return;
        log_info(leads ? "this instance leads now" : "this instance leads no longer", "term=%lld why=\"%s\"",
                 (long long)l->lease.term, why);
        atomic_store(&l->leads, leads);
        metric_set(l->leads_now, leads);
        loop_post(l->server->options.loop, on_changed, l);
}

/* Tells the process whether the store is there, if it was asked at all. True: it was done. */
static bool done(struct leader *l, int r, bool asked, const char *what)
{
        if (r == STORE_E_UNAVAILABLE)
                reach_lost(&l->server->reach, store_last_error(l->lane.db));
        else if (asked)
                reach_found(&l->server->reach);
        if (r != 0 && r != STORE_E_UNAVAILABLE && r != STORE_E_RETRY && r != -EAGAIN && r != -ESTALE)
                log_error("the leader's work failed", "what=%s error=%d store=\"%s\"", what, r,
                          store_last_error(l->lane.db));
        arena_reset(l->lane.arena);
        return r == 0;
}

static void try_to_lead(struct leader *l, int64_t now)
{
        atomic_store(&l->vacant, false);
        l->try_at_us = now + TRY_US;
        if (!done(l, write_lane_loosely(&l->lane, take, l), true, "take"))
                return;
        l->held_until_us = now + LIFE_US;
        l->renew_at_us = now + RENEW_US;
        l->look_us = LOOK_LEAST_US;
        server_news(l->server, l->head);
        set_leads(l, true, "nobody else did");
}

/* now is from before it asked: the lease lasts longer than it believes, never shorter. */
static void keep_leading(struct leader *l, int64_t now)
{
        int r = write_lane_loosely(&l->lane, renew, l);
        l->renew_at_us = now + (r == 0 ? RENEW_US : AWAY_US);
        if (done(l, r, true, "renew"))
                l->held_until_us = now + LIFE_US;
        else if (r == -ESTALE)
                set_leads(l, false, "another does");
}

/* Until nothing is left, or it is time for something else. */
static void number_all(struct leader *l)
{
        for (;;) {
                struct round round = {.leader = l};
                int r = write_lane_loosely(&l->lane, number, &round);
                if (!done(l, r, true, "number")) {
                        if (r == -ESTALE)
                                set_leads(l, false, "another does");
                        l->look_us = r == STORE_E_RETRY ? AGAIN_US : AWAY_US;
                        return;
                }
                if (!round.numbered.n)
                        break;
                l->head = round.numbered.head;
                l->look_us = LOOK_LEAST_US;
                metric_add(l->rounds, 1);
                metric_add(l->numbered, round.numbered.n);
                metric_observe(l->lag, clock_now_us(l->server->options.clock) - round.numbered.oldest_us);
                server_news(l->server, l->head);
                if (round.numbered.n < NUMBER_AT_ONCE || clock_monotonic_us() >= l->renew_at_us)
                        return;
        }
        l->look_us = 2 * l->look_us < LOOK_MOST_US ? 2 * l->look_us : LOOK_MOST_US;
}

static void sweep(struct leader *l, int64_t now)
{
        int r;
        l->sweep_at_us = now + SWEEP_US;
        if (leader_leads(l))
                r = write_lane_loosely(&l->lane, sweep_led, l);
        else
                r = write_lane_loosely(&l->lane, outbox_save_readers, NULL);
        done(l, r, leader_leads(l), "sweep");
        bool wrote;
        if (r == 0 && l->server->service->tick)
                done(l, write_lane_loosely(&l->lane, tick_run, &wrote), true, "store what was noted");
        arena_reset(l->lane.arena);
}

static int check_schema(struct write_lane *lane, void *arg)
{
        const char **error = arg;
        int r = rpc_schema_fits(lane->db, lane->server->service->migrations, error);
        return r == 1 ? 0 : r;
}

/* The operator was sure that no build is left which needs what was taken away. This one drains, and its next start says
 * the same. */
static void look_at_schema(struct leader *l, int64_t now)
{
        const char *error = "";
        l->schema_at_us = now + SCHEMA_US;
        int r = write_lane_loosely(&l->lane, check_schema, &error);
        if (r == STORE_E_OUTGROWN) {
                log_error("this build is too old for the store: ending", "error=\"%s\"", error);
                kill(getpid(), SIGTERM);
        } else {
                done(l, r, true, "look at the schema");
        }
}

/* The leader is elsewhere, and looks only now and then. */
static void tell(struct leader *l, int64_t now)
{
        atomic_store(&l->arrived, false);
        l->tell_at_us = now + TELL_US;
        done(l, write_lane_loosely(&l->lane, tell_arrivals, l), true, "tell");
}

static void resign(struct leader *l)
{
        if (leader_leads(l)) {
                done(l, write_lane_loosely(&l->lane, give, l), true, "give");
                set_leads(l, false, "this instance ends");
        }
        l->gave_up = true;
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void step(struct leader *l, bool resigning)
{
        int64_t now = clock_monotonic_us();
        if (leader_leads(l) && now >= l->held_until_us)
                set_leads(l, false, "its time ran out");
        if (resigning && !l->gave_up)
                resign(l);
        if (!leader_leads(l) && !l->gave_up && (now >= l->try_at_us || atomic_load(&l->vacant)))
                try_to_lead(l, now);
        else if (leader_leads(l) && now >= l->renew_at_us)
                keep_leading(l, now);
        if (leader_leads(l))
                number_all(l);
        else if (atomic_load(&l->arrived) && now >= l->tell_at_us)
                tell(l, now);
        if (now >= l->sweep_at_us && !reach_away_us(&l->server->reach))
                sweep(l, now);
        if (now >= l->schema_at_us && !reach_away_us(&l->server->reach))
                look_at_schema(l, now);
}

static int64_t patience(const struct leader *l)
{
        int64_t now = clock_monotonic_us(), next = l->sweep_at_us;
        if (reach_away_us(&l->server->reach))
                return AWAY_US;
        if (leader_leads(l) && l->renew_at_us < next)
                next = l->renew_at_us;
        if (leader_leads(l) && now + l->look_us < next)
                next = now + l->look_us;
        if (!leader_leads(l) && !l->gave_up && l->try_at_us < next)
                next = l->try_at_us;
        if (atomic_load(&l->arrived) && l->tell_at_us < next)
                next = l->tell_at_us;
        return next > now ? next - now : 0;
}

/* True: goes on. */
static bool rest(struct leader *l, int64_t us, bool *ret_resigning)
{
        int64_t at = clock_monotonic_us() + us;
        struct timespec until = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
        pthread_mutex_lock(&l->lock);
        while (!l->woken && !l->stopping && (!l->resigning || l->gave_up) &&
               pthread_cond_timedwait(&l->wake, &l->lock, &until) != ETIMEDOUT)
                ;
        l->woken = false;
        *ret_resigning = l->resigning;
        bool go_on = !l->stopping;
        pthread_mutex_unlock(&l->lock);
        return go_on;
}

static void *leader_main(void *arg)
{
        struct leader *l = arg;
        bool resigning = false;
        pthread_setname_np(pthread_self(), "leader");
        do
                step(l, resigning);
        while (rest(l, patience(l), &resigning));
        if (resigning && !l->gave_up)
                resign(l);
        return NULL;
}

/* --- for the others -------------------------------------------------------------------------------------------------- */

bool leader_leads(const struct leader *l)
{
        return atomic_load_explicit(&l->leads, memory_order_relaxed);
}

int64_t leader_arrivals(const struct leader *l)
{
        return leader_leads(l) ? metric_get(l->waiting) : 0;
}

static void set_and_wake(struct leader *l, bool *flag)
{
        pthread_mutex_lock(&l->lock);
        *flag = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
}

void leader_wake(struct leader *l)
{
        if (leader_leads(l) || !atomic_exchange(&l->arrived, true))
                set_and_wake(l, &l->woken);
}

void leader_vacant(struct leader *l)
{
        atomic_store(&l->vacant, true);
        set_and_wake(l, &l->woken);
}

void leader_resign(struct leader *l)
{
        set_and_wake(l, &l->resigning);
}

struct leader *leader_new(struct write_lanes *lanes)
{
        struct leader *l = mem_zalloc(sizeof(*l));
        struct metric_registry *metrics = lanes->server->options.metrics;
        pthread_condattr_t attributes;
        char life[ID_TEXT_SIZE];
        l->server = lanes->server;
        write_lane_init(&l->lane, lanes);
        l->lane.db = store_writer_conn(lanes->writer);
        id_new(life, clock_now_us(l->server->options.clock));
        snprintf(l->lease.holder, sizeof(l->lease.holder), "%s/%s", l->server->options.instance, life);
        l->leads_now = metric_new(metrics, &leads_family, "%s", "");
        l->numbered = metric_new(metrics, &numbered_family, "%s", "");
        l->rounds = metric_new(metrics, &rounds_family, "%s", "");
        l->lag = metric_new(metrics, &lag_family, "%s", "");
        l->waiting = metric_new(metrics, &waiting_family, "%s", "");
        pthread_mutex_init(&l->lock, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&l->wake, &attributes);
        pthread_condattr_destroy(&attributes);
        if (pthread_create(&l->thread, NULL, leader_main, l) != 0)
                abort();
        return l;
}

struct leader *leader_free(struct leader *l)
{
        if (!l)
                return NULL;
        set_and_wake(l, &l->stopping);
        pthread_join(l->thread, NULL);
        loop_post_cancel(l->server->options.loop, l);
        l->lane.db = NULL; /* the writer's */
        write_lane_done(&l->lane);
        pthread_cond_destroy(&l->wake);
        pthread_mutex_destroy(&l->lock);
        free(l);
        return NULL;
}
