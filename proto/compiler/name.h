/* SPDX-License-Identifier: Apache-2.0
 *
 * How things of the contract are called in C: as protoc-c names them, and our short names.
 */
#pragma once

#include "common/base/arena.h"

/* nuanxin.membership.v1.GetMemberRequest → Nuanxin__Membership__V1__GetMemberRequest */
const char *name_c_type(struct arena *arena, const char *full);
/* … → nuanxin__membership__v1__get_member_request */
const char *name_c_lower(struct arena *arena, const char *full);
/* GetMember → get_member */
const char *name_snake(struct arena *arena, const char *camel);
const char *name_upper(struct arena *arena, const char *text);
/* nuanxin.membership.v1 → membership_v1; google.protobuf → google_protobuf */
const char *name_package(struct arena *arena, const char *package);
/* What follows the package: nuanxin.internal.v1.Principal.Kind → Principal__Kind */
const char *name_in_package(struct arena *arena, const char *package, const char *full);
/* The constant of a message: membership_v1_member_msg */
const char *name_message_constant(struct arena *arena, const char *package, const char *full);
