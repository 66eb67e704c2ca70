/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of insurance.
 */
#pragma once

#include "contract/care_v1.h"
#include "nuanxin/membership/v1/operation.pb-c.h"

int handle_create_policy_group(struct rpc_call *call, const CreatePolicyGroupRequest *request, PolicyGroup *response);
int handle_get_policy_group(struct rpc_call *call, const GetPolicyGroupRequest *request, PolicyGroup *response);
int handle_list_policy_groups(struct rpc_call *call, const ListPolicyGroupsRequest *request, ListPolicyGroupsResponse *response);
int handle_get_policy_figures(struct rpc_call *call, const GetPolicyGroupRequest *request, PolicyFigures *response);
int handle_import_policies(struct rpc_call *call, const ImportPoliciesRequest *request,
                           Nuanxin__Membership__V1__Operation *response);
int handle_list_policies(struct rpc_call *call, const ListPoliciesRequest *request, ListPoliciesResponse *response);
int handle_record_payout(struct rpc_call *call, const RecordPayoutRequest *request, Payout *response);

/* A day of the calendar as a request gives it; refused with that pointer if it is none. */
int policy_day_parse(struct rpc_call *call, const char *pointer, const char *text, const char **ret);
