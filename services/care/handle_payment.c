/* SPDX-License-Identifier: Apache-2.0
 *
 * Payments listed and settled; what everybody may read of what was paid.
 */
#include "handle_payment.h"

#include "case.h"
#include "payment.h"
#include "store_ledger.h"
#include "store_recipient.h"

/* --- payments ---------------------------------------------------------------------------------------------------------- */

static void payment_fill(struct rpc_call *call, const struct payment *p, Payment *out)
{
        out->id = (char *)p->id;
        out->number = (char *)p->number;
        out->case_id = (char *)p->case_id;
        out->programme = (char *)p->programme;
        out->organization = (char *)p->organization;
        out->amount = p->amount;
        out->state = (Payment__State)p->state;
        out->batch = (char *)p->batch;
        out->bank_account_masked = (char *)p->bank_account_masked;
        out->bank_reason = (char *)p->bank_reason;
        out->create_time = rpc_timestamp(call, p->created_us);
        out->paid_time = rpc_timestamp(call, p->paid_us);
}

int handle_list_payments(struct rpc_call *call, const ListPaymentsRequest *request, ListPaymentsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        const char *more = arena_printf(arena, "%d", (int)request->state);
        struct subtree_page page;
        struct payment p;
        int r = subtree_page_start(call, request->organization, more, request->page_size, request->page_token, &page);
        if (r != 0)
                return r;
        const struct payment_filter filter = {page.path, (int)request->state, page.after_path, page.after_id};
        response->payments = ARENA_ARRAY(arena, Payment *, (size_t)page.size);
        r = payments_query(rpc_db(call), arena, &filter, page.size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if ((int64_t)response->n_payments == page.size) {
                        response->next_page_token = subtree_page_next(call, &page, p.path, p.id);
                        continue;
                }
                payment_read(rows, arena, &p);
                Payment *one = message_new(arena, &care_v1_payment_msg);
                payment_fill(call, &p, one);
                response->payments[response->n_payments++] = one;
        }
        return r;
}

static const char *state_name(int state)
{
        static const char *const names[] = {
                [PAYMENT_READY] = "READY",       [PAYMENT_BATCHED] = "BATCHED", [PAYMENT_PAID] = "PAID",
                [PAYMENT_RETURNED] = "RETURNED", [PAYMENT_UNKNOWN] = "UNKNOWN", [PAYMENT_VOID] = "VOID",
        };
        return names[state];
}

/* To the account that the person has now. */
static int put_up_again(struct rpc_call *call, struct payment *p)
{
        struct particulars of = {.bank_account = ""};
        const char *batch = p->batch;
        int r = p->recipient[0] ? recipient_particulars(call, p->recipient, &of) : 0;
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(RECIPIENT_ERASED));
        if (r == 0 && p->recipient[0] && !of.bank_account[0])
                return rpc_refuse(call, PROBLEM(BANK_ACCOUNT_MISSING));
        if (r != 0)
                return r;
        p->state = PAYMENT_READY;
        p->batch = p->bank_reason = p->bank_account_masked = "";
        return payment_move(rpc_db(call), p, PAYMENT_RETURNED, batch);
}

static int give_up(struct rpc_call *call, struct payment *p)
{
        const char *actor = rpc_principal(call)->id;
        int r = payment_give_up(call, p, actor, "");
        return r == 0 ? benefit_given_up(call, p->decision, actor) : r;
}

int handle_settle_payment(struct rpc_call *call, const SettlePaymentRequest *request, Payment *response)
{
        struct payment p;
        int r = payment_load(rpc_db(call), rpc_arena(call), request->payment, &p);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(p.path));
        if (r != 0)
                return r;
        rpc_audit_subject(call, p.id, p.organization);
        if (p.state != PAYMENT_RETURNED)
                return rpc_refuse(call, PROBLEM(PAYMENT_STATE), state_name(p.state));
        r = request->give_up ? give_up(call, &p) : put_up_again(call, &p);
        if (r == 0)
                r = payment_task_done(call, p.case_id);
        if (r == 0)
                payment_fill(call, &p, response);
        return r;
}

/* --- disclosures --------------------------------------------------------------------------------------------------------- */

/* As a recipient's name is shown to whoever may not see it. */
static char *masked(struct rpc_call *call, const char *name)
{
        Recipient *who = message_new(rpc_arena(call), &care_v1_recipient_msg);
        who->name = (char *)name;
        message_mask(rpc_arena(call), &care_v1_recipient_msg, who, NUANXIN__PRIVACY__PUBLIC);
        return who->name;
}

static int disclosure_fill(struct rpc_call *call, const struct disclosure *d, Disclosure *out)
{
        struct organization o;
        out->programme = (char *)d->programme;
        out->organization = (char *)d->organization;
        out->name_masked = d->name[0] ? masked(call, d->name) : (char *)"";
        out->amount = d->amount;
        out->unit = (char *)d->unit;
        out->date = (char *)d->day;
        if (!d->payee[0])
                return 0;
        int r = organization_load(rpc_db(call), rpc_arena(call), str_of(d->payee), &o);
        if (r == 0)
                out->name_masked = (char *)o.name; /* no person's */
        return r == CARE_E_ABSENT ? 0 : r;
}

int handle_list_disclosures(struct rpc_call *call, const ListDisclosuresRequest *request, ListDisclosuresResponse *response)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct ledger_fund fund;
        struct disclosure d;
        struct str filter = str_of(request->fund), key;
        size_t size = (size_t)rpc_page_size(request->page_size);
        int r = fund_load(rpc_db(call), arena, request->fund, &fund);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0)
                r = disclosures_query(rpc_db(call), fund.id, arena_strndup(arena, key.p, key.n), (int64_t)size + 1, &rows);
        if (r != 0)
                return r;
        response->disclosures = ARENA_ARRAY(arena, Disclosure *, size);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if (response->n_disclosures == size) {
                        response->next_page_token = rpc_page_token(call, filter, str_of(d.pending));
                        continue;
                }
                disclosure_read(rows, arena, &d);
                Disclosure *one = message_new(arena, &care_v1_disclosure_msg);
                response->disclosures[response->n_disclosures++] = one;
                r = disclosure_fill(call, &d, one);
        }
        return r;
}
