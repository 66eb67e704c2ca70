/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQL of ledger verify.
 */
#include "services/cli/ledger.h"

#define ACCOUNT                                                                                              \
        "a.id, a.kind, a.fund, a.purpose, a.organization, a.programme, a.unit, a.created_us, a.credits_posted, " \
        "a.credits_pending, a.debits_posted, a.debits_pending, a.version, a.changed_us"
#define ROW                                                                                                  \
        "t.id, t.kind, t.debit, t.credit, t.amount, t.of_id, t.reason, t.case_id, t.actor, t.expire_us, t.created_us, t.debit_number, " \
        "t.debit_credits_posted, t.debit_credits_pending, t.debit_debits_posted, t.debit_debits_pending, t.credit_number, " \
        "t.credit_credits_posted, t.credit_credits_pending, t.credit_debits_posted, t.credit_debits_pending"
#define ROW_COLUMNS 21

/* store_query's result and its first row: 0 with a row, -ENODATA without, or what failed. */
#define first(query_result, rows)                                                                            \
        ({                                                                                                   \
                int r_ = (query_result);                                                                     \
                if (r_ == 0)                                                                                 \
                        r_ = store_next(rows);                                                               \
                r_ == 1 ? 0 : r_ == 0 ? -ENODATA : r_;                                                       \
        })

static void read_account(const struct store_rows *rows, struct arena *arena, struct ledger_account *ret)
{
        *ret = (struct ledger_account){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .fund = store_text_dup(rows, 2, arena),
                .purpose = store_text_dup(rows, 3, arena),
                .organization = store_text_dup(rows, 4, arena),
                .programme = store_text_dup(rows, 5, arena),
                .unit = store_text_dup(rows, 6, arena),
                .created_us = store_i64(rows, 7),
                .totals = {store_i64(rows, 8), store_i64(rows, 9), store_i64(rows, 10), store_i64(rows, 11)},
                .version = store_i64(rows, 12),
                .changed_us = store_i64(rows, 13),
        };
}

static struct ledger_side read_side(const struct store_rows *rows, int column)
{
        return (struct ledger_side){
                store_i64(rows, column),
                {store_i64(rows, column + 1), store_i64(rows, column + 2), store_i64(rows, column + 3), store_i64(rows, column + 4)}};
}

static void read_row(const struct store_rows *rows, struct arena *arena, struct ledger_row *ret)
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
                .debit_side = read_side(rows, 11),
                .credit_side = read_side(rows, 16),
        };
}

/* --- by id ------------------------------------------------------------------------------------------------------------- */

static int stands_transfer(struct store_conn *db, struct arena *arena, const char *id, struct ledger_stands *ret)
{
        static const char sql[] = "SELECT " ROW " FROM ledger_transfer t WHERE t.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct ledger_row row;
        int r = first(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        read_row(rows, arena, &row);
        *ret = (struct ledger_stands){ledger_row_pack(arena, &row), row.created_us};
        return 0;
}

static int stands_account(struct store_conn *db, struct arena *arena, const char *id, struct ledger_stands *ret)
{
        static const char sql[] = "SELECT " ACCOUNT " FROM ledger_account a WHERE a.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct ledger_account account;
        int r = first(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        read_account(rows, arena, &account);
        *ret = (struct ledger_stands){ledger_account_pack(arena, &account), account.created_us};
        return 0;
}

static int stands_fund(struct store_conn *db, struct arena *arena, const char *id, struct ledger_stands *ret)
{
        static const char sql[] = "SELECT id, kind, title, organization, donor, purposes, unit, created_us FROM fund WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        const struct ledger_fund fund = {store_text_dup(rows, 0, arena), (int)store_i64(rows, 1), store_text_dup(rows, 2, arena),
                                         store_text_dup(rows, 3, arena), store_text_dup(rows, 4, arena), store_text_dup(rows, 5, arena),
                                         store_text_dup(rows, 6, arena), store_i64(rows, 7)};
        *ret = (struct ledger_stands){ledger_fund_pack(arena, &fund), fund.created_us};
        return 0;
}

static int stands_consent(struct store_conn *db, struct arena *arena, const char *id, struct ledger_stands *ret)
{
        static const char sql[] = "SELECT id, fund, purpose, reference, created_us FROM fund_consent WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        const struct ledger_consent consent = {store_text_dup(rows, 0, arena), store_text_dup(rows, 1, arena),
                                               store_text_dup(rows, 2, arena), store_text_dup(rows, 3, arena), store_i64(rows, 4)};
        *ret = (struct ledger_stands){ledger_consent_pack(arena, &consent), consent.created_us};
        return 0;
}

int ledger_read_thing(struct store_conn *db, struct arena *arena, int thing, const char *id, struct ledger_stands *ret)
{
        switch (thing) {
        case LEDGER_THING_TRANSFER:
                return stands_transfer(db, arena, id, ret);
        case LEDGER_THING_ACCOUNT:
                return stands_account(db, arena, id, ret);
        case LEDGER_THING_FUND:
                return stands_fund(db, arena, id, ret);
        case LEDGER_THING_CONSENT:
                return stands_consent(db, arena, id, ret);
        default:
                return -ENODATA;
        }
}

/* --- by account -------------------------------------------------------------------------------------------------------- */

static int read_consented(struct store_conn *db, struct arena *arena, const char *fund, const char **ret)
{
        static const char sql[] = "SELECT purpose FROM fund_consent WHERE fund = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(fund));
        *ret = "";
        while (r == 0 && (r = store_next(rows)) == 1) {
                *ret = arena_printf(arena, "%s%s\n", *ret, store_text(rows, 0).p);
                r = 0;
        }
        return r;
}

int ledger_read_account_after(struct store_conn *db, struct arena *arena, const char *after, struct ledger_account *ret,
                              bool *ret_allowed)
{
        static const char sql[] = "SELECT " ACCOUNT ", f.purposes FROM ledger_account a LEFT JOIN fund f ON f.id = a.fund "
                                  "WHERE a.id > $1 ORDER BY a.id LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        const char *consented = "";
        int r = first(store_query(db, sql, &rows, TEXTZ(after)), rows);
        if (r != 0)
                return r;
        read_account(rows, arena, ret);
        bool known = !store_is_null(rows, 14);
        const char *purposes = store_text_dup(rows, 14, arena);
        if (purposes[0])
                r = read_consented(db, arena, ret->fund, &consented);
        *ret_allowed = known && (ret->kind == LEDGER_SOURCE || ledger_allows(purposes, consented, ret->purpose));
        return r;
}

static void read_entry(const struct store_rows *rows, struct arena *arena, struct ledger_entry *ret)
{
        struct ledger_row *row = ARENA_NEW(arena, struct ledger_row), *of = ARENA_NEW(arena, struct ledger_row);
        struct ledger_account *other = ARENA_NEW(arena, struct ledger_account);
        int at = ROW_COLUMNS;
        read_row(rows, arena, row);
        *of = (struct ledger_row){.id = row->of, .kind = (int)store_i64(rows, at + 1), .debit = store_text_dup(rows, at + 2, arena),
                                  .credit = store_text_dup(rows, at + 3, arena), .amount = store_i64(rows, at + 4), .case_id = ""};
        *other = (struct ledger_account){.id = store_text_dup(rows, at + 5, arena), .kind = (int)store_i64(rows, at + 6),
                                         .fund = store_text_dup(rows, at + 7, arena), .purpose = store_text_dup(rows, at + 8, arena)};
        *ret = (struct ledger_entry){row, store_is_null(rows, at + 1) ? NULL : of, other->id[0] ? other : NULL};
}

#define BESIDES                                                                                              \
        "o.kind, o.debit, o.credit, o.amount, a.id, a.kind, a.fund, a.purpose FROM ledger_transfer t "        \
        "LEFT JOIN ledger_transfer o ON o.id = t.of_id LEFT JOIN ledger_account a ON a.id = t."

int ledger_read_entries(struct store_conn *db, struct arena *arena, const char *account, int64_t after, struct ledger_entry *ret,
                        size_t room, size_t *ret_n)
{
        static const char sql[] = "SELECT " ROW ", t.debit_number AS number, " BESIDES "credit WHERE t.debit = $1 AND t.debit_number > $2 "
                                  "UNION ALL SELECT " ROW ", t.credit_number, " BESIDES "debit WHERE t.credit = $1 AND t.credit_number > $2 "
                                  "ORDER BY number LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(account), I64(after), I64((int64_t)room));
        *ret_n = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                read_entry(rows, arena, &ret[(*ret_n)++]);
                r = 0;
        }
        return r;
}

/* --- of the whole ------------------------------------------------------------------------------------------------------ */

/* What the chain's consumer has not read yet is not missed. */
#define PRESENT                                                                                              \
        "SELECT present.name || ' ' || present.id FROM (SELECT 1 AS thing, 'transfer' AS name, id FROM ledger_transfer UNION ALL SELECT 2, 'account', id " \
        "FROM ledger_account UNION ALL SELECT 3, 'fund', id FROM fund UNION ALL SELECT 4, 'consent', id FROM fund_consent) AS present " \
        "LEFT JOIN ledger_chain c ON c.id = present.id AND c.thing = present.thing WHERE c.seq IS NULL " \
        "AND NOT EXISTS (SELECT 1 FROM rpc_outbox x WHERE x.subject = present.id AND x.seq > " \
        "COALESCE((SELECT position FROM rpc_cursor WHERE name = 'care.ledger'), 0))"

const char *ledger_sql_unchained(bool shared)
{
        static const char alone[] = PRESENT, with_arrivals[] = PRESENT " AND NOT EXISTS (SELECT 1 FROM rpc_arrival v WHERE v.subject = present.id)";
        return shared ? with_arrivals : alone;
}

const char ledger_sql_twice[] = "SELECT id FROM ledger_chain GROUP BY thing, id HAVING COUNT(*) > 1";
const char ledger_sql_orphans[] = "SELECT t.id FROM ledger_transfer t WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.id = t.debit)";
const char ledger_sql_unequal[] = "SELECT fund FROM ledger_account GROUP BY fund HAVING SUM(credits_posted) <> SUM(debits_posted) "
                                  "OR SUM(credits_pending) <> SUM(debits_pending)";
/* What a case says was granted is set aside or posted, what it says was paid is posted: a reversal afterwards is the treasurer's. */
const char ledger_sql_cases[] =
        "SELECT c.id FROM care_case c LEFT JOIN (SELECT t.case_id, SUM(CASE WHEN t.kind = 3 THEN t.amount ELSE 0 END) AS posted, SUM(CASE WHEN t.kind = 2 AND s.id IS NULL THEN t.amount ELSE 0 END) AS pending FROM ledger_transfer t "
        "LEFT JOIN ledger_transfer s ON s.of_id = t.id WHERE t.case_id <> '' GROUP BY t.case_id) AS l ON l.case_id = c.id "
        "WHERE COALESCE(l.posted, 0) <> c.paid OR COALESCE(l.posted + l.pending, 0) <> c.granted";
