/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of members, row by row. A row that was taken is never taken twice: its ID number is there.
 */
#include "services/membership/import.h"

#include "services/membership/member.h"

struct place {
        struct organization scope; /* all rows lie there */
        struct organization last;  /* of the row before: mostly the next one's too */
        char today[DATE_SIZE];
};

int import_members_prepare(struct import_step *step)
{
        struct place *place = ARENA_NEW(rpc_arena(step->call), struct place);
        date_of(rpc_now(step->call), place->today);
        step->state = place;
        return organization_get(rpc_db(step->call), rpc_arena(step->call), str_of(step->import->organization), &place->scope);
}

static int find_row_organization(struct import_step *s, struct str code, int *ret_fault)
{
        struct place *place = s->state;
        if (!place->last.code || !str_is(code, place->last.code)) {
                int r = organization_get(rpc_db(s->call), rpc_arena(s->call), code, &place->last);
                if (r != 0) {
                        place->last.code = NULL;
                        *ret_fault = IMPORT_ORGANIZATION_UNKNOWN;
                        return r == -ENOENT ? 0 : r;
                }
        }
        *ret_fault = path_is_within(str_of(place->last.path), str_of(place->scope.path)) ? IMPORT_ROW_OK : IMPORT_OUT_OF_SCOPE;
        return 0;
}

static int check_values(struct import_step *s, const struct csv_row *row, char id_number[ID_NUMBER_SIZE],
                        char phone[PHONE_SIZE], char join_date[DATE_SIZE], struct str *name,
                        size_t *ret_column)
{
        const struct place *place = s->state;
        struct str phone_text = import_field(row, &s->header, MEMBER_PHONE);
        struct str date_text = import_field(row, &s->header, MEMBER_JOIN_DATE);
        *ret_column = MEMBER_NAME;
        if (name_parse(import_field(row, &s->header, MEMBER_NAME), name) != 0)
                return IMPORT_NAME;
        *ret_column = MEMBER_ID_NUMBER;
        if (id_number_parse(import_field(row, &s->header, MEMBER_ID_NUMBER), place->today, id_number) != 0)
                return IMPORT_ID_NUMBER;
        *ret_column = MEMBER_PHONE;
        if (phone_text.n && phone_parse(phone_text, phone) != 0)
                return IMPORT_PHONE;
        *ret_column = MEMBER_JOIN_DATE;
        return date_text.n && date_parse(date_text, join_date) != 0 ? IMPORT_DATE : IMPORT_ROW_OK;
}

/* In a file that is only checked: what taking it would find among the rows before. */
static int check_before(struct import_step *s, const struct csv_row *row, const char *id_number, struct str name)
{
        const struct place *place = s->state;
        enum import_seen seen;
        const char *says = arena_printf(rpc_arena(s->call), "%s\n%.*s", place->last.code, (int)name.n, name.p);
        int r = import_check_before(s, member_id_number_index(s->call, id_number), says, &seen);
        if (r == 0 && seen == SEEN_OTHERWISE)
                return import_refuse_row(s, row, IMPORT_PERSON_TWICE, MEMBER_ID_NUMBER);
        if (r == 0 && seen == SEEN_ALIKE)
                s->import->unchanged++;
        else if (r == 0)
                s->import->accepted++;
        return r;
}

int import_members_take(struct import_step *s, const struct csv_row *row)
{
        char id_number[ID_NUMBER_SIZE], phone[PHONE_SIZE] = "", join_date[DATE_SIZE] = "";
        struct place *place = s->state;
        size_t column = MEMBER_ORGANIZATION;
        int fault;
        struct member m;
        struct str name;
        int r = find_row_organization(s, import_field(row, &s->header, MEMBER_ORGANIZATION), &fault);
        if (r == 0 && !fault)
                fault = check_values(s, row, id_number, phone, join_date, &name, &column);
        if (r != 0 || fault)
                return r == 0 ? import_refuse_row(s, row, fault, column) : r;
        r = member_find_id_number(s->call, id_number, &m);
        if (r == 0 && (strcmp(m.organization, place->last.code) != 0 || !str_is(name, m.name)))
                return import_refuse_row(s, row, ROW_MEMBER_EXISTS, MEMBER_ID_NUMBER);
        if (r != -ENOENT) {
                s->import->unchanged += r == 0;
                return r;
        }
        if (!is_valid_at(place->last.valid_from, place->last.valid_to, rpc_now(s->call)))
                return import_refuse_row(s, row, IMPORT_ORGANIZATION_NOT_VALID, MEMBER_ORGANIZATION);
        if (s->import->validate_only)
                return check_before(s, row, id_number, name);
        s->import->accepted++;
        struct member_new new = {.organization = place->last.code,
                                 .name = arena_strndup(rpc_arena(s->call), name.p, name.n),
                                 .id_number = id_number,
                                 .phone = phone,
                                 .join_date = join_date,
                                 .active = true};
        return member_create(s->call, &new, &m);
}

int handle_import_members(struct rpc_call *call, const ImportMembersRequest *request, Operation *response)
{
        return import_upload(call, &membership_imports,
                             &(const struct import_chunk){
                                     .kind = &membership_imports.kinds[IMPORT_MEMBERS],
                                     .upload = request->upload,
                                     .organization = request->organization,
                                     .offset = request->offset,
                                     .data = str_bytes(request->data.data, request->data.len),
                                     .last = request->last,
                                     .validate_only = request->validate_only,
                             },
                             response);
}
