/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases: who may do what, and where it leads.
 */
#include "rules_case.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

/* --- places ---------------------------------------------------------------------------------------------------------- */

struct str path_at_level(struct str path, int level)
{
        struct str code, at;
        return path_level(path, level, &code, &at) ? at : path;
}

struct str path_code(struct str path)
{
        struct str code = {0}, at;
        return path_level(path, path_depth(path), &code, &at) ? code : (struct str){0};
}

/* --- parts of it ----------------------------------------------------------------------------------------------------- */

static bool is_in(const char *const *texts, size_t n, const char *text)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(texts[i], text) == 0)
                        return true;
        return false;
}

const ContactRule *case_contact_missing(const struct case_facts *f)
{
        for (size_t i = 0; i < f->document->n_contacts; i++)
                if (!is_in(f->contacts, f->n_contacts, f->document->contacts[i]->role))
                        return f->document->contacts[i];
        return NULL;
}

const ContactRule *document_contact(const ProgrammeDocument *document, const char *role)
{
        for (size_t i = 0; i < document->n_contacts; i++)
                if (strcmp(document->contacts[i]->role, role) == 0)
                        return document->contacts[i];
        return NULL;
}

static const DocumentRule *document_missing(const struct case_facts *f)
{
        for (size_t i = 0; i < f->document->n_documents; i++) {
                const DocumentRule *rule = f->document->documents[i];
                if (rule->required && !is_in(f->documents, f->n_documents, rule->kind))
                        return rule;
        }
        return NULL;
}

bool has_decided_elsewhere(const char *deciders, const char *actor, const char *stage)
{
        struct str rest = str_of(deciders);
        while (rest.n) {
                struct str line = str_cut(&rest, '\n'), at = str_cut(&line, ' ');
                if (str_is(line, actor) && !str_is(at, stage))
                        return true;
        }
        return false;
}

const char *deciders_with(struct arena *arena, const char *deciders, const char *actor, const char *stage)
{
        const char *line = arena_printf(arena, "%s %s\n", stage, actor);
        return strstr(deciders, line) ? deciders : arena_printf(arena, "%s%s", deciders, line);
}

static int closing_state(const char *to)
{
        if (strcmp(to, "done") == 0)
                return CASE_DONE;
        if (strcmp(to, "refused") == 0)
                return CASE_REFUSED;
        return strcmp(to, "withdrawn") == 0 ? CASE_WITHDRAWN : CASE_ENDED;
}

bool case_may_end(const struct case_facts *f)
{
        return f->state == CASE_OPEN || f->state == CASE_RETURNED;
}

/* --- saying no ------------------------------------------------------------------------------------------------------- */

struct asked {
        struct arena *arena;
        const struct case_facts *f;
        const struct case_actor *a;
        const char *action;
        bool reason;
        int64_t now_us;
        struct case_verdict *out;
};

static bool no(const struct asked *q, Nuanxin__Problem problem, const char *a0, const char *a1, const char *a2, const char *a3)
{
        q->out->problem = problem;
        q->out->args[0] = a0;
        q->out->args[1] = a1;
        q->out->args[2] = a2;
        q->out->args[3] = a3;
        return false;
}

static const char *version_of(const struct asked *q)
{
        return arena_printf(q->arena, "%d", q->f->version);
}

static bool no_such_action(const struct asked *q)
{
        return no(q, PROBLEM(ACTION_UNKNOWN), q->f->stage, q->f->programme, version_of(q), q->action);
}

static bool no_right(const struct asked *q, const char *who)
{
        return no(q, PROBLEM(LEVEL_REQUIRED), q->f->stage, q->f->programme, version_of(q), who);
}

/* As the contract names them: a text of no language. */
static const char *level_name(int level)
{
        static const char *const names[LEVELS + 1] = {"OWNER", "PROVINCE", "PREFECTURE", "COUNTY", "TOWNSHIP", "VILLAGE"};
        return names[level >= 0 && level <= LEVELS ? level : 0];
}

/* --- who may --------------------------------------------------------------------------------------------------------- */

static bool is_own(const struct case_actor *a)
{
        return a->opened || a->recipient;
}

static bool no_own(const struct asked *q)
{
        const char *where = arena_printf(q->arena, "%s %d: %s", q->f->programme, q->f->version, q->f->stage);
        return no(q, PROBLEM(OWN_CASE), where, NULL, NULL, NULL);
}

/* Whether a decision is asked: then not of whoever opened it or is to get it. */
static bool is_decision(const Stage *stage, const struct case_move *move)
{
        return stage->kind == STAGE_REVIEW || move_has(move, EFFECT_DECIDE) || move_has(move, EFFECT_PAY);
}

static bool officer_may(const struct asked *q, const Stage *stage)
{
        int level = (int)stage->level;
        if (!q->a->decides[level >= 0 && level <= LEVELS ? level : 0])
                return no_right(q, level_name(level));
        if (!is_decision(stage, &q->out->move))
                return true;
        if (is_own(q->a))
                return no_own(q);
        if (q->f->document->separate_deciders && q->a->decided_elsewhere)
                return no(q, PROBLEM(DECIDED_BEFORE), q->f->programme, version_of(q), NULL, NULL);
        return true;
}

static bool actor_may(const struct asked *q, const Stage *stage, const Action *action)
{
        const struct case_actor *a = q->a;
        if (a->itself)
                return true;
        if (action->by == BY_OFFICER)
                return officer_may(q, stage);
        if (action->by == BY_OWNER)
                return a->owner || no_right(q, "OWNER");
        if (action->by == BY_CONTACT)
                return a->contact || no_right(q, "CONTACT");
        return a->recipient || a->owner || no_right(q, "RECIPIENT");
}

/* --- a stage's action ------------------------------------------------------------------------------------------------ */

/* What stands on notice waits for its end, and for what was objected; what is being paid waits for the bank. */
static bool may_leave(const struct asked *q, const Stage *stage)
{
        char until[40];
        if (stage->kind == STAGE_PAYMENT && !q->a->itself)
                return no_such_action(q);
        if (stage->kind != STAGE_NOTICE)
                return true;
        if (q->f->objection)
                return no(q, PROBLEM(OBJECTION_OPEN), q->f->objection, q->f->programme, version_of(q), q->f->stage);
        if (!q->f->noticed || q->now_us >= q->f->notice_end_us)
                return true;
        clock_format_rfc3339(until, q->f->notice_end_us);
        return no(q, PROBLEM(NOTICE_RUNNING), arena_strdup(q->arena, until), q->f->programme, version_of(q), q->f->stage);
}

static bool effects_may(const struct asked *q)
{
        const struct case_move *m = &q->out->move;
        bool gives = move_has(m, EFFECT_DECIDE) || move_has(m, EFFECT_PAY) || move_has(m, EFFECT_DELIVER);
        const DocumentRule *document = move_has(m, EFFECT_DECIDE) && !q->f->decided ? document_missing(q->f) : NULL;
        const ContactRule *contact = m->stage && m->stage->kind == STAGE_CARE ? case_contact_missing(q->f) : NULL;
        if (gives && !q->f->person_active)
                return no(q, PROBLEM(RECIPIENT_NOT_ACTIVE), NULL, NULL, NULL, NULL);
        if (document)
                return no(q, PROBLEM(DOCUMENT_MISSING), q->f->programme, version_of(q), document->kind, NULL);
        if (contact)
                return no(q, PROBLEM(CONTACT_MISSING), q->f->programme, version_of(q), contact->role, NULL);
        return true;
}

static void set_target(const struct asked *q, const char *to)
{
        struct case_move *m = &q->out->move;
        m->stage = NULL;
        if (is_closing(to)) {
                m->state = closing_state(to);
        } else if (strcmp(to, STAGE_RETURNED) == 0) {
                m->state = CASE_RETURNED;
        } else {
                m->state = CASE_OPEN;
                m->stage = document_stage(q->f->document, to);
        }
}

static bool take_action(const struct asked *q)
{
        const Stage *stage = document_stage(q->f->document, q->f->stage);
        const Action *action = stage ? stage_action(stage, q->action) : NULL;
        struct case_move *m = &q->out->move;
        if (!action)
                return no_such_action(q);
        m->action = action;
        for (size_t i = 0; i < action->n_effects; i++)
                m->effects |= 1U << action->effects[i];
        m->officer = action->by == BY_OFFICER && !q->a->itself && is_decision(stage, m);
        m->level = (int)stage->level;
        set_target(q, action->to);
        if (!actor_may(q, stage, action) || !may_leave(q, stage))
                return false;
        if (action->reason && !q->reason && !q->a->itself)
                return no(q, PROBLEM(REASON_MISSING), NULL, NULL, NULL, NULL);
        return effects_may(q);
}

/* --- what every case knows ------------------------------------------------------------------------------------------- */

static bool to_first_stage(const struct asked *q)
{
        q->out->move.state = CASE_OPEN;
        q->out->move.stage = q->f->document->stages[0];
        return true;
}

static bool resubmit(const struct asked *q)
{
        if (!q->a->opened && !q->a->owner && !q->a->recipient)
                return no_right(q, "OWNER");
        return to_first_stage(q);
}

static bool withdraw(const struct asked *q)
{
        if (!q->a->recipient && !q->a->owner)
                return no_right(q, "RECIPIENT");
        if (q->f->paid)
                return no_such_action(q);
        q->out->move.state = CASE_WITHDRAWN;
        return true;
}

static bool reopen(const struct asked *q)
{
        if (!q->a->decides[q->f->decided_level])
                return no_right(q, level_name(q->f->decided_level));
        if (is_own(q->a))
                return no_own(q);
        if (q->now_us - q->f->closed_us > REOPEN_DAYS * CLOCK_DAY_US)
                return no(q, PROBLEM(CASE_TOO_OLD), arena_printf(q->arena, "%d", REOPEN_DAYS), NULL, NULL, NULL);
        if (q->f->paid) /* it would be decided, and given, as if nothing had been */
                return no(q, PROBLEM(CASE_PAID), q->f->programme, version_of(q), NULL, NULL);
        if (!q->f->person_active)
                return no(q, PROBLEM(RECIPIENT_NOT_ACTIVE), NULL, NULL, NULL, NULL);
        return to_first_stage(q);
}

/* A document may say for itself what "withdraw" means at a stage. */
static bool stage_has(const struct case_facts *f, const char *action)
{
        const Stage *stage = f->state == CASE_OPEN ? document_stage(f->document, f->stage) : NULL;
        return stage && stage_action(stage, action);
}

void case_decide(struct arena *arena, const struct case_facts *facts, const struct case_actor *actor, const char *action,
                 bool reason, int64_t now_us, struct case_verdict *ret)
{
        struct asked q = {arena, facts, actor, action, reason, now_us, ret};
        bool open = case_may_end(facts);
        *ret = (struct case_verdict){.problem = PROBLEM(NONE)};
        if (!open && strcmp(action, "reopen") == 0)
                reopen(&q);
        else if (!open)
                no(&q, PROBLEM(CASE_CLOSED), NULL, NULL, NULL, NULL);
        else if (strcmp(action, "withdraw") == 0 && !stage_has(facts, action))
                withdraw(&q);
        else if (facts->state == CASE_OPEN)
                take_action(&q);
        else if (strcmp(action, "resubmit") == 0)
                resubmit(&q);
        else
                no_such_action(&q);
}
