/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of common/bus share: the context, the making of sockets, and the framing of pairs.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/bus/curve.h"

#include <stdatomic.h>
#include <zmq.h>

enum {
        BUS_PAIRS_MAX = 64,               /* a multipart message */
        BUS_BYTES_MAX = 4 * 1024 * 1024,  /* a multipart message, and so a frame */
        BUS_TURN_MESSAGES_MAX = 64,       /* taken from a socket before others get their turn */
};

struct security; /* CURVE keys and the ZAP handler */

struct bus {
        void *context;
        struct security *security; /* NULL: only ipc:// and loopback */
        _Atomic(int64_t) malformed;
        _Atomic(int64_t) dropped;
        _Atomic(uint64_t) monitors; /* names given to monitors so far */
};

/* --- sockets (socket.c) --------------------------------------------------------------------------------- */

/* May we bind to (or connect to) it? 0; -EINVAL: not an endpoint; -EACCES: open to strangers. */
int endpoint_check(const struct bus *bus, const char *endpoint, bool bind) MUST_USE;
/* Is CURVE spoken there? */
bool endpoint_is_secured(const struct bus *bus, const char *endpoint);
/* A socket with the options that all of ours have, and CURVE where the endpoint asks for it. service: whom a DEALER
 * calls; attempt: which of that service's keys is its turn. */
int socket_new(struct bus *bus, int type, const char *endpoint, const char *service, unsigned attempt,
               void **ret_socket) MUST_USE;
int socket_fd(void *socket);
/* ZMQ_EVENTS, after the commands that wait for the socket: also re-arms the edge of its descriptor. */
int socket_events(void *socket);

/* --- CURVE (security.c) --------------------------------------------------------------------------------- */

int security_new(void *context, const struct bus_options *options, struct security **ret_security,
                 const char **ret_error) MUST_USE;
void security_stop(struct security *security); /* after zmq_ctx_shutdown, before zmq_ctx_term */
struct security *security_free(struct security *security);
/* service: whom the socket calls, by the `attempt`th of its keys; NULL: it serves. */
int security_apply(struct security *security, void *socket, const char *service, unsigned attempt) MUST_USE;
unsigned security_generation(const struct security *security); /* rises when the keys change */
/* ret_role: by which name its key is known. */
bool security_lets_in(struct security *security, struct str key, char ret_role[BUS_ROLE_SIZE]);
void security_notice(struct security *security, const char *what, const char *detail);

/* --- a role's keys (curve.c) ---------------------------------------------------------------------------- */

enum { CURVE_KEYS_EACH = 4, CURVE_NAME_SIZE = BUS_ROLE_SIZE };

struct curve_peer {
        char name[CURVE_NAME_SIZE];
        char key[CURVE_KEY_SIZE];
};
struct curve_list {
        struct curve_peer *items;
        size_t n;
};
struct curve_keys {
        char secret[CURVE_KEY_SIZE], public[CURVE_KEY_SIZE];
        struct curve_list callers, services;
};
int curve_keys_read(const char *folder, struct curve_keys **ret_keys, const char **ret_error) MUST_USE;
struct curve_keys *curve_keys_free(struct curve_keys *keys); /* wipes */
bool curve_keys_differ(const struct curve_keys *a, const struct curve_keys *b);

/* --- pairs on the wire (frame.c) ------------------------------------------------------------------------ */

/* Pairs that wait for the turn's end. */
struct outbox {
        zmq_msg_t *frames; /* envelope, payload, envelope, … */
        size_t n, cap;
};
/* Copies both. -EMSGSIZE when no message could hold them. */
int outbox_add(struct outbox *outbox, struct str envelope, struct str payload) MUST_USE;
/* Sends from frame *at on one multipart message, to a ROUTER's peer or (NULL) on a DEALER, and moves *at on.
 * -EAGAIN, -EHOSTUNREACH: nothing was sent. */
int outbox_send(struct outbox *outbox, size_t *at, void *socket, const struct bus_peer *to) MUST_USE;
void outbox_sent(struct outbox *outbox, size_t n);    /* the first n frames have left: forgets them */
void outbox_drop(struct outbox *outbox, size_t from); /* the frames from there on, and empties it */
void outbox_done(struct outbox *outbox);

/* One whole multipart message. */
struct inbox {
        zmq_msg_t frames[2 * BUS_PAIRS_MAX];
        size_t n;
        struct bus_peer from; /* on a ROUTER */
        int source_fd;        /* on a ROUTER: the connection's descriptor, or -1 */
};
/* 0; -EAGAIN: nothing is there; -EBADMSG: a message that broke the rules was dropped. */
int inbox_receive(struct inbox *inbox, void *socket, bool routed) MUST_USE;
/* The pair at frame i, its payload as the caller's to take. */
struct str inbox_envelope(struct inbox *inbox, size_t i);
struct bus_frame inbox_take_payload(struct inbox *inbox, size_t i);
void inbox_clear(struct inbox *inbox);

/* --- what becomes of a connection (monitor.c) ----------------------------------------------------------- */

struct monitor;
struct monitor_ops {
        void (*on_connected)(void *arg); /* the ZMTP handshake is done */
        void (*on_lost)(void *arg);      /* it ended, or never came about */
        void (*on_refused)(void *arg, int error); /* the handshake failed: as bus_link_ops; on_lost may follow */
};
/* Watches the connections of a socket. Events come on the loop; one may free the monitor from its
 * callback. */
int monitor_new(struct bus *bus, struct loop *loop, void *socket, const struct monitor_ops *ops, void *arg,
                struct monitor **ret_monitor) MUST_USE;
struct monitor *monitor_free(struct monitor *monitor); /* before its socket is closed */

/* The PAIR itself: of the events, as a mask. Receives without waiting; 0: nothing is there. */
int monitor_pair_open(struct bus *bus, void *socket, int events, void **ret_pair) MUST_USE;
uint16_t monitor_pair_receive(void *pair, int32_t *ret_value);
void monitor_pair_close(void *pair, void *socket); /* before its socket is closed */

/* --- ZAP (zap.c) ------------------------------------------------------------------------------------------ */

#define ZAP_TEXT_MAX 256
struct zap_request {
        char sender[ZAP_TEXT_MAX]; /* on a ROUTER: whom to answer */
        int sender_size;
        char frames[7][ZAP_TEXT_MAX];
        int sizes[7];
        int n; /* frames that came, which may be more than are kept */
};
enum zap_status { ZAP_LET_IN, ZAP_COME_AGAIN, ZAP_REFUSED };
/* The context's handler; one only. type: ZMQ_REP answers each request before it takes the next; ZMQ_ROUTER in any order. */
int zap_open(void *context, int type, void **ret_zap) MUST_USE;
/* 0; -EAGAIN with ZMQ_DONTWAIT: none is there; -ETERM at the context's end. */
int zap_receive(void *zap, int type, int flags, struct zap_request *ret_request) MUST_USE;
/* The caller's public key as Z85; false if it is no valid request with CURVE: then key is empty. */
bool zap_key(const struct zap_request *request, char ret_key[CURVE_KEY_SIZE]);
struct str zap_address(const struct zap_request *request);
/* key: by which the connection's messages name the caller (User-Id). */
void zap_answer(void *zap, int type, const struct zap_request *request, enum zap_status status, const char *key);
