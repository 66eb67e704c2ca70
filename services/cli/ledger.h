/* SPDX-License-Identifier: Apache-2.0
 *
 * What `nuanxin ledger verify` reads of the care service's store, and the command itself.
 */
#pragma once

#include "common/ledger/check.h"
#include "services/cli/cli.h"

int run_ledger_verify(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands);

/* What stands there, as the chain covers it; -ENODATA: nothing does. thing: an enum ledger_thing. */
struct ledger_stands {
        struct str packed;
        int64_t created_us;
};
int ledger_read_thing(struct store_conn *db, struct arena *arena, int thing, const char *id, struct ledger_stands *ret) MUST_USE;
/* The account after that one, by id; -ENODATA: there is none. *ret_allowed: its fund allows its purpose. */
int ledger_read_account_after(struct store_conn *db, struct arena *arena, const char *after, struct ledger_account *ret,
                              bool *ret_allowed) MUST_USE;
/* Its rows after that number, in their order. */
int ledger_read_entries(struct store_conn *db, struct arena *arena, const char *account, int64_t after, struct ledger_entry *ret,
                        size_t room, size_t *ret_n) MUST_USE;

/* Queries that should give nothing; their first column says of what. Unchained: of what was entered more than a moment ago. */
const char *ledger_sql_unchained(bool shared);
extern const char ledger_sql_twice[], ledger_sql_orphans[], ledger_sql_unequal[], ledger_sql_cases[];

/* What was decided, and its payments, against what was set aside for it: those after *after, by id, which moves on and lives in the
 * arena. *ret_n less than room: that was all. */
int ledger_check_decisions(struct store_conn *db, struct arena *arena, struct ledger_check *check, const char **after, size_t room,
                           size_t *ret_n) MUST_USE;

/* More queries that should give nothing, each with its finding; {NULL} ends them. Caps: what is used, against the decisions. */
struct ledger_rule {
        const char *sql, *format;
};
extern const struct ledger_rule ledger_rules[];
const char *ledger_sql_caps(bool shared);
/* And against what the programmes' versions allow. */
int ledger_check_bounds(struct store_conn *db, struct arena *arena, struct ledger_check *check) MUST_USE;
