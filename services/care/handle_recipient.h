/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of recipients and of what must be known to whoever comes to them.
 */
#pragma once

#include "contract/care_v1.h"

int handle_create_recipient(struct rpc_call *call, const CreateRecipientRequest *request, Recipient *response);
int handle_get_recipient(struct rpc_call *call, const GetRecipientRequest *request, Recipient *response);
int handle_list_recipients(struct rpc_call *call, const ListRecipientsRequest *request, ListRecipientsResponse *response);
int handle_update_recipient(struct rpc_call *call, const UpdateRecipientRequest *request, Recipient *response);
int handle_reveal_recipient(struct rpc_call *call, const RevealRecipientRequest *request, RevealedRecipient *response);
int handle_erase_recipient(struct rpc_call *call, const EraseRecipientRequest *request, Recipient *response);
int handle_add_flag(struct rpc_call *call, const AddFlagRequest *request, Flag *response);
int handle_lift_flag(struct rpc_call *call, const LiftFlagRequest *request, Flag *response);
int handle_list_flags(struct rpc_call *call, const ListFlagsRequest *request, ListFlagsResponse *response);
