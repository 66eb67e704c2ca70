/* SPDX-License-Identifier: Apache-2.0
 *
 * What the member handlers and the member import share: making a member, sealing what is sensitive, looking
 * up by it.
 */
#pragma once

#include "services/membership/handle.h"

/* Everything normalised already (rules.h). phone and join_date may be "". */
struct member_new {
        const char *organization, *name, *id_number, *phone, *join_date;
        bool active; /* at once, without an application */
};
struct str member_id_number_index(struct rpc_call *call, const char *id_number); /* the blind one */
/* The live member with this ID number: 0, or -ENOENT. */
int member_find_id_number(struct rpc_call *call, const char *id_number, struct member *ret) MUST_USE;
int member_find_phone(struct rpc_call *call, const char *phone, int64_t limit,
                      struct member_list *ret) MUST_USE;
/* There must be none with this ID number. Emits its state; ret's path is not filled. */
int member_create(struct rpc_call *call, const struct member_new *new, struct member *ret) MUST_USE;
int member_set_phone(struct rpc_call *call, struct member *m, const char *phone) MUST_USE; /* "" removes it */
int member_open_secret(struct rpc_call *call, const char *member, char **ret_id_number,
                       char **ret_phone) MUST_USE;
/* Nothing of the person is left but id, organisation and state; a membership that goes on ends. */
int member_erase_person(struct rpc_call *call, struct member *m) MUST_USE;
/* The new state with all that follows from it; refuses what the table does not have. */
int member_change_state(struct rpc_call *call, struct member *m, enum member_action action) MUST_USE;
