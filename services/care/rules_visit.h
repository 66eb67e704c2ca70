/* SPDX-License-Identifier: Apache-2.0
 *
 * Which visits are taken, which planned ones they fulfil, and when the next falls due. Pure: no store, no clock.
 *
 * Whether a visit is taken depends on itself and on its case or person, never on other visits; a planned one is fulfilled once
 * any visit fulfils it; and the next falls due after the last of all. So devices may upload what they gathered in any order,
 * and repeat it, and the end is the same.
 */
#pragma once

#include "nuanxin/care/v1/work.pb-c.h"
#include "nuanxin/problem.pb-c.h"

#include "common/base/clock.h"

enum {
        VISIT_PLANNED = NUANXIN__CARE__V1__VISIT__OUTCOME__OUTCOME_UNSPECIFIED,
        VISIT_MET = NUANXIN__CARE__V1__VISIT__OUTCOME__MET,
        VISIT_ABSENT = NUANXIN__CARE__V1__VISIT__OUTCOME__ABSENT,
        VISIT_DECLINED = NUANXIN__CARE__V1__VISIT__OUTCOME__DECLINED,
};

#define VISIT_OFFLINE_US    (31 * CLOCK_DAY_US)    /* a visit may be uploaded so much later */
#define VISIT_CLOCK_SKEW_US (5 * CLOCK_MINUTE_US)  /* a device's clock may be fast by */
#define VISIT_EARLY_US      (30 * CLOCK_DAY_US)    /* before it is due, a planned one may take place by */
#define VISIT_PLAN_US       (2 * 366 * CLOCK_DAY_US) /* how far ahead one is planned */

/* What a device uploads, and of whom. */
struct visit_facts {
        bool in_scope;         /* the case or the person is there, and the caller may record visits of theirs */
        bool erased;           /* nothing may be noted of the person any more */
        int64_t closed_us;     /* of the case; 0: it is open, or there is none */
        int way, outcome;
        int64_t occurred_us;   /* 0: not given */
        const char *device, *nonce;
};
/* PROBLEM_NONE: it is taken, unless the same device has sent the same nonce before: then it is there already. */
Nuanxin__Problem visit_decide(const struct visit_facts *facts, int64_t now_us);

/* Somebody met the person, or was not wanted: nobody need come again for that. Who was absent is visited again. */
bool visit_settles(int outcome);

struct visit_plan {
        const char *occasion; /* "": none in particular */
        int64_t created_us, due_us;
};
/* Does a visit that was taken fulfil a planned one of the same case or person? It is of the same occasion, or one of the two of
 * none; after it was planned, and not long before it is due. */
bool visit_fulfils(const struct visit_plan *plan, const char *occasion, int outcome, int64_t occurred_us);

/* When a case's next visit falls due: so many days after it came to the stage, or after the last visit that settled one
 * (0: none), whichever is later. 0: never (days 0). */
int64_t visit_next_us(int64_t stage_us, int64_t last_us, int days);

/* May one be planned for then? */
bool visit_may_plan(int64_t due_us, int64_t now_us);
