/* SPDX-License-Identifier: Apache-2.0
 *
 * Insurance: the loss ratio, with the figures of a province and of a city.
 */
// uses: services/care/rules_policy.c
#include "services/care/rules_policy.h"
#include "tests/support/check.h"

static void test_ratio(void)
{
        CHECK_INT(policy_loss_ratio(85000 * 15000ll, 1387200000), 10880); /* 108.8 %, as one city reported */
        CHECK_INT(policy_loss_ratio(0, 1), 0);
        CHECK_INT(policy_loss_ratio(30000, 0), 0);
        CHECK_INT(policy_loss_ratio(30000, 1), 0);
        CHECK_INT(policy_loss_ratio(30000, 2), 1); /* two thirds of a basis point */
        CHECK_INT(policy_loss_ratio(1, INT64_MAX), INT32_MAX);
}

static const struct check_case cases[] = {
        {"the loss ratio is in basis points, to the nearest, and may pass 10000", test_ratio},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
