/* SPDX-License-Identifier: Apache-2.0
 *
 * The first run's data: Hunan's organisations, three people, an app backend's key, a 5·29 campaign and the care programmes;
 * then credentials.json. Speaks to the services as the operator. On later runs it only prints what a person needs.
 * Ended half-way, it begins again where it was. The agency that may read events (agency.c) is made anew when the stream
 * does not know it: it may have been added later, or have lost its store.
 */
#include "deploy/seed/seed.h"
#include "common/base/config.h"
#include "common/base/log.h"
#include "common/crypto/crypto.h"
#include "nuanxin/type/role.pb-c.h"
#include "nuanxin/activity/v1/campaign.pb-c.h"
#include "nuanxin/membership/v1/account.pb-c.h"
#include "nuanxin/membership/v1/client.pb-c.h"
#include "nuanxin/membership/v1/operation.pb-c.h"
#include "nuanxin/membership/v1/organization.pb-c.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNTY   "430102"       /* 长沙市芙蓉区 */
#define TOWNSHIP "430102001"
#define VILLAGE  "430102001001" /* its first village */
#define CLIENT   "暖心小程序后端 / mini-program backend"
#define CAMPAIGN "5·29 会员活动日"

struct person {
        const char *key, *login, *display_name, *organization;
        Nuanxin__Type__Role role;
        char password[TOKEN_TEXT_SIZE];
};

int seed_call(struct seed *s, const char *method, const void *request, const char *expected, void **ret_response)
{
        struct operator_refusal refusal = {0};
        int r = operator_call(s->op, operator_method(method), NULL, s->arena, request, ret_response, &refusal);
        if (r == OPERATOR_E_REFUSED && expected && strcmp(refusal.type, expected) == 0)
                return 1;
        if (r == OPERATOR_E_REFUSED) {
                fprintf(stderr, "%s was refused: %s. %s\n", method, refusal.title, refusal.detail);
                for (size_t i = 0; i < refusal.n_violations; i++)
                        fprintf(stderr, "  %s: %s\n", refusal.violations[i].pointer, refusal.violations[i].detail);
                return -EINVAL;
        }
        if (r < 0)
                fprintf(stderr, "%s failed: %s\n", method, strerror(-r));
        return r;
}

static int read_file(const char *path, struct arena *arena, size_t most, struct str *ret)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0) {
                int r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        if (st.st_size > (off_t)most) {
                close(fd);
                return -EFBIG;
        }
        char *p = arena_alloc(arena, (size_t)st.st_size + 1);
        size_t n = 0;
        for (ssize_t got; n < (size_t)st.st_size && (got = read(fd, p + n, (size_t)st.st_size - n)) > 0;)
                n += (size_t)got;
        close(fd);
        p[n] = '\0';
        *ret = (struct str){p, n};
        return 0;
}

int seed_read(struct seed *s, const char *path, struct str *ret)
{
        int r = read_file(path, s->arena, 65536, ret);
        if (r < 0)
                fprintf(stderr, "can't read %s: %s\n", path, strerror(-r));
        return r;
}

/* --- organisations --------------------------------------------------------------------------------------------------- */

static int wait_for_operation(struct seed *s, const char *id, Nuanxin__Membership__V1__Operation **ret)
{
        for (;;) {
                Nuanxin__Membership__V1__GetOperationRequest q = NUANXIN__MEMBERSHIP__V1__GET_OPERATION_REQUEST__INIT;
                void *response;
                q.operation = (char *)id;
                int r = seed_call(s, "GetOperation", &q, NULL, &response);
                if (r)
                        return r;
                Nuanxin__Membership__V1__Operation *o = response;
                if (o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__SUCCEEDED ||
                    o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__FAILED) {
                        *ret = o;
                        return 0;
                }
                nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        }
}

static int import_organizations(struct seed *s)
{
        Nuanxin__Membership__V1__ImportOrganizationsRequest q = NUANXIN__MEMBERSHIP__V1__IMPORT_ORGANIZATIONS_REQUEST__INIT;
        Nuanxin__Membership__V1__Operation *o;
        struct operator_refusal refusal = {0};
        struct str csv;
        void *response;

        int r = read_file(s->data, s->arena, 64 << 20, &csv);
        if (r < 0) {
                fprintf(stderr, "can't read %s: %s; give --data\n", s->data, strerror(-r));
                return r;
        }
        int64_t started = clock_monotonic_us();
        r = operator_upload(s->op, operator_method("ImportOrganizations"), s->arena, &q, csv, NULL, NULL, &response, &refusal);
        if (r) {
                fprintf(stderr, "the organisations can't be imported: %s\n",
                        r == OPERATOR_E_REFUSED ? refusal.detail : strerror(-r));
                return r > 0 ? -EINVAL : r;
        }
        o = response;
        if ((r = wait_for_operation(s, o->id, &o)))
                return r;
        if (o->state != NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__SUCCEEDED) {
                fprintf(stderr, "the organisations were not imported; the first errors:\n");
                for (size_t i = 0; i < o->n_errors; i++)
                        fprintf(stderr, "  row %d: %s\n", o->errors[i]->row, o->errors[i]->detail);
                return -EINVAL;
        }
        printf("imported %d organisations in %.1f s\n", o->rows_accepted + o->rows_unchanged,
               (double)(clock_monotonic_us() - started) / 1e6);
        return 0;
}

/* --- people and clients -------------------------------------------------------------------------------------------------- */

/* Of an earlier, unfinished first run: the account is there, its password is not known any more. */
static int reset_password(struct seed *s, const struct person *p)
{
        Nuanxin__Membership__V1__ListAccountsRequest list = NUANXIN__MEMBERSHIP__V1__LIST_ACCOUNTS_REQUEST__INIT;
        void *response;
        list.organization = (char *)p->organization;
        list.page_size = 1000;
        int r = seed_call(s, "ListAccounts", &list, NULL, &response);
        if (r)
                return r;
        const Nuanxin__Membership__V1__ListAccountsResponse *accounts = response;
        for (size_t i = 0; i < accounts->n_accounts; i++) {
                Nuanxin__Membership__V1__SetAccountPasswordRequest set = NUANXIN__MEMBERSHIP__V1__SET_ACCOUNT_PASSWORD_REQUEST__INIT;
                if (strcmp(accounts->accounts[i]->login, p->login) != 0)
                        continue;
                set.account = accounts->accounts[i]->id;
                set.password = (char *)p->password;
                return seed_call(s, "SetAccountPassword", &set, NULL, &response);
        }
        fprintf(stderr, "the login %s is taken by an account elsewhere\n", p->login);
        return -EEXIST;
}

static int make_person(struct seed *s, struct person *p)
{
        Nuanxin__Membership__V1__CreateAccountRequest q = NUANXIN__MEMBERSHIP__V1__CREATE_ACCOUNT_REQUEST__INIT;
        Nuanxin__Membership__V1__Account account = NUANXIN__MEMBERSHIP__V1__ACCOUNT__INIT;
        Nuanxin__Membership__V1__RoleGrant grant = NUANXIN__MEMBERSHIP__V1__ROLE_GRANT__INIT, *grants[] = {&grant};
        void *response;

        token_new(p->password);
        p->password[20] = '\0'; /* 120 bits are enough to type */
        grant.role = p->role;
        grant.organization = (char *)p->organization;
        account.login = (char *)p->login;
        account.display_name = (char *)p->display_name;
        account.organization = (char *)p->organization;
        account.n_grants = 1;
        account.grants = grants;
        q.account = &account;
        q.password = p->password;
        int r = seed_call(s, "CreateAccount", &q, "urn:nuanxin:problem:login-taken", &response);
        return r == 1 ? reset_password(s, p) : r;
}

/* Of an earlier, unfinished first run: its key is not known any more, so it gets another. 1: there is none. */
static int renew_client(struct seed *s, const char **ret_key)
{
        Nuanxin__Membership__V1__ListClientsRequest list = NUANXIN__MEMBERSHIP__V1__LIST_CLIENTS_REQUEST__INIT;
        Nuanxin__Membership__V1__RotateClientKeyRequest rotate = NUANXIN__MEMBERSHIP__V1__ROTATE_CLIENT_KEY_REQUEST__INIT;
        void *response;
        list.organization = (char *)PROVINCE;
        list.page_size = 1000;
        int r = seed_call(s, "ListClients", &list, NULL, &response);
        if (r)
                return r;
        const Nuanxin__Membership__V1__ListClientsResponse *clients = response;
        for (size_t i = 0; i < clients->n_clients; i++)
                if (strcmp(clients->clients[i]->name, CLIENT) == 0 && !clients->clients[i]->disabled)
                        rotate.client = clients->clients[i]->id;
        if (!rotate.client[0])
                return 1;
        r = seed_call(s, "RotateClientKey", &rotate, NULL, &response);
        if (r == 0)
                *ret_key = ((Nuanxin__Membership__V1__ClientKey *)response)->api_key;
        return r;
}

static int make_client(struct seed *s, const char **ret_key)
{
        Nuanxin__Membership__V1__CreateClientRequest q = NUANXIN__MEMBERSHIP__V1__CREATE_CLIENT_REQUEST__INIT;
        Nuanxin__Membership__V1__Client client = NUANXIN__MEMBERSHIP__V1__CLIENT__INIT;
        Nuanxin__Membership__V1__RoleGrant grant = NUANXIN__MEMBERSHIP__V1__ROLE_GRANT__INIT, *grants[] = {&grant};
        void *response;

        grant.role = NUANXIN__TYPE__ROLE__ROLE_APP_BACKEND;
        grant.organization = (char *)PROVINCE;
        client.name = (char *)CLIENT;
        client.organization = (char *)PROVINCE;
        client.n_grants = 1;
        client.grants = grants;
        q.client = &client;
        int r = renew_client(s, ret_key);
        if (r != 1)
                return r;
        r = seed_call(s, "CreateClient", &q, NULL, &response);
        if (r == 0)
                *ret_key = ((Nuanxin__Membership__V1__ClientKey *)response)->api_key;
        return r;
}

/* --- the campaign ---------------------------------------------------------------------------------------------------------- */

static int find_campaign(struct seed *s, const char **ret_id)
{
        Nuanxin__Activity__V1__ListCampaignsRequest q = NUANXIN__ACTIVITY__V1__LIST_CAMPAIGNS_REQUEST__INIT;
        void *response;
        q.page_size = 1000;
        int r = seed_call(s, "ListCampaigns", &q, NULL, &response);
        if (r)
                return r;
        const Nuanxin__Activity__V1__ListCampaignsResponse *list = response;
        for (size_t i = 0; i < list->n_campaigns; i++)
                if (strcmp(list->campaigns[i]->title, CAMPAIGN) == 0)
                        *ret_id = list->campaigns[i]->id;
        return 0;
}

int seed_call_once_known(struct seed *s, const char *method, const void *request, void **ret_response)
{
        int64_t deadline = clock_monotonic_us() + WAIT_US;
        int r;
        while ((r = seed_call(s, method, request, "urn:nuanxin:problem:organization-unknown", ret_response)) == 1 &&
               clock_monotonic_us() < deadline)
                nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        if (r != 1)
                return r;
        fprintf(stderr, "%s: the service has not learned of the organisations within %lld s; see its log\n", method,
                (long long)(WAIT_US / CLOCK_SECOND_US));
        return -ETIMEDOUT;
}

static int create_campaign(struct seed *s, const char **ret_id)
{
        Nuanxin__Activity__V1__CreateCampaignRequest q = NUANXIN__ACTIVITY__V1__CREATE_CAMPAIGN_REQUEST__INIT;
        Nuanxin__Activity__V1__Campaign campaign = NUANXIN__ACTIVITY__V1__CAMPAIGN__INIT;
        Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT, end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        int64_t today = clock_now_us(&s->clock) / CLOCK_DAY_US * (CLOCK_DAY_US / CLOCK_SECOND_US);
        void *response;

        start.seconds = today - 7 * 86400;
        end.seconds = today + 60 * 86400;
        campaign.organization = (char *)PROVINCE;
        campaign.title = (char *)CAMPAIGN;
        campaign.description = (char *)"计生协 5·29 会员活动日：村居签到、义诊、亲子与老年活动。";
        campaign.start_time = &start;
        campaign.end_time = &end;
        q.campaign = &campaign;
        int r = seed_call_once_known(s, "CreateCampaign", &q, &response);
        if (r == 0)
                *ret_id = ((Nuanxin__Activity__V1__Campaign *)response)->id;
        return r;
}

static int make_campaign(struct seed *s, const char **ret_id)
{
        Nuanxin__Activity__V1__OpenCampaignRequest open = NUANXIN__ACTIVITY__V1__OPEN_CAMPAIGN_REQUEST__INIT;
        void *response;
        const char *id = NULL;
        int r = find_campaign(s, &id);
        if (r == 0 && !id)
                r = create_campaign(s, &id);
        if (r)
                return r;
        open.campaign = (char *)id;
        r = seed_call(s, "OpenCampaign", &open, "urn:nuanxin:problem:campaign-state", &response);
        *ret_id = id;
        return r == 1 ? 0 : r; /* open already */
}

/* --- credentials.json ---------------------------------------------------------------------------------------------------------- */

int seed_write(const char *path, struct str text)
{
        _cleanup_(mem_freep) char *part = NULL;
        if (asprintf(&part, "%s.part", path) < 0)
                abort();
        int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0) {
                int error = -errno;
                fprintf(stderr, "can't write %s: %s\n", part, strerror(-error));
                return error;
        }
        int r = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0 ? 0 : -errno;
        close(fd);
        if (r == 0 && rename(part, path) < 0)
                r = -errno;
        if (r < 0)
                fprintf(stderr, "can't write %s: %s\n", path, strerror(-r));
        return r;
}

static int write_credentials(const char *path, const struct person *people, size_t n, const char *api_key, const char *campaign)
{
        struct buf out = {0};
        buf_add_z(&out, "{\n");
        for (size_t i = 0; i < n; i++)
                buf_printf(&out, "  \"%s\": {\"login\": \"%s\", \"password\": \"%s\", \"organization\": \"%s\"},\n", people[i].key,
                           people[i].login, people[i].password, people[i].organization);
        buf_printf(&out, "  \"apiKey\": \"%s\",\n  \"campaign\": \"%s\"\n}\n", api_key, campaign);
        int r = seed_write(path, buf_str(&out));
        buf_done(&out);
        return r;
}

struct str seed_value(struct str text, const char *within, const char *key)
{
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\"%s\"", within);
        const char *at = memmem(text.p, text.n, wanted, strlen(wanted));
        if (!at)
                return (struct str){0};
        struct str rest = {at + strlen(wanted), text.n - (size_t)(at - text.p) - strlen(wanted)};
        if (key) {
                snprintf(wanted, sizeof(wanted), "\"%s\"", key);
                at = memmem(rest.p, rest.n, wanted, strlen(wanted));
                if (!at)
                        return (struct str){0};
                rest = (struct str){at + strlen(wanted), rest.n - (size_t)(at - rest.p) - strlen(wanted)};
        }
        (void)str_cut(&rest, '"');
        return str_cut(&rest, '"');
}

#define P(str_) (int)(str_).n, (str_).p

static int print_welcome(const struct seed *s, struct str credentials)
{
        struct str login = seed_value(credentials, "admin", "login"), password = seed_value(credentials, "admin", "password");
        struct str key = seed_value(credentials, "apiKey", NULL), campaign = seed_value(credentials, "campaign", NULL);

        if (!login.n || !key.n || !campaign.n) {
                fprintf(stderr, "%s/credentials.json is damaged; remove it and start again to make new ones\n", s->var);
                return -EBADMSG;
        }
        printf("\nNuanxin 暖心 is at http://%s   (documentation: http://%s/docs)\n\n", s->http, s->http);
        const char *const people[] = {"admin", "clerk", "village", "township", "treasurer"};
        for (size_t i = 0; i < ARRAY_LEN(people); i++) {
                struct str l = seed_value(credentials, people[i], "login"), p = seed_value(credentials, people[i], "password"),
                           o = seed_value(credentials, people[i], "organization");
                if (l.n)
                        printf("  %-9.*s password %-22.*s at %.*s\n", P(l), P(p), P(o));
        }
        printf("  API key   %.*s\n\nTry:\n", P(key));
        printf("  curl -sw '\\n' http://%s/v1/sessions -H 'Content-Type: application/json' -d '{\"login\":\"%.*s\",\"password\":\"%.*s\"}'\n",
               s->http, P(login), P(password));
        printf("  curl -sw '\\n' 'http://%s/v1/organizations?parent=" PROVINCE "' -H 'Authorization: Bearer %.*s'\n", s->http, P(key));
        printf("  curl -sw '\\n' 'http://%s/v1/campaigns/%.*s/counts?organization=" PROVINCE "' -H 'Authorization: Bearer %.*s'\n", s->http,
               P(campaign), P(key));
        agency_print(s, credentials);
        if (seed_value(credentials, "township", "login").n)
                printf("  build/bin/nuanxin case list " COUNTY " --var %s   # made-up people in hardship; README.md takes a case to its payment\n", s->var);
        putchar('\n');
        return 0;
}

static int open_operator(struct seed *s)
{
        const char *error = NULL;
        const struct operator_options to = {.bus = arena_printf(s->arena, "%s/bus", s->var), .redis = s->redis,
                                            .redis_auth = &s->redis_auth, .curve = s->curve};
        int r = crypto_init();
        if (r == 0 && s->redis_auth_file && (r = cache_auth_read(s->redis_auth_file, &s->redis_auth, &error)) < 0)
                fprintf(stderr, "--redis-auth %s: %s\n", s->redis_auth_file, error);
        if (r == 0 && (r = operator_open(&to, &s->op, &error)) < 0)
                fprintf(stderr, "can't reach the services: %s\n", error);
        return r;
}

static int make_everything(struct seed *s, const char *path)
{
        struct person people[] = {
                {"admin", "admin", "省计生协管理员", PROVINCE, NUANXIN__TYPE__ROLE__ROLE_ADMINISTRATOR, ""},
                {"clerk", "clerk", "芙蓉区专干", COUNTY, NUANXIN__TYPE__ROLE__ROLE_STAFF, ""},
                {"village", "village", "村级专干", VILLAGE, NUANXIN__TYPE__ROLE__ROLE_STAFF, ""},
                {"township", "township", "街道审批人", TOWNSHIP, NUANXIN__TYPE__ROLE__ROLE_APPROVER, ""}, /* these two for the samples */
                {"treasurer", "treasurer", "区级财务", COUNTY, NUANXIN__TYPE__ROLE__ROLE_TREASURER, ""},
        };
        size_t n = s->samples ? ARRAY_LEN(people) : ARRAY_LEN(people) - 2;
        const char *api_key, *campaign;
        int r = import_organizations(s);
        for (size_t i = 0; i < n && r == 0; i++)
                r = make_person(s, &people[i]);
        if (r == 0)
                r = make_client(s, &api_key);
        if (r == 0)
                r = make_campaign(s, &campaign);
        if (r == 0 && s->care)
                r = care_keep(s);
        if (r == 0 && s->care && s->samples)
                r = sample_make(s);
        if (r == 0)
                r = write_credentials(path, people, n, api_key, campaign);
        return r;
}

int main(int argc, char **argv)
{
        struct seed s = {.var = "var", .data = "deploy/data/hunan-divisions.csv", .http = "127.0.0.1:8080"};
        const struct config_option options[] = {
                {"var", "FOLDER", "the stack's folder (default: var)", CONFIG_TEXT, &s.var, 0, 0},
                {"data", "CSV", "organisations (default: deploy/data/hunan-divisions.csv)", CONFIG_TEXT, &s.data, 0, 0},
                {"care", "FOLDER", "programmes and calendars for the care service (default: none)", CONFIG_TEXT, &s.care, 0, 0},
                {"samples", NULL, "with --care: also money, people and cases, made up, to try it with", CONFIG_FLAG, &s.samples, 0, 0},
                {"redis", "ADDRESS", "the registry, for services on other hosts", CONFIG_TEXT, &s.redis, 0, 0},
                {"redis-auth", "PATH", "its password: see nuanxin --help", CONFIG_TEXT, &s.redis_auth_file, 0, 0},
                {"curve", "FOLDER", "CURVE keys for services on other hosts; the operator's", CONFIG_TEXT, &s.curve, 0, 0},
                {"http", "ADDRESS", "the gateway's address, for the examples (default: 127.0.0.1:8080)", CONFIG_TEXT, &s.http, 0, 0},
                {"edge", "ADDRESS", "the edge's: also make an agency that reads events (default: none)", CONFIG_TEXT, &s.edge, 0, 0},
                {"edge-key", "PATH", "the edge's secret key, to tell agencies the public one (default: VAR/edge/edge.key)", CONFIG_TEXT, &s.edge_key_file, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};
        struct str credentials;

        int r = config_parse("nuanxin-seed [options]", "Makes the first run's data, once, and prints how to use it.", tables, 1, argc,
                             argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        log_init("seed", LOG_LEVEL_WARNING);
        s.arena = arena_new(1 << 20);
        const char *path = arena_printf(s.arena, "%s/credentials.json", s.var);
        bool first = access(path, F_OK) < 0;
        r = first || s.edge || s.care ? open_operator(&s) : 0;
        if (r == 0 && first)
                r = make_everything(&s, path);
        else if (r == 0 && s.care)
                r = care_keep(&s);
        if (r == 0)
                r = seed_read(&s, path, &credentials);
        if (r == 0 && s.edge)
                r = agency_keep(&s, path, &credentials);
        operator_close(s.op);
        if (r == 0)
                r = print_welcome(&s, credentials);
        cache_auth_done(&s.redis_auth);
        arena_free(s.arena);
        return r ? 1 : 0;
}
