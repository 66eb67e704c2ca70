/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads that wait for news of the outbox (rpc_later) or of the service's own (rpc_later_news): they hold no thread, and run
 * again on news or shortly before their deadline. An instance that only reads hears of no commits, so there they run again
 * each time the timer looks.
 */
#include "common/rpc/server_internal.h"

#include <stdlib.h>

#define LOOK_US (CLOCK_SECOND_US / 10)

struct parking {
        struct rpc_server *server;
        struct loop_timer *timer;
        struct call_list calls;
};

static bool may_go(const struct parking *parking, const struct rpc_call *call, int64_t now)
{
        struct rpc_server *server = parking->server;
        const _Atomic int64_t *position = call->said.later_news ? &server->news : &server->outbox_head;
        return now >= call->park_until_us || !atomic_load(&server->hears_news) || server_is_draining(server) ||
               atomic_load(position) > call->said.later_than;
}

void parking_wake(struct parking *parking)
{
        struct rpc_server *server = parking->server;
        struct call_list calls = parking->calls;
        struct rpc_call *call;
        int64_t now = clock_monotonic_us();
        parking->calls = (struct call_list){0};
        while ((call = call_list_take(&calls)))
                if (may_go(parking, call, now))
                        lane_push(&server->read, call);
                else
                        call_list_add(&parking->calls, call);
        loop_at_turn_end(server->options.loop, &server->turn_end);
}

static void on_timer(void *arg)
{
        struct parking *parking = arg;
        parking_wake(parking);
        if (parking->calls.first)
                loop_timer_set(parking->timer, LOOK_US);
}

void parking_add(struct parking *parking, struct rpc_call *call)
{
        struct rpc_server *server = parking->server;
        call->parked = false;
        if (atomic_load(&server->hears_news) && may_go(parking, call, clock_monotonic_us())) { /* the news came meanwhile */
                lane_push(&server->read, call);
                loop_at_turn_end(server->options.loop, &server->turn_end);
                return;
        }
        if (!parking->calls.first)
                loop_timer_set(parking->timer, LOOK_US);
        call_list_add(&parking->calls, call);
}

struct parking *parking_new(struct rpc_server *server)
{
        struct parking *parking = mem_zalloc(sizeof(*parking));
        parking->server = server;
        parking->timer = loop_timer_new(server->options.loop, on_timer, parking);
        return parking;
}

struct call_list parking_empty(struct parking *parking)
{
        struct call_list calls = parking->calls;
        parking->calls = (struct call_list){0};
        return calls;
}

struct parking *parking_free(struct parking *parking)
{
        if (parking)
                loop_timer_free(parking->timer);
        free(parking);
        return NULL;
}
