/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of members: rows are taken in steps of due work, each a write of its own that leaves behind how
 * far it came. So it goes on by itself after a restart, and a row that was taken is never taken twice: its ID
 * number is there.
 */
#include "services/membership/import.h"

#include "services/membership/member.h"

#include <stdio.h>

#define STATE(name)  NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__##name
#define MAX_BYTES    (1ll << 30)
#define ROWS_A_STEP  1000
#define STEP_IS_FULL 4096 /* what on_row stops with: nothing else says so */
#define DUE_KIND     "import-members"
#define DUE_FORGET   "import-forget"
#define SAYS_SIZE    16 /* bytes of the hash of a row: enough to tell rows apart */

enum { COLUMN_ORGANIZATION, COLUMN_NAME, COLUMN_ID_NUMBER, COLUMN_PHONE, COLUMN_JOIN_DATE, N_COLUMNS };
static const struct import_column columns[N_COLUMNS] = {
        {"organization", "组织代码", false}, {"name", "姓名", false},         {"id_number", "身份证号", false},
        {"phone", "手机号", true},           {"join_date", "入会日期", true},
};

struct step {
        struct rpc_call *call;
        struct import *import;
        struct import_header header;
        struct organization scope; /* all rows lie there */
        struct organization last;  /* of the row before: mostly the next one's too */
        char today[DATE_SIZE];
        int rows;
        bool unreadable; /* the header lacks a column */
};

static int refuse(struct step *s, int64_t row, enum row_fault fault, size_t column)
{
        return import_refuse(s->call, s->import, row, fault, column < N_COLUMNS ? columns[column].name : "");
}

/* --- a row ---------------------------------------------------------------------------------------------- */

static int find_row_organization(struct step *s, struct str code, enum row_fault *ret_fault)
{
        if (!s->last.code || !str_is(code, s->last.code)) {
                int r = organization_get(rpc_db(s->call), rpc_arena(s->call), code, &s->last);
                if (r != 0) {
                        s->last.code = NULL;
                        *ret_fault = ROW_ORGANIZATION_UNKNOWN;
                        return r == -ENOENT ? 0 : r;
                }
        }
        *ret_fault = path_is_within(str_of(s->last.path), str_of(s->scope.path)) ? ROW_OK : ROW_OUT_OF_SCOPE;
        return 0;
}

static enum row_fault check_values(struct step *s, const struct csv_row *row, char id_number[ID_NUMBER_SIZE],
                                   char phone[PHONE_SIZE], char join_date[DATE_SIZE], struct str *name,
                                   size_t *ret_column)
{
        struct str phone_text = import_field(row, &s->header, COLUMN_PHONE);
        struct str date_text = import_field(row, &s->header, COLUMN_JOIN_DATE);
        *ret_column = COLUMN_NAME;
        if (name_parse(import_field(row, &s->header, COLUMN_NAME), name) != 0)
                return ROW_NAME;
        *ret_column = COLUMN_ID_NUMBER;
        if (id_number_parse(import_field(row, &s->header, COLUMN_ID_NUMBER), s->today, id_number) != 0)
                return ROW_ID_NUMBER;
        *ret_column = COLUMN_PHONE;
        if (phone_text.n && phone_parse(phone_text, phone) != 0)
                return ROW_PHONE;
        *ret_column = COLUMN_JOIN_DATE;
        return date_text.n && date_parse(date_text, join_date) != 0 ? ROW_DATE : ROW_OK;
}

/* In a file that is only checked: what taking it would find among the rows before. */
static int check_before(struct step *s, const struct csv_row *row, const char *id_number, struct str name)
{
        struct arena *arena = rpc_arena(s->call);
        unsigned char says[BLIND_INDEX_SIZE];
        enum import_seen seen;
        const char *told = arena_printf(arena, "%s\n%.*s", s->last.code, (int)name.n, name.p);
        crypto_blind_index(rpc_keyring(s->call), "import.row", str_of(told), says);
        int r = import_see(rpc_db(s->call), s->import->id, member_id_number_index(s->call, id_number),
                           str_bytes(says, SAYS_SIZE), &seen);
        if (r == 0 && seen == SEEN_OTHERWISE)
                return refuse(s, row->number, ROW_PERSON_TWICE, COLUMN_ID_NUMBER);
        if (r == 0 && seen == SEEN_ALIKE)
                s->import->unchanged++;
        else if (r == 0)
                s->import->accepted++;
        return r;
}

static int take_row(struct step *s, const struct csv_row *row)
{
        char id_number[ID_NUMBER_SIZE], phone[PHONE_SIZE] = "", join_date[DATE_SIZE] = "";
        size_t column = COLUMN_ORGANIZATION;
        enum row_fault fault;
        struct member m;
        struct str name;
        int r = find_row_organization(s, import_field(row, &s->header, COLUMN_ORGANIZATION), &fault);
        if (r == 0 && !fault)
                fault = check_values(s, row, id_number, phone, join_date, &name, &column);
        if (r != 0 || fault)
                return r == 0 ? refuse(s, row->number, fault, column) : r;
        r = member_find_id_number(s->call, id_number, &m);
        if (r == 0 && (strcmp(m.organization, s->last.code) != 0 || !str_is(name, m.name)))
                return refuse(s, row->number, ROW_MEMBER_EXISTS, COLUMN_ID_NUMBER);
        if (r != -ENOENT) {
                s->import->unchanged += r == 0;
                return r;
        }
        if (!is_valid_at(s->last.valid_from, s->last.valid_to, rpc_now(s->call)))
                return refuse(s, row->number, ROW_ORGANIZATION_NOT_VALID, COLUMN_ORGANIZATION);
        if (s->import->validate_only)
                return check_before(s, row, id_number, name);
        s->import->accepted++;
        struct member_new new = {.organization = s->last.code,
                                 .name = arena_strndup(rpc_arena(s->call), name.p, name.n),
                                 .id_number = id_number,
                                 .phone = phone,
                                 .join_date = join_date,
                                 .active = true};
        return member_create(s->call, &new, &m);
}

/* --- the header, kept between steps --------------------------------------------------------------------- */

static int take_header(struct step *s, const struct csv_row *row)
{
        size_t missing = N_COLUMNS;
        enum row_fault fault = import_header_parse(columns, N_COLUMNS, row, &s->header, &missing);
        s->unreadable = fault != ROW_OK;
        if (fault)
                return refuse(s, row->number, fault, missing) ?: STEP_IS_FULL;
        const int *at = s->header.at;
        s->import->header =
            arena_printf(rpc_arena(s->call), "%d,%d,%d,%d,%d", at[0], at[1], at[2], at[3], at[4]);
        return 0;
}

static void load_header(struct step *s)
{
        int *at = s->header.at;
        if (s->import->header[0])
                sscanf(s->import->header, "%d,%d,%d,%d,%d", &at[0], &at[1], &at[2], &at[3], &at[4]);
}

static int on_row(void *arg, const struct csv_row *row)
{
        struct step *s = arg;
        int r;
        s->import->next_row = row->number;
        s->import->next_offset = row->end;
        if (row->fault)
                r = refuse(s, row->number, import_fault_of(row->fault), N_COLUMNS);
        else if (!s->import->header[0])
                r = take_header(s, row);
        else
                r = take_row(s, row);
        return r == 0 && ++s->rows == ROWS_A_STEP ? STEP_IS_FULL : r;
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static int next_step(struct rpc_call *call, const struct import *import)
{
        return rpc_due_add(call, DUE_KIND, import->id, rpc_now(call), (struct str){0});
}

static int end(struct step *s)
{
        bool read = s->import->header[0];
        int r = read || s->unreadable ? 0 : refuse(s, 1, ROW_EMPTY_FILE, N_COLUMNS);
        if (r == 0 && s->import->validate_only)
                r = rpc_due_add(s->call, DUE_FORGET, s->import->id, rpc_now(s->call), (struct str){0});
        return r == 0 ? import_finish(s->call, s->import, read ? STATE(SUCCEEDED) : STATE(FAILED)) : r;
}

int import_members_forget(struct rpc_call *call, const char *id, struct str payload)
{
        int64_t dropped = 0;
        (void)payload;
        int r = import_seen_drop(rpc_db(call), id, ROWS_A_STEP, &dropped);
        return r == 0 && dropped ? rpc_due_add(call, DUE_FORGET, id, rpc_now(call), (struct str){0}) : r;
}

int import_members_step(struct rpc_call *call, const char *id, struct str payload)
{
        struct import import;
        struct step step = {.call = call, .import = &import};
        (void)payload;
        int r = import_get(rpc_db(call), rpc_arena(call), id, &import);
        if (r == -ENOENT || (r == 0 && import.state != STATE(RUNNING)))
                return 0;
        if (r == 0)
                r = organization_get(rpc_db(call), rpc_arena(call), str_of(import.organization), &step.scope);
        if (r != 0)
                return r;
        date_of(rpc_now(call), step.today);
        load_header(&step);
        r = import_read(call, &import, on_row, &step);
        if (r != 0 && r != STEP_IS_FULL)
                return r;
        if (r == 0 || step.unreadable)
                return end(&step);
        r = import_update(rpc_db(call), &import);
        if (r == 0)
                r = import_pieces_drop(rpc_db(call), import.id, import.next_offset);
        return r == 0 ? next_step(call, &import) : r;
}

int handle_import_members(struct rpc_call *call, const ImportMembersRequest *request, Operation *response)
{
        struct import import;
        bool complete;
        const struct import_chunk chunk = {
                .kind = IMPORT_MEMBERS,
                .upload = request->upload,
                .organization = request->organization,
                .offset = request->offset,
                .limit = MAX_BYTES,
                .data = str_bytes(request->data.data, request->data.len),
                .last = request->last,
                .validate_only = request->validate_only,
        };
        rpc_audit_subject(call, request->upload, request->organization);
        int r = import_receive(call, &chunk, &import, &complete);
        if (r == 0 && complete)
                r = next_step(call, &import);
        return r == 0 ? import_fill(call, &import, response) : r;
}
