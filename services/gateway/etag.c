/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading lists of entity tags.
 */
#include "services/gateway/etag.h"

static bool is_etagc(unsigned char c)
{
        return c == 0x21 || (c >= 0x23 && c != 0x7f);
}

bool etag_is_value(struct str value)
{
        for (size_t i = 0; i < value.n; i++)
                if (!is_etagc((unsigned char)value.p[i]))
                        return false;
        return value.n > 0;
}

static struct str without_gzip(struct str value)
{
        const struct str end = STR(ETAG_GZIP);
        if (value.n > end.n && memcmp(value.p + value.n - end.n, end.p, end.n) == 0)
                value.n -= end.n;
        return value;
}

/* One tag at the front of s, and the blanks behind it. */
static int tag_take(struct str *s, struct etag *ret_tag)
{
        struct etag tag = {.weak = str_starts(*s, STR("W/"))};
        size_t i = tag.weak ? 2 : 0;
        if (i >= s->n || s->p[i] != '"')
                return -EINVAL;
        size_t start = ++i;
        while (i < s->n && is_etagc((unsigned char)s->p[i]))
                i++;
        if (i >= s->n || s->p[i] != '"')
                return -EINVAL;
        tag.value = without_gzip((struct str){s->p + start, i - start});
        *s = str_trim((struct str){s->p + i + 1, s->n - i - 1});
        *ret_tag = tag;
        return 0;
}

int etag_list_parse(struct str text, struct etag_list *ret_list)
{
        struct etag_list list = {0};
        text = str_trim(text);
        if (str_eq(text, STR("*"))) {
                list.any = true;
                *ret_list = list;
                return 0;
        }
        while (text.n) {
                if (text.p[0] == ',') { /* empty elements are allowed (RFC 9110, 5.6.1.2) */
                        text = str_trim((struct str){text.p + 1, text.n - 1});
                        continue;
                }
                if (list.n == ETAG_LIST_MAX)
                        return -E2BIG;
                int r = tag_take(&text, &list.tags[list.n]);
                if (r < 0)
                        return r;
                list.n++;
                if (text.n && text.p[0] != ',')
                        return -EINVAL;
        }
        if (list.n == 0)
                return -EINVAL;
        *ret_list = list;
        return 0;
}

bool etag_list_has(const struct etag_list *list, struct str value, bool weak_too)
{
        if (list->any)
                return true;
        for (size_t i = 0; i < list->n; i++)
                if (str_eq(list->tags[i].value, value) && (weak_too || !list->tags[i].weak))
                        return true;
        return false;
}
