/* SPDX-License-Identifier: Apache-2.0
 *
 * Transfers: entered all or none, listed, traced.
 */
#include "handle_ledger.h"

static LedgerTransfer *transfer_fill(struct rpc_call *call, const struct ledger_row *row)
{
        LedgerTransfer *out = message_new(rpc_arena(call), &care_v1_ledger_transfer_msg);
        out->id = (char *)row->id;
        out->kind = (LedgerTransfer__Kind)row->kind;
        out->debit = (char *)row->debit;
        out->credit = (char *)row->credit;
        out->amount = row->amount;
        out->of = (char *)row->of;
        out->reason = (char *)row->reason;
        out->case_id = (char *)row->case_id;
        out->expire_time = rpc_timestamp(call, row->expire_us);
        out->create_time = rpc_timestamp(call, row->created_us);
        out->by = (char *)row->actor;
        return out;
}

int handle_create_transfers(struct rpc_call *call, const CreateTransfersRequest *request, CreateTransfersResponse *response)
{
        size_t n = request->n_transfers;
        struct ledger_row *rows = ARENA_ARRAY(rpc_arena(call), struct ledger_row, n);
        int r = rpc_require_somewhere(call);
        if (r == 0 && !n)
                r = rpc_invalid(call, "/transfers", "required", "needs a transfer", "须至少填写一笔转账");
        if (r != 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const LedgerTransfer *asked = request->transfers[i];
                rows[i] = (struct ledger_row){
                        .kind = (int)asked->kind,
                        .debit = asked->debit,
                        .credit = asked->credit,
                        .amount = asked->amount,
                        .of = asked->of,
                        .reason = asked->reason,
                        .case_id = "",
                        .actor = rpc_principal(call)->id,
                        .expire_us = rpc_timestamp_us(asked->expire_time),
                };
        }
        r = ledger_apply(call, "ledger.write", "/transfers", rows, n);
        if (r != 0)
                return r;
        rpc_audit_subject(call, rows[0].id, rows[0].organization);
        response->transfers = ARENA_ARRAY(rpc_arena(call), LedgerTransfer *, n);
        for (size_t i = 0; i < n; i++)
                response->transfers[response->n_transfers++] = transfer_fill(call, &rows[i]);
        return 0;
}

int handle_list_transfers(struct rpc_call *call, const ListTransfersRequest *request, ListTransfersResponse *response)
{
        struct arena *arena = rpc_arena(call);
        size_t size = (size_t)rpc_page_size(request->page_size);
        struct str filter = str_of(request->account), key;
        struct ledger_account account;
        struct ledger_row row = {0};
        int64_t before = INT64_MAX;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = ledger_account_load(rpc_db(call), arena, request->account, &account);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(account.path));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0 && key.n && str_to_i64(key, 1, INT64_MAX, &before) < 0)
                return rpc_refuse(call, PROBLEM(PAGE_TOKEN_INVALID));
        if (r == 0)
                r = ledger_rows_query(rpc_db(call), account.id, before, (int64_t)size + 1, &rows);
        if (r != 0)
                return r;
        response->transfers = ARENA_ARRAY(arena, LedgerTransfer *, size);
        while ((r = store_next(rows)) == 1) {
                if (response->n_transfers == size) {
                        bool debited = strcmp(row.debit, account.id) == 0;
                        int64_t last = debited ? row.debit_side.number : row.credit_side.number;
                        response->next_page_token = rpc_page_token(call, filter, str_of(arena_printf(arena, "%lld", (long long)last)));
                        return 0;
                }
                ledger_row_read(rows, arena, &row);
                response->transfers[response->n_transfers++] = transfer_fill(call, &row);
        }
        return r;
}

/* --- tracing ------------------------------------------------------------------------------------------------------------- */

static TracedPart *part_fill(struct rpc_call *call, const struct traced_part *part)
{
        TracedPart *out = message_new(rpc_arena(call), &care_v1_traced_part_msg);
        out->amount = part->amount;
        out->way = ARENA_ARRAY(rpc_arena(call), LedgerTransfer *, part->n);
        for (size_t i = 0; i < part->n; i++)
                out->way[out->n_way++] = transfer_fill(call, part->way[i]);
        return out;
}

/* Whoever may read the ledger at either end may know the whole way: it names organisations, purposes and cases, no person. */
static int find_traced(struct rpc_call *call, const char *id, struct ledger_row *ret, struct ledger_account *ret_debit)
{
        struct ledger_account credit;
        int r = ledger_row_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = ledger_accounts_load(rpc_db(call), rpc_arena(call), ret->debit, ret->credit, ret_debit, &credit);
        if (r == 0 && (!ret_debit->id || !credit.id))
                return -EUCLEAN;
        if (r != 0)
                return r;
        bool at_credit = rpc_allows(call, "ledger.read", str_of(credit.path));
        return rpc_require(call, str_of(at_credit ? credit.path : ret_debit->path));
}

int handle_trace_transfer(struct rpc_call *call, const TraceTransferRequest *request, TraceTransferResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct ledger_account debit;
        struct ledger_fund fund;
        struct ledger_row row;
        struct trace trace;
        int r = find_traced(call, request->transfer, &row, &debit);
        if (r == 0)
                r = ledger_trace(rpc_db(call), arena, &row, request->forward, &trace);
        if (r == 0)
                r = fund_load(rpc_db(call), arena, debit.fund, &fund);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        response->fund = message_new(arena, &care_v1_fund_msg);
        response->parts = ARENA_ARRAY(arena, TracedPart *, trace.n);
        for (size_t i = 0; i < trace.n; i++)
                response->parts[response->n_parts++] = part_fill(call, &trace.parts[i]);
        response->more = trace.more;
        return fund_fill(call, response->fund, &fund);
}
