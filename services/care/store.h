/* SPDX-License-Identifier: Apache-2.0
 *
 * What all of this service's SQL shares, and its projections of membership's data. Each room's tables have a header of their
 * own. Functions run inside the caller's transaction; texts that they hand out live in the given arena. Results: 0;
 * CARE_E_ABSENT where said; STORE_E_RETRY and negative errors are for the caller's caller.
 */
#pragma once

#include "common/store/store.h"

#define CARE_E_ABSENT 900 /* there is no such row */

/* store_query's result and its first row: 0 with a row, CARE_E_ABSENT without, or what failed.
 *   r = first_row(store_query(db, sql, &rows, …), rows); */
#define first_row(query_result, rows)                                                                        \
        ({                                                                                                   \
                int r_ = (query_result);                                                                     \
                if (r_ == 0) {                                                                               \
                        r_ = store_next(rows);                                                               \
                        r_ = r_ == 1 ? 0 : r_ == 0 ? CARE_E_ABSENT : r_;                                     \
                }                                                                                            \
                r_;                                                                                          \
        })

/* Of an UPDATE guarded by a revision: somebody else was faster. */
static inline int one_changed(int r, int64_t changed)
{
        return r == 0 && changed != 1 ? STORE_E_RETRY : r;
}

/* The texts from `path` to path_end are an organisation and all below it; {"/"} is everything. */
struct str path_end(struct arena *arena, struct str path);

/* --- organisations (store_projection.c) ---------------------------------------------------------------------------- */

struct organization {
        const char *code, *parent, *path, *name;
        int kind;                           /* 1 province … 5 village */
        int64_t valid_from_us, valid_to_us; /* 0: no limit */
};
int organization_load(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret) MUST_USE;
/* As membership has it now. With a new path, what stands at the organisation follows: see the list there. */
int organization_save(struct store_conn *db, struct arena *arena, const struct organization *organization) MUST_USE;

/* --- members and their consents ------------------------------------------------------------------------------------- */

struct member {
        const char *organization;
        int state; /* membership's Member.State */
        bool erased;
        const char *path; /* read only: of the organisation; "" if that is not known */
};
int member_load(struct store_conn *db, struct arena *arena, const char *id, struct member *ret) MUST_USE;
int member_save(struct store_conn *db, const char *id, const char *organization, int state) MUST_USE;
/* The person's particulars are gone, and so their consents. */
int member_mark_erased(struct store_conn *db, const char *id, const char *organization) MUST_USE;

int consent_save(struct store_conn *db, const char *member, const char *purpose, const char *version,
                 int64_t given_us) MUST_USE;
int consent_end(struct store_conn *db, const char *member, const char *purpose) MUST_USE;
/* Does the member consent to this purpose now? */
int consent_holds(struct store_conn *db, const char *member, const char *purpose, bool *ret) MUST_USE;

/* Before membership's snapshot: all of them go, with the consents and the accounts. */
int members_forget(struct store_conn *db) MUST_USE;

/* --- accounts ------------------------------------------------------------------------------------------------------- */

struct right {
        int role;
        const char *organization;
};
#define RIGHTS_MAX 64
struct account {
        int64_t generation;
        bool disabled;
        struct right rights[RIGHTS_MAX];
        size_t n_rights;
};
int account_load(struct store_conn *db, struct arena *arena, const char *id, struct account *ret) MUST_USE;
/* *ret_newer: it was not known, or of an earlier generation; else nothing is changed. */
int account_save(struct store_conn *db, const char *id, const struct account *account, bool *ret_newer) MUST_USE;
