/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share.
 */
#pragma once

#include "common/imports/imports.h"
#include "contract/membership_v1.h"

#define STATE(name)             NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__##name
#define PROBLEM(name)           NUANXIN__PROBLEM__PROBLEM_##name
#define IMPORT_DUE_FORGET       "import-forget"

/* The principal, as an import's owner. */
char *import_owner(struct rpc_call *call);
