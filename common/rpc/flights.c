/* SPDX-License-Identifier: Apache-2.0
 *
 * Which writes are queued or running here, by principal, method and idempotency key: so that a retry waits for the
 * first outcome, and a client's own second request is told that the first still runs. The loop's thread only.
 */
#include "common/rpc/server_internal.h"

#include <stdlib.h>

#define FLIGHTS_SLOTS 4096u

struct flights {
        struct rpc_call *slots[FLIGHTS_SLOTS];
};

struct flights *flights_new(void)
{
        return mem_zalloc(sizeof(struct flights));
}

struct flights *flights_free(struct flights *flights)
{
        free(flights);
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
}

void flights_remove(struct flights *flights, struct rpc_call *call)
{
        struct rpc_call **at = &flights->slots[call->flight_hash % FLIGHTS_SLOTS];
        while (*at != call)
                at = &(*at)->flight_next;
        *at = call->flight_next;
        call->in_flight = false;
}
