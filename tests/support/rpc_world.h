/* SPDX-License-Identifier: Apache-2.0
 *
 * A serving half for a unit test, over a real store: a loop, a tiny service, and requests that come from no socket.
 * The tiny service keeps "things": what a request does is said by its key ("refuse", "kept", "fail", …).
 */
#pragma once

#include "common/rpc/envelope.h"
#include "common/rpc/schema.h"
#include "common/rpc/server.h"
#include "tests/support/check.h"

#include "contract/internal_v1.h"
#include "contract/membership_v1.h"
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

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
        char root[64];
        struct loop *loop;
        bool own_loop;
        void (*reply)(void *arg, const struct bus_peer *to, struct str envelope, struct str payload); /* or NULL */
        void *reply_arg;
        const struct rpc_service *service;
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
        _Atomic int runs, failures_left, unfollowed_left;
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

static inline int put(struct rpc_call *call, const Ask *ask, Told *told)
{
        struct world *w = rpc_state(call);
        w->runs++;
        int r = strcmp(ask->key, "forget") == 0 ? 0 : rpc_require(call, WORLD_PATH);
        if (r == 0)
                r = thing_add(call, ask->topic);
        rpc_audit_subject(call, ask->topic, "43");
        if (r == 0 && strcmp(ask->key, "refuse") == 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED, "because");
        if (r == 0 && strcmp(ask->key, "kept") == 0)
                return rpc_refuse_kept(call, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED);
        if (r == 0 && strcmp(ask->key, "fail") == 0)
                return -EINVAL;
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
        rpc_require_nothing(call);
        int r = thing_count(call, ask->topic, &told->position);
        if (r != 0 || told->position || rpc_deadline_near(call))
                return r;
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
        CHECK(str_is(payload, "again"));
        int r = thing_add(call, arena_printf(rpc_arena(call), "due %s", key));
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
                                                 .organization_path = world_path};

/* --- its world -------------------------------------------------------------------------------------------------- */

static inline void world_on_reply(void *arg, const struct bus_peer *to, struct str envelope, struct str payload)
{
        struct world *w = arg;
        Nuanxin__Internal__V1__Envelope *e =
                nuanxin__internal__v1__envelope__unpack(NULL, envelope.n, (const uint8_t *)envelope.p);
        CHECK(to->n == 3);
        if (!e || e->id >= WORLD_ANSWERS || w->got[e->id].there) {
                CHECK(!"one reply for each request");
                return;
        }
        w->got[e->id] = (struct got){.there = true, .reply = *e->reply, .payload = arena_str(w->arena, payload)};
        nuanxin__internal__v1__envelope__free_unpacked(e, NULL);
        if (++w->n_got >= w->awaited)
                loop_stop(w->loop);
}

static inline void world_on_late(void *arg)
{
        struct world *w = arg;
        w->late = true;
        loop_stop(w->loop);
}

static inline void world_must(int r, const char *what, const char *error)
{
        if (r == 0)
                return;
        printf("Bail out! %s: %d %s\n", what, r, error ? error : "");
        exit(1);
}

static inline void world_write(struct world *w)
{
        struct store_writer *writer;
        const char *error = "";
        world_must(store_writer_acquire(w->store, "one", false, &writer, &error), "writer", error);
        world_must(store_migrate(store_writer_conn(writer), rpc_migrations, rpc_n_migrations, &error), "rpc", error);
        world_must(store_migrate(store_writer_conn(writer), world_schema, 1, &error), "schema", error);
        rpc_server_open_readers(w->server);
        rpc_server_become_writer(w->server, writer, w->client);
}

static inline void world_start(struct world *w)
{
        for (unsigned i = 0; i < contract_n_permissions; i++)
                for (size_t m = PUT; m <= AT; m++)
                        if (strcmp(contract_permissions[i], world_contract[m].permission) == 0)
                                world_contract[m].permission_id = (int)i;
        world_contract[SECRET].secret_answer = world_contract[OPEN].secret_answer = true;
        world_contract[AT].at = "topic";
        world_contract[OPEN].session = NUANXIN__SESSION_EFFECT__SESSION_OPEN;
        const struct rpc_server_options options = {.service = w->service,
                                                   .instance = "one",
                                                   .loop = w->loop,
                                                   .store = w->store,
                                                   .keyring = w->keyring,
                                                   .clock = &w->clock,
                                                   .metrics = w->metrics,
                                                   .state = w,
                                                   .reply = w->reply ? w->reply : world_on_reply,
                                                   .reply_arg = w->reply ? w->reply_arg : w};
        world_must(rpc_server_new(&options, &w->server), "server", NULL);
}

/* Moves the service's clock. It reads the file through a mapping of its own, as in a real process. */
static inline void world_shift(struct world *w, int64_t us)
{
        char path[128];
        snprintf(path, sizeof(path), "%s/clock", w->root);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        world_must(pwrite(fd, &us, sizeof(us), 0) == sizeof(us) ? 0 : -EIO, "clock", NULL);
        close(fd);
}

static inline struct world *world_make(struct loop *loop, const struct rpc_service *service)
{
        struct world *w = mem_zalloc(sizeof(*w));
        char path[128];
        const char *error = "";
        w->service = service;
        snprintf(w->root, sizeof(w->root), "/tmp/nuanxin-rpc-XXXXXX");
        world_must(mkdtemp(w->root) ? 0 : -errno, "folder", NULL);
        snprintf(path, sizeof(path), "%s/keys", w->root);
        world_must(crypto_init(), "crypto", NULL);
        world_must(keyring_create(path), "keyring", NULL);
        world_must(keyring_load(path, &w->keyring, &error), "keyring", error);
        snprintf(path, sizeof(path), "sqlite:%s/test.db", w->root);
        world_must(store_open(path, NULL, &w->store, &error), "store", error);
        world_shift(w, 0);
        snprintf(path, sizeof(path), "%s/clock", w->root);
        world_must(clock_init(&w->clock, path), "clock", NULL);
        w->awaited = SIZE_MAX;
        w->own_loop = !loop;
        w->loop = loop ? loop : loop_new();
        w->metrics = metric_registry_new();
        w->arena = arena_new(65536);
        w->timer = loop_timer_new(w->loop, world_on_late, w);
        world_start(w);
        return w;
}

static inline struct world *world_new(void)
{
        return world_make(NULL, &world_service);
}

static inline int world_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

/* The process ends as if killed between two transactions, and another begins on the same store. */
static inline void world_restart(struct world *w)
{
        rpc_server_free(w->server);
        world_start(w);
        world_write(w);
}

static inline void world_done(struct world *w)
{
        rpc_server_free(w->server);
        loop_timer_free(w->timer);
        if (w->own_loop)
                loop_free(w->loop);
        metric_registry_free(w->metrics);
        store_close(w->store);
        keyring_free(w->keyring);
        arena_free(w->arena);
        nftw(w->root, world_unlink, 8, FTW_DEPTH | FTW_PHYS);
        free(w);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

struct question {
        int method;
        const char *topic, *key; /* of the request itself */
        const char *idempotency; /* NULL: a new one */
        bool client_key;
        unsigned attempt;
        unsigned time_left_ms; /* 0: 10 s */
        const Who *who;        /* NULL: a person with rights */
        /* Another method than the tiny service's own, and its input. */
        const struct contract_method *contract;
        const void *input;
};

static inline Who *world_who(Nuanxin__Internal__V1__Principal__Kind kind, const char *id)
{
        static Grant grant = NUANXIN__INTERNAL__V1__GRANT__INIT;
        static Grant *grants[] = {&grant};
        static Who who;
        grant.role = 1;
        grant.organization = (char *)"43";
        who = (Who)NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        who.kind = kind;
        who.id = (char *)id;
        who.grants = grants;
        who.n_grants = kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT;
        return &who;
}

/* The index of its answer. */
static inline size_t world_send(struct world *w, const struct question *q)
{
        static const struct bus_peer peer = {.n = 3, .id = "abc"};
        Nuanxin__Internal__V1__Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT, *unpacked;
        Nuanxin__Internal__V1__Request request = NUANXIN__INTERNAL__V1__REQUEST__INIT;
        Ask ask = NUANXIN__INTERNAL__V1__PULL_SNAPSHOT_REQUEST__INIT;
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct buf packed = {0}, wire = {0};
        char key[40];
        snprintf(key, sizeof(key), "own-%zu", w->n_sent);
        ask.topic = (char *)(q->topic ? q->topic : "a");
        ask.key = (char *)(q->key ? q->key : "");
        ask.limit = 1;
        message_pack_buf(&packed, q->contract ? q->input : &ask);
        request.method = q->contract ? q->contract->id : (uint64_t)q->method;
        request.input_hash = q->contract ? q->contract->input_hash : 7;
        request.time_left_ms = q->time_left_ms ? q->time_left_ms : 10000;
        request.principal =
                (Who *)(q->who ? q->who : world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "anna"));
        request.idempotency_key = (char *)(q->idempotency ? q->idempotency : key);
        request.client_key = q->client_key;
        request.attempt = q->attempt;
        request.traceparent = (char *)"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        envelope.id = w->n_sent++;
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REQUEST;
        envelope.request = &request;
        struct bus_frame payload = bus_frame_of(buf_str(&packed));
        envelope_pack(&wire, &envelope);
        world_must(envelope_unpack(arena, buf_str(&wire), &unpacked), "unpack", NULL);
        rpc_server_submit(w->server, &peer, unpacked, &arena, &payload);
        bus_frame_close(&payload);
        buf_done(&packed);
        buf_done(&wire);
        return envelope.id;
}

/* Until everything that was sent is answered. */
static inline void world_wait(struct world *w)
{
        w->awaited = w->n_sent;
        w->late = false;
        loop_timer_set(w->timer, 20 * CLOCK_SECOND_US);
        if (w->n_got < w->awaited)
                loop_run(w->loop);
        w->awaited = SIZE_MAX;
        loop_timer_clear(w->timer);
        CHECK(!w->late);
}

static inline struct got *world_ask(struct world *w, const struct question *q)
{
        size_t i = world_send(w, q);
        world_wait(w);
        return &w->got[i];
}
#define ASK(w, ...) world_ask((w), &(struct question){__VA_ARGS__})

static inline Told *world_told(struct world *w, const struct got *got)
{
        ProtobufCMessage *told;
        if (message_unpack(w->arena, &internal_v1_pull_snapshot_response_msg, got->payload.p, got->payload.n, &told))
                return message_new(w->arena, &internal_v1_pull_snapshot_response_msg);
        return (Told *)told;
}

static inline int64_t world_position(struct world *w, const struct got *got)
{
        return world_told(w, got)->position;
}

/* One number from the store, by a reader of its own. */
static inline int64_t world_number(struct world *w, const char *sql)
{
        _cleanup_(store_conn_closep) struct store_conn *reader = NULL;
        if (store_reader_open(w->store, &reader) != 0)
                return -1;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        return store_query(reader, sql, &rows) == 0 && store_next(rows) == 1 ? store_i64(rows, 0) : -1;
}

/* Turns the loop until that number is n. */
struct world_until {
        struct world *w;
        const char *sql;
        int64_t n;
        struct loop_timer *timer;
        int tries;
};

static inline void world_look(void *arg)
{
        struct world_until *u = arg;
        if (world_number(u->w, u->sql) == u->n || ++u->tries > 1000)
                loop_stop(u->w->loop);
        else
                loop_timer_set(u->timer, 10000);
}

static inline bool world_until(struct world *w, const char *sql, int64_t n)
{
        struct world_until u = {w, sql, n, NULL, 0};
        u.timer = loop_timer_new(w->loop, world_look, &u);
        loop_timer_set(u.timer, 0);
        loop_run(w->loop);
        loop_timer_free(u.timer);
        return world_number(w, sql) == n;
}
