/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done with a case, by whom, and where it goes then, after its programme's document. Pure: no store, no clock.
 */
#pragma once

#include "rules_place.h"
#include "rules_programme.h"

#include "common/base/clock.h"
#include "nuanxin/problem.pb-c.h"

/* The contract's values under names that fit on a line. */
enum {
        CASE_OPEN = NUANXIN__CARE__V1__CASE__STATE__OPEN,
        CASE_RETURNED = NUANXIN__CARE__V1__CASE__STATE__RETURNED,
        CASE_DONE = NUANXIN__CARE__V1__CASE__STATE__DONE,
        CASE_REFUSED = NUANXIN__CARE__V1__CASE__STATE__REFUSED,
        CASE_WITHDRAWN = NUANXIN__CARE__V1__CASE__STATE__WITHDRAWN,
        CASE_ENDED = NUANXIN__CARE__V1__CASE__STATE__ENDED,
};
#define STAGE_REVIEW NUANXIN__CARE__V1__STAGE__KIND__REVIEW
#define STAGE_NOTICE NUANXIN__CARE__V1__STAGE__KIND__NOTICE
#define STAGE_PAYMENT NUANXIN__CARE__V1__STAGE__KIND__PAYMENT
#define STAGE_SERVICE NUANXIN__CARE__V1__STAGE__KIND__SERVICE
#define STAGE_CARE NUANXIN__CARE__V1__STAGE__KIND__CARE
#define BY_OFFICER NUANXIN__CARE__V1__ACTION__BY__OFFICER
#define BY_OWNER NUANXIN__CARE__V1__ACTION__BY__OWNER
#define BY_CONTACT NUANXIN__CARE__V1__ACTION__BY__CONTACT
#define BY_RECIPIENT NUANXIN__CARE__V1__ACTION__BY__RECIPIENT
enum {
        EFFECT_DECIDE = NUANXIN__CARE__V1__ACTION__EFFECT__DECIDE,
        EFFECT_PAY = NUANXIN__CARE__V1__ACTION__EFFECT__PAY,
        EFFECT_RELEASE = NUANXIN__CARE__V1__ACTION__EFFECT__RELEASE,
        EFFECT_RATE = NUANXIN__CARE__V1__ACTION__EFFECT__RATE,
        EFFECT_DELIVER = NUANXIN__CARE__V1__ACTION__EFFECT__DELIVER,
};
#define REOPEN_DAYS    365
#define STAGE_RETURNED "returned" /* where a case stands that was sent back */

/* --- places ---------------------------------------------------------------------------------------------------------- */

/* Of a path, "/43/4301/430102/", the part to its nth organisation; all of it where it has not so many, or level is 0. */
struct str path_at_level(struct str path, int level);
/* The last organisation of a path, "430102"; {NULL, 0} of none. */
struct str path_code(struct str path);

/* --- what a case is -------------------------------------------------------------------------------------------------- */

struct case_facts {
        const ProgrammeDocument *document;
        const char *programme;
        int version;
        int state;
        const char *stage;
        int64_t closed_us;              /* 0: it is open */
        int decided_level;              /* at which its last decision was taken; 0: there was none */
        bool paid;                      /* something of it is paid, or with the bank */
        bool has_person, person_active; /* person_active without a person: true */
        const char *const *contacts;    /* roles that are named */
        size_t n_contacts;
        bool noticed;                   /* it stands on notice, */
        int64_t notice_end_us;          /* until then, */
        const char *objection;          /* and this is to be settled first; NULL: nothing is */
        bool decided;                   /* a DECIDE came before: its documents were there */
        const char *const *documents;   /* kinds that are there */
        size_t n_documents;
};

/* Who acts. */
struct case_actor {
        bool itself;              /* the programme, in time or once paid: nobody else is asked */
        bool decides[LEVELS + 1]; /* holds case.decide at the case's organisation of each level; [0]: at the owner */
        bool owner;               /* holds case.write at the organisation that owns it */
        bool contact, recipient;  /* is one of its contacts; is the person */
        bool opened;              /* has opened it */
        bool decided_elsewhere;   /* has decided at another of its stages */
};

struct case_move {
        const Action *action; /* NULL: resubmit, withdraw, reopen */
        int state;
        const Stage *stage;   /* where it stands then; NULL: it is closed or sent back */
        unsigned effects;     /* 1 << EFFECT_… */
        bool officer;         /* it was an officer's: whoever asks who has decided asks for these */
        int level;            /* of an officer's */
};
static inline bool move_has(const struct case_move *move, int effect)
{
        return move->effects & 1U << effect;
}

struct case_verdict {
        Nuanxin__Problem problem; /* PROBLEM_NONE: it may be done; */
        const char *args[5];      /* else the problem's arguments, NULL-terminated */
        struct case_move move;
};

/* May `action` be done now? reason: one is given. */
void case_decide(struct arena *arena, const struct case_facts *facts, const struct case_actor *actor, const char *action,
                 bool reason, int64_t now_us, struct case_verdict *ret);

/* deciders: who has decided at which stage, one a line: "village ID". Has this one, at another stage? */
bool has_decided_elsewhere(const char *deciders, const char *actor, const char *stage);
/* With one more; as it is if that is there. */
const char *deciders_with(struct arena *arena, const char *deciders, const char *actor, const char *stage);

/* May the programme itself end the case (the person died, what was reserved ran out, an objection was upheld)? */
bool case_may_end(const struct case_facts *facts);

/* The first contact that its document asks for and that is not named; NULL: all are there. */
const ContactRule *case_contact_missing(const struct case_facts *facts);
const ContactRule *document_contact(const ProgrammeDocument *document, const char *role);
