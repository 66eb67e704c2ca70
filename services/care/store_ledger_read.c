/* SPDX-License-Identifier: Apache-2.0
 *
 * An account's past in the store: its sides, row by row, and how it stood at a time. The rows of a side are numbered, and what is
 * posted in all grows along them, as does their time: so one is found by halving, some twenty look-ups among a million.
 */
#include "store_ledger.h"

#define ROW                                                                                                  \
        "id, kind, debit, credit, amount, of_id, reason, case_id, actor, expire_us, created_us, debit_number, " \
        "debit_credits_posted, debit_credits_pending, debit_debits_posted, debit_debits_pending, credit_number, " \
        "credit_credits_posted, credit_credits_pending, credit_debits_posted, credit_debits_pending"

int ledger_probe(struct store_conn *db, const char *account, enum ledger_side_of side, int64_t number, struct ledger_probe *ret)
{
        static const char debits[] = "SELECT debit_number, created_us, debit_credits_posted, debit_credits_pending, debit_debits_posted, "
                                     "debit_debits_pending FROM ledger_transfer WHERE debit = $1 AND debit_number <= $2 "
                                     "ORDER BY debit_number DESC LIMIT 1";
        static const char credits[] = "SELECT credit_number, created_us, credit_credits_posted, credit_credits_pending, "
                                      "credit_debits_posted, credit_debits_pending FROM ledger_transfer WHERE credit = $1 "
                                      "AND credit_number <= $2 ORDER BY credit_number DESC LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = side == LEDGER_DEBITS ? store_query(db, debits, &rows, TEXTZ(account), I64(number))
                                      : store_query(db, credits, &rows, TEXTZ(account), I64(number));
        if (r == 0)
                r = store_next(rows);
        *ret = (struct ledger_probe){0};
        if (r != 1)
                return r;
        ret->number = store_i64(rows, 0);
        ret->created_us = store_i64(rows, 1);
        ret->after = (struct ledger_totals){store_i64(rows, 2), store_i64(rows, 3), store_i64(rows, 4), store_i64(rows, 5)};
        ret->posted = side == LEDGER_DEBITS ? ret->after.debits_posted : ret->after.credits_posted;
        return 0;
}

int ledger_side_query(struct store_conn *db, const char *account, enum ledger_side_of side, int64_t from, int64_t limit,
                      struct store_rows **ret_rows)
{
        static const char debits[] = "SELECT " ROW " FROM ledger_transfer WHERE debit = $1 AND debit_number >= $2 "
                                     "AND kind IN (1, 3, 5) ORDER BY debit_number LIMIT $3";
        static const char credits[] = "SELECT " ROW " FROM ledger_transfer WHERE credit = $1 AND credit_number >= $2 "
                                      "AND kind IN (1, 3, 5) ORDER BY credit_number LIMIT $3";
        return side == LEDGER_DEBITS ? store_query(db, debits, ret_rows, TEXTZ(account), I64(from), I64(limit))
                                     : store_query(db, credits, ret_rows, TEXTZ(account), I64(from), I64(limit));
}

int ledger_find_posted(struct store_conn *db, const struct ledger_account *account, enum ledger_side_of side, int64_t posted,
                       int64_t *ret_number)
{
        int64_t low = 1, high = account->version + 1;
        while (low < high) {
                int64_t middle = low + (high - low) / 2;
                struct ledger_probe probe;
                int r = ledger_probe(db, account->id, side, middle, &probe);
                if (r != 0)
                        return r;
                if (probe.number && probe.posted > posted)
                        high = probe.number;
                else
                        low = middle + 1;
        }
        *ret_number = low;
        return 0;
}

/* The side's last row that bears that time or an earlier one: those up to low do, those from high on do not. */
static int probe_at(struct store_conn *db, const struct ledger_account *account, enum ledger_side_of side, int64_t time_us,
                    struct ledger_probe *ret)
{
        int64_t low = 0, high = account->version + 1;
        while (high - low > 1) {
                int64_t middle = low + (high - low) / 2;
                struct ledger_probe probe;
                int r = ledger_probe(db, account->id, side, middle, &probe);
                if (r != 0)
                        return r;
                if (probe.number && probe.created_us > time_us)
                        high = probe.number;
                else
                        low = middle;
        }
        return ledger_probe(db, account->id, side, low, ret);
}

int ledger_totals_at(struct store_conn *db, const struct ledger_account *account, int64_t time_us, struct ledger_totals *ret)
{
        struct ledger_probe debit, credit;
        int r = probe_at(db, account, LEDGER_DEBITS, time_us, &debit);
        if (r == 0)
                r = probe_at(db, account, LEDGER_CREDITS, time_us, &credit);
        if (r == 0)
                *ret = debit.number > credit.number ? debit.after : credit.after; /* zeros, if there is neither */
        return r;
}
