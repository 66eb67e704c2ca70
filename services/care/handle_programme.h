/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of programmes and calendars, and what cases need of them.
 */
#pragma once

#include "handle.h"
#include "rules_programme.h"

int handle_create_programme_version(struct rpc_call *call, const CreateProgrammeVersionRequest *request, Programme *response);
int handle_activate_programme_version(struct rpc_call *call, const ActivateProgrammeVersionRequest *request, Programme *response);
int handle_get_programme(struct rpc_call *call, const GetProgrammeRequest *request, Programme *response);
int handle_list_programmes(struct rpc_call *call, const ListProgrammesRequest *request, ListProgrammesResponse *response);
int handle_evaluate_programme(struct rpc_call *call, const EvaluateProgrammeRequest *request, Outcome *response);
int handle_set_work_calendar(struct rpc_call *call, const SetWorkCalendarRequest *request, WorkCalendar *response);
int handle_get_work_calendar(struct rpc_call *call, const GetWorkCalendarRequest *request, WorkCalendar *response);

/* --- for cases ---------------------------------------------------------------------------------------------------- */

/* A version's document and its number. version 0: the current one. Refused as PROBLEM_PROGRAMME_UNKNOWN if nothing of it holds,
 * as PROBLEM_PROGRAMME_VERSION_UNKNOWN if it has no such version. */
int find_programme(struct rpc_call *call, const char *programme, int64_t version, const ProgrammeDocument **ret_document,
                   int64_t *ret_version) MUST_USE;
/* The official calendars that a deadline from `from` on can need: its year's and the later ones. */
int find_calendars(struct rpc_call *call, day_t from, struct calendars *ret) MUST_USE;

/* RPC_REFUSED: PROBLEM_FACT_INVALID or PROBLEM_PROGRAMME_INVALID with a violation for each fault. */
int refuse_faults(struct rpc_call *call, Nuanxin__Problem problem, const struct faults *faults) MUST_USE;
/* RPC_REFUSED: PROBLEM_NOT_ELIGIBLE, or PROBLEM_CAP_REACHED if only caps stand against it, with a violation for each failure. */
int refuse_evaluation(struct rpc_call *call, const char *programme, int64_t version, const struct evaluation *evaluation) MUST_USE;
