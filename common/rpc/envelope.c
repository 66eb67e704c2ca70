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

void envelope_pack_attempt(struct buf *out, uint64_t id, struct str packed_request, uint32_t time_left_ms,
                           uint32_t attempt)
{
        enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };
        unsigned char varying[16], head[32];
        size_t n_varying = 0, n_head = 0;

        varying[n_varying++] = 3 << 3 | WIRE_VARINT; /* Request.time_left_ms */
        n_varying += put_varint(varying + n_varying, time_left_ms);
        if (attempt) {
                varying[n_varying++] = 8 << 3 | WIRE_VARINT; /* Request.attempt */
                n_varying += put_varint(varying + n_varying, attempt);
        }
        head[n_head++] = 1 << 3 | WIRE_FIXED64; /* Envelope.id */
        for (int i = 0; i < 8; i++)
                head[n_head++] = (unsigned char)(id >> (8 * i));
        head[n_head++] = 2 << 3 | WIRE_BYTES; /* Envelope.request */
        n_head += put_varint(head + n_head, packed_request.n + n_varying);
        buf_add(out, head, n_head);
        buf_add_str(out, packed_request);
        buf_add(out, varying, n_varying);
}
