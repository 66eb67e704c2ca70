/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of cases, of what hangs on them, and of tasks; and what they share.
 */
#pragma once

#include "case.h"

#define OBJECTION_DAYS 5 /* until one should be settled */
#define CONTACT_DAYS   3 /* until another contact should be named */
#define TRANSFER_DAYS  7 /* until a case that is offered should be taken, or not */

int handle_open_case(struct rpc_call *call, const OpenCaseRequest *request, Case *response);
int handle_get_case(struct rpc_call *call, const GetCaseRequest *request, Case *response);
int handle_list_cases(struct rpc_call *call, const ListCasesRequest *request, ListCasesResponse *response);
int handle_list_recipient_cases(struct rpc_call *call, const ListRecipientCasesRequest *request, ListCasesResponse *response);
int handle_act_on_case(struct rpc_call *call, const ActOnCaseRequest *request, Case *response);
int handle_reveal_case(struct rpc_call *call, const RevealCaseRequest *request, RevealedCase *response);
int handle_list_steps(struct rpc_call *call, const ListStepsRequest *request, ListStepsResponse *response);
int handle_set_contact(struct rpc_call *call, const SetContactRequest *request, Case *response);
int handle_end_contact(struct rpc_call *call, const EndContactRequest *request, Case *response);
int handle_transfer_case(struct rpc_call *call, const TransferCaseRequest *request, Case *response);
int handle_answer_transfer(struct rpc_call *call, const AnswerTransferRequest *request, Case *response);
int handle_end_case_access(struct rpc_call *call, const EndCaseAccessRequest *request, CaseAccess *response);
int handle_grant_case_access(struct rpc_call *call, const GrantCaseAccessRequest *request, CaseAccess *response);
int handle_list_notices(struct rpc_call *call, const ListNoticesRequest *request, ListNoticesResponse *response);
int handle_raise_objection(struct rpc_call *call, const RaiseObjectionRequest *request, Objection *response);
int handle_settle_objection(struct rpc_call *call, const SettleObjectionRequest *request, Objection *response);
int handle_replay_decisions(struct rpc_call *call, const ReplayDecisionsRequest *request, ReplayDecisionsResponse *response);
int handle_list_tasks(struct rpc_call *call, const ListTasksRequest *request, ListTasksResponse *response);
int handle_assign_task(struct rpc_call *call, const AssignTaskRequest *request, Task *response);
int handle_complete_task(struct rpc_call *call, const CompleteTaskRequest *request, Task *response);

/* The case, if the caller holds the method's permission at the organisation that owns it, or, in a session of their own, is the
 * person; refused as 404 otherwise. Tells the audit. */
int find_scene(struct rpc_call *call, const char *case_id, struct scene *ret) MUST_USE;
/* As PROBLEM_CASE_EXISTS: `other` keeps it from being open. */
int refuse_second(struct scene *s, const char *other) MUST_USE;
/* The same, for those who look after cases: to be the person is not enough. */
int find_kept_scene(struct rpc_call *call, const char *case_id, struct scene *ret) MUST_USE;
/* Without what is sealed; amounts for those who may have it opened, and the person. */
int case_fill(struct scene *s, Case *out) MUST_USE;
/* As a list shows it: without contacts. */
void case_fill_row(struct rpc_call *call, const struct care_case *c, Case *out);
/* revealed: with its text. */
int objection_fill(struct rpc_call *call, const struct objection *o, bool revealed, Objection *out) MUST_USE;
