/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a door lets in: a list of keys, asked in each handshake (ZAP) and for each message again.
 *
 * libzmq does not try again by itself once it was refused. So who comes with a key that was made a moment ago, and is not
 * yet listed here, waits for a moment before he hears that; and while there is no list, everybody is told to come again.
 */
#include "common/base/clock.h"
#include "common/bus/door_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define GRACE_US (CLOCK_SECOND_US / 2)

enum { WAITING_MAX = 64 };

struct waiting {
        struct zap_request request;
        char key[CURVE_KEY_SIZE];
        int64_t until_us;
};

struct door_keys {
        struct waiting *waiting; /* for the list to name them, the first to give up first */
        size_t n_waiting;
        struct loop_timer *timer;
        void *zap;
        struct loop_fd *watch;
        const struct door_keys_ops *ops;
        void *arg;
        struct bus_door_key *list; /* sorted by key */
        size_t n;
        bool known; /* a list was given */
};

static int compare_keys(const void *a, const void *b)
{
        return strcmp(((const struct bus_door_key *)a)->key, ((const struct bus_door_key *)b)->key);
}

const char *door_keys_name(const struct door_keys *keys, const char *key)
{
        struct bus_door_key wanted = {0};
        snprintf(wanted.key, sizeof(wanted.key), "%s", key);
        const struct bus_door_key *found = keys->n ? bsearch(&wanted, keys->list, keys->n, sizeof(wanted), compare_keys) : NULL;
        return found ? found->name : NULL;
}

/* --- handshakes -------------------------------------------------------------------------------------------- */

static void refuse(struct door_keys *keys, const struct zap_request *request, const char *key)
{
        char address[64];
        struct str from = zap_address(request);
        zap_answer(keys->zap, ZMQ_ROUTER, request, ZAP_REFUSED, key);
        snprintf(address, sizeof(address), "%.*s", (int)(from.n < sizeof(address) ? from.n : sizeof(address) - 1), from.p);
        keys->ops->on_stranger(keys->arg, address, key);
}

/* Lets in whom the list names by now, and gives up on who has waited for long enough. */
static void look_again(struct door_keys *keys)
{
        int64_t now_us = clock_monotonic_us();
        size_t kept = 0;
        for (size_t i = 0; i < keys->n_waiting; i++) {
                struct waiting *w = &keys->waiting[i];
                if (door_keys_name(keys, w->key))
                        zap_answer(keys->zap, ZMQ_ROUTER, &w->request, ZAP_LET_IN, w->key);
                else if (now_us >= w->until_us)
                        refuse(keys, &w->request, w->key);
                else if (kept++ != i)
                        keys->waiting[kept - 1] = *w;
        }
        keys->n_waiting = kept;
        if (kept)
                loop_timer_set(keys->timer, keys->waiting[0].until_us > now_us ? keys->waiting[0].until_us - now_us : 0);
}

static void on_timer(void *arg)
{
        struct door_keys *keys = arg;
        look_again(keys);
        loop_fd_activate(keys->watch, LOOP_READ); /* answering may have taken the signal of what came in meanwhile */
}

static void serve(struct door_keys *keys, const struct zap_request *request)
{
        char key[CURVE_KEY_SIZE];
        bool valid = zap_key(request, key);
        if (valid && door_keys_name(keys, key)) {
                zap_answer(keys->zap, ZMQ_ROUTER, request, ZAP_LET_IN, key);
        } else if (!keys->known) {
                zap_answer(keys->zap, ZMQ_ROUTER, request, ZAP_COME_AGAIN, key);
        } else if (!valid || keys->n_waiting == WAITING_MAX) {
                refuse(keys, request, key);
        } else {
                struct waiting *w = &keys->waiting[keys->n_waiting++];
                *w = (struct waiting){.request = *request, .until_us = clock_monotonic_us() + GRACE_US};
                memcpy(w->key, key, sizeof(w->key));
                if (keys->n_waiting == 1)
                        loop_timer_set(keys->timer, GRACE_US);
        }
}

void door_keys_set(struct door_keys *keys, const struct bus_door_key *list, size_t n)
{
        keys->list = mem_realloc(keys->list, (n + 1) * sizeof(*list));
        if (n)
                memcpy(keys->list, list, n * sizeof(*list));
        keys->n = n;
        keys->known = true;
        qsort(keys->list, n, sizeof(*list), compare_keys);
        on_timer(keys);
}

static void on_readable(void *arg, int events)
{
        struct door_keys *keys = arg;
        struct zap_request request;
        (void)events;
        for (int taken = 0; taken < BUS_TURN_MESSAGES_MAX; taken++) {
                if (zap_receive(keys->zap, ZMQ_ROUTER, ZMQ_DONTWAIT, &request) < 0)
                        return; /* libzmq looked at its mailbox once more before it said so: the edge is armed */
                serve(keys, &request);
        }
        loop_fd_activate(keys->watch, LOOP_READ);
}

int door_keys_new(struct bus *bus, struct loop *loop, const struct door_keys_ops *ops, void *arg, struct door_keys **ret_keys)
{
        void *zap;
        int r = zap_open(bus->context, ZMQ_ROUTER, &zap);
        if (r < 0)
                return r;
        struct door_keys *keys = mem_zalloc(sizeof(*keys));
        *keys = (struct door_keys){.zap = zap, .ops = ops, .arg = arg};
        keys->waiting = mem_zalloc(WAITING_MAX * sizeof(*keys->waiting));
        keys->timer = loop_timer_new(loop, on_timer, keys);
        keys->watch = loop_fd_new(loop, socket_fd(zap), on_readable, keys);
        loop_fd_want(keys->watch, LOOP_READ);
        loop_fd_activate(keys->watch, LOOP_READ);
        *ret_keys = keys;
        return 0;
}

struct door_keys *door_keys_free(struct door_keys *keys)
{
        if (!keys)
                return NULL;
        loop_fd_free(keys->watch);
        loop_timer_free(keys->timer);
        zmq_close(keys->zap);
        free(keys->waiting);
        free(keys->list);
        free(keys);
        return NULL;
}
