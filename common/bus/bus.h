/* SPDX-License-Identifier: Apache-2.0
 *
 * ZeroMQ sockets on a loop: one ROUTER a service instance, one DEALER a caller and instance. Carries pairs of
 * frames (envelope, payload) and knows nothing of what they say. Only this module knows ZMQ_FD, multipart
 * messages, socket options and CURVE.
 *
 * What one turn of the loop has for one peer goes as one multipart message (at most 64 pairs, 4 MiB).
 */
#pragma once

#include "common/base/str.h"
#include "common/loop/loop.h"

struct bus; /* a ZeroMQ context and its security; one a process */

/* Something about keys for the log: a constant phrase and what it is about. Any thread; the same one at most
 * every ten minutes. */
typedef void (*bus_notice_fn)(void *arg, const char *what, const char *detail);

struct bus_options {
        int io_threads;           /* 0: 1 */
        /* The role's keys for tcp:// (a must off loopback), or NULL. Keys are Z85, 40 characters a line: self.key
         * (this role's secret), callers/NAME.pub (whom it lets in; a key under one NAME only), services/NAME.pub
         * (whom it calls, and by which key it knows them). A NAME may have several keys while one takes another's
         * place. The folder is read again each second: who is taken out of callers/ gets nothing from then on; a new
         * self.key counts for what connects after it, and for what is bound after a restart. */
        const char *curve_folder;
        bus_notice_fn on_notice; /* or NULL */
        void *notice_arg;
};
/* ret_error: a line for a person, static. */
int bus_new(const struct bus_options *options, struct bus **ret_bus, const char **ret_error) MUST_USE;
/* After its sockets; waits up to 1 s for what they had queued to leave. */
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus *, bus_free)

/* A payload that outlives its message: owns or shares the frame's memory, no copy. Move it by assignment; one
 * bus_frame_close for each. An empty one is {0}. Any thread, one at a time. */
struct bus_frame {
        union {
                unsigned char opaque_[64];
                void *align_;
        };
        bool set_;
};
/* Small payloads stand inside the frame itself: ask again after moving it. */
struct str bus_frame_bytes(const struct bus_frame *frame);
void bus_frame_close(struct bus_frame *frame);
/* One that came from no socket, with a copy of these bytes. */
struct bus_frame bus_frame_of(struct str bytes);

/* --- the serving side ----------------------------------------------------------------------------------- */

#define BUS_ROLE_SIZE 64

/* Who sent a message, for the answer: an opaque routing id. */
struct bus_peer {
        uint8_t n;
        uint8_t id[15];
        char role[BUS_ROLE_SIZE]; /* NAME in callers/ of the key that the connection has proved; empty without CURVE */
        uint8_t server;           /* for who has several: which; here it is 0 */
};

struct bus_server;
/* One pair. envelope is lent for the call; payload may be taken (set *payload = (struct bus_frame){0}). */
typedef void (*bus_request_fn)(void *arg, const struct bus_peer *from, struct str envelope,
                               struct bus_frame *payload);

/* endpoint: "ipc://PATH" (its folder must be 0700 and ours: else -EACCES; what a dead process left there
 * is replaced, a living one's is -EADDRINUSE), "tcp://127.0.0.1:PORT" (port * takes a free one), or tcp://
 * elsewhere with CURVE (without: -EACCES). ret_endpoint: what it bound to, 128 bytes. */
int bus_server_new(struct bus *bus, struct loop *loop, const char *endpoint, bus_request_fn on_request,
                   void *arg, struct bus_server **ret_server, char ret_endpoint[128]) MUST_USE;
/* Not from its callback. What is queued still leaves, until bus_free gives up on it (1 s). */
struct bus_server *bus_server_free(struct bus_server *server);
/* Queues a pair for the end of this turn. Copies both. 0; -EHOSTUNREACH: that peer is gone; -EMSGSIZE:
 * beyond 4 MiB. What fails only at the turn's end (the peer left meanwhile, or 1,000 messages wait for it)
 * is dropped and counted. */
int bus_server_send(struct bus_server *server, const struct bus_peer *to, struct str envelope,
                    struct str payload) MUST_USE;
/* To every peer that has spoken and is connected. */
void bus_server_broadcast(struct bus_server *server, struct str envelope, struct str payload);

/* --- the calling side ----------------------------------------------------------------------------------- */

struct bus_link;
struct bus_link_ops {
        void (*on_up)(void *arg); /* connected (again): greet */
        /* The connection is lost: nothing in flight will be answered on it, nothing that waited to be sent
         * will be. What had left may have been done, or may still be by a peer that lives on. */
        void (*on_down)(void *arg);
        void (*on_pair)(void *arg, struct str envelope, struct str payload); /* both lent for the call */
        /* It could not shake hands, and will try again: -EACCES, it does not know our key; -EKEYREJECTED, it
         * has not proved in four attempts to have a key by which we know the service. May be NULL. */
        void (*on_refused)(void *arg, int error);
};
/* Connects in the background and keeps reconnecting (tcp: 50 ms to 2 s, ipc: 5 to 250 ms). Errors: as
 * bus_server_new, of the endpoint; -ENOKEY: tcp:// with CURVE, and no key of that service is known. service: who is
 * expected there; kept by pointer. The link may be freed from any of its callbacks. */
int bus_link_new(struct bus *bus, struct loop *loop, const char *service, const char *endpoint,
                 const struct bus_link_ops *ops, void *arg, struct bus_link **ret_link) MUST_USE;
struct bus_link *bus_link_free(struct bus_link *link); /* without on_down; what waits to be sent is dropped */
bool bus_link_is_up(const struct bus_link *link);
/* Queues a pair for the end of this turn. Copies both. -ENOTCONN when down, -EAGAIN beyond the high-water
 * mark (1,000 messages, then 1,024 pairs), -EMSGSIZE beyond 4 MiB. */
int bus_link_send(struct bus_link *link, struct str envelope, struct str payload) MUST_USE;

/* Messages dropped because they broke the framing rules, since the start (for /metrics). */
int64_t bus_malformed_total(const struct bus *bus);
/* Pairs that a server could not deliver: their peer had gone or did not read. */
int64_t bus_dropped_total(const struct bus *bus);
