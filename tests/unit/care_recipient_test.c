/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided about recipients.
 */
// uses: services/care/rules_recipient.c
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

static const struct check_case cases[] = {
        {"the age follows from the ID number, by birthdays", test_age},
        {"who is erased is there no more", test_erased},
        {"what holds until a day holds on that day", test_holds},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
