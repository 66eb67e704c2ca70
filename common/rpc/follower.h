/* SPDX-License-Identifier: Apache-2.0
 *
 * The consumers of the instance that leads: each follows one outbox. The loop's thread, but for followers_status.
 */
#pragma once

#include "common/rpc/server_internal.h"

/* They stand until they are started. */
struct followers *followers_new(struct rpc_server *server, struct rpc_client *client);
struct followers *followers_free(struct followers *followers); /* after the lanes; takes NULL */
void followers_news(struct followers *followers);              /* our own outbox has grown; takes NULL */
void followers_start(struct followers *followers); /* from their stored cursors; takes NULL; no effect if they run */
void followers_stop(struct followers *followers);  /* nothing new until they are started again; takes NULL */
/* Any thread: appends to status. */
void followers_status(struct rpc_server *server, struct arena *arena, Nuanxin__Internal__V1__Status *status);
