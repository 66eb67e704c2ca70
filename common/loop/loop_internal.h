/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of common/loop share and nobody else may see: the libevent base under a loop.
 */
#pragma once

#include "common/loop/loop.h"

struct event_base;

/* Lock-free: only the loop's thread may touch it. Hooks of loop_at_turn_end run between two passes over it. */
struct event_base *loop_base(struct loop *loop);
