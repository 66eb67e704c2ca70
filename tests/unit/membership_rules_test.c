/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership's pure decisions, exhaustively where that is possible.
 */
// uses: services/membership/rules.c
#include "services/membership/rules.h"
#include "tests/support/check.h"

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
