/* SPDX-License-Identifier: Apache-2.0
 *
 * A serving half for a unit test, over a real store (a file, or with NX_POSTGRES a schema of its own in that database): a
 * loop, the tiny service of rpc_things.h, and requests that come from no socket.
 */
#pragma once

#include "common/rpc/envelope.h"
#include "common/rpc/schema.h"
#include "tests/support/rpc_things.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

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

/* The one that may write, with the schema there. */
static inline struct store_writer *world_writer(struct world *w)
{
        const struct store_migration *schema = w->service->migrations ? w->service->migrations : world_schema;
        struct store_writer *writer;
        const char *error = "";
        size_t n = 0;
        while (schema[n].name)
                n++;
        world_must(store_writer_acquire(w->store, "one", false, &writer, &error), "writer", error);
        world_must(store_migrate(store_writer_conn(writer), rpc_migrations, rpc_n_migrations, &error), "rpc", error);
        world_must(store_migrate(store_writer_conn(writer), schema, n, &error), "schema", error);
        return writer;
}

static inline void world_write(struct world *w)
{
        struct store_writer *writer = world_writer(w);
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
                                                   .instance = w->instance ? w->instance : "one",
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

static inline const char *world_postgres(void)
{
        return getenv("NX_POSTGRES");
}

/* As somebody else at the database. */
static inline void world_sql(const char *sql)
{
        const char *error = "";
        _cleanup_(store_closep) struct store *store = NULL;
        _cleanup_(store_writer_releasep) struct store_writer *writer = NULL;
        world_must(store_open(world_postgres(), NULL, &store, &error), "database", error);
        world_must(store_writer_acquire(store, "other", false, &writer, &error), "database", error);
        struct store_conn *db = store_writer_conn(writer);
        world_must(store_begin(db), "begin", store_last_error(db));
        world_must(store_exec(db, sql, NULL), sql, store_last_error(db));
        world_must(store_commit(db), sql, store_last_error(db));
}

static inline void world_open_store(struct world *w)
{
        static int worlds;
        char url[512], sql[80];
        const char *error = "";
        if (w->beside) {
                snprintf(url, sizeof(url), "%s&options=-csearch_path%%3D%s", world_postgres(), w->schema);
        } else if (world_postgres()) {
                snprintf(w->schema, sizeof(w->schema), "world_%d_%d", getpid(), worlds++);
                snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", w->schema);
                world_sql(sql);
                snprintf(url, sizeof(url), "%s&options=-csearch_path%%3D%s", world_postgres(), w->schema);
        } else {
                snprintf(url, sizeof(url), "sqlite:%s/test.db", w->root);
        }
        world_must(store_open(url, NULL, &w->store, &error), "store", error);
}

static inline struct keyring *world_keyring(const char *folder)
{
        struct keyring *keyring;
        char path[128];
        const char *error = "";
        snprintf(path, sizeof(path), "%s/keys", folder);
        world_must(crypto_init(), "crypto", NULL);
        world_must(keyring_create(path), "keyring", NULL);
        world_must(keyring_load(path, &keyring, &error), "keyring", error);
        return keyring;
}

static inline struct world *world_fill(struct world *w, struct loop *loop, const struct rpc_service *service)
{
        char path[128];
        w->service = service;
        snprintf(w->root, sizeof(w->root), "/tmp/nuanxin-rpc-XXXXXX");
        world_must(mkdtemp(w->root) ? 0 : -errno, "folder", NULL);
        if (!w->keyring)
                w->keyring = world_keyring(w->root);
        world_open_store(w);
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

static inline struct world *world_make(struct loop *loop, const struct rpc_service *service)
{
        return world_fill(mem_zalloc(sizeof(struct world)), loop, service);
}

static inline struct world *world_new(void)
{
        return world_make(NULL, &world_service);
}

/* Another instance on the same (shared) store; it ends before the first. */
static inline struct world *world_beside(struct world *first, struct loop *loop, const char *instance)
{
        struct world *w = mem_zalloc(sizeof(*w));
        w->beside = true;
        w->instance = instance;
        w->keyring = first->keyring;
        snprintf(w->schema, sizeof(w->schema), "%s", first->schema);
        return world_fill(w, loop, first->service);
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
        if (!w->beside)
                keyring_free(w->keyring);
        arena_free(w->arena);
        if (w->schema[0] && !w->beside) {
                char sql[80];
                snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", w->schema);
                world_sql(sql);
        }
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
        snprintf(key, sizeof(key), "%.20s-%zu", w->instance ? w->instance : "own", w->n_sent);
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

static inline int64_t world_read(struct store_conn *reader, const char *sql)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        return store_query(reader, sql, &rows) == 0 && store_next(rows) == 1 ? store_i64(rows, 0) : -1;
}

/* One number from the store, by a reader of its own; on a shared store once all events have their positions. */
static inline int64_t world_number(struct world *w, const char *sql)
{
        _cleanup_(store_conn_closep) struct store_conn *reader = NULL;
        if (store_reader_open(w->store, &reader) != 0)
                return -1;
        for (int i = 0; i < 1000 && store_is_shared(w->store); i++) {
                if (world_read(reader, "SELECT COUNT(*) FROM rpc_arrival") == 0)
                        break;
                usleep(5000);
        }
        return world_read(reader, sql);
}

/* Turns the loop until that number is n, for a minute at most. */
struct world_until {
        struct world *w;
        const char *sql; /* NULL: how often a read has chosen to wait */
        int64_t n;
        struct loop_timer *timer;
        int64_t until_us;
};

static inline bool world_has(const struct world_until *u)
{
        return (u->sql ? world_number(u->w, u->sql) : u->w->waits) == u->n;
}

static inline void world_look(void *arg)
{
        struct world_until *u = arg;
        if (world_has(u) || clock_monotonic_us() > u->until_us)
                loop_stop(u->w->loop);
        else
                loop_timer_set(u->timer, 10000);
}

static inline bool world_until(struct world *w, const char *sql, int64_t n)
{
        struct world_until u = {w, sql, n, NULL, clock_monotonic_us() + CLOCK_MINUTE_US};
        u.timer = loop_timer_new(w->loop, world_look, &u);
        loop_timer_set(u.timer, 0);
        loop_run(w->loop);
        loop_timer_free(u.timer);
        return world_has(&u);
}

/* Until reads have chosen to wait n times. */
static inline bool world_until_waits(struct world *w, int n)
{
        return world_until(w, NULL, n);
}
