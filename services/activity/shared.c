/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service's handlers share: finding, who may, etags and update masks.
 */
#include "handle.h"

static int find_organization(struct rpc_call *call, struct str code, struct organization *ret)
{
        int r = organization_load(rpc_db(call), rpc_arena(call), code, ret);
        return r == ACTIVITY_E_ABSENT ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ORGANIZATION_UNKNOWN,
                                                   arena_strndup(rpc_arena(call), code.p, code.n))
                                      : r;
}

int organization_path(struct rpc_call *call, struct str code, struct str *ret_path)
{
        struct organization organization;
        int r = find_organization(call, code, &organization);
        if (r == 0)
                *ret_path = str_of(organization.path);
        return r;
}

int valid_organization_path(struct rpc_call *call, const char *code, struct str *ret_path)
{
        struct organization o;
        int r = find_organization(call, str_of(code), &o);
        if (r == 0 && !is_valid_at(o.valid_from_us, o.valid_to_us, rpc_now(call)))
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ORGANIZATION_NOT_VALID, code);
        if (r == 0)
                *ret_path = str_of(o.path);
        return r;
}

/* --- who may ----------------------------------------------------------------------------------------------------- */

int require_member_or_staff(struct rpc_call *call, const char *self, const char *permission,
                            const char *member, struct str member_path, struct str activity_path)
{
        const Principal *principal = rpc_principal(call);
        bool is_member = principal->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__MEMBER;
        bool is_client = principal->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__CLIENT;
        if (!member_path.n && (is_client || (is_member && strcmp(principal->member, member) == 0))) {
                rpc_require_nothing(call); /* no grant reaches whom nobody knows here; "denied" would not be true */
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_MEMBER_UNKNOWN, member);
        }
        if (is_member)
                return rpc_require_member(call, member, member_path);
        if (is_client && rpc_allows(call, self, member_path)) {
                rpc_require_nothing(call);
                return 0;
        }
        if (member_path.n && rpc_allows(call, permission, member_path))
                return rpc_require(call, member_path);
        return rpc_require(call, activity_path);
}

/* --- finding ----------------------------------------------------------------------------------------------------- */

int find_campaign(struct rpc_call *call, const char *id, struct campaign *ret)
{
        int r = campaign_load(rpc_db(call), rpc_arena(call), id, ret);
        return r == ACTIVITY_E_ABSENT ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND) : r;
}

int find_activity(struct rpc_call *call, const char *id, struct activity *ret)
{
        int r = activity_load(rpc_db(call), rpc_arena(call), id, ret);
        return r == ACTIVITY_E_ABSENT ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND) : r;
}

int find_activity_counted(struct rpc_call *call, const char *id, struct activity *ret)
{
        int r = activity_load_counted(rpc_db(call), rpc_arena(call), id, ret);
        return r == ACTIVITY_E_ABSENT ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND) : r;
}

int find_member(struct rpc_call *call, const char *id, Nuanxin__Problem unknown, Nuanxin__Problem inactive,
                struct who *ret)
{
        struct member m;
        int r = member_load(rpc_db(call), rpc_arena(call), id, &m);
        if (r == 0)
                *ret = (struct who){id, m.organization, m.path,
                                    m.active ? NUANXIN__PROBLEM__PROBLEM_NONE : inactive};
        else if (r == ACTIVITY_E_ABSENT)
                *ret = (struct who){id, "", "", unknown};
        return r == ACTIVITY_E_ABSENT ? 0 : r;
}

/* --- etags and masks --------------------------------------------------------------------------------------------- */

char *etag_of(struct rpc_call *call, int64_t revision)
{
        return arena_printf(rpc_arena(call), "%lld", (long long)revision);
}

int check_etag(struct rpc_call *call, const char *etag, int64_t revision)
{
        struct str rest = str_of(etag), own = str_cut(&rest, '-');
        if (etag[0] && !str_is(own, etag_of(call, revision)))
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED);
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
