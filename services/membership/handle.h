/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership's handlers, one a method, and what they share.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "services/membership/store.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

/* --- shared: answer.c ------------------------------------------------------------------------------------------------ */

#define ETAG_SIZE 24
void etag_of(int64_t version, char out[ETAG_SIZE]);
/* RPC_REFUSED if an etag is given and the resource has another version. */
int etag_check(struct rpc_call *call, const char *given, int64_t version) MUST_USE;
/* Is the field to be changed? No mask: yes if `otherwise`. */
bool mask_has(const Google__Protobuf__FieldMask *mask, const char *name, bool otherwise);
/* RPC_REFUSED if the mask names a field that is not among these (NULL-terminated). */
int mask_check(struct rpc_call *call, const Google__Protobuf__FieldMask *mask, const char *const *names) MUST_USE;

/* The organisation, or RPC_REFUSED as PROBLEM_ORGANIZATION_UNKNOWN. */
int find_organization(struct rpc_call *call, const char *code, struct organization *ret) MUST_USE;
/* The path of an organisation for the dispatcher; "" is "/", above all. */
int organization_path(struct rpc_call *call, struct str code, struct str *ret_path) MUST_USE;

/* --- organisations --------------------------------------------------------------------------------------------------------- */

int emit_organization(struct rpc_call *call, const struct organization *o) MUST_USE;
int snapshot_organizations(struct rpc_call *call, const char *key, unsigned limit);

int handle_get_organization(struct rpc_call *call, const GetOrganizationRequest *request, Organization *response);
int handle_list_organizations(struct rpc_call *call, const ListOrganizationsRequest *request,
                              ListOrganizationsResponse *response);
int handle_create_organization(struct rpc_call *call, const CreateOrganizationRequest *request, Organization *response);
int handle_update_organization(struct rpc_call *call, const UpdateOrganizationRequest *request, Organization *response);
int handle_move_organization(struct rpc_call *call, const MoveOrganizationRequest *request, Organization *response);
int handle_get_organization_counts(struct rpc_call *call, const GetOrganizationCountsRequest *request,
                                   OrganizationCounts *response);

/* --- imports and their operations ------------------------------------------------------------------------------------------ */

int handle_import_organizations(struct rpc_call *call, const ImportOrganizationsRequest *request, Operation *response);
int handle_get_operation(struct rpc_call *call, const GetOperationRequest *request, Operation *response);
int handle_list_operation_errors(struct rpc_call *call, const ListOperationErrorsRequest *request,
                                 ListOperationErrorsResponse *response);
