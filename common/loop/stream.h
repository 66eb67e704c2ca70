/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte streams over libevent's bufferevents, plain or TLS (OpenSSL bufferevents), and the listener that
 * accepts them. What is written in one turn leaves in one write at its end. Callbacks run on the loop's
 * thread.
 */
#pragma once

#include "common/loop/loop.h"

struct stream;
struct stream_listener;
struct stream_tls; /* certificate and key, shared by listeners, reloadable */

struct stream_ops {
        /* New input: read it with stream_peek/stream_consume. */
        void (*on_input)(void *arg);
        /* What was queued has left (the output is empty again). */
        void (*on_drained)(void *arg);
        /* error 0: the peer closed its sending side; nothing more arrives, but it may still read.
         * Otherwise an errno: the connection failed, and what is queued is lost. At most one of each,
         * the failure last. */
        void (*on_closed)(void *arg, int error);
};
/* Any callback may free, finish or abort its stream. */

/* The certificate chain and key in PEM; -EINVAL with a line for a person. Reload keeps the old pair on
 * failure. */
int stream_tls_new(const char *certificate, const char *key, struct stream_tls **ret_tls,
                   const char **ret_error) MUST_USE;
int stream_tls_reload(struct stream_tls *tls, const char **ret_error) MUST_USE; /* any thread */
struct stream_tls *stream_tls_free(struct stream_tls *tls);

/* on_accept gets the new stream (it owns it: stream_free) and the peer's address as text "192.0.2.1" or
 * "2001:db8::1", lent. The stream reads nothing before stream_start. */
typedef void (*stream_accept_fn)(void *arg, struct stream *stream, const char *peer_address);

/* address: "127.0.0.1:8080", "[::1]:8080". SO_REUSEPORT, so that each thread has a listener on the same
 * port (port 0 takes a free one: pass the port found to the others). Or "fd:3": a socket that listens already and is lent
 * by whoever started this process, to others too; what waits there when we stop is theirs. tls: NULL for plain.
 * -EADDRINUSE and the like are passed on. Accepting pauses by itself for 100 ms on EMFILE and ENFILE. */
/* Off the first of several listeners that share a port: -EADDRINUSE if another process listens on it, which
 * SO_REUSEPORT would silently share with one of the same user. */
int stream_address_free(const char *address) MUST_USE;
int stream_listen(struct loop *loop, const char *address, struct stream_tls *tls, stream_accept_fn on_accept,
                  void *arg, struct stream_listener **ret_listener, int *ret_port) MUST_USE;
/* Stops accepting and cuts the streams that are finishing; others must be gone. */
struct stream_listener *stream_listener_free(struct stream_listener *listener);
void stream_listener_pause(struct stream_listener *listener, bool paused);
/* Accepts what waits (on a lent socket that is for others to do) and stops listening, for ever: a socket that only paused
 * would go on being given connections that nobody takes. */
void stream_listener_close(struct stream_listener *listener);
size_t stream_listener_finishing(const struct stream_listener *listener); /* streams after stream_finish */

void stream_start(struct stream *stream, const struct stream_ops *ops, void *arg);
struct stream *stream_free(struct stream *stream); /* closes at once, no callback; takes NULL */

/* All input that is there, contiguous, lent until consumed or the callback returns. */
struct str stream_peek(struct stream *stream);
void stream_consume(struct stream *stream, size_t n);
/* Stops reading: the peer feels it by TCP. After resuming, on_input tells only of newer input: look with
 * stream_peek. */
void stream_pause(struct stream *stream, bool paused);

/* Queued; leaves at the end of the turn, and on_drained follows (also after an empty write). */
void stream_write(struct stream *stream, struct str bytes);             /* copies */
void stream_write_static(struct stream *stream, struct str bytes);      /* the bytes live for ever */
void stream_write_take(struct stream *stream, char *malloced, size_t n); /* free()d when sent */
/* Lends them: done(bytes, n, arg) once they are not needed any more, on the loop's thread. */
void stream_write_lent(struct stream *stream, struct str bytes, void (*done)(const void *bytes, size_t n, void *arg),
                       void *arg);
/* Sends at once what the socket takes, if nothing waits before it: cheaper than to queue it, for what is alone in its turn.
 * Returns how many of the bytes that was: the rest is for the caller to write. on_drained does not follow. */
size_t stream_send(struct stream *stream, struct str bytes);
/* For an output that has no end: the kernel keeps little of it for a peer that does not read (64 KiB asked for, which
 * Linux doubles), and a peer that acknowledges nothing for a minute is gone. */
void stream_keep_little(struct stream *stream);
size_t stream_unsent(const struct stream *stream); /* bytes queued */
uint64_t stream_sent(const struct stream *stream); /* bytes that the kernel took, ever */
/* What all streams of this loop may have queued together. Beyond it those with the most fail (ENOBUFS), one after the other: who
 * does not read must not use up what others need. Once, before there are streams. */
void stream_bound(struct loop *loop, size_t bytes);
/* Memory that its owner keeps for later writing to this stream, and counts with what it has queued. */
void stream_keep(struct stream *stream, size_t bytes);
void stream_give_back(struct stream *stream, size_t bytes);
/* Memory that is lent to streams (stream_write_lent), maybe to many: whoever lends it counts it once. */
void stream_lends(struct loop *loop, size_t bytes);
void stream_lends_no_more(struct loop *loop, size_t bytes);

/* Sends what is queued, shuts the sending side, then drops what still arrives (so that the answer is not
 * lost to a reset) for at most 2 s and 256 KiB, and frees itself. The owner must not use it after; no
 * callback comes. */
void stream_finish(struct stream *stream);
/* Resets the connection, so that the peer sees it cut; frees the stream. */
void stream_abort(struct stream *stream);
