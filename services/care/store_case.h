/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of cases, of what was done in them, and of what hangs on them. Functions run inside the caller's transaction; texts
 * that they hand out live in the given arena. Results: 0; CARE_E_ABSENT where said; STORE_E_RETRY and negative errors are for
 * the caller's caller.
 */
#pragma once

#include "store.h"

/* --- cases ----------------------------------------------------------------------------------------------------------- */

struct care_case {
        const char *id, *number, *programme;
        int version;
        const char *recipient, *subject, *organization, *path;
        int state;
        const char *stage;
        int64_t stage_us, due_us;
        const char *task, *opened_by;
        bool single, consent;
        const char *unit;
        int64_t granted, reserved, paid, reserve_us;
        int decided_level;
        const char *deciders; /* who decided at which stage, one a line: "village ID" */
        int64_t steps;
        int rating;
        const char *transfer_to, *previous;
        int64_t created_us, closed_us, revision;
        int64_t closed_before_us; /* as it is stored */
};
/* CARE_E_ABSENT: its number is taken, or there is an open one where only one may be. */
int case_insert(struct store_conn *db, const struct care_case *c) MUST_USE;
int case_load(struct store_conn *db, struct arena *arena, const char *id, struct care_case *ret) MUST_USE;
/* All that may change but its owner; raises the revision, here too. STORE_E_RETRY: somebody else did so meanwhile. */
int case_save(struct store_conn *db, struct care_case *c) MUST_USE;
/* Organisation, path, and the subject where that is the organisation. */
int case_save_owner(struct store_conn *db, const struct care_case *c) MUST_USE;
/* The open one that keeps others from being opened. */
int case_open_of(struct store_conn *db, struct arena *arena, const char *programme, const char *subject, const char **ret_id) MUST_USE;
/* An open one of that person, of any programme, after that id. */
int case_next_open(struct store_conn *db, struct arena *arena, const char *subject, const char *after, struct care_case *ret) MUST_USE;
/* An open one of the organisation with this path, after that id. */
int case_next_open_at(struct store_conn *db, struct arena *arena, const char *path, const char *after, struct care_case *ret) MUST_USE;
/* How often the programme granted something to the subject. */
int case_count_granted(struct store_conn *db, const char *subject, const char *programme, int64_t *ret) MUST_USE;

/* How many active ones live together. */
int household_count(struct store_conn *db, const char *household, int64_t *ret) MUST_USE;

struct case_filter {
        struct str path;
        const char *programme; /* "": any */
        int state;             /* 0: any */
        const char *after_path, *after_id;
};
/* case_read after each store_next. */
int cases_query(struct store_conn *db, struct arena *arena, const struct case_filter *filter, int64_t limit,
                struct store_rows **ret_rows) MUST_USE;
/* Newest first, below that id ("": from the newest); of one subject, or of all in a household. */
int cases_of_subject_query(struct store_conn *db, const char *subject, const char *below, int64_t limit,
                           struct store_rows **ret_rows) MUST_USE;
int cases_of_household_query(struct store_conn *db, const char *household, const char *below, int64_t limit,
                             struct store_rows **ret_rows) MUST_USE;
void case_read(const struct store_rows *rows, struct arena *arena, struct care_case *ret);

int case_sealed_save(struct store_conn *db, const char *id, struct str sealed) MUST_USE;
int case_sealed_load(struct store_conn *db, struct arena *arena, const char *id, struct str *ret) MUST_USE; /* empty: none */

/* --- steps ----------------------------------------------------------------------------------------------------------- */

struct step {
        int64_t n;
        const char *stage, *action, *actor;
        bool officer;
        struct str reason;
        int64_t time_us;
};
#define STEPS_MAX 500
int step_insert(struct store_conn *db, const char *case_id, const struct step *step) MUST_USE;
int steps_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void step_read(const struct store_rows *rows, struct arena *arena, struct step *ret);

/* --- decisions ------------------------------------------------------------------------------------------------------- */

/* PUT_UP: reserved, and a payment is there for it. */
enum decision_state { DECISION_NOTHING, DECISION_RESERVED, DECISION_GIVEN, DECISION_RETURNED, DECISION_PUT_UP };
struct decision {
        const char *id, *case_id, *programme;
        int version;
        const char *recipient, *actor;
        int64_t amount;
        int state;
        const char *pending, *uses;
        int day;
        struct str sealed;
        int64_t time_us;
};
int decision_insert(struct store_conn *db, const struct decision *d) MUST_USE;
int decision_load(struct store_conn *db, struct arena *arena, const char *id, struct decision *ret) MUST_USE;
int decision_move(struct store_conn *db, const char *id, int from, int to) MUST_USE; /* STORE_E_RETRY: it is not `from` */
#define DECISIONS_MAX 50
int decisions_of_case(struct store_conn *db, struct arena *arena, const char *case_id,
                      struct decision out[DECISIONS_MAX], size_t *ret_n) MUST_USE;
int decisions_after(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void decision_read(const struct store_rows *rows, struct arena *arena, struct decision *ret);

/* 0 where nothing was used. */
int cap_used(struct store_conn *db, const char *programme, const char *holder, const char *cap, const char *period,
             int64_t *ret) MUST_USE;
int cap_add(struct store_conn *db, const char *programme, const char *holder, const char *cap, const char *period, int64_t used) MUST_USE;

/* --- contacts and access --------------------------------------------------------------------------------------------- */

struct contact {
        const char *role, *account, *name, *phone;
        int64_t since_us;
};
#define CONTACTS_MAX 16
int contact_save(struct store_conn *db, const char *case_id, const struct contact *contact) MUST_USE;
/* The role stands empty then: its row stays, so that who follows late is told. */
int contact_delete(struct store_conn *db, const char *case_id, const char *role, bool *ret_was) MUST_USE;
int contacts_load(struct store_conn *db, struct arena *arena, const char *case_id, struct contact out[CONTACTS_MAX],
                  size_t *ret_n) MUST_USE;
/* Cases in which the account is a contact, after this case and role: at most so many. */
struct contact_place {
        const char *case_id, *role;
};
int contacts_of_account(struct store_conn *db, struct arena *arena, const char *account, const char *after, struct contact_place *out,
                        size_t room, size_t *ret_n) MUST_USE;

int access_save(struct store_conn *db, const char *case_id, const char *account, const char *by, const char *reason,
                int64_t expire_us) MUST_USE;
int access_load(struct store_conn *db, struct arena *arena, const char *case_id, const char *account, int64_t now_us,
                const char **ret_reason) MUST_USE;

/* It ends before its time; ret_was: there was one. */
int access_delete(struct store_conn *db, const char *case_id, const char *account, bool *ret_was) MUST_USE;
int accesses_delete(struct store_conn *db, const char *case_id) MUST_USE;

/* What tells of an erased recipient without being sealed under their key: in notices, in objections, who else is named in their
 * cases, and who was let into them. */
int cases_forget(struct store_conn *db, const char *recipient) MUST_USE;

/* --- notices and objections ------------------------------------------------------------------------------------------ */

struct notice {
        const char *id, *case_id, *programme, *title, *title_zh, *organization, *path, *name_masked;
        int64_t amount;
        const char *unit;
        int64_t start_us, end_us;
        bool stands;
        int64_t stopped_us, left_days;
};
int notice_insert(struct store_conn *db, const struct notice *n) MUST_USE;
int notice_load(struct store_conn *db, struct arena *arena, const char *id, struct notice *ret) MUST_USE;
int notice_of_case(struct store_conn *db, struct arena *arena, const char *case_id, struct notice *ret) MUST_USE; /* the last */
int notice_save(struct store_conn *db, const struct notice *n) MUST_USE; /* end, stands, stopped, left */
int notices_query(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                  const char *after_id, int64_t limit,
                  struct store_rows **ret_rows) MUST_USE;
void notice_read(const struct store_rows *rows, struct arena *arena, struct notice *ret);

struct objection {
        const char *id, *notice, *case_id;
        struct str sealed;
        bool upheld;
        int64_t created_us, settled_us;
        const char *settled_by;
        struct str reason;
};
#define OBJECTIONS_MAX 50
int objection_insert(struct store_conn *db, const struct objection *o) MUST_USE;
int objection_load(struct store_conn *db, struct arena *arena, const char *id, struct objection *ret) MUST_USE;
int objection_settle(struct store_conn *db, const struct objection *o) MUST_USE; /* STORE_E_RETRY: it was */
int objection_open(struct store_conn *db, struct arena *arena, const char *notice, const char **ret_id) MUST_USE;
int objections_count(struct store_conn *db, const char *notice, int64_t *ret_open) MUST_USE; /* open ones */
int objections_of_case(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void objection_read(const struct store_rows *rows, struct arena *arena, struct objection *ret);
