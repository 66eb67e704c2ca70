/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods that every service has, by the files that serve them.
 */
#pragma once

#include "common/rpc/server_internal.h"

int handle_get_status(struct rpc_call *call, const Nuanxin__Internal__V1__GetStatusRequest *request,
                      Nuanxin__Internal__V1__Status *status);
int handle_list_audit(struct rpc_call *call, const Nuanxin__Internal__V1__ListAuditRequest *request,
                      Nuanxin__Internal__V1__ListAuditResponse *response);
