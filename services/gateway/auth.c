/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading Authorization (RFC 6750, 2.1), and membership's word on API keys.
 */
#include "services/gateway/auth.h"

#include "common/contract/message.h"
#include "contract/membership_v1.h"
#include "services/gateway/session.h"

#include <stdlib.h>

#define CREDENTIAL_MAX 128
#define FETCH_US       (5 * CLOCK_SECOND_US)

static bool is_token68(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
               c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
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
                if (!is_token68((unsigned char)token.p[i]))
                        return AUTH_BAD;
        *ret_credential = token;
        return str_starts(token, STR("nxk_")) ? AUTH_KEY : AUTH_SESSION;
}

/* One question to membership, for all that wait for it. */
struct fetch {
        struct worker *worker;
        struct caller *caller; /* pinned */
        struct request *first; /* that wait; by fetch_next */
        int64_t asked_us;
};

bool auth_refused(const struct worker *w, const struct caller *key)
{
        return key->refused_us && loop_now_us(w->loop) - key->refused_us <= CALLER_FRESH_US;
}

void auth_fetch_forget(struct request *r)
{
        if (!r->fetch)
                return;
        struct request **at = &r->fetch->first;
        while (*at != r)
                at = &(*at)->fetch_next;
        *at = r->fetch_next;
        r->fetch = NULL;
}

static void on_answer(void *arg, const struct rpc_result *result)
{
        struct fetch *f = arg;
        struct worker *w = f->worker;
        int outcome = result->error;

        if (outcome == 0 && result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                outcome = result->problem == NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED ? 1 : -EAGAIN;
        if (outcome == 0)
                outcome = caller_learn(w->callers, f->caller, result->payload,
                                       clock_now_us(&w->gateway->clock) + SESSION_KEY_US, f->asked_us);
        if (outcome == 0)
                session_keep_key(w->callers, f->caller);
        else if (outcome == 1)
                f->caller->refused_us = loop_now_us(w->loop);
        f->caller->fetch = NULL;
        while (f->first) {
                struct request *r = f->first;
                auth_fetch_forget(r);
                auth_fetch_done(r, outcome);
        }
        caller_unpin(f->caller);
        free(f);
}

static struct fetch *fetch_new(struct request *r)
{
        char hash[65];
        Nuanxin__Membership__V1__AuthenticateClientRequest ask =
                NUANXIN__MEMBERSHIP__V1__AUTHENTICATE_CLIENT_REQUEST__INIT;
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        struct fetch *f = mem_zalloc(sizeof(*f));

        f->worker = r->worker;
        f->caller = r->who;
        f->caller->pins++;
        f->asked_us = loop_now_us(r->worker->loop);
        hex_encode(hash, r->who->key, 32);
        ask.key_hash = hash;
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)"gateway";
        const struct rpc_request request = {
                .method = &membership_v1_authenticate_client,
                .principal = &self,
                .payload = message_pack(r->http->arena, &ask),
                .traceparent = str_of(r->traceparent),
                .deadline_us = FETCH_US,
        };
        rpc_client_call(r->worker->rpc, &request, on_answer, f);
        return f;
}

void auth_fetch(struct request *r)
{
        if (!r->who->fetch)
                r->who->fetch = fetch_new(r);
        r->fetch = r->who->fetch;
        r->fetch_next = r->fetch->first;
        r->fetch->first = r;
}
