/* SPDX-License-Identifier: Apache-2.0
 *
 * Insurance in SQL. What is insured and paid is counted through one index each, so it never differs from the rows.
 */
#include "store_policy.h"

/* --- groups ------------------------------------------------------------------------------------------------------ */

#define GROUP_COLUMNS "id, organization, path, title, insurer, start_date, end_date, premium, purpose, created_us"

int policy_group_insert(struct store_conn *db, const struct policy_group *g)
{
        static const char sql[] = "INSERT INTO policy_group (" GROUP_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        return store_exec(db, sql, NULL, TEXTZ(g->id), TEXTZ(g->organization), TEXTZ(g->path), TEXTZ(g->title), TEXTZ(g->insurer),
                          TEXTZ(g->start_date), TEXTZ(g->end_date), I64(g->premium), TEXTZ(g->purpose), I64(g->created_us));
}

void policy_group_read(const struct store_rows *rows, struct arena *arena, struct policy_group *ret)
{
        *ret = (struct policy_group){
                .id = store_text_dup(rows, 0, arena),
                .organization = store_text_dup(rows, 1, arena),
                .path = store_text_dup(rows, 2, arena),
                .title = store_text_dup(rows, 3, arena),
                .insurer = store_text_dup(rows, 4, arena),
                .start_date = store_text_dup(rows, 5, arena),
                .end_date = store_text_dup(rows, 6, arena),
                .premium = store_i64(rows, 7),
                .purpose = store_text_dup(rows, 8, arena),
                .created_us = store_i64(rows, 9),
        };
}

int policy_group_load(struct store_conn *db, struct arena *arena, const char *id, struct policy_group *ret)
{
        static const char sql[] = "SELECT " GROUP_COLUMNS " FROM policy_group WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                policy_group_read(rows, arena, ret);
        return r;
}

int policy_groups_query(struct store_conn *db, struct arena *arena, const struct policy_group_filter *f, int64_t limit,
                        struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " GROUP_COLUMNS " FROM policy_group WHERE path >= $1 AND path < $2 "
                                  "AND (path, id) > ($3, $4) ORDER BY path, id LIMIT $5";
        return store_query(db, sql, ret_rows, TEXT(f->path), TEXT(path_end(arena, f->path)), TEXTZ(f->after_path),
                           TEXTZ(f->after_id), I64(limit));
}

/* --- policies ---------------------------------------------------------------------------------------------------- */

#define POLICY_COLUMNS "p.id, p.policy_group, p.recipient, p.created_us, g.start_date, g.end_date"
#define POLICY_TABLES  "policy p JOIN policy_group g ON g.id = p.policy_group"

static void read_policy(const struct store_rows *rows, struct arena *arena, struct policy *ret)
{
        *ret = (struct policy){
                .id = store_text_dup(rows, 0, arena),
                .group = store_text_dup(rows, 1, arena),
                .recipient = store_text_dup(rows, 2, arena),
                .created_us = store_i64(rows, 3),
                .start_date = store_text_dup(rows, 4, arena),
                .end_date = store_text_dup(rows, 5, arena),
        };
}

int policy_insert(struct store_conn *db, const struct policy *p, bool *ret_new)
{
        static const char sql[] = "INSERT INTO policy (id, policy_group, recipient, created_us) VALUES ($1, $2, $3, $4) "
                                  "ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(p->id), TEXTZ(p->group), TEXTZ(p->recipient), I64(p->created_us));
        if (r == 0)
                *ret_new = changed;
        return r;
}

int policy_exists(struct store_conn *db, const char *group, const char *recipient, bool *ret)
{
        static const char sql[] = "SELECT id FROM policy WHERE policy_group = $1 AND recipient = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(group), TEXTZ(recipient)), rows);
        if (r == 0 || r == CARE_E_ABSENT)
                *ret = r == 0;
        return r == CARE_E_ABSENT ? 0 : r;
}

int policy_load(struct store_conn *db, struct arena *arena, const char *id, struct policy *ret)
{
        static const char sql[] = "SELECT " POLICY_COLUMNS " FROM " POLICY_TABLES " WHERE p.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                read_policy(rows, arena, ret);
        return r;
}

int policies_of(struct store_conn *db, struct arena *arena, const char *recipient, struct policy out[POLICIES_MAX], size_t *ret_n)
{
        static const char sql[] = "SELECT " POLICY_COLUMNS " FROM " POLICY_TABLES
                                  " WHERE p.recipient = $1 ORDER BY g.start_date DESC, p.id DESC LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(recipient), I64(POLICIES_MAX));
        while (r == 0 && n < POLICIES_MAX && (r = store_next(rows)) == 1) {
                read_policy(rows, arena, &out[n++]);
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

int policy_on(struct store_conn *db, struct arena *arena, const char *recipient, const char *date, struct policy *ret)
{
        static const char sql[] = "SELECT " POLICY_COLUMNS " FROM " POLICY_TABLES
                                  " WHERE p.recipient = $1 AND g.start_date <= $2 AND g.end_date >= $2"
                                  " ORDER BY g.start_date DESC, p.id DESC LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(recipient), TEXTZ(date)), rows);
        if (r == 0)
                read_policy(rows, arena, ret);
        return r;
}

/* --- payouts ----------------------------------------------------------------------------------------------------- */

int payout_load(struct store_conn *db, struct arena *arena, const char *case_id, const char *reference, struct payout *ret)
{
        static const char sql[] = "SELECT case_id, reference, policy, policy_group, paid_date, amount, created_us FROM payout "
                                  "WHERE case_id = $1 AND reference = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(case_id), TEXTZ(reference)), rows);
        if (r == 0)
                *ret = (struct payout){
                        .case_id = store_text_dup(rows, 0, arena),
                        .reference = store_text_dup(rows, 1, arena),
                        .policy = store_text_dup(rows, 2, arena),
                        .group = store_text_dup(rows, 3, arena),
                        .date = store_text_dup(rows, 4, arena),
                        .amount = store_i64(rows, 5),
                        .created_us = store_i64(rows, 6),
                };
        return r;
}

int payout_insert(struct store_conn *db, const struct payout *p)
{
        static const char sql[] =
                "INSERT INTO payout (case_id, reference, policy, policy_group, amount, paid_date, created_us) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(p->case_id), TEXTZ(p->reference), TEXTZ(p->policy), TEXTZ(p->group),
                           I64(p->amount), TEXTZ(p->date), I64(p->created_us));
        return one_changed(r, changed);
}

int policy_figures_load(struct store_conn *db, const char *group, struct policy_figures *ret)
{
        static const char insured[] = "SELECT COUNT(*) FROM policy WHERE policy_group = $1";
        static const char paid[] = "SELECT COUNT(DISTINCT case_id), COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM payout "
                                   "WHERE policy_group = $1";
        _cleanup_(store_rows_closep) struct store_rows *persons = NULL;
        _cleanup_(store_rows_closep) struct store_rows *claims = NULL;
        int r = first_row(store_query(db, insured, &persons, TEXTZ(group)), persons);
        if (r == 0)
                r = first_row(store_query(db, paid, &claims, TEXTZ(group)), claims);
        if (r == 0)
                *ret = (struct policy_figures){store_i64(persons, 0), store_i64(claims, 0), store_i64(claims, 1)};
        return r;
}
