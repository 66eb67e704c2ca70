/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the primary is, as Redis Sentinel says: every sentinel is asked, and listened to. Each answer carries the
 * epoch of its configuration, and the newest counts; so one that was cut off misleads nobody who reaches another.
 * News (+switch-master) and doubts (the primary does not answer, or is none) are reasons to ask again, no more.
 */
#include "common/base/clock.h"
#include "common/cache/cache_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { SENTINELS_MAX = 9 };
#define PING_EVERY_US  (1000 * 1000ll)
#define PONG_WITHIN_US (1000 * 1000ll)
#define DOUBT_EVERY_US (200 * 1000ll) /* asked again at most so often */

struct sentinel {
        struct sentinels *all;
        struct connection *connection;
        struct loop_timer *timer; /* the next PING, or the end of waiting for an answer */
        bool waiting;
        bool knows; /* it has said where the primary is, on this connection */
        int64_t epoch, asked_us;
        struct address primary;
};

struct sentinels {
        struct loop *loop;
        char *name;
        const struct sentinels_ops *ops;
        void *arg;
        struct address current;
        size_t n;
        struct sentinel members[SENTINELS_MAX];
};

/* The newest of what is known now; nothing new while nobody knows. */
static void choose(struct sentinels *all)
{
        const struct sentinel *best = NULL;
        for (size_t i = 0; i < all->n; i++) {
                const struct sentinel *s = &all->members[i];
                if (s->knows && (!best || s->epoch > best->epoch))
                        best = s;
        }
        if (!best || address_equal(&best->primary, &all->current))
                return;
        all->current = best->primary;
        all->ops->on_primary(all->arg, &all->current);
}

static void heard(struct sentinel *s)
{
        s->waiting = false;
        loop_timer_set(s->timer, PING_EVERY_US);
}

static void on_up(void *arg)
{
        struct sentinel *s = arg;
        s->knows = false;
        s->waiting = true;
        s->asked_us = loop_now_us(s->all->loop);
        connection_send(s->connection, (struct str[]){STR("SENTINEL"), STR("MASTER"), str_of(s->all->name)}, 3);
        connection_send(s->connection, (struct str[]){STR("SUBSCRIBE"), STR("+switch-master")}, 2);
        loop_timer_set(s->timer, PONG_WITHIN_US);
}

static void on_timer(void *arg)
{
        struct sentinel *s = arg;
        if (s->waiting || !s->knows) {
                connection_drop(s->connection, -ETIMEDOUT);
                return;
        }
        connection_send(s->connection, (struct str[]){STR("PING")}, 1);
        s->waiting = true;
        loop_timer_set(s->timer, PONG_WITHIN_US);
}

/* Names and values in turn. */
static void take_primary(struct sentinel *s, const struct cache_reply *reply)
{
        struct str ip = {0}, port = {0}, epoch = {0};
        for (size_t i = 0; i + 1 < reply->n_items; i += 2) {
                struct str name = reply->items[i].text, value = reply->items[i + 1].text;
                if (str_is(name, "ip"))
                        ip = value;
                else if (str_is(name, "port"))
                        port = value;
                else if (str_is(name, "config-epoch"))
                        epoch = value;
        }
        if (str_to_i64(epoch, 0, INT64_MAX, &s->epoch) < 0 || address_of_pair(ip, port, &s->primary) < 0) {
                connection_drop(s->connection, -EPROTO);
                return;
        }
        s->knows = true;
        choose(s->all);
}

static void on_reply(void *arg, const struct cache_reply *reply)
{
        struct sentinel *s = arg;
        struct str what =
                reply->kind == CACHE_ARRAY && reply->n_items >= 2 ? reply->items[0].text : (struct str){0};
        if (str_is(what, "pong")) {
                heard(s);
        } else if (str_is(what, "subscribe")) {
                heard(s);
        } else if (str_is(what, "message")) { /* it may be of another primary that they look after */
                struct str text = reply->n_items == 3 ? reply->items[2].text : (struct str){0};
                if (str_is(str_cut(&text, ' '), s->all->name))
                        connection_drop(s->connection, -EAGAIN);
        } else if (what.n && !s->knows) {
                take_primary(s, reply);
        } else if (reply->kind == CACHE_ERROR && !s->knows) {
                heard(s); /* it looks after no primary of that name, or not yet: asked again when in doubt */
        } else {
                connection_drop(s->connection, -EPROTO);
        }
}

static void on_lost(void *arg, int error)
{
        struct sentinel *s = arg;
        (void)error;
        s->knows = false;
        loop_timer_clear(s->timer);
}

static const struct connection_ops sentinel_ops = {on_up, on_reply, on_lost};

void sentinels_doubt(struct sentinels *all)
{
        int64_t now = loop_now_us(all->loop);
        for (size_t i = 0; i < all->n; i++) {
                struct sentinel *s = &all->members[i];
                if (connection_is_up(s->connection) && now - s->asked_us >= DOUBT_EVERY_US)
                        connection_drop(s->connection, -EAGAIN);
        }
}

bool sentinels_know(const struct sentinels *all, struct address *ret_primary)
{
        *ret_primary = all->current;
        return all->current.size != 0;
}

/* "h1:26379,h2,[::1]:26379/NAME": a name that cannot be looked up now leaves its sentinel out, unless all do. */
int sentinels_new(struct loop *loop, struct str text, const struct cache_options *options,
                  const struct sentinels_ops *ops, void *arg, struct sentinels **ret_sentinels)
{
        struct str hosts = str_cut(&text, '/');
        struct sentinels *all = mem_zalloc(sizeof(*all));
        const struct cache_auth none = {0}, *auth = options->auth ? options->auth : &none;
        const struct cache_auth own = {.user = auth->sentinel_user, .password = auth->sentinel_password};
        all->loop = loop;
        all->name = mem_strndup(text.p ? text.p : "", text.n);
        all->ops = ops;
        all->arg = arg;
        while (hosts.n && all->n < SENTINELS_MAX) {
                struct str host = str_cut(&hosts, ',');
                struct sentinel *s = &all->members[all->n];
                char address[300];
                bool with_port = host.n && host.p[host.n - 1] != ']' && memchr(host.p, ':', host.n);
                if (!host.n || host.n > 256)
                        break;
                snprintf(address, sizeof(address), "%.*s%s", (int)host.n, host.p, with_port ? "" : ":26379");
                const struct cache_options to = {.address = address, .auth = &own, .timeout_us = options->timeout_us};
                if (connection_new(loop, &to, &sentinel_ops, s, &s->connection) < 0)
                        continue;
                s->all = all;
                s->timer = loop_timer_new(loop, on_timer, s);
                all->n++;
        }
        if (!all->n || hosts.n || !text.n || memchr(text.p, '/', text.n)) {
                sentinels_free(all);
                return -EINVAL;
        }
        *ret_sentinels = all;
        return 0;
}

struct sentinels *sentinels_free(struct sentinels *all)
{
        if (!all)
                return NULL;
        for (size_t i = 0; i < all->n; i++) {
                connection_free(all->members[i].connection);
                loop_timer_free(all->members[i].timer);
        }
        free(all->name);
        free(all);
        return NULL;
}
