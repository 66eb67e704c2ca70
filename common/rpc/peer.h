/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods that every service has, by the files that serve them.
 */
#pragma once

#include "common/rpc/server_internal.h"

int handle_get_status(struct rpc_call *call, const Nuanxin__Internal__V1__GetStatusRequest *request,
                      Nuanxin__Internal__V1__Status *status);
/* Appends to status. */
int contractions_tell(struct rpc_call *call, Nuanxin__Internal__V1__Status *status) MUST_USE;
int handle_contract_store(struct rpc_call *call, const Nuanxin__Internal__V1__ContractStoreRequest *request,
                          Nuanxin__Internal__V1__ContractStoreResponse *response);
int handle_move_store(struct rpc_call *call, const Nuanxin__Internal__V1__MoveStoreRequest *request,
                      Nuanxin__Internal__V1__MoveStoreResponse *response);
int handle_leave_store(struct rpc_call *call, const Nuanxin__Internal__V1__LeaveStoreRequest *request,
                       Nuanxin__Internal__V1__LeaveStoreResponse *response);
int handle_list_audit(struct rpc_call *call, const Nuanxin__Internal__V1__ListAuditRequest *request,
                      Nuanxin__Internal__V1__ListAuditResponse *response);
