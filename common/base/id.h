/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers: UUID version 7 (RFC 9562, section 5.7) in lower-case text, ordered by the time of their making.
 */
#pragma once

#include "common/base/str.h"

#define ID_TEXT_SIZE 37 /* 36 characters and the NUL */

/* Fills p with n random bytes of the kernel (getrandom(2)); aborts if there are none. */
void id_random(void *p, size_t n);

/* A new UUIDv7 for the time now_us (UTC): unique without a shared counter, sorted by time. */
void id_new(char out[ID_TEXT_SIZE], int64_t now_us);

/* No UUIDv7 made at_us or later stands before it, and none made a millisecond earlier after it. */
void id_least(char out[ID_TEXT_SIZE], int64_t at_us);

/* Canonical lower-case UUID text (any version)? */
bool id_is_uuid(struct str s);

/* W3C Trace Context level 1: "00-" trace-id "-" parent-id "-" flags. */
#define ID_TRACEPARENT_SIZE 56
/* Fills out with a new trace (sampled flag 01). */
void id_new_traceparent(char out[ID_TRACEPARENT_SIZE]);
/* Same trace, new parent-id: for the next hop. `in` must be valid. */
void id_next_traceparent(char out[ID_TRACEPARENT_SIZE], struct str in);
bool id_is_traceparent(struct str s);
