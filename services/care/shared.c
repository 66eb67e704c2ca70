/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service's handlers share: organisations, who may, etags and update masks, pages.
 */
#include "handle.h"

#include "common/people/people.h"

/* --- organisations ----------------------------------------------------------------------------------------------- */

static int load_organization(struct rpc_call *call, struct str code, struct organization *ret)
{
        int r = organization_load(rpc_db(call), rpc_arena(call), code, ret);
        return r == CARE_E_ABSENT
                       ? rpc_refuse(call, PROBLEM(ORGANIZATION_UNKNOWN), arena_strndup(rpc_arena(call), code.p, code.n))
                       : r;
}

int organization_path(struct rpc_call *call, struct str code, struct str *ret_path)
{
        struct organization o;
        int r = load_organization(call, code, &o);
        if (r == 0)
                *ret_path = str_of(o.path);
        return r;
}

int find_organization(struct rpc_call *call, const char *code, struct organization *ret)
{
        return load_organization(call, str_of(code), ret);
}

int find_valid_organization(struct rpc_call *call, const char *code, struct organization *ret)
{
        int64_t now = rpc_now(call);
        int r = load_organization(call, str_of(code), ret);
        if (r == 0 && (now < ret->valid_from_us || (ret->valid_to_us && now >= ret->valid_to_us)))
                return rpc_refuse(call, PROBLEM(ORGANIZATION_NOT_VALID), code);
        return r;
}

/* --- who may ----------------------------------------------------------------------------------------------------- */

int account_may(struct rpc_call *call, const char *account, const char *permission, struct str path, bool *ret)
{
        struct account a;
        bool may = false;
        int r = account_load(rpc_db(call), rpc_arena(call), account, &a);
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        for (size_t i = 0; r == 0 && !a.disabled && i < a.n_rights; i++)
                may = may || rpc_grant_allows(a.rights[i].role, a.rights[i].organization, permission, path);
        *ret = may;
        return 0;
}

/* --- etags, masks, days ------------------------------------------------------------------------------------------ */

char *etag_of(struct rpc_call *call, int64_t revision)
{
        return arena_printf(rpc_arena(call), "%lld", (long long)revision);
}

int check_etag(struct rpc_call *call, const char *etag, int64_t revision)
{
        if (etag[0] && strcmp(etag, etag_of(call, revision)) != 0)
                return rpc_refuse(call, PROBLEM(PRECONDITION_FAILED));
        return 0;
}

bool is_changed(const Google__Protobuf__FieldMask *mask, const char *field, bool given)
{
        if (!mask || mask->n_paths == 0)
                return given;
        for (size_t i = 0; i < mask->n_paths; i++)
                if (strcmp(mask->paths[i], field) == 0)
                        return true;
        return false;
}

char *today(struct rpc_call *call)
{
        char *date = arena_alloc(rpc_arena(call), DATE_SIZE);
        date_of(rpc_now(call), date);
        return date;
}

/* --- pages ------------------------------------------------------------------------------------------------------- */

int subtree_page_start(struct rpc_call *call, const char *organization, const char *more, int32_t size, const char *token,
                       struct subtree_page *ret)
{
        struct arena *arena = rpc_arena(call);
        struct organization o;
        struct str key, path;
        *ret = (struct subtree_page){
                .filter = str_of(arena_printf(arena, "%s\n%s", organization, more)),
                .size = rpc_page_size(size),
        };
        int r = find_organization(call, organization, &o);
        if (r == 0)
                r = rpc_page_start(call, token, ret->filter, &key);
        if (r != 0)
                return r;
        path = str_cut(&key, '\n');
        ret->path = str_of(o.path);
        ret->after_path = arena_strndup(arena, path.p, path.n);
        ret->after_id = arena_strndup(arena, key.p, key.n);
        return 0;
}

char *subtree_page_next(struct rpc_call *call, const struct subtree_page *page, const char *path, const char *id)
{
        return rpc_page_token(call, page->filter, str_of(arena_printf(rpc_arena(call), "%s\n%s", path, id)));
}
