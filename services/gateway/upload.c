/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads: a buffer of at most one chunk and one piece, and one call at a time.
 */
#include "services/gateway/upload.h"

#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "services/gateway/answer.h"
#include "services/gateway/decode.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES (256 * 1024)

struct upload {
        struct arena *arena; /* of the chunk in hand */
        struct buf waiting;  /* bytes not sent yet */
        size_t sent;         /* of them, with the chunk in hand */
        int64_t offset;
        char id[ID_TEXT_SIZE];
        bool started, ended; /* admitted; the body is complete */
        /* The request's own fields. */
        char **id_field;
        int64_t *offset_field;
        ProtobufCBinaryData *data_field;
        protobuf_c_boolean *last_field;
};

static struct upload *upload_of(struct request *r)
{
        if (!r->upload) {
                r->upload = mem_zalloc(sizeof(*r->upload));
                r->upload->arena = arena_new(4096);
        }
        return r->upload;
}

struct upload *upload_free(struct upload *u)
{
        if (u) {
                arena_free(u->arena);
                buf_done(&u->waiting);
                free(u);
        }
        return NULL;
}

/* The same for the same caller, method and key: UUID version 8, "custom" (RFC 9562). */
static void id_from_key(char out[ID_TEXT_SIZE], const struct request *r)
{
        const Nuanxin__Internal__V1__Principal *who = caller_principal(r->http->arena, r->who);
        unsigned char h[32];
        char hex[33];
        sha256(h, str_of(arena_printf(r->http->arena, "%s\n%s\n%.*s", who ? who->id : "", r->route->method->name,
                                      (int)r->idempotency_key.n, r->idempotency_key.p)));
        h[6] = (unsigned char)(0x80 | (h[6] & 0x0f));
        h[8] = (unsigned char)(0x80 | (h[8] & 0x3f));
        hex_encode(hex, h, 16);
        snprintf(out, ID_TEXT_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void *member(struct request *r, const char *name)
{
        const ProtobufCFieldDescriptor *field = decode_field(r->route->method->input, name);
        assert(field); /* the contract compiler's matter */
        return decode_member(field, r->message);
}

static void on_chunk(void *arg, const struct rpc_result *result);

/* The next chunk, if there is one; else more of the body is read. */
static void pump(struct request *r)
{
        struct upload *u = r->upload;
        if (!u->ended && u->waiting.n < CHUNK_BYTES) {
                http_body_more(r->http);
                return;
        }
        u->sent = u->waiting.n < CHUNK_BYTES ? u->waiting.n : CHUNK_BYTES;
        *u->offset_field = u->offset;
        *u->data_field = (ProtobufCBinaryData){.len = u->sent, .data = (uint8_t *)u->waiting.p};
        *u->last_field = u->ended && u->sent == u->waiting.n;
        arena_reset(u->arena);
        struct violations violations = {0};
        if (u->offset == 0)
                message_validate(u->arena, r->route->method->input, r->message, &violations);
        if (violations.n) {
                answer_problem(r, &(struct problem){.value = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT,
                                                    .violations = violations.items,
                                                    .n_violations = violations.n}, 0);
                return;
        }
        char key[65];
        sha256_hex(key, str_of(arena_printf(u->arena, "%s:%" PRId64, u->id, u->offset)));
        request_call(r, message_pack(u->arena, r->message), (struct str){key, 64}, r->idempotency_key.p != NULL,
                     on_chunk);
}

static void on_chunk(void *arg, const struct rpc_result *result)
{
        struct request *r = arg;
        struct upload *u = r->upload;
        if (request_call_failed(r, result))
                return;
        if (*u->last_field) {
                answer_output(r, result->payload);
                return;
        }
        u->offset += (int64_t)u->sent;
        u->waiting.n -= u->sent;
        memmove(u->waiting.p, u->waiting.p + u->sent, u->waiting.n);
        pump(r);
}

void upload_start(struct request *r)
{
        struct upload *u = upload_of(r);
        struct violations violations = {0};
        int e;

        r->message = message_new(r->http->arena, r->route->method->input);
        e = decode_parameters(r->http, r->route, &r->match, r->message, &violations);
        if (e || violations.n) {
                answer_problem(r, &(struct problem){.value = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT,
                                                    .violations = violations.items,
                                                    .n_violations = violations.n}, 0);
                return;
        }
        if (r->idempotency_key.p)
                id_from_key(u->id, r);
        else
                id_new(u->id, clock_now_us(&r->worker->gateway->clock));
        u->id_field = member(r, "upload");
        u->offset_field = member(r, "offset");
        u->data_field = member(r, "data");
        u->last_field = member(r, "last");
        *u->id_field = u->id;
        u->ended = u->ended || !r->streamed;
        u->started = true;
        if (u->ended || u->waiting.n)
                pump(r);
}

void upload_piece(struct request *r, struct str piece, bool last)
{
        struct upload *u = upload_of(r);
        buf_add_str(&u->waiting, piece);
        u->ended = last;
        if (u->started && !r->pending)
                pump(r);
}
