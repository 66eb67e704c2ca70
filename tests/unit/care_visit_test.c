/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits' rules: every combination of what decides, the limits to the microsecond, and that no order of uploads matters.
 */
// uses: services/care/rules_visit.c
#include "services/care/rules_visit.h"
#include "tests/support/check.h"

#define NOW           INT64_C(1800000000000000)
#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name
#define DAY           CLOCK_DAY_US

static const struct visit_facts good = {
        .in_scope = true, .way = 1, .outcome = VISIT_MET, .occurred_us = NOW - DAY, .device = "phone", .nonce = "1"};

static Nuanxin__Problem decide(struct visit_facts f)
{
        return visit_decide(&f, NOW);
}

static void test_limits(void)
{
        struct visit_facts f = good;
        CHECK_INT(decide(f), PROBLEM(NONE));
        f.occurred_us = NOW + VISIT_CLOCK_SKEW_US;
        CHECK_INT(decide(f), PROBLEM(NONE));
        f.occurred_us++;
        CHECK_INT(decide(f), PROBLEM(VISIT_IN_FUTURE));
        f.occurred_us = NOW - VISIT_OFFLINE_US;
        CHECK_INT(decide(f), PROBLEM(NONE));
        f.occurred_us--;
        CHECK_INT(decide(f), PROBLEM(VISIT_TOO_OLD));
        f = good;
        f.closed_us = f.occurred_us + 1;
        CHECK_INT(decide(f), PROBLEM(NONE));
        f.closed_us--;
        CHECK_INT(decide(f), PROBLEM(CASE_CLOSED));
}

static void test_whole(void)
{
        for (int way = -1; way <= 6; way++)
                for (int outcome = -1; outcome <= 5; outcome++)
                        for (int given = 0; given < 8; given++) {
                                struct visit_facts f = good;
                                f.way = way;
                                f.outcome = outcome;
                                f.device = given & 1 ? "d" : "";
                                f.nonce = given & 2 ? "n" : "";
                                f.occurred_us = given & 4 ? NOW : 0;
                                bool whole = way >= 1 && way <= 4 && outcome >= 1 && outcome <= 3 && (given == 4 || given == 7);
                                CHECK_INT(decide(f), whole ? PROBLEM(NONE) : PROBLEM(INVALID_ARGUMENT));
                        }
}

/* Who may not know of a case learns nothing of it; then comes what is wrong with the visit. */
static void test_precedence(void)
{
        for (int bits = 0; bits < 64; bits++) {
                struct visit_facts f = good;
                Nuanxin__Problem want = PROBLEM(NONE);
                if (bits & 1) {
                        f.closed_us = 1;
                        want = PROBLEM(CASE_CLOSED);
                }
                if (bits & 2) {
                        f.occurred_us = NOW - VISIT_OFFLINE_US - 1;
                        want = PROBLEM(VISIT_TOO_OLD);
                }
                if (bits & 4) {
                        f.occurred_us = NOW + VISIT_CLOCK_SKEW_US + 1;
                        want = PROBLEM(VISIT_IN_FUTURE);
                }
                if (bits & 8) {
                        f.outcome = VISIT_PLANNED;
                        want = PROBLEM(INVALID_ARGUMENT);
                }
                if (bits & 16) {
                        f.erased = true;
                        want = PROBLEM(RECIPIENT_ERASED);
                }
                if (bits & 32) {
                        f.in_scope = false;
                        want = PROBLEM(NOT_FOUND);
                }
                CHECK_INT(decide(f), want);
        }
}

static void test_fulfils(void)
{
        const char *const occasions[] = {"", "spring-festival", "mid-autumn"};
        for (int p = 0; p < 3; p++)
                for (int v = 0; v < 3; v++)
                        for (int outcome = VISIT_PLANNED; outcome <= VISIT_DECLINED; outcome++) {
                                const struct visit_plan plan = {occasions[p], NOW - 90 * DAY, NOW};
                                bool want = (p == v || !p || !v) && (outcome == VISIT_MET || outcome == VISIT_DECLINED);
                                CHECK_INT(visit_settles(outcome), outcome == VISIT_MET || outcome == VISIT_DECLINED);
                                CHECK_INT(visit_fulfils(&plan, occasions[v], outcome, NOW), want);
                                CHECK_INT(visit_fulfils(&plan, occasions[v], outcome, NOW - VISIT_EARLY_US), want);
                                CHECK_INT(visit_fulfils(&plan, occasions[v], outcome, NOW - VISIT_EARLY_US - 1), false);
                                CHECK_INT(visit_fulfils(&plan, occasions[v], outcome, NOW + 400 * DAY), want); /* late, but it was */
                        }
        const struct visit_plan fresh = {"", NOW, NOW};
        CHECK_INT(visit_fulfils(&fresh, "", VISIT_MET, NOW), true);
        CHECK_INT(visit_fulfils(&fresh, "", VISIT_MET, NOW - 1), false); /* before anybody asked for it */
}

static void test_next(void)
{
        CHECK_INT(visit_next_us(NOW, 0, 0), 0);
        CHECK_INT(visit_next_us(NOW, NOW + DAY, 0), 0);
        CHECK_INT(visit_next_us(NOW, 0, 30), NOW + 30 * DAY);
        CHECK_INT(visit_next_us(NOW, NOW - DAY, 30), NOW + 30 * DAY);
        CHECK_INT(visit_next_us(NOW, NOW + DAY, 30), NOW + 31 * DAY);
        CHECK_INT(visit_next_us(NOW, NOW + DAY, 366), NOW + 367 * DAY);
}

/* As the service does it: what is due comes from the last of those that are there, and each closes what it fulfils. */
struct end {
        int64_t due, last;
        unsigned fulfilled;
};
static const struct {
        int64_t occurred_us;
        int outcome;
        const char *occasion;
} uploads[] = {
        {NOW - 20 * DAY, VISIT_MET, ""},
        {NOW - 10 * DAY, VISIT_ABSENT, "spring-festival"},
        {NOW - 9 * DAY, VISIT_DECLINED, "spring-festival"},
        {NOW - 2 * DAY, VISIT_ABSENT, ""},
};
static const struct visit_plan plans[] = {
        {"spring-festival", NOW - 30 * DAY, NOW - 8 * DAY},
        {"mid-autumn", NOW - 30 * DAY, NOW + 200 * DAY},
        {"", NOW - 15 * DAY, NOW + 5 * DAY},
};

static void take(struct end *end, size_t i)
{
        for (size_t p = 0; p < ARRAY_LEN(plans); p++)
                if (visit_fulfils(&plans[p], uploads[i].occasion, uploads[i].outcome, uploads[i].occurred_us))
                        end->fulfilled |= 1U << p;
        if (visit_settles(uploads[i].outcome) && uploads[i].occurred_us > end->last)
                end->last = uploads[i].occurred_us;
        end->due = visit_next_us(NOW - 25 * DAY, end->last, 30);
}

static void test_any_order(void)
{
        for (int order = 0; order < 256; order++) { /* every four of four, repeats among them; those with all of them count */
                struct end end = {0};
                unsigned seen = 0;
                for (int k = 0; k < 4; k++)
                        seen |= 1U << (order >> 2 * k & 3);
                for (int k = 0; seen == 15 && k < 4; k++)
                        take(&end, (size_t)(order >> 2 * k & 3));
                if (seen == 15) {
                        CHECK_INT(end.due, NOW + 21 * DAY);
                        CHECK_INT(end.fulfilled, 5);
                }
        }
}

static void test_planning(void)
{
        CHECK_INT(visit_may_plan(NOW, NOW), true);
        CHECK_INT(visit_may_plan(NOW - DAY + 1, NOW), true); /* a list gives a day: today's has begun */
        CHECK_INT(visit_may_plan(NOW - DAY, NOW), false);
        CHECK_INT(visit_may_plan(NOW + VISIT_PLAN_US, NOW), true);
        CHECK_INT(visit_may_plan(NOW + VISIT_PLAN_US + 1, NOW), false);
}

static const struct check_case cases[] = {
        {"too old, in the future, after the case was closed: to the microsecond", test_limits},
        {"a visit says how, what came of it, when; and with a device its nonce", test_whole},
        {"of several things wrong one is told, scope before all", test_precedence},
        {"a planned visit is fulfilled by one of its occasion, late too, not by one long before", test_fulfils},
        {"the next is due so many days after the last, or after the stage began", test_next},
        {"whatever the order of uploads, the end is the same", test_any_order},
        {"planned from today on, not too far ahead", test_planning},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
