/* SPDX-License-Identifier: Apache-2.0
 *
 * How the log stands.
 */
#include "services/stream/agencies.h"
#include "services/stream/handle.h"
#include "services/stream/state.h"
#include "services/stream/store.h"

int handle_get_log(struct rpc_call *call, const GetLogRequest *request, Log *response)
{
        struct log_position position;
        char epoch[40], cursor[LOG_CURSOR_SIZE];
        (void)request;
        rpc_require_nothing(call);
        int r = log_position(rpc_db(call), &position);
        if (r == 0)
                r = log_epoch_load(rpc_db(call), epoch);
        if (r != 0)
                return r;
        const struct signing_key *key = stream_key(rpc_state(call), rpc_keyring(call));
        response->epoch = arena_strdup(rpc_arena(call), epoch);
        log_cursor_write(&position, position.latest, cursor);
        response->cursor = arena_strdup(rpc_arena(call), cursor);
        response->oldest = position.oldest <= position.latest ? position.oldest : 0;
        response->latest = position.latest;
        response->oldest_time = rpc_timestamp(call, position.oldest_us);
        response->bytes = position.bytes;
        response->checkpoint = position.checkpoint;
        response->checkpoint_time = rpc_timestamp(call, position.checkpoint_us);
        response->public_key = (ProtobufCBinaryData){.len = SIGNING_PUBLIC_SIZE, .data = (uint8_t *)(uintptr_t)key->public};
        return position_fill(call, position.latest, response);
}
