/* SPDX-License-Identifier: Apache-2.0
 *
 * Page tokens: where the next page starts, sealed by the keyring and bound to the method and what it lists.
 */
#include "common/rpc/call.h"
#include "common/rpc/server_internal.h"

static const char *context_of(struct rpc_call *call, struct str filter)
{
        char hash[65];
        sha256_hex(hash, filter);
        return arena_printf(call->arena, "page/%s/%s", call->served->contract->name, hash);
}

char *rpc_page_token(struct rpc_call *call, struct str filter, struct str key)
{
        struct str sealed = keyring_seal(call->arena, call->server->options.keyring, context_of(call, filter), key);
        struct str text = base64url_encode(call->arena, sealed);
        return arena_strndup(call->arena, text.p, text.n);
}

int rpc_page_start(struct rpc_call *call, const char *token, struct str filter, struct str *ret_key)
{
        struct str sealed;
        if (!token[0]) {
                *ret_key = (struct str){0};
                return 0;
        }
        if (base64url_decode(call->arena, str_of(token), &sealed) != 0 ||
            keyring_open(call->arena, call->server->options.keyring, context_of(call, filter), sealed, ret_key) != 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PAGE_TOKEN_INVALID);
        return 0;
}

int64_t rpc_page_size(int32_t asked)
{
        if (asked <= 0)
                return 50;
        return asked > 1000 ? 1000 : asked;
}
