/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of payments: made, exported for the bank.
 */
#include "handle.h"
#include "handle_payment.h"
#include "payment.h"
#include "store_recipient.h"

#include "common/people/people.h"

#define BATCH_MOST 5000
#define REMARK     "帮扶款" /* what the bank shows with it: nothing of the programme, which may tell of an illness or a loss */
#define NO_ACCOUNT "没有银行账号"

static int batch_fill(struct rpc_call *call, struct payment_batch *b, PaymentBatch *out)
{
        int r = payment_batch_count(rpc_db(call), b);
        out->id = (char *)b->id;
        out->organization = (char *)b->organization;
        out->programme = (char *)b->programme;
        out->state = (PaymentBatch__State)b->state;
        out->payments = (int32_t)b->payments;
        out->amount = b->amount;
        out->paid = (int32_t)b->paid;
        out->returned = (int32_t)b->returned;
        out->unknown = (int32_t)b->unknown;
        out->create_time = rpc_timestamp(call, b->created_us);
        out->made_by = (char *)b->made_by;
        return r;
}

int handle_create_payment_batch(struct rpc_call *call, const CreatePaymentBatchRequest *request, PaymentBatch *response)
{
        struct organization o;
        bool own;
        int r = find_organization(call, request->organization, &o);
        if (r != 0)
                return r;
        struct payment_batch batch = {
                .id = rpc_new_id(call),
                .organization = o.code,
                .path = o.path,
                .programme = request->programme,
                .state = BATCH_MADE,
                .created_us = rpc_now(call),
                .made_by = rpc_principal(call)->id,
        };
        rpc_audit_subject(call, batch.id, batch.organization);
        r = payment_batch_gather(rpc_db(call), &batch, BATCH_MOST, &own);
        if (r != 0)
                return r;
        if (!batch.payments)
                return rpc_refuse(call, PROBLEM(NOTHING_TO_PAY));
        return own ? rpc_refuse(call, PROBLEM(OWN_CASE), arena_printf(rpc_arena(call), "%s: payments", o.code)) : batch_fill(call, &batch, response);
}

int find_batch(struct rpc_call *call, const char *id, struct payment_batch *ret)
{
        int r = payment_batch_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? rpc_require(call, str_of(ret->path)) : r;
}

int handle_get_payment_batch(struct rpc_call *call, const GetPaymentBatchRequest *request, PaymentBatch *response)
{
        struct payment_batch batch;
        int r = find_batch(call, request->batch, &batch);
        return r == 0 ? batch_fill(call, &batch, response) : r;
}

/* --- the bank file ------------------------------------------------------------------------------------------------------- */

/* Who is paid, and to which account; an account of an organisation is not kept here. */
struct payee {
        const char *name, *account;
        bool lost; /* the person was erased, or has no account any more */
};

static int find_payee(struct rpc_call *call, const struct payment *p, struct payee *ret)
{
        struct particulars of;
        struct recipient who;
        struct organization o;
        *ret = (struct payee){"", "", false};
        int r;
        if (!p->recipient[0]) {
                r = organization_load(rpc_db(call), rpc_arena(call), str_of(p->payee), &o);
                ret->name = r == 0 ? o.name : "";
                return r == CARE_E_ABSENT ? 0 : r;
        }
        r = recipient_load(rpc_db(call), rpc_arena(call), p->recipient, &who);
        if (r == 0)
                r = recipient_particulars(call, p->recipient, &of);
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        if (r == 0 && of.bank_account[0])
                *ret = (struct payee){who.name, of.bank_account, false};
        else
                ret->lost = true;
        return 0;
}

/* The masked account is the one that the bank is told. */
static int keep_mask(struct rpc_call *call, const struct payment *p, const char *account)
{
        char text[BANK_ACCOUNT_SIZE] = "";
        if (account[0])
                bank_account_mask(account, text);
        return strcmp(text, p->bank_account_masked) == 0 ? 0 : payment_set_account(rpc_db(call), p->id, text);
}

/* What cannot be paid comes back at once. */
static int add_order(struct rpc_call *call, const char *batch, const struct payment_line *line, ListBankOrdersResponse *response)
{
        struct payment p;
        struct payee payee;
        int r = payment_load(rpc_db(call), rpc_arena(call), line->payment, &p);
        if (r == 0)
                r = find_payee(call, &p, &payee);
        if (r == 0 && payee.lost)
                return payment_answer(call, batch, line, PAYMENT_RETURNED, NO_ACCOUNT, rpc_principal(call)->id);
        if (r == 0)
                r = keep_mask(call, &p, payee.account);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        BankOrder *order = message_new(rpc_arena(call), &care_v1_bank_order_msg);
        order->number = (char *)line->number;
        order->name = (char *)payee.name;
        order->account = (char *)payee.account;
        order->amount = arena_alloc(rpc_arena(call), YUAN_SIZE);
        yuan_text(line->amount, order->amount);
        order->remark = (char *)REMARK;
        response->orders[response->n_orders++] = order;
        return 0;
}

static int read_lines(struct rpc_call *call, const char *batch, const char *after, size_t size, struct payment_line *out, size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = payment_lines_query(rpc_db(call), batch, after, (int64_t)size, &rows);
        while (r == 0 && n < size && (r = store_next(rows)) == 1) {
                payment_line_read(rows, rpc_arena(call), &out[n++]);
                r = 0;
        }
        *ret_n = n;
        return r;
}

/* What the bank has answered about is not told it once more. */
int handle_list_bank_orders(struct rpc_call *call, const ListBankOrdersRequest *request, ListBankOrdersResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct payment_batch batch;
        struct str filter = str_of(request->batch), key;
        size_t size = (size_t)rpc_page_size(request->page_size), n = 0;
        struct payment_line *lines = ARENA_ARRAY(arena, struct payment_line, size + 1);
        rpc_audit_purpose(call, request->purpose);
        int r = find_batch(call, request->batch, &batch);
        if (r != 0)
                return r;
        rpc_audit_subject(call, batch.id, batch.organization);
        r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0)
                r = payment_batch_export(rpc_db(call), batch.id);
        if (r == 0)
                r = read_lines(call, batch.id, arena_strndup(arena, key.p, key.n), size + 1, lines, &n);
        response->orders = ARENA_ARRAY(arena, BankOrder *, size);
        for (size_t i = 0; r == 0 && i < n && i < size; i++)
                r = add_order(call, batch.id, &lines[i], response);
        if (r == 0 && n > size)
                response->next_page_token = rpc_page_token(call, filter, str_of(lines[size - 1].number));
        return r;
}
