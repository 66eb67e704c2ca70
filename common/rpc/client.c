/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests in flight: sending, answers, deadlines, moving and retrying.
 */
#include "common/rpc/client.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/rpc/fleet.h"
#include "common/rpc/registry.h"
#include "common/rpc/request.h"

#include <stdlib.h>

#define DEFAULT_DEADLINE_US (10 * CLOCK_SECOND_US)
#define MAX_PENDING         65536
#define MAX_PENDING_BYTES   (256u << 20)
#define MAX_WAITING         8192 /* for an instance that fits */
#define READ_WAITS_US       (2 * CLOCK_SECOND_US)
#define MAX_LOSSES          4
#define MAX_ATTEMPTS        3
#define BUDGET_PERCENT      20
#define BUDGET_MOST         10 /* retries that can be saved up, and are there at first */
#define RETRY_JITTER_US     40000
#define RETRY_LEAST_US      500000 /* more than before its deadline a server tells a write to come again (flights.c) */
#define BLOCKED_PAUSE_US    10000
#define KEEP_BUFFER_BYTES   4096 /* by a free slot; */
#define KEEP_SLOTS          1024 /* by so many of them */

static const struct metric_family retries_family = {
        "nuanxin_rpc_retries_total", "Requests sent again, by reason: moved (instance lost or not writing), failed.",
        METRIC_COUNTER};
static const struct metric_family pending_family = {"nuanxin_rpc_pending", "Requests without an answer yet.",
                                                    METRIC_GAUGE};
static const struct metric_family failures_family = {
        "nuanxin_rpc_failures_total", "Calls that ended without an answer, by reason.", METRIC_COUNTER};

/* Where a request stands. */
enum pending_state {
        PENDING_FREE,
        PENDING_WAITING, /* for an instance that fits */
        PENDING_SENT,    /* to `instance` */
        PENDING_PAUSED,  /* until retry_at_us */
        PENDING_DONE,    /* in no list but `deadlines`: its end is being reported */
};

struct rpc_pending {
        TAILQ_ENTRY(rpc_pending) list;     /* by state: the instance's in_flight, or one of the client's */
        TAILQ_ENTRY(rpc_pending) by_deadline;
        struct rpc_client *client;
        enum pending_state state;
        uint32_t index, generation;
        struct instance *instance;      /* SENT */
        struct instance *last;          /* whom to avoid next; compared only */
        struct buf request, payload;
        char service[32];
        char wanted[64]; /* this very instance, or "" */
        bool write, long_poll;
        const struct contract_method *method;
        uint32_t attempt;
        int retries; /* within the budget */
        int losses;  /* instances that died with it in hand */
        bool ever_sent;
        int error; /* DONE: why, or 0 */
        int64_t started_us, sent_us, deadline_us, retry_at_us;
        int64_t waits_until_us; /* WAITING to read */
        rpc_done_fn done;
        void *arg;
};

struct rpc_client {
        struct rpc_client_options o;
        struct fleet *fleet;
        struct rpc_pending **slots; /* by index */
        size_t n_slots, cap_slots;
        struct pending_list waiting_reads, waiting_writes; /* first come, first served */
        struct pending_list paused;
        struct pending_list free_slots;
        struct pending_list deadlines;  /* soonest first */
        struct loop_timer *timer;
        int64_t timer_at_us;
        struct loop_turn serve_turn;
        struct buf scratch;
        int64_t budget; /* hundredths of a retry */
        unsigned n_pending, n_waiting;
        size_t pending_bytes;
        struct metric *retries_moved, *retries_failed, *pending_gauge, *timed_out, *unreachable;
        struct registry *registry;
        bool closing;
};

/* --- slots ------------------------------------------------------------------------------------------------------- */

static struct rpc_pending *slot_take(struct rpc_client *c)
{
        struct rpc_pending *p = TAILQ_FIRST(&c->free_slots);
        if (p) {
                TAILQ_REMOVE(&c->free_slots, p, list);
        } else {
                p = mem_zalloc(sizeof(*p));
                p->client = c;
                p->index = (uint32_t)c->n_slots;
                if (c->n_slots == c->cap_slots) {
                        c->cap_slots = c->cap_slots ? 2 * c->cap_slots : 64;
                        c->slots = mem_realloc(c->slots, c->cap_slots * sizeof(*c->slots));
                }
                c->slots[c->n_slots++] = p;
        }
        p->generation++;
        c->n_pending++;
        metric_set(c->pending_gauge, c->n_pending);
        return p;
}

static void buffer_reuse(struct buf *b, bool keep)
{
        if (b->cap > KEEP_BUFFER_BYTES || !keep)
                buf_done(b);
        b->n = 0;
}

static struct pending_list *waiting_of(struct rpc_pending *p)
{
        return p->write ? &p->client->waiting_writes : &p->client->waiting_reads;
}

static void leave_state(struct rpc_pending *p)
{
        if (p->state == PENDING_SENT) {
                TAILQ_REMOVE(&p->instance->in_flight, p, list);
                p->instance->outstanding--;
                p->last = p->instance;
                p->instance = NULL;
        } else if (p->state == PENDING_WAITING) {
                TAILQ_REMOVE(waiting_of(p), p, list);
                p->client->n_waiting--;
        } else if (p->state == PENDING_PAUSED) {
                TAILQ_REMOVE(&p->client->paused, p, list);
        }
        p->state = PENDING_DONE;
}

static void slot_give_back(struct rpc_pending *p)
{
        struct rpc_client *c = p->client;
        leave_state(p);
        TAILQ_REMOVE(&c->deadlines, p, by_deadline);
        bool keep = c->n_slots - c->n_pending < KEEP_SLOTS;
        c->pending_bytes -= p->request.n + p->payload.n;
        buffer_reuse(&p->request, keep);
        buffer_reuse(&p->payload, keep);
        p->state = PENDING_FREE;
        p->last = NULL;
        p->generation++;
        TAILQ_INSERT_HEAD(&c->free_slots, p, list);
        c->n_pending--;
        metric_set(c->pending_gauge, c->n_pending);
}

static void finish(struct rpc_pending *p, struct rpc_result *result, int64_t now_us)
{
        rpc_done_fn done = p->done;
        void *arg = p->arg;
        result->attempts = (int)p->attempt + 1;
        result->timing.total_us = now_us - p->started_us;
        slot_give_back(p);
        done(arg, result);
}

static void finish_error(struct rpc_pending *p, int error)
{
        struct rpc_result result = {.error = error};
        metric_add(error == -ETIMEDOUT ? p->client->timed_out : p->client->unreachable, 1);
        finish(p, &result, clock_monotonic_us());
}

/* --- timers -------------------------------------------------------------------------------------------------------- */

static void arm_timer(struct rpc_client *c, int64_t at_us)
{
        if (c->timer_at_us && c->timer_at_us <= at_us)
                return;
        int64_t now = clock_monotonic_us();
        c->timer_at_us = at_us;
        loop_timer_set(c->timer, at_us > now ? at_us - now : 0);
}

static void insert_by_deadline(struct rpc_client *c, struct rpc_pending *p)
{
        struct rpc_pending *at;
        TAILQ_FOREACH_REVERSE(at, &c->deadlines, pending_list, by_deadline) {
                if (at->deadline_us <= p->deadline_us) {
                        TAILQ_INSERT_AFTER(&c->deadlines, at, p, by_deadline);
                        return;
                }
        }
        TAILQ_INSERT_HEAD(&c->deadlines, p, by_deadline);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

/* Ends a request that is in no list from the timer, because done must not run before the call returns. */
static void end_soon(struct rpc_pending *p, int error)
{
        struct rpc_client *c = p->client;
        p->state = PENDING_DONE;
        p->error = error;
        p->deadline_us = 0;
        TAILQ_REMOVE(&c->deadlines, p, by_deadline);
        TAILQ_INSERT_HEAD(&c->deadlines, p, by_deadline);
        arm_timer(c, 1);
}

static void pause_until(struct rpc_pending *p, int64_t at_us)
{
        p->state = PENDING_PAUSED;
        p->retry_at_us = at_us;
        TAILQ_INSERT_TAIL(&p->client->paused, p, list);
        arm_timer(p->client, at_us);
}

/* A read waits for a moment only: a service that is down is said to be down. A write waits until its deadline: a
 * standby may be about to take over. */
static void wait_for_instance(struct rpc_pending *p, int64_t now)
{
        struct rpc_client *c = p->client;
        if (c->n_waiting == MAX_WAITING) {
                end_soon(p, p->write && p->ever_sent ? -ETIMEDOUT : -EHOSTUNREACH);
                return;
        }
        c->n_waiting++;
        p->state = PENDING_WAITING;
        TAILQ_INSERT_TAIL(waiting_of(p), p, list);
        if (!p->write) {
                p->waits_until_us = now + READ_WAITS_US;
                arm_timer(c, p->waits_until_us);
        }
}

static struct fleet_need need_of(const struct rpc_pending *p, const struct instance *avoid)
{
        return (struct fleet_need){.service = p->service, .instance = p->wanted[0] ? p->wanted : NULL,
                                   .write = p->write, .method = p->method, .avoid = avoid};
}

/* Sends p to an instance that fits, or leaves it waiting. p is in no list. */
static void try_send(struct rpc_pending *p)
{
        struct rpc_client *c = p->client;
        int64_t now = clock_monotonic_us();
        const struct fleet_need need = need_of(p, p->last);
        struct instance *i = fleet_choose(c->fleet, &need);

        if (!i || p->deadline_us <= now) {
                fleet_say_mismatch(c->fleet, &need);
                wait_for_instance(p, now);
                return;
        }
        c->scratch.n = 0;
        envelope_pack_attempt(&c->scratch, (uint64_t)p->generation << 32 | p->index, buf_str(&p->request),
                              (uint32_t)((p->deadline_us - now) / 1000), p->attempt);
        int r = bus_link_send(i->link, buf_str(&c->scratch), buf_str(&p->payload));
        if (r == -EMSGSIZE) {
                end_soon(p, r);
                return;
        }
        if (r < 0) {
                fleet_failed(i);
                p->last = i;
                pause_until(p, now + BLOCKED_PAUSE_US);
                return;
        }
        p->state = PENDING_SENT;
        p->ever_sent = true;
        p->sent_us = now;
        p->instance = i;
        i->outstanding++;
        TAILQ_INSERT_TAIL(&i->in_flight, p, list);
}

/* What finds no instance goes back to its list's end, with the time it may wait as it was. */
static void serve(struct rpc_client *c, struct pending_list *list)
{
        struct pending_list round;
        struct rpc_pending *p;

        TAILQ_INIT(&round);
        TAILQ_CONCAT(&round, list, list);
        while ((p = TAILQ_FIRST(&round))) {
                int64_t waits_until_us = p->waits_until_us;
                TAILQ_REMOVE(&round, p, list);
                c->n_waiting--;
                try_send(p);
                p->waits_until_us = waits_until_us;
        }
}

static void serve_waiting(void *arg)
{
        struct rpc_client *c = arg;
        serve(c, &c->waiting_writes);
        serve(c, &c->waiting_reads);
}

static void resume_paused(struct rpc_client *c, int64_t now)
{
        struct rpc_pending *p, *next;
        for (p = TAILQ_FIRST(&c->paused); p; p = next) {
                next = TAILQ_NEXT(p, list);
                if (p->retry_at_us > now) {
                        arm_timer(c, p->retry_at_us);
                        continue;
                }
                TAILQ_REMOVE(&c->paused, p, list);
                try_send(p);
        }
}

static void on_timer(void *arg)
{
        struct rpc_client *c = arg;
        struct rpc_pending *p;
        int64_t now = clock_monotonic_us();

        c->timer_at_us = 0;
        while ((p = TAILQ_FIRST(&c->deadlines)) && p->deadline_us <= now) {
                if (p->state == PENDING_SENT)
                        fleet_failed(p->instance);
                finish_error(p, p->error ? p->error : p->ever_sent ? -ETIMEDOUT : -EHOSTUNREACH);
        }
        while ((p = TAILQ_FIRST(&c->waiting_reads)) && p->waits_until_us <= now)
                finish_error(p, -EHOSTUNREACH);
        resume_paused(c, now);
        if ((p = TAILQ_FIRST(&c->deadlines)))
                arm_timer(c, p->deadline_us);
        if ((p = TAILQ_FIRST(&c->waiting_reads)))
                arm_timer(c, p->waits_until_us);
}

/* Another attempt, elsewhere if there is an elsewhere: free of the budget, because nothing was done or the outcome
 * went down with the connection. */
static void move(struct rpc_pending *p)
{
        metric_add(p->client->retries_moved, 1);
        leave_state(p);
        p->attempt++;
        try_send(p);
}

/* Another attempt for a failure that load may have caused: only within the budget. */
static bool retry_within_budget(struct rpc_pending *p)
{
        struct rpc_client *c = p->client;
        const struct fleet_need need = need_of(p, p->instance);
        uint16_t random;

        if (p->deadline_us - clock_monotonic_us() < RETRY_LEAST_US)
                return false; /* it could only end as timed out */
        if (p->retries + 1 >= MAX_ATTEMPTS || c->budget < 100 || p->wanted[0] || fleet_choose(c->fleet, &need) == p->instance)
                return false;
        c->budget -= 100;
        p->retries++;
        p->attempt++;
        metric_add(c->retries_failed, 1);
        leave_state(p);
        id_random(&random, sizeof(random));
        pause_until(p, clock_monotonic_us() + random % RETRY_JITTER_US);
        return true;
}

/* --- what the fleet tells -------------------------------------------------------------------------------------------- */

static void on_ready(void *arg, struct instance *instance)
{
        struct rpc_client *c = arg;
        (void)instance;
        loop_at_turn_end(c->o.loop, &c->serve_turn);
}

static void on_lost(void *arg, struct instance *instance)
{
        struct pending_list moving;
        struct rpc_pending *p;
        (void)arg;

        /* Take them out first: what is sent anew may not return to this list, but waits may be served meanwhile. */
        TAILQ_INIT(&moving);
        while ((p = TAILQ_FIRST(&instance->in_flight))) {
                leave_state(p);
                TAILQ_INSERT_TAIL(&moving, p, list);
        }
        while ((p = TAILQ_FIRST(&moving))) {
                TAILQ_REMOVE(&moving, p, list);
                p->attempt++;
                metric_add(p->client->retries_moved, 1);
                if (++p->losses < MAX_LOSSES)
                        try_send(p);
                else /* it may be what ends them */
                        end_soon(p, -ETIMEDOUT);
        }
}

/* What waits for it goes elsewhere. Should it wake up, whoever answers first is heard. */
static void on_silent(void *arg, struct instance *instance)
{
        struct rpc_pending *p;
        (void)arg;
        while ((p = TAILQ_FIRST(&instance->in_flight)))
                move(p);
}

static void on_reply(void *arg, struct instance *instance, const Envelope *envelope, struct str payload)
{
        struct rpc_client *c = arg;
        const Nuanxin__Internal__V1__Reply *reply = envelope->reply;
        uint32_t index = (uint32_t)envelope->id, generation = (uint32_t)(envelope->id >> 32);

        if (index >= c->n_slots || c->slots[index]->generation != generation)
                return; /* ended meanwhile */
        struct rpc_pending *p = c->slots[index];
        int64_t now = clock_monotonic_us();
        bool failed = reply->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE ||
                      reply->problem == NUANXIN__PROBLEM__PROBLEM_INTERNAL;
        bool current = p->state == PENDING_SENT && p->instance == instance;
        if (p->state == PENDING_DONE || (!current && (reply->not_writer || failed)))
                return; /* only an answer is welcome from whom the request was taken away */
        if (reply->not_writer && !p->wanted[0]) {
                *(p->write ? &instance->may_write : &instance->draining) = !p->write; /* until its Hello says otherwise */
                move(p);
                return;
        }
        if (failed)
                fleet_failed(instance);
        else if (current)
                fleet_succeeded(instance, p->long_poll ? -1 : now - p->sent_us);
        if (reply->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE && retry_within_budget(p))
                return;
        struct rpc_result result = {.problem = reply->problem, .payload = payload,
                                    .retry_after_ms = reply->retry_after_ms, .replayed = reply->replayed,
                                    .timing = {reply->queue_us, reply->handler_us, reply->commit_us, 0}};
        finish(p, &result, now);
}

/* --- calls ------------------------------------------------------------------------------------------------------------- */

/* A name has its bound in the contract; what were longer is cut. */
static void copy_name(char *out, size_t room, const char *name)
{
        size_t n = name ? strnlen(name, room - 1) : 0;
        memcpy(out, name ? name : "", n);
        out[n] = '\0';
}

struct rpc_pending *rpc_client_call(struct rpc_client *c, const struct rpc_request *r, rpc_done_fn done, void *arg)
{
        struct rpc_pending *p = slot_take(c);
        const char *service = r->service ? r->service : r->method->service;

        p->done = done;
        p->arg = arg;
        p->write = r->method->lane != NUANXIN__LANE__READ;
        p->method = r->method;
        p->long_poll = r->long_poll;
        p->attempt = 0;
        p->retries = p->losses = p->error = 0;
        p->ever_sent = false;
        p->state = PENDING_DONE;
        p->started_us = clock_monotonic_us();
        p->deadline_us = p->started_us + (r->deadline_us ? r->deadline_us : DEFAULT_DEADLINE_US);
        copy_name(p->service, sizeof(p->service), service);
        copy_name(p->wanted, sizeof(p->wanted), r->instance);
        request_pack(&p->request, r, p->write);
        buf_add_str(&p->payload, r->payload);
        c->pending_bytes += p->request.n + p->payload.n;
        insert_by_deadline(c, p);
        if (c->n_pending > MAX_PENDING || c->pending_bytes > MAX_PENDING_BYTES || c->closing) {
                end_soon(p, -EHOSTUNREACH);
                return p;
        }
        if (c->budget < 100 * BUDGET_MOST)
                c->budget += BUDGET_PERCENT;
        arm_timer(c, p->deadline_us);
        try_send(p);
        return p;
}

void rpc_pending_cancel(struct rpc_pending *p)
{
        if (p && p->state != PENDING_FREE)
                slot_give_back(p);
}

size_t rpc_client_instances(const struct rpc_client *c, struct rpc_instance *out, size_t room)
{
        size_t n = 0;
        for (struct instance *i = fleet_first(c->fleet); i && n < room; i = LIST_NEXT(i, all))
                out[n++] = (struct rpc_instance){.service = i->service, .instance = i->id, .endpoint = i->endpoint,
                                                 .up = i->greeted, .may_write = i->may_write,
                                                 .draining = i->draining, .ejected = instance_is_ejected(i),
                                                 .outstanding = i->outstanding, .latency_us = i->latency_us};
        return n;
}

bool rpc_client_has(const struct rpc_client *c, const char *service, bool may_write)
{
        const struct fleet_need need = {.service = service, .write = may_write};
        return fleet_choose(c->fleet, &need) != NULL;
}

int rpc_client_add_peer(struct rpc_client *c, const char *service, const char *endpoint)
{
        struct instance *ignored;
        return fleet_add(c->fleet, service, endpoint, true, &ignored);
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static int add_configured(struct rpc_client *c)
{
        for (const char *const *peer = c->o.peers; peer && *peer; peer++) {
                struct str endpoint = str_of(*peer);
                struct str service = str_cut(&endpoint, '=');
                if (!service.n || !endpoint.n) {
                        log_error("a peer is given as SERVICE=ENDPOINT", "peer=%s", *peer);
                        return -EINVAL;
                }
                _cleanup_(arena_freep) struct arena *arena = arena_new(1024);
                int r = rpc_client_add_peer(c, arena_str(arena, service).p, endpoint.p);
                if (r < 0)
                        return r;
        }
        return 0;
}

int rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret_client)
{
        static const struct fleet_ops ops = {.on_ready = on_ready, .on_lost = on_lost, .on_silent = on_silent, .on_reply = on_reply};
        struct rpc_client *c = mem_zalloc(sizeof(*c));

        c->o = *options;
        TAILQ_INIT(&c->waiting_reads);
        TAILQ_INIT(&c->waiting_writes);
        TAILQ_INIT(&c->paused);
        TAILQ_INIT(&c->free_slots);
        TAILQ_INIT(&c->deadlines);
        c->budget = 100 * BUDGET_MOST;
        c->serve_turn = (struct loop_turn){.fn = serve_waiting, .arg = c};
        c->timer = loop_timer_new(options->loop, on_timer, c);
        c->retries_moved = metric_new(options->metrics, &retries_family, "reason=\"moved\"");
        c->retries_failed = metric_new(options->metrics, &retries_family, "reason=\"failed\"");
        c->pending_gauge = metric_new(options->metrics, &pending_family, "%s", "");
        c->timed_out = metric_new(options->metrics, &failures_family, "reason=\"deadline\"");
        c->unreachable = metric_new(options->metrics, &failures_family, "reason=\"unreachable\"");
        c->fleet = fleet_new(&(struct fleet_options){.loop = options->loop, .bus = options->bus,
                                                     .self_service = options->self_service,
                                                     .self_instance = options->self_instance, .ops = &ops, .arg = c});
        int r = add_configured(c);
        if (r < 0) {
                rpc_client_free(c);
                return r;
        }
        if (options->cache)
                c->registry = registry_new(options->loop, options->cache, c->fleet);
        *ret_client = c;
        return 0;
}

struct rpc_client *rpc_client_free(struct rpc_client *c)
{
        struct rpc_pending *p;
        if (!c)
                return NULL;
        c->closing = true;
        while ((p = TAILQ_FIRST(&c->deadlines)))
                finish(p, &(struct rpc_result){.error = -ECANCELED}, clock_monotonic_us());
        loop_turn_cancel(c->o.loop, &c->serve_turn);
        loop_timer_free(c->timer);
        registry_free(c->registry);
        fleet_free(c->fleet);
        for (size_t k = 0; k < c->n_slots; k++) {
                buf_done(&c->slots[k]->request);
                buf_done(&c->slots[k]->payload);
                free(c->slots[k]);
        }
        free(c->slots);
        buf_done(&c->scratch);
        free(c);
        return NULL;
}
