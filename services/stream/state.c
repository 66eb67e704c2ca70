/* SPDX-License-Identifier: Apache-2.0
 *
 * See state.h.
 */
#include "services/stream/state.h"

#include "services/stream/agencies.h"
#include "services/stream/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct stream_state *stream_state_new(const struct stream_options *options)
{
        struct stream_state *state = mem_zalloc(sizeof(*state));
        state->options = options;
        state->agencies = agencies_new((size_t)options->segment_mib * 1024 * 1024);
        pthread_mutex_init(&state->lock, NULL);
        return state;
}

struct stream_state *stream_state_free(struct stream_state *state)
{
        if (!state)
                return NULL;
        agencies_free(state->agencies);
        signing_key_done(&state->key);
        pthread_mutex_destroy(&state->lock);
        free(state);
        return NULL;
}

const struct signing_key *stream_key(struct stream_state *state, const struct keyring *keyring)
{
        pthread_mutex_lock(&state->lock);
        if (!state->has_key)
                signing_key_derive(keyring, CHAIN_KEY_PURPOSE, &state->key);
        state->has_key = true;
        pthread_mutex_unlock(&state->lock);
        return &state->key;
}

struct agencies *agencies_in(void *state)
{
        return ((const struct stream_state *)state)->agencies;
}

struct agencies *agencies_of(const struct rpc_call *call)
{
        const struct stream_state *state = rpc_state(call);
        return state->agencies;
}

void log_sign(struct rpc_call *call, const char epoch[LOG_EPOCH_SIZE], int64_t through, const unsigned char head[CHAIN_SIZE],
              unsigned char out[SIGNATURE_SIZE])
{
        char cursor[LOG_CURSOR_SIZE], text[CHAIN_BATCH_TEXT_MAX];
        snprintf(cursor, sizeof(cursor), "%s:%" PRId64, epoch, through);
        signing_key_sign(stream_key(rpc_state(call), rpc_keyring(call)), chain_batch_text(text, cursor, head), out);
}
