/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an account is what its transfers come to: they are given in the order of their numbers, and what does not fit is named.
 * No I/O: the caller reads.
 */
#pragma once

#include "common/ledger/ledger.h"

/* Findings are lines for a person, lent for the call. */
typedef void (*ledger_found_fn)(void *arg, const char *text);

struct ledger_check {
        ledger_found_fn found;
        void *arg;
        int64_t accounts, rows, findings;
        /* The account in hand. */
        const struct ledger_account *account;
        struct ledger_totals totals; /* after the rows so far */
        int64_t number, time_us;
        bool trusted; /* a row is missing or unreadable: the next one's totals are taken as they are */
};

/* account: as it stands; kept by the caller until its end. */
void ledger_check_begin(struct ledger_check *check, const struct ledger_account *account);

struct ledger_entry {
        const struct ledger_row *row;
        const struct ledger_row *of;          /* what it is of: kind, debit, credit, amount; NULL: it is of nothing that is there */
        const struct ledger_account *other;   /* the account on its other side: id, kind, fund, purpose; NULL: it is not there */
};
void ledger_check_entry(struct ledger_check *check, const struct ledger_entry *entry);
/* After the account's last row. */
void ledger_check_end(struct ledger_check *check);

/* One more finding of the caller's own. */
void ledger_check_tell(struct ledger_check *check, const char *format, ...) PRINTF(2, 3);
