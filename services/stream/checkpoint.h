/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed checkpoints of the chain, outside the store: a second or a thousand events apart while events come, one where a
 * restore began, one before each cut.
 */
#pragma once

#include "services/stream/store.h"

#define DUE_CHECKPOINT "log.checkpoint"

/* While events are taken in: soon. */
int checkpoint_ask(struct rpc_call *call) MUST_USE;

#define CHECKPOINT_E_UNWRITTEN 920 /* the folder did not take them (said) */

/* Signs what was committed and has not been signed; durable, outside the store, when it returns 0, whatever becomes of the
 * transaction. Writes mark, in memory. 0 or CHECKPOINT_E_UNWRITTEN. */
int checkpoint_now(struct rpc_call *call, struct log_mark *mark) MUST_USE;
/* Likewise, that what stands up to mark->cut is no longer kept: before it goes. */
int checkpoint_cut(struct rpc_call *call, const struct log_mark *mark) MUST_USE;
int due_checkpoint(struct rpc_call *call, const char *key, struct str payload);
