/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits and assessments: their handlers, and what cases ask of them, within the call's own transaction.
 */
#pragma once

#include "case.h"
#include "rules_visit.h"
#include "store_work.h"

#include "nuanxin/membership/v1/operation.pb-c.h"

int handle_plan_visit(struct rpc_call *call, const PlanVisitRequest *request, Visit *response);
int handle_batch_record_visits(struct rpc_call *call, const BatchRecordVisitsRequest *request, BatchRecordVisitsResponse *response);
int handle_import_visits(struct rpc_call *call, const ImportVisitsRequest *request, Nuanxin__Membership__V1__Operation *response);
int handle_list_visits(struct rpc_call *call, const ListVisitsRequest *request, ListVisitsResponse *response);
int handle_record_assessment(struct rpc_call *call, const RecordAssessmentRequest *request, Assessment *response);

/* --- what is visited (visit.c) -------------------------------------------------------------------------------------------- */

/* A case, or a person without one. */
struct visited {
        struct rpc_call *call;
        bool has_case;
        struct scene scene; /* with has_case */
        const char *subject, *case_id, *recipient, *organization, *path, *person;
        const char *account; /* who plans or takes it: whoever calls, unless that is said */
        bool erased;
        int64_t closed_us; /* 0: open, or no case */
};
/* One of the two is given. CARE_E_ABSENT: there is none. Nobody has asked who may. */
int visited_load(struct rpc_call *call, const char *case_id, const char *recipient, struct visited *ret) MUST_USE;

/* Plans a visit, with a task; *ret_new false: one alike was planned before, and is what *v is then. v: occasion, at_us, way. */
int visit_plan(struct visited *t, struct visit *v, bool *ret_new) MUST_USE;
/* Takes a visit that the rules allow: planned ones that it fulfils are done, the case's next falls due later, the event. v: all
 * but what the subject says; *ret_new false: it was there before, and is what *v is then. */
int visit_take(struct visited *t, struct visit *v, const char *note, bool *ret_new) MUST_USE;

#define REVEALED_VISITS 500
/* What RevealCase shows beside the case: visits with their notes, assessments with their values. Of an erased person, without. */
int work_reveal(struct scene *s, bool of_case_alone, RevealedCase *out) MUST_USE;
void visit_fill(struct rpc_call *call, const struct visit *v, Visit *out);

/* --- assessments (handle_assessment.c) -------------------------------------------------------------------------------------- */

/* As it was sealed; of an erased person, without its values. */
int assessment_open(struct scene *s, const struct assessment *a, Assessment **ret) MUST_USE;
