/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process keeps in memory beside its store: options and the key that signs the ledger's chain. Nothing in it needs to
 * outlive the process.
 */
#pragma once

#include "common/crypto/crypto.h"

#include <pthread.h>

/* Of the command line; set before the state is made. */
struct care_options {
        const char *checkpoints; /* the folder */
};

struct care_state {
        const struct care_options *options;
        pthread_mutex_t lock; /* of what follows */
        bool has_key;
        struct signing_key key;
        int64_t unwritten_said_us; /* that checkpoints cannot be written */
};

struct care_state *care_state_new(const struct care_options *options);
struct care_state *care_state_free(struct care_state *state);
/* The pair that signs, of this keyring. Any thread; lent for the state's life. */
const struct signing_key *care_ledger_key(struct care_state *state, const struct keyring *keyring);
