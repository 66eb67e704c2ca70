/* SPDX-License-Identifier: Apache-2.0
 *
 * A tiny service for unit tests of the serving half: it keeps "things", and what a request does is said by its key
 * ("refuse", "kept", "fail", "step", "seat", …).
 */
#pragma once

#include "common/rpc/server.h"
#include "tests/support/check.h"

#include "contract/internal_v1.h"
#include "contract/membership_v1.h"

#include <semaphore.h>
#include <time.h>

typedef Nuanxin__Internal__V1__PullSnapshotRequest Ask;
typedef Nuanxin__Internal__V1__PullSnapshotResponse Told;
typedef Nuanxin__Internal__V1__Principal Who;

#define WORLD_PATH STR("/43/4301/430102/")

/* One answer as it left. */
struct got {
        bool there;
        Nuanxin__Internal__V1__Reply reply;
        struct str payload;
};

#define WORLD_ANSWERS 4096
struct world {
        char root[64], schema[40];
        struct loop *loop;
        bool own_loop, beside; /* beside: on another's store */
        void (*reply)(void *arg, const struct bus_peer *to, struct str envelope, struct str payload); /* or NULL */
        void *reply_arg;
        const struct rpc_service *service;
        const char *instance; /* NULL: "one" */
        struct rpc_client *client; /* whom its consumers pull by; the test's */
        struct store *store;
        struct keyring *keyring;
        struct metric_registry *metrics;
        struct rpc_server *server;
        struct loop_timer *timer;
        struct arena *arena;
        struct clock clock;
        struct got got[WORLD_ANSWERS];
        size_t n_sent, n_got, awaited;
        bool late, drained;
        /* What the tiny service does to test code. */
        _Atomic int runs, waits, failures_left, unfollowed_left, ticks;
        _Atomic int64_t noted, waited_past;
        sem_t released; /* posted: what is "stuck" goes on, now and later */
};

/* --- the tiny service ------------------------------------------------------------------------------------------- */

static inline int thing_count(struct rpc_call *call, const char *name, int64_t *ret_n)
{
        static const char sql[] = "SELECT n FROM thing WHERE name = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(rpc_db(call), sql, &rows, TEXTZ(name));
        if (r == 0)
                r = store_next(rows);
        *ret_n = r == 1 ? store_i64(rows, 0) : 0;
        return r == 1 ? 0 : r;
}

static inline int thing_add(struct rpc_call *call, const char *name)
{
        static const char sql[] = "INSERT INTO thing (name, n) VALUES ($1, 1) "
                                  "ON CONFLICT (name) DO UPDATE SET n = thing.n + 1";
        OrganizationChanged event = NUANXIN__MEMBERSHIP__V1__ORGANIZATION_CHANGED__INIT;
        int r = store_exec(rpc_db(call), sql, NULL, TEXTZ(name));
        event.code = (char *)name;
        return r == 0 ? rpc_emit(call, &membership_v1_organization_changed_msg, &event, name, "43") : r;
}

/* The event's organization says which of its thing's events it is. */
static inline int thing_step(struct rpc_call *call, const char *name, int64_t *ret_n)
{
        static const char sql[] = "INSERT INTO thing (name, n) VALUES ($1, 1) "
                                  "ON CONFLICT (name) DO UPDATE SET n = thing.n + 1 RETURNING n";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        OrganizationChanged event = NUANXIN__MEMBERSHIP__V1__ORGANIZATION_CHANGED__INIT;
        int r = store_query(rpc_db(call), sql, &rows, TEXTZ(name));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret_n = store_i64(rows, 0);
        event.code = (char *)name;
        return rpc_emit(call, &membership_v1_organization_changed_msg, &event, name,
                        arena_printf(rpc_arena(call), "%lld", (long long)*ret_n));
}

/* The tale grows, and no event says so. */
#define WORLD_TALE "tale"
static inline int thing_tell(struct rpc_call *call, int64_t *ret_n)
{
        static const char sql[] = "INSERT INTO thing (name, n) VALUES ($1, 1) "
                                  "ON CONFLICT (name) DO UPDATE SET n = thing.n + 1";
        int r = store_exec(rpc_db(call), sql, NULL, TEXTZ(WORLD_TALE));
        if (r == 0)
                r = thing_count(call, WORLD_TALE, ret_n);
        return r == 0 ? rpc_news(call, *ret_n) : r;
}

/* What reads noted becomes a thing. */
static inline int world_tick(struct rpc_call *call, bool *ret_wrote)
{
        static const char sql[] = "INSERT INTO thing (name, n) VALUES ('noted', $1) ON CONFLICT (name) DO UPDATE SET n = excluded.n";
        struct world *w = rpc_state(call);
        int64_t noted = w->noted, stored = 0;
        w->ticks++;
        int r = thing_count(call, "noted", &stored);
        if (r != 0 || stored == noted)
                return r;
        *ret_wrote = true;
        return store_exec(rpc_db(call), sql, NULL, I64(noted));
}

static inline int world_news(struct store_conn *db, int64_t *ret_position)
{
        static const char sql[] = "SELECT COALESCE(MAX(n), 0) FROM thing WHERE name = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(WORLD_TALE));
        if (r == 0)
                r = store_next(rows);
        if (r == 1)
                *ret_position = store_i64(rows, 0);
        return r == 1 ? 0 : r;
}

#define WORLD_SEATS 20
static inline int thing_seat(struct rpc_call *call, const char *name)
{
        static const char make[] = "INSERT INTO thing (name, n) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING";
        static const char take[] = "UPDATE thing SET n = n + 1 WHERE name = $1 AND n < $2";
        int64_t changed = 0;
        int r = store_exec(rpc_db(call), make, NULL, TEXTZ(name));
        if (r == 0)
                r = store_exec(rpc_db(call), take, &changed, TEXTZ(name), I64(WORLD_SEATS));
        return r == 0 && !changed ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED, "full") : r;
}

/* At most 10 s: a test that forgets to release ends all the same. */
static inline void wait_for_release(struct world *w)
{
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 10;
        if (sem_timedwait(&w->released, &until) == 0)
                sem_post(&w->released);
}

/* Answers of a gateway's requests of one second, a minute from now, as if they had been written. */
static inline int thing_many_answers(struct rpc_call *call, int64_t n)
{
        static const char sql[] =
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
                "INSERT INTO rpc_answer (key, principal, method, request, problem, payload, expires_us) "
                "SELECT $2 || CAST(100000 + i AS TEXT), '', 0, 0, 0, NULL, $3 FROM n";
        int64_t at = rpc_now(call) + CLOCK_MINUTE_US;
        char first[ID_TEXT_SIZE];
        id_least(first, at);
        first[ID_TEXT_SIZE - 1 - 6] = '\0';
        return store_exec(rpc_db(call), sql, NULL, I64(n), TEXTZ(first), I64(at + 10 * CLOCK_MINUTE_US));
}

static inline int put(struct rpc_call *call, const Ask *ask, Told *told)
{
        struct world *w = rpc_state(call);
        w->runs++;
        int r = strcmp(ask->key, "forget") == 0 ? 0 : rpc_require(call, WORLD_PATH);
        if (r == 0 && strcmp(ask->key, "step") == 0)
                return thing_step(call, ask->topic, &told->position);
        if (r == 0 && strcmp(ask->key, "seat") == 0)
                return thing_seat(call, ask->topic);
        if (r == 0 && strcmp(ask->key, "tell") == 0)
                return thing_tell(call, &told->position);
        if (r == 0)
                r = thing_add(call, ask->topic);
        rpc_audit_subject(call, ask->topic, "43");
        if (r == 0 && strcmp(ask->key, "refuse") == 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED, "because");
        if (r == 0 && strcmp(ask->key, "kept") == 0)
                return rpc_refuse_kept(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED);
        if (r == 0 && strcmp(ask->key, "fail") == 0)
                return -EINVAL;
        if (r == 0 && strcmp(ask->key, "many answers") == 0)
                r = thing_many_answers(call, 5000);
        if (r == 0 && strcmp(ask->key, "stuck") == 0)
                wait_for_release(w);
        if (r == 0 && strcmp(ask->key, "nospace") == 0 && w->failures_left-- > 0)
                return -ENOSPC;
        if (r == 0 && strcmp(ask->key, "due") == 0)
                r = rpc_due_add(call, "remind", ask->topic, rpc_now(call) + 3600 * CLOCK_SECOND_US, STR("again"));
        if (r == 0)
                r = thing_count(call, ask->topic, &told->position);
        told->next_key = rpc_new_id(call); /* differs each time it runs */
        return r;
}

static inline int enter(struct rpc_call *call, const Ask *ask, Told *told)
{
        int r = thing_add(call, ask->topic);
        return r == 0 ? thing_count(call, ask->topic, &told->position) : r;
}

/* "43,430102" */
static inline char *scope(struct rpc_call *call)
{
        const char *codes[64];
        char *text = (char *)"";
        size_t n = rpc_scope(call, codes);
        for (size_t i = 0; i < n; i++)
                text = arena_printf(rpc_arena(call), "%s%s%s", text, i ? "," : "", codes[i]);
        return text;
}

static inline int page(struct rpc_call *call, const Ask *ask, Told *told)
{
        struct str from;
        int r = rpc_page_start(call, ask->key, STR("filter"), &from);
        told->position = (int64_t)from.n;
        told->next_key = rpc_page_token(call, STR("filter"), STR("\0key"));
        told->epoch = rpc_page_token(call, STR("another"), STR("\0key"));
        return r;
}

#define WORLD_HUGE ((size_t)4 << 20) /* more than a message of the bus holds */

static inline int get(struct rpc_call *call, const Ask *ask, Told *told)
{
        int r = strcmp(ask->key, "own") == 0 ? rpc_require_member(call, ask->topic, WORLD_PATH)
                                             : rpc_require(call, WORLD_PATH);
        if (r == 0 && strcmp(ask->key, "scope") == 0)
                told->next_key = scope(call);
        if (r == 0 && strcmp(ask->key, "huge") == 0) {
                told->next_key = arena_zalloc(rpc_arena(call), WORLD_HUGE + 1);
                memset(told->next_key, 'x', WORLD_HUGE);
        }
        if (r == 0 && strcmp(ask->topic, "page") == 0)
                return page(call, ask, told);
        return r == 0 ? thing_count(call, ask->topic, &told->position) : r;
}

static inline int await(struct rpc_call *call, const Ask *ask, Told *told)
{
        struct world *w = rpc_state(call);
        w->runs++;
        rpc_require_nothing(call);
        if (strcmp(ask->key, "soon") == 0)
                rpc_wait_at_most(call, 200000);
        w->waited_past = rpc_waited_past(call);
        int64_t until = strcmp(ask->key, "second") == 0 ? 2 : 1;
        int r = thing_count(call, ask->topic, &told->position);
        if (r != 0 || told->position >= until || rpc_deadline_near(call))
                return r;
        w->waits++;
        if (strcmp(ask->topic, WORLD_TALE) == 0)
                return rpc_later_news(call, told->position);
        return rpc_later(call, 0);
}

static inline int nothing(struct rpc_call *call, const Ask *ask, Told *told)
{
        (void)call;
        (void)ask;
        (void)told;
        return 0;
}

static inline int prepare(struct rpc_call *call, const Ask *ask)
{
        CHECK(rpc_db(call) != NULL);
        if (strcmp(ask->key, "refuse") == 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED);
        rpc_prepared_set(call, arena_printf(rpc_arena(call), "slowly %s", ask->topic));
        return 0;
}

static inline int slow(struct rpc_call *call, const Ask *ask, Told *told)
{
        (void)ask;
        int r = rpc_require(call, WORLD_PATH);
        if (r == 0)
                r = thing_add(call, rpc_prepared(call));
        return r == 0 ? thing_count(call, rpc_prepared(call), &told->position) : r;
}

static inline int remind(struct rpc_call *call, const char *key, struct str payload)
{
        struct world *w = rpc_state(call);
        static const char see[] = "INSERT INTO seen (seq, subject) VALUES (-1, 'twice')";
        CHECK(str_is(payload, "again"));
        int r = thing_add(call, arena_printf(rpc_arena(call), "due %s", key));
        for (int i = 0; i < 2 && r == 0 && strcmp(key, "twice") == 0; i++)
                r = store_exec(rpc_db(call), see, NULL); /* the second is refused: on PostgreSQL only when the work is over */
        return r == 0 && w->failures_left-- > 0 ? -EINVAL : r;
}

static inline int things(struct rpc_call *call, const char *key, unsigned limit)
{
        static const char sql[] = "SELECT name FROM thing WHERE name > $1 ORDER BY name LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        OrganizationChanged event = NUANXIN__MEMBERSHIP__V1__ORGANIZATION_CHANGED__INIT;
        int r = store_query(rpc_db(call), sql, &rows, TEXTZ(key), I64(limit));
        while (r == 0 && (r = store_next(rows)) == 1) {
                event.code = store_text_dup(rows, 0, rpc_arena(call));
                r = rpc_snapshot_add(call, &membership_v1_organization_changed_msg, &event, event.code, "43",
                                     event.code);
        }
        return r;
}

static inline int follow(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        static const char sql[] = "INSERT INTO seen (seq, subject) VALUES ($1, $2)"; /* twice is an error */
        struct world *w = rpc_state(call);
        int r = 0;
        for (size_t i = 0; i < n && r == 0; i++)
                r = store_exec(rpc_db(call), sql, NULL, I64(events[i].seq), TEXTZ(events[i].subject));
        return r == 0 && w->unfollowed_left && w->unfollowed_left-- ? -EINVAL : r;
}

/* The codes that begin with 43 are below 43, and so on. */
static inline int world_path(struct rpc_call *call, struct str code, struct str *ret_path)
{
        struct buf path = {0};
        for (size_t n = 2; n <= code.n; n += 2)
                buf_printf(&path, "/%.*s", (int)n, code.p);
        buf_add_char(&path, '/');
        *ret_path = arena_str(rpc_arena(call), buf_str(&path));
        buf_done(&path);
        return code.n >= 2 && code.p[0] == '4' ? 0 : rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
}

#define WORLD_METHOD(id_, name_, lane_, permission_)                                                         \
        {                                                                                                    \
                .id = (id_), .input_hash = 7, .name = "test." name_, .service = "test",                      \
                .input = &internal_v1_pull_snapshot_request_msg,                                             \
                .output = &internal_v1_pull_snapshot_response_msg, .permission = (permission_),              \
                .permission_id = -1, .lane = NUANXIN__LANE__##lane_                                          \
        }
enum { PUT = 1, GET, AWAIT, SLOW, SECRET, OPEN, AT };
static struct contract_method world_contract[] = {
        [PUT] = WORLD_METHOD(PUT, "Put", WRITE, "member.write"),
        [GET] = WORLD_METHOD(GET, "Get", READ, "member.read"),
        [AWAIT] = WORLD_METHOD(AWAIT, "Await", READ, "signedIn"),
        [SLOW] = WORLD_METHOD(SLOW, "Slow", SLOW_WRITE, "member.write"),
        [SECRET] = WORLD_METHOD(SECRET, "Secret", WRITE, "member.write"),
        [OPEN] = WORLD_METHOD(OPEN, "Open", WRITE, "public"),
        [AT] = WORLD_METHOD(AT, "At", READ, "member.read"),
};
static const struct rpc_method world_methods[] = {
        {&world_contract[PUT], (rpc_handle)put, NULL},
        {&world_contract[GET], (rpc_handle)get, NULL},
        {&world_contract[AWAIT], (rpc_handle)await, NULL},
        {&world_contract[SLOW], (rpc_handle)slow, (rpc_prepare)prepare},
        {&world_contract[SECRET], (rpc_handle)put, NULL},
        {&world_contract[OPEN], (rpc_handle)enter, NULL},
        {&world_contract[AT], (rpc_handle)nothing, NULL},
        {0},
};
static const struct store_migration world_schema[] = {
        {"test/001", "CREATE TABLE thing (name @text PRIMARY KEY, n @int NOT NULL) @strict;"
                     "CREATE TABLE seen (seq @int PRIMARY KEY, subject @text NOT NULL) @strict;"},
        {0},
};
static const struct rpc_consumer world_consumers[] = {
        {.source = "test", .name = "test.seen", .apply = follow},
        {0},
};
static const struct rpc_due_kind world_due[] = {{"remind", remind}, {0}};
static const struct rpc_snapshot world_snapshots[] = {{"thing", things}, {0}};
static const struct rpc_service world_service = {.name = "test",
                                                 .methods = world_methods,
                                                 .consumers = world_consumers,
                                                 .snapshots = world_snapshots,
                                                 .due = world_due,
                                                 .news = world_news,
                                                 .tick = world_tick,
                                                 .organization_path = world_path};
