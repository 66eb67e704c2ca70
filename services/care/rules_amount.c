/* SPDX-License-Identifier: Apache-2.0
 *
 * Amounts in capital figures (人民币大写), after the People's Bank's rules for filling in bills: a gap of noughts is one 零, and what
 * ends with yuan or jiao says 整.
 */
#include "rules_amount.h"

static const char *const digits[] = {"零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"};

/* 1 to 9,999. */
static const char *four_in_words(struct arena *arena, int n)
{
        static const char *const units[] = {"仟", "佰", "拾", ""};
        const char *text = "";
        bool gap = false;
        for (int i = 0, weight = 1000; i < 4; i++, weight /= 10) {
                int digit = n / weight % 10;
                if (digit)
                        text = arena_printf(arena, "%s%s%s%s", text, gap && text[0] ? "零" : "", digits[digit], units[i]);
                gap = !digit;
        }
        return text;
}

/* From 1 on. */
static const char *number_in_words(struct arena *arena, int64_t n)
{
        static const struct {
                int64_t weight;
                const char *name;
        } groups[] = {{100000000, "亿"}, {10000, "万"}};
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
                int64_t above = n / groups[i].weight, rest = n % groups[i].weight;
                if (!above)
                        continue;
                const char *gap = rest && rest < groups[i].weight / 10 ? "零" : "";
                return arena_printf(arena, "%s%s%s%s", number_in_words(arena, above), groups[i].name, gap,
                                    rest ? number_in_words(arena, rest) : "");
        }
        return four_in_words(arena, (int)n);
}

const char *amount_in_words(struct arena *arena, int64_t fen)
{
        int64_t yuan = fen / 100;
        int jiao = (int)(fen / 10 % 10), left = (int)(fen % 10);
        const char *text = yuan ? arena_printf(arena, "%s元", number_in_words(arena, yuan)) : "";
        if (jiao)
                text = arena_printf(arena, "%s%s角", text, digits[jiao]);
        if (!left)
                return arena_printf(arena, "%s整", text);
        return arena_printf(arena, "%s%s%s分", text, yuan && !jiao ? "零" : "", digits[left]);
}
