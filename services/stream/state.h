/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process keeps in memory beside its store: options and the signing key. Nothing in it needs to outlive
 * the process.
 */
#pragma once

#include "common/crypto/crypto.h"
#include "services/stream/webhook_worker.h"

#include <pthread.h>
#include <stdint.h>

/* Of the command line; set before the state is made. */
struct stream_options {
        const char *checkpoints; /* the folder */
        const char *edge_bus;    /* see service.h; or NULL */
        int64_t keep_days, keep_mib;
        int64_t segment_mib; /* of rendered events in memory */
        struct stream_webhook_options webhook;
};

struct agencies;

struct stream_state {
        const struct stream_options *options;
        struct agencies *agencies;
        pthread_mutex_t lock; /* of what follows */
        bool has_key;
        struct signing_key key;
        int64_t unwritten_said_us; /* that checkpoints cannot be written */
};

struct stream_state *stream_state_new(const struct stream_options *options);
struct stream_state *stream_state_free(struct stream_state *state);
/* The pair that signs, of this keyring. Any thread; lent for the state's life. */
const struct signing_key *stream_key(struct stream_state *state, const struct keyring *keyring);
