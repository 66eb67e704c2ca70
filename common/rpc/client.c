/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests in flight: sending, answers, deadlines, moving and retrying.
 */
#include "common/rpc/client.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/rpc/fleet.h"
#include "common/rpc/registry.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_DEADLINE_US (10 * CLOCK_SECOND_US)
#define MAX_PENDING         65536
#define MAX_ATTEMPTS        3
#define BUDGET_PERCENT      20
#define BUDGET_FLOOR        10 /* retries that are always there, so that a quiet caller can retry at all */
#define RETRY_JITTER_US     40000
#define KEEP_BUFFER_BYTES   65536

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
        PENDING_DONE,    /* its end is being reported */
};

struct rpc_pending {
        TAILQ_ENTRY(rpc_pending) list;     /* by state: the instance's in_flight, or the client's waiting */
        TAILQ_ENTRY(rpc_pending) by_deadline;
        struct rpc_client *client;
        enum pending_state state;
        uint32_t index, generation;
        struct instance *instance;      /* SENT */
        struct instance *last;          /* whom to avoid next; compared only */
        struct buf request, payload;
        char service[32];
        char wanted[64]; /* this very instance, or "" */
        bool write;
        uint64_t method, input_hash;
        uint32_t attempt;
        int retries; /* within the budget */
        bool ever_sent;
        int64_t started_us, sent_us, deadline_us, retry_at_us;
        rpc_done_fn done;
        void *arg;
};

struct rpc_client {
        struct rpc_client_options o;
        struct fleet *fleet;
        struct rpc_pending **slots; /* by index */
        size_t n_slots, cap_slots;
        struct pending_list waiting; /* WAITING and PAUSED */
        struct pending_list free_slots;
        struct pending_list deadlines;  /* soonest first */
        struct loop_timer *timer;
        int64_t timer_at_us;
        struct loop_turn serve_turn;
        struct buf scratch;
        int64_t budget; /* hundredths of a retry */
        unsigned n_pending;
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

static void buffer_reuse(struct buf *b)
{
        if (b->cap > KEEP_BUFFER_BYTES)
                buf_done(b);
        b->n = 0;
}

static void leave_state(struct rpc_pending *p)
{
        if (p->state == PENDING_SENT) {
                TAILQ_REMOVE(&p->instance->in_flight, p, list);
                p->instance->outstanding--;
                p->last = p->instance;
                p->instance = NULL;
        } else if (p->state == PENDING_WAITING || p->state == PENDING_PAUSED) {
                TAILQ_REMOVE(&p->client->waiting, p, list);
        }
        p->state = PENDING_DONE;
}

static void slot_give_back(struct rpc_pending *p)
{
        struct rpc_client *c = p->client;
        leave_state(p);
        TAILQ_REMOVE(&c->deadlines, p, by_deadline);
        buffer_reuse(&p->request);
        buffer_reuse(&p->payload);
        p->state = PENDING_FREE;
        p->last = NULL;
        p->generation++;
        TAILQ_INSERT_HEAD(&c->free_slots, p, list);
        c->n_pending--;
        metric_set(c->pending_gauge, c->n_pending);
}

static void finish(struct rpc_pending *p, struct rpc_result *result)
{
        rpc_done_fn done = p->done;
        void *arg = p->arg;
        result->attempts = (int)p->attempt + 1;
        result->timing.total_us = clock_monotonic_us() - p->started_us;
        slot_give_back(p);
        done(arg, result);
}

static void finish_error(struct rpc_pending *p, int error)
{
        struct rpc_result result = {.error = error};
        metric_add(error == -ETIMEDOUT ? p->client->timed_out : p->client->unreachable, 1);
        finish(p, &result);
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

static void wait_for_instance(struct rpc_pending *p)
{
        p->state = PENDING_WAITING;
        TAILQ_INSERT_TAIL(&p->client->waiting, p, list);
}

/* Sends p to an instance that fits, or leaves it waiting. p is in no list. */
static void try_send(struct rpc_pending *p)
{
        struct rpc_client *c = p->client;
        int64_t now = clock_monotonic_us();
        const struct fleet_need need = {.service = p->service, .instance = p->wanted[0] ? p->wanted : NULL,
                                        .write = p->write, .method = p->method, .input_hash = p->input_hash,
                                        .avoid = p->last};
        struct instance *i = fleet_choose(c->fleet, &need);

        if (!i || p->deadline_us <= now) {
                wait_for_instance(p);
                return;
        }
        c->scratch.n = 0;
        envelope_pack_attempt(&c->scratch, (uint64_t)p->generation << 32 | p->index, buf_str(&p->request),
                              (uint32_t)((p->deadline_us - now) / 1000), p->attempt);
        if (bus_link_send(i->link, buf_str(&c->scratch), buf_str(&p->payload)) < 0) {
                fleet_failed(i);
                wait_for_instance(p);
                return;
        }
        p->state = PENDING_SENT;
        p->ever_sent = true;
        p->sent_us = now;
        p->instance = i;
        i->outstanding++;
        TAILQ_INSERT_TAIL(&i->in_flight, p, list);
}

static void serve_waiting(void *arg)
{
        struct rpc_client *c = arg;
        struct pending_list round;
        struct rpc_pending *p, *next;
        int64_t now = clock_monotonic_us();

        /* What finds no instance goes back to the list's end: walk a list of its own. */
        TAILQ_INIT(&round);
        TAILQ_CONCAT(&round, &c->waiting, list);
        for (p = TAILQ_FIRST(&round); p; p = next) {
                next = TAILQ_NEXT(p, list);
                TAILQ_REMOVE(&round, p, list);
                if (p->state == PENDING_PAUSED && p->retry_at_us > now) {
                        TAILQ_INSERT_TAIL(&c->waiting, p, list);
                        arm_timer(c, p->retry_at_us);
                        continue;
                }
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
                finish_error(p, p->ever_sent ? -ETIMEDOUT : -EHOSTUNREACH);
        }
        if (p)
                arm_timer(c, p->deadline_us);
        serve_waiting(c);
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
        const struct fleet_need need = {.service = p->service, .write = p->write, .method = p->method,
                                        .input_hash = p->input_hash, .avoid = p->instance};
        uint16_t random;

        if (p->retries + 1 >= MAX_ATTEMPTS || c->budget < 100 || p->wanted[0] ||
            fleet_choose(c->fleet, &need) == p->instance)
                return false;
        c->budget -= 100;
        p->retries++;
        p->attempt++;
        metric_add(c->retries_failed, 1);
        leave_state(p);
        id_random(&random, sizeof(random));
        p->retry_at_us = clock_monotonic_us() + random % RETRY_JITTER_US;
        p->state = PENDING_PAUSED;
        TAILQ_INSERT_TAIL(&c->waiting, p, list);
        arm_timer(c, p->retry_at_us);
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
                try_send(p);
        }
}

static void on_reply(void *arg, struct instance *instance, const Envelope *envelope, struct str payload)
{
        struct rpc_client *c = arg;
        const Nuanxin__Internal__V1__Reply *reply = envelope->reply;
        uint32_t index = (uint32_t)envelope->id, generation = (uint32_t)(envelope->id >> 32);

        if (index >= c->n_slots || c->slots[index]->generation != generation ||
            c->slots[index]->state != PENDING_SENT || c->slots[index]->instance != instance)
                return; /* ended meanwhile */
        struct rpc_pending *p = c->slots[index];
        if (reply->not_writer) {
                if (p->write)
                        instance->may_write = false;
                move(p);
                return;
        }
        bool failed = reply->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE ||
                      reply->problem == NUANXIN__PROBLEM__PROBLEM_INTERNAL;
        if (failed)
                fleet_failed(instance);
        else
                fleet_succeeded(instance, clock_monotonic_us() - p->sent_us);
        if (reply->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE && retry_within_budget(p))
                return;
        struct rpc_result result = {.problem = reply->problem, .payload = payload,
                                    .retry_after_ms = reply->retry_after_ms, .replayed = reply->replayed,
                                    .timing = {reply->queue_us, reply->handler_us, reply->commit_us, 0}};
        finish(p, &result);
}

/* --- calls ------------------------------------------------------------------------------------------------------------- */

/* Appends a request's field 5, the principal, as it came packed. */
static void add_principal(struct buf *out, struct str packed)
{
        size_t left = packed.n;
        buf_add_char(out, 5 << 3 | 2);
        for (; left >= 0x80; left >>= 7)
                buf_add_char(out, (char)(left | 0x80));
        buf_add_char(out, (char)left);
        buf_add_str(out, packed);
}

static void pack_request(struct rpc_pending *p, const struct rpc_request *r)
{
        Nuanxin__Internal__V1__Request q = NUANXIN__INTERNAL__V1__REQUEST__INIT;
        Nuanxin__Internal__V1__Principal nobody = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        char traceparent[ID_TRACEPARENT_SIZE], key[129], own_key[ID_TEXT_SIZE], address[65];

        q.method = r->method->id;
        q.input_hash = r->method->input_hash;
        if (id_is_traceparent(r->traceparent)) {
                memcpy(traceparent, r->traceparent.p, 55);
                traceparent[55] = '\0';
        } else {
                id_new_traceparent(traceparent);
        }
        q.traceparent = traceparent;
        if (!r->principal_packed.p)
                q.principal = r->principal ? (Nuanxin__Internal__V1__Principal *)r->principal : &nobody;
        if (p->write && !r->idempotency_key.n) {
                /* Keys that grow with time are kept side by side in the service's store. */
                const struct clock system = {0};
                id_new(own_key, clock_now_us(&system));
                q.idempotency_key = own_key;
        } else if (r->idempotency_key.n && r->idempotency_key.n < sizeof(key)) {
                memcpy(key, r->idempotency_key.p, r->idempotency_key.n);
                key[r->idempotency_key.n] = '\0';
                q.idempotency_key = key;
        }
        q.client_key = r->client_key;
        if (r->address.n && r->address.n < sizeof(address)) {
                memcpy(address, r->address.p, r->address.n);
                address[r->address.n] = '\0';
                q.address = address;
        }
        buf_reserve(&p->request, nuanxin__internal__v1__request__get_packed_size(&q));
        p->request.n = nuanxin__internal__v1__request__pack(&q, (uint8_t *)p->request.p);
        if (r->principal_packed.p)
                add_principal(&p->request, r->principal_packed);
        buf_add_str(&p->payload, r->payload);
}

/* The end of a call that never found room: reported by the timer, because done must not run before the call returns. */
static void refuse_soon(struct rpc_pending *p)
{
        wait_for_instance(p);
        p->deadline_us = 0;
        TAILQ_INSERT_HEAD(&p->client->deadlines, p, by_deadline);
        arm_timer(p->client, 1);
}

struct rpc_pending *rpc_client_call(struct rpc_client *c, const struct rpc_request *r, rpc_done_fn done, void *arg)
{
        struct rpc_pending *p = slot_take(c);
        const char *service = r->service ? r->service : r->method->service;

        p->done = done;
        p->arg = arg;
        p->write = r->method->lane != NUANXIN__LANE__READ;
        p->method = r->method->id;
        p->input_hash = r->method->input_hash;
        p->attempt = 0;
        p->retries = 0;
        p->ever_sent = false;
        p->started_us = clock_monotonic_us();
        p->deadline_us = p->started_us + (r->deadline_us ? r->deadline_us : DEFAULT_DEADLINE_US);
        snprintf(p->service, sizeof(p->service), "%s", service ? service : "");
        snprintf(p->wanted, sizeof(p->wanted), "%s", r->instance ? r->instance : "");
        pack_request(p, r);
        if (c->n_pending > MAX_PENDING || c->closing) {
                refuse_soon(p);
                return p;
        }
        if (c->budget < 100 * BUDGET_FLOOR)
                c->budget += BUDGET_PERCENT;
        insert_by_deadline(c, p);
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
        static const struct fleet_ops ops = {.on_ready = on_ready, .on_lost = on_lost, .on_reply = on_reply};
        struct rpc_client *c = mem_zalloc(sizeof(*c));

        c->o = *options;
        TAILQ_INIT(&c->waiting);
        TAILQ_INIT(&c->free_slots);
        TAILQ_INIT(&c->deadlines);
        c->budget = 100 * BUDGET_FLOOR;
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
        while ((p = TAILQ_FIRST(&c->deadlines))) {
                struct rpc_result result = {.error = -ECANCELED};
                finish(p, &result);
        }
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
