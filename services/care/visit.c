/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits: planned, taken, and the tasks that they make. While a case stands at a CARE stage of a programme with visit_days, one
 * planned visit of its own goes along: due so many days after the last that settled one.
 */
#include "work.h"

#define TABLE "care_visit"

/* --- what is visited ------------------------------------------------------------------------------------------------------ */

static int load_case(struct rpc_call *call, const char *case_id, struct visited *t)
{
        int r = scene_load(call, case_id, &t->scene);
        const struct scene *s = &t->scene;
        if (r != 0)
                return r;
        t->has_case = true;
        t->subject = t->case_id = s->c.id;
        t->recipient = s->c.recipient;
        t->organization = s->c.organization;
        t->path = s->c.path;
        t->person = s->person;
        t->closed_us = s->c.closed_us;
        t->erased = s->has_person && s->r.erased_us;
        return 0;
}

static int load_person(struct rpc_call *call, const char *recipient, struct visited *t)
{
        struct recipient r;
        int x = recipient_load(rpc_db(call), rpc_arena(call), recipient, &r);
        if (x != 0)
                return x;
        t->case_id = "";
        t->subject = t->recipient = r.id;
        t->organization = r.organization;
        t->path = r.path;
        t->person = recipient_person(&r);
        t->erased = r.erased_us;
        return 0;
}

int visited_load(struct rpc_call *call, const char *case_id, const char *recipient, struct visited *t)
{
        *t = (struct visited){.call = call, .account = rpc_principal(call)->id};
        if (!case_id[0])
                return recipient[0] ? load_person(call, recipient, t) : CARE_E_ABSENT;
        int r = load_case(call, case_id, t);
        return r == 0 && recipient[0] && strcmp(recipient, t->recipient) != 0 ? CARE_E_ABSENT : r;
}

static int seal_note(struct visited *t, const char *id, const char *note, struct str *ret)
{
        struct person_key key;
        *ret = (struct str){0};
        if (!note[0])
                return 0;
        if (t->has_case)
                return scene_seal(&t->scene, TABLE, "note", id, str_of(note), ret);
        int r = recipient_key(t->call, t->recipient, &key);
        if (r == 0)
                *ret = recipient_seal(t->call, &key, TABLE, "note", id, note);
        return r;
}

/* --- tasks ---------------------------------------------------------------------------------------------------------------- */

static int open_task(struct rpc_call *call, const struct visit *v, const char *programme, const char *path, const char *person,
                     const char **ret_task)
{
        struct care_task task = {
                .kind = TASK_VISIT,
                .case_id = v->case_id,
                .programme = programme,
                .stage = v->occasion,
                .place_path = path,
                .person = person,
                .assignee = "",
                .due_us = v->at_us,
        };
        int r = task_open(call, &task);
        *ret_task = task.id;
        return r;
}

static int close_task(struct rpc_call *call, const char *id)
{
        struct care_task task;
        int r = task_load(rpc_db(call), rpc_arena(call), id, &task);
        if (r == CARE_E_ABSENT || (r == 0 && task.done_us))
                return 0;
        return r == 0 ? task_close(call, &task) : r;
}

/* --- a case's own ------------------------------------------------------------------------------------------------------------ */

static int plan_routine(struct scene *s, int64_t due_us)
{
        bool is_new;
        struct visit v = {
                .id = rpc_new_id(s->call),
                .subject = s->c.id,
                .case_id = s->c.id,
                .recipient = s->c.recipient,
                .organization = s->c.organization,
                .occasion = "",
                .at_us = due_us,
                .account = "",
                .device = "",
                .nonce = "",
                .routine = true,
                .created_us = rpc_now(s->call),
        };
        int r = open_task(s->call, &v, s->c.programme, s->c.path, s->person, &v.task);
        if (r == 0)
                r = visit_insert(rpc_db(s->call), &v, &is_new);
        return r == 0 && !is_new ? STORE_E_RETRY : r;
}

static int put_off_routine(struct scene *s, struct visit *v, int64_t due_us)
{
        const char *before = v->task;
        int r = close_task(s->call, before);
        v->at_us = due_us;
        if (r == 0)
                r = open_task(s->call, v, s->c.programme, s->c.path, s->person, &v->task);
        return r == 0 ? visit_put_off(rpc_db(s->call), v, before) : r;
}

int visits_renew(struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        struct visit v;
        int64_t last = 0;
        if (!stage || stage->kind != STAGE_CARE || !s->document->visit_days)
                return 0;
        int r = visit_last(rpc_db(s->call), s->c.id, &last);
        if (r != 0)
                return r;
        int64_t due = visit_next_us(s->c.stage_us, last, s->document->visit_days);
        r = visit_routine(rpc_db(s->call), rpc_arena(s->call), s->c.id, &v);
        if (r == CARE_E_ABSENT)
                return plan_routine(s, due);
        return r == 0 && v.at_us != due ? put_off_routine(s, &v, due) : r;
}

int visits_stop(struct scene *s)
{
        struct visit v;
        int r = visit_routine(rpc_db(s->call), rpc_arena(s->call), s->c.id, &v);
        if (r == CARE_E_ABSENT)
                return 0;
        if (r == 0)
                r = close_task(s->call, v.task);
        return r == 0 ? visit_delete(rpc_db(s->call), v.id) : r;
}

int visits_end(struct rpc_call *call, const char *subject)
{
        struct visit *plans = ARENA_ARRAY(rpc_arena(call), struct visit, VISIT_PLANS_MAX);
        size_t n = VISIT_PLANS_MAX;
        int r = 0;
        while (r == 0 && n == VISIT_PLANS_MAX) {
                r = visit_plans(rpc_db(call), rpc_arena(call), subject, true, plans, &n);
                for (size_t i = 0; r == 0 && i < n; i++) {
                        r = close_task(call, plans[i].task);
                        if (r == 0)
                                r = visit_delete(rpc_db(call), plans[i].id);
                }
        }
        return r;
}

int visits_move(struct scene *s)
{
        struct visit *plans = ARENA_ARRAY(rpc_arena(s->call), struct visit, VISIT_PLANS_MAX);
        size_t n = 0;
        int r = visit_plans(rpc_db(s->call), rpc_arena(s->call), s->c.id, true, plans, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = put_off_routine(s, &plans[i], plans[i].at_us);
        return r;
}

/* --- planning ---------------------------------------------------------------------------------------------------------------- */

static void describe(struct visited *t, struct visit *v)
{
        v->id = rpc_new_id(t->call);
        v->subject = t->subject;
        v->case_id = t->case_id;
        v->recipient = t->recipient;
        v->organization = t->organization;
        v->account = t->account;
        v->created_us = rpc_now(t->call);
        v->note = (struct str){0};
}

int visit_plan(struct visited *t, struct visit *v, bool *ret_new)
{
        struct store_conn *db = rpc_db(t->call);
        struct visit before;
        int r = visit_planned_for(db, rpc_arena(t->call), t->subject, v->occasion, v->at_us, &before);
        if (r != CARE_E_ABSENT) {
                if (r == 0)
                        *v = before;
                *ret_new = false;
                return r;
        }
        describe(t, v);
        v->outcome = VISIT_PLANNED;
        v->device = v->nonce = "";
        r = open_task(t->call, v, t->has_case ? t->scene.c.programme : "", t->path, t->person, &v->task);
        if (r == 0)
                r = visit_insert(db, v, ret_new);
        return r == 0 && !*ret_new ? STORE_E_RETRY : r;
}

/* --- taking -------------------------------------------------------------------------------------------------------------------- */

static int fulfil(struct visited *t, const char *subject, const struct visit *v)
{
        struct visit *plans = ARENA_ARRAY(rpc_arena(t->call), struct visit, VISIT_PLANS_MAX);
        size_t n = 0;
        int r = visit_plans(rpc_db(t->call), rpc_arena(t->call), subject, false, plans, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct visit_plan plan = {plans[i].occasion, plans[i].created_us, plans[i].at_us};
                if (!visit_fulfils(&plan, v->occasion, v->outcome, v->at_us))
                        continue;
                r = close_task(t->call, plans[i].task);
                if (r == 0)
                        r = visit_finish(rpc_db(t->call), plans[i].id);
        }
        return r;
}

static int tell(struct visited *t, const struct visit *v)
{
        VisitRecorded event = NUANXIN__CARE__V1__VISIT_RECORDED__INIT;
        event.visit = (char *)v->id;
        event.case_id = (char *)v->case_id;
        event.organization = (char *)v->organization;
        event.person = (char *)t->person;
        event.way = (Visit__Way)v->way;
        event.outcome = (Visit__Outcome)v->outcome;
        event.occurred_time = rpc_timestamp(t->call, v->at_us);
        return rpc_emit(t->call, &care_v1_visit_recorded_msg, &event, v->id, v->organization);
}

int visit_take(struct visited *t, struct visit *v, const char *note, bool *ret_new)
{
        describe(t, v);
        v->task = "";
        int r = seal_note(t, v->id, note, &v->note);
        if (r == 0)
                r = visit_insert(rpc_db(t->call), v, ret_new);
        if (r != 0)
                return r;
        if (!*ret_new)
                return STORE_E_RETRY; /* the same, in another transaction: it is there next time */
        r = fulfil(t, t->subject, v);
        if (r == 0 && t->has_case && t->recipient[0]) /* who comes for a case has come to the person */
                r = fulfil(t, t->recipient, v);
        if (r == 0 && t->has_case)
                r = visits_renew(&t->scene);
        return r == 0 ? tell(t, v) : r;
}

/* --- showing ------------------------------------------------------------------------------------------------------------------- */

void visit_fill(struct rpc_call *call, const struct visit *v, Visit *out)
{
        bool planned = v->outcome == VISIT_PLANNED;
        out->id = (char *)v->id;
        out->case_id = (char *)v->case_id;
        out->recipient = (char *)v->recipient;
        out->organization = (char *)v->organization;
        out->occasion = (char *)v->occasion;
        out->way = (Visit__Way)v->way;
        out->outcome = (Visit__Outcome)v->outcome;
        out->by = (char *)v->account;
        out->device = (char *)v->device;
        out->nonce = (char *)v->nonce;
        *(planned ? &out->due_time : &out->occurred_time) = rpc_timestamp(call, v->at_us);
}

static int reveal_visits(struct scene *s, const char *subject, RevealedCase *out)
{
        struct arena *arena = rpc_arena(s->call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct visit v;
        struct str note;
        int r = visits_query(rpc_db(s->call), subject, INT64_MAX, "", REVEALED_VISITS, &rows);
        while (r == 0 && out->n_visits < REVEALED_VISITS && (r = store_next(rows)) == 1) {
                Visit *one = message_new(arena, &care_v1_visit_msg);
                visit_read(rows, arena, &v);
                visit_fill(s->call, &v, one);
                r = scene_open(s, TABLE, "note", v.id, v.note, &note);
                if (r == 0)
                        one->note = arena_strndup(arena, note.p, note.n);
                out->visits[out->n_visits++] = one;
                r = r == CARE_E_ABSENT ? 0 : r;
        }
        return r;
}

static int reveal_assessments(struct scene *s, RevealedCase *out)
{
        struct arena *arena = rpc_arena(s->call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct assessment a;
        int r = assessments_query(rpc_db(s->call), s->c.id, ASSESSMENTS_MAX, &rows);
        while (r == 0 && out->n_assessments < ASSESSMENTS_MAX && (r = store_next(rows)) == 1) {
                Assessment *one = NULL;
                assessment_read(rows, arena, &a);
                r = assessment_open(s, &a, &one);
                out->assessments[out->n_assessments++] = one;
        }
        return r;
}

int work_reveal(struct scene *s, bool of_case_alone, RevealedCase *out)
{
        out->visits = ARENA_ARRAY(rpc_arena(s->call), Visit *, REVEALED_VISITS);
        out->assessments = ARENA_ARRAY(rpc_arena(s->call), Assessment *, ASSESSMENTS_MAX);
        int r = reveal_visits(s, s->c.id, out);
        if (r == 0 && s->has_person && !of_case_alone)
                r = reveal_visits(s, s->c.recipient, out);
        return r == 0 ? reveal_assessments(s, out) : r;
}
