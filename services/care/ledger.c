/* SPDX-License-Identifier: Apache-2.0
 *
 * Entering transfers: what each is of and its accounts are read, the rules decide on them one after the other, and only then is
 * anything written, each account once. See ledger.h.
 */
#include "ledger.h"

#include "handle.h"

#include <stdlib.h>

#define RESERVE_MOST 64 /* accounts that one need is met from */

/* One request's transfers, and the accounts that they touch as they are after those before. */
struct entering {
        struct rpc_call *call;
        const char *permission, *pointer;
        struct ledger_row *rows;
        size_t n;
        struct ledger_account *accounts;
        size_t n_accounts;
        int64_t *of_expire_us; /* of each: what it is of would have expired then; 0: never, or it is of nothing */
};

/* --- saying no --------------------------------------------------------------------------------------------------------- */

static int about(const struct entering *e, size_t i, int r)
{
        return e->pointer ? rpc_about(e->call, arena_printf(rpc_arena(e->call), "%s/%zu", e->pointer, i), r) : r;
}

static int complain(const struct entering *e, size_t i, const struct ledger_complaint *c)
{
        const char *base = e->pointer ? arena_printf(rpc_arena(e->call), "%s/%zu", e->pointer, i) : "";
        return rpc_invalid(e->call, arena_printf(rpc_arena(e->call), "%s/%s", base, c->field), c->rule, c->detail, c->detail_zh);
}

static int overdrawn(struct rpc_call *call, const struct ledger_account *account, int64_t available, int64_t needed)
{
        struct arena *arena = rpc_arena(call);
        return rpc_refuse(call, PROBLEM(BUDGET_OVERDRAWN), account->purpose, account->organization,
                          ledger_amount_text(arena, available, account->unit), ledger_amount_text(arena, needed, account->unit));
}

/* debit: as it was before the row; NULL: it is not known yet. available: of which the row wants too much. */
static int refuse(const struct entering *e, size_t i, enum ledger_fault fault, const struct ledger_account *debit, int64_t available)
{
        static const struct ledger_complaint too_much = {"amount", "range", "is more than an account can count", "超出账户可计数的范围"};
        const struct ledger_row *row = &e->rows[i];
        switch (fault) {
        case LEDGER_OF_UNKNOWN:
                return about(e, i, rpc_refuse(e->call, PROBLEM(TRANSFER_UNKNOWN), row->of));
        case LEDGER_OF_SETTLED:
                return about(e, i, rpc_refuse(e->call, PROBLEM(TRANSFER_SETTLED), row->of));
        case LEDGER_MISFIT:
                return about(e, i, rpc_refuse(e->call, PROBLEM(ACCOUNTS_DO_NOT_FIT)));
        case LEDGER_OVERDRAWN:
                return about(e, i, overdrawn(e->call, debit, available, row->amount));
        default:
                return complain(e, i, &too_much);
        }
}

/* --- finding ----------------------------------------------------------------------------------------------------------- */

static struct ledger_account *known_account(const struct entering *e, const char *id)
{
        for (size_t i = 0; i < e->n_accounts; i++)
                if (strcmp(e->accounts[i].id, id) == 0)
                        return &e->accounts[i];
        return NULL;
}

static int find_accounts(struct entering *e, size_t i, struct ledger_account **ret_debit, struct ledger_account **ret_credit)
{
        const struct ledger_row *row = &e->rows[i];
        struct ledger_account a, b;
        *ret_debit = known_account(e, row->debit);
        *ret_credit = known_account(e, row->credit);
        if (!*ret_debit || !*ret_credit) {
                int r = ledger_accounts_load(rpc_db(e->call), rpc_arena(e->call), row->debit, row->credit, &a, &b);
                if (r != 0)
                        return r;
                if (!*ret_debit && a.id)
                        e->accounts[e->n_accounts++] = a;
                if (!*ret_credit && b.id)
                        e->accounts[e->n_accounts++] = b;
                *ret_debit = known_account(e, row->debit);
                *ret_credit = known_account(e, row->credit);
        }
        if (*ret_debit && *ret_credit)
                return 0;
        return about(e, i, rpc_refuse(e->call, PROBLEM(ACCOUNT_UNKNOWN), *ret_debit ? row->credit : row->debit));
}

/* "#0": a row of this request, before this one. */
static const struct ledger_row *row_before(struct entering *e, size_t i, const char *of)
{
        int64_t place;
        if (of[0] != '#' || str_to_i64(str_of(of + 1), 0, (int64_t)i - 1, &place) < 0)
                return NULL;
        return &e->rows[place];
}

static bool settled_before(const struct entering *e, size_t i, const char *id)
{
        for (size_t k = 0; k < i; k++)
                if (strcmp(e->rows[k].of, id) == 0)
                        return true;
        return false;
}

/* What the row is of; it names that by its id from now on. */
static int find_of(struct entering *e, size_t i, struct ledger_of *ret)
{
        struct ledger_row *row = &e->rows[i];
        const struct ledger_row *before = row_before(e, i, row->of);
        *ret = (struct ledger_of){0};
        if (!row->of[0])
                return 0;
        if (before) {
                *ret = (struct ledger_of){before, settled_before(e, i, before->id)};
                row->of = before->id;
                return 0;
        }
        struct ledger_row *found = ARENA_NEW(rpc_arena(e->call), struct ledger_row);
        int r = ledger_of_load(rpc_db(e->call), rpc_arena(e->call), row->of, found, &ret->settled);
        if (r == CARE_E_ABSENT)
                return 0;
        ret->row = r == 0 ? found : NULL;
        ret->settled = ret->settled || settled_before(e, i, row->of);
        e->of_expire_us[i] = found->expire_us;
        return r;
}

/* Is the debited account the caller's? Of one that lies elsewhere nothing is said. */
static int require(const struct entering *e, size_t i, const struct ledger_account *debit)
{
        const struct ledger_row *row = &e->rows[i];
        struct str path = str_of(debit->path);
        if (!e->permission || rpc_allows(e->call, e->permission, path))
                return 0;
        if (rpc_allows(e->call, "ledger.read", path))
                return rpc_require(e->call, path); /* which refuses it */
        if (row->of[0])
                return about(e, i, rpc_refuse(e->call, PROBLEM(TRANSFER_UNKNOWN), row->of));
        return about(e, i, rpc_refuse(e->call, PROBLEM(ACCOUNT_UNKNOWN), row->debit));
}

/* What is set aside for a case is not settled by hand: the case and its payment would not know. */
static int leave_to_case(const struct entering *e, size_t i)
{
        const struct ledger_row *row = &e->rows[i];
        if (!e->permission || !row->case_id[0] || row->kind == LEDGER_REVERSAL)
                return 0;
        return about(e, i, rpc_refuse(e->call, PROBLEM(TRANSFER_OF_CASE), row->of, row->case_id));
}

/* --- one transfer ------------------------------------------------------------------------------------------------------ */

static int enter(struct entering *e, size_t i)
{
        struct ledger_row *row = &e->rows[i];
        struct ledger_account *debit, *credit;
        struct ledger_of of;
        const struct ledger_complaint *complaint = ledger_shape(row, rpc_now(e->call));
        if (complaint)
                return complain(e, i, complaint);
        int r = find_of(e, i, &of);
        if (r != 0)
                return r;
        enum ledger_fault fault = ledger_derive(row, &of);
        if (fault == LEDGER_OF_UNKNOWN)
                return refuse(e, i, fault, NULL, 0);
        r = find_accounts(e, i, &debit, &credit);
        if (r == 0)
                r = require(e, i, debit);
        if (r == 0)
                r = leave_to_case(e, i);
        if (r != 0)
                return r;
        if (fault != LEDGER_FITS)
                return refuse(e, i, fault, debit, of.row->amount);
        row->id = rpc_new_id(e->call);
        fault = ledger_enter(row, &of, debit, credit, rpc_now(e->call));
        return fault == LEDGER_FITS ? 0 : refuse(e, i, fault, debit, ledger_available(&debit->totals));
}

/* --- what it leaves behind --------------------------------------------------------------------------------------------- */

static int emit(const struct entering *e, const struct ledger_row *row)
{
        const struct ledger_account *debit = known_account(e, row->debit);
        TransferRecorded event = NUANXIN__CARE__V1__TRANSFER_RECORDED__INIT;
        unsigned char leaf[CHAIN_SIZE];
        chain_what(leaf, (struct str){0}, ledger_row_pack(rpc_arena(e->call), row));
        event.transfer = (char *)row->id;
        event.organization = (char *)debit->organization;
        event.fund = (char *)debit->fund;
        event.purpose = (char *)debit->purpose;
        event.kind = row->kind;
        event.debit = (char *)row->debit;
        event.credit = (char *)row->credit;
        event.amount = row->amount;
        event.of = (char *)row->of;
        event.leaf = (ProtobufCBinaryData){.len = CHAIN_SIZE, .data = leaf};
        return rpc_emit(e->call, &care_v1_transfer_recorded_msg, &event, row->id, debit->organization);
}

static int make_due(const struct entering *e, size_t i)
{
        const struct ledger_row *row = &e->rows[i];
        if (row->kind == LEDGER_PENDING && row->expire_us)
                return rpc_due_add(e->call, DUE_EXPIRE, row->id, row->expire_us, (struct str){0});
        return e->of_expire_us[i] ? rpc_due_cancel(e->call, DUE_EXPIRE, row->of) : 0;
}

static int by_id(const void *a, const void *b)
{
        const struct ledger_account *x = a, *y = b;
        return strcmp(x->id, y->id);
}

/* Accounts in the order of their ids: whoever locks several does it in one order. */
static int store(struct entering *e)
{
        int r = 0;
        if (e->n_accounts > 1)
                qsort(e->accounts, e->n_accounts, sizeof(e->accounts[0]), by_id);
        for (size_t i = 0; r == 0 && i < e->n_accounts; i++)
                r = ledger_account_save(rpc_db(e->call), &e->accounts[i]);
        if (r == 0)
                r = ledger_rows_insert(rpc_db(e->call), rpc_arena(e->call), e->rows, e->n);
        for (size_t i = 0; r == 0 && i < e->n; i++)
                r = make_due(e, i);
        for (size_t i = 0; r == 0 && i < e->n; i++)
                r = emit(e, &e->rows[i]);
        return r;
}

/* known: accounts of them that this transaction has read already, each once; at most 2 * n. */
static int apply(struct rpc_call *call, const char *permission, const char *pointer, struct ledger_row *rows, size_t n,
                 const struct ledger_account *known, size_t n_known)
{
        struct entering e = {
                .call = call,
                .permission = permission,
                .pointer = pointer,
                .rows = rows,
                .n = n,
                .accounts = ARENA_ARRAY(rpc_arena(call), struct ledger_account, 2 * n),
                .of_expire_us = ARENA_ARRAY(rpc_arena(call), int64_t, n),
        };
        int r = 0;
        for (; e.n_accounts < n_known; e.n_accounts++)
                e.accounts[e.n_accounts] = known[e.n_accounts];
        for (size_t i = 0; r == 0 && i < n; i++)
                r = enter(&e, i);
        return r == 0 && n ? store(&e) : r;
}

int ledger_apply(struct rpc_call *call, const char *permission, const char *pointer, struct ledger_row *rows, size_t n)
{
        return apply(call, permission, pointer, rows, n, NULL, 0);
}

/* --- for cases ----------------------------------------------------------------------------------------------------------- */

static int read_budgets(struct rpc_call *call, const struct ledger_need *need, struct ledger_account *budgets, size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = ledger_budgets_query(rpc_db(call), need->organization, need->purpose, need->unit, RESERVE_MOST, &rows);
        *ret_n = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                ledger_account_read(rows, rpc_arena(call), &budgets[(*ret_n)++]);
                r = 0;
        }
        return r;
}

static void know(struct ledger_account *known, size_t *n, const struct ledger_account *account)
{
        for (size_t i = 0; i < *n; i++)
                if (strcmp(known[i].id, account->id) == 0)
                        return;
        known[(*n)++] = *account;
}

static int refuse_need(struct rpc_call *call, const struct ledger_need *need, int64_t available)
{
        const struct ledger_account all = {.purpose = need->purpose, .organization = need->organization, .unit = need->unit};
        return overdrawn(call, &all, available, need->amount);
}

int ledger_reserve(struct rpc_call *call, const struct ledger_need *need, struct ledger_row **ret_rows, size_t *ret_n)
{
        struct ledger_account *budgets = ARENA_ARRAY(rpc_arena(call), struct ledger_account, RESERVE_MOST);
        struct ledger_row *rows = ARENA_ARRAY(rpc_arena(call), struct ledger_row, RESERVE_MOST);
        struct ledger_account *known = ARENA_ARRAY(rpc_arena(call), struct ledger_account, 2 * RESERVE_MOST);
        int64_t left = need->amount, available = 0;
        size_t n_budgets, n = 0, n_known = 0;
        int r = read_budgets(call, need, budgets, &n_budgets);
        for (size_t i = 0; r == 0 && i < n_budgets && left > 0; i++) {
                const struct ledger_account *budget = &budgets[i];
                int64_t here = ledger_available(&budget->totals), part = here < left ? here : left;
                available += here;
                if (part < 1)
                        continue;
                struct ledger_account terms = {.kind = LEDGER_SPENT, .fund = budget->fund, .purpose = need->purpose,
                                               .organization = need->organization, .path = need->path, .programme = need->programme};
                struct ledger_account spent;
                bool opened;
                r = ledger_open(call, &terms, &spent, &opened);
                if (r != 0)
                        return r;
                know(known, &n_known, budget);
                know(known, &n_known, &spent);
                rows[n++] = (struct ledger_row){.kind = LEDGER_PENDING, .debit = budget->id, .credit = spent.id, .amount = part,
                                                .of = "", .reason = "", .case_id = need->case_id, .actor = need->actor,
                                                .expire_us = need->expire_us};
                left -= part;
        }
        if (r != 0)
                return r;
        if (left > 0)
                return refuse_need(call, need, available);
        r = apply(call, NULL, NULL, rows, n, known, n_known);
        *ret_rows = rows;
        *ret_n = n;
        return r;
}

static int settle(struct rpc_call *call, int kind, const char *const *pending, size_t n, const char *actor, const char *reason,
                  struct ledger_row **ret)
{
        struct ledger_row *rows = *ret = ARENA_ARRAY(rpc_arena(call), struct ledger_row, n);
        for (size_t i = 0; i < n; i++)
                rows[i] = (struct ledger_row){.kind = kind, .debit = "", .credit = "", .of = pending[i], .reason = reason, .case_id = "",
                                              .actor = actor};
        return ledger_apply(call, NULL, NULL, rows, n);
}

int ledger_settle(struct rpc_call *call, int kind, const char *const *pending, size_t n, const char *actor, const char *reason)
{
        struct ledger_row *rows;
        return settle(call, kind, pending, n, actor, reason, &rows);
}

/* Whoever settled it has taken this work away: so it is still pending, unless a restore brought the work back. */
int due_expire(struct rpc_call *call, const char *key, struct str payload)
{
        struct ledger_row row, *done;
        bool settled;
        (void)payload;
        int r = ledger_of_load(rpc_db(call), rpc_arena(call), key, &row, &settled);
        if (r == CARE_E_ABSENT || (r == 0 && settled))
                return 0;
        if (r == 0)
                r = settle(call, LEDGER_VOID, &key, 1, "", "expired", &done);
        if (r == 0)
                rpc_audit_subject(call, done->id, done->organization);
        return r;
}

/* --- accounts ---------------------------------------------------------------------------------------------------------- */

static int purposes_consented(struct rpc_call *call, const char *fund, const char **ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct ledger_consent consent;
        *ret = "";
        int r = fund_consents_query(rpc_db(call), fund, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                fund_consent_read(rows, rpc_arena(call), &consent);
                *ret = arena_printf(rpc_arena(call), "%s%s\n", *ret, consent.purpose);
                r = 0;
        }
        return r;
}

static const char *in_a_line(struct rpc_call *call, const char *lines)
{
        struct str rest = str_of(lines);
        const char *text = "";
        while (rest.n) {
                struct str item = str_cut(&rest, '\n');
                text = arena_printf(rpc_arena(call), "%s%s%.*s", text, *text ? ", " : "", (int)item.n, item.p);
        }
        return text;
}

static int check_terms(struct rpc_call *call, const struct ledger_account *terms, const struct ledger_fund *fund)
{
        const struct ledger_complaint *c = ledger_account_shape(terms, fund->organization);
        const char *consented;
        if (c)
                return rpc_invalid(call, arena_printf(rpc_arena(call), "/%s", c->field), c->rule, c->detail, c->detail_zh);
        if (terms->kind == LEDGER_SOURCE || !fund->purposes[0])
                return 0;
        int r = purposes_consented(call, fund->id, &consented);
        if (r == 0 && !ledger_allows(fund->purposes, consented, terms->purpose))
                return rpc_refuse(call, PROBLEM(PURPOSE_RESTRICTED), fund->title, in_a_line(call, fund->purposes), terms->purpose);
        return r;
}

int ledger_open(struct rpc_call *call, const struct ledger_account *terms, struct ledger_account *ret, bool *ret_opened)
{
        struct ledger_fund fund;
        *ret_opened = false;
        int r = ledger_account_find(rpc_db(call), rpc_arena(call), terms, ret);
        if (r != CARE_E_ABSENT)
                return r;
        r = fund_load(rpc_db(call), rpc_arena(call), terms->fund, &fund);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(FUND_UNKNOWN));
        if (r == 0)
                r = check_terms(call, terms, &fund);
        if (r != 0)
                return r;
        *ret = *terms;
        ret->id = rpc_new_id(call);
        ret->unit = fund.unit;
        ret->created_us = rpc_now(call);
        ret->totals = (struct ledger_totals){0};
        ret->version = ret->changed_us = 0;
        *ret_opened = true;
        r = ledger_account_insert(rpc_db(call), ret);
        return r == 0 ? ledger_note(call, LEDGER_THING_ACCOUNT, ret->id, ret->organization) : r;
}
