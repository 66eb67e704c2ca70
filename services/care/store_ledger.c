/* SPDX-License-Identifier: Apache-2.0
 *
 * Funds, accounts and transfers in the store. A transfer costs one look-up (two, if it is of another), one row, and the two
 * accounts' rows. On a shared store the transaction is as if no other ran: what was read of an account still holds when it is
 * written, or the transaction is run again; so totals are written as they were worked out.
 */
#include "store_ledger.h"

/* --- funds --------------------------------------------------------------------------------------------------------- */

int fund_insert(struct store_conn *db, const struct ledger_fund *f)
{
        static const char sql[] = "INSERT INTO fund (id, kind, title, organization, donor, purposes, unit, created_us) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        return store_exec(db, sql, NULL, TEXTZ(f->id), I64(f->kind), TEXTZ(f->title), TEXTZ(f->organization), TEXTZ(f->donor),
                          TEXTZ(f->purposes), TEXTZ(f->unit), I64(f->created_us));
}

int fund_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_fund *ret)
{
        static const char sql[] = "SELECT id, kind, title, organization, donor, purposes, unit, created_us FROM fund WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = (struct ledger_fund){
                        .id = store_text_dup(rows, 0, arena),
                        .kind = (int)store_i64(rows, 1),
                        .title = store_text_dup(rows, 2, arena),
                        .organization = store_text_dup(rows, 3, arena),
                        .donor = store_text_dup(rows, 4, arena),
                        .purposes = store_text_dup(rows, 5, arena),
                        .unit = store_text_dup(rows, 6, arena),
                        .created_us = store_i64(rows, 7),
                };
        return r;
}

int fund_consent_insert(struct store_conn *db, const struct ledger_consent *c, bool *ret_added)
{
        static const char sql[] = "INSERT INTO fund_consent (id, fund, purpose, reference, created_us) VALUES ($1, $2, $3, $4, $5) "
                                  "ON CONFLICT (fund, purpose) DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->id), TEXTZ(c->fund), TEXTZ(c->purpose), TEXTZ(c->reference), I64(c->created_us));
        *ret_added = changed;
        return r;
}

#define CONSENT "id, fund, purpose, reference, created_us"

int fund_consents_query(struct store_conn *db, const char *fund, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " CONSENT " FROM fund_consent WHERE fund = $1 ORDER BY created_us, id";
        return store_query(db, sql, ret_rows, TEXTZ(fund));
}

void fund_consent_read(const struct store_rows *rows, struct arena *arena, struct ledger_consent *ret)
{
        *ret = (struct ledger_consent){
                .id = store_text_dup(rows, 0, arena),
                .fund = store_text_dup(rows, 1, arena),
                .purpose = store_text_dup(rows, 2, arena),
                .reference = store_text_dup(rows, 3, arena),
                .created_us = store_i64(rows, 4),
        };
}

int fund_consent_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_consent *ret)
{
        static const char sql[] = "SELECT " CONSENT " FROM fund_consent WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                fund_consent_read(rows, arena, ret);
        return r;
}

int fund_is_within(struct store_conn *db, const char *fund, struct str path, struct str end, bool *ret_is)
{
        static const char sql[] = "SELECT 1 FROM ledger_account WHERE fund = $1 AND path >= $2 AND path < $3 LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(fund), TEXT(path), TEXT(end));
        if (r == 0)
                r = store_next(rows);
        *ret_is = r == 1;
        return r == 1 ? 0 : r;
}

/* --- accounts -------------------------------------------------------------------------------------------------------- */

#define ACCOUNT                                                                                              \
        "a.id, a.kind, a.fund, a.purpose, a.organization, a.path, a.programme, a.unit, a.created_us, "       \
        "a.credits_posted, a.credits_pending, a.debits_posted, a.debits_pending, a.version, a.changed_us"

void ledger_account_read(const struct store_rows *rows, struct arena *arena, struct ledger_account *ret)
{
        *ret = (struct ledger_account){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .fund = store_text_dup(rows, 2, arena),
                .purpose = store_text_dup(rows, 3, arena),
                .organization = store_text_dup(rows, 4, arena),
                .path = store_text_dup(rows, 5, arena),
                .programme = store_text_dup(rows, 6, arena),
                .unit = store_text_dup(rows, 7, arena),
                .created_us = store_i64(rows, 8),
                .totals = {store_i64(rows, 9), store_i64(rows, 10), store_i64(rows, 11), store_i64(rows, 12)},
                .version = store_i64(rows, 13),
                .changed_us = store_i64(rows, 14),
        };
}

int ledger_accounts_load(struct store_conn *db, struct arena *arena, const char *id, const char *other, struct ledger_account *ret,
                         struct ledger_account *ret_other)
{
        /* Two look-ups; a list would be made a table of its own first. */
        static const char sql[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE a.id = $1 "
                                  "UNION ALL SELECT " ACCOUNT " FROM ledger_account a WHERE a.id = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id), TEXTZ(other));
        ret->id = ret_other->id = NULL;
        while (r == 0 && (r = store_next(rows)) == 1) {
                bool first = str_is(store_text(rows, 0), id);
                ledger_account_read(rows, arena, first ? ret : ret_other);
                r = 0;
        }
        return r;
}

int ledger_account_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_account *ret)
{
        static const char sql[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE a.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                ledger_account_read(rows, arena, ret);
        return r;
}

int ledger_account_find(struct store_conn *db, struct arena *arena, const struct ledger_account *terms, struct ledger_account *ret)
{
        static const char sql[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE a.fund = $1 AND a.kind = $2 AND a.purpose = $3 "
                                  "AND a.organization = $4 AND a.programme = $5";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(terms->fund), I64(terms->kind), TEXTZ(terms->purpose),
                                      TEXTZ(terms->organization), TEXTZ(terms->programme)),
                          rows);
        if (r == 0)
                ledger_account_read(rows, arena, ret);
        return r;
}

int ledger_account_insert(struct store_conn *db, const struct ledger_account *a)
{
        static const char sql[] =
                "INSERT INTO ledger_account (id, kind, fund, purpose, organization, path, programme, unit, created_us, credits_posted, "
                "credits_pending, debits_posted, debits_pending, version, changed_us) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0)";
        return store_exec(db, sql, NULL, TEXTZ(a->id), I64(a->kind), TEXTZ(a->fund), TEXTZ(a->purpose), TEXTZ(a->organization),
                          TEXTZ(a->path), TEXTZ(a->programme), TEXTZ(a->unit), I64(a->created_us));
}

int ledger_account_save(struct store_conn *db, const struct ledger_account *a)
{
        static const char sql[] = "UPDATE ledger_account SET credits_posted = $2, credits_pending = $3, debits_posted = $4, "
                                  "debits_pending = $5, version = $6, changed_us = $7 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(a->id), I64(a->totals.credits_posted), I64(a->totals.credits_pending),
                          I64(a->totals.debits_posted), I64(a->totals.debits_pending), I64(a->version), I64(a->changed_us));
}

int ledger_accounts_query(struct store_conn *db, struct str after_path, const char *after_id, struct str end, const char *fund,
                          int64_t limit, struct store_rows **ret_rows)
{
        static const char all[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE (a.path, a.id) > ($1, $2) AND a.path < $3 "
                                  "ORDER BY a.path, a.id LIMIT $4";
        static const char of_fund[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE (a.path, a.id) > ($1, $2) AND a.path < $3 "
                                      "AND a.fund = $5 ORDER BY a.path, a.id LIMIT $4";
        if (!fund[0])
                return store_query(db, all, ret_rows, TEXT(after_path), TEXTZ(after_id), TEXT(end), I64(limit));
        return store_query(db, of_fund, ret_rows, TEXT(after_path), TEXTZ(after_id), TEXT(end), I64(limit), TEXTZ(fund));
}

int ledger_budgets_query(struct store_conn *db, const char *organization, const char *purpose, const char *unit, int64_t limit,
                         struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " ACCOUNT " FROM ledger_account a JOIN fund f ON f.id = a.fund WHERE a.organization = $1 "
                                  "AND a.purpose = $2 AND a.kind = 2 AND a.unit = $3 AND a.credits_posted > a.debits_posted + a.debits_pending "
                                  "ORDER BY f.kind, f.created_us, a.id LIMIT $4";
        return store_query(db, sql, ret_rows, TEXTZ(organization), TEXTZ(purpose), TEXTZ(unit), I64(limit));
}

/* --- transfers ------------------------------------------------------------------------------------------------------- */

#define ROW_FIELDS(t)                                                                                        \
        t "id, " t "kind, " t "debit, " t "credit, " t "amount, " t "of_id, " t "reason, " t "case_id, " t "actor, " t "expire_us, " \
        t "created_us, " t "debit_number, " t "debit_credits_posted, " t "debit_credits_pending, " t "debit_debits_posted, " \
        t "debit_debits_pending, " t "credit_number, " t "credit_credits_posted, " t "credit_credits_pending, " \
        t "credit_debits_posted, " t "credit_debits_pending"
#define ROW ROW_FIELDS("t.")
#define ROW_COLUMNS 21

static struct ledger_side side_read(const struct store_rows *rows, int column)
{
        return (struct ledger_side){
                store_i64(rows, column),
                {store_i64(rows, column + 1), store_i64(rows, column + 2), store_i64(rows, column + 3), store_i64(rows, column + 4)}};
}

void ledger_row_read(const struct store_rows *rows, struct arena *arena, struct ledger_row *ret)
{
        *ret = (struct ledger_row){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .debit = store_text_dup(rows, 2, arena),
                .credit = store_text_dup(rows, 3, arena),
                .amount = store_i64(rows, 4),
                .of = store_text_dup(rows, 5, arena),
                .reason = store_text_dup(rows, 6, arena),
                .case_id = store_text_dup(rows, 7, arena),
                .actor = store_text_dup(rows, 8, arena),
                .expire_us = store_i64(rows, 9),
                .created_us = store_i64(rows, 10),
                .debit_side = side_read(rows, 11),
                .credit_side = side_read(rows, 16),
        };
}

int ledger_row_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_row *ret)
{
        static const char sql[] = "SELECT " ROW " FROM ledger_transfer t WHERE t.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                ledger_row_read(rows, arena, ret);
        return r;
}

int ledger_of_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_row *ret, bool *ret_settled)
{
        static const char sql[] = "SELECT " ROW ", s.id FROM ledger_transfer t LEFT JOIN ledger_transfer s ON s.of_id = t.id "
                                  "WHERE t.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        ledger_row_read(rows, arena, ret);
        *ret_settled = !store_is_null(rows, ROW_COLUMNS);
        return 0;
}

int ledger_settlement_load(struct store_conn *db, struct arena *arena, const char *of, struct ledger_row *ret)
{
        static const char sql[] = "SELECT " ROW " FROM ledger_transfer t WHERE t.of_id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(of)), rows);
        if (r == 0)
                ledger_row_read(rows, arena, ret);
        return r;
}

static void side_put(struct store_value v[5], const struct ledger_side *side)
{
        v[0] = I64(side->number);
        v[1] = I64(side->after.credits_posted);
        v[2] = I64(side->after.credits_pending);
        v[3] = I64(side->after.debits_posted);
        v[4] = I64(side->after.debits_pending);
}

int ledger_rows_insert(struct store_conn *db, struct arena *arena, const struct ledger_row *rows, size_t n)
{
        static const char sql[] = "INSERT INTO ledger_transfer (" ROW_FIELDS("") ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
                                  "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
        struct store_value *values = ARENA_ARRAY(arena, struct store_value, n * ROW_COLUMNS), *v = values;
        for (const struct ledger_row *row = rows; row < rows + n; row++, v += ROW_COLUMNS) {
                v[0] = TEXTZ(row->id);
                v[1] = I64(row->kind);
                v[2] = TEXTZ(row->debit);
                v[3] = TEXTZ(row->credit);
                v[4] = I64(row->amount);
                v[5] = TEXT_OR_NULL(str_of(row->of));
                v[6] = TEXTZ(row->reason);
                v[7] = TEXTZ(row->case_id);
                v[8] = TEXTZ(row->actor);
                v[9] = I64(row->expire_us);
                v[10] = I64(row->created_us);
                side_put(v + 11, &row->debit_side);
                side_put(v + 16, &row->credit_side);
        }
        return store_exec_many(db, sql, values, ROW_COLUMNS, n);
}

int ledger_rows_query(struct store_conn *db, const char *account, int64_t before, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT " ROW ", t.debit_number AS number FROM ledger_transfer t WHERE t.debit = $1 AND t.debit_number < $2 "
                "UNION ALL SELECT " ROW ", t.credit_number FROM ledger_transfer t WHERE t.credit = $1 AND t.credit_number < $2 "
                "ORDER BY number DESC LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(account), I64(before), I64(limit));
}
