/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry's reader: the set "instances" names the keys, their values say where each instance is. What an
 * instance may do it says itself, in its Hello.
 */
#include "common/rpc/registry.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdlib.h>

#define FAST_US       20000
#define SLOW_US       CLOCK_SECOND_US
#define NAMES_MAX     512 /* looked at in a round; names without a value leave the set, so the others get their turn */
#define WARN_EVERY_US CLOCK_MINUTE_US

struct registry {
        struct loop *loop;
        struct cache *cache;
        struct fleet *fleet;
        struct loop_timer *timer;
        int64_t every_us;
        int64_t warned_us;
        bool asking;         /* a round is under way */
        struct arena *arena; /* of that round */
        struct str *names;
        size_t n_names;
};

static struct str value_of(struct str text, const char *key)
{
        while (text.n) {
                struct str word = str_cut(&text, ' ');
                struct str name = str_cut(&word, '=');
                if (str_is(name, key))
                        return word;
        }
        return (struct str){0};
}

static void warn(struct registry *g, struct str name, int r)
{
        int64_t now = loop_now_us(g->loop);
        if (g->warned_us && now - g->warned_us < WARN_EVERY_US)
                return;
        g->warned_us = now;
        log_warn("an instance in the registry can't be used", "name=%.*s error=%s", (int)name.n, name.p, strerror(-r));
}

/* name: "SERVICE:INSTANCE". */
static int add_instance(struct registry *g, struct str name, struct str endpoint)
{
        struct instance *i;
        struct str service = str_cut(&name, ':');
        if (!service.n || !name.n || memchr(name.p, ':', name.n) || memchr(endpoint.p, '\0', endpoint.n))
                return -EINVAL;
        int r = fleet_add(g->fleet, arena_str(g->arena, service).p, arena_str(g->arena, endpoint).p, false, &i);
        if (r == -ENOKEY && fleet_is_self(g->fleet, service))
                return 0; /* keys say whom a role calls, and that is not itself */
        if (r == 0)
                i->listed = true;
        return r;
}

static void on_values(void *arg, int error, const struct cache_reply *reply)
{
        struct registry *g = arg;
        g->asking = false;
        if (error || reply->kind != CACHE_ARRAY || reply->n_items != g->n_names)
                return;
        struct str *gone = ARENA_ARRAY(g->arena, struct str, 2 + g->n_names);
        size_t n_gone = 0;
        gone[n_gone++] = STR("SREM");
        gone[n_gone++] = STR("instances");
        fleet_round_begin(g->fleet);
        for (size_t k = 0; k < reply->n_items; k++) {
                struct str endpoint = value_of(reply->items[k].text, "endpoint");
                int r = endpoint.n ? add_instance(g, g->names[k], endpoint) : 0;
                if (r < 0)
                        warn(g, g->names[k], r);
                if (!endpoint.n) /* its three seconds are over */
                        gone[n_gone++] = g->names[k];
        }
        fleet_round_end(g->fleet);
        if (n_gone > 2)
                cache_command(g->cache, gone, n_gone, NULL, NULL);
}

static void on_names(void *arg, int error, const struct cache_reply *reply)
{
        struct registry *g = arg;
        g->asking = !error && reply->kind == CACHE_ARRAY && reply->n_items; /* an emptied Redis removes nobody */
        if (!g->asking)
                return;
        arena_reset(g->arena);
        g->n_names = reply->n_items < NAMES_MAX ? reply->n_items : NAMES_MAX;
        g->names = ARENA_ARRAY(g->arena, struct str, g->n_names);
        struct str *words = ARENA_ARRAY(g->arena, struct str, g->n_names + 1);
        words[0] = STR("MGET");
        for (size_t k = 0; k < g->n_names; k++) {
                g->names[k] = arena_str(g->arena, reply->items[k].text);
                words[k + 1] = str_of(arena_printf(g->arena, "instance:%.*s", (int)g->names[k].n, g->names[k].p));
        }
        cache_command(g->cache, words, g->n_names + 1, on_values, g);
}

static void on_timer(void *arg)
{
        struct registry *g = arg;
        if (cache_is_up(g->cache) && !g->asking) {
                g->asking = true;
                CACHE_COMMAND(g->cache, on_names, g, STR("SMEMBERS"), STR("instances"));
        }
        if (g->every_us < SLOW_US)
                g->every_us += g->every_us / 2;
        loop_timer_set(g->timer, g->every_us);
}

struct registry *registry_new(struct loop *loop, struct cache *cache, struct fleet *fleet)
{
        struct registry *g = mem_zalloc(sizeof(*g));
        g->loop = loop;
        g->cache = cache;
        g->fleet = fleet;
        g->arena = arena_new(16384);
        g->every_us = FAST_US;
        g->timer = loop_timer_new(loop, on_timer, g);
        loop_timer_set(g->timer, 0);
        return g;
}

struct registry *registry_free(struct registry *g)
{
        if (g) {
                loop_timer_free(g->timer);
                arena_free(g->arena);
                free(g);
        }
        return NULL;
}
