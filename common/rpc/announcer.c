/* SPDX-License-Identifier: Apache-2.0
 *
 * A service says in the registry that it is there. instance:{service}:{id} holds "endpoint=… admin=… may_write=0|1
 * draining=0|1" with a life of 3 s; the set "instances" names the keys, so nobody has to scan Redis for them.
 */
#include "common/rpc/client.h"

#include <stdio.h>
#include <stdlib.h>

#define ANNOUNCE_EVERY_US CLOCK_SECOND_US
#define ANNOUNCE_LIFE_MS  "3000"

struct rpc_announcer {
        struct cache *cache;
        struct loop_timer *timer;
        char name[128];
        char key[160];
        char endpoint[128];
        char admin_address[64];
        bool may_write, draining;
};

static void announce(struct rpc_announcer *a)
{
        char value[320];
        int n = snprintf(value, sizeof(value), "endpoint=%s admin=%s may_write=%d draining=%d", a->endpoint,
                         a->admin_address, a->may_write, a->draining);
        CACHE_COMMAND(a->cache, NULL, NULL, STR("SADD"), STR("instances"), str_of(a->name));
        CACHE_COMMAND(a->cache, NULL, NULL, STR("SET"), str_of(a->key), str_bytes(value, (size_t)n), STR("PX"),
                      STR(ANNOUNCE_LIFE_MS));
}

static void on_timer(void *arg)
{
        struct rpc_announcer *a = arg;
        announce(a);
        loop_timer_set(a->timer, ANNOUNCE_EVERY_US);
}

int rpc_announcer_new(const struct rpc_announcer_options *o, struct rpc_announcer **ret)
{
        struct rpc_announcer *a = mem_zalloc(sizeof(*a));
        a->cache = o->cache;
        snprintf(a->name, sizeof(a->name), "%s:%s", o->service, o->instance);
        snprintf(a->key, sizeof(a->key), "instance:%s", a->name);
        snprintf(a->endpoint, sizeof(a->endpoint), "%s", o->endpoint);
        snprintf(a->admin_address, sizeof(a->admin_address), "%s", o->admin_address);
        a->timer = loop_timer_new(o->loop, on_timer, a);
        loop_timer_set(a->timer, 0);
        *ret = a;
        return 0;
}

void rpc_announcer_set(struct rpc_announcer *a, bool may_write, bool draining)
{
        if (a->may_write == may_write && a->draining == draining)
                return;
        a->may_write = may_write;
        a->draining = draining;
        announce(a);
}

struct rpc_announcer *rpc_announcer_free(struct rpc_announcer *a)
{
        if (a) {
                CACHE_COMMAND(a->cache, NULL, NULL, STR("SREM"), STR("instances"), str_of(a->name));
                CACHE_COMMAND(a->cache, NULL, NULL, STR("DEL"), str_of(a->key));
                loop_timer_free(a->timer);
                free(a);
        }
        return NULL;
}
