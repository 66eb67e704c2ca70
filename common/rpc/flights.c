/* SPDX-License-Identifier: Apache-2.0
 *
 * Which writes are queued or running here, by principal, method and idempotency key: so that a retry waits for the
 * first outcome, and a client's own second request is told that the first still runs. The loop's thread only.
 *
 * The lane may still be at one when its time is up: a shared store is away, a disk stands still. Whoever asked is told a
 * moment before that it may come again; the outcome is kept under its key.
 */
#include "common/rpc/server_internal.h"

#include "common/base/clock.h"
#include "common/rpc/envelope.h"

#include <stdlib.h>

#define FLIGHTS_SLOTS  4096u
#define LOOK_EVERY_US  (100 * 1000)
#define TELL_AFTER_US  CLOCK_SECOND_US /* a short deadline is the caller's own wish */
#define TELL_BEFORE_US (400 * 1000)
#define TELL_RETRY_MS  1000

struct flights {
        struct rpc_server *server;
        struct rpc_call *slots[FLIGHTS_SLOTS];
        size_t n;
        struct loop_timer *timer;
        bool timer_runs;
        struct arena *arena; /* of the reply in hand: the call's own is its lane's */
        struct metric *told;
};

static const struct metric_family told_family = {
        "nuanxin_rpc_told_to_return_total", "Writes whose callers were told to come again while they still ran.", METRIC_COUNTER};

static void tell(struct flights *f, struct rpc_call *call)
{
        Nuanxin__Internal__V1__Reply reply = NUANXIN__INTERNAL__V1__REPLY__INIT;
        Nuanxin__Internal__V1__Refusal refusal = NUANXIN__INTERNAL__V1__REFUSAL__INIT;
        reply.problem = refusal.problem = NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE;
        reply.retry_after_ms = TELL_RETRY_MS;
        arena_reset(f->arena);
        f->server->options.reply(f->server->options.reply_arg, &call->from, envelope_pack_reply(f->arena, call->id, &reply),
                                 message_pack(f->arena, &refusal));
        metric_add(f->told, 1);
        call->told = true;
}

static void look(struct flights *f, struct rpc_call *call, int64_t now)
{
        if (!call->told && now - call->received_us > TELL_AFTER_US && call->deadline_us - now < TELL_BEFORE_US)
                tell(f, call);
        for (struct rpc_call *other = call->waiting.first; other; other = other->next)
                look(f, other, now);
}

static void on_timer(void *arg)
{
        struct flights *f = arg;
        int64_t now = clock_monotonic_us();
        f->timer_runs = f->n > 0;
        if (!f->timer_runs)
                return;
        for (size_t i = 0; i < FLIGHTS_SLOTS; i++)
                for (struct rpc_call *call = f->slots[i]; call; call = call->flight_next)
                        look(f, call, now);
        loop_timer_set(f->timer, LOOK_EVERY_US);
}

struct flights *flights_new(struct rpc_server *server)
{
        struct flights *f = mem_zalloc(sizeof(*f));
        f->server = server;
        f->timer = loop_timer_new(server->options.loop, on_timer, f);
        f->arena = arena_new(256);
        f->told = metric_new(server->options.metrics, &told_family, "%s", "");
        return f;
}

struct flights *flights_free(struct flights *f)
{
        if (!f)
                return NULL;
        loop_timer_free(f->timer);
        arena_free(f->arena);
        free(f);
        return NULL;
}

static bool same(const struct rpc_call *a, const struct rpc_call *b)
{
        return a->flight_hash == b->flight_hash && a->served == b->served && strcmp(a->key, b->key) == 0 &&
               strcmp(a->actor, b->actor) == 0;
}

struct rpc_call *flights_find(struct flights *flights, struct rpc_call *like)
{
        like->flight_hash = str_hash(str_of(like->key)) ^ like->served->contract->id;
        struct rpc_call *call = flights->slots[like->flight_hash % FLIGHTS_SLOTS];
        while (call && !same(call, like))
                call = call->flight_next;
        return call;
}

void flights_add(struct flights *flights, struct rpc_call *call)
{
        struct rpc_call **slot = &flights->slots[call->flight_hash % FLIGHTS_SLOTS];
        call->flight_next = *slot;
        call->in_flight = true;
        *slot = call;
        flights->n++;
        if (!flights->timer_runs)
                loop_timer_set(flights->timer, LOOK_EVERY_US);
        flights->timer_runs = true;
}

void flights_remove(struct flights *flights, struct rpc_call *call)
{
        struct rpc_call **at = &flights->slots[call->flight_hash % FLIGHTS_SLOTS];
        while (*at != call)
                at = &(*at)->flight_next;
        *at = call->flight_next;
        call->in_flight = false;
        flights->n--;
}
