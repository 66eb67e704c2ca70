/* SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes on and off the wire (proto/nuanxin/internal/v1/bus.proto).
 */
#pragma once

#include "common/base/arena.h"
#include "nuanxin/internal/v1/bus.pb-c.h"

typedef Nuanxin__Internal__V1__Envelope Envelope;

#define ENVELOPE_MAX_BYTES 65536

/* Unpacks into the arena. -EBADMSG: too large or not an envelope. */
int envelope_unpack(struct arena *arena, struct str bytes, Envelope **ret_envelope) MUST_USE;

/* Appends a packed envelope. */
void envelope_pack(struct buf *out, const Envelope *envelope);

/* Appends a request's envelope from its packed, unchanging part and what differs by attempt: protobuf lets fields
 * be concatenated, so nothing is packed again for a retry. */
void envelope_pack_attempt(struct buf *out, uint64_t id, struct str packed_request, uint32_t time_left_ms,
                           uint32_t attempt);

/* A reply's envelope, in the arena: every request has one, so it is written straight. */
struct str envelope_pack_reply(struct arena *arena, uint64_t id, const Nuanxin__Internal__V1__Reply *reply);

/* An allocator over an arena, for protobuf_c_message_unpack. Lent as long as the arena. */
ProtobufCAllocator envelope_allocator(struct arena *arena);
