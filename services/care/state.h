/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process keeps in memory beside its store: options, the key that signs the ledger's chain, and programmes' documents as
 * they are unpacked. Nothing in it needs to outlive the process.
 */
#pragma once

#include "common/crypto/crypto.h"

#include "contract/care_v1.h"

#include <pthread.h>

#define DOCUMENTS_KEPT 128 /* what comes later is unpacked each time */

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
        struct arena *arena;       /* of the documents */
        size_t n_documents;
        struct {
                char hash[65];
                const ProgrammeDocument *document;
        } documents[DOCUMENTS_KEPT];
};

struct care_state *care_state_new(const struct care_options *options);
struct care_state *care_state_free(struct care_state *state);
/* The pair that signs, of this keyring. Any thread; lent for the state's life. */
const struct signing_key *care_ledger_key(struct care_state *state, const struct keyring *keyring);
/* The document of that hash, for the state's life; NULL: it is not kept. Any thread. */
const ProgrammeDocument *care_document_find(struct care_state *state, const char *hash);
/* Unpacks it and keeps it; *ret is NULL if no more are kept. */
int care_document_keep(struct care_state *state, const char *hash, struct str packed, const ProgrammeDocument **ret) MUST_USE;
