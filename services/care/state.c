/* SPDX-License-Identifier: Apache-2.0
 *
 * See state.h.
 */
#include "state.h"

#include "common/contract/message.h"
#include "common/ledger/ledger.h"

#include <stdlib.h>

struct care_state *care_state_new(const struct care_options *options)
{
        struct care_state *state = mem_zalloc(sizeof(*state));
        state->options = options;
        state->arena = arena_new(4096);
        pthread_mutex_init(&state->lock, NULL);
        return state;
}

struct care_state *care_state_free(struct care_state *state)
{
        if (!state)
                return NULL;
        signing_key_done(&state->key);
        pthread_mutex_destroy(&state->lock);
        arena_free(state->arena);
        free(state);
        return NULL;
}

const struct signing_key *care_ledger_key(struct care_state *state, const struct keyring *keyring)
{
        pthread_mutex_lock(&state->lock);
        if (!state->has_key)
                signing_key_derive(keyring, LEDGER_KEY_PURPOSE, &state->key);
        state->has_key = true;
        pthread_mutex_unlock(&state->lock);
        return &state->key;
}

static const ProgrammeDocument *find(const struct care_state *state, const char *hash)
{
        for (size_t i = 0; i < state->n_documents; i++)
                if (strcmp(state->documents[i].hash, hash) == 0)
                        return state->documents[i].document;
        return NULL;
}

const ProgrammeDocument *care_document_find(struct care_state *state, const char *hash)
{
        pthread_mutex_lock(&state->lock);
        const ProgrammeDocument *found = find(state, hash);
        pthread_mutex_unlock(&state->lock);
        return found;
}

int care_document_keep(struct care_state *state, const char *hash, struct str packed, const ProgrammeDocument **ret)
{
        ProtobufCMessage *message = NULL;
        int r = 0;
        pthread_mutex_lock(&state->lock);
        *ret = find(state, hash); /* another thread may have */
        if (!*ret && state->n_documents < DOCUMENTS_KEPT && strlen(hash) < sizeof(state->documents[0].hash)) {
                r = message_unpack(state->arena, &care_v1_programme_document_msg, packed.p, packed.n, &message);
                if (r == 0) {
                        memcpy(state->documents[state->n_documents].hash, hash, strlen(hash) + 1);
                        *ret = state->documents[state->n_documents++].document = (const ProgrammeDocument *)message;
                }
        }
        pthread_mutex_unlock(&state->lock);
        return r;
}
