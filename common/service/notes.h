/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instance that only reads has noted goes each second to the one that writes (rpc_service's notes). The loop's thread.
 */
#pragma once

#include "common/rpc/client.h"
#include "common/rpc/server.h"

struct notes;
struct notes *notes_new(struct loop *loop, const struct rpc_service *service, struct rpc_server *server, struct rpc_client *client,
                        void *state);
struct notes *notes_free(struct notes *notes); /* before the client; takes NULL */
