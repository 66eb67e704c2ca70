/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's rules: which transfers fit which accounts, what they change, and what a row is as the chain covers it. The
 * care service writes by them, `nuanxin ledger verify` reads by them. Pure: no store, no clock.
 *
 * An account has four totals, as TigerBeetle's have. What is available is what was credited less what was debited and what is
 * set aside. A row names its two accounts, gives itself the next number of each, and holds their totals as they are after it:
 * so a balance at any time is one row, and each row can be checked by the one before it.
 */
#pragma once

#include "common/base/arena.h"
#include "nuanxin/care/v1/ledger.pb-c.h"

/* The contract's values under names that fit on a line. */
enum {
        LEDGER_SOURCE = NUANXIN__CARE__V1__LEDGER_ACCOUNT__KIND__SOURCE,
        LEDGER_BUDGET = NUANXIN__CARE__V1__LEDGER_ACCOUNT__KIND__BUDGET,
        LEDGER_SPENT = NUANXIN__CARE__V1__LEDGER_ACCOUNT__KIND__SPENT,
};
enum {
        LEDGER_TRANSFER = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__TRANSFER,
        LEDGER_PENDING = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__PENDING,
        LEDGER_POST = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__POST,
        LEDGER_VOID = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__VOID,
        LEDGER_REVERSAL = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__REVERSAL,
};

struct ledger_totals {
        int64_t credits_posted, credits_pending, debits_posted, debits_pending;
};
/* What may still be debited; of a SOURCE it means nothing. */
int64_t ledger_available(const struct ledger_totals *totals);

struct ledger_account {
        const char *id;
        int kind;
        const char *fund, *purpose, *organization, *programme, *unit; /* texts are never NULL */
        const char *path;    /* of the organisation, now; not a part of what is chained */
        int64_t created_us;
        struct ledger_totals totals;
        int64_t version;     /* how many rows name it: the number of the last */
        int64_t changed_us;  /* when that was; 0: none yet */
};

/* A row's side: its number in that account, and the account's totals after it. */
struct ledger_side {
        int64_t number;
        struct ledger_totals after;
};

struct ledger_row {
        const char *id;
        int kind;
        const char *debit, *credit; /* accounts */
        int64_t amount;
        const char *of;             /* a transfer; "": none */
        const char *reason, *case_id, *actor;
        int64_t expire_us;          /* of PENDING; 0: never */
        int64_t created_us;         /* no earlier than the row before, in either account */
        struct ledger_side debit_side, credit_side;
        const char *organization;   /* of the debited account, for who enters it; not stored, nor chained */
};

/* --- what a request must say ---------------------------------------------------------------------------------------- */

struct ledger_complaint {
        const char *field, *rule, *detail, *detail_zh;
};
/* By its kind alone; NULL: nothing to complain of. row: as it was asked, texts "" where not given. */
const struct ledger_complaint *ledger_shape(const struct ledger_row *row, int64_t now_us);

/* --- what fits -------------------------------------------------------------------------------------------------------- */

enum ledger_fault {
        LEDGER_FITS,
        LEDGER_OF_UNKNOWN, /* it is of nothing, or of what such a one cannot be of */
        LEDGER_OF_SETTLED, /* what it is of was posted, voided or reversed before */
        LEDGER_MISFIT,     /* the accounts do not fit each other, or the kind */
        LEDGER_OVERDRAWN,  /* more than is available in the account that it debits, or more than was set aside */
        LEDGER_TOO_MUCH,   /* a total would leave what can be counted */
};

/* What a row is of. */
struct ledger_of {
        const struct ledger_row *row; /* NULL: there is none */
        bool settled;
};

/* The accounts that a row of this kind debits and credits are those of what it is of; of a REVERSAL the other way round. The
 * amount, too: all of it, but where a POST says less; and the case. Fills them, unless it is of nothing known; kinds that are of
 * nothing stay as they are. LEDGER_OVERDRAWN: more than was set aside. */
enum ledger_fault ledger_derive(struct ledger_row *row, const struct ledger_of *of);

/* Does it fit? If so it is entered: both accounts' totals and versions are moved on, and the row's sides and time filled.
 * Otherwise nothing is changed. row: derived. now_us: the row's time, unless an account has a later one. */
enum ledger_fault ledger_enter(struct ledger_row *row, const struct ledger_of *of, struct ledger_account *debit,
                               struct ledger_account *credit, int64_t now_us);

/* The parts of that: do the accounts fit each other, and the kind; what the row adds to its debit's totals, or its credit's.
 * of_amount: of what it is of. */
bool ledger_accounts_fit(int kind, const struct ledger_account *debit, const struct ledger_account *credit);
void ledger_change(const struct ledger_row *row, int64_t of_amount, bool debit, struct ledger_totals *totals);

/* Does this row move money for good? (PENDING and VOID only set aside, or give back.) */
bool ledger_is_posted(int kind);

/* --- funds and purposes ----------------------------------------------------------------------------------------------- */

/* Lists of purposes are texts, one a line. An empty list allows anything; consented is what the donor agreed to later. */
bool ledger_allows(const char *purposes, const char *consented, const char *purpose);
/* What an account of this kind must say and must not: NULL: it fits. fund_organization: that received the fund. */
const struct ledger_complaint *ledger_account_shape(const struct ledger_account *account, const char *fund_organization);

/* An amount as people write it: fen as yuan with two places, goods as they are counted. */
const char *ledger_amount_text(struct arena *arena, int64_t amount, const char *unit);

/* --- what the chain covers ------------------------------------------------------------------------------------------------ */

enum ledger_thing { LEDGER_THING_TRANSFER = 1, LEDGER_THING_ACCOUNT, LEDGER_THING_FUND, LEDGER_THING_CONSENT };

struct ledger_fund {
        const char *id;
        int kind;
        const char *title, *organization, *donor, *purposes, *unit;
        int64_t created_us;
};
struct ledger_consent {
        const char *id, *fund, *purpose, *reference;
        int64_t created_us;
};

/* The pair that signs the chain's checkpoints. */
#define LEDGER_KEY_PURPOSE "care.ledger"

/* Bytes that say all of it, the same ones for ever; in the arena. */
struct str ledger_row_pack(struct arena *arena, const struct ledger_row *row);
struct str ledger_account_pack(struct arena *arena, const struct ledger_account *account); /* its terms, no totals */
struct str ledger_fund_pack(struct arena *arena, const struct ledger_fund *fund);
struct str ledger_consent_pack(struct arena *arena, const struct ledger_consent *consent);
