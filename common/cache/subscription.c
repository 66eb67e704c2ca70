/* SPDX-License-Identifier: Apache-2.0
 *
 * A subscription: a connection of its own that listens, and asks Redis all the time whether it still talks to
 * us. A broken promise of being told is worse than none, so silence counts as loss.
 */
#include "common/base/clock.h"
#include "common/cache/cache_internal.h"

#include <stdlib.h>

enum { PING_EVERY_US = 500 * 1000, PONG_WITHIN_US = 1000 * 1000 };

struct cache_subscription {
        struct connection *connection;
        struct loop_timer *timer; /* the next PING, or the end of waiting for its answer */
        const struct cache_subscription_ops *ops;
        void *arg;
        struct str *words; /* SUBSCRIBE and the channels, kept by pointer */
        size_t n_channels;
        size_t confirmed; /* channels; alive with all of them */
        bool waiting;     /* for a PONG, or for the confirmations */
};

static void on_up(void *arg)
{
        struct cache_subscription *s = arg;
        s->confirmed = 0;
        s->waiting = true;
        connection_send(s->connection, s->words, 1 + s->n_channels);
        loop_timer_set(s->timer, PONG_WITHIN_US);
}

static void heard(struct cache_subscription *s)
{
        s->waiting = false;
        loop_timer_set(s->timer, PING_EVERY_US);
}

static void on_timer(void *arg)
{
        struct cache_subscription *s = arg;
        if (s->waiting) {
                connection_drop(s->connection, -ETIMEDOUT);
                return;
        }
        connection_send(s->connection, (struct str[]){STR("PING")}, 1);
        s->waiting = true;
        loop_timer_set(s->timer, PONG_WITHIN_US);
}

/* Arrays of "subscribe" channel count, "message" channel payload, "pong" text. */
static void on_reply(void *arg, const struct cache_reply *reply)
{
        struct cache_subscription *s = arg;
        struct str what =
            reply->kind == CACHE_ARRAY && reply->n_items >= 2 ? reply->items[0].text : (struct str){0};
        if (str_is(what, "message") && reply->n_items == 3) {
                s->ops->on_message(s->arg, reply->items[1].text, reply->items[2].text);
        } else if (str_is(what, "pong")) {
                heard(s);
        } else if (str_is(what, "subscribe")) {
                if (++s->confirmed < s->n_channels)
                        return;
                heard(s);
                s->ops->on_alive(s->arg, true);
        } else {
                connection_drop(s->connection, -EPROTO);
        }
}

static void on_lost(void *arg, int error)
{
        struct cache_subscription *s = arg;
        (void)error;
        loop_timer_clear(s->timer);
        bool was_alive = s->confirmed == s->n_channels;
        s->confirmed = 0;
        if (was_alive)
                s->ops->on_alive(s->arg, false);
}

static const struct connection_ops subscription_ops = {on_up, on_reply, on_lost};

int cache_subscribe(struct loop *loop, const struct cache_options *options, const char *const *channels,
                    size_t n_channels, const struct cache_subscription_ops *ops, void *arg,
                    struct cache_subscription **ret_subscription)
{
        struct cache_subscription *s = mem_zalloc(sizeof(*s));
        int r = connection_new(loop, options, &subscription_ops, s, &s->connection);
        if (r < 0) {
                free(s);
                return r;
        }
        s->ops = ops;
        s->arg = arg;
        s->n_channels = n_channels;
        s->words = mem_zalloc((1 + n_channels) * sizeof(*s->words));
        s->words[0] = STR("SUBSCRIBE");
        for (size_t i = 0; i < n_channels; i++)
                s->words[1 + i] = str_of(channels[i]);
        s->timer = loop_timer_new(loop, on_timer, s);
        *ret_subscription = s;
        return 0;
}

struct cache_subscription *cache_subscription_free(struct cache_subscription *s)
{
        if (!s)
                return NULL;
        connection_free(s->connection);
        loop_timer_free(s->timer);
        free(s->words);
        free(s);
        return NULL;
}
