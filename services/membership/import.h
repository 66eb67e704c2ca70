/* SPDX-License-Identifier: Apache-2.0
 *
 * What membership imports by list: organisations and members.
 */
#pragma once

#include "common/imports/imports.h"
#include "services/membership/handle.h"

/* Numbers stand in stores: membership's own beside enum import_fault. */
enum row_fault {
        ROW_CODE = 6,
        ROW_KIND = 8,
        ROW_PARENT_UNKNOWN = 9,
        ROW_LEVEL = 10,
        ROW_DUPLICATE = 11,
        ROW_DIFFERS = 12,
        ROW_MEMBER_EXISTS = 18,
        ROW_N_FAULTS,
};

enum { IMPORT_ORGANIZATIONS, IMPORT_MEMBERS }; /* places in membership_imports.kinds */
extern const struct imports membership_imports;

int import_members_prepare(struct import_step *step) MUST_USE;
int import_members_take(struct import_step *step, const struct csv_row *row) MUST_USE;
/* Due work: takes the next rows of a member import. */
#define DUE_IMPORT_MEMBERS "import-members"
int import_members_step(struct rpc_call *call, const char *id, struct str payload);

enum { ORGANIZATION_CODE, ORGANIZATION_PARENT, ORGANIZATION_KIND, ORGANIZATION_NAME, ORGANIZATION_N_COLUMNS };
enum { MEMBER_ORGANIZATION, MEMBER_NAME, MEMBER_ID_NUMBER, MEMBER_PHONE, MEMBER_JOIN_DATE, MEMBER_N_COLUMNS };
