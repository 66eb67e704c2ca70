/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit: one row for every write that was understood, accepted or refused, in its transaction. Work of the service
 * itself (due, consumers) leaves one only if it names a subject. Rows are never trimmed.
 */
#include "common/rpc/write_lane.h"

/* "account:ID": the kinds of Principal.Kind in lower case. */
const char *audit_actor(struct arena *arena, const Principal *p)
{
        static const char *const kinds[] = {"anonymous", "account", "member", "client", "service", "operator"};
        const char *kind = (size_t)p->kind < ARRAY_LEN(kinds) ? kinds[p->kind] : "unknown";
        char *actor = arena_alloc(arena, strlen(kind) + 1 + strlen(p->id) + 1);
        stpcpy(stpcpy(stpcpy(actor, kind), ":"), p->id);
        return actor;
}

int audit_load(struct write_lane *lane)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_audit";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(lane->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        lane->audit_next = store_i64(rows, 0) + 1;
        return 0;
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
        static const char sql[] = "INSERT INTO rpc_audit (seq, time_us, principal, client, method, subject, "
                                  "organization, outcome, purpose, trace) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        const struct call_said *said = &call->said;
        const char *method = call->served ? call->served->contract->name
                                          : arena_printf(call->arena, "due/%s", call->due_kind);
        int r = store_exec(lane->db, sql, NULL, I64(lane->audit_next), I64(call->now_us), TEXTZ(call->actor),
                           TEXTZ(call->principal->client), TEXTZ(method), TEXTZ(said->subject),
                           TEXTZ(said->organization), TEXTZ(outcome_name(call->problem)), TEXTZ(said->purpose),
                           TEXT(call->trace));
        if (r == 0)
                lane->audit_next++;
        return r;
}
