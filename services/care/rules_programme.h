/* SPDX-License-Identifier: Apache-2.0
 *
 * What a programme's document means: whether it holds together, whether facts fit its fields, and what it comes to with given
 * facts. Pure: no store, no clock; all texts are in the given arena, the document or static.
 *
 * A decision: facts_check when facts are given; uses_due says which counters of caps to look at; evaluate decides. The same
 * document, facts, uses and day give the same outcome for ever, so a decision that kept them can be done again.
 */
#pragma once

#include "rules_calendar.h"

#define AMOUNT_MOST INT64_C(1000000000000) /* of one decision: ¥10,000 million in fen; no fact is beyond it either */

/* --- what is wrong, and where --------------------------------------------------------------------------------- */

struct fault {
        const char *place; /* JSON Pointer within what was checked: "/stages/2/actions/0/to" */
        const char *rule;  /* "unknown", "unreachable", "range" … */
        const char *detail, *detail_zh;
};
struct faults {
        struct fault items[32]; /* the first 32 */
        size_t n;
};

/* --- documents (rules_document.c) ----------------------------------------------------------------------------- */

/* All that the contract's rules cannot say of one field alone. Adds to *faults; none added: it holds together. */
void document_check(struct arena *arena, const ProgrammeDocument *document, struct faults *faults);

/* Against an earlier version of the same programme: what is used of a cap stands under its code and period whatever the version,
 * so under one code a cap goes on measuring the same. Its bound may change. */
void document_check_caps(struct arena *arena, const ProgrammeDocument *document, const ProgrammeDocument *earlier, struct faults *faults);

/* NULL: there is none of that code. */
const Stage *document_stage(const ProgrammeDocument *document, const char *code);
const Action *stage_action(const Stage *stage, const char *code);
bool action_has(const Action *action, int effect); /* NUANXIN__CARE__V1__ACTION__EFFECT__… */
/* refused, ended, withdrawn or done. */
bool is_closing(const char *to);

/* --- facts ---------------------------------------------------------------------------------------------------- */

/* What the service knows by itself. */
enum known_fact {
        KNOWN_PERSON_AGE,
        KNOWN_PERSON_SPECIAL,
        KNOWN_PERSON_HOUSEHOLD,
        KNOWN_CASE_TIMES,
        KNOWN_POLICY_ACTIVE,
        N_KNOWN_FACT,
};
extern const char *const known_fact_names[N_KNOWN_FACT]; /* "person.age" */
/* Those that this document asks about, a bit each (1 << KNOWN_PERSON_AGE): others need not be looked up. *ret_on (may be NULL):
 * the field with the day on which a policy must be active, or "" for the day of the decision. */
unsigned known_facts_of(const ProgrammeDocument *document, const char **ret_on);

/* The fields that are asked for when a case is opened: those that no action asks for. Names; *ret_n of them. */
const char *const *fields_at_opening(struct arena *arena, const ProgrammeDocument *document, size_t *ret_n);

/* Do the facts fit? Each names a field, once, with a value of its type and range; and each field of `asked` (NULL: all) that is
 * required has one. An empty value is none. Places in *faults: "/facts/3/value". */
void facts_check(struct arena *arena, Field *const *fields, size_t n_fields, const char *const *asked, size_t n_asked,
                 Fact *const *facts, size_t n_facts, struct faults *faults);
/* Likewise the facts of EvaluateProgramme: any of the document's fields, and what the service knows; none is required. */
void facts_check_all(struct arena *arena, const ProgrammeDocument *document, Fact *const *facts, size_t n_facts, struct faults *faults);

/* The value of the last fact of that name, or NULL: not given. */
const char *fact_value(Fact *const *facts, size_t n_facts, const char *name);

/* Does it hold? For an assessment's monitors, and for evaluate. A fact that is not given fulfils nothing. */
bool condition_holds(const Condition *condition, Field *const *fields, size_t n_fields, Fact *const *facts, size_t n_facts);

/* --- what it comes to ----------------------------------------------------------------------------------------- */

/* One a cap, in the document's order, with its code and the first day of its period ("" for ever); before and used are 0. The
 * caller puts into `before` what its counters say: of the person, or with `household` of the cap of the household. */
CapUse **uses_due(struct arena *arena, const ProgrammeDocument *document, Fact *const *facts, size_t n_facts, day_t today,
                  size_t *ret_n);

/* Why it comes to nothing: a condition, a cap, or one of the two codes below. */
struct failure {
        const char *code;
        const char *title, *title_zh; /* for the person */
        const char *wanted;           /* of a condition, in no language: "hospital_level AT_LEAST 2"; names and bounds, no facts */
        bool cap;
        int64_t used, most, asked; /* of a cap */
};
#define NOTHING_DUE "nothing-due" /* the terms come to 0 */
#define TOO_MUCH    "too-much"    /* or to more than AMOUNT_MOST */

struct evaluation {
        Outcome *outcome; /* uses: one a cap, `before` as it was given */
        struct failure failures[64];
        size_t n_failures; /* 0: eligible */
};

/* uses: what was used before, by the caps' codes; a cap that is not there was not used. All conditions and caps are asked, so
 * that a person learns of everything at once. */
void evaluate(struct arena *arena, const ProgrammeDocument *document, Fact *const *facts, size_t n_facts, CapUse *const *uses,
              size_t n_uses, day_t today, struct evaluation *ret);

/* Are they the same? For replay. */
bool outcome_equal(const Outcome *a, const Outcome *b);
