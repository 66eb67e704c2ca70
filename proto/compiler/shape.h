/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes: what two processes must agree on to understand each other's bytes, as text and as hashes.
 */
#pragma once

#include "model.h"

/* int64, string, nuanxin.type.Role … */
const char *field_type_name(const struct field *field);

/* 64 bits over names, numbers, types and labels, and those of every message and enum below. The model must be
 * free of recursion. */
uint64_t shape_hash(struct arena *arena, struct message *message);

/* SHA-256 of bytes, in lower-case hexadecimal. */
void digest_hex(char out[65], struct str bytes);
