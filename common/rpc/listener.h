/* SPDX-License-Identifier: Apache-2.0
 *
 * News between the instances of a service on a shared store: the leader tells how far the outbox has come, the others that
 * they have written events, and who resigns that nobody leads. Each instance listens, so that reads which wait for news wake
 * anywhere.
 */
#pragma once

#include "common/rpc/write_lane.h"

struct listener;
struct listener *listener_new(struct write_lanes *lanes); /* the loop's thread */
struct listener *listener_free(struct listener *listener); /* joins; takes NULL */

/* In an open transaction: told when it commits. */
enum listener_news {
        LISTENER_HEAD,    /* the outbox has come so far */
        LISTENER_VACANT,  /* and nobody leads any more */
        LISTENER_ARRIVED, /* (0) events wait for the leader */
        LISTENER_NEWS,    /* the service's own position (rpc_news) */
        LISTENER_WORK,    /* (0) there is news for the worker */
};
int listener_tell(struct write_lane *lane, int64_t head, enum listener_news news) MUST_USE;
/* The newest position; in a transaction or not. */
int listener_read_head(struct store_conn *db, int64_t *ret_head) MUST_USE;
