/* SPDX-License-Identifier: Apache-2.0
 *
 * What handle_agency.c and handle_key.c share.
 */
#pragma once

#include "services/stream/handle.h"
#include "services/stream/store_agency.h"

/* Or a refusal as 404. */
int find_agency(struct rpc_call *call, const char *id, struct agency *ret) MUST_USE;
/* Stores it, or only that something of it has changed, and tells. response: as it is then; or NULL. */
int agency_changed(struct rpc_call *call, struct agency *agency, Agency *response) MUST_USE;
AgencyKey *agency_key_message(struct rpc_call *call, const struct agency_key *key);
