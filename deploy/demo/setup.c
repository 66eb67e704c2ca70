/* SPDX-License-Identifier: Apache-2.0
 *
 * Before the rush: members by import over HTTP, as a county would do it; a campaign of this run's own with its
 * activities, made as the operator, who has no rate limit.
 */
#include "common/base/clock.h"
#include "common/json/transcode.h"
#include "common/service/operator.h"
#include "deploy/demo/demo.h"
#include "nuanxin/activity/v1/activity.pb-c.h"
#include "nuanxin/activity/v1/campaign.pb-c.h"
#include "nuanxin/membership/v1/account.pb-c.h"
#include "nuanxin/membership/v1/member.pb-c.h"
#include "nuanxin/membership/v1/operation.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OPERATION_TYPE "nuanxin.membership.v1.Operation"
#define SESSION_TYPE   "nuanxin.membership.v1.Session"
#define MEMBER_TYPE    "nuanxin.membership.v1.Member"
#define PROVINCE       "43"

/* --- credentials.json: made by the seed, of its shape ----------------------------------------------------------------- */

static bool text_after(const char *json, const char *within, const char *key, char *out, size_t room)
{
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\"%s\"", within);
        const char *at = strstr(json, wanted);
        if (at && key) {
                snprintf(wanted, sizeof(wanted), "\"%s\"", key);
                at = strstr(at, wanted);
        }
        if (!at)
                return false;
        struct str rest = str_of(at + strlen(wanted));
        (void)str_cut(&rest, '"');
        struct str value = str_cut(&rest, '"');
        snprintf(out, room, "%.*s", (int)value.n, value.p);
        return value.n > 0;
}

int setup_credentials(struct demo *d)
{
        char path[512], json[8192];
        snprintf(path, sizeof(path), "%s/credentials.json", d->var);
        FILE *f = fopen(path, "re");
        if (!f) {
                int r = -errno;
                fprintf(stderr, "can't read %s: %s; give --var the stack's folder\n", path, strerror(-r));
                return r;
        }
        size_t n = fread(json, 1, sizeof(json) - 1, f);
        fclose(f);
        json[n] = '\0';
        if (!text_after(json, "admin", "login", d->admin_login, sizeof(d->admin_login)) ||
            !text_after(json, "admin", "password", d->admin_password, sizeof(d->admin_password)) ||
            !text_after(json, "apiKey", NULL, d->api_key, sizeof(d->api_key))) {
                fprintf(stderr, "%s is not what `make run` writes\n", path);
                return -EBADMSG;
        }
        return 0;
}

/* --- members --------------------------------------------------------------------------------------------------------------- */

static int sign_in(struct demo *d, struct arena *arena, const char **ret_token)
{
        _cleanup_(web_freep) struct web *web = web_new(d->http, NULL);
        Nuanxin__Membership__V1__Session *session;
        struct str body = str_of(arena_printf(arena, "{\"login\":\"%s\",\"password\":\"%s\"}", d->admin_login, d->admin_password));
        int r = web_message(web, "POST", "/v1/sessions", &body, arena, contract_message_by_name(STR(SESSION_TYPE)), &session);
        if (r == 0)
                *ret_token = session->token;
        return r;
}

static int wait_for_import(struct web *web, struct arena *arena, Nuanxin__Membership__V1__Operation *o)
{
        int64_t started = clock_monotonic_us();
        while (o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__RUNNING ||
               o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__UPLOADING) {
                const char *path = arena_printf(arena, "/v1/membership/operations/%s", o->id);
                nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
                int r = web_message(web, "GET", path, NULL, arena, contract_message_by_name(STR(OPERATION_TYPE)), &o);
                if (r < 0)
                        return r;
                show_progress("importing members", o->rows_done, o->rows_total, started);
        }
        show_done("members imported", o->rows_total, started);
        if (o->state != NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__SUCCEEDED || o->rows_refused) {
                fprintf(stderr, "%d members were refused; the first: row %d, %s\n", o->rows_refused, o->n_errors ? o->errors[0]->row : 0,
                        o->n_errors ? o->errors[0]->detail : "");
                return -EBADMSG;
        }
        return 0;
}

static int import_members(struct demo *d, struct web *web, struct arena *arena)
{
        struct buf csv = {0};
        Nuanxin__Membership__V1__Operation *operation;
        struct web_answer answer;
        struct violations violations = {0};

        buf_add_z(&csv, "organization,name,id_number,phone,join_date\n");
        for (int64_t i = 0; i < d->members_wanted; i++) {
                struct person p;
                person_make(&d->divisions, (unsigned)i, &p);
                buf_printf(&csv, "%s,%s,%s,%s,2026-01-01\n", d->divisions.all[p.village].code, p.name, p.id_number, p.phone);
        }
        struct str body = buf_str(&csv);
        int r = web_call(web, "POST", "/v1/members:import?organization=" PROVINCE, &body, "text/csv", NULL, &answer);
        if (r == 0 && answer.status / 100 != 2) {
                fprintf(stderr, "the import was refused: %d %.*s\n", answer.status, (int)answer.body.n, answer.body.p);
                r = -EBADMSG;
        }
        const struct contract_message *type = contract_message_by_name(STR(OPERATION_TYPE));
        if (r == 0 && transcode_from_json(arena, type, answer.body, &violations, (void *)&operation))
                r = -EBADMSG;
        buf_done(&csv);
        return r < 0 ? r : wait_for_import(web, arena, operation);
}

/* The export has each member on a line of its own: id and organisation are what the rush needs. */
static int list_members(struct demo *d, struct web *web)
{
        struct web_answer answer;
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        static const char path[] = "/v1/members?organization=" PROVINCE "&state=ACTIVE&pageSize=1000";
        int r = web_call(web, "GET", path, NULL, NULL, "application/x-ndjson", &answer);

        if (r == 0 && answer.status / 100 != 2) {
                fprintf(stderr, "the list of members was refused: %d\n", answer.status);
                r = -EBADMSG;
        }
        if (r < 0)
                return r;
        d->members = mem_zalloc((size_t)d->members_wanted * sizeof(*d->members));
        for (struct str rest = answer.body; rest.n && d->n_members < (size_t)d->members_wanted;) {
                struct str line = str_cut(&rest, '\n');
                struct violations violations = {0};
                Nuanxin__Membership__V1__Member *m;
                arena_reset(arena);
                if (transcode_from_json(arena, contract_message_by_name(STR(MEMBER_TYPE)), line, &violations, (void *)&m)) {
                        fprintf(stderr, "a line of the member list can't be read\n");
                        return -EBADMSG;
                }
                int village = divisions_find(&d->divisions, m->organization);
                if (village < 0)
                        continue;
                struct member *to = &d->members[d->n_members++];
                snprintf(to->id, sizeof(to->id), "%s", m->id);
                to->village = (size_t)village;
        }
        if (d->n_members < (size_t)d->members_wanted) {
                fprintf(stderr, "only %zu of %" PRId64 " members are listed\n", d->n_members, d->members_wanted);
                return -EBADMSG;
        }
        return 0;
}

int setup_members(struct demo *d)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        const char *token = NULL;
        int r = sign_in(d, arena, &token);
        if (r < 0)
                return r;
        _cleanup_(web_freep) struct web *web = web_new(d->http, token);
        r = import_members(d, web, arena);
        return r < 0 ? r : list_members(d, web);
}

/* --- the campaign and its activities ------------------------------------------------------------------------------------------- */

static int call(struct operator *op, struct arena *arena, const char *method, const void *request, void *ret_response)
{
        struct operator_refusal refusal = {0};
        int r = operator_call(op, operator_method(method), NULL, arena, request, ret_response, &refusal);
        if (r == OPERATOR_E_REFUSED)
                fprintf(stderr, "%s was refused: %s. %s\n", method, refusal.title, refusal.detail);
        else if (r < 0)
                fprintf(stderr, "%s failed: %s\n", method, strerror(-r));
        return r > 0 ? -EBADMSG : r;
}

static int make_campaign(struct demo *d, struct operator *op, struct arena *arena, int64_t now_s)
{
        Nuanxin__Activity__V1__CreateCampaignRequest create = NUANXIN__ACTIVITY__V1__CREATE_CAMPAIGN_REQUEST__INIT;
        Nuanxin__Activity__V1__OpenCampaignRequest open = NUANXIN__ACTIVITY__V1__OPEN_CAMPAIGN_REQUEST__INIT;
        Nuanxin__Activity__V1__Campaign campaign = NUANXIN__ACTIVITY__V1__CAMPAIGN__INIT, *made;
        Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT, end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        void *ignored;

        start.seconds = now_s - 86400;
        end.seconds = now_s + 10 * 86400;
        campaign.organization = (char *)PROVINCE;
        campaign.title = (char *)"5·29 会员活动日签到演示";
        campaign.start_time = &start;
        campaign.end_time = &end;
        create.campaign = &campaign;
        int r = call(op, arena, "CreateCampaign", &create, &made);
        if (r < 0)
                return r;
        snprintf(d->campaign, sizeof(d->campaign), "%s", made->id);
        open.campaign = d->campaign;
        return call(op, arena, "OpenCampaign", &open, &ignored);
}

/* Of every kind: on site, online, both; with and without a bound of places; from village to city. */
static int make_activity(struct demo *d, struct operator *op, struct arena *arena, size_t number, int64_t now_s)
{
        static const char *const titles[] = {"义诊进村", "亲子阅读会", "健康讲座", "广场舞联谊", "孕育课堂", "暖心走访"};
        Nuanxin__Activity__V1__CreateActivityRequest create = NUANXIN__ACTIVITY__V1__CREATE_ACTIVITY_REQUEST__INIT;
        Nuanxin__Activity__V1__OpenActivityRequest open = NUANXIN__ACTIVITY__V1__OPEN_ACTIVITY_REQUEST__INIT;
        Nuanxin__Activity__V1__Activity a = NUANXIN__ACTIVITY__V1__ACTIVITY__INIT, *made;
        Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT, end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct activity *to = &d->activities[number];
        void *ignored;

        start.seconds = now_s - 3600;
        end.seconds = now_s + 86400;
        a.mode = (Nuanxin__Activity__V1__Activity__Mode)(1 + number % 3);
        to->on_site = a.mode != NUANXIN__ACTIVITY__V1__ACTIVITY__MODE__ONLINE;
        to->online = a.mode != NUANXIN__ACTIVITY__V1__ACTIVITY__MODE__ON_SITE;
        a.campaign = d->campaign;
        a.organization = d->divisions.all[(number * 7919) % d->divisions.n].code;
        a.title = arena_printf(arena, "%s 第%zu场", titles[number % ARRAY_LEN(titles)], number + 1);
        a.category = (Nuanxin__Activity__V1__Activity__Category)(1 + number % 7);
        a.place = (char *)(to->on_site ? "村综合服务中心" : "");
        a.link = (char *)(to->online ? "https://live.example.org/529" : "");
        a.capacity = number % 5 == 0 ? 20 : 0;
        a.start_time = &start;
        a.end_time = &end;
        create.activity = &a;
        int r = call(op, arena, "CreateActivity", &create, &made);
        if (r < 0)
                return r;
        snprintf(to->id, sizeof(to->id), "%s", made->id);
        open.activity = to->id;
        return call(op, arena, "OpenActivity", &open, &ignored);
}

int setup_activities(struct demo *d)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 16);
        _cleanup_(operator_closep) struct operator *op = NULL;
        const char *error = NULL, *bus = arena_printf(arena, "%s/bus", d->var);
        int64_t started = clock_monotonic_us(), now_s = time(NULL);

        int r = operator_open(&(struct operator_options){.bus = bus}, &op, &error);
        if (r < 0) {
                fprintf(stderr, "can't reach the services in %s: %s\n", bus, error);
                return r;
        }
        if ((r = make_campaign(d, op, arena, now_s)) < 0)
                return r;
        d->n_activities = (size_t)d->activities_wanted;
        d->activities = mem_zalloc(d->n_activities * sizeof(*d->activities));
        for (size_t i = 0; i < d->n_activities && r == 0; i++) {
                r = make_activity(d, op, arena, i, now_s);
                show_progress("opening activities", (int64_t)i + 1, d->activities_wanted, started);
        }
        if (r == 0)
                show_done("activities opened", d->activities_wanted, started);
        return r;
}
