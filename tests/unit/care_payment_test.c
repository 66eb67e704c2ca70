/* SPDX-License-Identifier: Apache-2.0
 *
 * What banks' answers come to, and which figures are hidden.
 */
// uses: services/care/rules_payment.c
#include "services/care/rules_payment.h"
#include "tests/support/check.h"

#include "common/base/err.h"

#include <errno.h>

/* --- amounts ------------------------------------------------------------------------------------------------------------ */

static void test_yuan_text(void)
{
        static const struct {
                int64_t fen;
                const char *text;
        } rows[] = {{0, "0.00"}, {1, "0.01"}, {10, "0.10"}, {99, "0.99"}, {100, "1.00"}, {120000, "1200.00"}, {9000000000000005, "90000000000000.05"}};
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                char text[YUAN_SIZE];
                int64_t fen = -1;
                yuan_text(rows[i].fen, text);
                CHECK_TEXT(text, rows[i].text);
                CHECK_INT(yuan_parse(str_of(text), &fen), 0);
                CHECK_INT(fen, rows[i].fen);
        }
}

static void test_yuan_parse(void)
{
        static const struct {
                const char *text;
                int64_t fen; /* or what is wrong */
        } rows[] = {
                {"1200", 120000}, {"1200.5", 120050}, {"1200.50", 120050}, {" 1200.50\t", 120050}, {"¥1200.50", 120050}, {"1,200.50", 120050},
                {"12,345,678.90", 1234567890}, {"123,456", 12345600}, {"0", 0}, {"000.07", 7},
                {"", -EINVAL}, {".", -EINVAL}, {"1.", -EINVAL}, {".5", -EINVAL}, {"1.234", -EINVAL}, {"1.2.3", -EINVAL}, {"-1", -EINVAL},
                {"+1", -EINVAL}, {"1 2", -EINVAL}, {"1,2", -EINVAL}, {"1,23,456", -EINVAL}, {"1234,567", -EINVAL}, {",123", -EINVAL},
                {"123,", -EINVAL}, {"1,2345", -EINVAL}, {"1.x", -EINVAL}, {"1.x5", -EINVAL}, {"一百", -EINVAL}, {"1e3", -EINVAL}, {"¥", -EINVAL},
                {"90000000000001", -ERANGE}, {"99999999999999999999999999", -ERANGE},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                int64_t fen = -1;
                int r = yuan_parse(str_of(rows[i].text), &fen);
                CHECK_INT(r == 0 ? fen : r, rows[i].fen);
        }
}

/* --- the bank's answer ---------------------------------------------------------------------------------------------------- */

static void test_status(void)
{
        static const struct {
                const char *text;
                int state;
        } rows[] = {
                {"paid", PAYMENT_PAID}, {"PAID", PAYMENT_PAID}, {" Paid ", PAYMENT_PAID}, {"成功", PAYMENT_PAID},
                {"returned", PAYMENT_RETURNED}, {"失败", PAYMENT_RETURNED}, {"unknown", PAYMENT_UNKNOWN}, {"未知", PAYMENT_UNKNOWN},
                {"", 0}, {"pai", 0}, {"paid!", 0}, {"成功了", 0}, {"不成功", 0}, {"ready", 0}, {"batched", 0}, {"void", 0}, {"3", 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                CHECK_INT(bank_status_parse(str_of(rows[i].text)), rows[i].state);
}

static void test_reason(void)
{
        static const struct {
                const char *text, *kept;
        } rows[] = {
                {"", ""}, {" 账户已销户 ", "账户已销户"}, {"code 1234567", "code 1234567"}, {"card 12345678", "card *"},
                {"6222021234567890123 无此户", "* 无此户"}, {"无此户6222021234567890123", "无此户*"}, {"13800000000/430102199001011234", "*/*"},
                {"43010219900101123X", "*X"},
                {"无此户 6222 0212 3456 7890 123", "无此户 *"},
                {"138-0000-0001 停机", "* 停机"},
                {"62220212345678 9012", "*"},
                {"2026-11-22 10:30 退回 2 笔", "2026-11-22 10:30 退回 2 笔"},
        };
        char out[BANK_REASON_SIZE];
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                bank_reason_clean(str_of(rows[i].text), out);
                CHECK_TEXT(out, rows[i].kept);
        }
        char text[1201] = "";
        for (int i = 0; i < 300; i++)
                strcat(text, i % 2 ? "户" : "𠮷");
        bank_reason_clean(str_of(text), out);
        CHECK_INT(str_code_points(str_of(out)), 100);
        CHECK(str_is_utf8(str_of(out)) && strncmp(text, out, strlen(out)) == 0);
}

/* Every state of a payment in its batch against everything that a row may say. */
static void test_judge(void)
{
        static const struct {
                const char *text;
                int says;
        } statuses[] = {{"paid", PAYMENT_PAID}, {"失败", PAYMENT_RETURNED}, {"未知", PAYMENT_UNKNOWN}, {"?", 0}};
        static const struct {
                const char *text;
                enum bank_verdict wrong;
        } amounts[] = {{"12.00", BANK_TAKEN}, {"12", BANK_TAKEN}, {"12.01", BANK_AMOUNT_DIFFERS}, {"x", BANK_AMOUNT_INVALID}};
        static const int states[] = {PAYMENT_BATCHED, PAYMENT_UNKNOWN, PAYMENT_PAID, PAYMENT_RETURNED};
        for (size_t s = 0; s < ARRAY_LEN(statuses); s++)
                for (size_t a = 0; a < ARRAY_LEN(amounts); a++)
                        for (size_t i = 0; i < ARRAY_LEN(states); i++) {
                                const struct bank_answer answer = {str_of(amounts[a].text), str_of(statuses[s].text)};
                                int says = statuses[s].says, state = states[i], now = -1;
                                bool open = state == PAYMENT_BATCHED || state == PAYMENT_UNKNOWN;
                                enum bank_verdict want = amounts[a].wrong      ? amounts[a].wrong
                                                         : !says               ? BANK_STATUS_INVALID
                                                         : says == state       ? BANK_UNCHANGED
                                                         : open                ? BANK_TAKEN
                                                                               : BANK_ANSWERED_OTHERWISE;
                                CHECK_INT(bank_answer_judge(&answer, true, 1200, state, &now), want);
                                CHECK_INT(now, want == BANK_TAKEN ? says : -1);
                                CHECK_INT(bank_answer_judge(&answer, false, 0, 0, &now), BANK_PAYMENT_UNKNOWN);
                        }
}

/* --- figures -------------------------------------------------------------------------------------------------------------- */

#define CELLS 4
#define UPTO  8

/* What a reader who knows all that is told, and how it is hidden, can say of cell `which` at most and at least: goes through all
 * tables that look the same. */
static void same_look(const int64_t *cells, const bool *hidden, bool told, int64_t total, size_t which, int64_t *least, int64_t *most)
{
        int64_t other[CELLS];
        bool other_hidden[CELLS];
        *least = INT64_MAX;
        *most = -1;
        for (int code = 0; code < 13 * 13 * 13 * 13; code++) {
                int64_t sum = 0;
                bool alike = true;
                for (size_t i = 0, rest = (size_t)code; i < CELLS; i++, rest /= 13) {
                        other[i] = (int64_t)(rest % 13);
                        sum += other[i];
                        alike = alike && (hidden[i] || other[i] == cells[i]);
                }
                if (!alike || (told && sum != total))
                        continue;
                if (figures_hide(other, CELLS, false, other_hidden) != told || memcmp(other_hidden, hidden, sizeof(other_hidden)) != 0)
                        continue;
                *least = other[which] < *least ? other[which] : *least;
                *most = other[which] > *most ? other[which] : *most;
        }
}

static void test_hide_small(void)
{
        static const struct {
                int64_t cells[CELLS];
                bool total_hidden;
                const char *hidden; /* "1" for each that is */
                bool told;
        } rows[] = {
                {{0, 0, 0, 0}, false, "0000", true},    {{5, 6, 7, 0}, false, "0000", true},   {{0, 3, 0, 0}, false, "0100", false},
                {{1, 1, 1, 1}, false, "1111", false},   {{0, 3, 20, 30}, false, "0110", true}, {{4, 3, 20, 30}, false, "1100", true},
                {{1, 1, 9, 0}, false, "1110", true},    {{2, 3, 9, 30}, false, "1110", true},  {{3, 3, 9, 30}, false, "1100", true},
                {{0, 0, 9, 2}, false, "0011", true},    {{2, 1, 1, 1}, false, "1111", true},   {{9, 0, 8, 7}, true, "0001", false},
                {{9, 0, 8, 2}, true, "0001", false},    {{0, 0, 0, 0}, true, "0000", false},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                bool hidden[CELLS];
                char text[CELLS + 1] = "";
                CHECK(figures_hide(rows[i].cells, CELLS, rows[i].total_hidden, hidden) == rows[i].told);
                for (size_t k = 0; k < CELLS; k++)
                        strcat(text, hidden[k] ? "1" : "0");
                CHECK_TEXT(text, rows[i].hidden);
        }
        CHECK(figures_hide((const int64_t[]){7}, 1, false, (bool[1]){0}));
        CHECK(!figures_hide((const int64_t[]){4}, 1, false, (bool[1]){0}));
}

/* All tables of four cells up to 8: nothing small is told, and of nothing that is hidden does the rest say that it is small. */
static void test_hide_all(void)
{
        for (int code = 0; code < UPTO * UPTO * UPTO * UPTO; code++) {
                int64_t cells[CELLS], total = 0, sum = 0;
                bool hidden[CELLS];
                size_t n = 0;
                for (size_t i = 0, rest = (size_t)code; i < CELLS; i++, rest /= UPTO) {
                        cells[i] = (int64_t)(rest % UPTO);
                        total += cells[i];
                }
                bool told = figures_hide(cells, CELLS, false, hidden);
                CHECK(told == (total == 0 || total >= FIGURE_LEAST));
                for (size_t i = 0; i < CELLS; i++) {
                        CHECK(hidden[i] || cells[i] == 0 || cells[i] >= FIGURE_LEAST);
                        n += hidden[i];
                        sum += hidden[i] ? cells[i] : 0;
                }
                CHECK(!told || n == 0 || n == CELLS || (n >= 2 && sum - (int64_t)n + 1 >= FIGURE_LEAST));
                CHECK(!told || n == 0 || sum >= FIGURE_LEAST);
        }
}

/* Whoever knows even how it is hidden, and tries every table, learns of no single cell how many it is. */
static void test_hide_attack(void)
{
        static const int64_t tables[][CELLS] = {{0, 3, 12, 9}, {1, 1, 9, 0}, {4, 3, 8, 11}, {2, 1, 1, 1},
                                                {0, 0, 9, 2},  {4, 4, 4, 4}, {1, 5, 5, 5}};
        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
                bool hidden[CELLS];
                int64_t total = 0, least, most;
                for (size_t i = 0; i < CELLS; i++)
                        total += tables[t][i];
                bool told = figures_hide(tables[t], CELLS, false, hidden);
                for (size_t i = 0; i < CELLS; i++) {
                        if (!hidden[i])
                                continue;
                        same_look(tables[t], hidden, told, total, i, &least, &most);
                        if (least == most)
                                printf("# table %zu cell %zu is %lld for certain\n", t, i, (long long)least);
                        CHECK(least < most);
                }
        }
}

static const struct check_case cases[] = {
        {"fen are written as yuan with two places, and read back", test_yuan_text},
        {"amounts are read as banks write them, and nothing else is", test_yuan_parse},
        {"a status is one of six words", test_status},
        {"of a reason what tells of a person goes, and what is too long", test_reason},
        {"every answer is judged against every state", test_judge},
        {"small cells are hidden, and what would give them away", test_hide_small},
        {"in no table of four is a small cell told or left alone", test_hide_all},
        {"trying all tables tells no hidden cell", test_hide_attack},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
