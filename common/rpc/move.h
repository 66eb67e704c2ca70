/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer's side of moving a store elsewhere (`nuanxin store move`; common/transfer does the copying): it notes
 * changes, holds writes for the moment of the switch, and leaves. What has been asked stands in the store's note of its
 * use, so that an instance that takes over goes on with it, and has an end of its own if whoever asked is gone.
 */
#pragma once

#include "common/rpc/server_internal.h"
#include "common/store/whole.h"

struct write_lane;

/* In the write lane's thread. */
int move_load(struct write_lane *lane) MUST_USE; /* what stands in the store; in a transaction */
void move_watch(struct write_lane *lane);        /* ends what nobody goes on with */
/* Does the write lane do nothing now but what a move asks? */
bool move_holds(const struct write_lane *lane);
bool move_is_step(const struct rpc_call *call);
/* After a commit: the loop hears if there is something new. */
void move_committed(const struct write_lane *lane, enum store_state before);
