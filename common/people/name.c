/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of persons.
 */
#include "common/people/people.h"

#define WIDE_SPACE STR("\xe3\x80\x80") /* U+3000 */

static bool ends_with(struct str s, struct str end)
{
        return s.n >= end.n && str_eq(str_bytes(s.p + s.n - end.n, end.n), end);
}

static struct str trim_spaces(struct str s)
{
        size_t before;
        do {
                before = s.n;
                s = str_trim(s);
                if (str_starts(s, WIDE_SPACE))
                        s = str_bytes(s.p + 3, s.n - 3);
                if (ends_with(s, WIDE_SPACE))
                        s.n -= 3;
        } while (s.n != before);
        return s;
}

/* What shows nothing, breaks the line or turns the text around: U+200B, 200E, 200F, 2028-202E, 2060, 2066-2069, FEFF. The
 * joiners 200C and 200D belong to the writing of some languages. */
static bool is_unseen(struct str s)
{
        const unsigned char *c = (const unsigned char *)s.p;
        if (s.n < 3)
                return false;
        if (c[0] == 0xe2 && c[1] == 0x80)
                return c[2] == 0x8b || c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
        if (c[0] == 0xe2 && c[1] == 0x81)
                return c[2] == 0xa0 || (c[2] >= 0xa6 && c[2] <= 0xa9);
        return c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf;
}

int name_parse(struct str text, struct str *ret_name)
{
        struct str s = trim_spaces(text);
        if (s.n == 0 || !str_is_utf8(s) || str_code_points(s) > NAME_MAX_CHARACTERS)
                return -EINVAL;
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                /* C0, DEL, and C1 (which are C2 80 to C2 9F). */
                if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) ||
                    is_unseen((struct str){s.p + i, s.n - i}))
                        return -EINVAL;
        }
        *ret_name = s;
        return 0;
}
