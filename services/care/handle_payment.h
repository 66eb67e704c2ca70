/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods of payments: to the bank and back, and what is told of them.
 */
#pragma once

#include "contract/care_v1.h"
#include "store_payment.h"

int handle_list_payments(struct rpc_call *call, const ListPaymentsRequest *request, ListPaymentsResponse *response);
int handle_settle_payment(struct rpc_call *call, const SettlePaymentRequest *request, Payment *response);
int handle_create_payment_batch(struct rpc_call *call, const CreatePaymentBatchRequest *request, PaymentBatch *response);
int handle_get_payment_batch(struct rpc_call *call, const GetPaymentBatchRequest *request, PaymentBatch *response);
int handle_list_bank_orders(struct rpc_call *call, const ListBankOrdersRequest *request, ListBankOrdersResponse *response);
int handle_list_disclosures(struct rpc_call *call, const ListDisclosuresRequest *request, ListDisclosuresResponse *response);
int handle_import_bank_answers(struct rpc_call *call, const ImportBankAnswersRequest *request,
                               Nuanxin__Membership__V1__Operation *response);

/* The batch if the caller holds the method's permission where it is paid; refused as 404 otherwise. */
int find_batch(struct rpc_call *call, const char *id, struct payment_batch *ret) MUST_USE;
