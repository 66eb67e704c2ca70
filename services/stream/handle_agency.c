/* SPDX-License-Identifier: Apache-2.0
 *
 * Agencies: registering and changing them, as the operator does.
 */
#include "services/stream/handle_agency.h"

#include "common/rpc/worker.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

/* --- showing ------------------------------------------------------------------------------------------------------------- */

static void fill_list(struct rpc_call *call, struct view_list list, char ***ret, size_t *ret_n)
{
        *ret = ARENA_ARRAY(rpc_arena(call), char *, list.n + 1);
        *ret_n = list.n;
        if (list.n)
                memcpy(*ret, list.items, list.n * sizeof(char *));
}

static int fill(struct rpc_call *call, const struct agency *a, Agency *out)
{
        struct agency_key *keys;
        size_t n;
        int r = agency_keys_load(rpc_db(call), rpc_arena(call), a->id, &keys, &n);
        if (r != 0)
                return r;
        out->id = (char *)a->id;
        out->name = (char *)a->name;
        fill_list(call, a->purposes, &out->purposes, &out->n_purposes);
        fill_list(call, a->statutory, &out->statutory_purposes, &out->n_statutory_purposes);
        fill_list(call, a->types, &out->types, &out->n_types);
        fill_list(call, a->organizations, &out->organizations, &out->n_organizations);
        fill_list(call, a->withheld, &out->withheld_fields, &out->n_withheld_fields);
        out->privacy = (char *)(a->privacy == NUANXIN__PRIVACY__PERSONAL ? "personal" : "public");
        out->agreement = (char *)a->agreement;
        out->agreement_expire_time = rpc_timestamp(call, a->agreement_expire_us);
        out->suspended = a->suspended;
        out->create_time = rpc_timestamp(call, a->created_us);
        out->update_time = rpc_timestamp(call, a->updated_us);
        out->keys = ARENA_ARRAY(rpc_arena(call), AgencyKey *, n + 1);
        for (size_t i = 0; i < n; i++)
                out->keys[out->n_keys++] = agency_key_message(call, &keys[i]);
        return 0;
}

int find_agency(struct rpc_call *call, const char *id, struct agency *ret)
{
        rpc_audit_subject(call, id, "");
        int r = agency_load(rpc_db(call), rpc_arena(call), id, ret);
        return r == STREAM_E_ABSENT ? rpc_refuse(call, PROBLEM(NOT_FOUND)) : r;
}

int agency_changed(struct rpc_call *call, struct agency *a, Agency *response)
{
        AgencyRightsChanged event = NUANXIN__STREAM__V1__AGENCY_RIGHTS_CHANGED__INIT;
        event.agency = (char *)a->id;
        a->updated_us = rpc_now(call);
        int r = agency_save(rpc_db(call), a);
        if (r == 0)
                r = rpc_emit(call, &stream_v1_agency_rights_changed_msg, &event, a->id, "");
        if (r == 0)
                r = rpc_wake(call); /* its webhooks may wait for it */
        return r == 0 && response ? fill(call, a, response) : r;
}

/* --- checking ------------------------------------------------------------------------------------------------------------- */

static int check_organizations(struct rpc_call *call, struct view_list organizations)
{
        for (size_t i = 0; i < organizations.n; i++) {
                const char *path, *code = organizations.items[i];
                int r = organization_path_load(rpc_db(call), rpc_arena(call), str_of(code), &path);
                if (r == STREAM_E_ABSENT)
                        return rpc_about(call, arena_printf(rpc_arena(call), "/agency/organizations/%zu", i),
                                         rpc_refuse(call, PROBLEM(ORGANIZATION_UNKNOWN), code));
                if (r != 0)
                        return r;
        }
        return 0;
}

/* A misspelt field would be shown. */
static int check_withheld(struct rpc_call *call, struct view_list withheld)
{
        for (size_t i = 0; i < withheld.n; i++)
                if (!view_field_is_known(str_of(withheld.items[i])))
                        return rpc_invalid(call, arena_printf(rpc_arena(call), "/agency/withheldFields/%zu", i), "unknownField",
                                           "names no field of an event: give its message's full name and its own, as nuanxin.activity.v1.Campaign.title",
                                           "没有该事件字段：请用消息全名加字段名，如 nuanxin.activity.v1.Campaign.title");
        return 0;
}

static int check(struct rpc_call *call, const struct agency *a)
{
        for (size_t i = 0; i < a->types.n; i++)
                if (!view_pattern_is_known(str_of(a->types.items[i])))
                        return rpc_about(call, arena_printf(rpc_arena(call), "/agency/types/%zu", i),
                                         rpc_refuse(call, PROBLEM(EVENT_TYPE_UNKNOWN), a->types.items[i]));
        if (!a->name[0])
                return rpc_invalid(call, "/agency/name", "required", "is required", "必填");
        if (!a->agreement[0])
                return rpc_invalid(call, "/agency/agreement", "required", "is required", "必填");
        if (!a->agreement_expire_us)
                return rpc_invalid(call, "/agency/agreementExpireTime", "required", "is required", "必填");
        int r = check_withheld(call, a->withheld);
        return r == 0 ? check_organizations(call, a->organizations) : r;
}

/* Who may learn of persons is told when to delete what it learnt. */
static struct view_list with_notices(struct rpc_call *call, struct view_list types)
{
        const char **all = ARENA_ARRAY(rpc_arena(call), const char *, types.n + contract_n_messages);
        size_t n = types.n;
        bool persons = false;
        for (unsigned i = 0; i < contract_n_messages; i++)
                persons = persons || (contract_messages[i]->person && view_is_public(contract_messages[i]) &&
                                      view_list_allows(types, contract_messages[i]->name));
        if (types.n)
                memcpy(all, types.items, types.n * sizeof(*all));
        for (unsigned i = 0; persons && i < contract_n_messages; i++)
                if (contract_messages[i]->notice && !view_list_allows(types, contract_messages[i]->name))
                        all[n++] = contract_messages[i]->name;
        return (struct view_list){all, n};
}

/* --- making and changing ------------------------------------------------------------------------------------------------------ */

static struct view_list list_of(char *const *items, size_t n)
{
        return (struct view_list){(const char *const *)items, n};
}

static Nuanxin__Privacy privacy_of(const char *text)
{
        return strcmp(text, "personal") == 0 ? NUANXIN__PRIVACY__PERSONAL : NUANXIN__PRIVACY__PUBLIC;
}

int handle_create_agency(struct rpc_call *call, const CreateAgencyRequest *request, Agency *response)
{
        const Agency *given = request->agency;
        struct agency a = {
                .id = given->id,
                .name = given->name,
                .agreement = given->agreement,
                .purposes = list_of(given->purposes, given->n_purposes),
                .statutory = list_of(given->statutory_purposes, given->n_statutory_purposes),
                .types = list_of(given->types, given->n_types),
                .organizations = list_of(given->organizations, given->n_organizations),
                .withheld = list_of(given->withheld_fields, given->n_withheld_fields),
                .privacy = privacy_of(given->privacy),
                .agreement_expire_us = rpc_timestamp_us(given->agreement_expire_time),
                .created_us = rpc_now(call),
                .updated_us = rpc_now(call),
                .revision = 1,
        };
        rpc_audit_subject(call, a.id, "");
        int r = check(call, &a);
        if (r == 0 && a.agreement_expire_us <= rpc_now(call))
                r = rpc_invalid(call, "/agency/agreementExpireTime", "future", "is past: the agency would see nothing", "已过期，机构将看不到任何事件");
        if (r != 0)
                return r;
        a.types = with_notices(call, a.types);
        r = agency_insert(rpc_db(call), &a);
        if (r == STORE_E_CONSTRAINT)
                return rpc_about(call, "/agency/id", rpc_refuse(call, PROBLEM(AGENCY_EXISTS)));
        return r == 0 ? fill(call, &a, response) : r;
}

static bool has(const UpdateAgencyRequest *request, const char *field)
{
        for (size_t i = 0; i < request->update_mask->n_paths; i++)
                if (strcmp(request->update_mask->paths[i], field) == 0)
                        return true;
        return false;
}

static void change_lists(const UpdateAgencyRequest *request, struct agency *a)
{
        const Agency *given = request->agency;
        if (has(request, "purposes"))
                a->purposes = list_of(given->purposes, given->n_purposes);
        if (has(request, "statutory_purposes"))
                a->statutory = list_of(given->statutory_purposes, given->n_statutory_purposes);
        if (has(request, "types"))
                a->types = list_of(given->types, given->n_types);
        if (has(request, "organizations"))
                a->organizations = list_of(given->organizations, given->n_organizations);
        if (has(request, "withheld_fields"))
                a->withheld = list_of(given->withheld_fields, given->n_withheld_fields);
}

int handle_update_agency(struct rpc_call *call, const UpdateAgencyRequest *request, Agency *response)
{
        const Agency *given = request->agency;
        struct agency a;
        int r = find_agency(call, given->id, &a);
        if (r != 0)
                return r;
        change_lists(request, &a);
        if (has(request, "name"))
                a.name = given->name;
        if (has(request, "privacy"))
                a.privacy = privacy_of(given->privacy);
        if (has(request, "agreement"))
                a.agreement = given->agreement;
        if (has(request, "agreement_expire_time"))
                a.agreement_expire_us = rpc_timestamp_us(given->agreement_expire_time);
        r = check(call, &a);
        if (r != 0)
                return r;
        a.types = with_notices(call, a.types);
        return agency_changed(call, &a, response);
}

static int set_suspended(struct rpc_call *call, const char *id, bool suspended, Agency *response)
{
        struct agency a;
        int r = find_agency(call, id, &a);
        if (r != 0 || a.suspended == suspended)
                return r == 0 ? fill(call, &a, response) : r;
        a.suspended = suspended;
        return agency_changed(call, &a, response);
}

int handle_suspend_agency(struct rpc_call *call, const SuspendAgencyRequest *request, Agency *response)
{
        return set_suspended(call, request->agency, true, response);
}

int handle_resume_agency(struct rpc_call *call, const ResumeAgencyRequest *request, Agency *response)
{
        return set_suspended(call, request->agency, false, response);
}

/* --- reading -------------------------------------------------------------------------------------------------------------------- */

int handle_get_agency(struct rpc_call *call, const GetAgencyRequest *request, Agency *response)
{
        struct agency a;
        int r = find_agency(call, request->agency, &a);
        return r == 0 ? fill(call, &a, response) : r;
}

static int read_page(struct rpc_call *call, const char *after, size_t size, struct agency *agencies, size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = agencies_query(rpc_db(call), after, (int64_t)size, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                agency_read(rows, rpc_arena(call), &agencies[n++]);
                r = 0;
        }
        *ret_n = n;
        return r;
}

int handle_list_agencies(struct rpc_call *call, const ListAgenciesRequest *request, ListAgenciesResponse *response)
{
        struct arena *arena = rpc_arena(call);
        size_t size = (size_t)rpc_page_size(request->page_size), n = 0, bytes = 0;
        struct agency *agencies = ARENA_ARRAY(arena, struct agency, size + 1);
        struct str key;
        int r = rpc_page_start(call, request->page_token, (struct str){0}, &key);
        if (r == 0)
                r = read_page(call, arena_strndup(arena, key.p ? key.p : "", key.n), size + 1, agencies, &n);
        response->agencies = ARENA_ARRAY(arena, Agency *, size);
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (i == size || bytes >= RPC_PAGE_BYTES) {
                        response->next_page_token = rpc_page_token(call, (struct str){0}, str_of(agencies[i - 1].id));
                        break;
                }
                Agency *out = message_new(arena, &stream_v1_agency_msg);
                r = fill(call, &agencies[i], out);
                response->agencies[response->n_agencies++] = out;
                bytes += protobuf_c_message_get_packed_size(&out->base);
        }
        return r;
}
