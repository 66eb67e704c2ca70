/* SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes on and off the wire. No recursion is possible in an envelope's type, so the library's own unpacking is
 * bounded by the size check.
 */
#include "common/rpc/envelope.h"

static void *allocate(void *arena, size_t size)
{
        return arena_alloc(arena, size);
}

static void keep(void *arena, void *pointer)
{
        (void)arena;
        (void)pointer;
}

ProtobufCAllocator envelope_allocator(struct arena *arena)
{
        return (ProtobufCAllocator){.alloc = allocate, .free = keep, .allocator_data = arena};
}

int envelope_unpack(struct arena *arena, struct str bytes, Envelope **ret_envelope)
{
        ProtobufCAllocator allocator = envelope_allocator(arena);
        if (bytes.n > ENVELOPE_MAX_BYTES)
                return -EBADMSG;
        Envelope *e = nuanxin__internal__v1__envelope__unpack(&allocator, bytes.n, (const uint8_t *)bytes.p);
        if (!e || e->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND__NOT_SET)
                return -EBADMSG;
        *ret_envelope = e;
        return 0;
}

void envelope_pack(struct buf *out, const Envelope *envelope)
{
        buf_reserve(out, nuanxin__internal__v1__envelope__get_packed_size(envelope));
        out->n += nuanxin__internal__v1__envelope__pack(envelope, (uint8_t *)out->p + out->n);
}

static size_t put_varint(unsigned char *p, uint64_t v)
{
        size_t n = 0;
        for (; v >= 0x80; v >>= 7)
                p[n++] = (unsigned char)(v | 0x80);
        p[n++] = (unsigned char)v;
        return n;
}

/* A number of its default value is not on the wire. */
static size_t put_number(unsigned char *p, unsigned field, uint64_t v)
{
        if (v == 0)
                return 0;
        p[0] = (unsigned char)(field << 3 | PROTOBUF_C_WIRE_TYPE_VARINT);
        return 1 + put_varint(p + 1, v);
}

enum { HEAD_MOST = 1 + 8 + 1 + 10, NUMBER_MOST = 1 + 10 };

/* Envelope.id, and the beginning of the field that holds its kind, n bytes long. */
static size_t put_head(unsigned char *p, uint64_t id, unsigned field, size_t n)
{
        p[0] = 1 << 3 | PROTOBUF_C_WIRE_TYPE_64BIT;
        for (int i = 0; i < 8; i++)
                p[1 + i] = (unsigned char)(id >> (8 * i));
        p[9] = (unsigned char)(field << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
        return 10 + put_varint(p + 10, n);
}

struct str envelope_pack_reply(struct arena *arena, uint64_t id, const Nuanxin__Internal__V1__Reply *reply)
{
        const uint64_t numbers[] = {(uint64_t)reply->problem, reply->not_writer, reply->queue_us,      reply->handler_us,
                                    reply->commit_us,         reply->retry_after_ms, reply->replayed};
        unsigned char body[ARRAY_LEN(numbers) * NUMBER_MOST];
        size_t n = 0;
        for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
                n += put_number(body + n, i + 1, numbers[i]);
        unsigned char *out = arena_alloc(arena, HEAD_MOST + n);
        size_t n_head = put_head(out, id, 3, n);
        memcpy(out + n_head, body, n);
        return str_bytes(out, n_head + n);
}

void envelope_pack_attempt(struct buf *out, uint64_t id, struct str packed_request, uint32_t time_left_ms,
                           uint32_t attempt)
{
        unsigned char varying[2 * NUMBER_MOST], head[HEAD_MOST];
        size_t n_varying = put_number(varying, 3, time_left_ms);
        n_varying += put_number(varying + n_varying, 8, attempt);
        size_t n_head = put_head(head, id, 2, packed_request.n + n_varying);
        buf_add(out, head, n_head);
        buf_add_str(out, packed_request);
        buf_add(out, varying, n_varying);
}
