/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of entity tags.
 */
// uses: services/gateway/etag.c
#include "services/gateway/etag.h"
#include "tests/support/check.h"

static struct etag_list list;

static int parse(const char *text)
{
        list = (struct etag_list){0};
        return etag_list_parse(str_of(text), &list);
}

static void lists_are_read(void)
{
        CHECK_INT(parse("\"a\""), 0);
        CHECK(list.n == 1 && !list.any && !list.tags[0].weak && str_is(list.tags[0].value, "a"));
        CHECK_INT(parse(" W/\"a\" , \"b,c\",\t\"\" "), 0);
        CHECK(list.n == 3 && list.tags[0].weak && str_is(list.tags[1].value, "b,c") && list.tags[2].value.n == 0);
        CHECK_INT(parse(", ,\"a\",,"), 0);
        CHECK_INT(list.n, 1);
        CHECK_INT(parse("*"), 0);
        CHECK(list.any);
}

static void what_is_no_list_is_refused(void)
{
        const char *const bad[] = {"", " ", ",", "a", "\"a", "a\"", "\"a\" \"b\"", "w/\"a\"", "W/ \"a\"", "*, \"a\"", "\"a b\"",
                                   "\"a\"b", "\"a\",*", "'a'", "\"a\x7f\""};
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                CHECK_INT(parse(bad[i]), -EINVAL);
        struct buf many = {0};
        for (int i = 0; i <= ETAG_LIST_MAX; i++)
                buf_add_z(&many, "\"a\",");
        CHECK_INT(parse(buf_z(&many)), -E2BIG);
        buf_done(&many);
}

static void comparison_is_weak_or_strong(void)
{
        CHECK_INT(parse("W/\"a\", \"b\""), 0);
        CHECK(etag_list_has(&list, STR("a"), true));
        CHECK(!etag_list_has(&list, STR("a"), false));
        CHECK(etag_list_has(&list, STR("b"), false));
        CHECK(!etag_list_has(&list, STR("c"), true));
        CHECK_INT(parse("*"), 0);
        CHECK(etag_list_has(&list, STR("c"), false));
}

static void a_compressed_answers_tag_means_the_same_state(void)
{
        CHECK_INT(parse("\"abc-gzip\""), 0);
        CHECK(etag_list_has(&list, STR("abc"), false));
        CHECK_INT(parse("\"-gzip\""), 0);
        CHECK(etag_list_has(&list, STR("-gzip"), false));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"lists of tags are read", lists_are_read},
                {"what is no list is refused", what_is_no_list_is_refused},
                {"comparison is weak or strong", comparison_is_weak_or_strong},
                {"a compressed answer's tag means the same state", a_compressed_answers_tag_means_the_same_state},
        };
        return CHECK_MAIN(cases);
}
