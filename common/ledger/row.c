/* SPDX-License-Identifier: Apache-2.0
 *
 * What the chain covers, as bytes: messages of the contract that hold nothing else.
 */
#include "common/contract/message.h"
#include "common/ledger/ledger.h"

#define TEXT(z) ((char *)(uintptr_t)(z))

static void side_fill(Nuanxin__Care__V1__StoredTransfer__Side *out, const struct ledger_side *side)
{
        out->number = side->number;
        out->credits_posted = side->after.credits_posted;
        out->credits_pending = side->after.credits_pending;
        out->debits_posted = side->after.debits_posted;
        out->debits_pending = side->after.debits_pending;
}

struct str ledger_row_pack(struct arena *arena, const struct ledger_row *row)
{
        Nuanxin__Care__V1__StoredTransfer out = NUANXIN__CARE__V1__STORED_TRANSFER__INIT;
        Nuanxin__Care__V1__StoredTransfer__Side debit = NUANXIN__CARE__V1__STORED_TRANSFER__SIDE__INIT;
        Nuanxin__Care__V1__StoredTransfer__Side credit = NUANXIN__CARE__V1__STORED_TRANSFER__SIDE__INIT;
        side_fill(&debit, &row->debit_side);
        side_fill(&credit, &row->credit_side);
        out.id = TEXT(row->id);
        out.kind = row->kind;
        out.debit = TEXT(row->debit);
        out.credit = TEXT(row->credit);
        out.amount = row->amount;
        out.of = TEXT(row->of);
        out.reason = TEXT(row->reason);
        out.case_id = TEXT(row->case_id);
        out.actor = TEXT(row->actor);
        out.expire_us = row->expire_us;
        out.created_us = row->created_us;
        out.debit_side = &debit;
        out.credit_side = &credit;
        return message_pack(arena, &out);
}

struct str ledger_account_pack(struct arena *arena, const struct ledger_account *account)
{
        Nuanxin__Care__V1__StoredAccount out = NUANXIN__CARE__V1__STORED_ACCOUNT__INIT;
        out.id = TEXT(account->id);
        out.kind = account->kind;
        out.fund = TEXT(account->fund);
        out.purpose = TEXT(account->purpose);
        out.organization = TEXT(account->organization);
        out.programme = TEXT(account->programme);
        out.unit = TEXT(account->unit);
        out.created_us = account->created_us;
        return message_pack(arena, &out);
}

struct str ledger_fund_pack(struct arena *arena, const struct ledger_fund *fund)
{
        Nuanxin__Care__V1__StoredFund out = NUANXIN__CARE__V1__STORED_FUND__INIT;
        out.id = TEXT(fund->id);
        out.kind = fund->kind;
        out.title = TEXT(fund->title);
        out.organization = TEXT(fund->organization);
        out.donor = TEXT(fund->donor);
        out.purposes = TEXT(fund->purposes);
        out.unit = TEXT(fund->unit);
        out.created_us = fund->created_us;
        return message_pack(arena, &out);
}

struct str ledger_consent_pack(struct arena *arena, const struct ledger_consent *consent)
{
        Nuanxin__Care__V1__StoredConsent out = NUANXIN__CARE__V1__STORED_CONSENT__INIT;
        out.id = TEXT(consent->id);
        out.fund = TEXT(consent->fund);
        out.purpose = TEXT(consent->purpose);
        out.reference = TEXT(consent->reference);
        out.created_us = consent->created_us;
        return message_pack(arena, &out);
}
