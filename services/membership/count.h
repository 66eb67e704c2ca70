/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts over subtrees, kept by following the service's own events: no write of a member touches a row that
 * others share, and no read adds up a subtree.
 */
#pragma once

#include "common/rpc/server.h"

int count_apply(struct rpc_call *call, const struct rpc_event *events, size_t n);
int count_reset(struct rpc_call *call);
