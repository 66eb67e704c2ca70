/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of policies, row by row: a person is entered who was not, and insured by the group that the import is about. A
 * row that was taken is never taken twice: the group insures the person already.
 */
#include "import.h"

#include "handle.h"
#include "handle_policy.h"
#include "store_policy.h"
#include "store_recipient.h"

struct list {
        struct organization scope; /* all rows lie there */
        struct organization place; /* of the row before: mostly the next one's too */
        const char *today;
};

/* One row, read. */
struct insured {
        const char *name, *id_number;
        const struct organization *place;
};

int import_policies_prepare(struct import_step *step)
{
        struct list *list = ARENA_NEW(rpc_arena(step->call), struct list);
        list->today = today(step->call);
        step->state = list;
        int r = organization_load(rpc_db(step->call), rpc_arena(step->call), str_of(step->import->organization), &list->scope);
        list->place = list->scope;
        return r == CARE_E_ABSENT ? -EUCLEAN : r;
}

static int find_place(struct import_step *s, struct str code, int *ret_fault)
{
        struct list *list = s->state;
        if (!code.n)
                code = str_of(list->scope.code);
        if (!str_is(code, list->place.code)) {
                struct organization o;
                int r = organization_load(rpc_db(s->call), rpc_arena(s->call), code, &o);
                if (r == CARE_E_ABSENT)
                        *ret_fault = IMPORT_ORGANIZATION_UNKNOWN;
                if (r != 0)
                        return r == CARE_E_ABSENT ? 0 : r;
                list->place = o;
        }
        *ret_fault = str_starts(str_of(list->place.path), str_of(list->scope.path)) ? IMPORT_ROW_OK : IMPORT_OUT_OF_SCOPE;
        return 0;
}

static int read_row(struct import_step *s, const struct csv_row *row, struct insured *ret, int *ret_fault, size_t *ret_column)
{
        const struct list *list = s->state;
        char *id_number = arena_alloc(rpc_arena(s->call), ID_NUMBER_SIZE);
        struct str name;
        *ret_column = POLICY_ID_NUMBER;
        *ret_fault = IMPORT_ID_NUMBER;
        if (id_number_parse(import_field(row, &s->header, POLICY_ID_NUMBER), list->today, id_number) != 0)
                return 0;
        *ret_column = POLICY_NAME;
        *ret_fault = IMPORT_NAME;
        if (name_parse(import_field(row, &s->header, POLICY_NAME), &name) != 0)
                return 0;
        *ret_column = POLICY_ORGANIZATION;
        int r = find_place(s, import_field(row, &s->header, POLICY_ORGANIZATION), ret_fault);
        *ret = (struct insured){arena_strndup(rpc_arena(s->call), name.p, name.n), id_number, &list->place};
        return r;
}

/* In a file that is only checked: what taking it would find among the rows before. */
static int check_before(struct import_step *s, const struct csv_row *row, const struct insured *who)
{
        enum import_seen seen;
        int r = import_check_before(s, recipient_index(s->call, who->id_number), who->name, &seen);
        if (r == 0 && seen == SEEN_OTHERWISE)
                return import_refuse_row(s, row, IMPORT_PERSON_TWICE, POLICY_NAME);
        if (r == 0)
                *(seen == SEEN_ALIKE ? &s->import->unchanged : &s->import->accepted) += 1;
        return r;
}

static int enter(struct import_step *s, const struct insured *who, struct recipient *ret)
{
        *ret = (struct recipient){
                .id = rpc_new_id(s->call),
                .organization = who->place->code,
                .path = who->place->path,
                .member = "",
                .household = rpc_new_id(s->call),
                .name = who->name,
                .state = RECIPIENT_ACTIVE,
                .created_us = rpc_now(s->call),
                .updated_us = rpc_now(s->call),
                .revision = 1,
        };
        const struct particulars particulars = {.id_number = who->id_number, .phone = "", .bank_account = ""};
        return recipient_enter(s->call, ret, &particulars);
}

/* What is wrong with insuring a person who is there. */
static int fault_of(const struct list *list, const struct insured *who, const struct recipient *r, size_t *ret_column)
{
        *ret_column = POLICY_ID_NUMBER;
        if (!str_starts(str_of(r->path), str_of(list->scope.path)))
                return IMPORT_OUT_OF_SCOPE;
        if (r->state != RECIPIENT_ACTIVE)
                return CARE_FAULT_NOT_ACTIVE;
        *ret_column = POLICY_NAME;
        return strcmp(r->name, who->name) == 0 ? IMPORT_ROW_OK : CARE_FAULT_NAME_DIFFERS;
}

static int insure(struct import_step *s, const struct recipient *r)
{
        bool is_new;
        int x = policy_insert(rpc_db(s->call),
                              &(const struct policy){.id = rpc_new_id(s->call),
                                                     .group = s->import->about,
                                                     .recipient = r->id,
                                                     .created_us = rpc_now(s->call)},
                              &is_new);
        if (x == 0)
                *(is_new ? &s->import->accepted : &s->import->unchanged) += 1;
        return x;
}

/* Somebody who is there already. */
static int take_known(struct import_step *s, const struct csv_row *row, const struct insured *who, const struct recipient *r)
{
        size_t column;
        bool insured;
        int fault = fault_of(s->state, who, r, &column);
        if (fault)
                return import_refuse_row(s, row, fault, column);
        if (!s->import->validate_only)
                return insure(s, r);
        int x = policy_exists(rpc_db(s->call), s->import->about, r->id, &insured);
        if (x == 0 && !insured)
                return check_before(s, row, who);
        s->import->unchanged += x == 0;
        return x;
}

int import_policies_take(struct import_step *s, const struct csv_row *row)
{
        struct insured who;
        struct recipient r;
        size_t column;
        int fault;
        int x = read_row(s, row, &who, &fault, &column);
        if (x != 0 || fault)
                return x == 0 ? import_refuse_row(s, row, fault, column) : x;
        x = recipient_find(s->call, who.id_number, &r);
        if (x == 0)
                return take_known(s, row, &who, &r);
        if (x != CARE_E_ABSENT)
                return x;
        if (rpc_now(s->call) < who.place->valid_from_us ||
            (who.place->valid_to_us && rpc_now(s->call) >= who.place->valid_to_us))
                return import_refuse_row(s, row, IMPORT_ORGANIZATION_NOT_VALID, POLICY_ORGANIZATION);
        if (s->import->validate_only)
                return check_before(s, row, &who);
        x = enter(s, &who, &r);
        return x == 0 ? insure(s, &r) : x;
}

int handle_import_policies(struct rpc_call *call, const ImportPoliciesRequest *request,
                           Nuanxin__Membership__V1__Operation *response)
{
        struct policy_group group;
        struct organization o;
        int r = policy_group_load(rpc_db(call), rpc_arena(call), request->group, &group);
        if (r == 0)
                r = find_organization(call, request->organization, &o);
        /* A county's list goes into its city's group; one of elsewhere is not there. */
        if (r == CARE_E_ABSENT || (r == 0 && !str_starts(str_of(o.path), str_of(group.path))))
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r != 0)
                return r;
        return import_upload(call, &care_imports,
                             &(const struct import_chunk){
                                     .kind = &care_imports.kinds[CARE_IMPORT_POLICIES],
                                     .upload = request->upload,
                                     .organization = request->organization,
                                     .about = request->group,
                                     .offset = request->offset,
                                     .data = str_bytes(request->data.data, request->data.len),
                                     .last = request->last,
                                     .validate_only = request->validate_only,
                             },
                             response);
}
