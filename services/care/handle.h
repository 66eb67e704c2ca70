/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service's handlers share. The handlers themselves, one a method, are in a header for each room.
 */
#pragma once

#include "contract/care_v1.h"

#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "store.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

/* consume.c: what this service follows. */
extern const struct rpc_consumer care_consumers[];

/* --- shared (shared.c) ------------------------------------------------------------------------------------------- */

/* rpc_service's organization_path. */
int organization_path(struct rpc_call *call, struct str code, struct str *ret_path);
/* The organisation, or refused as PROBLEM_ORGANIZATION_UNKNOWN. */
int find_organization(struct rpc_call *call, const char *code, struct organization *ret) MUST_USE;
/* Likewise, but PROBLEM_ORGANIZATION_NOT_VALID if it is not valid now: for what it gets anew. */
int find_valid_organization(struct rpc_call *call, const char *code, struct organization *ret) MUST_USE;

/* May this account, whoever calls, use this permission at path ("/43/4301/"), by what is known of its rights here? One that
 * is disabled, or not known, may not. */
int account_may(struct rpc_call *call, const char *account, const char *permission, struct str path, bool *ret) MUST_USE;

/* Refuses (412) unless etag is empty or the revision's. */
int check_etag(struct rpc_call *call, const char *etag, int64_t revision) MUST_USE;
char *etag_of(struct rpc_call *call, int64_t revision);

/* Is the field to be changed: does the mask name it, or, without one, is it given? */
bool is_changed(const Google__Protobuf__FieldMask *mask, const char *field, bool given);

/* The day in China: "YYYY-MM-DD". */
char *today(struct rpc_call *call);

/* A page of a list that runs over the subtree of an organisation, in the order (path, id). */
struct subtree_page {
        struct str path; /* of the organisation */
        const char *after_path, *after_id;
        int64_t size;
        struct str filter; /* binds the token */
};
/* more: what else says what is listed. The caller may: the contract's `at` has asked. */
int subtree_page_start(struct rpc_call *call, const char *organization, const char *more, int32_t size, const char *token,
                       struct subtree_page *ret) MUST_USE;
char *subtree_page_next(struct rpc_call *call, const struct subtree_page *page, const char *path, const char *id);
