/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service imports by list: a kind each, in one table (import.c).
 */
#pragma once

#include "common/imports/imports.h"

/* Numbers stand in stores: this service's own beside enum import_fault. */
enum care_fault {
        CARE_FAULT_NAME_DIFFERS = 32,
        CARE_FAULT_NOT_ACTIVE = 33,
        CARE_FAULT_RECIPIENT_UNKNOWN = 34,
        CARE_FAULT_DUE_DATE = 35,
        CARE_FAULT_PAYMENT_UNKNOWN = 40,
        CARE_FAULT_AMOUNT_INVALID = 41,
        CARE_FAULT_AMOUNT_DIFFERS = 42,
        CARE_FAULT_STATUS_INVALID = 43,
        CARE_FAULT_ANSWERED_OTHERWISE = 44,
        CARE_FAULT_NOT_RESERVED = 45,
        CARE_N_FAULTS,
};

enum { CARE_IMPORT_POLICIES, CARE_IMPORT_ANSWERS, CARE_IMPORT_VISITS }; /* places in care_imports.kinds */
extern const struct imports care_imports;

/* Due work: the next rows of any kind. */
#define DUE_CARE_IMPORT "import-rows"
int due_care_import(struct rpc_call *call, const char *id, struct str payload);

int handle_get_care_operation(struct rpc_call *call, const Nuanxin__Membership__V1__GetOperationRequest *request,
                              Nuanxin__Membership__V1__Operation *response);
int handle_list_care_operation_errors(struct rpc_call *call, const Nuanxin__Membership__V1__ListOperationErrorsRequest *request,
                                      Nuanxin__Membership__V1__ListOperationErrorsResponse *response);

/* import_policies.c */
enum { POLICY_ID_NUMBER, POLICY_NAME, POLICY_ORGANIZATION, POLICY_N_COLUMNS };
int import_policies_prepare(struct import_step *step) MUST_USE;
int import_policies_take(struct import_step *step, const struct csv_row *row) MUST_USE;

/* import_answers.c */
enum { ANSWER_NUMBER, ANSWER_AMOUNT, ANSWER_STATUS, ANSWER_REASON, ANSWER_N_COLUMNS };
int import_answers_prepare(struct import_step *step) MUST_USE;
int import_answers_take(struct import_step *step, const struct csv_row *row) MUST_USE;

/* import_visits.c */
enum { LISTED_ID_NUMBER, LISTED_NAME, LISTED_DUE_DATE, LISTED_N_COLUMNS };
int import_visits_prepare(struct import_step *step) MUST_USE;
int import_visits_take(struct import_step *step, const struct csv_row *row) MUST_USE;
