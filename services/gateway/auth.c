/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading Authorization (RFC 6750, 2.1), and membership's word on API keys.
 */
#include "services/gateway/auth.h"

#include "common/contract/message.h"
#include "contract/membership_v1.h"
#include "services/gateway/session.h"

#define CREDENTIAL_MAX 128

static bool is_token68(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~+/=", c);
}

enum auth_kind auth_credential(struct str authorization, struct str *ret_credential)
{
        if (!authorization.p)
                return AUTH_NONE;
        struct str token = authorization, scheme = str_cut(&token, ' ');
        token = str_trim(token);
        if (!str_case_eq(scheme, STR("bearer")) || token.n == 0 || token.n > CREDENTIAL_MAX)
                return AUTH_BAD;
        for (size_t i = 0; i < token.n; i++)
                if (!token.p[i] || !is_token68((unsigned char)token.p[i]))
                        return AUTH_BAD;
        *ret_credential = token;
        return str_starts(token, STR("nxk_")) ? AUTH_KEY : AUTH_SESSION;
}

bool auth_may_fetch(const struct worker *w, const struct caller *key)
{
        return key->refused_us == 0 || loop_now_us(w->loop) - key->refused_us > CALLER_FRESH_US;
}

static void on_answer(void *arg, const struct rpc_result *result)
{
        struct request *r = arg;
        struct worker *w = r->worker;
        void (*done)(void *, int) = r->fetch_done;
        int outcome = result->error;

        r->pending = NULL;
        if (outcome == 0 && result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                outcome = result->problem == NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED ? 1 : -EAGAIN;
        if (outcome == 0)
                outcome = caller_learn(w->callers, r->who, result->payload,
                                       clock_now_us(&w->gateway->clock) + SESSION_KEY_US, r->fetch_us);
        if (outcome == 0)
                session_keep_key(w->callers, r->who, result->payload);
        else if (outcome == 1)
                r->who->refused_us = loop_now_us(w->loop);
        done(r, outcome);
}

void auth_fetch(struct request *r, void (*done)(void *request, int outcome))
{
        char hash[65];
        Nuanxin__Membership__V1__AuthenticateClientRequest ask =
                NUANXIN__MEMBERSHIP__V1__AUTHENTICATE_CLIENT_REQUEST__INIT;
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;

        hex_encode(hash, r->who->key, 32);
        ask.key_hash = hash;
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)"gateway";
        r->fetch_done = done;
        r->fetch_us = loop_now_us(r->worker->loop);
        const struct rpc_request request = {
                .method = &membership_v1_authenticate_client,
                .principal = &self,
                .payload = message_pack(r->http->arena, &ask),
                .traceparent = str_of(r->traceparent),
        };
        r->pending = rpc_client_call(r->worker->rpc, &request, on_answer, r);
}
