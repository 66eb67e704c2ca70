/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener and its connections on one loop: accepting within the bound, one coarse tick for all deadlines
 * (a connection's is a plain store, so a request sets no timer), the Date text, and exchanges recycled with
 * their memory.
 */
#include "common/http/connection.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
        SPARE_EXCHANGES = 256,
        SPARE_BYTES = 16 * 1024, /* a buffer that grew larger is given back */
        ARENA_BYTES = 4096,
        TICK_US = 250 * 1000,
};

const struct http_limits http_default_limits = {
    .header_bytes = 16 * 1024,
    .header_fields = 100,
    .target_bytes = 8 * 1024,
    .body_bytes = 1024 * 1024,
    .gathered_bytes = 128 * 1024 * 1024,
    .unsent_bytes = 128 * 1024 * 1024,
    .pipelined = 16,
    .header_us = 10 * CLOCK_SECOND_US,
    .body_us = 10 * CLOCK_SECOND_US,
    .keep_alive_us = 75 * CLOCK_SECOND_US,
    .write_us = 30 * CLOCK_SECOND_US,
};

/* --- exchanges ------------------------------------------------------------------------------------------ */

struct http_exchange *http_exchange_new(struct http_connection *c)
{
        struct http_server *server = c->server;
        struct http_exchange *x = server->spare;
        if (x) {
                server->spare = x->next;
                server->n_spare--;
        } else {
                x = mem_zalloc(sizeof(*x));
                x->request.arena = arena_new(ARENA_BYTES);
        }
        x->next = NULL;
        x->connection = c;
        x->request.peer_address = c->peer_address;
        x->request.tls = server->options.tls;
        x->request.started_us = c->started_us;
        return x;
}

static void buf_recycle(struct buf *b)
{
        if (b->cap > SPARE_BYTES)
                buf_done(b);
        b->n = 0;
}

static void exchange_free(struct http_exchange *x)
{
        arena_free(x->request.arena);
        buf_done(&x->body);
        buf_done(&x->held);
        free(x);
}

void http_exchange_recycle(struct http_server *server, struct http_exchange *x)
{
        server->gathered -= x->body.n;
        if (server->n_spare >= SPARE_EXCHANGES) {
                exchange_free(x);
                return;
        }
        arena_reset(x->request.arena);
        buf_recycle(&x->body);
        buf_recycle(&x->held);
        *x = (struct http_exchange){
            .request.arena = x->request.arena, .body = x->body, .held = x->held, .next = server->spare};
        server->spare = x;
        server->n_spare++;
}

/* --- time ----------------------------------------------------------------------------------------------- */

const char *http_server_date(struct http_server *server)
{
        int64_t now = loop_now_us(server->loop);
        if (now < server->date_until_us)
                return server->date;
        int64_t utc = server->options.utc_us(server->arg);
        time_t seconds = (time_t)(utc / CLOCK_SECOND_US);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        snprintf(server->date, sizeof(server->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                 days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000,
                 tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
        server->date_until_us = now + CLOCK_SECOND_US - utc % CLOCK_SECOND_US;
        return server->date;
}

/* Streams that are finishing hold a descriptor too. */
static void server_update(struct http_server *server)
{
        size_t held = server->n_connections + stream_listener_finishing(server->listener);
        stream_listener_pause(server->listener, server->options.opens_later || held >= server->options.max_connections);
        if (held > 0 && !server->ticking) {
                server->ticking = true;
                loop_timer_set(server->tick, server->tick_us);
        }
}

static void on_tick(void *arg)
{
        struct http_server *server = arg;
        int64_t now = loop_now_us(server->loop);
        server->ticking = false;
        for (struct http_connection *c = server->connections, *next; c; c = next) {
                next = c->next;
                http_connection_check(c, now);
        }
        server_update(server);
}

/* Fine enough for the shortest limit. */
static int64_t tick_for(const struct http_limits *limits)
{
        int64_t shortest = limits->header_us < limits->body_us ? limits->header_us : limits->body_us;
        if (limits->keep_alive_us < shortest)
                shortest = limits->keep_alive_us;
        if (limits->write_us < shortest)
                shortest = limits->write_us;
        return shortest / 8 < TICK_US ? shortest / 8 : TICK_US;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void on_accept(void *arg, struct stream *stream, const char *peer_address)
{
        struct http_server *server = arg;
        http_connection_accept(server, stream, peer_address);
        server_update(server);
}

void http_server_forget(struct http_connection *c)
{
        struct http_server *server = c->server;
        *(c->previous ? &c->previous->next : &server->connections) = c->next;
        if (c->next)
                c->next->previous = c->previous;
        server->n_connections--;
        server_update(server);
}

int http_server_new(struct loop *loop, const struct http_server_options *options, const struct http_ops *ops,
                    void *arg, struct http_server **ret_server, int *ret_port)
{
        struct http_server *server = mem_zalloc(sizeof(*server));
        server->loop = loop;
        server->options = *options;
        server->ops = ops;
        server->arg = arg;
        stream_bound(loop, options->limits.unsent_bytes);
        int r = stream_listen(loop, options->address, options->tls, on_accept, server, &server->listener,
                              ret_port);
        if (r < 0) {
                free(server);
                return r;
        }
        server->tick = loop_timer_new(loop, on_tick, server);
        server->tick_us = tick_for(&options->limits);
        server_update(server);
        *ret_server = server;
        return 0;
}

void http_server_open(struct http_server *server)
{
        server->options.opens_later = false;
        server_update(server);
}

void http_server_drain(struct http_server *server)
{
        server->draining = true;
        stream_listener_close(server->listener);
        for (struct http_connection *c = server->connections; c; c = c->next)
                http_connection_rest(c);
}

size_t http_server_connections(const struct http_server *server)
{
        return server->n_connections + stream_listener_finishing(server->listener);
}

struct http_server *http_server_free(struct http_server *server)
{
        if (!server)
                return NULL;
        while (server->connections)
                http_connection_cut(server->connections);
        for (struct http_exchange *x = server->spare, *next; x; x = next) {
                next = x->next;
                exchange_free(x);
        }
        loop_timer_free(server->tick);
        stream_listener_free(server->listener);
        buf_done(&server->scratch);
        free(server);
        return NULL;
}
