/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a door lets in: a list of keys, asked in each handshake (ZAP) and for each message again.
 */
#include "common/bus/door_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct door_keys {
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

void door_keys_set(struct door_keys *keys, const struct bus_door_key *list, size_t n)
{
        keys->list = mem_realloc(keys->list, (n + 1) * sizeof(*list));
        if (n)
                memcpy(keys->list, list, n * sizeof(*list));
        keys->n = n;
        keys->known = true;
        qsort(keys->list, n, sizeof(*list), compare_keys);
}

static void serve(struct door_keys *keys, const struct zap_request *request)
{
        char key[CURVE_KEY_SIZE], address[64];
        bool listed = zap_key(request, key) && door_keys_name(keys, key);
        zap_answer(keys->zap, request, listed ? ZAP_LET_IN : keys->known ? ZAP_REFUSED : ZAP_COME_AGAIN, key);
        if (listed || !keys->known)
                return;
        struct str from = zap_address(request);
        snprintf(address, sizeof(address), "%.*s", (int)(from.n < sizeof(address) ? from.n : sizeof(address) - 1), from.p);
        keys->ops->on_stranger(keys->arg, address, key);
}

static void on_readable(void *arg, int events)
{
        struct door_keys *keys = arg;
        struct zap_request request;
        (void)events;
        for (int taken = 0; taken < BUS_TURN_MESSAGES_MAX; taken++) {
                if (zap_receive(keys->zap, ZMQ_DONTWAIT, &request) < 0)
                        return; /* libzmq looked at its mailbox once more before it said so: the edge is armed */
                serve(keys, &request);
        }
        loop_fd_activate(keys->watch, LOOP_READ);
}

int door_keys_new(struct bus *bus, struct loop *loop, const struct door_keys_ops *ops, void *arg, struct door_keys **ret_keys)
{
        void *zap;
        int r = zap_open(bus->context, &zap);
        if (r < 0)
                return r;
        struct door_keys *keys = mem_zalloc(sizeof(*keys));
        *keys = (struct door_keys){.zap = zap, .ops = ops, .arg = arg};
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
        zmq_close(keys->zap);
        free(keys->list);
        free(keys);
        return NULL;
}
