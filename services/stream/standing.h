/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows for who may see what from events that are taken into the log: consents given and withdrawn, persons erased,
 * organisations moved. In the transaction that takes them in.
 */
#pragma once

#include "services/stream/log.h"

/* Of each event of a type that is about a person, or of an organisation that changed, once it stands in the log at seq. */
int standing_note(struct rpc_call *call, const struct contract_message *type, const ProtobufCMessage *message, int64_t seq) MUST_USE;
/* Membership's events come anew from here on: what was known of consents is known no more. */
int standing_reset(struct rpc_call *call, int64_t seq) MUST_USE;
