/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to Redis that mends itself: what cache.c (commands) and subscription.c share. Knows of bytes
 * and whole replies, not of which reply belongs to what.
 */
#pragma once

#include "common/cache/cache.h"

#include <sys/socket.h>

/* --- addresses (address.c) ------------------------------------------------------------------------------ */

struct address {
        struct sockaddr_storage storage;
        socklen_t size; /* 0: none */
};
int address_of_text(struct str text, struct address *ret) MUST_USE; /* as cache_options; a name is looked up: may block */
int address_of_pair(struct str host, struct str port, struct address *ret) MUST_USE; /* figures only */
bool address_equal(const struct address *a, const struct address *b);

/* --- connections (connection.c) ------------------------------------------------------------------------- */

struct connection;

struct connection_ops {
        void (*on_up)(void *arg); /* connected, authenticated, and Redis answered a PING: send now */
        void (*on_reply)(void *arg, const struct cache_reply *reply); /* lent for the call */
        /* After on_up only; -ETIMEDOUT, -EPROTO or what the socket said. */
        void (*on_lost)(void *arg, int error);
};

/* -EINVAL: no such address; other errors of resolving. Connects in the background, again after every loss. */
int connection_new(struct loop *loop, const struct cache_options *options, const struct connection_ops *ops,
                   void *arg, struct connection **ret_connection) MUST_USE;
struct connection *connection_free(struct connection *connection); /* without on_lost; not from a callback */
bool connection_is_up(const struct connection *connection);
/* Queues one command for the turn's end; only while up. */
void connection_send(struct connection *connection, const struct str *words, size_t n);
/* The same of bytes that are encoded already. */
void connection_send_encoded(struct connection *connection, struct str bytes);
/* Gives up on the connection: on_lost(error) comes, from here or at the end of the callback under way. */
void connection_drop(struct connection *connection, int error);

/* A command as Redis takes it: the head, then its words. */
void command_head(struct buf *out, size_t n_words);
void command_word(struct buf *out, struct str word);

/* --- sentinels (sentinel.c) ------------------------------------------------------------------------------ */

struct sentinels;
struct sentinels_ops {
        void (*on_primary)(void *arg, const struct address *primary); /* another one than before */
};
/* text: what follows "sentinel://". Its sentinels' names are looked up once, here. */
int sentinels_new(struct loop *loop, struct str text, const struct cache_options *options,
                  const struct sentinels_ops *ops, void *arg, struct sentinels **ret_sentinels) MUST_USE;
struct sentinels *sentinels_free(struct sentinels *sentinels); /* not from their callback */
bool sentinels_know(const struct sentinels *sentinels, struct address *ret_primary);
void sentinels_doubt(struct sentinels *sentinels); /* what they said last does not work: asks them again */

/* --- replies (reply.c): hiredis's parser, building struct cache_reply ----------------------------------- */

struct reply_reader;
struct reply_reader *reply_reader_new(void);
struct reply_reader *reply_reader_free(struct reply_reader *reader); /* takes NULL */
void reply_feed(struct reply_reader *reader, struct str bytes);
/* 1: a reply, lent until the next call; 0: none is whole yet; -EPROTO: what came is no reply, or a single one
 * beyond 64 MiB. No feeding after that. */
int reply_next(struct reply_reader *reader, const struct cache_reply **ret_reply) MUST_USE;
bool reply_is_error(const struct cache_reply *reply, const char *code); /* "NOSCRIPT" */
