/* SPDX-License-Identifier: Apache-2.0
 *
 * This service's handlers, one a method.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "contract/stream_v1.h"

int handle_get_log(struct rpc_call *call, const GetLogRequest *request, Log *response);
