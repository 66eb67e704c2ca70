/* SPDX-License-Identifier: Apache-2.0
 *
 * A ROUTER that strangers reach, with CURVE and a ZAP handler of its own: only listed keys get past the handshake.
 * What one of them may cost is bounded here, for libzmq does not: its high-water marks count whole messages only, and it
 * tells nobody what a peer has not taken. So each connection's TCP is looked at: what came in since its last whole
 * message, and what left but was not acknowledged. Whoever goes beyond a bound is cut, and may connect again.
 *
 * Routing ids that a peer has chosen are refused: an answer goes to whoever has the id by then, and nobody is to choose
 * to be somebody else. Everything runs on the loop's thread.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/bus/curve.h"

#define BUS_DOOR_PARTS_MAX 8   /* of a message; whoever sends more is told as one that sent none */
#define BUS_DOOR_NAME_SIZE 128

struct bus_door;

/* Why a connection was ended here. */
enum bus_door_cut {
        BUS_DOOR_CUT_HANDSHAKE,  /* it came and went without a word: no CURVE, or a key that is not listed (libzmq ends it) */
        BUS_DOOR_CUT_PROTOCOL,   /* a frame beyond the bound, or no ZMTP (libzmq ends it) */
        BUS_DOOR_CUT_SILENT,     /* never said a word */
        BUS_DOOR_CUT_CROWD,      /* too many that have not said a word: the oldest goes */
        BUS_DOOR_CUT_UNFINISHED, /* sent more than allowed without ending a message */
        BUS_DOOR_CUT_STALLED,    /* took nothing for a while of what was sent to it */
        BUS_DOOR_CUT_FULL,       /* had the most of all that waits to leave, which is too much in all */
        BUS_DOOR_CUT_ASKED,      /* bus_door_cut */
        BUS_DOOR_CUTS
};
extern const char *const bus_door_cut_names[BUS_DOOR_CUTS]; /* for counters: "silent" */

struct bus_door_ops {
        /* A whole message: its parts are lent for the call. name: of its key; empty if that is not listed any more, or
         * NULL if the connection has chosen its routing id. n may be 0: nothing, or more than BUS_DOOR_PARTS_MAX. */
        void (*on_message)(void *arg, uint64_t connection, const char *name, const struct str *parts, size_t n);
        void (*on_gone)(void *arg, uint64_t connection); /* of one that has said something */
        /* A handshake with a key that is not listed; address: of the peer. */
        void (*on_stranger)(void *arg, const char *address, const char *key);
        void (*on_cut)(void *arg, enum bus_door_cut why, const char *address);
};

struct bus_door_limits {
        size_t frame_max;      /* bytes; libzmq ends the connection of who sends a longer one */
        size_t unfinished_max; /* bytes since the last whole message */
        size_t unsent_max;     /* bytes that wait to leave, of all connections */
        size_t unspoken_max;   /* connections that have not said a word */
        int64_t unspoken_us;   /* for so long */
        int64_t stalled_us;
};
extern const struct bus_door_limits bus_door_limits; /* the usual ones */

struct bus_door_options {
        const char *endpoint; /* "tcp://0.0.0.0:9080"; port * takes a free one */
        int listen_fd;        /* a socket that listens already, lent by who started us; -1: none */
        const char *secret;   /* the door's own CURVE secret key, Z85 */
        struct bus_door_limits limits;
};
/* bus: without CURVE keys of its own, for this door alone. -EINVAL: no endpoint or key. Until keys are given everybody is
 * told to come again. listen_fd is closed in the end. ret_endpoint: what it bound to. */
int bus_door_new(struct bus *bus, struct loop *loop, const struct bus_door_options *options, const struct bus_door_ops *ops,
                 void *arg, struct bus_door **ret_door, char ret_endpoint[128]) MUST_USE;
/* Not from its callbacks. What is queued still leaves, until bus_free gives up on it (1 s). */
struct bus_door *bus_door_free(struct bus_door *door);
void bus_door_close(struct bus_door *door); /* lets nobody in from now on; who is in stays */

/* Who may come in, from now on: their public keys (Z85), each with a name. Copied. */
struct bus_door_key {
        char key[CURVE_KEY_SIZE], name[BUS_DOOR_NAME_SIZE];
};
void bus_door_let_in(struct bus_door *door, const struct bus_door_key *keys, size_t n);

/* Sends a message: parts (copied), then last, whose memory goes over and which is empty afterwards. 0; -EHOSTUNREACH: the
 * connection is gone; -EAGAIN: it has too much waiting. */
int bus_door_send(struct bus_door *door, uint64_t connection, const struct str *parts, size_t n, struct buf *last) MUST_USE;
/* How many bytes sent to it have not yet reached its host. */
uint64_t bus_door_unsent(struct bus_door *door, uint64_t connection);
void bus_door_cut(struct bus_door *door, uint64_t connection);

struct bus_door_figures {
        size_t connections, unspoken;
        uint64_t unsent_bytes;
};
struct bus_door_figures bus_door_figures(const struct bus_door *door);
