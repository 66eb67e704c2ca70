/* SPDX-License-Identifier: Apache-2.0
 *
 * What the handlers share: entity tags, field masks, finding an organisation or a member.
 */
#include "services/membership/handle.h"

#include "google/protobuf/field_mask.pb-c.h"

void etag_of(int64_t version, char out[ETAG_SIZE])
{
        out[str_put_i64(out, version)] = 0;
}

int etag_check(struct rpc_call *call, const char *given, int64_t version)
{
        char etag[ETAG_SIZE];
        etag_of(version, etag);
        return given[0] && strcmp(given, etag) != 0 ? rpc_refuse(call, PROBLEM(PRECONDITION_FAILED)) : 0;
}

bool mask_has(const Google__Protobuf__FieldMask *mask, const char *name, bool otherwise)
{
        if (!mask || mask->n_paths == 0)
                return otherwise;
        for (size_t i = 0; i < mask->n_paths; i++)
                if (strcmp(mask->paths[i], name) == 0)
                        return true;
        return false;
}

int find_organization(struct rpc_call *call, const char *code, struct organization *ret)
{
        int r = organization_get(rpc_db(call), rpc_arena(call), str_of(code), ret);
        return r == -ENOENT ? rpc_refuse(call, PROBLEM(ORGANIZATION_UNKNOWN), code) : r;
}

int find_valid_organization(struct rpc_call *call, const char *code, struct organization *ret)
{
        int r = find_organization(call, code, ret);
        if (r == 0 && !is_valid_at(ret->valid_from, ret->valid_to, rpc_now(call)))
                return rpc_refuse(call, PROBLEM(ORGANIZATION_NOT_VALID), code);
        return r;
}

int organization_path(struct rpc_call *call, struct str code, struct str *ret_path)
{
        struct organization o;
        if (code.n == 0) {
                *ret_path = STR("/");
                return 0;
        }
        int r = find_organization(call, arena_strndup(rpc_arena(call), code.p, code.n), &o);
        if (r == 0)
                *ret_path = str_of(o.path);
        return r;
}

int find_member(struct rpc_call *call, const char *id, enum reach reach, struct member *ret)
{
        int r = member_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r == -ENOENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = reach == OWN_TOO ? rpc_require_member(call, id, str_of(ret->path))
                                     : rpc_require(call, str_of(ret->path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        return r;
}

int find_person(struct rpc_call *call, const char *id, enum reach reach, struct member *ret)
{
        int r = find_member(call, id, reach, ret);
        return r == 0 && ret->erased ? rpc_refuse(call, PROBLEM(MEMBER_ERASED)) : r;
}
