/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service tells those who follow it late.
 */
#pragma once

#include "common/rpc/server.h"

extern const struct rpc_snapshot care_snapshots[];
