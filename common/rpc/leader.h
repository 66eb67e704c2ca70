/* SPDX-License-Identifier: Apache-2.0
 *
 * On a shared store every instance writes, and one leads: it gives the events their positions, follows the other services'
 * outboxes, runs due work, and sweeps. It holds a lease, a row of the service's own database; what only the leader may do
 * either locks that row (numbering) or is done at most once whoever does it (cursors and due rows are compared and set).
 * Any thread, unless said otherwise.
 */
#pragma once

#include "common/rpc/write_lane.h"

struct leader;

/* Begins to try in a thread of its own. The loop's thread. */
struct leader *leader_new(struct write_lanes *lanes);
struct leader *leader_free(struct leader *leader); /* without leader_resign the lease runs out by itself; joins; takes NULL */

bool leader_leads(const struct leader *leader);
int64_t leader_arrivals(const struct leader *leader); /* events without a position, as last counted; 0 if it does not lead */
void leader_wake(struct leader *leader);   /* there are events to number, here or where the leader is */
void leader_vacant(struct leader *leader); /* nobody leads: try now */
/* Gives the lease away at once, for good: the process ends. */
void leader_resign(struct leader *leader);
