/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the log is next for an endpoint: by the same view as every other way to read it.
 */
#pragma once

#include "services/stream/webhook.h"

#include "common/rpc/rpc.h"

struct fetched {
        int64_t seq; /* 0: nothing for it up to `through` */
        const char *id;
        struct str json; /* a CloudEvent */
        int64_t through, latest;
};
#define WEBHOOK_E_BARRED 1002 /* its agency is suspended, or the agreement has expired */
#define WEBHOOK_E_LOST   1003 /* the log begins later */
/* most: look no further than there; 0: to the end. In the arena. */
int webhook_fetch(struct rpc_call *call, struct arena *arena, const struct endpoint *endpoint, int64_t after, int64_t most,
                  struct fetched *ret) MUST_USE;
