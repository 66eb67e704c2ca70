/* SPDX-License-Identifier: Apache-2.0
 *
 * Money as it is written on papers. Pure.
 */
#pragma once

#include "common/base/arena.h"

/* An amount in fen in the capital figures that nobody can alter: 壹仟零伍元叁角整. At least 1. */
const char *amount_in_words(struct arena *arena, int64_t fen);
