/* SPDX-License-Identifier: Apache-2.0
 *
 * The decisions of ledger.h.
 */
#include "common/ledger/ledger.h"

#include <inttypes.h>
#include <string.h>

#define TOTAL_MOST (INT64_MAX / 4)

int64_t ledger_available(const struct ledger_totals *t)
{
        return t->credits_posted - t->debits_posted - t->debits_pending;
}

bool ledger_is_posted(int kind)
{
        return kind == LEDGER_TRANSFER || kind == LEDGER_POST || kind == LEDGER_REVERSAL;
}

/* --- what a request must say ---------------------------------------------------------------------------------------- */

static const struct ledger_complaint no_kind = {"kind", "required", "needs one of the kinds", "须填写类型"};
static const struct ledger_complaint no_debit = {"debit", "required", "needs the account to debit", "须填写借方账户"};
static const struct ledger_complaint no_credit = {"credit", "required", "needs the account to credit", "须填写贷方账户"};
static const struct ledger_complaint no_amount = {"amount", "range", "must be at least 1", "须不小于 1"};
static const struct ledger_complaint no_of = {"of", "required", "needs the transfer that it is of", "须填写所涉转账"};
static const struct ledger_complaint no_reason = {"reason", "required", "needs a reason", "须填写原因"};
static const struct ledger_complaint has_of = {"of", "notHere", "a transfer of this kind is of no other", "该类型转账不引用其他转账"};
static const struct ledger_complaint has_debit = {"debit", "notHere", "follows from the transfer that it is of", "由所涉转账确定，不必填写"};
static const struct ledger_complaint has_credit = {"credit", "notHere", "follows from the transfer that it is of", "由所涉转账确定，不必填写"};
static const struct ledger_complaint has_amount = {"amount", "notHere", "is the whole of what it is of", "为所涉转账的全额，不必填写"};
static const struct ledger_complaint has_expiry = {"expireTime", "notHere", "only what is PENDING expires", "仅预留转账可设到期时间"};
static const struct ledger_complaint expired = {"expireTime", "range", "must be in the future", "须晚于当前时间"};

/* Of a kind that moves between accounts which it names. */
static const struct ledger_complaint *named_shape(const struct ledger_row *row, int64_t now_us)
{
        if (!row->debit[0])
                return &no_debit;
        if (!row->credit[0])
                return &no_credit;
        if (row->amount < 1)
                return &no_amount;
        if (row->of[0])
                return &has_of;
        if (row->expire_us && row->kind != LEDGER_PENDING)
                return &has_expiry;
        return row->expire_us && row->expire_us <= now_us ? &expired : NULL;
}

const struct ledger_complaint *ledger_shape(const struct ledger_row *row, int64_t now_us)
{
        if (row->kind == LEDGER_TRANSFER || row->kind == LEDGER_PENDING)
                return named_shape(row, now_us);
        if (row->kind != LEDGER_POST && row->kind != LEDGER_VOID && row->kind != LEDGER_REVERSAL)
                return &no_kind;
        if (!row->of[0])
                return &no_of;
        if (row->debit[0])
                return &has_debit;
        if (row->credit[0])
                return &has_credit;
        if (row->amount < 0)
                return &no_amount;
        if (row->amount && row->kind != LEDGER_POST)
                return &has_amount;
        if (row->expire_us)
                return &has_expiry;
        return row->kind == LEDGER_REVERSAL && !row->reason[0] ? &no_reason : NULL;
}

/* --- what fits -------------------------------------------------------------------------------------------------------- */

enum ledger_fault ledger_derive(struct ledger_row *row, const struct ledger_of *of)
{
        if (row->kind == LEDGER_TRANSFER || row->kind == LEDGER_PENDING)
                return LEDGER_FITS;
        if (!of->row)
                return LEDGER_OF_UNKNOWN;
        bool reversal = row->kind == LEDGER_REVERSAL;
        bool reversible = of->row->kind == LEDGER_TRANSFER || of->row->kind == LEDGER_POST;
        if (reversal ? !reversible : of->row->kind != LEDGER_PENDING)
                return LEDGER_OF_UNKNOWN;
        row->debit = reversal ? of->row->credit : of->row->debit;
        row->credit = reversal ? of->row->debit : of->row->credit;
        row->amount = row->amount ? row->amount : of->row->amount;
        row->case_id = row->case_id[0] ? row->case_id : of->row->case_id;
        if (of->settled)
                return LEDGER_OF_SETTLED;
        return row->amount > of->row->amount ? LEDGER_OVERDRAWN : LEDGER_FITS;
}

/* From where to where: in, down and back, out; and, to correct it, each of them the other way. What has been spent leaves the
 * purpose and the programme only so. */
static bool kinds_fit(int kind, const struct ledger_account *debit, const struct ledger_account *credit)
{
        if (kind == LEDGER_REVERSAL)
                return debit->kind != LEDGER_SOURCE && credit->kind != LEDGER_SPENT;
        if (debit->kind == LEDGER_SOURCE)
                return credit->kind == LEDGER_BUDGET;
        if (debit->kind != LEDGER_BUDGET)
                return false;
        return credit->kind == LEDGER_BUDGET || (credit->kind == LEDGER_SPENT && strcmp(debit->purpose, credit->purpose) == 0);
}

bool ledger_accounts_fit(int kind, const struct ledger_account *debit, const struct ledger_account *credit)
{
        return strcmp(debit->id, credit->id) != 0 && strcmp(debit->fund, credit->fund) == 0 && kinds_fit(kind, debit, credit);
}

void ledger_change(const struct ledger_row *row, int64_t of_amount, bool debit, struct ledger_totals *totals)
{
        bool settles = row->kind == LEDGER_POST || row->kind == LEDGER_VOID;
        int64_t posted = ledger_is_posted(row->kind) ? row->amount : 0;
        int64_t pending = settles ? -of_amount : row->kind == LEDGER_PENDING ? row->amount : 0;
        *(debit ? &totals->debits_posted : &totals->credits_posted) += posted;
        *(debit ? &totals->debits_pending : &totals->credits_pending) += pending;
}

static bool is_countable(const struct ledger_totals *t)
{
        return t->credits_posted <= TOTAL_MOST && t->credits_pending <= TOTAL_MOST && t->debits_posted <= TOTAL_MOST &&
               t->debits_pending <= TOTAL_MOST && t->credits_pending >= 0 && t->debits_pending >= 0;
}

static void move_on(struct ledger_account *account, const struct ledger_totals *totals, int64_t at_us, struct ledger_side *side)
{
        account->totals = *totals;
        account->version++;
        account->changed_us = at_us;
        *side = (struct ledger_side){account->version, *totals};
}

enum ledger_fault ledger_enter(struct ledger_row *row, const struct ledger_of *of, struct ledger_account *debit,
                               struct ledger_account *credit, int64_t now_us)
{
        struct ledger_totals from = debit->totals, to = credit->totals;
        int64_t of_amount = of->row ? of->row->amount : 0, at_us = now_us;
        if (!ledger_accounts_fit(row->kind, debit, credit))
                return LEDGER_MISFIT;
        if (row->kind == LEDGER_POST && of->row->expire_us && of->row->expire_us <= now_us)
                return LEDGER_OF_SETTLED; /* void already, though nobody has written it down yet */
        ledger_change(row, of_amount, true, &from);
        ledger_change(row, of_amount, false, &to);
        if (!is_countable(&from) || !is_countable(&to))
                return LEDGER_TOO_MUCH;
        if (debit->kind != LEDGER_SOURCE && ledger_available(&from) < 0)
                return LEDGER_OVERDRAWN;
        at_us = debit->changed_us > at_us ? debit->changed_us : at_us;
        at_us = credit->changed_us > at_us ? credit->changed_us : at_us;
        row->created_us = at_us;
        row->organization = debit->organization;
        move_on(debit, &from, at_us, &row->debit_side);
        move_on(credit, &to, at_us, &row->credit_side);
        return LEDGER_FITS;
}

/* --- funds and purposes ----------------------------------------------------------------------------------------------- */

static bool lists(const char *purposes, const char *purpose)
{
        struct str rest = str_of(purposes);
        while (rest.n)
                if (str_is(str_cut(&rest, '\n'), purpose))
                        return true;
        return false;
}

bool ledger_allows(const char *purposes, const char *consented, const char *purpose)
{
        return !purposes[0] || lists(purposes, purpose) || lists(consented, purpose);
}

static const struct ledger_complaint account_no_kind = {"account/kind", "required", "needs one of the kinds", "须填写账户类型"};
static const struct ledger_complaint account_no_purpose = {"account/purpose", "required", "needs what it is for", "须填写用途"};
static const struct ledger_complaint account_no_programme = {"account/programme", "required", "needs whose recipients it reaches", "须填写项目"};
static const struct ledger_complaint account_has_purpose = {"account/purpose", "notHere", "a SOURCE is for nothing in particular", "来源账户不设用途"};
static const struct ledger_complaint account_has_programme = {"account/programme", "notHere", "only what is SPENT has a programme", "仅支出账户设项目"};
static const struct ledger_complaint account_elsewhere = {
        "account/organization", "notHere", "the SOURCE is at the organisation that received the fund", "来源账户须设在接收资金的组织"};

const struct ledger_complaint *ledger_account_shape(const struct ledger_account *a, const char *fund_organization)
{
        if (a->kind != LEDGER_SOURCE && a->kind != LEDGER_BUDGET && a->kind != LEDGER_SPENT)
                return &account_no_kind;
        if (a->kind == LEDGER_SOURCE && a->purpose[0])
                return &account_has_purpose;
        if (a->kind == LEDGER_SOURCE && strcmp(a->organization, fund_organization) != 0)
                return &account_elsewhere;
        if (a->kind != LEDGER_SOURCE && !a->purpose[0])
                return &account_no_purpose;
        if (a->kind == LEDGER_SPENT && !a->programme[0])
                return &account_no_programme;
        return a->kind != LEDGER_SPENT && a->programme[0] ? &account_has_programme : NULL;
}

const char *ledger_amount_text(struct arena *arena, int64_t amount, const char *unit)
{
        if (strcmp(unit, "CNY") != 0)
                return arena_printf(arena, "%" PRId64 " %s", amount, unit);
        uint64_t fen = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
        return arena_printf(arena, "%s%" PRIu64 ".%02" PRIu64 " CNY", amount < 0 ? "-" : "", fen / 100, fen % 100);
}
