/* SPDX-License-Identifier: Apache-2.0
 *
 * Text and bytes: a slice that owns nothing, a buffer that grows, and the few checks every parser needs.
 */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A slice: n bytes at p, not NUL-terminated, owned by somebody else. {NULL,0} is empty. */
struct str {
        const char *p;
        size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *z)
{
        return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_bytes(const void *p, size_t n)
{
        return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equal to the NUL-terminated z? */
static inline bool str_is(struct str a, const char *z)
{
        return str_eq(a, str_of(z));
}

bool str_case_eq(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);

/* Cuts s at the first c: the part before it is returned and s becomes what follows (empty at the end). */
struct str str_cut(struct str *s, char c);
struct str str_trim(struct str s); /* ASCII space and tab at both ends */

/* A whole decimal number without sign games: -EINVAL for anything else, -ERANGE outside [min, max]. */
int str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value) MUST_USE;

/* Valid UTF-8 after Unicode 15, table 3-7 (no surrogates, no overlong forms, at most U+10FFFF)? */
bool str_is_utf8(struct str s);

/* Has it a byte below 0x20? */
bool str_has_control(struct str s);

/* How many Unicode code points a valid UTF-8 text has. */
size_t str_code_points(struct str s);

/* FNV-1a, 64 bit: for hash tables and stable method ids, never for secrets. */
uint64_t str_hash(struct str s);

#define STR_I64_SIZE 20 /* digits and sign of any 64-bit number */

/* Writes a whole number in decimal, without a NUL, to at most STR_I64_SIZE bytes; returns how many. */
size_t str_put_u64(char *out, uint64_t value);
size_t str_put_i64(char *out, int64_t value);

/* A growing buffer. Embed it zeroed: {0} is empty and valid. p is not NUL-terminated unless said so. */
struct buf {
        char *p;
        size_t n;
        size_t cap;
};

void buf_done(struct buf *b);
void buf_grow(struct buf *b, size_t more); /* what buf_reserve does when there is no room */

/* Room for `more` bytes after n. */
static inline void buf_reserve(struct buf *b, size_t more)
{
        if (b->cap - b->n < more)
                buf_grow(b, more);
}

/* Adding is what answers are made of: inline, so that a literal's length is known. */
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
        if (!n)
                return;
        buf_reserve(b, n);
        memcpy(b->p + b->n, p, n);
        b->n += n;
}

static inline void buf_add_str(struct buf *b, struct str s)
{
        buf_add(b, s.p, s.n);
}

static inline void buf_add_z(struct buf *b, const char *z)
{
        buf_add(b, z, strlen(z));
}

static inline void buf_add_char(struct buf *b, char c)
{
        buf_reserve(b, 1);
        b->p[b->n++] = c;
}

/* In decimal. */
void buf_add_u64(struct buf *b, uint64_t value);
void buf_add_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);
/* NUL-terminates (the NUL is not counted in n) and lends the text until the next change. */
const char *buf_z(struct buf *b);

static inline struct str buf_str(const struct buf *b)
{
        return (struct str){b->p, b->n};
}

/* Lower-case hexadecimal; out has 2n+1 bytes and is NUL-terminated. */
void hex_encode(char *out, const void *p, size_t n);
/* Both cases; exactly n bytes from 2n digits. */
int hex_decode(void *out, size_t n, struct str hex) MUST_USE;
