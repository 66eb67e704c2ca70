/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership's pure decisions, exhaustively where that is possible.
 */
// uses: services/membership/rules.c
#include "services/membership/rules.h"
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

/* One line a state: what each action leads to. */
static void test_transitions(void)
{
        static const int want[6][MEMBER_N_ACTIONS] = {
            /*            approve suspend resume end deceased */
            /* unset */ {0, 0, 0, 0, 0},
            /* applied */ {2, 0, 0, 4, 5},
            /* active */ {0, 3, 0, 4, 5},
            /* suspended */ {0, 0, 2, 4, 5},
            /* ended */ {0, 0, 0, 0, 5},
            /* deceased */ {0, 0, 0, 0, 0},
        };
        for (int s = 0; s < 6; s++)
                for (int a = 0; a < MEMBER_N_ACTIONS; a++)
                        CHECK_INT(member_after((Member__State)s, (enum member_action)a), want[s][a]);
        CHECK_INT(member_after((Member__State)99, MEMBER_END), 0);
        for (int s = 0; s < 6; s++)
                CHECK_INT(member_is_live((Member__State)s), s >= 1 && s <= 3);
        CHECK_TEXT(member_state_name((Member__State)2), "ACTIVE");
}

static void test_member_number(void)
{
        for (int i = 0; i < 1000; i++) {
                char id[16], number[MEMBER_NUMBER_SIZE];
                int sum = 0;
                snprintf(id, sizeof(id), "%d", i);
                member_number(1779984000000000ll + i * 1000003, id, number);
                CHECK_INT(strlen(number), 16);
                CHECK(number[0] != '0');
                for (int j = 0; j < 16; j++) {
                        int d = (number[j] - '0') * (j % 2 == 0 ? 2 : 1);
                        sum += d > 9 ? d - 9 : d;
                }
                CHECK_INT(sum % 10, 0);
        }
}

static void test_organizations(void)
{
        for (int p = 0; p <= 5; p++)
                for (int c = 0; c <= 5; c++)
                        CHECK_INT(organization_kind_fits((Organization__Kind)p, (Organization__Kind)c),
                                  c > p);
        CHECK_INT(organization_kind_parse(STR("County")), 3);
        CHECK_INT(organization_kind_parse(STR("村")), 5);
        CHECK_INT(organization_kind_parse(STR("planet")), 0);
        CHECK(organization_code_valid(STR("430104001001")));
        CHECK(!organization_code_valid(STR("4")) && !organization_code_valid(STR("43/01")) &&
              !organization_code_valid(STR("")));
        CHECK(path_is_within(STR("/43/4301/"), STR("/43/")) && path_is_within(STR("/43/"), STR("/43/")));
        CHECK(!path_is_within(STR("/430/"), STR("/43/")));
        _cleanup_(arena_freep) struct arena *arena = arena_new(256);
        CHECK_TEXT(path_end(arena, STR("/43/")), "/430");
        CHECK_TEXT(path_before(arena, STR("/43/")), "/43.");
}

static void test_validity(void)
{
        CHECK(is_valid_at(0, 0, 5));
        CHECK(is_valid_at(5, 0, 5) && !is_valid_at(6, 0, 5));
        CHECK(is_valid_at(0, 6, 5) && !is_valid_at(0, 5, 5));
        CHECK(is_valid_at(5, 6, 5) && !is_valid_at(5, 6, 6) && !is_valid_at(5, 6, 4));
}

static void test_passwords(void)
{
        CHECK(password_is_weak(STR("short"), STR("anna")));
        CHECK(password_is_weak(STR("123456789"), STR("anna")));
        CHECK(password_is_weak(STR("aaaaaaaaaaaaaa"), STR("bob")));
        CHECK(password_is_weak(STR("my-ANNA-2026!"), STR("anna")));
        CHECK(!password_is_weak(STR("correct horse"), STR("anna")));
        CHECK(!password_is_weak(STR("春风十里不如你我他它"), STR("anna")));
        _cleanup_(arena_freep) struct arena *arena = arena_new(256);
        CHECK_TEXT(login_normalize(arena, "Anna.W@X"), "anna.w@x");
}

static const struct check_case cases[] = {
        {"ID numbers known to be right or wrong", test_id_number_known},
        {"one wrong character or a swap in an ID number is found", test_id_number_errors},
        {"an ID number has a real date of birth, not after today", test_id_number_dates},
        {"phones in every spelling become 11 digits", test_phone},
        {"names are kept as they are, without control characters", test_names},
        {"dates are real days, counted in China", test_dates},
        {"each action is possible exactly from the states of the table", test_transitions},
        {"member numbers carry a Luhn digit", test_member_number},
        {"kinds, codes and paths of organisations", test_organizations},
        {"validity begins with its first moment and ends before its last", test_validity},
        {"weak passwords are known", test_passwords},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
