/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits and assessments in SQL.
 */
#include "store_work.h"

#include "rules_visit.h"

/* --- visits ------------------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                            \
        "v.id, v.subject, v.case_id, v.recipient, v.organization, v.occasion, v.at_us, v.way, v.outcome, v.note, v.account, " \
        "v.device, v.nonce, v.routine, v.task, v.created_us"

void visit_read(const struct store_rows *rows, struct arena *arena, struct visit *ret)
{
        *ret = (struct visit){
                .id = store_text_dup(rows, 0, arena),
                .subject = store_text_dup(rows, 1, arena),
                .case_id = store_text_dup(rows, 2, arena),
                .recipient = store_text_dup(rows, 3, arena),
                .organization = store_text_dup(rows, 4, arena),
                .occasion = store_text_dup(rows, 5, arena),
                .at_us = store_i64(rows, 6),
                .way = (int)store_i64(rows, 7),
                .outcome = (int)store_i64(rows, 8),
                .note = arena_str(arena, store_bytes(rows, 9)),
                .account = store_text_dup(rows, 10, arena),
                .device = store_text_dup(rows, 11, arena),
                .nonce = store_text_dup(rows, 12, arena),
                .routine = store_i64(rows, 13) != 0,
                .task = store_text_dup(rows, 14, arena),
                .created_us = store_i64(rows, 15),
        };
}

int visit_insert(struct store_conn *db, const struct visit *v, bool *ret_new)
{
        static const char sql[] =
                "INSERT INTO care_visit (id, subject, case_id, recipient, organization, occasion, at_us, way, outcome, note, account, "
                "device, nonce, routine, task, done, created_us) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(v->id), TEXTZ(v->subject), TEXTZ(v->case_id), TEXTZ(v->recipient),
                           TEXTZ(v->organization), TEXTZ(v->occasion), I64(v->at_us), I64(v->way), I64(v->outcome),
                           v->note.n ? BYTES(v->note.p, v->note.n) : SQLNULL(), TEXTZ(v->account), TEXTZ(v->device), TEXTZ(v->nonce),
                           I64(v->routine), TEXTZ(v->task), I64(v->created_us));
        if (r == 0)
                *ret_new = changed == 1;
        return r;
}

static int read_first(int queried, struct store_rows *rows, struct arena *arena, struct visit *ret)
{
        int r = first_row(queried, rows);
        if (r == 0)
                visit_read(rows, arena, ret);
        return r;
}

int visit_by_nonce(struct store_conn *db, struct arena *arena, const char *subject, const char *device, const char *nonce,
                   struct visit *ret)
{
        static const char sql[] = "SELECT " COLUMNS
                                  " FROM care_visit v WHERE v.subject = $1 AND v.device = $2 AND v.nonce = $3 AND v.device <> ''";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(subject), TEXTZ(device), TEXTZ(nonce));
        return read_first(r, rows, arena, ret);
}

int visit_planned_for(struct store_conn *db, struct arena *arena, const char *subject, const char *occasion, int64_t due_us,
                      struct visit *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_visit v WHERE v.subject = $1 AND v.occasion = $2 AND v.at_us = $3 "
                                  "AND v.outcome = 0 AND v.routine = 0";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(subject), TEXTZ(occasion), I64(due_us));
        return read_first(r, rows, arena, ret);
}

int visit_routine(struct store_conn *db, struct arena *arena, const char *case_id, struct visit *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_visit v WHERE v.subject = $1 AND v.routine = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(case_id));
        return read_first(r, rows, arena, ret);
}

/* Newest first, so that it mostly is the first row. */
int visit_last(struct store_conn *db, const char *subject, int64_t *ret_us)
{
        static const char sql[] = "SELECT v.at_us, v.outcome FROM care_visit v WHERE v.subject = $1 AND v.done = 0 "
                                  "ORDER BY v.at_us DESC, v.id DESC";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(subject));
        int64_t at = 0;
        while (r == 0 && !at && (r = store_next(rows)) == 1) {
                if (visit_settles((int)store_i64(rows, 1)))
                        at = store_i64(rows, 0);
                r = 0;
        }
        if (r == 0)
                *ret_us = at;
        return r;
}

int visit_plans(struct store_conn *db, struct arena *arena, const char *subject, bool routine, struct visit out[VISIT_PLANS_MAX],
                size_t *ret_n)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_visit v WHERE v.subject = $1 AND v.outcome = 0 AND v.done = 0 "
                                  "AND v.routine <= $2 ORDER BY v.at_us, v.id LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(subject), I64(routine), I64(VISIT_PLANS_MAX));
        if (r != 0)
                return r;
        while (n < VISIT_PLANS_MAX && (r = store_next(rows)) == 1)
                visit_read(rows, arena, &out[n++]);
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

int visit_finish(struct store_conn *db, const char *id)
{
        static const char sql[] = "UPDATE care_visit SET done = 1 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(id));
}

int visit_put_off(struct store_conn *db, const struct visit *v, const char *task_before)
{
        static const char sql[] = "UPDATE care_visit SET at_us = $2, task = $3 WHERE id = $1 AND task = $4";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(v->id), I64(v->at_us), TEXTZ(v->task), TEXTZ(task_before));
        return one_changed(r, changed);
}

int visit_delete(struct store_conn *db, const char *id)
{
        static const char sql[] = "DELETE FROM care_visit WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(id));
}

int visits_query(struct store_conn *db, const char *subject, int64_t before_us, const char *before_id, int64_t limit,
                 struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_visit v WHERE v.subject = $1 AND v.done = 0 "
                                  "AND (v.at_us, v.id) < ($2, $3) ORDER BY v.at_us DESC, v.id DESC LIMIT $4";
        return store_query(db, sql, ret_rows, TEXTZ(subject), I64(before_us), TEXTZ(before_id), I64(limit));
}

/* --- assessments -------------------------------------------------------------------------------------------------------- */

int assessment_insert(struct store_conn *db, const struct assessment *a)
{
        static const char sql[] = "INSERT INTO care_assessment (id, case_id, form, sealed, account, created_us) "
                                  "VALUES ($1, $2, $3, $4, $5, $6)";
        return store_exec(db, sql, NULL, TEXTZ(a->id), TEXTZ(a->case_id), TEXTZ(a->form), BYTES(a->sealed.p, a->sealed.n),
                          TEXTZ(a->account), I64(a->created_us));
}

int assessments_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT id, case_id, form, sealed, account, created_us FROM care_assessment WHERE case_id = $1 "
                                  "ORDER BY id DESC LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(case_id), I64(limit));
}

void assessment_read(const struct store_rows *rows, struct arena *arena, struct assessment *ret)
{
        *ret = (struct assessment){
                .id = store_text_dup(rows, 0, arena),
                .case_id = store_text_dup(rows, 1, arena),
                .form = store_text_dup(rows, 2, arena),
                .sealed = arena_str(arena, store_bytes(rows, 3)),
                .account = store_text_dup(rows, 4, arena),
                .created_us = store_i64(rows, 5),
        };
}
