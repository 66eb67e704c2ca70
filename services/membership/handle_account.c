/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounts of people who work for the association. Whatever changes an account's rights raises its
 * generation, and so ends its sessions.
 */
#include "services/membership/handle.h"

#include "common/rpc/server.h"

#include <stdio.h>

#define LISTED_MAX 1000

int account_fill(struct rpc_call *call, const struct account *a, Account *out)
{
        char etag[ETAG_SIZE];
        etag_of(a->generation, etag);
        out->id = a->id;
        out->login = a->login;
        out->display_name = a->display_name;
        out->organization = a->organization;
        out->disabled = a->disabled;
        out->generation = a->generation;
        out->create_time = rpc_timestamp(call, a->created);
        out->etag = arena_strdup(rpc_arena(call), etag);
        return grants_fill(call, a->id, &out->grants, &out->n_grants);
}

/* The account, which must be managed at or below where the caller holds the method's permission. */
static int find_account(struct rpc_call *call, const char *id, struct account *ret)
{
        struct organization o;
        int r = account_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r == -ENOENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = find_organization(call, ret->organization, &o);
        if (r == 0)
                r = rpc_require(call, str_of(o.path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        return r;
}

static int find_to_change(struct rpc_call *call, const char *id, struct account *ret)
{
        int r = find_account(call, id, ret);
        return r == 0 ? grants_within(call, "account.write", id) : r;
}

/* What the account may do now; also of a new one. */
static int fill_rights(struct rpc_call *call, const struct account *a, AccountRightsChanged *out)
{
        nuanxin__membership__v1__account_rights_changed__init(out);
        out->account = a->id;
        out->generation = (uint64_t)a->generation;
        out->disabled = a->disabled;
        return grants_fill(call, a->id, &out->grants, &out->n_grants);
}

static int emit_rights(struct rpc_call *call, const struct account *a)
{
        AccountRightsChanged event;
        int r = fill_rights(call, a, &event);
        return r == 0 ? rpc_emit(call, &membership_v1_account_rights_changed_msg, &event, a->id, a->organization) : r;
}

/* Keeps the change, ends the sessions, and answers. */
static int save_account(struct rpc_call *call, struct account *a, Account *response)
{
        a->generation++;
        int r = account_update(rpc_db(call), a);
        if (r == 0)
                r = emit_rights(call, a);
        return r == 0 ? account_fill(call, a, response) : r;
}

/* --- making and reading --------------------------------------------------------------------------------- */

static int hash_password(struct rpc_call *call, const char *password, char **ret_hash)
{
        char *hash = arena_alloc(rpc_arena(call), PASSWORD_HASH_SIZE);
        int r = password_hash(hash, str_of(password));
        if (r == 0)
                *ret_hash = hash;
        return r;
}

/* Hashing is dear: nothing is hashed for who may not make accounts there; the dispatcher refuses them after. */
int prepare_create_account(struct rpc_call *call, const CreateAccountRequest *request)
{
        struct str path;
        char *hash;
        int r = organization_path(call, str_of(request->account->organization), &path);
        if (r != 0 || !rpc_allows(call, "account.write", path))
                return r;
        if (password_is_weak(str_of(request->password), str_of(request->account->login)))
                return rpc_about(call, "/password", rpc_refuse(call, PROBLEM(PASSWORD_WEAK)));
        r = hash_password(call, request->password, &hash);
        if (r == 0)
                rpc_prepared_set(call, hash);
        return r;
}

int handle_create_account(struct rpc_call *call, const CreateAccountRequest *request, Account *response)
{
        struct role_grant grants[ROLE_GRANT_MAX];
        struct organization o;
        const Account *asked = request->account;
        struct account a = {
                .id = rpc_new_id(call),
                .login = login_normalize(rpc_arena(call), asked->login),
                .display_name = asked->display_name,
                .organization = asked->organization,
                .password = rpc_prepared(call),
                .generation = 1,
                .created = rpc_now(call),
        };
        if (!a.password)
                return rpc_refuse(call, PROBLEM(PERMISSION_DENIED), "account.write");
        int r = find_valid_organization(call, a.organization, &o);
        if (r == 0)
                r = grants_take(call, "account.write", asked->grants, asked->n_grants, grants);
        if (r == 0)
                r = account_insert(rpc_db(call), &a);
        if (r == STORE_E_CONSTRAINT)
                return rpc_about(call, "/account/login", rpc_refuse(call, PROBLEM(LOGIN_TAKEN)));
        if (r == 0)
                r = role_grants_set(rpc_db(call), a.id, grants, asked->n_grants);
        if (r == 0)
                r = emit_rights(call, &a);
        rpc_audit_subject(call, a.id, a.organization);
        return r == 0 ? account_fill(call, &a, response) : r;
}

int handle_get_account(struct rpc_call *call, const GetAccountRequest *request, Account *response)
{
        struct account a;
        int r = find_account(call, request->account, &a);
        return r == 0 ? account_fill(call, &a, response) : r;
}

int handle_list_accounts(struct rpc_call *call, const ListAccountsRequest *request,
                         ListAccountsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct account *accounts = ARENA_ARRAY(arena, struct account, LISTED_MAX + 1);
        char **paths = ARENA_ARRAY(arena, char *, LISTED_MAX + 1);
        struct subtree_page page;
        size_t n = 0;
        int r = subtree_page_start(call, request->organization, "", request->page_size, request->page_token,
                                   &page);
        if (r == 0)
                r = account_list(rpc_db(call), arena, page.path, page.after_path, page.after_id,
                                 page.size + 1, accounts, paths, &n);
        if (r == 0 && (int64_t)n > page.size) {
                n = (size_t)page.size;
                response->next_page_token = subtree_page_next(call, &page, paths[n - 1], accounts[n - 1].id);
        }
        response->accounts = ARENA_ARRAY(arena, Account *, n);
        response->n_accounts = n;
        for (size_t i = 0; i < n; i++)
                response->accounts[i] = message_new(arena, &membership_v1_account_msg);
        for (size_t i = 0; i < n && r == 0; i++)
                r = account_fill(call, &accounts[i], response->accounts[i]);
        return r;
}

/* --- rights --------------------------------------------------------------------------------------------- */

int handle_set_account_grants(struct rpc_call *call, const SetAccountGrantsRequest *request,
                              Account *response)
{
        struct role_grant grants[ROLE_GRANT_MAX];
        struct account a;
        int r = find_to_change(call, request->account, &a);
        if (r == 0)
                r = etag_check(call, request->etag, a.generation);
        if (r == 0)
                r = grants_take(call, "account.write", request->grants, request->n_grants, grants);
        if (r == 0)
                r = role_grants_set(rpc_db(call), a.id, grants, request->n_grants);
        return r == 0 ? save_account(call, &a, response) : r;
}

static int set_disabled(struct rpc_call *call, const char *id, bool disabled, Account *response)
{
        struct account a;
        int r = find_to_change(call, id, &a);
        if (r != 0 || a.disabled == disabled)
                return r == 0 ? account_fill(call, &a, response) : r;
        a.disabled = disabled;
        return save_account(call, &a, response);
}

int handle_disable_account(struct rpc_call *call, const DisableAccountRequest *request, Account *response)
{
        return set_disabled(call, request->account, true, response);
}

int handle_enable_account(struct rpc_call *call, const EnableAccountRequest *request, Account *response)
{
        return set_disabled(call, request->account, false, response);
}

int handle_revoke_account_sessions(struct rpc_call *call, const RevokeAccountSessionsRequest *request,
                                   Account *response)
{
        struct account a;
        int r = find_to_change(call, request->account, &a);
        return r == 0 ? save_account(call, &a, response) : r;
}

/* --- passwords ------------------------------------------------------------------------------------------ */

struct new_password {
        char *hash;
        char *verified; /* the old hash that the current password was verified against, or NULL */
};

static bool is_own(struct rpc_call *call, const char *account)
{
        const Principal *p = rpc_principal(call);
        return p->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT && strcmp(p->id, account) == 0;
}

/* People with their current password; administrators where they manage accounts. Others find nothing. */
static int find_for_password(struct rpc_call *call, const char *id, struct account *ret)
{
        struct organization o;
        int r = account_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r == -ENOENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r != 0 || is_own(call, id))
                return r;
        r = find_organization(call, ret->organization, &o);
        if (r == 0 && !rpc_allows(call, "account.write", str_of(o.path)))
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? grants_within(call, "account.write", id) : r;
}

int prepare_set_account_password(struct rpc_call *call, const SetAccountPasswordRequest *request)
{
        struct account a;
        struct new_password *new = ARENA_NEW(rpc_arena(call), struct new_password);
        int r = find_for_password(call, request->account, &a);
        if (r != 0)
                return r;
        if (password_is_weak(str_of(request->password), str_of(a.login)))
                return rpc_about(call, "/password", rpc_refuse(call, PROBLEM(PASSWORD_WEAK)));
        if (is_own(call, a.id)) {
                if (!password_matches(a.password, str_of(request->current_password)))
                        return rpc_refuse(call, PROBLEM(BAD_CREDENTIALS));
                new->verified = a.password;
        }
        r = hash_password(call, request->password, &new->hash);
        rpc_prepared_set(call, new);
        return r;
}

int handle_set_account_password(struct rpc_call *call, const SetAccountPasswordRequest *request,
                                Account *response)
{
        const struct new_password *new = rpc_prepared(call);
        struct account a;
        int r = find_for_password(call, request->account, &a);
        rpc_require_nothing(call);
        if (r != 0)
                return r;
        rpc_audit_subject(call, a.id, a.organization);
        if (new->verified && strcmp(new->verified, a.password) != 0)
                return rpc_refuse(call, PROBLEM(BAD_CREDENTIALS)); /* it was changed in between */
        a.password = new->hash;
        return save_account(call, &a, response);
}

/* --- for those who start late --------------------------------------------------------------------------- */

int snapshot_accounts(struct rpc_call *call, const char *key, unsigned limit)
{
        struct arena *arena = rpc_arena(call);
        struct account *accounts = ARENA_ARRAY(arena, struct account, limit);
        AccountRightsChanged event;
        size_t n = 0;
        int r = account_states(rpc_db(call), arena, key, limit, accounts, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                const struct account *a = &accounts[i];
                r = fill_rights(call, a, &event);
                if (r == 0)
                        r = rpc_snapshot_add(call, &membership_v1_account_rights_changed_msg, &event, a->id, a->organization,
                                             a->id);
        }
        return r;
}
