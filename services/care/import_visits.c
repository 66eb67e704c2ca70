/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of visits, row by row: one is planned for somebody who is there already, as at the holidays (慰问名单). A row that was
 * taken is never taken twice: the person has a visit planned for that day and occasion.
 */
#include "import.h"

#include "rules_calendar.h"
#include "work.h"

struct list {
        struct organization scope; /* all live there */
        const char *today;
        const char *account; /* who sent the list */
};

/* One row, read. */
struct planned {
        const char *name, *id_number, *date;
        int64_t due_us; /* the day is over then */
};

int import_visits_prepare(struct import_step *step)
{
        struct list *list = ARENA_NEW(rpc_arena(step->call), struct list);
        struct str owner = str_of(step->import->owner);
        str_cut(&owner, ':');
        list->account = arena_strndup(rpc_arena(step->call), owner.p, owner.n);
        list->today = today(step->call);
        step->state = list;
        int r = organization_load(rpc_db(step->call), rpc_arena(step->call), str_of(step->import->organization), &list->scope);
        return r == CARE_E_ABSENT ? -EUCLEAN : r;
}

static int read_row(struct import_step *s, const struct csv_row *row, struct planned *ret, size_t *ret_column)
{
        const struct list *list = s->state;
        char *id_number = arena_alloc(rpc_arena(s->call), ID_NUMBER_SIZE), *date = arena_alloc(rpc_arena(s->call), DATE_SIZE);
        struct str name;
        day_t day;
        *ret_column = LISTED_ID_NUMBER;
        if (id_number_parse(import_field(row, &s->header, LISTED_ID_NUMBER), list->today, id_number) != 0)
                return IMPORT_ID_NUMBER;
        *ret_column = LISTED_NAME;
        if (name_parse(import_field(row, &s->header, LISTED_NAME), &name) != 0)
                return IMPORT_NAME;
        *ret_column = LISTED_DUE_DATE;
        if (date_parse(import_field(row, &s->header, LISTED_DUE_DATE), date) != 0 || day_parse(str_of(date), &day) != 0)
                return IMPORT_DATE;
        *ret = (struct planned){arena_strndup(rpc_arena(s->call), name.p, name.n), id_number, date,
                                day_start_us(day + 1) - CLOCK_SECOND_US};
        return IMPORT_ROW_OK;
}

static int fault_of(const struct list *list, const struct planned *row, const struct recipient *r, size_t *ret_column)
{
        *ret_column = LISTED_ID_NUMBER;
        if (!str_starts(str_of(r->path), str_of(list->scope.path)))
                return CARE_FAULT_RECIPIENT_UNKNOWN;
        if (r->state != RECIPIENT_ACTIVE)
                return CARE_FAULT_NOT_ACTIVE;
        *ret_column = LISTED_NAME;
        return strcmp(r->name, row->name) == 0 ? IMPORT_ROW_OK : CARE_FAULT_NAME_DIFFERS;
}

/* In a file that is only checked: has a row before planned the same? */
static int check_before(struct import_step *s, const struct planned *row)
{
        const char *visit = arena_printf(rpc_arena(s->call), "%s %s", row->id_number, row->date);
        enum import_seen seen;
        int r = import_check_before(s, recipient_index(s->call, visit), "", &seen);
        if (r == 0)
                *(seen == SEEN_NEVER ? &s->import->accepted : &s->import->unchanged) += 1;
        return r;
}

static int plan(struct import_step *s, const struct planned *row, const struct recipient *r)
{
        const struct list *list = s->state;
        struct visited *t = ARENA_NEW(rpc_arena(s->call), struct visited);
        struct visit v = {.occasion = s->import->about, .at_us = row->due_us};
        bool is_new;
        int x = visited_load(s->call, "", r->id, t);
        if (x != 0)
                return x == CARE_E_ABSENT ? -EUCLEAN : x;
        t->account = list->account;
        x = visit_plan(t, &v, &is_new);
        if (x == 0)
                *(is_new ? &s->import->accepted : &s->import->unchanged) += 1;
        return x;
}

int import_visits_take(struct import_step *s, const struct csv_row *row)
{
        struct planned planned;
        struct visit before;
        struct recipient r;
        size_t column;
        int fault = read_row(s, row, &planned, &column);
        if (fault)
                return import_refuse_row(s, row, fault, column);
        int x = recipient_find(s->call, planned.id_number, &r);
        if (x == CARE_E_ABSENT)
                return import_refuse_row(s, row, CARE_FAULT_RECIPIENT_UNKNOWN, LISTED_ID_NUMBER);
        if (x != 0)
                return x;
        fault = fault_of(s->state, &planned, &r, &column);
        if (fault)
                return import_refuse_row(s, row, fault, column);
        x = visit_planned_for(rpc_db(s->call), rpc_arena(s->call), r.id, s->import->about, planned.due_us, &before);
        s->import->unchanged += x == 0;
        if (x != CARE_E_ABSENT)
                return x;
        if (!visit_may_plan(planned.due_us, rpc_now(s->call)))
                return import_refuse_row(s, row, CARE_FAULT_DUE_DATE, LISTED_DUE_DATE);
        return s->import->validate_only ? check_before(s, &planned) : plan(s, &planned, &r);
}

int handle_import_visits(struct rpc_call *call, const ImportVisitsRequest *request, Nuanxin__Membership__V1__Operation *response)
{
        return import_upload(call, &care_imports,
                             &(const struct import_chunk){
                                     .kind = &care_imports.kinds[CARE_IMPORT_VISITS],
                                     .upload = request->upload,
                                     .organization = request->organization,
                                     .about = request->occasion,
                                     .offset = request->offset,
                                     .data = str_bytes(request->data.data, request->data.len),
                                     .last = request->last,
                                     .validate_only = request->validate_only,
                             },
                             response);
}
