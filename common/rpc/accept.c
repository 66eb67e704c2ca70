/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's envelope to a call: its bounds are checked, and what it says is used where it lies; and whether the
 * connection's role may speak for whom it says.
 */
#include "common/rpc/server_internal.h"
#include "common/rpc/write_lane.h"

#include "common/base/log.h"

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

/* --- roles ------------------------------------------------------------------------------------------------------ */

#define SAY_EVERY_US CLOCK_MINUTE_US
#define KIND(name)   NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name
#define BIT(name)    (1u << KIND(name))

/* What the gateway asks in its own name. */
static const char *const gateway_asks[] = {
        "nuanxin.internal.v1.Peer.PullEvents", /* of revoked rights */
        "nuanxin.membership.v1.Membership.AuthenticateClient",
        "nuanxin.stream.v1.Stream.AuthenticateAgency",
        NULL,
};
/* And the edge. */
static const char *const edge_asks[] = {"nuanxin.stream.v1.Stream.ListEdgeKeys", NULL};

static bool is_of(const struct contract_method *method, const char *const *names)
{
        for (size_t i = 0; names[i]; i++)
                if (strcmp(method->name, names[i]) == 0)
                        return true;
        return false;
}

/* Any other role is a service's, and services ask in their own name only. */
static bool role_allows(const char *role, unsigned kind, const struct contract_method *method)
{
        static const unsigned people = BIT(ANONYMOUS) | BIT(ACCOUNT) | BIT(MEMBER) | BIT(CLIENT) | BIT(AGENCY);
        if (strcmp(role, "operator") == 0)
                return kind == KIND(OPERATOR);
        if (strcmp(role, "gateway") == 0)
                return kind == KIND(SERVICE) ? is_of(method, gateway_asks) : kind < 32 && (people >> kind & 1);
        if (strcmp(role, "edge") == 0)
                return kind == KIND(SERVICE) ? is_of(method, edge_asks) : kind == KIND(AGENCY);
        return kind == KIND(SERVICE);
}

bool call_fits_role(struct rpc_call *call)
{
        struct rpc_server *server = call->server;
        const char *role = call->from.role;
        const ProtobufCEnumValue *kind;
        if (!role[0] || role_allows(role, (unsigned)call->principal->kind, call->served->contract))
                return true;
        metric_add(server->out_of_role, 1);
        if (!server->out_of_role_said_us || call->received_us - server->out_of_role_said_us >= SAY_EVERY_US) {
                server->out_of_role_said_us = call->received_us;
                kind = protobuf_c_enum_descriptor_get_value(&nuanxin__internal__v1__principal__kind__descriptor,
                                                            (int)call->principal->kind);
                log_warn("a caller's role may not ask as that kind of principal: refused", "role=%s kind=%s method=%s total=%lld",
                         role, kind ? kind->name : "unknown", call->served->contract->name,
                         (long long)metric_get(server->out_of_role));
        }
        return false;
}
