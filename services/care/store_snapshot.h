/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told to those who follow late, in SQL: each list in the order of its key, from after one; nothing of who was erased,
 * but that they were. The rows come in the order of the structs' fields.
 */
#pragma once

#include "store.h"

struct told_programme {
        const char *id, *organization;
        int64_t version;
};
struct told_recipient {
        const char *id, *organization;
};
struct told_case {
        const char *id, *programme, *organization, *person, *stage, *action;
        int64_t version, state;
};
struct told_decision {
        const char *id, *case_id, *programme, *organization, *person, *unit;
        int64_t version, amount;
        bool given, returned; /* it reached the person; the bank sent it back */
};
struct told_contact {
        const char *case_id, *role, *account, *organization, *person;
};
struct told_task {
        const char *id, *case_id, *organization, *person, *assignee;
        int64_t kind, escalations, due_us, done_us; /* done_us 0: open */
};
struct told_visit {
        const char *id, *case_id, *organization, *person;
        int64_t way, outcome, at_us;
};
struct told_transfer {
        const char *id, *organization, *fund, *purpose, *debit, *credit, *of;
        int64_t kind, amount;
};

int told_programmes_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
int told_erased_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
/* From this one on, with it. */
int told_cases_query(struct store_conn *db, const char *from, int64_t limit, struct store_rows **ret_rows) MUST_USE;
int told_decisions_query(struct store_conn *db, const char *from, int64_t limit, struct store_rows **ret_rows) MUST_USE;
int told_contacts_query(struct store_conn *db, const char *after_case, const char *after_role, int64_t limit,
                        struct store_rows **ret_rows) MUST_USE;
int told_tasks_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
/* Those that took place. */
int told_visits_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
int told_transfers_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;

void told_programme_read(const struct store_rows *rows, struct arena *arena, struct told_programme *ret);
void told_recipient_read(const struct store_rows *rows, struct arena *arena, struct told_recipient *ret);
void told_case_read(const struct store_rows *rows, struct arena *arena, struct told_case *ret);
void told_decision_read(const struct store_rows *rows, struct arena *arena, struct told_decision *ret);
void told_contact_read(const struct store_rows *rows, struct arena *arena, struct told_contact *ret);
void told_task_read(const struct store_rows *rows, struct arena *arena, struct told_task *ret);
void told_visit_read(const struct store_rows *rows, struct arena *arena, struct told_visit *ret);
void told_transfer_read(const struct store_rows *rows, struct arena *arena, struct told_transfer *ret);
