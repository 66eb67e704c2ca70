/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's envelope, which is lent, to a call that owns what it needs of it.
 */
#include "common/rpc/server_internal.h"
#include "common/rpc/write_lane.h"

#define DEADLINE_MOST_US (10 * CLOCK_MINUTE_US)

typedef Nuanxin__Internal__V1__Request Request;

/* NULL: longer than the contract says. */
static char *text(struct rpc_call *call, const char *z, size_t most)
{
        size_t n = strnlen(z, most + 1);
        return n <= most ? arena_strndup(call->arena, z, n) : NULL;
}

static Grant **copy_grants(struct rpc_call *call, Grant *const *grants, size_t n)
{
        Grant **copies = n ? arena_alloc(call->arena, n * sizeof(copies[0])) : NULL;
        Grant *items = n ? arena_alloc(call->arena, n * sizeof(items[0])) : NULL;
        for (size_t i = 0; i < n; i++) {
                items[i] = *grants[i];
                items[i].organization = text(call, grants[i]->organization, 32);
                if (!items[i].organization)
                        return NULL;
                copies[i] = &items[i];
        }
        return copies;
}

static const Principal *copy_principal(struct rpc_call *call, const Principal *from)
{
        if (from->n_grants > 64 || from->n_client_grants > 64)
                return NULL;
        Principal *p = arena_alloc(call->arena, sizeof(*p));
        *p = *from;
        p->id = text(call, from->id, 64);
        p->member = text(call, from->member, 64);
        p->client = text(call, from->client, 64);
        p->session = text(call, from->session, 64);
        p->grants = copy_grants(call, from->grants, from->n_grants);
        p->client_grants = copy_grants(call, from->client_grants, from->n_client_grants);
        bool whole = p->id && p->member && p->client && p->session && (p->grants || !p->n_grants) &&
                     (p->client_grants || !p->n_client_grants);
        return whole ? p : NULL;
}

bool call_accept(struct rpc_call *call, const Request *request)
{
        int64_t left = (int64_t)request->time_left_ms * 1000;
        struct str traceparent = str_of(request->traceparent);
        call->received_us = clock_monotonic_us();
        call->deadline_us = call->received_us + (left < DEADLINE_MOST_US ? left : DEADLINE_MOST_US);
        call->now_us = clock_now_us(call->server->options.clock);
        call->client_key = request->client_key;
        call->attempt = request->attempt;
        if (!request->principal)
                return false;
        call->principal = copy_principal(call, request->principal);
        call->key = text(call, request->idempotency_key, 128);
        call->address = text(call, request->address, 64);
        if (!call->principal || !call->key || !call->address)
                return false;
        if (call->served->contract->lane != NUANXIN__LANE__READ && !call->key[0])
                return false; /* a write that could not be repeated */
        call->actor = audit_actor(call->arena, call->principal);
        if (id_is_traceparent(traceparent)) /* "00-", then 32 digits */
                call->trace = arena_str(call->arena, (struct str){traceparent.p + 3, 32});
        /* What waits for news answers shortly before its caller gives up. */
        int64_t margin = left / 10 < 500000 ? left / 10 : 500000;
        call->park_until_us = call->deadline_us - margin;
        return true;
}
