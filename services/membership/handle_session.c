/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a session is. The gateway keeps sessions; membership says, at their beginning, with which rights.
 */
#include "services/membership/handle.h"

#include "contract/internal_v1.h"

#define KIND(name) NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name

/* What the slow lane found out: the hash that the password matched, or NULL. */
struct sign_in {
        char *matched;
};

/* An unknown login takes as long as a known one. */
int prepare_create_session(struct rpc_call *call, const CreateSessionRequest *request)
{
        struct account a;
        struct sign_in *found = ARENA_NEW(rpc_arena(call), struct sign_in);
        int r = account_by_login(rpc_db(call), rpc_arena(call),
                                 login_normalize(rpc_arena(call), request->login), &a);
        if (r == -ENOENT)
                password_pretend(str_of(request->password));
        else if (r != 0)
                return r;
        else if (password_matches(a.password, str_of(request->password)))
                found->matched = a.password;
        rpc_prepared_set(call, found);
        return 0;
}

int handle_create_session(struct rpc_call *call, const CreateSessionRequest *request, Session *response)
{
        const struct sign_in *found = rpc_prepared(call);
        struct arena *arena = rpc_arena(call);
        struct account a;
        int r = account_by_login(rpc_db(call), arena, login_normalize(arena, request->login), &a);
        if (r != 0 && r != -ENOENT)
                return r;
        if (r == 0)
                rpc_audit_subject(call, a.id, a.organization);
        if (r == -ENOENT || !found->matched || strcmp(found->matched, a.password) != 0)
                return rpc_refuse(call, PROBLEM(BAD_CREDENTIALS));
        if (a.disabled)
                return rpc_refuse(call, PROBLEM(ACCOUNT_DISABLED));
        Principal *principal = message_new(arena, &internal_v1_principal_msg);
        principal->kind = KIND(ACCOUNT);
        principal->id = a.id;
        principal->generation = (uint64_t)a.generation;
        response->principal = principal;
        response->account = message_new(arena, &membership_v1_account_msg);
        r = grants_principal(call, a.id, &principal->grants, &principal->n_grants);
        return r == 0 ? account_fill(call, &a, response->account) : r;
}

/* The gateway forgets the session; here it only leaves its audit row. */
int handle_delete_session(struct rpc_call *call, const DeleteSessionRequest *request,
                          DeleteSessionResponse *response)
{
        (void)request;
        (void)response;
        rpc_audit_subject(call, rpc_principal(call)->session, "");
        return 0;
}
