/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's methods: funds, accounts, transfers.
 */
#pragma once

#include "handle.h"
#include "ledger.h"

int handle_create_fund(struct rpc_call *call, const CreateFundRequest *request, Fund *response);
int handle_get_fund(struct rpc_call *call, const GetFundRequest *request, Fund *response);
int handle_record_donor_consent(struct rpc_call *call, const RecordDonorConsentRequest *request, Fund *response);
int handle_open_ledger_account(struct rpc_call *call, const OpenLedgerAccountRequest *request, LedgerAccount *response);
int handle_get_ledger_account(struct rpc_call *call, const GetLedgerAccountRequest *request, LedgerAccount *response);
int handle_list_ledger_accounts(struct rpc_call *call, const ListLedgerAccountsRequest *request, ListLedgerAccountsResponse *response);
int handle_create_transfers(struct rpc_call *call, const CreateTransfersRequest *request, CreateTransfersResponse *response);
int handle_list_transfers(struct rpc_call *call, const ListTransfersRequest *request, ListTransfersResponse *response);
int handle_trace_transfer(struct rpc_call *call, const TraceTransferRequest *request, TraceTransferResponse *response);
int handle_get_receipt(struct rpc_call *call, const GetReceiptRequest *request, Receipt *response);
int handle_get_ledger_state(struct rpc_call *call, const GetLedgerStateRequest *request, LedgerState *response);

/* Fills the answer, with what the donor agreed to later. */
int fund_fill(struct rpc_call *call, Fund *out, const struct ledger_fund *fund) MUST_USE;
