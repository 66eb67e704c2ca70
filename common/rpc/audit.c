/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit: one row for every write that was understood, accepted or refused, in its transaction. Work of the service
 * itself (due, consumers) leaves one only if it names a subject. Rows are never trimmed.
 */
#include "common/rpc/write_lane.h"

/* "account:ID": the kinds of Principal.Kind in lower case. */
const char *audit_actor(struct arena *arena, const Principal *p)
{
        static const char *const kinds[] = {"anonymous", "account", "member", "client", "service", "operator", "agency"};
        const char *kind = (size_t)p->kind < ARRAY_LEN(kinds) ? kinds[p->kind] : "unknown";
        char *actor = arena_alloc(arena, strlen(kind) + 1 + strlen(p->id) + 1);
        stpcpy(stpcpy(stpcpy(actor, kind), ":"), p->id);
        return actor;
}

/* A problem's name without the urn: in front: "activity-full". */
static const char *outcome_name(Nuanxin__Problem problem)
{
        if (problem == NUANXIN__PROBLEM__PROBLEM_NONE)
                return "ok";
        const char *type = contract_problem_of(problem)->type, *colon = strrchr(type, ':');
        return colon ? colon + 1 : type;
}

int audit_write(struct write_lane *lane, struct rpc_call *call)
{
        const struct call_said *said = &call->said;
        const char *method = call->served ? call->served->contract->name
                                          : arena_printf(call->arena, "due/%s", call->due_kind);
        return numbers_audit(lane, &(struct audit_row){.time_us = call->now_us,
                                                       .principal = call->actor,
                                                       .client = call->principal->client,
                                                       .method = method,
                                                       .subject = said->subject,
                                                       .organization = said->organization,
                                                       .outcome = outcome_name(call->problem),
                                                       .purpose = said->purpose,
                                                       .trace = call->trace});
}
