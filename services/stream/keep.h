/* SPDX-License-Identifier: Apache-2.0
 *
 * What the log gives up: by age and size (what it no longer keeps becomes the state behind a snapshot), and by erasure.
 * Due work, in slices.
 */
#pragma once

#include "services/stream/store.h"

#define DUE_KEEP  "log.keep"
#define DUE_ERASE "log.erase"

/* From now on retention looks by itself, each minute. */
int keep_start(struct rpc_call *call) MUST_USE;
/* While events are taken in: it looks at once whenever a sixteenth of what may be kept has come. */
int keep_ask(struct rpc_call *call, int64_t bytes_before, int64_t bytes) MUST_USE;
int due_keep(struct rpc_call *call, const char *key, struct str payload);

/* All about this person that stands before the notice at `seq` goes, and later what came after it; the notices stay. */
int erase_start(struct rpc_call *call, const char *person, int64_t seq) MUST_USE;
int due_erase(struct rpc_call *call, const char *person, struct str payload);
