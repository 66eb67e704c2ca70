/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided about insurance: pure, no store, no clock.
 */
#pragma once

#include <stdint.h>

/* What was paid out in basis points of what was paid in, to the nearest; 0 without premiums; INT32_MAX at most. */
int32_t policy_loss_ratio(int64_t premiums, int64_t payouts);
