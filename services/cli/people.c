/* SPDX-License-Identifier: Apache-2.0
 *
 * account, client, session: who may sign in, with which rights.
 */
#include "common/base/id.h"
#include "common/crypto/crypto.h"
#include "services/cli/cli.h"
#include "nuanxin/membership/v1/account.pb-c.h"
#include "nuanxin/membership/v1/client.pb-c.h"
#include "nuanxin/membership/v1/organization.pb-c.h"

#include <stdio.h>

/* "staff@430102" → a grant. */
static int read_grant(struct cli *cli, const char *text, Nuanxin__Membership__V1__RoleGrant **ret)
{
        struct str organization = str_of(text), role = str_cut(&organization, '@');
        for (unsigned i = 0; i < contract_n_roles; i++) {
                if (!organization.n || !str_case_eq(role, str_of(contract_roles[i].name + strlen("ROLE_"))))
                        continue;
                Nuanxin__Membership__V1__RoleGrant *grant = ARENA_NEW(cli->arena, Nuanxin__Membership__V1__RoleGrant);
                nuanxin__membership__v1__role_grant__init(grant);
                grant->role = (Nuanxin__Type__Role)contract_roles[i].value;
                grant->organization = (char *)arena_str(cli->arena, organization).p;
                *ret = grant;
                return 0;
        }
        fprintf(stderr, "%s: give a role at an organisation, e.g. staff@430102; `nuanxin --help` lists the roles\n", text);
        return 2;
}

/* --- an account by its login --------------------------------------------------------------------------------------- */

static int next_page(struct cli *cli, const char *method, void *request, void **ret_page)
{
        *(int32_t *)cli_field(operator_method(method)->input, request, "page_size") = 1000;
        return cli_call(cli, method, NULL, request, ret_page);
}

static int find_login(struct cli *cli, const char *organization, const char *login, const char **ret_id)
{
        Nuanxin__Membership__V1__ListAccountsRequest q = NUANXIN__MEMBERSHIP__V1__LIST_ACCOUNTS_REQUEST__INIT;
        const Nuanxin__Membership__V1__ListAccountsResponse *page;
        void *response;
        q.organization = (char *)organization;
        do {
                int r = next_page(cli, "ListAccounts", &q, &response);
                if (r)
                        return r;
                page = response;
                for (size_t i = 0; i < page->n_accounts; i++)
                        if (strcmp(page->accounts[i]->login, login) == 0)
                                *ret_id = page->accounts[i]->id;
                q.page_token = page->next_page_token;
        } while (!*ret_id && *q.page_token);
        return 0;
}

int cli_account_id(struct cli *cli, const char *account, const char **ret_id)
{
        Nuanxin__Membership__V1__ListOrganizationsRequest q = NUANXIN__MEMBERSHIP__V1__LIST_ORGANIZATIONS_REQUEST__INIT;
        const Nuanxin__Membership__V1__ListOrganizationsResponse *tops;
        const char *id = NULL;
        void *response;

        if (strlen(account) == ID_TEXT_SIZE - 1 && account[8] == '-') {
                *ret_id = account;
                return 0;
        }
        q.kind = NUANXIN__MEMBERSHIP__V1__ORGANIZATION__KIND__PROVINCE;
        int r = next_page(cli, "ListOrganizations", &q, &response);
        tops = r ? NULL : response;
        for (size_t i = 0; r == 0 && !id && i < tops->n_organizations; i++)
                r = find_login(cli, tops->organizations[i]->code, account, &id);
        if (r)
                return r;
        if (!id) {
                fprintf(stderr, "nobody has the login %s; `nuanxin account list ORGANIZATION` shows who is there\n", account);
                return 1;
        }
        *ret_id = id;
        return 0;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static void new_password(char *ret)
{
        token_new(ret);
        ret[20] = '\0'; /* 120 bits are enough to type */
}

/* Beside the answer; a program's standard output stays JSON. */
static void show_password(const struct cli *cli, const char *password)
{
        fprintf(cli->json ? stderr : stdout, "%-18s %s   (shown once)\n", "password", password);
}

static int run_account_create(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        Nuanxin__Membership__V1__CreateAccountRequest *q = cli_request(cli, "CreateAccount");
        Nuanxin__Membership__V1__Account account = NUANXIN__MEMBERSHIP__V1__ACCOUNT__INIT;
        Nuanxin__Membership__V1__RoleGrant *grant;
        char password[TOKEN_TEXT_SIZE];
        void *response;
        (void)command;

        int r = q ? read_grant(cli, operands[1], &grant) : 2;
        if (r)
                return r;
        if (!q->account)
                q->account = &account;
        new_password(password);
        q->account->login = (char *)operands[0];
        q->account->organization = grant->organization;
        q->account->n_grants = 1;
        q->account->grants = &grant;
        if (n > 2)
                q->account->display_name = (char *)operands[2];
        bool chosen = q->password && *q->password;
        if (!chosen)
                q->password = password;
        r = cli_call(cli, "CreateAccount", NULL, q, &response);
        if (r)
                return r;
        show_message(cli, operator_method("CreateAccount")->output, response);
        if (!chosen)
                show_password(cli, password);
        return 0;
}

static int run_account_password(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        Nuanxin__Membership__V1__SetAccountPasswordRequest *q = cli_request(cli, "SetAccountPassword");
        const char *id;
        char password[TOKEN_TEXT_SIZE];
        void *response;
        (void)command;

        int r = q ? cli_account_id(cli, operands[0], &id) : 2;
        if (r)
                return r;
        new_password(password);
        q->account = (char *)id;
        q->password = n > 1 ? (char *)operands[1] : password;
        r = cli_call(cli, "SetAccountPassword", NULL, q, &response);
        if (r)
                return r;
        show_message(cli, operator_method("SetAccountPassword")->output, response);
        if (n == 1)
                show_password(cli, password);
        return 0;
}

static int run_client_create(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        Nuanxin__Membership__V1__CreateClientRequest *q = cli_request(cli, "CreateClient");
        Nuanxin__Membership__V1__Client client = NUANXIN__MEMBERSHIP__V1__CLIENT__INIT;
        Nuanxin__Membership__V1__RoleGrant *grant;
        void *response;
        (void)command, (void)n;

        int r = q ? read_grant(cli, operands[1], &grant) : 2;
        if (r)
                return r;
        client.name = (char *)operands[0];
        client.organization = grant->organization;
        client.n_grants = 1;
        client.grants = &grant;
        q->client = &client;
        r = cli_call(cli, "CreateClient", NULL, q, &response);
        if (r == 0)
                show_message(cli, operator_method("CreateClient")->output, response);
        return r;
}

/* `account grant ACCOUNT ROLE@ORGANIZATION…`: all that the account has from now on. */
static int run_account_grant(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        Nuanxin__Membership__V1__SetAccountGrantsRequest *q = cli_request(cli, "SetAccountGrants");
        const char *id;
        void *response;
        (void)command;

        int r = q ? cli_account_id(cli, operands[0], &id) : 2;
        if (r)
                return r;
        q->account = (char *)id;
        q->n_grants = n - 1;
        q->grants = ARENA_ARRAY(cli->arena, Nuanxin__Membership__V1__RoleGrant *, n);
        for (size_t i = 1; i < n && r == 0; i++)
                r = read_grant(cli, operands[i], &q->grants[i - 1]);
        if (r == 0)
                r = cli_call(cli, "SetAccountGrants", NULL, q, &response);
        if (r == 0)
                show_message(cli, operator_method("SetAccountGrants")->output, response);
        return r;
}

#define ACCOUNT_COLUMNS "id login displayName organization disabled grants"

const struct command commands_people[] = {
        {"account create", "LOGIN ROLE@ORGANIZATION [NAME]", "a person who may sign in, with a password unless --set password= gives one", NULL, {0}, NULL, run_account_create},
        {"account list", "ORGANIZATION", "accounts managed there or below", "ListAccounts", {"organization"}, ACCOUNT_COLUMNS, NULL},
        {"account show", "ACCOUNT", "one account", "GetAccount", {"account"}, NULL, NULL},
        {"account grant", "ACCOUNT [ROLE@ORGANIZATION…]", "replaces all its roles; its sessions end", NULL, {0}, NULL, run_account_grant},
        {"account password", "ACCOUNT [PASSWORD]", "a new password; its sessions end", NULL, {0}, NULL, run_account_password},
        {"account disable", "ACCOUNT", "no more signing in; its sessions end", "DisableAccount", {"account"}, NULL, NULL},
        {"account enable", "ACCOUNT", "may sign in again, with the roles and password it had", "EnableAccount", {"account"}, NULL, NULL},
        {"session revoke", "ACCOUNT", "ends all sessions of an account", "RevokeAccountSessions", {"account"}, NULL, NULL},
        {"client create", "NAME ROLE@ORGANIZATION", "an app backend; its API key is shown once", NULL, {0}, NULL, run_client_create},
        {"client list", "ORGANIZATION", "app backends managed there or below", "ListClients", {"organization"}, "id name organization disabled grants", NULL},
        {"client rotate", "CLIENT", "a new API key; the old one ends", "RotateClientKey", {"client"}, NULL, NULL},
        {"client disable", "CLIENT", "ends its key and the sessions that it opened", "DisableClient", {"client"}, NULL, NULL},
        {"client enable", "CLIENT", "its key holds again", "EnableClient", {"client"}, NULL, NULL},
        {0},
};
