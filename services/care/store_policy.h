/* SPDX-License-Identifier: Apache-2.0
 *
 * Group policies, who is insured by them, and what insurers paid.
 */
#pragma once

#include "store.h"

struct policy_group {
        const char *id, *organization, *title, *insurer, *start_date, *end_date, *purpose;
        const char *path; /* of the organisation, as the projection has it now */
        int64_t premium;  /* fen a person */
        int64_t created_us;
};
int policy_group_insert(struct store_conn *db, const struct policy_group *g) MUST_USE;
int policy_group_load(struct store_conn *db, struct arena *arena, const char *id, struct policy_group *ret) MUST_USE;
/* Of an organisation and all below it, in the order (path, id), after these two. policy_group_read after each store_next. */
struct policy_group_filter {
        struct str path;
        const char *after_path, *after_id;
};
int policy_groups_query(struct store_conn *db, struct arena *arena, const struct policy_group_filter *filter, int64_t limit,
                        struct store_rows **ret_rows) MUST_USE;
void policy_group_read(const struct store_rows *rows, struct arena *arena, struct policy_group *ret);

struct policy {
        const char *id, *group, *recipient;
        const char *start_date, *end_date; /* read only: the group's */
        int64_t created_us;
};
/* *ret_new: the person was not insured by this group; else nothing is changed. */
int policy_insert(struct store_conn *db, const struct policy *p, bool *ret_new) MUST_USE;
int policy_exists(struct store_conn *db, const char *group, const char *recipient, bool *ret) MUST_USE;
int policy_load(struct store_conn *db, struct arena *arena, const char *id, struct policy *ret) MUST_USE;
/* The newest first. */
#define POLICIES_MAX 100
int policies_of(struct store_conn *db, struct arena *arena, const char *recipient, struct policy out[POLICIES_MAX],
                size_t *ret_n) MUST_USE;
/* The one in force on that day ("YYYY-MM-DD"): of several, the one that began last. CARE_E_ABSENT: not insured then. */
int policy_on(struct store_conn *db, struct arena *arena, const char *recipient, const char *date, struct policy *ret) MUST_USE;

struct payout {
        const char *case_id, *reference, *policy, *group, *date;
        int64_t amount; /* fen */
        int64_t created_us;
};
int payout_load(struct store_conn *db, struct arena *arena, const char *case_id, const char *reference, struct payout *ret) MUST_USE;
/* STORE_E_RETRY: somebody else has recorded it meanwhile. */
int payout_insert(struct store_conn *db, const struct payout *p) MUST_USE;

struct policy_figures {
        int64_t insured, claims, payouts; /* persons, cases, fen */
};
int policy_figures_load(struct store_conn *db, const char *group, struct policy_figures *ret) MUST_USE;
