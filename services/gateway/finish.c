/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing sessions. Redis's answer may outlive the request, so what waits for it stands on its own.
 */
#include "services/gateway/finish.h"

#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "services/gateway/answer.h"
#include "services/gateway/decode.h"
#include "services/gateway/session.h"

#include <assert.h>
#include <stdlib.h>

struct finish {
        struct request *request; /* NULL: the client has gone */
        ProtobufCMessage *output;
};

void finish_forget(struct request *r)
{
        if (r->finish)
                r->finish->request = NULL;
        r->finish = NULL;
}

static void on_kept(void *arg, int error, const struct cache_reply *reply)
{
        struct finish *f = arg;
        struct request *r = f->request;
        ProtobufCMessage *output = f->output;
        free(f);
        if (!r)
                return;
        r->finish = NULL;
        if (error || reply->kind == CACHE_ERROR)
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, NULL);
        else
                answer_message(r, output);
}

/* The output's field of that name; its address in the message. */
static void *output_member(const struct request *r, const char *name)
{
        const ProtobufCFieldDescriptor *field = decode_field(r->route->method->output, name);
        return field ? decode_member(field, r->finish->output) : NULL;
}

static void open_session(struct request *r)
{
        struct arena *arena = r->http->arena;
        int64_t until = clock_now_us(&r->worker->gateway->clock) + SESSION_ABSOLUTE_US;
        Nuanxin__Internal__V1__Principal **principal = output_member(r, "principal");
        Google__Protobuf__Timestamp **expires = output_member(r, "expire_time");
        char **token = output_member(r, "token");
        unsigned char id[16];

        assert(principal && token); /* the contract compiler's matter */
        if (!*principal) {
                on_kept(r->finish, -EBADMSG, NULL);
                return;
        }
        *token = arena_alloc(arena, TOKEN_TEXT_SIZE);
        token_new(*token);
        if (!(*principal)->session || !(*principal)->session[0]) {
                id_random(id, sizeof(id));
                (*principal)->session = arena_alloc(arena, 2 * sizeof(id) + 1);
                hex_encode((*principal)->session, id, sizeof(id));
        }
        if (expires) {
                *expires = ARENA_NEW(arena, Google__Protobuf__Timestamp);
                google__protobuf__timestamp__init(*expires);
                (*expires)->seconds = until / CLOCK_SECOND_US;
        }
        const Nuanxin__Internal__V1__Principal *by = caller_principal(arena, r->who);
        bool by_client = by && by->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__CLIENT;
        session_open(r->worker->callers, str_of(*token), *principal, by_client ? by->generation : 0, until, on_kept,
                     r->finish);
}

void finish_session(struct request *r, struct str packed)
{
        const struct contract_method *m = r->route->method;
        struct finish *f = mem_zalloc(sizeof(*f));

        f->request = r;
        r->finish = f;
        r->state = REQUEST_FINISHING;
        if (message_unpack(r->http->arena, m->output, packed.p, packed.n, &f->output) < 0)
                on_kept(f, -EBADMSG, NULL);
        else if (m->session == NUANXIN__SESSION_EFFECT__SESSION_OPEN)
                open_session(r);
        else if (r->who->kind == CALLER_SESSION)
                session_close(r->worker->callers, r->who, on_kept, f);
        else
                on_kept(f, 0, &(struct cache_reply){.kind = CACHE_INT}); /* an API key has no session to close */
}
