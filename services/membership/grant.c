/* SPDX-License-Identifier: Apache-2.0
 *
 * Grants of accounts and clients, between requests, store and principals; and pages of what lies below an
 * organisation.
 */
#include "services/membership/handle.h"

#include "contract/internal_v1.h"

int grants_take(struct rpc_call *call, const char *permission, RoleGrant *const *asked, size_t n,
                struct role_grant out[ROLE_GRANT_MAX])
{
        for (size_t i = 0; i < n; i++) {
                struct organization o;
                int r = find_organization(call, asked[i]->organization, &o);
                if (r != 0)
                        return r;
                if (!rpc_allows(call, permission, str_of(o.path)))
                        return rpc_refuse(call, PROBLEM(PERMISSION_DENIED), permission);
                if (asked[i]->role == NUANXIN__TYPE__ROLE__ROLE_AGENCY) /* has its rights by an agreement, not by a grant */
                        return rpc_invalid(call, arena_printf(rpc_arena(call), "/grants/%zu/role", i), "in",
                                           "is for agencies alone", "仅用于外部机构");
                out[i] = (struct role_grant){(int)asked[i]->role, o.code};
        }
        return 0;
}

int grants_within(struct rpc_call *call, const char *permission, const char *holder)
{
        struct role_grant grants[ROLE_GRANT_MAX];
        size_t n = 0;
        int r = role_grants_get(rpc_db(call), rpc_arena(call), holder, grants, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                struct organization o;
                r = find_organization(call, grants[i].organization, &o);
                if (r == 0 && !rpc_allows(call, permission, str_of(o.path)))
                        r = rpc_refuse(call, PROBLEM(PERMISSION_DENIED), permission);
        }
        return r;
}

int grants_fill(struct rpc_call *call, const char *holder, RoleGrant ***ret, size_t *ret_n)
{
        struct arena *arena = rpc_arena(call);
        struct role_grant grants[ROLE_GRANT_MAX];
        size_t n;
        int r = role_grants_get(rpc_db(call), arena, holder, grants, &n);
        if (r != 0)
                return r;
        *ret = ARENA_ARRAY(arena, RoleGrant *, n);
        *ret_n = n;
        for (size_t i = 0; i < n; i++) {
                (*ret)[i] = message_new(arena, &membership_v1_role_grant_msg);
                (*ret)[i]->role = (Nuanxin__Type__Role)grants[i].role;
                (*ret)[i]->organization = grants[i].organization;
        }
        return 0;
}

int grants_principal(struct rpc_call *call, const char *holder, Grant ***ret, size_t *ret_n)
{
        struct arena *arena = rpc_arena(call);
        struct role_grant grants[ROLE_GRANT_MAX];
        size_t n;
        int r = role_grants_get(rpc_db(call), arena, holder, grants, &n);
        if (r != 0)
                return r;
        *ret = ARENA_ARRAY(arena, Grant *, n);
        *ret_n = n;
        for (size_t i = 0; i < n; i++) {
                (*ret)[i] = message_new(arena, &internal_v1_grant_msg);
                (*ret)[i]->role = grants[i].role;
                (*ret)[i]->organization = grants[i].organization;
        }
        return 0;
}

int subtree_page_start(struct rpc_call *call, const char *organization, const char *more, int32_t size,
                       const char *token, struct subtree_page *ret)
{
        struct arena *arena = rpc_arena(call);
        struct organization o;
        struct str key;
        *ret = (struct subtree_page){
                .what = str_of(arena_printf(arena, "%s\n%s", organization, more)),
                .size = rpc_page_size(size),
        };
        int r = find_organization(call, organization, &o);
        if (r == 0)
                r = rpc_page_start(call, token, ret->what, &key);
        if (r != 0)
                return r;
        struct str path = str_cut(&key, '\n');
        ret->path = str_of(o.path);
        ret->after_path = arena_strndup(arena, path.p, path.n);
        ret->after_id = arena_strndup(arena, key.p, key.n);
        return 0;
}

char *subtree_page_next(struct rpc_call *call, const struct subtree_page *page, const char *path,
                        const char *id)
{
        return rpc_page_token(call, page->what, str_of(arena_printf(rpc_arena(call), "%s\n%s", path, id)));
}
