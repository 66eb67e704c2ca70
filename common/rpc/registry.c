/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry's reader: the set "instances" names the keys, their values say where each instance is.
 */
#include "common/rpc/registry.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdlib.h>

#define FAST_US 20000
#define SLOW_US CLOCK_SECOND_US

struct registry {
        struct cache *cache;
        struct fleet *fleet;
        struct loop_timer *timer;
        int64_t every_us;
        struct arena *arena; /* of the round in hand */
        const char **names;
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

static void on_values(void *arg, int error, const struct cache_reply *reply)
{
        struct registry *g = arg;
        if (error || reply->kind != CACHE_ARRAY || reply->n_items != g->n_names)
                return;
        fleet_round_begin(g->fleet);
        for (size_t k = 0; k < reply->n_items; k++) {
                struct str name = str_of(g->names[k]), endpoint = value_of(reply->items[k].text, "endpoint");
                struct instance *i;
                if (reply->items[k].kind != CACHE_TEXT || !endpoint.n) { /* its three seconds are over */
                        CACHE_COMMAND(g->cache, NULL, NULL, STR("SREM"), STR("instances"), name);
                        continue;
                }
                struct str service = str_cut(&name, ':');
                int r = fleet_add(g->fleet, arena_str(g->arena, service).p,
                                  arena_str(g->arena, endpoint).p, false, &i);
                if (r < 0)
                        log_warn("instance in the registry can't be used", "name=%s error=\"%s\"", g->names[k],
                                 strerror(-r));
                else
                        i->listed = true;
        }
        fleet_round_end(g->fleet);
}

static void on_names(void *arg, int error, const struct cache_reply *reply)
{
        struct registry *g = arg;
        if (error || reply->kind != CACHE_ARRAY || !reply->n_items)
                return; /* an emptied Redis removes nobody */
        arena_reset(g->arena);
        g->n_names = reply->n_items;
        g->names = ARENA_ARRAY(g->arena, const char *, reply->n_items);
        struct str *words = ARENA_ARRAY(g->arena, struct str, reply->n_items + 1);
        words[0] = STR("MGET");
        for (size_t k = 0; k < reply->n_items; k++) {
                struct str name = reply->items[k].text;
                g->names[k] = arena_str(g->arena, name).p;
                words[k + 1] = str_of(arena_printf(g->arena, "instance:%s", g->names[k]));
        }
        cache_command(g->cache, words, reply->n_items + 1, on_values, g);
}

static void on_timer(void *arg)
{
        struct registry *g = arg;
        if (cache_is_up(g->cache))
                CACHE_COMMAND(g->cache, on_names, g, STR("SMEMBERS"), STR("instances"));
        if (g->every_us < SLOW_US)
                g->every_us += g->every_us / 2;
        loop_timer_set(g->timer, g->every_us);
}

struct registry *registry_new(struct loop *loop, struct cache *cache, struct fleet *fleet)
{
        struct registry *g = mem_zalloc(sizeof(*g));
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
