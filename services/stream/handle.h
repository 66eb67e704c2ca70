/* SPDX-License-Identifier: Apache-2.0
 *
 * This service's handlers, one a method.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "contract/stream_v1.h"

int handle_get_log(struct rpc_call *call, const GetLogRequest *request, Log *response);

int handle_fetch_events(struct rpc_call *call, const FetchEventsRequest *request, FetchEventsResponse *response);
int handle_stream_events(struct rpc_call *call, const FetchEventsRequest *request, FetchEventsResponse *response);
int handle_fetch_snapshot(struct rpc_call *call, const FetchSnapshotRequest *request, FetchSnapshotResponse *response);

int handle_create_agency(struct rpc_call *call, const CreateAgencyRequest *request, Agency *response);
int handle_get_agency(struct rpc_call *call, const GetAgencyRequest *request, Agency *response);
int handle_list_agencies(struct rpc_call *call, const ListAgenciesRequest *request, ListAgenciesResponse *response);
int handle_update_agency(struct rpc_call *call, const UpdateAgencyRequest *request, Agency *response);
int handle_suspend_agency(struct rpc_call *call, const SuspendAgencyRequest *request, Agency *response);
int handle_resume_agency(struct rpc_call *call, const ResumeAgencyRequest *request, Agency *response);
int handle_create_agency_key(struct rpc_call *call, const CreateAgencyKeyRequest *request, CreateAgencyKeyResponse *response);
int handle_revoke_agency_key(struct rpc_call *call, const RevokeAgencyKeyRequest *request, Agency *response);
int handle_authenticate_agency(struct rpc_call *call, const AuthenticateAgencyRequest *request, Principal *response);
int handle_note_positions(struct rpc_call *call, const NotePositionsRequest *request, NotePositionsResponse *response);
int handle_list_edge_keys(struct rpc_call *call, const ListEdgeKeysRequest *request, ListEdgeKeysResponse *response);

int handle_create_endpoint(struct rpc_call *call, const CreateEndpointRequest *request, EndpointSecret *response);
int handle_get_endpoint(struct rpc_call *call, const GetEndpointRequest *request, Endpoint *response);
int handle_list_endpoints(struct rpc_call *call, const ListEndpointsRequest *request, ListEndpointsResponse *response);
int handle_rotate_endpoint_secret(struct rpc_call *call, const RotateEndpointSecretRequest *request, EndpointSecret *response);
int handle_pause_endpoint(struct rpc_call *call, const PauseEndpointRequest *request, Endpoint *response);
int handle_resume_endpoint(struct rpc_call *call, const ResumeEndpointRequest *request, Endpoint *response);
int handle_delete_endpoint(struct rpc_call *call, const DeleteEndpointRequest *request, DeleteEndpointResponse *response);
int handle_redrive_endpoint(struct rpc_call *call, const RedriveEndpointRequest *request, Endpoint *response);
int handle_list_deliveries(struct rpc_call *call, const ListDeliveriesRequest *request, ListDeliveriesResponse *response);
