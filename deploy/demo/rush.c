/* SPDX-License-Identifier: Apache-2.0
 *
 * The rush: every member registers for an activity and checks in, by card, by code, by staff or online, over many
 * connections at once. Counts only what the gateway acknowledged.
 */
#include "common/base/clock.h"
#include "common/json/transcode.h"
#include "deploy/demo/demo.h"
#include "nuanxin/activity/v1/checkin.pb-c.h"
#include "nuanxin/activity/v1/registration.pb-c.h"
#include "nuanxin/membership/v1/member.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHECKIN_TYPE      "nuanxin.activity.v1.Checkin"
#define REGISTRATION_TYPE "nuanxin.activity.v1.Registration"
#define CARD_TYPE         "nuanxin.membership.v1.MemberCard"

struct worker {
        struct demo *demo;
        _Atomic size_t *next_member;
        _Atomic int *failed;
        pthread_t thread;
};

enum way { WAY_CARD, WAY_CODE, WAY_STAFF, WAY_ONLINE, N_WAYS };

/* The way fits the activity's mode and what is known of the member. */
static enum way choose_way(const struct activity *a, size_t number, bool has_code)
{
        if (!a->on_site)
                return WAY_ONLINE;
        enum way way = (enum way)(number % N_WAYS);
        if (way == WAY_ONLINE && !a->online)
                way = WAY_CARD;
        return way == WAY_CODE && !has_code ? WAY_STAFF : way;
}

static int read_answer(struct arena *arena, const char *type, struct str body, void *ret)
{
        struct violations violations = {0};
        return transcode_from_json(arena, contract_message_by_name(str_of(type)), body, &violations, ret) ? -EBADMSG : 0;
}

static int register_member(struct demo *d, struct web *web, struct arena *arena, const struct activity *a, const struct member *m,
                           const char **ret_code)
{
        struct web_answer answer;
        Nuanxin__Activity__V1__Registration *registration;
        const char *path = arena_printf(arena, "/v1/activities/%s/registrations", a->id);
        struct str body = str_of(arena_printf(arena, "{\"member\":\"%s\"}", m->id));

        int r = web_call(web, "POST", path, &body, NULL, NULL, &answer);
        if (r < 0)
                return r;
        if (answer.status / 100 != 2) {
                fprintf(stderr, "registration refused: %d %.*s\n", answer.status, (int)answer.body.n, answer.body.p);
                return -EBADMSG;
        }
        if ((r = read_answer(arena, REGISTRATION_TYPE, answer.body, &registration)) < 0)
                return r;
        bool has_place = registration->state == NUANXIN__ACTIVITY__V1__REGISTRATION__STATE__REGISTERED;
        atomic_fetch_add(has_place ? &d->registered : &d->waiting, 1);
        *ret_code = has_place ? registration->code : NULL;
        return 0;
}

static int scan_of(struct web *web, struct arena *arena, enum way way, const struct member *m, const char *code, const char **ret)
{
        Nuanxin__Membership__V1__MemberCard *card;
        int r;
        switch (way) {
        case WAY_CARD:
                r = web_message(web, "GET", arena_printf(arena, "/v1/members/%s/card", m->id), NULL, arena,
                                contract_message_by_name(STR(CARD_TYPE)), &card);
                if (r < 0)
                        return r;
                *ret = arena_printf(arena, "\"card\":\"%s\"", card->token);
                return 0;
        case WAY_CODE:
                *ret = arena_printf(arena, "\"code\":\"%s\"", code);
                return 0;
        case WAY_STAFF:
                *ret = arena_printf(arena, "\"member\":\"%s\"", m->id);
                return 0;
        default:
                *ret = arena_printf(arena, "\"online\":\"%s\"", m->id);
                return 0;
        }
}

static int check_in(struct demo *d, struct web *web, struct arena *arena, const struct activity *a, size_t number, const char *code)
{
        const struct member *m = &d->members[number];
        struct web_answer answer;
        Nuanxin__Activity__V1__Checkin *checkin;
        const char *who;

        int r = scan_of(web, arena, choose_way(a, number, code != NULL), m, code, &who);
        if (r < 0)
                return r;
        struct str body = str_of(arena_printf(arena, "{%s,\"device\":\"demo-%zu\",\"nonce\":\"%zu\"}", who, number % 97, number));
        r = web_call(web, "POST", arena_printf(arena, "/v1/activities/%s/checkins", a->id), &body, NULL, NULL, &answer);
        if (r < 0)
                return r;
        if (answer.status / 100 != 2) {
                fprintf(stderr, "check-in refused: %d %.*s\n", answer.status, (int)answer.body.n, answer.body.p);
                atomic_fetch_add(&d->refused, 1);
                return -EBADMSG;
        }
        if ((r = read_answer(arena, CHECKIN_TYPE, answer.body, &checkin)) < 0)
                return r;
        if (checkin->repeated) {
                atomic_fetch_add(&d->repeated, 1);
                return 0;
        }
        int at = divisions_find(&d->divisions, checkin->organization);
        if (at < 0) {
                fprintf(stderr, "a check-in counts at %s, which is not in --data\n", checkin->organization);
                return -EBADMSG;
        }
        atomic_fetch_add(&d->attended[at], 1);
        return 0;
}

static void *work(void *arg)
{
        struct worker *w = arg;
        struct demo *d = w->demo;
        _cleanup_(web_freep) struct web *web = web_new(d->http, d->api_key);
        _cleanup_(arena_freep) struct arena *arena = arena_new(16384);

        for (;;) {
                size_t number = atomic_fetch_add(w->next_member, 1);
                const char *code = NULL;
                if (number >= d->n_members || atomic_load(w->failed))
                        return NULL;
                const struct activity *a = &d->activities[number % d->n_activities];
                arena_reset(arena);
                int r = number % 4 ? register_member(d, web, arena, a, &d->members[number], &code) : 0; /* some just come */
                if (r == 0)
                        r = check_in(d, web, arena, a, number, code);
                if (r < 0)
                        atomic_store(w->failed, 1);
                atomic_fetch_add(&d->done, 1);
        }
}

int rush_run(struct demo *d)
{
        _Atomic size_t next_member = 0;
        _Atomic int failed = 0;
        struct worker workers[256];
        int64_t started = clock_monotonic_us();
        size_t n = (size_t)d->connections < ARRAY_LEN(workers) ? (size_t)d->connections : ARRAY_LEN(workers);

        for (size_t i = 0; i < n; i++) {
                workers[i] = (struct worker){.demo = d, .next_member = &next_member, .failed = &failed};
                if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
                        abort();
        }
        while (atomic_load(&d->done) < (int64_t)d->n_members && !atomic_load(&failed)) {
                show_progress("registering and checking in", atomic_load(&d->done), (int64_t)d->n_members, started);
                nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        }
        for (size_t i = 0; i < n; i++)
                pthread_join(workers[i].thread, NULL);
        d->last_ack_us = clock_monotonic_us();
        show_done("members checked in", (int64_t)d->n_members, started);
        return atomic_load(&failed) ? -EIO : 0;
}
