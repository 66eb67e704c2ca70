/* SPDX-License-Identifier: Apache-2.0
 *
 * Payments, batches and disclosures in SQL.
 */
#include "store_payment.h"

#define COLUMNS                                                                                                                \
        "id, number, case_id, decision, programme, recipient, payee, organization, path, amount, pending, approvers, state, batch, " \
        "bank_account_masked, bank_reason, created_us, paid_us"

/* --- payments ---------------------------------------------------------------------------------------------------------- */

void payment_read(const struct store_rows *rows, struct arena *arena, struct payment *ret)
{
        *ret = (struct payment){
                .id = store_text_dup(rows, 0, arena),
                .number = store_text_dup(rows, 1, arena),
                .case_id = store_text_dup(rows, 2, arena),
                .decision = store_text_dup(rows, 3, arena),
                .programme = store_text_dup(rows, 4, arena),
                .recipient = store_text_dup(rows, 5, arena),
                .payee = store_text_dup(rows, 6, arena),
                .organization = store_text_dup(rows, 7, arena),
                .path = store_text_dup(rows, 8, arena),
                .amount = store_i64(rows, 9),
                .pending = store_text_dup(rows, 10, arena),
                .approvers = store_text_dup(rows, 11, arena),
                .state = (int)store_i64(rows, 12),
                .batch = store_text_dup(rows, 13, arena),
                .bank_account_masked = store_text_dup(rows, 14, arena),
                .bank_reason = store_text_dup(rows, 15, arena),
                .created_us = store_i64(rows, 16),
                .paid_us = store_i64(rows, 17),
        };
}

int payment_insert(struct store_conn *db, const struct payment *p)
{
        static const char sql[] =
                "INSERT INTO care_payment (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
                "$16, $17, $18) ON CONFLICT (number) DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(p->id), TEXTZ(p->number), TEXTZ(p->case_id), TEXTZ(p->decision), TEXTZ(p->programme),
                           TEXTZ(p->recipient), TEXTZ(p->payee), TEXTZ(p->organization), TEXTZ(p->path), I64(p->amount), TEXTZ(p->pending),
                           TEXTZ(p->approvers), I64(p->state), TEXTZ(p->batch), TEXTZ(p->bank_account_masked), TEXTZ(p->bank_reason),
                           I64(p->created_us), I64(p->paid_us));
        return r == 0 && !changed ? CARE_E_ABSENT : r;
}

int payment_load(struct store_conn *db, struct arena *arena, const char *id, struct payment *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_payment WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                payment_read(rows, arena, ret);
        return r;
}

int payment_move(struct store_conn *db, const struct payment *p, int from, const char *from_batch)
{
        static const char sql[] = "UPDATE care_payment SET state = $4, batch = $5, bank_account_masked = $6, bank_reason = $7, "
                                  "paid_us = $8 WHERE id = $1 AND state = $2 AND batch = $3";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(p->id), I64(from), TEXTZ(from_batch), I64(p->state), TEXTZ(p->batch),
                           TEXTZ(p->bank_account_masked), TEXTZ(p->bank_reason), I64(p->paid_us));
        return one_changed(r, changed);
}

int payment_set_account(struct store_conn *db, const char *id, const char *masked)
{
        static const char sql[] = "UPDATE care_payment SET bank_account_masked = $2 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(id), TEXTZ(masked));
}

int payments_forget(struct store_conn *db, const char *recipient)
{
        static const char sql[] = "UPDATE care_payment SET bank_account_masked = '', bank_reason = '' WHERE recipient = $1 AND recipient <> ''";
        return store_exec(db, sql, NULL, TEXTZ(recipient));
}

int payments_query(struct store_conn *db, struct arena *arena, const struct payment_filter *f, int64_t limit, struct store_rows **ret_rows)
{
        static const char all[] = "SELECT " COLUMNS " FROM care_payment WHERE path >= $1 AND path < $2 AND (path, id) > ($3, $4) "
                                  "ORDER BY path, id LIMIT $5";
        static const char of_state[] = "SELECT " COLUMNS " FROM care_payment WHERE state = $6 AND path >= $1 AND path < $2 "
                                       "AND (path, id) > ($3, $4) ORDER BY path, id LIMIT $5";
        struct store_value path = TEXT(f->path), end = TEXT(path_end(arena, f->path));
        if (!f->state)
                return store_query(db, all, ret_rows, path, end, TEXTZ(f->after_path), TEXTZ(f->after_id), I64(limit));
        return store_query(db, of_state, ret_rows, path, end, TEXTZ(f->after_path), TEXTZ(f->after_id), I64(limit), I64(f->state));
}

int payments_of_case_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_payment WHERE case_id = $1 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(case_id), I64(limit));
}

/* --- batches ----------------------------------------------------------------------------------------------------------- */

#define READY   "1"
#define BATCHED "2"

/* All at once, so that what is taken is taken by nobody else. */
static int take_ready(struct store_conn *db, const struct payment_batch *b, int64_t most, int64_t *ret_taken)
{
        static const char sql[] =
                "UPDATE care_payment SET state = " BATCHED ", batch = $1, bank_account_masked = COALESCE((SELECT r.bank_account_masked "
                "FROM recipient r WHERE r.id = care_payment.recipient), '') WHERE state = " READY " AND id IN (SELECT p.id "
                "FROM care_payment p WHERE p.organization = $2 AND p.state = " READY " AND ($3 = '' OR p.programme = $3) "
                "ORDER BY p.id LIMIT $4)";
        static const char lines[] =
                "INSERT INTO care_payment_line (batch, number, payment, amount, state) SELECT batch, number, id, amount, state "
                "FROM care_payment WHERE batch = $1 AND batch <> ''";
        int r = store_exec(db, sql, ret_taken, TEXTZ(b->id), TEXTZ(b->organization), TEXTZ(b->programme), I64(most));
        return r == 0 && *ret_taken ? store_exec(db, lines, NULL, TEXTZ(b->id)) : r;
}

static int approved_by(struct store_conn *db, const struct payment_batch *b, bool *ret_own)
{
        static const char sql[] = "SELECT 1 FROM care_payment WHERE batch = $1 AND batch <> '' "
                                  "AND '\n' || approvers LIKE '%\n' || $2 || '\n%' LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(b->id), TEXTZ(b->made_by)), rows);
        if (r == 0 || r == CARE_E_ABSENT)
                *ret_own = r == 0;
        return r == CARE_E_ABSENT ? 0 : r;
}

static int sum_lines(struct store_conn *db, struct payment_batch *b)
{
        static const char sql[] = "SELECT COUNT(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM care_payment_line WHERE batch = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(b->id)), rows);
        if (r == 0) {
                b->payments = b->unanswered = store_i64(rows, 0);
                b->amount = store_i64(rows, 1);
        }
        return r;
}

int payment_batch_gather(struct store_conn *db, struct payment_batch *b, int64_t most, bool *ret_own)
{
        static const char sql[] =
                "INSERT INTO care_payment_batch (id, organization, path, programme, state, payments, amount, unanswered, created_us, made_by) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        int64_t taken = 0;
        *ret_own = false;
        b->payments = b->amount = b->unanswered = 0;
        int r = take_ready(db, b, most, &taken);
        if (r != 0 || !taken)
                return r;
        r = approved_by(db, b, ret_own);
        if (r == 0)
                r = sum_lines(db, b);
        if (r != 0)
                return r;
        return store_exec(db, sql, NULL, TEXTZ(b->id), TEXTZ(b->organization), TEXTZ(b->path), TEXTZ(b->programme), I64(b->state),
                          I64(b->payments), I64(b->amount), I64(b->unanswered), I64(b->created_us), TEXTZ(b->made_by));
}

int payment_batch_load(struct store_conn *db, struct arena *arena, const char *id, struct payment_batch *ret)
{
        static const char sql[] = "SELECT id, organization, path, programme, state, payments, amount, unanswered, created_us, made_by "
                                  "FROM care_payment_batch WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = (struct payment_batch){
                        .id = store_text_dup(rows, 0, arena),
                        .organization = store_text_dup(rows, 1, arena),
                        .path = store_text_dup(rows, 2, arena),
                        .programme = store_text_dup(rows, 3, arena),
                        .state = (int)store_i64(rows, 4),
                        .payments = store_i64(rows, 5),
                        .amount = store_i64(rows, 6),
                        .unanswered = store_i64(rows, 7),
                        .created_us = store_i64(rows, 8),
                        .made_by = store_text_dup(rows, 9, arena),
                };
        return r;
}

int payment_batch_count(struct store_conn *db, struct payment_batch *b)
{
        static const char sql[] = "SELECT state, COUNT(*) FROM care_payment_line WHERE batch = $1 GROUP BY state";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(b->id));
        b->paid = b->returned = b->unknown = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                int state = (int)store_i64(rows, 0);
                int64_t n = store_i64(rows, 1);
                b->paid += state == PAYMENT_PAID ? n : 0;
                b->returned += state == PAYMENT_RETURNED ? n : 0;
                b->unknown += state == PAYMENT_UNKNOWN ? n : 0;
                r = 0;
        }
        return r;
}

int payment_batch_export(struct store_conn *db, const char *id)
{
        static const char sql[] = "UPDATE care_payment_batch SET state = $2 WHERE id = $1 AND state = $3";
        return store_exec(db, sql, NULL, TEXTZ(id), I64(BATCH_EXPORTED), I64(BATCH_MADE));
}

/* --- a batch's lines --------------------------------------------------------------------------------------------------- */

void payment_line_read(const struct store_rows *rows, struct arena *arena, struct payment_line *ret)
{
        *ret = (struct payment_line){
                .number = store_text_dup(rows, 0, arena),
                .payment = store_text_dup(rows, 1, arena),
                .amount = store_i64(rows, 2),
                .state = (int)store_i64(rows, 3),
        };
}

int payment_line_load(struct store_conn *db, struct arena *arena, const char *batch, const char *number, struct payment_line *ret)
{
        static const char sql[] = "SELECT number, payment, amount, state FROM care_payment_line WHERE batch = $1 AND number = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(batch), TEXTZ(number)), rows);
        if (r == 0)
                payment_line_read(rows, arena, ret);
        return r;
}

int payment_line_answer(struct store_conn *db, const char *batch, const struct payment_line *line, int state)
{
        static const char sql[] = "UPDATE care_payment_line SET state = $4 WHERE batch = $1 AND number = $2 AND state = $3";
        static const char one_less[] = "UPDATE care_payment_batch SET unanswered = unanswered - 1, "
                                       "state = CASE WHEN unanswered = 1 THEN $2 ELSE state END WHERE id = $1";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(batch), TEXTZ(line->number), I64(line->state), I64(state));
        r = one_changed(r, changed);
        if (r != 0 || state == PAYMENT_UNKNOWN)
                return r;
        return store_exec(db, one_less, NULL, TEXTZ(batch), I64(BATCH_RECONCILED));
}

int payment_lines_query(struct store_conn *db, const char *batch, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT number, payment, amount, state FROM care_payment_line WHERE batch = $1 AND number > $2 "
                                  "AND state = " BATCHED " ORDER BY number LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(batch), TEXTZ(after), I64(limit));
}

/* --- disclosures --------------------------------------------------------------------------------------------------------- */

int disclosure_insert(struct store_conn *db, const struct disclosure *d)
{
        static const char sql[] =
                "INSERT INTO care_disclosure (fund, pending, programme, organization, recipient, payee, amount, unit, day) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        return store_exec(db, sql, NULL, TEXTZ(d->fund), TEXTZ(d->pending), TEXTZ(d->programme), TEXTZ(d->organization),
                          TEXTZ(d->recipient), TEXTZ(d->payee), I64(d->amount), TEXTZ(d->unit), TEXTZ(d->day));
}

/* A name stands where at least five persons were given something by that organisation, of that programme and fund. */
int disclosures_query(struct store_conn *db, const char *fund, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT d.fund, d.pending, d.programme, d.organization, d.recipient, d.payee, d.amount, d.unit, d.day, "
                "CASE WHEN (SELECT COUNT(*) FROM (SELECT DISTINCT x.recipient FROM care_disclosure x WHERE x.fund = d.fund "
                "AND x.programme = d.programme AND x.organization = d.organization AND x.recipient > '' LIMIT $4) AS few) = $4 "
                "THEN COALESCE(r.name, '') ELSE '' END FROM care_disclosure d LEFT JOIN recipient r ON r.id = d.recipient "
                "WHERE d.fund = $1 AND d.pending > $2 AND NOT EXISTS (SELECT 1 FROM ledger_transfer p JOIN ledger_transfer v "
                "ON v.of_id = p.id WHERE p.of_id = d.pending) ORDER BY d.pending LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(fund), TEXTZ(after), I64(limit), I64(FIGURE_LEAST));
}

void disclosure_read(const struct store_rows *rows, struct arena *arena, struct disclosure *ret)
{
        *ret = (struct disclosure){
                .fund = store_text_dup(rows, 0, arena),
                .pending = store_text_dup(rows, 1, arena),
                .programme = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .recipient = store_text_dup(rows, 4, arena),
                .payee = store_text_dup(rows, 5, arena),
                .amount = store_i64(rows, 6),
                .unit = store_text_dup(rows, 7, arena),
                .day = store_text_dup(rows, 8, arena),
                .name = store_text_dup(rows, 9, arena),
        };
}
