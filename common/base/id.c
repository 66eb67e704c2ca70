/* SPDX-License-Identifier: Apache-2.0
 *
 * UUIDv7 and W3C traceparent. Randomness comes from a per-thread pool filled by getrandom(2), so an id costs
 * no system call most of the time.
 */
#include "common/base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void kernel_random(unsigned char *p, size_t n)
{
        while (n) {
                ssize_t got = getrandom(p, n, 0);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        abort();
                p += got;
                n -= (size_t)got;
        }
}

void id_random(void *p, size_t n)
{
        /* Bytes are zeroed as they are handed out. A process forks only before its threads start. */
        static _Thread_local unsigned char pool[512];
        static _Thread_local size_t left;

        if (n > sizeof(pool) / 4) {
                kernel_random(p, n);
                return;
        }
        if (left < n) {
                kernel_random(pool, sizeof(pool));
                left = sizeof(pool);
        }
        left -= n;
        memcpy(p, pool + left, n);
        explicit_bzero(pool + left, n);
}

void id_new(char out[ID_TEXT_SIZE], int64_t now_us)
{
        unsigned char b[16];
        char hex[33];
        uint64_t ms = (uint64_t)(now_us / 1000);

        id_random(b + 6, 10);
        for (int i = 0; i < 6; i++)
                b[i] = (unsigned char)(ms >> (40 - 8 * i));
        /* rand_a carries the sub-millisecond fraction (RFC 9562, section 6.2, method 3). */
        unsigned fraction = (unsigned)((now_us % 1000) * 4096 / 1000);
        b[6] = (unsigned char)(0x70 | fraction >> 8);
        b[7] = (unsigned char)fraction;
        b[8] = (unsigned char)(0x80 | (b[8] & 0x3F));
        hex_encode(hex, b, 16);
        const int cuts[] = {8, 4, 4, 4, 12};
        const char *from = hex;
        for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
                memcpy(out, from, (size_t)cuts[i]);
                from += cuts[i];
                out += cuts[i];
                *out++ = i + 1 < ARRAY_LEN(cuts) ? '-' : '\0';
        }
}

void id_least(char out[ID_TEXT_SIZE], int64_t at_us)
{
        unsigned long long ms = (unsigned long long)(at_us / 1000);
        snprintf(out, ID_TEXT_SIZE, "%08llx-%04llx-7000-8000-000000000000", ms >> 16 & 0xFFFFFFFF, ms & 0xFFFF);
}

static bool is_lower_hex(struct str s)
{
        static const bool digits[256] = {['0' ... '9'] = true, ['a' ... 'f'] = true};
        for (size_t i = 0; i < s.n; i++)
                if (!digits[(unsigned char)s.p[i]])
                        return false;
        return true;
}

static bool all_zero(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != '0')
                        return false;
        return true;
}

bool id_is_uuid(struct str s)
{
        if (s.n != 36 || s.p[8] != '-' || s.p[13] != '-' || s.p[18] != '-' || s.p[23] != '-')
                return false;
        const struct str parts[] = {{s.p, 8}, {s.p + 9, 4}, {s.p + 14, 4}, {s.p + 19, 4}, {s.p + 24, 12}};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                if (!is_lower_hex(parts[i]))
                        return false;
        return true;
}

void id_new_traceparent(char out[ID_TRACEPARENT_SIZE])
{
        unsigned char b[24];
        id_random(b, sizeof(b));
        b[0] |= 1; /* never all zero */
        b[16] |= 1;
        memcpy(out, "00-", 3);
        hex_encode(out + 3, b, 16);
        out[35] = '-';
        hex_encode(out + 36, b + 16, 8);
        memcpy(out + 52, "-01", 4);
}

void id_next_traceparent(char out[ID_TRACEPARENT_SIZE], struct str in)
{
        unsigned char b[8];
        char hex[17];
        id_random(b, sizeof(b));
        b[0] |= 1;
        memcpy(out, in.p, 55);
        out[55] = '\0';
        hex_encode(hex, b, 8);
        memcpy(out + 36, hex, 16);
}

bool id_is_traceparent(struct str s)
{
        if (s.n != 55 || memcmp(s.p, "00-", 3) != 0 || s.p[35] != '-' || s.p[52] != '-')
                return false;
        struct str trace = {s.p + 3, 32}, parent = {s.p + 36, 16}, flags = {s.p + 53, 2};
        return is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(flags) && !all_zero(trace) &&
               !all_zero(parent);
}
