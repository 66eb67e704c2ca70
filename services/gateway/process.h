/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's process, from its options to its end.
 */
#pragma once

#include "services/gateway/gateway.h"

#define GATEWAY_THREADS_MAX 64

/* options: the first part of `gateway`. Returns the exit status, after a line for a person on failure. */
int gateway_run(struct gateway *gateway);
