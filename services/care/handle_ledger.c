/* SPDX-License-Identifier: Apache-2.0
 *
 * Funds and accounts. A fund is read where it was received, and wherever it has an account.
 */
#include "handle_ledger.h"

#include "state.h"

/* --- funds ------------------------------------------------------------------------------------------------------------- */

static DonorConsent *consent_fill(struct rpc_call *call, const struct ledger_consent *c)
{
        DonorConsent *out = message_new(rpc_arena(call), &care_v1_donor_consent_msg);
        out->purpose = (char *)c->purpose;
        out->reference = (char *)c->reference;
        out->create_time = rpc_timestamp(call, c->created_us);
        return out;
}

#define CONSENTS_MOST 50

static int consents_fill(struct rpc_call *call, Fund *out, const char *fund)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct ledger_consent consent;
        out->consents = ARENA_ARRAY(rpc_arena(call), DonorConsent *, CONSENTS_MOST);
        int r = fund_consents_query(rpc_db(call), fund, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                fund_consent_read(rows, rpc_arena(call), &consent);
                if (out->n_consents < CONSENTS_MOST)
                        out->consents[out->n_consents++] = consent_fill(call, &consent);
        }
        return r;
}

static void purposes_fill(struct rpc_call *call, Fund *out, const char *lines)
{
        struct str rest = str_of(lines);
        size_t n = 0;
        for (const char *c = lines; *c; c++)
                n += *c == '\n';
        out->purposes = ARENA_ARRAY(rpc_arena(call), char *, n + 1);
        while (rest.n) {
                struct str purpose = str_cut(&rest, '\n');
                out->purposes[out->n_purposes++] = arena_strndup(rpc_arena(call), purpose.p, purpose.n);
        }
}

int fund_fill(struct rpc_call *call, Fund *out, const struct ledger_fund *f)
{
        out->id = (char *)f->id;
        out->kind = (Fund__Kind)f->kind;
        out->title = (char *)f->title;
        out->organization = (char *)f->organization;
        out->donor = (char *)f->donor;
        out->unit = (char *)f->unit;
        out->create_time = rpc_timestamp(call, f->created_us);
        purposes_fill(call, out, f->purposes);
        return consents_fill(call, out, f->id);
}

static const char *lines_of(struct rpc_call *call, char *const *items, size_t n)
{
        const char *text = "";
        for (size_t i = 0; i < n; i++)
                text = arena_printf(rpc_arena(call), "%s%s\n", text, items[i]);
        return text;
}

int handle_create_fund(struct rpc_call *call, const CreateFundRequest *request, Fund *response)
{
        const Fund *asked = request->fund;
        const struct ledger_fund fund = {
                .id = rpc_new_id(call),
                .kind = (int)asked->kind,
                .title = asked->title,
                .organization = asked->organization,
                .donor = asked->donor,
                .purposes = lines_of(call, asked->purposes, asked->n_purposes),
                .unit = asked->unit[0] ? asked->unit : "CNY",
                .created_us = rpc_now(call),
        };
        int r = fund_insert(rpc_db(call), &fund);
        if (r == 0)
                r = ledger_note(call, LEDGER_THING_FUND, fund.id, fund.organization);
        rpc_audit_subject(call, fund.id, fund.organization);
        return r == 0 ? fund_fill(call, response, &fund) : r;
}

static int find_fund(struct rpc_call *call, const char *id, struct ledger_fund *ret, struct str *ret_path)
{
        int r = fund_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? organization_path(call, str_of(ret->organization), ret_path) : r;
}

/* Has it an account where the caller may read the ledger? */
static int is_used_in_scope(struct rpc_call *call, const char *fund, bool *ret)
{
        const char *codes[64];
        size_t n = rpc_scope(call, codes);
        int r = 0;
        *ret = false;
        for (size_t i = 0; r == 0 && i < n && !*ret; i++) {
                struct organization o;
                r = organization_load(rpc_db(call), rpc_arena(call), str_of(codes[i]), &o);
                if (r == 0)
                        r = fund_is_within(rpc_db(call), fund, str_of(o.path), path_end(rpc_arena(call), str_of(o.path)), ret);
                r = r == CARE_E_ABSENT ? 0 : r;
        }
        return r;
}

int handle_get_fund(struct rpc_call *call, const GetFundRequest *request, Fund *response)
{
        struct ledger_fund fund;
        struct str path;
        bool used = false;
        int r = find_fund(call, request->fund, &fund, &path);
        if (r == 0 && !rpc_allows(call, "ledger.read", path))
                r = is_used_in_scope(call, fund.id, &used);
        if (r != 0)
                return r;
        if (used)
                rpc_require_nothing(call);
        else
                r = rpc_require(call, path);
        return r == 0 ? fund_fill(call, response, &fund) : r;
}

int handle_record_donor_consent(struct rpc_call *call, const RecordDonorConsentRequest *request, Fund *response)
{
        struct ledger_fund fund;
        struct str path;
        bool added = false;
        int r = find_fund(call, request->fund, &fund, &path);
        if (r == 0)
                r = rpc_require(call, path);
        if (r != 0)
                return r;
        const DonorConsent *asked = request->consent;
        const struct ledger_consent consent = {rpc_new_id(call), fund.id, asked->purpose, asked->reference, rpc_now(call)};
        rpc_audit_subject(call, fund.id, fund.organization);
        r = fund_consent_insert(rpc_db(call), &consent, &added);
        if (r == 0 && added)
                r = ledger_note(call, LEDGER_THING_CONSENT, consent.id, fund.organization);
        return r == 0 ? fund_fill(call, response, &fund) : r;
}

/* --- accounts ---------------------------------------------------------------------------------------------------------- */

static void account_fill(LedgerAccount *out, const struct ledger_account *a, const struct ledger_totals *totals)
{
        out->id = (char *)a->id;
        out->kind = (LedgerAccount__Kind)a->kind;
        out->fund = (char *)a->fund;
        out->purpose = (char *)a->purpose;
        out->organization = (char *)a->organization;
        out->programme = (char *)a->programme;
        out->unit = (char *)a->unit;
        out->credits_posted = totals->credits_posted;
        out->credits_pending = totals->credits_pending;
        out->debits_posted = totals->debits_posted;
        out->debits_pending = totals->debits_pending;
        out->available = ledger_available(totals);
}

int handle_open_ledger_account(struct rpc_call *call, const OpenLedgerAccountRequest *request, LedgerAccount *response)
{
        const LedgerAccount *asked = request->account;
        struct ledger_account account;
        struct str path;
        bool opened;
        int r = organization_path(call, str_of(asked->organization), &path);
        if (r != 0)
                return r;
        const struct ledger_account terms = {
                .kind = (int)asked->kind,
                .fund = asked->fund,
                .purpose = asked->purpose,
                .organization = asked->organization,
                .path = path.p,
                .programme = asked->programme,
        };
        r = ledger_open(call, &terms, &account, &opened);
        if (r != 0)
                return r;
        rpc_audit_subject(call, account.id, account.organization);
        account_fill(response, &account, &account.totals);
        return 0;
}

static int find_account(struct rpc_call *call, const char *id, struct ledger_account *ret)
{
        int r = ledger_account_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? rpc_require(call, str_of(ret->path)) : r;
}

int handle_get_ledger_account(struct rpc_call *call, const GetLedgerAccountRequest *request, LedgerAccount *response)
{
        struct ledger_account account;
        struct ledger_totals totals = {0};
        int r = find_account(call, request->account, &account);
        if (r != 0)
                return r;
        totals = account.totals;
        if (request->time)
                r = ledger_totals_at(rpc_db(call), &account, rpc_timestamp_us(request->time), &totals);
        if (r == 0)
                account_fill(response, &account, &totals);
        return r;
}

int handle_list_ledger_accounts(struct rpc_call *call, const ListLedgerAccountsRequest *request, ListLedgerAccountsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct subtree_page page;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = subtree_page_start(call, request->organization, request->fund, request->page_size, request->page_token, &page);
        if (r != 0)
                return r;
        response->accounts = ARENA_ARRAY(arena, LedgerAccount *, (size_t)page.size);
        struct str from = page.after_path[0] ? str_of(page.after_path) : page.path;
        struct ledger_account account = {0};
        r = ledger_accounts_query(rpc_db(call), from, page.after_id, path_end(arena, page.path), request->fund, page.size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if (response->n_accounts == (size_t)page.size) {
                        response->next_page_token = subtree_page_next(call, &page, account.path, account.id);
                        return 0;
                }
                ledger_account_read(rows, arena, &account);
                LedgerAccount *out = message_new(arena, &care_v1_ledger_account_msg);
                account_fill(out, &account, &account.totals);
                response->accounts[response->n_accounts++] = out;
        }
        return r;
}

/* --- the chain --------------------------------------------------------------------------------------------------------- */

int handle_get_ledger_state(struct rpc_call *call, const GetLedgerStateRequest *request, LedgerState *response)
{
        struct ledger_end end;
        struct chain_mark mark;
        (void)request;
        rpc_require_nothing(call);
        int r = ledger_end_load(rpc_db(call), &end);
        if (r == 0)
                r = ledger_mark_load(rpc_db(call), &mark);
        if (r != 0)
                return r;
        const struct signing_key *key = care_ledger_key(rpc_state(call), rpc_keyring(call));
        response->rows = end.seq;
        response->head = arena_alloc(rpc_arena(call), 2 * CHAIN_SIZE + 1);
        hex_encode(response->head, end.head, CHAIN_SIZE);
        response->checkpoint = mark.checkpoint;
        response->public_key = arena_alloc(rpc_arena(call), 2 * SIGNING_PUBLIC_SIZE + 1);
        hex_encode(response->public_key, key->public, SIGNING_PUBLIC_SIZE);
        return 0;
}
