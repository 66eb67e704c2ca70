/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the calling half: a request's part that stays the same in all its attempts.
 */
#pragma once

#include "common/rpc/client.h"

/* Appends it, packed. A write without an idempotency key gets one. */
void request_pack(struct buf *out, const struct rpc_request *request, bool write);
