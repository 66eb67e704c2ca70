/* SPDX-License-Identifier: Apache-2.0
 *
 * Pure decisions about insurance.
 */
#include "rules_policy.h"

int32_t policy_loss_ratio(int64_t premiums, int64_t payouts)
{
        if (premiums <= 0)
                return 0;
        __int128 ratio = ((__int128)payouts * 10000 + premiums / 2) / premiums;
        return ratio > INT32_MAX ? INT32_MAX : (int32_t)ratio;
}
