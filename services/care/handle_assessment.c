/* SPDX-License-Identifier: Apache-2.0
 *
 * Assessments: a form of the case's programme version, filled in. What its monitors find opens a task each; nothing is added up.
 */
#include "work.h"

#include "handle_programme.h"

#define TABLE        "care_assessment"
#define MONITOR_DAYS 7 /* until such a task is due, where the form does not say */

static const AssessmentForm *find_form(const ProgrammeDocument *document, const char *code)
{
        for (size_t i = 0; i < document->n_assessments; i++)
                if (strcmp(document->assessments[i]->code, code) == 0)
                        return document->assessments[i];
        return NULL;
}

static int open_monitor(struct scene *s, const AssessmentForm *form, const Condition *monitor, bool *ret_opened)
{
        struct care_task *open = ARENA_ARRAY(rpc_arena(s->call), struct care_task, CASE_TASKS_MAX);
        size_t n = 0;
        int days = form->monitor_days ? form->monitor_days : MONITOR_DAYS;
        struct care_task task = {
                .kind = TASK_MONITOR,
                .case_id = s->c.id,
                .programme = s->c.programme,
                .stage = monitor->code,
                .place_path = s->c.path,
                .person = s->person,
                .assignee = "",
                .due_us = rpc_now(s->call) + days * CLOCK_DAY_US,
        };
        int r = tasks_of_case(rpc_db(s->call), rpc_arena(s->call), s->c.id, TASK_MONITOR, monitor->code, open, &n);
        *ret_opened = r == 0 && n == 0;
        return *ret_opened ? task_open(s->call, &task) : r;
}

static int monitor(struct scene *s, const AssessmentForm *form, Assessment *a)
{
        int r = 0;
        a->found = ARENA_ARRAY(rpc_arena(s->call), char *, form->n_monitors + 1);
        for (size_t i = 0; r == 0 && i < form->n_monitors; i++) {
                const Condition *m = form->monitors[i];
                bool opened = false;
                if (condition_holds(m, form->fields, form->n_fields, a->values, a->n_values))
                        r = open_monitor(s, form, m, &opened);
                if (opened)
                        a->found[a->n_found++] = m->code;
        }
        return r;
}

static int keep(struct scene *s, const Assessment *a)
{
        struct assessment row = {
                .id = a->id, .case_id = s->c.id, .form = a->form, .account = a->by, .created_us = rpc_now(s->call)};
        int r = scene_seal(s, TABLE, "sealed", row.id, message_pack(rpc_arena(s->call), a), &row.sealed);
        return r == 0 ? assessment_insert(rpc_db(s->call), &row) : r;
}

static int find_case(struct rpc_call *call, const char *id, struct scene *s)
{
        int r = scene_load(call, id, s);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(s->c.path));
        rpc_audit_subject(call, id, r == 0 ? s->c.organization : "");
        return r == 0 && s->c.closed_us ? rpc_refuse(call, PROBLEM(CASE_CLOSED)) : r;
}

int handle_record_assessment(struct rpc_call *call, const RecordAssessmentRequest *request, Assessment *response)
{
        struct arena *arena = rpc_arena(call);
        const Assessment *asked = request->assessment;
        struct faults faults = {0};
        struct scene s;
        int r = find_case(call, request->case_id, &s);
        if (r != 0)
                return r;
        const AssessmentForm *form = find_form(s.document, asked->form);
        if (!form)
                return rpc_refuse(call, PROBLEM(FORM_UNKNOWN), s.c.programme, arena_printf(arena, "%d", s.c.version), asked->form);
        facts_check(arena, form->fields, form->n_fields, NULL, 0, asked->values, asked->n_values, &faults);
        if (faults.n)
                return refuse_faults(call, PROBLEM(FACT_INVALID), &faults);
        response->id = rpc_new_id(call);
        response->case_id = (char *)s.c.id;
        response->form = form->code;
        response->by = (char *)rpc_principal(call)->id;
        response->create_time = rpc_timestamp(call, rpc_now(call));
        response->values = asked->values;
        response->n_values = asked->n_values;
        r = monitor(&s, form, response);
        if (r == 0)
                r = keep(&s, response);
        response->values = NULL; /* those are for who has them revealed */
        response->n_values = 0;
        return r == CARE_E_ABSENT ? rpc_refuse(call, PROBLEM(RECIPIENT_ERASED)) : r;
}

int assessment_open(struct scene *s, const struct assessment *a, Assessment **ret)
{
        struct arena *arena = rpc_arena(s->call);
        struct str plain;
        int r = scene_open(s, TABLE, "sealed", a->id, a->sealed, &plain);
        if (r == 0)
                return message_unpack(arena, &care_v1_assessment_msg, plain.p, plain.n, (ProtobufCMessage **)ret);
        if (r != CARE_E_ABSENT)
                return r;
        *ret = message_new(arena, &care_v1_assessment_msg);
        (*ret)->id = (char *)a->id;
        (*ret)->case_id = (char *)a->case_id;
        (*ret)->form = (char *)a->form;
        (*ret)->by = (char *)a->account;
        (*ret)->create_time = rpc_timestamp(s->call, a->created_us);
        return 0;
}
