/* SPDX-License-Identifier: Apache-2.0
 *
 * See state.h.
 */
#include "state.h"

#include "common/ledger/ledger.h"

#include <stdlib.h>

struct care_state *care_state_new(const struct care_options *options)
{
        struct care_state *state = mem_zalloc(sizeof(*state));
        state->options = options;
        pthread_mutex_init(&state->lock, NULL);
        return state;
}

struct care_state *care_state_free(struct care_state *state)
{
        if (!state)
                return NULL;
        signing_key_done(&state->key);
        pthread_mutex_destroy(&state->lock);
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
