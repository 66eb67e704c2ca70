/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading Authorization (RFC 6750, 2.1), and the services' word on API keys.
 */
#include "services/gateway/auth.h"

#include "common/contract/message.h"
#include "contract/membership_v1.h"
#include "contract/stream_v1.h"
#include "services/gateway/session.h"

#include <stdlib.h>

#define CREDENTIAL_MAX 128
#define FETCH_US       (5 * CLOCK_SECOND_US)

static bool is_token68(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
               c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}

static bool is_agency_key(struct str token)
{
        return str_starts(token, STR("nxa_"));
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
        return str_starts(token, STR("nxk_")) || is_agency_key(token) ? AUTH_KEY : AUTH_SESSION;
}

/* One question to a service, for all that wait for it. */
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
                outcome = contract_problem_of(result->problem)->status == 401 ? 1 : -EAGAIN;
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

/* The question, packed, and who is asked. */
static const struct contract_method *question_of(const struct request *r, struct str *ret_payload)
{
        char hash[65];
        Nuanxin__Membership__V1__AuthenticateClientRequest client = NUANXIN__MEMBERSHIP__V1__AUTHENTICATE_CLIENT_REQUEST__INIT;
        Nuanxin__Stream__V1__AuthenticateAgencyRequest agency = NUANXIN__STREAM__V1__AUTHENTICATE_AGENCY_REQUEST__INIT;
        bool is_agency = is_agency_key((struct str){r->who->name, r->who->name_n});
        hex_encode(hash, r->who->key, 32);
        client.key_hash = agency.key_hash = hash;
        *ret_payload = is_agency ? message_pack(r->http->arena, &agency) : message_pack(r->http->arena, &client);
        return is_agency ? &stream_v1_authenticate_agency : &membership_v1_authenticate_client;
}

static struct fetch *fetch_new(struct request *r)
{
        struct str payload;
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        struct fetch *f = mem_zalloc(sizeof(*f));

        f->worker = r->worker;
        f->caller = r->who;
        f->caller->pins++;
        f->asked_us = loop_now_us(r->worker->loop);
        const struct contract_method *method = question_of(r, &payload);
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)"gateway";
        const struct rpc_request request = {
                .method = method,
                .principal = &self,
                .payload = payload,
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

Nuanxin__Problem auth_problem(const struct request *r)
{
        bool agency = r->who && r->who->kind == CALLER_KEY && is_agency_key((struct str){r->who->name, r->who->name_n});
        return agency ? NUANXIN__PROBLEM__PROBLEM_AGENCY_KEY_REVOKED : NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED;
}

void auth_refuse(struct request *r)
{
        struct caller *who = r->who;
        if (who->kind != CALLER_KEY || !who->client || who->client->kind != CALLER_AGENCY)
                return;
        session_close(r->worker->callers, who, NULL, NULL);
        who->refused_us = loop_now_us(r->worker->loop);
}
