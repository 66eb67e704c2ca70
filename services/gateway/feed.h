/* SPDX-License-Identifier: Apache-2.0
 *
 * The fetches behind event streams: one long poll of the service for all readers of one thread that are the same principal,
 * ask for the same and stand at the same cursor; its events are put into their form once for all of them.
 *
 * Every fetch carries the principal, so a key that is revoked, an agency that is suspended or an agreement that has ended
 * ends its streams with the next fetch: FEED_WAIT_S at the latest.
 */
#pragma once

#include "common/rpc/client.h"
#include "services/gateway/route.h"

#include <sys/queue.h>

#define FEED_CURSOR_SIZE 65
#define FEED_WAIT_S      10 /* a fetch waits so long for news */

struct worker;
struct feed;
struct feed_fetch;
struct http_shared;

/* What a reader is told. */
struct feed_answer {
        const struct rpc_result *result; /* a failure or a refusal; else: */
        char cursor[FEED_CURSOR_SIZE];   /* where to go on */
        struct http_shared *events;      /* text/event-stream, lent; NULL: none */
        size_t events_n;                 /* its bytes */
        bool latest;                     /* there is nothing more now */
};

/* Embed it. */
struct feed_reader {
        void (*on_answer)(struct feed_reader *reader, const struct feed_answer *answer);
        struct feed *feed;        /* NULL: it has not entered */
        struct feed_fetch *fetch; /* whose answer it waits for, or NULL */
        TAILQ_ENTRY(feed_reader) list;
};

struct feeds; /* of one thread */
struct feeds *feeds_new(struct worker *worker);
struct feeds *feeds_free(struct feeds *feeds); /* after its readers have left */

/* A reader of the route's method, as this principal (packed), with this request message (its cursor and wait do not
 * matter). It leaves before it goes. */
void feed_enter(struct feeds *feeds, struct feed_reader *reader, struct route *route, struct str principal,
                ProtobufCMessage *message);
void feed_leave(struct feed_reader *reader); /* one that has not entered, too */

/* Asks for what comes after the cursor: on_answer comes once, later. waits: if there is nothing yet, for FEED_WAIT_S, and
 * while the service cannot be reached (on_answer then hears nothing of that); else the answer is what there is now, and the
 * cursor is the client's own, which acknowledges what came before it. */
void feed_ask(struct feed_reader *reader, const char *cursor, bool waits);
