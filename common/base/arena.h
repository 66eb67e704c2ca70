/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for one message: what is allocated here lives until the arena is reset, and is never freed alone.
 * Not thread-safe: one arena belongs to one thread at a time.
 */
#pragma once

#include "common/base/str.h"

struct arena;

/* first_block: bytes kept across resets; larger needs are added in blocks and given back at the reset. */
struct arena *arena_new(size_t first_block);
struct arena *arena_free(struct arena *arena); /* takes NULL; returns NULL */
DEFINE_CLEANUP(struct arena *, arena_free)

void arena_reset(struct arena *arena);
size_t arena_used(const struct arena *arena); /* bytes handed out since the last reset */

void *arena_alloc(struct arena *arena, size_t size);  /* 16-byte aligned, not zeroed; aborts without memory */
void *arena_zalloc(struct arena *arena, size_t size); /* zeroed */
char *arena_strndup(struct arena *arena, const char *p, size_t n); /* NUL-terminated copy */
char *arena_strdup(struct arena *arena, const char *z);
struct str arena_str(struct arena *arena, struct str s); /* a copy, NUL-terminated after n */
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF(2, 3);

#define ARENA_NEW(arena, type)      ((type *)arena_zalloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, n) ((type *)arena_zalloc((arena), sizeof(type) * (n)))
