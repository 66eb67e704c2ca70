/* SPDX-License-Identifier: Apache-2.0
 *
 * A payment's life: put up, answered by the bank, given up; and what that means for the ledger and for who is told.
 */
#include "payment.h"

#include "case.h"
#include "ledger.h"
#include "store_recipient.h"

#define CASE_MOST     200 /* payments of a case */
#define PENDING_MOST  64  /* transfers that set one payment aside */
#define NUMBER_TRIES  3
#define SETTLE_US     (7 * CLOCK_DAY_US) /* in which a payment that came back is to be put right */

/* --- lists that stand as lines ------------------------------------------------------------------------------------------- */

static const char *lines_of(struct rpc_call *call, const char *const *items, size_t n)
{
        const char *text = "";
        for (size_t i = 0; i < n; i++)
                text = arena_printf(rpc_arena(call), "%s%s\n", text, items[i]);
        return text;
}

static size_t items_of(struct rpc_call *call, const char *lines, const char *out[PENDING_MOST])
{
        struct str rest = str_of(lines);
        size_t n = 0;
        while (rest.n && n < PENDING_MOST) {
                struct str item = str_cut(&rest, '\n');
                out[n++] = arena_strndup(rpc_arena(call), item.p, item.n);
        }
        return n;
}

/* --- putting up ---------------------------------------------------------------------------------------------------------- */

/* "P" and what is random in an id, as digits. */
static char *number_of(struct rpc_call *call, const char *id)
{
        uint64_t bits = 0;
        for (const char *c = id + strlen(id); c > id && bits >> 56 == 0; c--)
                if (c[-1] != '-')
                        bits = bits << 4 | (uint64_t)(c[-1] <= '9' ? c[-1] - '0' : c[-1] - 'a' + 10);
        return arena_printf(rpc_arena(call), "P%018llu", (unsigned long long)bits);
}

int payment_put_up(struct rpc_call *call, const struct payment_terms *t, const char **ret_id)
{
        struct payment p = {
                .case_id = t->case_id,
                .decision = t->decision,
                .programme = t->programme,
                .recipient = t->recipient,
                .payee = t->payee,
                .organization = t->organization,
                .path = t->path,
                .amount = t->amount,
                .pending = lines_of(call, t->pending, t->n_pending),
                .approvers = lines_of(call, t->approvers, t->n_approvers),
                .state = PAYMENT_READY,
                .batch = "",
                .bank_account_masked = "",
                .bank_reason = "",
                .created_us = rpc_now(call),
        };
        int r = CARE_E_ABSENT;
        if (!t->n_pending || t->n_pending > PENDING_MOST)
                return -EINVAL;
        for (int i = 0; r == CARE_E_ABSENT && i < NUMBER_TRIES; i++) {
                p.id = rpc_new_id(call);
                p.number = number_of(call, p.id);
                r = payment_insert(rpc_db(call), &p);
        }
        if (r == 0)
                *ret_id = p.id;
        return r == CARE_E_ABSENT ? -EEXIST : r;
}

/* --- of a case ----------------------------------------------------------------------------------------------------------- */

static int payments_of_case(struct rpc_call *call, const char *case_id, struct payment **ret, size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct payment *all = ARENA_ARRAY(rpc_arena(call), struct payment, CASE_MOST);
        size_t n = 0;
        int r = payments_of_case_query(rpc_db(call), case_id, CASE_MOST, &rows);
        while (r == 0 && n < CASE_MOST && (r = store_next(rows)) == 1) {
                payment_read(rows, rpc_arena(call), &all[n++]);
                r = 0;
        }
        *ret = all;
        *ret_n = n;
        return r;
}

static bool is_with_bank(const struct payment *p)
{
        return p->state == PAYMENT_BATCHED || p->state == PAYMENT_UNKNOWN;
}

static bool is_at_hand(const struct payment *p)
{
        return p->state == PAYMENT_READY || p->state == PAYMENT_RETURNED;
}

int payments_left(struct rpc_call *call, const char *case_id, int64_t *ret_left, int64_t *ret_with_bank)
{
        struct payment *all;
        size_t n;
        int r = payments_of_case(call, case_id, &all, &n);
        *ret_left = *ret_with_bank = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                *ret_left += is_with_bank(&all[i]) || is_at_hand(&all[i]);
                *ret_with_bank += is_with_bank(&all[i]);
        }
        return r;
}

int payments_withdraw(struct rpc_call *call, const char *case_id, const char *actor, const char *reason)
{
        struct payment *all;
        size_t n;
        int r = payments_of_case(call, case_id, &all, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (is_at_hand(&all[i]))
                        r = payment_give_up(call, &all[i], actor, reason);
        return r;
}

int payment_give_up(struct rpc_call *call, struct payment *p, const char *actor, const char *reason)
{
        const char *pending[PENDING_MOST];
        size_t n = items_of(call, p->pending, pending);
        int from = p->state;
        p->state = PAYMENT_VOID;
        int r = payment_move(rpc_db(call), p, from, p->batch);
        return r == 0 ? ledger_settle(call, LEDGER_VOID, pending, n, actor, reason) : r;
}

/* --- what everybody may read --------------------------------------------------------------------------------------------- */

static int disclose(struct rpc_call *call, const struct disclosure *terms, const char *pending)
{
        struct ledger_row row;
        struct ledger_account debit;
        struct disclosure d = *terms;
        int r = ledger_row_load(rpc_db(call), rpc_arena(call), pending, &row);
        if (r == 0)
                r = ledger_account_load(rpc_db(call), rpc_arena(call), row.debit, &debit);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        d.fund = debit.fund;
        d.pending = pending;
        d.organization = debit.organization;
        d.amount = row.amount;
        d.unit = debit.unit;
        return disclosure_insert(rpc_db(call), &d);
}

int benefit_disclose(struct rpc_call *call, const char *programme, const char *recipient, const char *payee, const char *const *pending,
                     size_t n_pending)
{
        const struct disclosure terms = {.programme = programme, .recipient = recipient, .payee = payee, .day = today(call)};
        int r = 0;
        for (size_t i = 0; r == 0 && i < n_pending; i++)
                r = disclose(call, &terms, pending[i]);
        return r;
}

/* --- what the bank says -------------------------------------------------------------------------------------------------- */

int payment_is_covered(struct rpc_call *call, const char *payment, bool *ret)
{
        const char *pending[PENDING_MOST];
        struct payment p;
        int r = payment_load(rpc_db(call), rpc_arena(call), payment, &p);
        size_t n = r == 0 ? items_of(call, p.pending, pending) : 0;
        *ret = true;
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct ledger_row row;
                bool settled;
                r = ledger_of_load(rpc_db(call), rpc_arena(call), pending[i], &row, &settled);
                *ret = *ret && r == 0 && !settled;
        }
        return r;
}

/* The case, and whom events of it are about: nobody, where it is about an organisation. */
static int load_case(struct rpc_call *call, const struct payment *p, struct care_case *ret, const char **ret_person, bool *ret_erased)
{
        struct recipient recipient;
        *ret_person = "";
        *ret_erased = false;
        int r = case_load(rpc_db(call), rpc_arena(call), p->case_id, ret);
        if (r != 0 || !p->recipient[0])
                return r;
        r = recipient_load(rpc_db(call), rpc_arena(call), p->recipient, &recipient);
        if (r != 0)
                return r;
        *ret_person = recipient_person(&recipient);
        *ret_erased = recipient.erased_us;
        return 0;
}

static int on_paid(struct rpc_call *call, const struct payment *p, const struct care_case *c, const char *person, const char *actor)
{
        BenefitPaid event = NUANXIN__CARE__V1__BENEFIT_PAID__INIT;
        const char *pending[PENDING_MOST];
        size_t n = items_of(call, p->pending, pending);
        int r = ledger_settle(call, LEDGER_POST, pending, n, actor, "");
        if (r == 0)
                r = benefit_disclose(call, p->programme, p->recipient, p->payee, pending, n);
        if (r != 0)
                return r;
        event.case_id = (char *)p->case_id;
        event.programme = (char *)p->programme;
        event.organization = (char *)c->organization;
        event.person = (char *)person;
        event.amount = p->amount;
        event.unit = (char *)"CNY";
        r = rpc_emit(call, &care_v1_benefit_paid_msg, &event, p->case_id, c->organization);
        return r == 0 ? benefit_paid(call, p->decision, actor) : r;
}

/* It stays reserved; whoever looks after the case puts the account right. */
static int on_returned(struct rpc_call *call, const struct payment *p, const struct care_case *c, const char *person)
{
        PaymentReturned event = NUANXIN__CARE__V1__PAYMENT_RETURNED__INIT;
        struct care_task task = {
                .kind = TASK_PAYMENT,
                .case_id = p->case_id,
                .programme = p->programme,
                .stage = c->stage,
                .place_path = c->path,
                .person = person,
                .assignee = "",
                .due_us = rpc_now(call) + SETTLE_US,
        };
        event.case_id = (char *)p->case_id;
        event.organization = (char *)c->organization;
        event.person = (char *)person;
        int r = task_open(call, &task);
        return r == 0 ? rpc_emit(call, &care_v1_payment_returned_msg, &event, p->case_id, c->organization) : r;
}

int payment_task_done(struct rpc_call *call, const char *case_id)
{
        struct payment *all;
        bool any = false;
        size_t n;
        int r = payments_of_case(call, case_id, &all, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                any = any || all[i].state == PAYMENT_RETURNED;
        return r == 0 && !any ? tasks_close(call, case_id, TASK_PAYMENT, NULL) : r;
}

int payment_answer(struct rpc_call *call, const char *batch, const struct payment_line *line, int state, const char *reason,
                   const char *actor)
{
        struct payment p;
        struct care_case c;
        const char *person;
        bool erased;
        int r = payment_line_answer(rpc_db(call), batch, line, state);
        if (r == 0)
                r = payment_load(rpc_db(call), rpc_arena(call), line->payment, &p);
        if (r == 0)
                r = load_case(call, &p, &c, &person, &erased);
        if (r != 0)
                return r == CARE_E_ABSENT ? -EUCLEAN : r;
        p.state = state;
        p.bank_reason = erased ? "" : reason; /* which may name the person */
        p.paid_us = state == PAYMENT_PAID ? rpc_now(call) : 0;
        r = payment_move(rpc_db(call), &p, line->state, batch);
        if (r == 0 && state == PAYMENT_PAID)
                return on_paid(call, &p, &c, person, actor);
        if (r == 0 && state == PAYMENT_RETURNED)
                r = on_returned(call, &p, &c, person);
        return r == 0 && state == PAYMENT_RETURNED && erased ? cases_end_of(call, p.recipient) : r;
}
