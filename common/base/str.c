/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices, the growing buffer, and checks on text. No locale is consulted anywhere.
 */
#include "common/base/str.h"
#include "common/base/word.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned char ascii_lower(unsigned char c)
{
        return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool str_case_eq(struct str a, struct str b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (ascii_lower((unsigned char)a.p[i]) != ascii_lower((unsigned char)b.p[i]))
                        return false;
        return true;
}

bool str_starts(struct str s, struct str prefix)
{
        return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

struct str str_cut(struct str *s, char c)
{
        const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
        struct str head = *s;
        if (!at) {
                s->p += s->n;
                s->n = 0;
                return head;
        }
        head.n = (size_t)(at - s->p);
        s->p = at + 1;
        s->n -= head.n + 1;
        return head;
}

struct str str_trim(struct str s)
{
        while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
                s.p++;
                s.n--;
        }
        while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
                s.n--;
        return s;
}

int str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
        bool negative = s.n && s.p[0] == '-';
        size_t i = negative;
        int64_t v = 0;

        if (i == s.n)
                return -EINVAL;
        for (; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return -EINVAL;
                int digit = s.p[i] - '0';
                if (__builtin_mul_overflow(v, 10, &v) ||
                    __builtin_add_overflow(v, negative ? -digit : digit, &v))
                        return -ERANGE;
        }
        if (v < min || v > max)
                return -ERANGE;
        *ret_value = v;
        return 0;
}

bool str_has_control(struct str s)
{
        size_t i = 0;
        for (; s.n - i >= 8; i += 8)
                if (word_has_below(word_load(s.p + i), 0x20))
                        return true;
        for (; i < s.n; i++)
                if ((unsigned char)s.p[i] < 0x20)
                        return true;
        return false;
}

/* Length of the well-formed sequence at p (1 to 4), or 0. Unicode 15, table 3-7. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
        static const struct {
                unsigned char lead_from, lead_to, second_from, second_to, length;
        } rows[] = {
                {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
                {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
        };
        for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
                if (p[0] < rows[r].lead_from || p[0] > rows[r].lead_to)
                        continue;
                if (n < rows[r].length || p[1] < rows[r].second_from || p[1] > rows[r].second_to)
                        return 0;
                for (size_t i = 2; i < rows[r].length; i++)
                        if ((p[i] & 0xC0) != 0x80)
                                return 0;
                return rows[r].length;
        }
        return 0;
}

bool str_is_utf8(struct str s)
{
        const unsigned char *p = (const unsigned char *)s.p;
        for (size_t i = 0; i < s.n;) {
                if (s.n - i >= 8 && word_is_ascii(word_load(p + i))) {
                        i += 8;
                        continue;
                }
                if (p[i] < 0x80) {
                        i++;
                        continue;
                }
                size_t length = utf8_sequence(p + i, s.n - i);
                if (!length)
                        return false;
                i += length;
        }
        return true;
}

size_t str_put_u64(char *out, uint64_t value)
{
        char digits[STR_I64_SIZE];
        size_t n = sizeof(digits);
        do
                digits[--n] = (char)('0' + value % 10);
        while (value /= 10);
        memcpy(out, digits + n, sizeof(digits) - n);
        return sizeof(digits) - n;
}

size_t str_put_i64(char *out, int64_t value)
{
        if (value >= 0)
                return str_put_u64(out, (uint64_t)value);
        *out = '-';
        return 1 + str_put_u64(out + 1, 0 - (uint64_t)value);
}

size_t str_code_points(struct str s)
{
        size_t count = 0;
        for (size_t i = 0; i < s.n; i++)
                count += ((unsigned char)s.p[i] & 0xC0) != 0x80;
        return count;
}

uint64_t str_hash(struct str s)
{
        uint64_t h = 0xcbf29ce484222325ull;
        for (size_t i = 0; i < s.n; i++)
                h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ull;
        return h;
}

void buf_done(struct buf *b)
{
        free(b->p);
        *b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t more)
{
        size_t cap = b->cap ? b->cap : 64;
        while (cap - b->n < more)
                cap *= 2;
        b->p = mem_realloc(b->p, cap);
        b->cap = cap;
}

void buf_add_u64(struct buf *b, uint64_t value)
{
        buf_reserve(b, STR_I64_SIZE);
        b->n += str_put_u64(b->p + b->n, value);
}

void buf_add_i64(struct buf *b, int64_t value)
{
        buf_reserve(b, STR_I64_SIZE);
        b->n += str_put_i64(b->p + b->n, value);
}

void buf_printf(struct buf *b, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0)
                abort();
        buf_reserve(b, (size_t)n + 1);
        va_start(args, format);
        vsnprintf(b->p + b->n, (size_t)n + 1, format, args);
        va_end(args);
        b->n += (size_t)n;
}

const char *buf_z(struct buf *b)
{
        buf_reserve(b, 1);
        b->p[b->n] = '\0';
        return b->p;
}

void hex_encode(char *out, const void *p, size_t n)
{
        static const char digits[] = "0123456789abcdef";
        const unsigned char *bytes = p;
        for (size_t i = 0; i < n; i++) {
                out[2 * i] = digits[bytes[i] >> 4];
                out[2 * i + 1] = digits[bytes[i] & 15];
        }
        out[2 * n] = '\0';
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 32;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(void *out, size_t n, struct str hex)
{
        unsigned char *bytes = out;
        if (hex.n != 2 * n)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
                if (high < 0 || low < 0)
                        return -EINVAL;
                bytes[i] = (unsigned char)(high << 4 | low);
        }
        return 0;
}
