/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of visits.
 */
#include "rules_visit.h"

#include <string.h>

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

static bool is_outcome(int outcome)
{
        return outcome >= VISIT_MET && outcome <= VISIT_DECLINED;
}

static bool is_way(int way)
{
        return way >= NUANXIN__CARE__V1__VISIT__WAY__HOME && way <= NUANXIN__CARE__V1__VISIT__WAY__ELSEWHERE;
}

/* A device numbers what it sends: without a nonce, what it repeats would count twice. */
static bool is_whole(const struct visit_facts *f)
{
        return is_outcome(f->outcome) && is_way(f->way) && f->occurred_us > 0 && !f->device[0] == !f->nonce[0];
}

Nuanxin__Problem visit_decide(const struct visit_facts *f, int64_t now_us)
{
        if (!f->in_scope)
                return PROBLEM(NOT_FOUND);
        if (f->erased)
                return PROBLEM(RECIPIENT_ERASED);
        if (!is_whole(f))
                return PROBLEM(INVALID_ARGUMENT);
        if (f->occurred_us > now_us + VISIT_CLOCK_SKEW_US)
                return PROBLEM(VISIT_IN_FUTURE);
        if (f->occurred_us < now_us - VISIT_OFFLINE_US)
                return PROBLEM(VISIT_TOO_OLD);
        if (f->closed_us && f->occurred_us >= f->closed_us)
                return PROBLEM(CASE_CLOSED);
        return PROBLEM(NONE);
}

bool visit_settles(int outcome)
{
        return outcome == VISIT_MET || outcome == VISIT_DECLINED;
}

bool visit_fulfils(const struct visit_plan *plan, const char *occasion, int outcome, int64_t occurred_us)
{
        if (plan->occasion[0] && occasion[0] && strcmp(plan->occasion, occasion) != 0)
                return false;
        return visit_settles(outcome) && occurred_us >= plan->created_us && occurred_us >= plan->due_us - VISIT_EARLY_US;
}

int64_t visit_next_us(int64_t stage_us, int64_t last_us, int days)
{
        return days > 0 ? (last_us > stage_us ? last_us : stage_us) + days * CLOCK_DAY_US : 0;
}

bool visit_may_plan(int64_t due_us, int64_t now_us)
{
        return due_us > now_us - CLOCK_DAY_US && due_us <= now_us + VISIT_PLAN_US;
}
