/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may: the one place where access is decided. A grant is a role at an organisation and holds wherever that
 * organisation's code stands in the materialised path. Through an app backend, the person's rights and the backend's
 * must both hold.
 */
#include "common/rpc/call.h"

#include "common/base/log.h"
#include "common/rpc/server_internal.h"

#include "nuanxin/type/role.pb-c.h"

#define EVERYWHERE "*" /* as a grant's organisation: at every organisation */

typedef Nuanxin__Internal__V1__Principal__Kind Kind;
#define KIND(name) NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name

int access_permission_id(const char *permission)
{
        for (unsigned i = 0; i < contract_n_permissions; i++)
                if (strcmp(contract_permissions[i], permission) == 0)
                        return (int)i;
        return -1;
}

/* Is code one of the segments of path ("/43/4301/")? */
static bool path_has(struct str path, const char *code)
{
        struct str rest = path;
        if (strcmp(code, EVERYWHERE) == 0)
                return true;
        while (*code && rest.n)
                if (str_is(str_cut(&rest, '/'), code))
                        return true;
        return false;
}

static bool grants_hold(Grant *const *grants, size_t n, int permission, struct str path)
{
        for (size_t i = 0; i < n; i++)
                if (contract_role_has(grants[i]->role, permission) && path_has(path, grants[i]->organization))
                        return true;
        return false;
}

static bool is_self(int permission)
{
        const char *dot = strchr(contract_permissions[permission], '.');
        return dot && strcmp(dot, ".self") == 0;
}

/* What the app backend between may do as well; true if there is none. */
static bool client_holds(const Principal *p, int permission, struct str path)
{
        return !p->client[0] || grants_hold(p->client_grants, p->n_client_grants, permission, path);
}

static bool holds(const Principal *p, int permission, struct str path)
{
        if (p->kind == KIND(OPERATOR))
                return true;
        if (permission < 0 || !client_holds(p, permission, path))
                return false;
        /* Every member session holds the member's role, everywhere; what is one's own is asked by rpc_require_member. */
        if (p->kind == KIND(MEMBER))
                return !is_self(permission) && contract_role_has(NUANXIN__TYPE__ROLE__ROLE_MEMBER, permission);
        if (p->kind == KIND(AGENCY)) /* where it may is its agreement's matter */
                return contract_role_has(NUANXIN__TYPE__ROLE__ROLE_AGENCY, permission);
        return grants_hold(p->grants, p->n_grants, permission, path);
}

static bool any_reaches(Grant *const *grants, size_t n, struct str path)
{
        for (size_t i = 0; i < n; i++)
                if (path_has(path, grants[i]->organization))
                        return true;
        return false;
}

/* Does any grant reach there, whatever its role? Who has none must not learn that there is something. */
static bool reaches(const Principal *p, struct str path)
{
        if (p->client[0] && !any_reaches(p->client_grants, p->n_client_grants, path))
                return false;
        return p->kind == KIND(MEMBER) || p->kind == KIND(AGENCY) || any_reaches(p->grants, p->n_grants, path);
}

static int refuse_permission(struct rpc_call *call)
{
        return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED, call->served->contract->permission);
}

/* --- before the handler ----------------------------------------------------------------------------------------- */

int access_admit(struct rpc_call *call)
{
        const struct contract_method *method = call->served->contract;
        Kind kind = call->principal->kind;
        if (kind == KIND(OPERATOR)) {
                call->said.access_decided = true;
                return 0;
        }
        if (strcmp(method->permission, "public") == 0) {
                call->said.access_decided = true;
                return 0;
        }
        if (call->served->peers_only) {
                call->said.access_decided = true;
                return kind == KIND(SERVICE) ? 0 : refuse_permission(call);
        }
        if (call->served->operator_only)
                return refuse_permission(call);
        if (kind == KIND(ANONYMOUS))
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED);
        bool signed_in = strcmp(method->permission, "signedIn") == 0;
        if (signed_in && kind == KIND(AGENCY)) /* that is meant for the association's own */
                return refuse_permission(call);
        if (signed_in)
                call->said.access_decided = true;
        return 0;
}

int access_at(struct rpc_call *call)
{
        const struct contract_method *method = call->served->contract;
        struct str path;
        if (!method->at)
                return 0;
        if (!call->server->service->organization_path) {
                log_error("a method names an organisation, but the service knows none", "method=%s", method->name);
                return -ENOTSUP;
        }
        struct str code = message_text_at(method->input, call->request, method->at);
        int r = call->server->service->organization_path(call, code, &path);
        return r == 0 ? rpc_require(call, path) : r;
}

/* --- for handlers ----------------------------------------------------------------------------------------------- */

int rpc_require(struct rpc_call *call, struct str path)
{
        const Principal *p = call->principal;
        call->said.access_decided = true;
        if (call->job)
                return 0; /* the service itself */
        if (holds(p, call->served->contract->permission_id, path))
                return 0;
        if (reaches(p, path))
                return refuse_permission(call);
        return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
}

int rpc_require_member(struct rpc_call *call, const char *member, struct str path)
{
        const Principal *p = call->principal;
        if (p->kind != KIND(MEMBER))
                return rpc_require(call, path);
        int self = call->served->self_permission;
        call->said.access_decided = true;
        if (!p->member[0] || strcmp(p->member, member) != 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        if (self >= 0 && contract_role_has(NUANXIN__TYPE__ROLE__ROLE_MEMBER, self) && client_holds(p, self, path))
                return 0;
        return refuse_permission(call);
}

void rpc_require_nothing(struct rpc_call *call)
{
        call->said.access_decided = true;
}

bool rpc_allows(const struct rpc_call *call, const char *permission, struct str path)
{
        return holds(call->principal, access_permission_id(permission), path);
}

bool rpc_grant_allows(int role, const char *organization, const char *permission, struct str path)
{
        int id = access_permission_id(permission);
        return id >= 0 && contract_role_has(role, id) && path_has(path, organization);
}

/* --- scopes ----------------------------------------------------------------------------------------------------- */

static size_t scope_add(const char *codes[64], size_t n, const char *code)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(codes[i], code) == 0)
                        return n;
        if (n < 64)
                codes[n++] = code;
        return n;
}

static size_t scope_of(Grant *const *grants, size_t n_grants, int permission, const char *codes[64])
{
        size_t n = 0;
        for (size_t i = 0; i < n_grants; i++)
                if (contract_role_has(grants[i]->role, permission))
                        n = scope_add(codes, n, grants[i]->organization);
        return n;
}

/* Is the subtree at `code` within one of the scope's? */
static bool scope_covers(struct rpc_call *call, const char *const *codes, size_t n, const char *code)
{
        struct call_said said = call->said; /* an organisation that is gone refuses nothing here */
        struct str path = {0};
        bool known = call->server->service->organization_path &&
                     call->server->service->organization_path(call, str_of(code), &path) == 0;
        call->said = said;
        for (size_t i = 0; i < n; i++)
                if (strcmp(codes[i], EVERYWHERE) == 0 || strcmp(codes[i], code) == 0 ||
                    (known && path_has(path, codes[i])))
                        return true;
        return false;
}

/* Of two subtrees that meet, the lower one is where both hold. */
static size_t scope_both(struct rpc_call *call, const char *const *a, size_t n_a, const char *const *b, size_t n_b,
                         const char *codes[64])
{
        size_t n = 0;
        for (size_t i = 0; i < n_a; i++)
                if (scope_covers(call, b, n_b, a[i]))
                        n = scope_add(codes, n, a[i]);
        for (size_t i = 0; i < n_b; i++)
                if (scope_covers(call, a, n_a, b[i]))
                        n = scope_add(codes, n, b[i]);
        return n;
}

size_t rpc_scope(struct rpc_call *call, const char *codes[64])
{
        const Principal *p = call->principal;
        const char *own[64], *client[64];
        size_t n = 0;
        if (p->kind == KIND(OPERATOR) || call->job) {
                codes[0] = EVERYWHERE;
                return 1;
        }
        int permission = call->served->contract->permission_id;
        if (permission < 0)
                return 0;
        if (p->kind != KIND(MEMBER))
                n = scope_of(p->grants, p->n_grants, permission, own);
        else if (!is_self(permission) && contract_role_has(NUANXIN__TYPE__ROLE__ROLE_MEMBER, permission))
                n = scope_add(own, 0, EVERYWHERE);
        if (p->client[0]) {
                size_t n_client = scope_of(p->client_grants, p->n_client_grants, permission, client);
                return scope_both(call, own, n, client, n_client, codes);
        }
        memcpy(codes, own, n * sizeof(codes[0]));
        return n;
}

int rpc_require_somewhere(struct rpc_call *call)
{
        const char *codes[64];
        call->said.access_decided = true;
        return rpc_scope(call, codes) ? 0 : refuse_permission(call);
}
