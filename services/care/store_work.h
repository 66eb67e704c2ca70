/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits and assessments: rows. As in store_case.h.
 */
#pragma once

#include "store.h"

/* --- visits ------------------------------------------------------------------------------------------------------------- */

struct visit {
        const char *id;
        const char *subject; /* the case; without one, the recipient */
        const char *case_id, *recipient, *organization, *occasion;
        int64_t at_us; /* when it took place; of a planned one, when it is due */
        int way, outcome; /* VISIT_PLANNED … */
        struct str note;
        const char *account, *device, *nonce;
        bool routine; /* planned by the programme */
        const char *task; /* of a planned one */
        int64_t created_us;
};
/* *ret_new: false, and nothing is changed, where the device's nonce is there, or one planned alike. */
int visit_insert(struct store_conn *db, const struct visit *v, bool *ret_new) MUST_USE;
int visit_by_nonce(struct store_conn *db, struct arena *arena, const char *subject, const char *device, const char *nonce,
                   struct visit *ret) MUST_USE;
int visit_planned_for(struct store_conn *db, struct arena *arena, const char *subject, const char *occasion, int64_t due_us,
                      struct visit *ret) MUST_USE;
/* When the last of those was that settle a visit; 0: there is none. */
int visit_last(struct store_conn *db, const char *subject, int64_t *ret_us) MUST_USE;
/* Planned ones that have not taken place, the first due first; at most so many. routine: the programme's own, too. */
#define VISIT_PLANS_MAX 64
int visit_plans(struct store_conn *db, struct arena *arena, const char *subject, bool routine, struct visit out[VISIT_PLANS_MAX],
                size_t *ret_n) MUST_USE;
/* It took place. */
int visit_finish(struct store_conn *db, const char *id) MUST_USE;
/* Another time, another task. STORE_E_RETRY: that is not its task any more. */
int visit_put_off(struct store_conn *db, const struct visit *v, const char *task_before) MUST_USE;
int visit_routine(struct store_conn *db, struct arena *arena, const char *case_id, struct visit *ret) MUST_USE;
int visit_delete(struct store_conn *db, const char *id) MUST_USE;
/* Newest first, before (at, id), without planned ones that took place. visit_read after each store_next. */
int visits_query(struct store_conn *db, const char *subject, int64_t before_us, const char *before_id, int64_t limit,
                 struct store_rows **ret_rows) MUST_USE;
void visit_read(const struct store_rows *rows, struct arena *arena, struct visit *ret);

/* --- assessments -------------------------------------------------------------------------------------------------------- */

struct assessment {
        const char *id, *case_id, *form;
        struct str sealed;
        const char *account;
        int64_t created_us;
};
#define ASSESSMENTS_MAX 500
int assessment_insert(struct store_conn *db, const struct assessment *a) MUST_USE;
/* Newest first. */
int assessments_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void assessment_read(const struct store_rows *rows, struct arena *arena, struct assessment *ret);
