/* SPDX-License-Identifier: Apache-2.0
 *
 * Single values of the proto3 JSON mapping as text, both ways. For common/json only.
 */
#pragma once

#include "common/contract/message.h"

/* What a field's value should have been, for a violation. */
struct expectation {
        const char *rule, *en, *zh;
};

/* Parses text into a value of the field's type at dst (a message: one of the well-known types, made here).
 * -EINVAL: it does not fit; see scalar_expected. */
int scalar_from_text(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                     struct str text, void *dst) MUST_USE;
/* The same from a whole number. */
int scalar_from_integer(const ProtobufCFieldDescriptor *pb, int64_t number, void *dst) MUST_USE;

/* What a value of the field must be, for a person; texts live in the arena. */
struct expectation scalar_expected(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb);

/* Fills a well-known message that is text in JSON. */
int wkt_from_text(struct arena *arena, enum contract_wkt wkt, struct str text, void *message) MUST_USE;
/* Appends it with its quotes. */
void wkt_to_json(struct buf *out, enum contract_wkt wkt, const void *message);

void base64_encode(struct buf *out, const uint8_t *p, size_t n);
/* Standard or URL-safe, padded or not. */
int base64_decode(struct arena *arena, struct str text, ProtobufCBinaryData *ret_bytes) MUST_USE;

/* Appends a double as JSON, in as few digits (15 or more of them) as read back the same; NaN and infinities as strings. */
void double_to_json(struct buf *out, double value, bool single);
