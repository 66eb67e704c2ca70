/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases as the service's rooms use them, within the call's own transaction: one loaded with all that decides about it, moved,
 * paid, ended; and the tasks that it makes.
 */
#pragma once

#include "handle.h"
#include "rules_case.h"
#include "store_case.h"
#include "store_recipient.h"
#include "store_task.h"

/* --- one case -------------------------------------------------------------------------------------------------------- */

struct scene {
        struct rpc_call *call;
        struct care_case c;
        const ProgrammeDocument *document; /* of its version */
        bool has_person;
        struct recipient r;                /* with has_person */
        const char *person;                /* whom events are about; "": nobody */
        const char *actor;                 /* "": the programme itself */
        bool itself;
        Case *content;                     /* its facts and documents; NULL: scene_content was not called */
        bool content_changed;
        struct contact contacts[CONTACTS_MAX];
        size_t n_contacts;
        int64_t due_before_us;             /* when it was due as it was loaded */
        struct person_key key;
        struct particulars particulars;    /* with has_key */
        bool has_key;
        const struct decision *fresh;      /* taken in this very call */
        unsigned depth;
};
/* CARE_E_ABSENT: there is none. Nobody has asked who may. */
int scene_load(struct rpc_call *call, const char *case_id, struct scene *ret) MUST_USE;
int scene_start(struct rpc_call *call, const struct care_case *c, struct scene *ret) MUST_USE; /* of one that is loaded */
/* Opens what is sealed. CARE_E_ABSENT: the person is erased. */
int scene_content(struct scene *s) MUST_USE;
int scene_unlock(struct scene *s) MUST_USE; /* key and particulars. CARE_E_ABSENT: erased */
/* Under the person's key, or the keyring where there is no person. CARE_E_ABSENT: erased. */
int scene_seal(struct scene *s, const char *table, const char *column, const char *row, struct str plain, struct str *ret) MUST_USE;
int scene_open(struct scene *s, const char *table, const char *column, const char *row, struct str sealed, struct str *ret) MUST_USE;
/* The key of the row of the nth step. */
char *step_row(struct scene *s, int64_t n);

/* Takes the move that the rules allow: effects, step, tasks, due work, events; and stores the case. */
int scene_move(struct scene *s, const struct case_move *move, const char *action, const char *reason, int rating) MUST_USE;
/* As the programme itself: the stage's only action. */
int scene_go_on(struct scene *s) MUST_USE;
/* Ends it without its benefit; what is reserved and not with the bank is given back. state: CASE_ENDED, CASE_REFUSED. */
int scene_end(struct scene *s, int state, const char *action, const char *reason) MUST_USE;

/* --- what it gives (case_benefit.c) ---------------------------------------------------------------------------------- */

/* pays: it is put up for payment right after. */
int benefit_decide(struct scene *s, int level, bool pays) MUST_USE;
int benefit_put_up(struct scene *s) MUST_USE;   /* for payment: all that is reserved */
int benefit_deliver(struct scene *s) MUST_USE;  /* all that is reserved was given */
int benefit_release(struct scene *s) MUST_USE;  /* all that is reserved and not with the bank */

/* For payments, once the ledger has it: the bank has paid what a decision reserved; or it never will, and what was set aside is
 * given back. The case goes on. */
int benefit_paid(struct rpc_call *call, const char *decision, const char *actor) MUST_USE;
int benefit_given_up(struct rpc_call *call, const char *decision, const char *actor) MUST_USE;

/* Done again with its version and its facts: does it come to what it says? CARE_E_ABSENT: erased, and cannot be said. */
int decision_replay(struct rpc_call *call, const struct decision *d, bool *ret_same) MUST_USE;
/* A decision as it was sealed. CARE_E_ABSENT: erased. */
int decision_open(struct scene *s, const struct decision *d, Decision **ret) MUST_USE;

/* --- tasks (task.c) -------------------------------------------------------------------------------------------------- */

enum {
        TASK_STAGE = NUANXIN__CARE__V1__TASK__KIND__STAGE,
        TASK_VISIT = NUANXIN__CARE__V1__TASK__KIND__VISIT,
        TASK_CONTACT = NUANXIN__CARE__V1__TASK__KIND__CONTACT,
        TASK_MONITOR = NUANXIN__CARE__V1__TASK__KIND__MONITOR,
        TASK_PAYMENT = NUANXIN__CARE__V1__TASK__KIND__PAYMENT,
        TASK_OBJECTION = NUANXIN__CARE__V1__TASK__KIND__OBJECTION,
        TASK_TRANSFER = NUANXIN__CARE__V1__TASK__KIND__TRANSFER,
};
/* kind, case_id, programme, stage, place_path (of the organisation on whose worklist it is), person, assignee ("" is nobody),
 * due_us are given; the rest is filled. It escalates by itself; but a STAGE's with its case. */
int task_open(struct rpc_call *call, struct care_task *task) MUST_USE;
int task_tell(struct rpc_call *call, const struct care_task *task) MUST_USE; /* the event, after a change */
int task_close(struct rpc_call *call, struct care_task *task) MUST_USE;
int task_take_to(struct rpc_call *call, struct care_task *task, const char *place_path) MUST_USE; /* to other lists */
/* Those of a case, of this kind (0: all) and stage (NULL: all). */
int tasks_close(struct rpc_call *call, const char *case_id, int kind, const char *stage) MUST_USE;
/* It goes up a level if that is due; *ret_next_us: when it is again (0: never). */
int task_escalate(struct rpc_call *call, struct care_task *task, int64_t *ret_next_us) MUST_USE;
#define DUE_TASK "care.task" /* key: the task */
int due_task(struct rpc_call *call, const char *key, struct str payload);

/* --- contacts (contact.c) -------------------------------------------------------------------------------------------- */

/* Nobody has the role now: where the case stands at a CARE stage, a task to name another opens. */
int contact_lost(struct scene *s, const char *role) MUST_USE;
/* What an account may has changed: where it may not record visits any more it is no contact any more. */
int contacts_check(struct rpc_call *call, const char *account) MUST_USE;
/* Where the case stands has changed: as above, for those of one case. */
int contacts_check_case(struct scene *s) MUST_USE;
#define DUE_CONTACTS "care.contacts" /* key: the account; the rest of many */
int due_contacts(struct rpc_call *call, const char *key, struct str payload);

/* --- by themselves (case_due.c) -------------------------------------------------------------------------------------- */

/* When the next thing of the case falls due; 0: nothing does. */
int64_t scene_due_us(const struct scene *s);
int scene_set_due(struct scene *s) MUST_USE;
#define DUE_CASE "care.case" /* key: the case */
int due_case(struct rpc_call *call, const char *key, struct str payload);

/* The person has left, died, or is erased: open cases end, but for what is being paid. */
int cases_end_of(struct rpc_call *call, const char *recipient) MUST_USE;
#define DUE_GONE "care.gone" /* key: the recipient */
int due_gone(struct rpc_call *call, const char *key, struct str payload);

/* --- organisations that move in the tree (moved.c) ------------------------------------------------------------------- */

/* After it was saved: lists and contacts of what stands at it follow, if its path is another. */
int organization_moved(struct rpc_call *call, const struct organization *was, const struct organization *now) MUST_USE;
#define DUE_MOVED "care.moved" /* key: the organisation */
int due_moved(struct rpc_call *call, const char *key, struct str payload);

/* --- notices (notice.c) ---------------------------------------------------------------------------------------------- */

/* The end of a notice is law, no guess: refused as PROBLEM_CALENDAR_MISSING unless missing_year is 0. */
int notice_days_known(struct scene *s, int missing_year) MUST_USE;
int notice_put_up(struct scene *s, const Stage *stage) MUST_USE;
int notice_take_down(struct scene *s) MUST_USE;

/* --- visits that its programme plans (visit.c) -------------------------------------------------------------------------------- */

/* Where it stands at a CARE stage: the next is planned, or put off if one has taken place since. */
int visits_renew(struct scene *s) MUST_USE;
int visits_stop(struct scene *s) MUST_USE; /* it leaves the stage: what somebody planned stays */
/* Of a case that is closed, or a person who is gone: nothing is planned any more. */
int visits_end(struct rpc_call *call, const char *subject) MUST_USE;
int visits_move(struct scene *s) MUST_USE; /* another organisation has it: what is planned is on that one's worklist */
