/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain over the ledger's rows: added by a consumer of this service's own events, in their order, so that no request touches
 * where it ends; and its signed checkpoints, in a folder outside the store.
 */
#pragma once

#include "ledger.h"

int ledger_chain_apply(struct rpc_call *call, const struct rpc_event *events, size_t n);
int ledger_chain_reset(struct rpc_call *call);

#define DUE_LEDGER_CHECKPOINT "ledger.checkpoint"
int due_ledger_checkpoint(struct rpc_call *call, const char *key, struct str payload);
