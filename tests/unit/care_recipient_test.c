/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided about recipients, and about where they live.
 */
// uses: services/care/rules_recipient.c services/care/rules_place.c
#include "services/care/rules_place.h"
#include "services/care/rules_recipient.h"
#include "tests/support/check.h"

static void test_age(void)
{
        const struct particulars p = {.id_number = "11010519491231002X"};
        CHECK_INT(particulars_age(&p, "2026-12-30"), 76);
        CHECK_INT(particulars_age(&p, "2026-12-31"), 77);
        CHECK_INT(particulars_age(&p, "1949-12-31"), 0);
}

static void test_erased(void)
{
        CHECK_INT(recipient_state_erased(RECIPIENT_ACTIVE), RECIPIENT_LEFT);
        CHECK_INT(recipient_state_erased(RECIPIENT_LEFT), RECIPIENT_LEFT);
        CHECK_INT(recipient_state_erased(RECIPIENT_DECEASED), RECIPIENT_DECEASED);
}

static void test_holds(void)
{
        CHECK(holds_until("", "2026-05-29"));
        CHECK(holds_until("2026-05-29", "2026-05-29") && holds_until("2026-05-30", "2026-05-29"));
        CHECK(!holds_until("2026-05-28", "2026-05-29") && !holds_until("2025-12-31", "2026-01-01"));
}

static void test_levels(void)
{
        static const struct {
                const char *path;
                int level;
                const char *code, *own; /* NULL: there is none */
        } rows[] = {
            {"/43/4301/430102/", 1, "43", "/43/"},
            {"/43/4301/430102/", 2, "4301", "/43/4301/"},
            {"/43/4301/430102/", 3, "430102", "/43/4301/430102/"},
            {"/43/4301/430102/", 4, NULL, NULL},
            {"/43/4301/430102/430102001/430102001001/", LEVELS, "430102001001", "/43/4301/430102/430102001/430102001001/"},
            {"/43/", 0, NULL, NULL},
            {"/43/", -1, NULL, NULL},
            {"/", 1, NULL, NULL},
            {"", 1, NULL, NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct str code = {0}, own = {0};
                CHECK(path_level(str_of(rows[i].path), rows[i].level, &code, &own) == (rows[i].code != NULL));
                CHECK(!rows[i].code || (str_is(code, rows[i].code) && str_is(own, rows[i].own)));
        }
        CHECK_INT(path_depth(STR("/")), 0);
        CHECK_INT(path_depth(STR("")), 0);
        CHECK_INT(path_depth(STR("/43/4301/")), 2);
}

static const struct check_case cases[] = {
        {"the age follows from the ID number, by birthdays", test_age},
        {"who is erased is there no more", test_erased},
        {"what holds until a day holds on that day", test_holds},
        {"each level of a path is an organisation, and where it goes no further there is none", test_levels},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
