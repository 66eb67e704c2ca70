/* SPDX-License-Identifier: Apache-2.0
 *
 * The calling half for a unit test: a client, and instances that do as the test says, over real sockets on one loop.
 */
#pragma once

#include "common/rpc/client.h"
#include "common/rpc/envelope.h"
#include "tests/support/check.h"

#include "contract/membership_v1.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE "membership"
#define READ    membership_v1_get_organization
#define WRITE   membership_v1_create_organization

enum manner { ANSWERS, HOLDS, FROZEN, NOT_WRITER, UNAVAILABLE, FAILS };

/* An instance. */
struct fake {
        struct stage *stage;
        struct bus_server *server;
        char name[16], endpoint[128];
        const char *service; /* as it says */
        enum manner manner;
        bool may_write, draining, other_build;
        unsigned requests, greetings;
        uint64_t last_id;
        struct bus_peer last_from;
        char last_key[80];
        uint32_t last_attempt;
};

/* One call and how it ended. */
struct asked {
        struct stage *stage;
        struct rpc_pending *pending;
        unsigned ended;
        struct rpc_result result;
};

struct stage {
        char folder[40], redis_address[80];
        pid_t redis;
        struct loop *loop;
        struct bus *bus;
        struct cache *cache;
        struct metric_registry *metrics;
        struct rpc_client *client;
        struct loop_timer *tick;
        struct arena *arena;
        int64_t late_at_us;
        struct fake fakes[4];
        struct asked asked[3000];
};

/* --- the stage ----------------------------------------------------------------------------------------------------- */

static inline void on_tick(void *arg)
{
        struct stage *s = arg;
        loop_stop(s->loop);
        loop_timer_set(s->tick, 2000);
}

/* Looks again after every turn that had something to do, and each 2 ms; for 20 s. */
#define WAIT(s, condition)                                                                                                \
        do {                                                                                                              \
                (s)->late_at_us = clock_monotonic_us() + 20 * CLOCK_SECOND_US;                                            \
                loop_timer_set((s)->tick, 0);                                                                             \
                while (!(condition) && clock_monotonic_us() < (s)->late_at_us)                                            \
                        loop_run((s)->loop);                                                                              \
                CHECK(condition);                                                                                         \
        } while (0)

static inline struct stage *stage_new(void)
{
        struct stage *s = mem_zalloc(sizeof(*s));
        const char *error = NULL;
        strcpy(s->folder, "/tmp/client_test.XXXXXX");
        CHECK(mkdtemp(s->folder));
        s->loop = loop_new();
        s->tick = loop_timer_new(s->loop, on_tick, s);
        s->metrics = metric_registry_new();
        s->arena = arena_new(4096);
        CHECK_INT(bus_new(&(struct bus_options){0}, &s->bus, &error), 0);
        return s;
}

static inline void client_start(struct stage *s, const char *const *peers)
{
        const struct rpc_client_options options = {.loop = s->loop, .bus = s->bus, .cache = s->cache, .peers = peers,
                                                   .self_service = "test", .self_instance = "test-1", .metrics = s->metrics};
        CHECK_INT(rpc_client_new(&options, &s->client), 0);
}

static inline void stage_done(struct stage *s)
{
        char command[80];
        cache_free(s->cache);
        rpc_client_free(s->client);
        for (size_t i = 0; i < ARRAY_LEN(s->fakes); i++)
                bus_server_free(s->fakes[i].server);
        bus_free(s->bus);
        if (s->redis) {
                kill(s->redis, SIGKILL);
                waitpid(s->redis, NULL, 0);
        }
        metric_registry_free(s->metrics);
        loop_timer_free(s->tick);
        loop_free(s->loop);
        arena_free(s->arena);
        snprintf(command, sizeof(command), "rm -rf %s", s->folder);
        CHECK_INT(system(command), 0);
        free(s);
}

/* --- instances ------------------------------------------------------------------------------------------------------- */

static inline void fake_send(struct fake *f, const struct bus_peer *to, const Envelope *envelope, struct str payload)
{
        struct buf out = {0};
        envelope_pack(&out, envelope);
        if (to)
                CHECK_INT(bus_server_send(f->server, to, buf_str(&out), payload), 0);
        else
                bus_server_broadcast(f->server, buf_str(&out), payload);
        buf_done(&out);
}

/* To one peer, or (NULL) to all. */
static inline void fake_greet(struct fake *f, const struct bus_peer *to)
{
        Nuanxin__Internal__V1__Hello hello = NUANXIN__INTERNAL__V1__HELLO__INIT;
        Nuanxin__Internal__V1__Accepts read = NUANXIN__INTERNAL__V1__ACCEPTS__INIT, write = read, *accepts[] = {&read, &write};
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;
        read.method = READ.id;
        read.input_hash = READ.input_hash + f->other_build;
        write.method = WRITE.id;
        write.input_hash = WRITE.input_hash;
        hello.service = (char *)f->service;
        hello.instance = f->name;
        hello.may_write = f->may_write;
        hello.draining = f->draining;
        hello.n_accepts = 2;
        hello.accepts = accepts;
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO;
        envelope.hello = &hello;
        fake_send(f, to, &envelope, (struct str){0});
}

static inline void fake_reply(struct fake *f)
{
        Nuanxin__Internal__V1__Reply reply = NUANXIN__INTERNAL__V1__REPLY__INIT;
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;
        reply.not_writer = f->manner == NOT_WRITER;
        reply.problem = f->manner == UNAVAILABLE || f->manner == NOT_WRITER ? NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE
                        : f->manner == FAILS                                ? NUANXIN__PROBLEM__PROBLEM_INTERNAL
                                                                            : NUANXIN__PROBLEM__PROBLEM_NONE;
        envelope.id = f->last_id;
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REPLY;
        envelope.reply = &reply;
        fake_send(f, &f->last_from, &envelope, str_of(f->name));
}

static inline void on_pair(void *arg, const struct bus_peer *from, struct str bytes, struct bus_frame *payload)
{
        struct fake *f = arg;
        Envelope *e;
        (void)payload;
        arena_reset(f->stage->arena);
        CHECK_INT(envelope_unpack(f->stage->arena, bytes, &e), 0);
        if (e->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO) {
                f->greetings++;
                if (f->manner != FROZEN)
                        fake_greet(f, from);
                return;
        }
        f->requests++;
        f->last_id = e->id;
        f->last_from = *from;
        f->last_attempt = e->request->attempt;
        snprintf(f->last_key, sizeof(f->last_key), "%s", e->request->idempotency_key);
        if (f->manner != HOLDS && f->manner != FROZEN)
                fake_reply(f);
}

static inline struct fake *fake_start(struct stage *s, unsigned n, bool may_write)
{
        struct fake *f = &s->fakes[n];
        char wanted[128];
        *f = (struct fake){.stage = s, .service = SERVICE, .may_write = may_write};
        snprintf(f->name, sizeof(f->name), "fake-%u", n);
        snprintf(wanted, sizeof(wanted), "ipc://%s/%s.sock", s->folder, f->name);
        CHECK_INT(bus_server_new(s->bus, s->loop, wanted, on_pair, f, &f->server, f->endpoint), 0);
        return f;
}

static inline void fake_die(struct fake *f)
{
        f->server = bus_server_free(f->server);
}

static inline size_t n_up(struct stage *s)
{
        struct rpc_instance all[16];
        size_t n = rpc_client_instances(s->client, all, ARRAY_LEN(all)), up = 0;
        for (size_t i = 0; i < n; i++)
                up += all[i].up;
        return up;
}

static inline size_t n_known(struct stage *s)
{
        struct rpc_instance all[16];
        return rpc_client_instances(s->client, all, ARRAY_LEN(all));
}

static inline struct rpc_instance instance_named(struct stage *s, const char *name)
{
        struct rpc_instance all[16];
        size_t n = rpc_client_instances(s->client, all, ARRAY_LEN(all));
        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i].instance, name) == 0)
                        return all[i];
        return (struct rpc_instance){0};
}

/* A client of the first n instances, of which the first may write; all have greeted. */
static inline struct stage *stage_of(unsigned n)
{
        struct stage *s = stage_new();
        const char *peers[5] = {0};
        for (unsigned i = 0; i < n; i++) {
                struct fake *f = fake_start(s, i, i == 0);
                char *peer = mem_zalloc(160);
                snprintf(peer, 160, SERVICE "=%s", f->endpoint);
                peers[i] = peer;
        }
        client_start(s, peers);
        for (unsigned i = 0; i < n; i++)
                free((char *)peers[i]);
        WAIT(s, n_up(s) == n);
        return s;
}

/* --- calls --------------------------------------------------------------------------------------------------------------- */

static inline void on_done(void *arg, const struct rpc_result *result)
{
        struct asked *a = arg;
        a->ended++;
        a->pending = NULL;
        a->result = *result;
        a->result.payload = (struct str){0};
}

static inline struct asked *ask_with(struct stage *s, unsigned number, const struct rpc_request *request)
{
        struct asked *a = &s->asked[number];
        *a = (struct asked){.stage = s};
        a->pending = rpc_client_call(s->client, request, on_done, a);
        CHECK_INT(a->ended, 0);
        return a;
}

static inline struct asked *ask(struct stage *s, unsigned number, const struct contract_method *method)
{
        return ask_with(s, number, &(struct rpc_request){.method = method, .payload = STR("x")});
}

static inline void ask_and_wait(struct stage *s, const struct contract_method *method)
{
        struct asked *a = ask(s, 0, method);
        WAIT(s, a->ended);
}
