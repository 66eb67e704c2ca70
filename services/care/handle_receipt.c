/* SPDX-License-Identifier: Apache-2.0
 *
 * Receipts of what came in: shown from the ledger's rows, so that there is one for each, and it says when it was taken back.
 */
#include "handle_ledger.h"

#include "rules_amount.h"

#include <stdio.h>

static char *leaf_of(struct rpc_call *call, const struct ledger_row *row)
{
        unsigned char leaf[CHAIN_SIZE];
        char *hex = arena_alloc(rpc_arena(call), 2 * CHAIN_SIZE + 1);
        chain_what(leaf, (struct str){0}, ledger_row_pack(rpc_arena(call), row));
        for (size_t i = 0; i < CHAIN_SIZE; i++)
                snprintf(hex + 2 * i, 3, "%02x", leaf[i]);
        return hex;
}

/* The transfer, and the account that was debited; refused where the caller may not know of it. */
static int find_received(struct rpc_call *call, const char *id, struct ledger_row *ret, struct ledger_account *ret_source)
{
        int r = ledger_row_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = ledger_account_load(rpc_db(call), rpc_arena(call), ret->debit, ret_source);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        r = rpc_require(call, str_of(ret_source->path));
        bool posted = ret->kind == LEDGER_TRANSFER || ret->kind == LEDGER_POST;
        return r == 0 && (!posted || ret_source->kind != LEDGER_SOURCE) ? rpc_refuse(call, PROBLEM(NOTHING_RECEIVED)) : r;
}

static int name_organization(struct rpc_call *call, Receipt *out)
{
        struct organization o;
        int r = organization_load(rpc_db(call), rpc_arena(call), str_of(out->organization), &o);
        if (r == 0)
                out->organization_name = (char *)o.name;
        return r == CARE_E_ABSENT ? 0 : r;
}

int handle_get_receipt(struct rpc_call *call, const GetReceiptRequest *request, Receipt *response)
{
        struct arena *arena = rpc_arena(call);
        struct ledger_row row, back;
        struct ledger_account source;
        struct ledger_fund fund;
        Fund *shown = message_new(arena, &care_v1_fund_msg);
        int r = find_received(call, request->transfer, &row, &source);
        if (r == 0)
                r = fund_load(rpc_db(call), arena, source.fund, &fund);
        if (r == 0)
                r = fund_fill(call, shown, &fund);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        response->transfer = (char *)row.id;
        response->fund = shown->id;
        response->title = shown->title;
        response->donor = shown->donor;
        response->purposes = shown->purposes;
        response->n_purposes = shown->n_purposes;
        response->organization = shown->organization;
        response->amount = row.amount;
        response->unit = (char *)source.unit;
        if (strcmp(source.unit, "CNY") == 0)
                response->amount_in_words = (char *)amount_in_words(arena, row.amount);
        response->receive_time = rpc_timestamp(call, row.created_us);
        response->leaf = leaf_of(call, &row);
        r = ledger_settlement_load(rpc_db(call), arena, row.id, &back);
        if (r == 0)
                response->reversal = (char *)back.id;
        return r == 0 || r == CARE_E_ABSENT ? name_organization(call, response) : r;
}
