/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures in SQL.
 */
#include "store_figure.h"

int figure_case_insert(struct store_conn *db, const char *case_id, int year, enum figure_what what, bool *ret_new)
{
        static const char sql[] = "INSERT INTO care_figure_case (case_id, year, what) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(case_id), I64(year), I64(what));
        *ret_new = changed;
        return r;
}

int figures_add(struct store_conn *db, const struct store_value *rows, size_t n)
{
        static const char sql[] =
                "INSERT INTO care_figure (programme, year, organization, opened, granted, refused, paid, amount) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (programme, year, organization) DO UPDATE SET "
                "opened = care_figure.opened + excluded.opened, granted = care_figure.granted + excluded.granted, "
                "refused = care_figure.refused + excluded.refused, paid = care_figure.paid + excluded.paid, "
                "amount = care_figure.amount + excluded.amount";
        return store_exec_many(db, sql, rows, FIGURE_COLUMNS, n);
}

void figure_read(const struct store_rows *rows, struct arena *arena, struct figure *ret)
{
        ret->organization = store_text_dup(rows, 0, arena);
        for (int i = 0; i < FIGURES; i++)
                ret->cases[i] = store_i64(rows, i + 1);
        ret->amount = store_i64(rows, FIGURES + 1);
}

#define SELECT                                                                                                             \
        "SELECT o.code, COALESCE(f.opened, 0), COALESCE(f.granted, 0), COALESCE(f.refused, 0), COALESCE(f.paid, 0), "       \
        "COALESCE(f.amount, 0) FROM organization o LEFT JOIN care_figure f ON f.programme = $1 AND f.year = $2 AND f.organization = o.code "

int figure_load(struct store_conn *db, struct arena *arena, const char *programme, int year, const char *organization, struct figure *ret)
{
        static const char sql[] = SELECT "WHERE o.code = $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(programme), I64(year), TEXTZ(organization)), rows);
        if (r == 0)
                figure_read(rows, arena, ret);
        return r;
}

int figures_query(struct store_conn *db, const char *programme, int year, const char *parent, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = SELECT "WHERE o.parent = $3 ORDER BY o.code LIMIT $4";
        return store_query(db, sql, ret_rows, TEXTZ(programme), I64(year), TEXTZ(parent), I64(limit));
}

int figures_clear(struct store_conn *db)
{
        static const char figures[] = "DELETE FROM care_figure";
        static const char cases[] = "DELETE FROM care_figure_case";
        int r = store_exec(db, figures, NULL);
        return r == 0 ? store_exec(db, cases, NULL) : r;
}

#define REFUSED "4" /* Case.State */
#define GIVEN   "2" /* of a decision */
#define PAID    "3" /* Payment.State */

int figures_all_query(struct store_conn *db, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT 1 AS what, id AS case_id, programme, organization, created_us AS time_us, 0 AS amount FROM care_case "
                "UNION ALL SELECT 2, d.case_id, d.programme, c.organization, d.time_us, 0 FROM care_decision d "
                "JOIN care_case c ON c.id = d.case_id "
                "UNION ALL SELECT 3, id, programme, organization, closed_us, 0 FROM care_case WHERE state = " REFUSED " "
                "UNION ALL SELECT 4, d.case_id, d.programme, c.organization, COALESCE(p.paid_us, d.time_us), "
                "CASE WHEN c.unit = 'CNY' THEN d.amount ELSE 0 END FROM care_decision d JOIN care_case c ON c.id = d.case_id "
                "LEFT JOIN care_payment p ON p.case_id = d.case_id AND p.decision = d.id AND p.state = " PAID " WHERE d.state = " GIVEN;
        return store_query(db, sql, ret_rows);
}
