/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the bus share: a service that echoes and a caller on one loop, in a folder of their own.
 */
#pragma once

#include "common/base/clock.h"
#include "common/bus/bus.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <unistd.h>

/* A service that echoes and a caller, on one loop. Each event stops the loop, so that the test looks
 * again. */
struct scene {
        struct loop *loop;
        struct bus *bus;
        struct bus_server *server;
        struct bus_link *link;
        struct loop_timer *deadline;
        bool late;
        char folder[32], endpoint[128];
        int ups, downs, requests, replies;
        bool disorder, silent, free_on_pair;
        char last[64];
        struct bus_peer peer;
        struct bus_frame kept;
        int64_t down_at_us;
};

static inline void on_deadline(void *arg)
{
        struct scene *s = arg;
        s->late = true;
        loop_stop(s->loop);
}

static inline void on_request(void *arg, const struct bus_peer *from, struct str envelope,
                              struct bus_frame *payload)
{
        struct scene *s = arg;
        s->requests++;
        s->peer = *from;
        if (str_is(envelope, "keep")) {
                s->kept = *payload;
                *payload = (struct bus_frame){0};
        } else if (!s->silent)
                CHECK_INT(bus_server_send(s->server, from, envelope, bus_frame_bytes(payload)), 0);
        loop_stop(s->loop);
}

static inline void on_up(void *arg)
{
        struct scene *s = arg;
        s->ups++;
        loop_stop(s->loop);
}

static inline void on_down(void *arg)
{
        struct scene *s = arg;
        s->downs++;
        s->down_at_us = clock_monotonic_us();
        loop_stop(s->loop);
}

static inline void on_pair(void *arg, struct str envelope, struct str payload)
{
        struct scene *s = arg;
        int number;
        if (envelope.n == sizeof(number)) {
                memcpy(&number, envelope.p, sizeof(number));
                s->disorder |= number != s->replies;
        }
        s->replies++;
        snprintf(s->last, sizeof(s->last), "%.*s", (int)payload.n, payload.p ? payload.p : "");
        if (s->free_on_pair)
                s->link = bus_link_free(s->link);
        loop_stop(s->loop);
}

static const struct bus_link_ops link_ops = {.on_up = on_up, .on_down = on_down, .on_pair = on_pair};

/* Runs the loop until the condition holds, 10 s at most. */
#define WAIT(s, condition)                                                                                   \
        do {                                                                                                 \
                (s)->late = false;                                                                           \
                loop_timer_set((s)->deadline, 10 * CLOCK_SECOND_US);                                         \
                while (!(condition) && !(s)->late)                                                           \
                        loop_run((s)->loop);                                                                 \
                loop_timer_clear((s)->deadline);                                                             \
                CHECK(condition);                                                                            \
        } while (0)

static inline void scene_init(struct scene *s)
{
        const char *error;
        *s = (struct scene){.folder = "/tmp/bus_test.XXXXXX"};
        CHECK(mkdtemp(s->folder));
        snprintf(s->endpoint, sizeof(s->endpoint), "ipc://%s/server", s->folder);
        s->loop = loop_new();
        s->deadline = loop_timer_new(s->loop, on_deadline, s);
        CHECK_INT(bus_new(&(struct bus_options){0}, &s->bus, &error), 0);
}

static inline void scene_serve(struct scene *s)
{
        char bound[128];
        CHECK_INT(bus_server_new(s->bus, s->loop, s->endpoint, on_request, s, &s->server, bound), 0);
        strcpy(s->endpoint, bound);
}

static inline void scene_link(struct scene *s)
{
        CHECK_INT(bus_link_new(s->bus, s->loop, "echo", s->endpoint, &link_ops, s, &s->link), 0);
}

static inline void scene_start(struct scene *s)
{
        scene_init(s);
        scene_serve(s);
        scene_link(s);
        WAIT(s, s->ups == 1);
}

static inline void scene_done(struct scene *s)
{
        bus_link_free(s->link);
        bus_server_free(s->server);
        bus_free(s->bus);
        loop_timer_free(s->deadline);
        loop_free(s->loop);
        char path[160];
        snprintf(path, sizeof(path), "rm -rf %s", s->folder);
        CHECK_INT(system(path), 0);
}

static inline int say(struct scene *s, const char *envelope, const char *payload)
{
        return bus_link_send(s->link, str_of(envelope), str_of(payload));
}

static inline void round_trip(struct scene *s)
{
        CHECK(bus_link_is_up(s->link));
        CHECK_INT(say(s, "e", "payload"), 0);
        WAIT(s, s->replies == 1);
        CHECK_TEXT(s->last, "payload");
        CHECK_INT(say(s, "", ""), 0);
        WAIT(s, s->replies == 2);
        CHECK_TEXT(s->last, "");
}
