/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the door share: its connections as TCP sees them, and its ZAP handler.
 */
#pragma once

#include "common/bus/bus_internal.h"
#include "common/bus/door.h"

#include <sys/queue.h>

enum {
        DOOR_ROUTING_MAX = 255,
        DOOR_ROUTING_GIVEN = 5, /* the ids that libzmq gives: a zero and a number */
        DOOR_UNSENT_MAX = 64,   /* messages that may wait for one connection, in libzmq */
};

struct routing {
        uint8_t n, id[DOOR_ROUTING_MAX];
};

/* --- whom it lets in (door_keys.c) ------------------------------------------------------------------------ */

struct door_keys;
struct door_keys_ops {
        void (*on_stranger)(void *arg, const char *address, const char *key);
};
/* Binds the context's ZAP handler. */
int door_keys_new(struct bus *bus, struct loop *loop, const struct door_keys_ops *ops, void *arg,
                  struct door_keys **ret_keys) MUST_USE;
struct door_keys *door_keys_free(struct door_keys *keys); /* after the server's socket is closed */
void door_keys_set(struct door_keys *keys, const struct bus_door_key *list, size_t n);
const char *door_keys_name(const struct door_keys *keys, const char *key); /* NULL: not listed */

/* --- who is in (door_guests.c) ---------------------------------------------------------------------------- */

/* A connection, from its acceptance to its end. fd is libzmq's number for it; tcp our own descriptor of the same, so that
 * it can be looked at and ended whatever libzmq does meanwhile. */
struct guest {
        TAILQ_ENTRY(guest) all; /* in the order in which they came */
        uint64_t id;
        int fd, tcp;
        unsigned crowd; /* of those who came from where it came from */
        char address[64];
        bool spoke, cut;
        struct routing routing;
        char key[CURVE_KEY_SIZE];
        int64_t since_us;
        uint64_t read_mark; /* of TCP's count of bytes received, when its last whole message was taken */
        /* Bytes that were sent since all before had arrived, TCP's count of acknowledged ones then, and how far it has come
         * since. */
        uint64_t sent, acked_mark, acked;
        int64_t moved_us; /* when last something of it arrived */
};

struct guests;
struct guests_ops {
        void (*on_gone)(void *arg, const struct guest *guest); /* it is still there for the call */
        void (*on_cut)(void *arg, enum bus_door_cut why, const char *address);
};
/* Watches the connections of a bound socket by its monitor and, each 100 ms, their TCP. */
int guests_new(struct bus *bus, struct loop *loop, void *socket, const struct bus_door_limits *limits,
               const struct guests_ops *ops, void *arg, struct guests **ret_guests) MUST_USE;
struct guests *guests_free(struct guests *guests); /* before its socket is closed */
void guests_bound(struct guests *guests, int port); /* only connections to it are looked at */

void guests_close(struct guests *guests); /* who comes from now on is shown out */

struct guest *guests_by_id(const struct guests *guests, uint64_t id);
/* Whose message this is: by libzmq's number; NULL if it has gone meanwhile. */
struct guest *guests_said(struct guests *guests, int fd, const struct routing *routing, const char *key);
void guest_took(struct guest *guest); /* a whole message of it was taken */
/* Around the sending of a message: what is acknowledged before it says nothing of it, and it may leave at once. */
void guests_sending(struct guests *guests, struct guest *guest);
void guests_sent(struct guests *guests, struct guest *guest, size_t bytes);
uint64_t guests_unsent(struct guests *guests, struct guest *guest); /* bytes that have not arrived */
void guests_cut(struct guests *guests, struct guest *guest, enum bus_door_cut why);
struct bus_door_figures guests_figures(const struct guests *guests);
