/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON text before it is parsed: how deep and how large it is, and what stands at a byte of it. For common/json only.
 */
#pragma once

#include "common/base/arena.h"

#define TEXT_MAX_DEPTH  32
#define TEXT_MAX_VALUES 65536 /* jansson takes up to 300 bytes for a value of 2: 20 MiB at most */

/* Walks the text up to byte `end`. 0; -E2BIG: nested deeper or more values than allowed. Text that is no JSON is
 * walked as well as it can be: the parser says so. *ret_pointer (may be NULL): JSON Pointer of the value or key
 * that ends there. */
int text_walk(struct arena *arena, struct str json, size_t end, const char **ret_pointer) MUST_USE;
