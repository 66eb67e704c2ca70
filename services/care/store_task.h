/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks: one row each, and one on the list of each organisation that sees it. As in store_case.h.
 */
#pragma once

#include "store.h"

struct care_task {
        const char *id;
        int kind; /* TASK_… */
        const char *case_id, *programme, *stage, *organization, *place_path, *person, *assignee;
        int64_t escalations, created_us, due_us, done_us; /* due_us 0: without limit */
        struct str note;
};
int task_insert(struct store_conn *db, struct arena *arena, const struct care_task *t) MUST_USE;
int task_load(struct store_conn *db, struct arena *arena, const char *id, struct care_task *ret) MUST_USE;
/* Organisation, assignee, escalations. */
int task_save(struct store_conn *db, const struct care_task *t) MUST_USE;
/* Done: it goes from all lists. STORE_E_RETRY: it was. */
int task_finish(struct store_conn *db, const struct care_task *t) MUST_USE;
/* It is at another place now, and so are the lists on which it stands; saves the organisation, too. */
int task_move(struct store_conn *db, struct arena *arena, struct care_task *t, const char *place_path) MUST_USE;
/* Open ones of a case; of one kind and stage (NULL: any), or kind 0: all. At most so many. */
#define CASE_TASKS_MAX 64
int tasks_of_case(struct store_conn *db, struct arena *arena, const char *case_id, int kind, const char *stage,
                  struct care_task out[CASE_TASKS_MAX], size_t *ret_n) MUST_USE;
/* Of an organisation and those below, the most urgent first, after (due, id); those due before `before` (INT64_MAX: all).
 * task_read_place after each store_next: what a list shows. */
int tasks_query(struct store_conn *db, const char *place, int64_t after_due_us, const char *after_id, int64_t before_us, int64_t limit,
                struct store_rows **ret_rows) MUST_USE;
/* All there is of each, in that order. task_read after each store_next. */
int tasks_at_query(struct store_conn *db, const char *place, int64_t after_due_us, const char *after_id, int64_t limit,
                   struct store_rows **ret_rows) MUST_USE;
void task_read(const struct store_rows *rows, struct arena *arena, struct care_task *ret);
void task_read_place(const struct store_rows *rows, struct arena *arena, struct care_task *ret);
/* due_us as it stands on a list: what has no limit comes last. */
int64_t task_order(const struct care_task *t);
