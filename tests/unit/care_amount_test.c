/* SPDX-License-Identifier: Apache-2.0
 *
 * Amounts in capital figures, as the People's Bank's examples have them.
 */
// uses: services/care/rules_amount.c
#include "services/care/rules_amount.h"

#include "tests/support/check.h"

static void amounts_are_written_so_that_nobody_can_alter_them(void)
{
        static const struct {
                int64_t fen;
                const char *words;
        } wanted[] = {
                {1, "壹分"},
                {10, "壹角整"},
                {11, "壹角壹分"},
                {100, "壹元整"},
                {1005, "壹拾元零伍分"},
                {140950, "壹仟肆佰零玖元伍角整"},
                {600714, "陆仟零柒元壹角肆分"},
                {1680032, "壹万陆仟捌佰元叁角贰分"},
                {10700053, "壹拾万柒仟元伍角叁分"},
                {32504, "叁佰贰拾伍元零肆分"},
                {1000100, "壹万零壹元整"},
                {100000000, "壹佰万元整"},
                {575000000000, "伍拾柒亿伍仟万元整"},
                {10000000001, "壹亿元零壹分"},
                {1000001000000, "壹佰亿零壹万元整"},
                {100000000000000, "壹万亿元整"},
                {123456789012345678, "壹仟贰佰叁拾肆万伍仟陆佰柒拾捌亿玖仟零壹拾贰万叁仟肆佰伍拾陆元柒角捌分"},
        };
        struct arena *arena = arena_new(4096);
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
                CHECK_TEXT(amount_in_words(arena, wanted[i].fen), wanted[i].words);
        arena_free(arena);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"amounts are written so that nobody can alter them", amounts_are_written_so_that_nobody_can_alter_them},
        };
        return CHECK_MAIN(cases);
}
