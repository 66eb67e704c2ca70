/* SPDX-License-Identifier: Apache-2.0
 *
 * What documents come to: facts and their fields, conditions, caps, terms; and that the shipped programmes come to what real
 * associations reported.
 */
// uses: services/care/rules_programme.c services/care/rules_calendar.c
#include "tests/support/care_documents.h"

#define HEAD "{\"title\":\"t\",\"titleZh\":\"t\",\"organization\":\"43\",\"purpose\":\"p\","
#define NAMED "\"title\":\"t\",\"titleZh\":\"t\""
#define FIELDS                                                                                                                    \
        "\"fields\":[{\"name\":\"days\",\"type\":\"INTEGER\"," NAMED ",\"required\":true},"                                       \
        "{\"name\":\"cost\",\"type\":\"MONEY\"," NAMED "},{\"name\":\"on\",\"type\":\"DATE\"," NAMED "},"                         \
        "{\"name\":\"yes\",\"type\":\"BOOL\"," NAMED "},{\"name\":\"note\",\"type\":\"TEXT\"," NAMED ",\"most\":3},"              \
        "{\"name\":\"few\",\"type\":\"INTEGER\"," NAMED ",\"least\":-2,\"most\":5},{\"name\":\"rate\",\"type\":\"INTEGER\"," NAMED "}," \
        "{\"name\":\"kind\",\"type\":\"CHOICE\"," NAMED ",\"choices\":[{\"value\":\"a\"," NAMED "},{\"value\":\"b\"," NAMED "}]}]"

static ProgrammeDocument *with(const char *rest)
{
        return document_of(str_of(arena_printf(memory(), HEAD FIELDS "%s%s}", rest[0] ? "," : "", rest)));
}

static day_t day(const char *text)
{
        day_t d = 0;
        CHECK_INT(day_parse(str_of(text), &d), 0);
        return d;
}

/* --- facts ---------------------------------------------------------------------------------------------------- */

static void check_fact(const char *fact, const char *rule)
{
        const ProgrammeDocument *d = with("");
        struct facts f = facts_of(arena_printf(memory(), "days=1 %s", fact));
        struct faults faults = {.n = 0};
        facts_check(memory(), d->fields, d->n_fields, NULL, 0, f.items, f.n, &faults);
        if ((faults.n ? faults.n : 0) != (rule[0] ? 1 : 0) || (faults.n && strcmp(faults.items[0].rule, rule) != 0)) {
                printf("# %s: %zu faults, %s\n", fact, faults.n, faults.n ? faults.items[0].rule : "none");
                CHECK_TEXT(faults.n ? faults.items[0].rule : "", rule);
        }
}

static void a_fact_has_the_form_and_range_of_its_field(void)
{
        static const char *const cases[][2] = {
                {"few=-2", ""}, {"few=5", ""}, {"few=-3", "range"}, {"few=6", "range"}, {"few=", ""}, {"few=1.5", "type"}, {"few=+1", "type"},
                {"few=1e3", "type"}, {"few=99999999999999999999", "range"}, {"few=-", "type"}, {"few=05", ""},
                {"rate=1000000000000", ""}, {"rate=1000000000001", "range"}, {"rate=-1000000000000", ""}, {"rate=-1000000000001", "range"},
                {"cost=0", ""}, {"cost=-1", "range"}, {"cost=1000000000000", ""}, {"cost=1000000000001", "range"}, {"cost=12.34", "type"},
                {"on=2028-02-29", ""}, {"on=2026-02-29", "type"}, {"on=tomorrow", "type"}, {"yes=true", ""}, {"yes=false", ""}, {"yes=1", "type"},
                {"yes=True", "type"}, {"note=一二三", ""}, {"note=一二三四", "maxLength"}, {"kind=a", ""}, {"kind=c", "in"}, {"other=1", "unknown"},
                {"person.age=60", "unknown"}, {"few=1 few=2", "unique"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                check_fact(cases[i][0], cases[i][1]);
}

static void what_is_required_is_asked_where_it_is_asked(void)
{
        const ProgrammeDocument *d = with("");
        struct facts none = facts_of("few=1"), empty = facts_of("days=");
        const char *const other[] = {"few"}, *const days[] = {"few", "days"};
        struct faults faults = {.n = 0};
        facts_check(memory(), d->fields, d->n_fields, other, 1, none.items, none.n, &faults);
        check_no_faults("not asked", &faults);
        facts_check(memory(), d->fields, d->n_fields, days, 2, none.items, none.n, &faults);
        CHECK_INT(faults.n, 1);
        CHECK_TEXT(faults.items[0].rule, "required");
        CHECK(strstr(faults.items[0].detail, "days"));
        facts_check(memory(), d->fields, d->n_fields, NULL, 0, empty.items, empty.n, &faults);
        CHECK_INT(faults.n, 2);
}

static void what_actions_ask_for_is_not_asked_at_the_opening(void)
{
        size_t n;
        const ProgrammeDocument *d = shipped_document("education-aid");
        const char *const *names = fields_at_opening(memory(), d, &n);
        CHECK_INT(n, 3);
        CHECK_TEXT(names[0], "ground");
        CHECK_TEXT(names[1], "school");
        CHECK_TEXT(names[2], "school_name");
}

static void what_the_service_knows_is_named_and_typed(void)
{
        const ProgrammeDocument *d = shipped_document("hospital-care");
        struct facts good = facts_of("person.special=true policy.active=false person.age=60 days=3"), bad = facts_of("person.age=old person.phone=1");
        struct faults faults = {.n = 0};
        const char *on = NULL;
        facts_check_all(memory(), d, good.items, good.n, &faults);
        check_no_faults("known", &faults);
        facts_check_all(memory(), d, bad.items, bad.n, &faults);
        CHECK_INT(faults.n, 2);
        CHECK_TEXT(faults.items[0].place, "/facts/0/value");
        CHECK_TEXT(faults.items[1].place, "/facts/1/name");
        CHECK_INT(known_facts_of(d, &on), 1 << KNOWN_PERSON_SPECIAL | 1 << KNOWN_POLICY_ACTIVE);
        CHECK_TEXT(on, "admitted");
        CHECK_INT(known_facts_of(shipped_document("three-combinations"), &on), 0);
        CHECK_TEXT(on, "");
}

/* --- conditions ----------------------------------------------------------------------------------------------- */

static void check_condition(const char *fact, const char *operator, const char *values, const char *given, bool wanted)
{
        const ProgrammeDocument *d = with(arena_printf(memory(), "\"conditions\":[{\"code\":\"c\",\"fact\":\"%s\",\"operator\":\"%s\",\"values\":[%s]," NAMED "}]", fact, operator, values));
        struct facts f = facts_of(given);
        bool holds = condition_holds(d->conditions[0], d->fields, d->n_fields, f.items, f.n);
        if (holds != wanted)
                printf("# %s %s %s with %s\n", fact, operator, values, given);
        CHECK_INT(holds, wanted);
}

static void conditions_hold_at_their_bounds_and_not_beyond(void)
{
        check_condition("days", "AT_LEAST", "\"2\"", "days=1", false);
        check_condition("days", "AT_LEAST", "\"2\"", "days=2", true);
        check_condition("days", "AT_LEAST", "\"2\"", "days=10", true); /* not as text */
        check_condition("days", "AT_MOST", "\"-1\"", "days=-2", true);
        check_condition("days", "AT_MOST", "\"-1\"", "days=0", false);
        check_condition("days", "EQUALS", "\"7\"", "days=07", true);
        check_condition("days", "ONE_OF", "\"7\",\"9\"", "days=9", true);
        check_condition("days", "ONE_OF", "\"7\",\"9\"", "days=8", false);
        check_condition("on", "AT_LEAST", "\"2026-03-01\"", "on=2026-02-28", false);
        check_condition("on", "AT_LEAST", "\"2026-03-01\"", "on=2026-03-01", true);
        check_condition("on", "AT_MOST", "\"2026-03-01\"", "on=2026-03-02", false);
        check_condition("yes", "EQUALS", "\"true\"", "yes=true", true);
        check_condition("yes", "EQUALS", "\"true\"", "yes=false", false);
        check_condition("kind", "ONE_OF", "\"a\",\"b\"", "kind=b", true);
        check_condition("kind", "EQUALS", "\"a\"", "kind=b", false);
        check_condition("person.age", "AT_LEAST", "\"60\"", "person.age=60", true);
        check_condition("person.age", "AT_LEAST", "\"60\"", "person.age=59", false);
        check_condition("person.special", "EQUALS", "\"true\"", "person.special=true", true);
}

static void a_fact_that_is_not_given_fulfils_nothing(void)
{
        static const char *const operators[] = {"AT_LEAST", "AT_MOST", "EQUALS", "ONE_OF"};
        for (size_t i = 0; i < 4; i++) {
                check_condition("days", operators[i], "\"0\"", "few=0", false);
                check_condition("days", operators[i], "\"0\"", "days=", false);
                check_condition("days", operators[i], "\"0\"", "days=x", false);
        }
}

/* --- what it comes to ----------------------------------------------------------------------------------------- */

static CapUse before(const char *cap, int64_t used)
{
        CapUse use = NUANXIN__CARE__V1__CAP_USE__INIT;
        use.cap = (char *)cap;
        use.before = used;
        return use;
}

/* One cap's use before; its code is "c". */
static struct evaluation come_to(const ProgrammeDocument *d, const char *given, int64_t used)
{
        struct facts f = facts_of(given);
        CapUse use = before("c", used), *uses[] = {&use};
        struct evaluation e;
        evaluate(memory(), d, f.items, f.n, uses, 1, day("2026-05-29"), &e);
        CHECK_INT(e.outcome->eligible, e.n_failures == 0);
        CHECK_INT(e.outcome->n_failed, e.n_failures);
        for (size_t i = 0; i < e.n_failures; i++) {
                CHECK_TEXT(e.outcome->failed[i], e.failures[i].code);
                CHECK(e.failures[i].title[0] && e.failures[i].title_zh[0]);
        }
        if (!e.outcome->eligible)
                CHECK_INT(e.outcome->amount, 0);
        return e;
}

static int64_t amount(const ProgrammeDocument *d, const char *given)
{
        return come_to(d, given, 0).outcome->amount;
}

#define PER_DAY "\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":10000}}]"

static void terms_are_added_up_in_whole_fen(void)
{
        CHECK_INT(amount(with(PER_DAY), "days=12"), 120000);
        CHECK_INT(amount(with("\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":3}},{\"fixed\":{\"amount\":50}}]"), "days=2"), 56);
        CHECK_INT(amount(with("\"terms\":[{\"fixed\":{\"amount\":50},\"when\":\"yes\"},{\"fixed\":{\"amount\":7}}]"), "yes=true"), 57);
        CHECK_INT(amount(with("\"terms\":[{\"fixed\":{\"amount\":50},\"when\":\"yes\"},{\"fixed\":{\"amount\":7}}]"), "yes=false"), 7);
        CHECK_INT(amount(with("\"terms\":[{\"fixed\":{\"amount\":50},\"when\":\"yes\",\"is\":\"false\"}]"), "yes=false"), 50);
        CHECK_INT(amount(with("\"terms\":[{\"fixed\":{\"amount\":50},\"when\":\"kind\",\"is\":\"a\"},{\"fixed\":{\"amount\":80},\"when\":\"kind\",\"is\":\"b\"}]"), "kind=b"), 80);
        CHECK_INT(amount(with("\"terms\":[{\"perUnit\":{\"fact\":\"person.household\",\"amount\":9}}]"), "person.household=4"), 36);
        const ProgrammeDocument *share = with("\"terms\":[{\"share\":{\"fact\":\"cost\",\"basisPoints\":3333}}]");
        CHECK_INT(amount(share, "cost=100"), 33);
        CHECK_INT(amount(share, "cost=10000"), 3333);
        CHECK_INT(amount(share, "cost=15"), 5);        /* 4.9995 */
        CHECK_INT(amount(share, "cost=1000000000000"), INT64_C(333300000000));
        const ProgrammeDocument *half = with("\"terms\":[{\"share\":{\"fact\":\"cost\",\"basisPoints\":5000,\"most\":100}}]");
        CHECK_INT(amount(half, "cost=1"), 1); /* half a fen is one */
        CHECK_INT(amount(half, "cost=199"), 100);
        CHECK_INT(amount(half, "cost=5000"), 100);
}

static void interest_is_simple_and_to_the_nearest_fen(void)
{
        const ProgrammeDocument *d = with("\"terms\":[{\"interest\":{\"principal\":\"cost\",\"basisPoints\":\"rate\",\"days\":\"days\",\"mostBasisPoints\":500}}]");
        CHECK_INT(amount(d, "cost=5000000 rate=500 days=365"), 250000);
        CHECK_INT(amount(d, "cost=5000000 rate=500 days=366"), 250685);  /* 250684.93 */
        CHECK_INT(amount(d, "cost=5000000 rate=435 days=365"), 217500);
        CHECK_INT(amount(d, "cost=5000000 rate=800 days=365"), 250000);  /* what is above 5 % is the borrower's */
        CHECK_INT(amount(d, "cost=5000000 rate=500 days=1"), 685);       /* 684.93 */
        CHECK_INT(amount(d, "cost=3650000 rate=1 days=1"), 1);           /* exactly 1 */
        CHECK_INT(amount(d, "cost=1825000 rate=1 days=1"), 1);           /* exactly a half */
        CHECK_TEXT(come_to(d, "cost=1824999 rate=1 days=1", 0).failures[0].code, NOTHING_DUE);
        CHECK_INT(amount(d, "cost=1000000000000 rate=500 days=7300"), AMOUNT_MOST);
        CHECK_TEXT(come_to(d, "cost=1000000000000 rate=500 days=7301", 0).failures[0].code, TOO_MUCH);
}

/* For every day of loans of odd sizes: never more than half a fen from the true value. */
static void interest_is_never_half_a_fen_away(void)
{
        const ProgrammeDocument *d = with("\"terms\":[{\"interest\":{\"principal\":\"cost\",\"basisPoints\":\"rate\",\"days\":\"days\",\"mostBasisPoints\":10000}},{\"fixed\":{\"amount\":1}}]");
        for (int64_t cost = 99991; cost < 5000000; cost += 611953)
                for (int64_t rate = 1; rate < 1000; rate += 83)
                        for (int64_t days = 1; days <= 366; days += 73) {
                                int64_t got = amount(d, arena_printf(memory(), "cost=%" PRId64 " rate=%" PRId64 " days=%" PRId64, cost, rate, days)) - 1;
                                int64_t off = 2 * (got * 3650000 - cost * rate * days);
                                if (off > 3650000 || off <= -3650000)
                                        CHECK_INT(off, 0);
                        }
}

static void what_would_overflow_is_refused_and_what_is_negative_counts_as_nothing(void)
{
        const ProgrammeDocument *d = with("\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":1000000000000}},{\"perUnit\":{\"fact\":\"days\",\"amount\":1000000000000}}]");
        CHECK_TEXT(come_to(d, "days=1000000000000", 0).failures[0].code, TOO_MUCH);
        CHECK_TEXT(come_to(d, "days=1", 0).failures[0].code, TOO_MUCH);
        CHECK_INT(come_to(d, "days=9223372036854775807", 0).n_failures, 1);
        CHECK_TEXT(come_to(d, "days=-5", 0).failures[0].code, NOTHING_DUE);
        CHECK_TEXT(come_to(d, "few=1", 0).failures[0].code, NOTHING_DUE);
        CHECK_INT(amount(with("\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":1000000000000}}]"), "days=1"), AMOUNT_MOST);
        CHECK_TEXT(come_to(with("\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":1000000000000}},{\"fixed\":{\"amount\":1}}]"), "days=1", 0).failures[0].code, TOO_MUCH);
}

static void without_terms_nothing_is_granted_and_conditions_still_decide(void)
{
        const ProgrammeDocument *d = with("\"conditions\":[{\"code\":\"x\",\"fact\":\"days\",\"operator\":\"AT_LEAST\",\"values\":[\"3\"]," NAMED "}]");
        CHECK(come_to(d, "days=3", 0).outcome->eligible);
        CHECK_INT(amount(d, "days=3"), 0);
        struct evaluation e = come_to(d, "days=2", 0);
        CHECK(!e.outcome->eligible);
        CHECK_TEXT(e.failures[0].code, "x");
        CHECK_TEXT(e.failures[0].wanted, "days AT_LEAST 3");
}

/* --- caps ----------------------------------------------------------------------------------------------------- */

static ProgrammeDocument *capped(const char *cap)
{
        return with(arena_printf(memory(), PER_DAY ",\"caps\":[{\"code\":\"c\",%s}]", cap));
}

static void days_are_cut_to_what_is_left_of_the_year(void)
{
        const ProgrammeDocument *d = capped("\"measure\":\"UNITS\",\"fact\":\"days\",\"period\":\"YEAR\",\"yearStart\":\"03-01\",\"on\":\"on\",\"most\":90,\"beyond\":\"CUT\"");
        static const struct {
                int64_t before, days, used;
        } cases[] = {{0, 90, 90}, {0, 91, 90}, {0, 366, 90}, {89, 1, 1}, {89, 2, 1}, {80, 12, 10}, {78, 12, 12}, {0, 1, 1}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct evaluation e = come_to(d, arena_printf(memory(), "days=%" PRId64 " on=2026-02-28", cases[i].days), cases[i].before);
                CHECK(e.outcome->eligible);
                CHECK_INT(e.outcome->amount, cases[i].used * 10000);
                CHECK_INT(e.outcome->uses[0]->before, cases[i].before);
                CHECK_INT(e.outcome->uses[0]->used, cases[i].used);
                CHECK_TEXT(e.outcome->uses[0]->period, "2025-03-01");
        }
        for (int64_t used = 90; used <= 91; used++) { /* 91: a version before let more through */
                struct evaluation e = come_to(d, "days=1 on=2026-03-01", used);
                CHECK_INT(e.n_failures, 1);
                CHECK_TEXT(e.failures[0].code, "c");
                CHECK(e.failures[0].cap);
                CHECK_INT(e.failures[0].used, used);
                CHECK_INT(e.failures[0].most, 90);
                CHECK_INT(e.failures[0].asked, 1);
                CHECK_INT(e.outcome->uses[0]->used, 0);
                CHECK_TEXT(e.outcome->uses[0]->period, "2026-03-01");
        }
}

static void what_passes_a_cap_that_refuses_is_refused_whole(void)
{
        const ProgrammeDocument *d = capped("\"measure\":\"UNITS\",\"fact\":\"days\",\"period\":\"EVER\",\"most\":90");
        CHECK_INT(come_to(d, "days=10", 80).outcome->amount, 100000);
        struct evaluation e = come_to(d, "days=11", 80);
        CHECK_INT(e.n_failures, 1);
        CHECK_INT(e.failures[0].asked, 11);
        CHECK_TEXT(e.outcome->uses[0]->period, "");
        d = capped("\"measure\":\"TIMES\",\"period\":\"EVER\",\"most\":3,\"household\":true");
        CHECK_INT(come_to(d, "days=1", 2).outcome->uses[0]->used, 1);
        CHECK_TEXT(come_to(d, "days=1", 3).failures[0].code, "c");
}

static void amounts_are_cut_last(void)
{
        const ProgrammeDocument *d = capped("\"measure\":\"AMOUNT\",\"period\":\"MONTH\",\"on\":\"on\",\"most\":250000,\"beyond\":\"CUT\"");
        struct evaluation e = come_to(d, "days=30 on=2028-02-29", 0);
        CHECK_INT(e.outcome->amount, 250000);
        CHECK_INT(e.outcome->uses[0]->used, 250000);
        CHECK_TEXT(e.outcome->uses[0]->period, "2028-02-01");
        CHECK_INT(come_to(d, "days=30 on=2028-02-29", 249999).outcome->amount, 1);
        CHECK_TEXT(come_to(d, "days=30 on=2028-02-29", 250000).failures[0].code, "c");
        CHECK_TEXT(come_to(d, "days=1", 0).outcome->uses[0]->period, "2026-05-01"); /* no date given: today */
        d = capped("\"measure\":\"AMOUNT\",\"period\":\"EVER\",\"most\":10000");
        CHECK_INT(come_to(d, "days=1", 0).outcome->amount, 10000);
        CHECK_INT(come_to(d, "days=2", 0).n_failures, 1);
}

static void several_caps_are_all_asked(void)
{
        const ProgrammeDocument *d = with(PER_DAY
                ",\"caps\":[{\"code\":\"year\",\"measure\":\"UNITS\",\"fact\":\"days\",\"period\":\"YEAR\",\"most\":90,\"beyond\":\"CUT\"},"
                "{\"code\":\"month\",\"measure\":\"UNITS\",\"fact\":\"days\",\"period\":\"MONTH\",\"most\":20,\"beyond\":\"CUT\"},"
                "{\"code\":\"money\",\"measure\":\"AMOUNT\",\"period\":\"EVER\",\"most\":150000,\"beyond\":\"CUT\"}]");
        struct facts f = facts_of("days=40");
        CapUse used[] = {before("money", 20000), before("year", 65), before("another", 9)}, *uses[] = {&used[0], &used[1], &used[2]};
        struct evaluation e;
        evaluate(memory(), d, f.items, f.n, uses, 3, day("2026-05-29"), &e);
        CHECK(e.outcome->eligible); /* 40 → 25 → 20 days; ¥2,000 → what is left of ¥1,500 */
        CHECK_INT(e.outcome->amount, 130000);
        CHECK_INT(e.outcome->uses[0]->used, 20);
        CHECK_INT(e.outcome->uses[0]->before, 65);
        CHECK_INT(e.outcome->uses[1]->used, 20);
        CHECK_INT(e.outcome->uses[2]->used, 130000);
        used[0].before = 150000;
        used[1].before = 90;
        evaluate(memory(), d, f.items, f.n, uses, 3, day("2026-05-29"), &e);
        CHECK_INT(e.n_failures, 1); /* nothing is left of the days, so nothing is asked of the money */
        CHECK_TEXT(e.failures[0].code, "year");
        evaluate(memory(), d, f.items, f.n, NULL, 0, day("2026-05-29"), &e);
        CHECK_INT(e.outcome->amount, 150000);
}

static void uses_due_say_where_to_look(void)
{
        size_t n;
        struct facts f = facts_of("admitted=2026-02-28 days=3");
        CapUse **uses = uses_due(memory(), shipped_document("hospital-care"), f.items, f.n, day("2026-05-29"), &n);
        CHECK_INT(n, 1);
        CHECK_TEXT(uses[0]->cap, "days-a-year");
        CHECK_TEXT(uses[0]->period, "2025-03-01");
        CHECK_INT(uses[0]->before, 0);
        const ProgrammeDocument *loan = shipped_document("loan-interest");
        uses = uses_due(memory(), loan, f.items, 0, day("2026-05-29"), &n);
        CHECK_INT(n, 2);
        CHECK(loan->caps[0]->household);
        CHECK_TEXT(uses[0]->period, "");
}

static void a_decision_done_again_is_the_same(void)
{
        const ProgrammeDocument *d = shipped_document("hospital-care");
        struct facts f = facts_of("person.special=true policy.active=true hospital_level=3 public_hospital=true admitted=2026-04-01 days=40");
        CapUse use = before("days-a-year", 70), *uses[] = {&use};
        struct evaluation first, again;
        evaluate(memory(), d, f.items, f.n, uses, 1, day("2026-05-29"), &first);
        CHECK_INT(first.outcome->amount, 200000);
        evaluate(memory(), d, f.items, f.n, first.outcome->uses, first.outcome->n_uses, day("2026-05-29"), &again);
        CHECK(outcome_equal(first.outcome, again.outcome));
        again.outcome->amount++;
        CHECK(!outcome_equal(first.outcome, again.outcome));
        use.before = 71;
        evaluate(memory(), d, f.items, f.n, uses, 1, day("2026-05-29"), &again);
        CHECK(!outcome_equal(first.outcome, again.outcome));
}

static void everything_that_fails_is_said_at_once(void)
{
        struct facts f = facts_of("person.special=false policy.active=false hospital_level=1 public_hospital=false admitted=2026-04-01 days=40");
        CapUse use = before("days-a-year", 90), *uses[] = {&use};
        static const char *const wanted[] = {"special-family", "insured", "hospital-level", "public-hospital", "days-a-year"};
        struct evaluation e;
        evaluate(memory(), shipped_document("hospital-care"), f.items, f.n, uses, 1, day("2026-05-29"), &e);
        CHECK_INT(e.n_failures, 5);
        for (size_t i = 0; i < 5 && i < e.n_failures; i++)
                CHECK_TEXT(e.failures[i].code, wanted[i]);
}

/* --- what real associations reported -------------------------------------------------------------------------- */

/* 13,000 recipients, ¥18.16 million: 14 days for 12,600 of them, 13 for 400. */
static void hospital_care_comes_to_what_was_reported(void)
{
        const ProgrammeDocument *d = shipped_document("hospital-care");
        int64_t sum = 0;
        for (int i = 0; i < 13000; i++) {
                struct facts f = facts_of(i < 12600 ? "person.special=true policy.active=true hospital_level=2 public_hospital=true admitted=2026-04-01 days=14"
                                                    : "person.special=true policy.active=true hospital_level=3 public_hospital=true admitted=2026-04-01 days=13");
                struct evaluation e;
                evaluate(memory(), d, f.items, f.n, NULL, 0, day("2026-05-29"), &e);
                sum += e.outcome->amount;
                if (i % 1000 == 0)
                        arena_reset(memory()), d = shipped_document("hospital-care");
        }
        CHECK_INT(sum, INT64_C(1816000000));
}

/* ¥160 million of loans, ¥7.5 million of subsidy: 3,200 loans of ¥50,000 at 4.69 % for a year, within 0.1 %. */
static void loan_interest_comes_to_what_was_reported(void)
{
        const ProgrammeDocument *d = shipped_document("loan-interest");
        int64_t sum = 3200 * amount(d, "principal=5000000 rate=469 days=365 began=2026-01-05");
        CHECK(sum > INT64_C(749250000) && sum < INT64_C(750750000));
        CHECK_TEXT(come_to(d, "principal=5000001 rate=469 days=365", 0).failures[0].code, "loan-size");
        CHECK_TEXT(come_to(d, "principal=5000000 rate=469 days=367", 0).failures[0].code, "one-year");
        CHECK_INT(amount(d, "principal=5000000 rate=600 days=365"), 250000);
}

static void the_other_programmes_pay_what_they_say(void)
{
        static const struct {
                const char *programme, *facts;
                int64_t amount;
        } cases[] = {
                {"three-combinations", "cost=800000", 400000}, {"three-combinations", "cost=5000000", 500000},
                {"happiness-project", "needed=800000", 800000}, {"happiness-project", "needed=2000000", 1000000},
                {"housing-project", "home=grade-d works=rebuild", 3000000}, {"housing-project", "home=grade-c works=repair", 1000000},
                {"housing-project", "home=grade-b works=repair", 0}, {"education-aid", "school=university progress=first-year school_year=2026-09-01", 500000},
                {"education-aid", "school=college progress=passed school_year=2026-09-01", 400000}, {"education-aid", "school=high-school progress=failed", 0},
                {"childcare-grant", "filed=true places=60 fee=150000", 60000000}, {"childcare-grant", "filed=true places=300 fee=150000", 100000000},
                {"childcare-grant", "filed=true places=19 fee=150000", 0}, {"childcare-grant", "filed=true places=60 fee=200001", 0},
                {"maternity-support", "child=second born=2026-03-01", 200000}, {"maternity-support", "child=third born=2026-03-01", 500000},
                {"home-care-subsidy", "person.special=true person.age=60 care=fully month=2026-05-01", 40000},
                {"home-care-subsidy", "person.special=true person.age=59 care=fully month=2026-05-01", 0},
                {"service-order", "person.special=true hours=3 wanted=2026-06-01", 3}, {"service-order", "person.special=true hours=17 wanted=2026-06-01", 0},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int64_t got = amount(shipped_document(cases[i].programme), cases[i].facts);
                if (got != cases[i].amount)
                        printf("# %s with %s\n", cases[i].programme, cases[i].facts);
                CHECK_INT(got, cases[i].amount);
        }
        CHECK(come_to(shipped_document("nuanxin-care"), "person.special=true", 0).outcome->eligible);
        CHECK(!come_to(shipped_document("nuanxin-care"), "person.special=false", 0).outcome->eligible);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a fact has the form and range of its field", a_fact_has_the_form_and_range_of_its_field},
                {"what is required is asked where it is asked", what_is_required_is_asked_where_it_is_asked},
                {"what actions ask for is not asked at the opening", what_actions_ask_for_is_not_asked_at_the_opening},
                {"what the service knows is named and typed", what_the_service_knows_is_named_and_typed},
                {"conditions hold at their bounds and not beyond", conditions_hold_at_their_bounds_and_not_beyond},
                {"a fact that is not given fulfils nothing", a_fact_that_is_not_given_fulfils_nothing},
                {"terms are added up in whole fen", terms_are_added_up_in_whole_fen},
                {"interest is simple, and to the nearest fen", interest_is_simple_and_to_the_nearest_fen},
                {"interest is never more than half a fen away", interest_is_never_half_a_fen_away},
                {"what would overflow is refused, and what is negative counts as nothing", what_would_overflow_is_refused_and_what_is_negative_counts_as_nothing},
                {"without terms nothing is granted, and conditions still decide", without_terms_nothing_is_granted_and_conditions_still_decide},
                {"days are cut to what is left of the year", days_are_cut_to_what_is_left_of_the_year},
                {"what passes a cap that refuses is refused whole", what_passes_a_cap_that_refuses_is_refused_whole},
                {"amounts are cut last", amounts_are_cut_last},
                {"several caps are all asked", several_caps_are_all_asked},
                {"uses_due says where to look", uses_due_say_where_to_look},
                {"a decision done again is the same", a_decision_done_again_is_the_same},
                {"everything that fails is said at once", everything_that_fails_is_said_at_once},
                {"hospital care comes to what was reported", hospital_care_comes_to_what_was_reported},
                {"loan interest comes to what was reported", loan_interest_comes_to_what_was_reported},
                {"the other programmes pay what they say", the_other_programmes_pay_what_they_say},
        };
        int r = CHECK_MAIN(cases);
        arena_free(documents_memory);
        return r;
}
