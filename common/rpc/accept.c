/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's envelope to a call: its bounds are checked, and what it says is used where it lies.
 */
#include "common/rpc/server_internal.h"
#include "common/rpc/write_lane.h"

#define DEADLINE_MOST_US (10 * CLOCK_MINUTE_US)

typedef Nuanxin__Internal__V1__Request Request;

static bool fits(const char *text, size_t most)
{
        return strnlen(text, most + 1) <= most;
}

static bool grants_fit(Grant *const *grants, size_t n)
{
        if (n > 64)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!fits(grants[i]->organization, 32))
                        return false;
        return true;
}

static bool principal_fits(const Principal *p)
{
        return fits(p->id, 64) && fits(p->member, 64) && fits(p->client, 64) && fits(p->session, 64) &&
               grants_fit(p->grants, p->n_grants) && grants_fit(p->client_grants, p->n_client_grants);
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
        call->principal = request->principal;
        call->key = request->idempotency_key;
        call->address = request->address;
        if (!call->principal || !principal_fits(call->principal) || !fits(call->key, 128) || !fits(call->address, 64))
                return false;
        if (call->served->contract->lane != NUANXIN__LANE__READ) {
                if (!call->key[0])
                        return false; /* a write that could not be repeated */
                call->actor = audit_actor(call->arena, call->principal);
        }
        if (id_is_traceparent(traceparent)) /* "00-", then 32 digits */
                call->trace = (struct str){traceparent.p + 3, 32};
        /* What waits for news answers shortly before its caller gives up. */
        int64_t margin = left / 10 < 500000 ? left / 10 : 500000;
        call->park_until_us = call->deadline_us - margin;
        return true;
}
