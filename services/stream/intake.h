/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken into the log: the sources that this service follows.
 */
#pragma once

#include "common/rpc/server.h"

#define CONSUMER_MEMBERSHIP "stream.membership"
extern const struct rpc_consumer stream_consumers[];
