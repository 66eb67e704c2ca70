/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker that sends events to webhooks.
 */
#pragma once

#include "common/rpc/worker.h"

struct stream_webhook_options {
        bool allow_loopback;     /* for tests: endpoints on this host, and plain http to them */
        const char *authorities; /* a PEM file with certificates to trust beside the system's, or NULL */
        const char *origin;      /* who sends, in the handshake: a name of the DNS */
};

extern const struct rpc_worker_kind webhook_worker;
