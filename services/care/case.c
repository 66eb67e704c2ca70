/* SPDX-License-Identifier: Apache-2.0
 *
 * A case loaded, and moved: what its programme's version says happens, in one transaction.
 */
#include "case.h"

#include "handle_programme.h"
#include "payment.h"

#define DEPTH_MOST 4 /* stages that a case passes through by itself at once */

/* --- loading --------------------------------------------------------------------------------------------------------- */

int scene_start(struct rpc_call *call, const struct care_case *c, struct scene *s)
{
        int64_t version;
        *s = (struct scene){.call = call, .c = *c, .person = "", .actor = rpc_principal(call)->id, .due_before_us = 0};
        int r = find_programme(call, c->programme, c->version, &s->document, &version);
        if (r == 0 && c->recipient[0]) {
                r = recipient_load(rpc_db(call), rpc_arena(call), c->recipient, &s->r);
                s->has_person = true;
                if (r == 0)
                        s->person = recipient_person(&s->r);
        }
        if (r == 0 && s->document->n_contacts)
                r = contacts_load(rpc_db(call), rpc_arena(call), c->id, s->contacts, &s->n_contacts);
        s->due_before_us = scene_due_us(s);
        return r;
}

int scene_load(struct rpc_call *call, const char *case_id, struct scene *ret)
{
        struct care_case c;
        int r = case_load(rpc_db(call), rpc_arena(call), case_id, &c);
        return r == 0 ? scene_start(call, &c, ret) : r;
}

/* --- what is sealed -------------------------------------------------------------------------------------------------- */

int scene_unlock(struct scene *s)
{
        int r = s->has_key ? 0 : recipient_unlock(s->call, s->c.recipient, &s->key, &s->particulars);
        s->has_key = r == 0;
        return r;
}

static char *context_of(struct scene *s, const char *table, const char *column, const char *row)
{
        return arena_printf(rpc_arena(s->call), "%s.%s.%s", table, column, row);
}

int scene_seal(struct scene *s, const char *table, const char *column, const char *row, struct str plain, struct str *ret)
{
        struct arena *arena = rpc_arena(s->call);
        if (!s->has_person) {
                *ret = keyring_seal(arena, rpc_keyring(s->call), context_of(s, table, column, row), plain);
                return 0;
        }
        int r = scene_unlock(s);
        if (r == 0)
                *ret = crypto_seal(arena, &s->key, table, column, row, plain);
        return r;
}

int scene_open(struct scene *s, const char *table, const char *column, const char *row, struct str sealed, struct str *ret)
{
        struct arena *arena = rpc_arena(s->call);
        *ret = (struct str){0};
        if (!sealed.n)
                return 0;
        if (!s->has_person)
                return keyring_open(arena, rpc_keyring(s->call), context_of(s, table, column, row), sealed, ret);
        int r = scene_unlock(s);
        return r == 0 ? crypto_open(arena, &s->key, table, column, row, sealed, ret) : r;
}

char *step_row(struct scene *s, int64_t n)
{
        return arena_printf(rpc_arena(s->call), "%s/%lld", s->c.id, (long long)n);
}

int scene_content(struct scene *s)
{
        struct arena *arena = rpc_arena(s->call);
        struct str sealed, plain;
        if (s->content)
                return 0;
        int r = case_sealed_load(rpc_db(s->call), arena, s->c.id, &sealed);
        if (r == 0)
                r = scene_open(s, "care_case_sealed", "sealed", s->c.id, sealed, &plain);
        if (r == 0)
                r = message_unpack(arena, &care_v1_case_msg, plain.p, plain.n, (ProtobufCMessage **)&s->content);
        return r;
}

static int save_content(struct scene *s)
{
        struct str sealed;
        if (!s->content_changed)
                return 0;
        s->content_changed = false;
        int r = scene_seal(s, "care_case_sealed", "sealed", s->c.id, message_pack(rpc_arena(s->call), s->content), &sealed);
        return r == 0 ? case_sealed_save(rpc_db(s->call), s->c.id, sealed) : r;
}

/* --- tasks of the stage ---------------------------------------------------------------------------------------------- */

static int close_stage_task(struct scene *s)
{
        struct care_task t;
        if (!s->c.task[0])
                return 0;
        int r = task_load(rpc_db(s->call), rpc_arena(s->call), s->c.task, &t);
        s->c.task = "";
        if (r == 0 && t.done_us)
                return 0;
        return r == 0 ? task_close(s->call, &t) : r;
}

static int open_stage_task(struct scene *s, const char *stage, int level)
{
        struct str place = path_at_level(str_of(s->c.path), level);
        struct care_task t = {
                .kind = TASK_STAGE,
                .case_id = s->c.id,
                .programme = s->c.programme,
                .stage = stage,
                .place_path = arena_strndup(rpc_arena(s->call), place.p, place.n),
                .person = s->person,
                .assignee = "",
                .due_us = s->c.due_us,
        };
        int r = task_open(s->call, &t);
        s->c.task = t.id;
        return r;
}

/* --- stages ---------------------------------------------------------------------------------------------------------- */

static int leave_stage(struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        int r = close_stage_task(s);
        if (r == 0 && stage && stage->kind == STAGE_NOTICE)
                r = notice_take_down(s);
        if (r == 0 && stage && stage->kind == STAGE_CARE)
                r = tasks_close(s->call, s->c.id, TASK_CONTACT, NULL);
        if (r == 0 && stage && stage->kind == STAGE_CARE)
                r = visits_stop(s);
        s->c.due_us = 0;
        return r;
}

static int stage_deadline(struct scene *s, const Stage *stage)
{
        struct calendars calendars = {0};
        int64_t now = rpc_now(s->call);
        int missing = 0;
        if (!stage->days)
                return 0;
        int r = stage->working_days ? find_calendars(s->call, day_at(now), &calendars) : 0;
        if (r == 0)
                s->c.due_us = deadline_us(&calendars, now, stage->days, stage->working_days, &missing);
        return r == 0 && stage->kind == STAGE_NOTICE ? notice_days_known(s, missing) : r;
}

/* What is being paid is on the list of payments; what lasts, and what stands on notice, waits for nobody. */
static bool has_task(const Stage *stage)
{
        return stage->kind == STAGE_REVIEW || stage->kind == STAGE_SERVICE;
}

static int enter_stage(struct scene *s, const Stage *stage)
{
        s->c.stage = stage->code;
        int r = stage_deadline(s, stage);
        if (r == 0 && stage->kind == STAGE_NOTICE)
                r = notice_put_up(s, stage);
        if (r == 0 && has_task(stage))
                r = open_stage_task(s, stage->code, (int)stage->level);
        return r == 0 ? visits_renew(s) : r;
}

static int close_case(struct scene *s)
{
        int r = benefit_release(s);
        if (r == 0)
                r = visits_end(s->call, s->c.id);
        s->c.closed_us = rpc_now(s->call);
        s->c.transfer_to = "";
        return r == 0 ? tasks_close(s->call, s->c.id, 0, NULL) : r;
}

static int arrive(struct scene *s, const struct case_move *m)
{
        s->c.state = m->state;
        s->c.stage_us = rpc_now(s->call);
        if (m->stage) {
                s->c.closed_us = 0;
                return enter_stage(s, m->stage);
        }
        if (m->state != CASE_RETURNED)
                return close_case(s);
        s->c.stage = STAGE_RETURNED;
        return open_stage_task(s, STAGE_RETURNED, 0);
}

/* --- effects --------------------------------------------------------------------------------------------------------- */

static int take_effects(struct scene *s, const struct case_move *m, int rating)
{
        if (m->officer) {
                s->c.decided_level = m->level;
                s->c.deciders = deciders_with(rpc_arena(s->call), s->c.deciders, s->actor, s->c.stage);
        }
        int r = move_has(m, EFFECT_RELEASE) ? benefit_release(s) : 0;
        if (r == 0 && move_has(m, EFFECT_DECIDE))
                r = benefit_decide(s, m->level, move_has(m, EFFECT_PAY));
        if (r == 0 && move_has(m, EFFECT_PAY))
                r = benefit_put_up(s);
        if (r == 0 && move_has(m, EFFECT_DELIVER))
                r = benefit_deliver(s);
        if (r == 0 && move_has(m, EFFECT_RATE))
                s->c.rating = rating;
        return r;
}

/* --- what it leaves behind ------------------------------------------------------------------------------------------- */

static int write_step(struct scene *s, const char *stage, const struct case_move *m, const char *action, const char *reason)
{
        struct step step = {
                .n = ++s->c.steps,
                .stage = stage,
                .action = action,
                .actor = s->itself ? "" : s->actor,
                .officer = m->officer,
                .time_us = rpc_now(s->call),
        };
        int r = reason[0] ? scene_seal(s, "care_step", "reason", step_row(s, step.n), str_of(reason), &step.reason) : 0;
        if (r == CARE_E_ABSENT)
                r = 0; /* the person is erased, and so is why */
        return r == 0 ? step_insert(rpc_db(s->call), s->c.id, &step) : r;
}

static int tell_moved(struct scene *s, const char *action)
{
        CaseMoved event = NUANXIN__CARE__V1__CASE_MOVED__INIT;
        event.case_id = (char *)s->c.id;
        event.programme = (char *)s->c.programme;
        event.organization = (char *)s->c.organization;
        event.person = (char *)s->person;
        event.state = (Case__State)s->c.state;
        event.stage = (char *)s->c.stage;
        event.action = (char *)action;
        return rpc_emit(s->call, &care_v1_case_moved_msg, &event, s->c.id, s->c.organization);
}

/* Nothing is to be paid: it does not wait. */
static bool is_paid_out(const struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        return stage && stage->kind == STAGE_PAYMENT && s->c.reserved == 0;
}

int scene_move(struct scene *s, const struct case_move *m, const char *action, const char *reason, int rating)
{
        const char *from = s->c.stage;
        if (s->depth++ > DEPTH_MOST)
                return -ELOOP;
        int r = leave_stage(s);
        if (r == 0)
                r = take_effects(s, m, rating);
        if (r == 0)
                r = arrive(s, m);
        if (r == 0)
                r = write_step(s, from, m, action, reason);
        if (r == 0)
                r = save_content(s);
        if (r == 0)
                r = scene_set_due(s);
        if (r == 0)
                r = case_save(rpc_db(s->call), &s->c);
        if (r == 0)
                r = tell_moved(s, action);
        return r == 0 && is_paid_out(s) ? scene_go_on(s) : r;
}

int scene_go_on(struct scene *s)
{
        const Stage *stage = document_stage(s->document, s->c.stage);
        const struct case_actor itself = {.itself = true};
        const char *roles[CONTACTS_MAX];
        struct case_verdict verdict;
        if (!stage || !stage->n_actions)
                return -EUCLEAN; /* no document that holds together says so */
        for (size_t i = 0; i < s->n_contacts; i++)
                roles[i] = s->contacts[i].role;
        const struct case_facts facts = {
                .document = s->document,
                .programme = s->c.programme,
                .version = s->c.version,
                .state = s->c.state,
                .stage = s->c.stage,
                .person_active = !s->has_person || s->r.state == RECIPIENT_ACTIVE || stage->kind == STAGE_PAYMENT,
                .contacts = roles,
                .n_contacts = s->n_contacts,
                .decided = true,
        };
        s->itself = true;
        case_decide(rpc_arena(s->call), &facts, &itself, stage->actions[0]->code, true, rpc_now(s->call), &verdict);
        if (verdict.problem != PROBLEM(NONE))
                return rpc_refuse_args(s->call, verdict.problem, RPC_REFUSED, verdict.args);
        return scene_move(s, &verdict.move, stage->actions[0]->code, "", 0);
}

int scene_end(struct scene *s, int state, const char *action, const char *reason)
{
        const struct case_move move = {.state = state};
        return scene_move(s, &move, action, reason, 0);
}
