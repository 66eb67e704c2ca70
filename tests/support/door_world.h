/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the door share: a door on a loop, what it has told, and agencies that knock.
 */
#pragma once

#include "common/base/clock.h"
#include "common/bus/door.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

struct pair {
        char public[41], secret[41];
};

struct world {
        struct loop *loop;
        struct loop_timer *tick;
        struct bus *bus;
        struct bus_door *door;
        struct pair self, agency, other;
        char endpoint[128];
        void *context;
        int64_t late_at_us;
        /* what the door told */
        unsigned messages, strangers, gone, cuts[BUS_DOOR_CUTS];
        uint64_t connection;
        char name[BUS_DOOR_NAME_SIZE];
        bool chosen, answers;
        size_t n_parts, bytes;
        char last[64];
};

static inline void on_message(void *arg, uint64_t connection, const char *name, const struct str *parts, size_t n)
{
        struct world *w = arg;
        struct buf echo = {0};
        w->messages++;
        w->connection = connection;
        w->chosen = !name;
        snprintf(w->name, sizeof(w->name), "%s", name ? name : "");
        w->n_parts = n;
        w->bytes = 0;
        for (size_t i = 0; i < n; i++)
                w->bytes += parts[i].n;
        if (n)
                snprintf(w->last, sizeof(w->last), "%.*s", (int)(parts[n - 1].n < 60 ? parts[n - 1].n : 60), parts[n - 1].p);
        if (!w->answers)
                return;
        buf_add_z(&echo, w->last);
        const struct str head[] = {STR(""), STR("ECHO")}; /* the empty one as REQ wants it back */
        bool delimited = n == 2 && !parts[0].n;
        CHECK_INT(bus_door_send(w->door, connection, delimited ? head : head + 1, delimited ? 2 : 1, &echo), 0);
        CHECK(!echo.p);
}

static inline void on_gone(void *arg, uint64_t connection)
{
        struct world *w = arg;
        (void)connection;
        w->gone++;
}

static inline void on_stranger(void *arg, const char *address, const char *key)
{
        struct world *w = arg;
        CHECK_TEXT(address, "127.0.0.1");
        CHECK_TEXT(key, w->other.public);
        w->strangers++;
}

static inline void on_cut(void *arg, enum bus_door_cut why, const char *address)
{
        struct world *w = arg;
        CHECK(strncmp(address, "127.0.0.1:", 10) == 0);
        w->cuts[why]++;
}

static const struct bus_door_ops ops = {on_message, on_gone, on_stranger, on_cut};

static inline void on_tick(void *arg)
{
        struct world *w = arg;
        loop_stop(w->loop);
        loop_timer_set(w->tick, 2000);
}

/* Looks again each 2 ms, 20 s at most. */
#define WAIT(w, condition)                                                                                   \
        do {                                                                                                 \
                bool came_about_ = false;                                                                    \
                (w)->late_at_us = clock_monotonic_us() + 20 * CLOCK_SECOND_US;                               \
                loop_timer_set((w)->tick, 0);                                                                \
                while (!(came_about_ = (condition)) && clock_monotonic_us() < (w)->late_at_us)               \
                        loop_run((w)->loop);                                                                 \
                if (!came_about_)                                                                            \
                        printf("# %s:%d: waited in vain for %s\n", __FILE__, __LINE__, #condition);          \
                check_failed |= !came_about_;                                                                \
        } while (0)

static inline void let_in(struct world *w, const struct pair *pair, const char *name)
{
        struct bus_door_key key = {0};
        snprintf(key.key, sizeof(key.key), "%s", pair->public);
        snprintf(key.name, sizeof(key.name), "%s", name);
        bus_door_let_in(w->door, &key, 1);
}

static inline void open_door(struct world *w, struct bus_door_limits limits, int listen_fd)
{
        const struct bus_door_options options = {.endpoint = "tcp://127.0.0.1:*", .listen_fd = listen_fd, .secret = w->self.secret, .limits = limits};
        CHECK_INT(bus_door_new(w->bus, w->loop, &options, &ops, w, &w->door, w->endpoint), 0);
}

static inline void world_init(struct world *w)
{
        const char *error;
        *w = (struct world){.answers = true};
        w->loop = loop_new();
        w->tick = loop_timer_new(w->loop, on_tick, w);
        CHECK_INT(bus_new(&(struct bus_options){0}, &w->bus, &error), 0);
        CHECK_INT(zmq_curve_keypair(w->self.public, w->self.secret), 0);
        CHECK_INT(zmq_curve_keypair(w->agency.public, w->agency.secret), 0);
        CHECK_INT(zmq_curve_keypair(w->other.public, w->other.secret), 0);
        w->context = zmq_ctx_new();
}

static inline void world_start(struct world *w, struct bus_door_limits limits)
{
        world_init(w);
        open_door(w, limits, -1);
        let_in(w, &w->agency, "agency/key");
}

static inline void world_done(struct world *w)
{
        bus_door_free(w->door);
        bus_free(w->bus);
        loop_timer_free(w->tick);
        loop_free(w->loop);
        zmq_ctx_term(w->context);
}

static inline void *connect_to(struct world *w, int type, const struct pair *pair, const char *routing_id)
{
        void *socket = zmq_socket(w->context, type);
        int none = 0, large = 100000;
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
        zmq_setsockopt(socket, ZMQ_SNDHWM, &large, sizeof(large));
        if (pair) {
                zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, w->self.public, 41);
                zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, pair->public, 41);
                zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, pair->secret, 41);
        }
        if (routing_id)
                zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id));
        CHECK_INT(zmq_connect(socket, w->endpoint), 0);
        return socket;
}

static inline void say(void *socket, const char *text)
{
        CHECK(zmq_send(socket, text, strlen(text), ZMQ_DONTWAIT) >= 0);
}

static inline bool hears(void *socket, const char *text)
{
        char got[64] = {0};
        int more = 1, n = -1;
        size_t size = sizeof(more);
        while (more && (n = zmq_recv(socket, got, sizeof(got) - 1, ZMQ_DONTWAIT)) >= 0) {
                got[n] = 0;
                zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
        }
        return n >= 0 && strcmp(got, text) == 0;
}

/* from: the last byte of the loopback address that it comes from. */
static inline int knock_from(const struct world *w, uint32_t from)
{
        struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl((127u << 24) + from)};
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(w->endpoint, ':') + 1)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(bind(fd, (struct sockaddr *)&self, sizeof(self)) == 0);
        CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
        return fd;
}

static inline int knock(const struct world *w)
{
        return knock_from(w, 1);
}

static inline bool was_hung_up_on(int fd)
{
        char byte[64];
        ssize_t n;
        while ((n = recv(fd, byte, sizeof(byte), MSG_DONTWAIT)) > 0) /* its greeting */
                ;
        return n == 0 || (errno != EAGAIN && errno != ENOTCONN);
}
