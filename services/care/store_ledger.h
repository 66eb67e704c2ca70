/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's rows, behind common/ledger's structs. Functions run inside the caller's transaction; texts that they hand out
 * live in the given arena. Results: 0; CARE_E_ABSENT where said; STORE_E_RETRY and negative errors are for the caller's
 * caller.
 */
#pragma once

#include "common/chain/chain.h"
#include "common/ledger/ledger.h"
#include "common/store/store.h"
#include "store.h"

/* --- funds --------------------------------------------------------------------------------------------------------- */

int fund_insert(struct store_conn *db, const struct ledger_fund *fund) MUST_USE;
int fund_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_fund *ret) MUST_USE;
/* One purpose is consented to once: *ret_added is false if that was so before. */
int fund_consent_insert(struct store_conn *db, const struct ledger_consent *consent, bool *ret_added) MUST_USE;
/* Of a fund, as they came. fund_consent_read after each store_next. */
int fund_consents_query(struct store_conn *db, const char *fund, struct store_rows **ret_rows) MUST_USE;
void fund_consent_read(const struct store_rows *rows, struct arena *arena, struct ledger_consent *ret);
int fund_consent_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_consent *ret) MUST_USE;
/* Has it an account at an organisation with this in its path, "/4301/"? */
int fund_is_within(struct store_conn *db, const char *fund, struct str path, struct str end, bool *ret_is) MUST_USE;

/* --- accounts -------------------------------------------------------------------------------------------------------- */

/* One or two of them by their ids; {id: NULL} where there is none. */
int ledger_accounts_load(struct store_conn *db, struct arena *arena, const char *id, const char *other, struct ledger_account *ret,
                         struct ledger_account *ret_other) MUST_USE;
int ledger_account_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_account *ret) MUST_USE;
/* By its terms: kind, fund, purpose, organisation, programme. */
int ledger_account_find(struct store_conn *db, struct arena *arena, const struct ledger_account *terms,
                        struct ledger_account *ret) MUST_USE;
int ledger_account_insert(struct store_conn *db, const struct ledger_account *account) MUST_USE;
int ledger_account_save(struct store_conn *db, const struct ledger_account *account) MUST_USE; /* totals, version, time */
/* Of an organisation and those below it: paths from (after_path, after_id) to end; fund "": any. */
int ledger_accounts_query(struct store_conn *db, struct str after_path, const char *after_id, struct str end, const char *fund,
                          int64_t limit, struct store_rows **ret_rows) MUST_USE;
/* Of what an organisation may spend for a purpose, in this unit, those with something left: grants before donations, the oldest first. */
int ledger_budgets_query(struct store_conn *db, const char *organization, const char *purpose, const char *unit, int64_t limit,
                         struct store_rows **ret_rows) MUST_USE;
void ledger_account_read(const struct store_rows *rows, struct arena *arena, struct ledger_account *ret);

/* --- transfers ------------------------------------------------------------------------------------------------------- */

int ledger_row_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_row *ret) MUST_USE;
/* And whether something settles it. */
int ledger_of_load(struct store_conn *db, struct arena *arena, const char *id, struct ledger_row *ret, bool *ret_settled) MUST_USE;
/* What settles it. */
int ledger_settlement_load(struct store_conn *db, struct arena *arena, const char *of, struct ledger_row *ret) MUST_USE;
int ledger_rows_insert(struct store_conn *db, struct arena *arena, const struct ledger_row *rows, size_t n) MUST_USE;
/* Of an account, newest first, those with a number below `before`. ledger_row_read after each store_next. */
int ledger_rows_query(struct store_conn *db, const char *account, int64_t before, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void ledger_row_read(const struct store_rows *rows, struct arena *arena, struct ledger_row *ret);

/* --- an account's sides ------------------------------------------------------------------------------------------------ */

enum ledger_side_of { LEDGER_DEBITS, LEDGER_CREDITS };
struct ledger_probe {
        int64_t number;  /* 0: there is none */
        int64_t posted;  /* in all, on this side, after it */
        int64_t created_us;
        struct ledger_totals after;
};
/* The last row on that side with at most that number. */
int ledger_probe(struct store_conn *db, const char *account, enum ledger_side_of side, int64_t number, struct ledger_probe *ret) MUST_USE;
/* Those that move money for good on that side, from that number on, in their order. */
int ledger_side_query(struct store_conn *db, const char *account, enum ledger_side_of side, int64_t from, int64_t limit,
                      struct store_rows **ret_rows) MUST_USE;
/* The first number of the account whose row on that side has more posted than that; version + 1: there is none. */
int ledger_find_posted(struct store_conn *db, const struct ledger_account *account, enum ledger_side_of side, int64_t posted,
                       int64_t *ret_number) MUST_USE;
/* The account's totals after all that bears that time or an earlier one. */
int ledger_totals_at(struct store_conn *db, const struct ledger_account *account, int64_t time_us, struct ledger_totals *ret) MUST_USE;

/* --- the chain --------------------------------------------------------------------------------------------------------- */

struct ledger_end {
        int64_t seq, begun;
        unsigned char head[CHAIN_SIZE];
        char epoch[40];
};
int ledger_end_load(struct store_conn *db, struct ledger_end *ret) MUST_USE; /* all zero before the first row */
int ledger_end_save(struct store_conn *db, const struct ledger_end *end) MUST_USE;
int ledger_epoch_load(struct store_conn *db, char ret_epoch[40]) MUST_USE; /* the store's own */
int ledger_mark_load(struct store_conn *db, struct chain_mark *ret) MUST_USE; /* all zero before the first checkpoint */
int ledger_mark_save(struct store_conn *db, const struct chain_mark *mark) MUST_USE;
#define LEDGER_CHAIN_COLUMNS 5 /* seq, thing, id, leaf, head */
int ledger_chain_insert(struct store_conn *db, const struct store_value *rows, size_t n) MUST_USE;
int ledger_head_at(struct store_conn *db, int64_t seq, unsigned char ret_head[CHAIN_SIZE]) MUST_USE; /* seq 0: zeros */
/* What stands in the ledger and not in its chain, in the order of its time: thing, id. */
int ledger_unchained_query(struct store_conn *db, struct store_rows **ret_rows) MUST_USE;
