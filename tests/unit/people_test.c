/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, names and dates of persons, exhaustively where that is possible.
 */
#include "common/people/people.h"
#include "tests/support/check.h"

#define TODAY "2026-05-29"

static bool id_ok(const char *text)
{
        char number[ID_NUMBER_SIZE];
        return id_number_parse(str_of(text), TODAY, number) == 0;
}

static void test_id_number_known(void)
{
        char number[ID_NUMBER_SIZE], masked[ID_NUMBER_SIZE];
        CHECK(id_ok("11010519491231002X"));          /* the standard's own example */
        CHECK(id_ok("440524188001010014") == false); /* born before 1900 */
        CHECK_INT(id_number_parse(STR(" 11010519491231002x "), TODAY, number), 0);
        CHECK_TEXT(number, "11010519491231002X");
        id_number_mask(number, masked);
        CHECK_TEXT(masked, "1****************X");
        static const char *const wrong[] = {"",
                                            "1",
                                            "11010519491231002",
                                            "11010519491231002XX",
                                            "01010519491231002X",
                                            "1101051949123l002X",
                                            "110105194912310021",
                                            "11010519491331002X",
                                            "１1010519491231002X"};
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
                CHECK(!id_ok(wrong[i]));
}

/* Every single wrong digit, and every swap of two neighbours that differ, is found. */
static void test_id_number_errors(void)
{
        const char good[] = "43010419900307123";
        char number[ID_NUMBER_SIZE];
        memcpy(number, good, 17);
        number[17] = id_number_check_character(good);
        number[18] = 0;
        CHECK(id_ok(number));
        for (int i = 0; i < 18; i++)
                for (const char *c = "0123456789X"; *c; c++) {
                        char other[ID_NUMBER_SIZE];
                        memcpy(other, number, sizeof(other));
                        other[i] = *c;
                        CHECK(id_ok(other) == (*c == number[i]));
                }
        for (int i = 0; i < 17; i++) {
                char other[ID_NUMBER_SIZE];
                memcpy(other, number, sizeof(other));
                other[i] = number[i + 1];
                other[i + 1] = number[i];
                CHECK(id_ok(other) == (number[i] == number[i + 1]));
        }
}

/* Exactly the days of the calendar, none after today. */
static void test_id_number_dates(void)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int wrong = 0;
        for (int year = 1890; year <= 2030; year++)
                for (int month = 0; month <= 13; month++)
                        for (int day = 0; day <= 32; day++) {
                                char number[32], date[16];
                                snprintf(number, sizeof(number), "430104%04d%02d%02d123", year, month, day);
                                snprintf(date, sizeof(date), "%04d-%02d-%02d", year, month, day);
                                number[17] = id_number_check_character(number);
                                number[18] = 0;
                                bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
                                bool real = year >= 1900 && month >= 1 && month <= 12 && day >= 1 &&
                                            day <= days[month - 1] + (month == 2 && leap) &&
                                            strcmp(date, TODAY) <= 0;
                                wrong += id_ok(number) != real;
                        }
        CHECK_INT(wrong, 0);
}

static void test_phone(void)
{
        static const struct {
                const char *text, *want; /* NULL: refused */
        } rows[] = {
            {"13812345678", "13812345678"},
            {"+8613812345678", "13812345678"},
            {"+86 138-1234-5678", "13812345678"},
            {"008613812345678", "13812345678"},
            {"8613812345678", "13812345678"},
            {" 138 1234 5678 ", "13812345678"},
            {"", NULL},
            {"1381234567", NULL},
            {"138123456789", NULL},
            {"12812345678", NULL},
            {"23812345678", NULL},
            {"+85213812345678", NULL},
            {"1381234567a", NULL},
            {"8613812345", NULL},
            {"0000000000000000000000000000013812345678", NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                char phone[PHONE_SIZE] = "";
                int r = phone_parse(str_of(rows[i].text), phone);
                CHECK((r == 0) == (rows[i].want != NULL));
                if (rows[i].want)
                        CHECK_TEXT(phone, rows[i].want);
        }
        char masked[PHONE_SIZE];
        phone_mask("13812345678", masked);
        CHECK_TEXT(masked, "138****5678");
}

static void test_names(void)
{
        static const struct {
                const char *text, *want;
        } rows[] = {
            {"王小明", "王小明"},
            {"  王小明 ", "王小明"},
            {"\xe3\x80\x80王\xe3\x80\x80", "王"},
            {"阿卜杜拉·买买提", "阿卜杜拉·买买提"},
            {"𠮷𡈽", "𠮷𡈽"},
            {"O'Neill Anne-Marie", "O'Neill Anne-Marie"},
            {"", NULL},
            {" ", NULL},
            {"\xe3\x80\x80", NULL},
            {"a\tb", NULL},
            {"a\x7f", NULL},
            {"a\xc2\x85"
             "b",
             NULL},
            {"\xff", NULL},
            {"\u200b", NULL},         /* nothing to see */
            {"王\u202e小明", NULL},   /* read from the other side */
            {"王\ufeff", NULL},
            {"王\u2028明", NULL},
            {"می\u200cخواهم", "می\u200cخواهم"},
            {"…—·", "…—·"},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct str name = {0};
                CHECK((name_parse(str_of(rows[i].text), &name) == 0) == (rows[i].want != NULL));
                CHECK(!rows[i].want || str_is(name, rows[i].want));
        }
        char longest[NAME_MAX_CHARACTERS * 4 + 5] = "";
        struct str name;
        for (int i = 0; i < NAME_MAX_CHARACTERS; i++)
                strcat(longest, "𠮷");
        CHECK_INT(name_parse(str_of(longest), &name), 0);
        strcat(longest, "𠮷");
        CHECK_INT(name_parse(str_of(longest), &name), -EINVAL);
}

static void test_dates(void)
{
        char date[DATE_SIZE];
        CHECK_INT(date_parse(STR("2026-05-29"), date), 0);
        CHECK_TEXT(date, "2026-05-29");
        CHECK_INT(date_parse(STR("2026/5/9"), date), 0);
        CHECK_TEXT(date, "2026-05-09");
        static const char *const wrong[] = {"",         "2026",     "2026-05",      "2026-02-29",
                                            "26-05-29", "2026-5/9", "2026-05-29-1", "2026-+5-29"};
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
                CHECK_INT(date_parse(str_of(wrong[i]), date), -EINVAL);
        date_of(1779983999000000ll, date); /* 2026-05-28T15:59:59Z is still the 28th in China */
        CHECK_TEXT(date, "2026-05-28");
        date_of(1779984000000000ll, date);
        CHECK_TEXT(date, "2026-05-29");
}

/* After the standard: a number with its digit passes; no single wrong digit does, nor a swap of neighbours but 09 and 90. */
static void test_luhn(void)
{
        char account[BANK_ACCOUNT_SIZE];
        CHECK_INT(luhn_digit(STR("7992739871")), '3'); /* the standard's own example */
        CHECK_INT(luhn_digit(STR("411111111111111")), '1');
        CHECK_INT(luhn_digit(STR("0")), '0');
        for (size_t n = 14; n <= 18; n++) {
                char good[BANK_ACCOUNT_SIZE] = "622202090909481357", other[BANK_ACCOUNT_SIZE];
                good[n] = luhn_digit(str_bytes(good, n));
                good[n + 1] = 0;
                CHECK_INT(bank_account_parse(str_of(good), account), 0);
                CHECK_TEXT(account, good);
                for (size_t i = 0; i <= n; i++)
                        for (char c = '0'; c <= '9'; c++) {
                                memcpy(other, good, sizeof(other));
                                other[i] = c;
                                CHECK_INT(bank_account_parse(str_of(other), account), c == good[i] ? 0 : -EBADMSG);
                        }
                for (size_t i = 0; i < n; i++) {
                        memcpy(other, good, sizeof(other));
                        other[i] = good[i + 1];
                        other[i + 1] = good[i];
                        bool unseen = other[i] == other[i + 1] || other[i] - '0' + (other[i + 1] - '0') * 10 == 9 ||
                                      (other[i] - '0') * 10 + other[i + 1] - '0' == 9;
                        CHECK_INT(bank_account_parse(str_of(other), account), unseen ? 0 : -EBADMSG);
                }
        }
}

static void test_bank_accounts(void)
{
        static const struct {
                const char *text;
                int want;
        } rows[] = {
            {"4111 1111 1111 1111", 0},    {" 4111-1111-1111-1111 ", 0}, {"4111111111111112", -EBADMSG},
            {"", -EINVAL},                 {"    ", -EINVAL},            {"00000000000000", -EINVAL},
            {"000000000000000", 0},        {"0000000000000000000", 0},   {"00000000000000000000", -EINVAL},
            {"4111111111111111a", -EINVAL}, {"-4111111111111１11", -EINVAL},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                char account[BANK_ACCOUNT_SIZE] = "";
                CHECK_INT(bank_account_parse(str_of(rows[i].text), account), rows[i].want);
                CHECK((rows[i].want == 0) == (account[0] != 0)); /* written only on success */
        }
        char masked[BANK_ACCOUNT_SIZE];
        bank_account_mask("6222020000000000123", masked);
        CHECK_TEXT(masked, "6222***********0123");
        bank_account_mask("622202000000123", masked);
        CHECK_TEXT(masked, "6222*******0123");
}

static void test_years(void)
{
        static const struct {
                const char *from, *to;
                int want;
        } rows[] = {
            {"1960-05-29", "2026-05-28", 65}, {"1960-05-29", "2026-05-29", 66}, {"1960-05-29", "1960-05-29", 0},
            {"1960-05-29", "1960-05-28", -1}, {"2000-02-29", "2018-02-28", 17}, {"2000-02-29", "2018-03-01", 18},
            {"2000-02-29", "2020-02-29", 20}, {"1999-12-31", "2000-01-01", 0},  {"1999-12-31", "2000-12-31", 1},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                CHECK_INT(date_years(rows[i].from, rows[i].to), rows[i].want);
        char born[DATE_SIZE];
        id_number_born("11010519491231002X", born);
        CHECK_TEXT(born, "1949-12-31");
}

static const struct check_case cases[] = {
        {"ID numbers known to be right or wrong", test_id_number_known},
        {"one wrong character or a swap in an ID number is found", test_id_number_errors},
        {"an ID number has a real date of birth, not after today", test_id_number_dates},
        {"phones in every spelling become 11 digits", test_phone},
        {"names are kept as they are, without control characters", test_names},
        {"dates are real days, counted in China", test_dates},
        {"a bank account's check digit finds each wrong digit", test_luhn},
        {"bank accounts have 15 to 19 digits, in every spelling", test_bank_accounts},
        {"years are counted by birthdays", test_years},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
