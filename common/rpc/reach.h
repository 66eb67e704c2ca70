/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the store reached? On a shared store it may be away for a while: this says so once, then each minute, and when it is
 * back. Any thread.
 */
#pragma once

#include "common/base/metric.h"

struct reach {
        _Atomic int64_t lost_us; /* since when, monotonic; 0: it is reached */
        _Atomic int64_t said_us; /* when it was last said; 0: not yet */
        struct metric *reached;
};
void reach_init(struct reach *reach, struct metric_registry *metrics);
void reach_lost(struct reach *reach, const char *why); /* an attempt failed; one lost connection is not worth a word */
void reach_found(struct reach *reach);                 /* an attempt reached it */
int64_t reach_away_us(const struct reach *reach);      /* for how long it has been away; 0: it is there */
