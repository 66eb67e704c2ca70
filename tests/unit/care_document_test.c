/* SPDX-License-Identifier: Apache-2.0
 *
 * Which documents hold together: every programme that is shipped, and what is said of each way to break one.
 */
// uses: services/care/rules_document.c services/care/rules_programme.c services/care/rules_calendar.c
#include "tests/support/care_documents.h"

#define N(code) "\"" code "\",\"title\":\"t\",\"titleZh\":\"t\""

/* A small programme with something of everything. */
static const char good[] =
        "{\"title\":\"t\",\"titleZh\":\"t\",\"organization\":\"43\",\"purpose\":\"p\",\"visitDays\":30,"
        "\"fields\":[{\"name\":" N("days") ",\"type\":\"INTEGER\",\"least\":1,\"most\":9},{\"name\":" N("cost") ",\"type\":\"MONEY\"},"
        "{\"name\":" N("rate") ",\"type\":\"INTEGER\"},{\"name\":" N("on") ",\"type\":\"DATE\"},"
        "{\"name\":" N("kind") ",\"type\":\"CHOICE\",\"choices\":[{\"value\":" N("a") "},{\"value\":" N("b") "}]},{\"name\":" N("yes") ",\"type\":\"BOOL\"}],"
        "\"documents\":[{\"kind\":" N("proof") "},{\"kind\":" N("bill") "}],"
        "\"conditions\":[{\"code\":" N("c1") ",\"fact\":\"days\",\"operator\":\"AT_LEAST\",\"values\":[\"2\"]},"
        "{\"code\":" N("c2") ",\"fact\":\"policy.active\",\"operator\":\"EQUALS\",\"values\":[\"true\"],\"on\":\"on\"},"
        "{\"code\":" N("c3") ",\"fact\":\"kind\",\"operator\":\"ONE_OF\",\"values\":[\"a\",\"b\"]}],"
        "\"caps\":[{\"code\":\"k1\",\"measure\":\"UNITS\",\"fact\":\"days\",\"period\":\"YEAR\",\"yearStart\":\"03-01\",\"on\":\"on\",\"most\":90,\"beyond\":\"CUT\"},"
        "{\"code\":\"k2\",\"measure\":\"TIMES\",\"period\":\"EVER\",\"most\":3,\"household\":true}],"
        "\"terms\":[{\"perUnit\":{\"fact\":\"days\",\"amount\":5}},{\"share\":{\"fact\":\"cost\",\"basisPoints\":10}},{\"fixed\":{\"amount\":7},\"when\":\"kind\",\"is\":\"a\"},"
        "{\"interest\":{\"principal\":\"cost\",\"basisPoints\":\"rate\",\"days\":\"days\",\"mostBasisPoints\":500}}],"
        "\"contacts\":[{\"role\":" N("village-contact") ",\"level\":\"VILLAGE\"},{\"role\":" N("doctor") "}],"
        "\"assessments\":[{\"code\":" N("monthly") ",\"fields\":[{\"name\":" N("ill") ",\"type\":\"BOOL\"}],"
        "\"monitors\":[{\"code\":" N("m1") ",\"fact\":\"ill\",\"operator\":\"EQUALS\",\"values\":[\"true\"]}]}],"
        "\"stages\":["
        "{\"code\":" N("village") ",\"kind\":\"REVIEW\",\"level\":\"VILLAGE\",\"days\":5,\"workingDays\":true,\"actions\":["
        "{\"code\":" N("confirm") ",\"to\":\"notice\",\"by\":\"OFFICER\",\"fields\":[\"on\"]},{\"code\":" N("refuse") ",\"to\":\"refused\",\"by\":\"OFFICER\"}]},"
        "{\"code\":" N("notice") ",\"kind\":\"NOTICE\",\"level\":\"VILLAGE\",\"days\":7,\"actions\":[{\"code\":" N("over") ",\"to\":\"county\",\"by\":\"OFFICER\"}]},"
        "{\"code\":" N("county") ",\"kind\":\"REVIEW\",\"level\":\"COUNTY\",\"actions\":["
        "{\"code\":" N("approve") ",\"to\":\"payment\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\",\"PAY\"]},{\"code\":" N("return") ",\"to\":\"returned\",\"by\":\"OFFICER\"}]},"
        "{\"code\":" N("payment") ",\"kind\":\"PAYMENT\",\"actions\":[{\"code\":" N("paid") ",\"to\":\"care\",\"by\":\"OFFICER\"}]},"
        "{\"code\":" N("care") ",\"kind\":\"CARE\",\"level\":\"VILLAGE\",\"actions\":["
        "{\"code\":" N("leave") ",\"to\":\"done\",\"by\":\"CONTACT\"},{\"code\":" N("rate") ",\"to\":\"done\",\"by\":\"RECIPIENT\",\"effects\":[\"RATE\"]}]}]}";

/* `good` with one text in the place of another, at its first occurrence. */
static struct str changed(const char *from, const char *to)
{
        const char *at = strstr(good, from);
        if (!at) {
                printf("# %s\n", from);
                CHECK(at);
                return str_of(good);
        }
        return str_of(arena_printf(memory(), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)));
}

static void check_fault(const char *from, const char *to, const char *place, const char *rule)
{
        const ProgrammeDocument *d = document_of(changed(from, to));
        struct faults faults = {.n = 0};
        bool found = false;
        if (d)
                document_check(memory(), d, &faults);
        for (size_t i = 0; i < faults.n; i++) {
                found = found || (strcmp(faults.items[i].place, place) == 0 && strcmp(faults.items[i].rule, rule) == 0);
                CHECK(faults.items[i].detail[0] && faults.items[i].detail_zh[0]);
        }
        if (!found) {
                printf("# %s → %s: want %s at %s\n", from, to, rule, place);
                for (size_t i = 0; i < faults.n; i++)
                        printf("#     %s at %s: %s\n", faults.items[i].rule, faults.items[i].place, faults.items[i].detail);
        }
        CHECK(found);
}

struct breach {
        const char *from, *to, *place, *rule;
};

static void check_all(const struct breach *breaches, size_t n)
{
        for (size_t i = 0; i < n; i++)
                check_fault(breaches[i].from, breaches[i].to, breaches[i].place, breaches[i].rule);
}
#define CHECK_ALL(breaches) check_all((breaches), sizeof(breaches) / sizeof((breaches)[0]))

static void what_holds_together_is_taken(void)
{
        const ProgrammeDocument *d = document_of(str_of(good));
        struct faults faults = {.n = 0};
        document_check(memory(), d, &faults);
        check_no_faults("the small programme", &faults);
}

static void every_shipped_programme_holds_together(void)
{
        static const char *const wanted[] = {
                "childcare-grant", "education-aid", "happiness-project", "home-care-subsidy", "hospital-care", "housing-project", "insurance-claim",
                "loan-interest", "maternity-support", "nuanxin-care", "referral-housing", "referral-jobs", "referral-nursing-home", "referral-refit",
                "requests", "service-order", "three-combinations"};
        glob_t found;
        CHECK_INT(glob("services/care/programmes/*.json", 0, NULL, &found), 0);
        CHECK_INT(found.gl_pathc, sizeof(wanted) / sizeof(wanted[0]));
        for (size_t i = 0; i < found.gl_pathc && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                struct faults faults = {.n = 0};
                CHECK_TEXT(found.gl_pathv[i], arena_printf(memory(), "services/care/programmes/%s.json", wanted[i]));
                const ProgrammeDocument *d = shipped_document(wanted[i]);
                if (d)
                        document_check(memory(), d, &faults);
                check_no_faults(wanted[i], &faults);
        }
        globfree(&found);
}

static void shipped_money_is_decided_above_the_village(void)
{
        static const char *const paid[] = {"childcare-grant", "education-aid", "happiness-project", "home-care-subsidy", "hospital-care", "housing-project",
                                           "loan-interest", "maternity-support", "three-combinations"};
        for (size_t i = 0; i < sizeof(paid) / sizeof(paid[0]); i++) {
                const ProgrammeDocument *d = shipped_document(paid[i]);
                CHECK(d->n_terms > 0 && d->n_caps > 0 && d->purpose[0]);
                for (size_t s = 0; s < d->n_stages; s++)
                        for (size_t a = 0; a < d->stages[s]->n_actions; a++)
                                if (action_has(d->stages[s]->actions[a], NUANXIN__CARE__V1__ACTION__EFFECT__DECIDE))
                                        CHECK(d->stages[s]->level && d->stages[s]->level <= NUANXIN__CARE__V1__LEVEL__TOWNSHIP);
        }
        const Stage *notice = document_stage(shipped_document("loan-interest"), "notice");
        CHECK(notice && notice->days == 7 && notice->working_days);
        CHECK(!document_stage(shipped_document("loan-interest"), "nowhere"));
        CHECK(stage_action(notice, "over") && !stage_action(notice, "approve"));
        const ProgrammeDocument *care = shipped_document("nuanxin-care");
        CHECK_INT(care->n_contacts, 4);
        CHECK_INT(care->contacts[0]->level, NUANXIN__CARE__V1__LEVEL__TOWNSHIP);
        CHECK_INT(care->contacts[1]->level, NUANXIN__CARE__V1__LEVEL__VILLAGE);
}

static void fields_are_sound(void)
{
        static const struct breach breaches[] = {
                {"\"name\":\"cost\"", "\"name\":\"days\"", "/fields/1/name", "unique"},
                {"\"least\":1,\"most\":9", "\"least\":9,\"most\":1", "/fields/0/most", "range"},
                {"\"least\":1,\"most\":9", "\"most\":1000000000001", "/fields/0/most", "range"},
                {"\"type\":\"DATE\"", "\"type\":\"DATE\",\"most\":4", "/fields/3/most", "range"},
                {"\"type\":\"DATE\"", "\"type\":\"TEXT\",\"least\":4,\"most\":5", "/fields/3/most", "range"},
                {"\"type\":\"DATE\"", "\"type\":\"TEXT\",\"most\":2001", "/fields/3/most", "range"},
                {"\"type\":\"DATE\"", "\"type\":\"CHOICE\"", "/fields/3/choices", "required"},
                {"\"type\":\"CHOICE\"", "\"type\":\"TEXT\"", "/fields/4/choices", "required"},
                {"{\"value\":\"b\"", "{\"value\":\"a\"", "/fields/4/choices/1/value", "unique"},
                {"\"kind\":\"bill\"", "\"kind\":\"proof\"", "/documents/1/kind", "unique"},
        };
        CHECK_ALL(breaches);
}

static void conditions_are_sound(void)
{
        static const struct breach breaches[] = {
                {"\"fact\":\"days\",\"operator\"", "\"fact\":\"day\",\"operator\"", "/conditions/0/fact", "unknown"},
                {"\"fact\":\"days\",\"operator\"", "\"fact\":\"person.phone\",\"operator\"", "/conditions/0/fact", "unknown"},
                {"\"fact\":\"days\",\"operator\"", "\"fact\":\"yes\",\"operator\"", "/conditions/0/operator", "type"},
                {"\"fact\":\"days\",\"operator\"", "\"fact\":\"person.special\",\"operator\"", "/conditions/0/operator", "type"},
                {"\"values\":[\"2\"]", "\"values\":[\"two\"]", "/conditions/0/values/0", "type"},
                {"\"values\":[\"2\"]", "\"values\":[]", "/conditions/0/values", "required"},
                {"\"values\":[\"2\"]", "\"values\":[\"2\",\"3\"]", "/conditions/0/values", "required"},
                {"\"values\":[\"a\",\"b\"]", "\"values\":[\"a\",\"c\"]", "/conditions/2/values/1", "type"},
                {"\"values\":[\"2\"]", "\"values\":[\"2\"],\"on\":\"on\"", "/conditions/0/on", "unknown"},
                {"\"values\":[\"true\"],\"on\":\"on\"", "\"values\":[\"true\"],\"on\":\"days\"", "/conditions/1/on", "type"},
                {"\"code\":\"c2\"", "\"code\":\"c1\"", "/conditions/1/code", "unique"},
                {"\"code\":\"c2\"", "\"code\":\"nothing-due\"", "/conditions/1/code", "unique"},
                {"\"fact\":\"kind\",\"operator\":\"ONE_OF\",\"values\":[\"a\",\"b\"]", "\"fact\":\"policy.active\",\"operator\":\"EQUALS\",\"values\":[\"true\"]",
                 "/conditions/2/on", "unique"},
                {"\"visitDays\":30", "\"forOrganization\":true", "/conditions/1/fact", "unknown"},
        };
        CHECK_ALL(breaches);
}

static void caps_are_sound(void)
{
        static const struct breach breaches[] = {
                {"\"code\":\"k2\"", "\"code\":\"k1\"", "/caps/1/code", "unique"},
                {"\"code\":\"k2\"", "\"code\":\"c1\"", "/caps/1/code", "unique"},
                {"\"code\":\"k2\"", "\"code\":\"too-much\"", "/caps/1/code", "unique"},
                {"\"most\":90", "\"most\":0", "/caps/0/most", "required"},
                {"\"fact\":\"days\",\"period\"", "\"fact\":\"cost\",\"period\"", "/caps/0/fact", "type"},
                {"\"fact\":\"days\",\"period\"", "\"fact\":\"rate\",\"period\"", "/caps/0/beyond", "unknown"},
                {"\"measure\":\"TIMES\"", "\"measure\":\"TIMES\",\"fact\":\"days\"", "/caps/1/fact", "unknown"},
                {"\"household\":true", "\"household\":true,\"beyond\":\"CUT\"", "/caps/1/beyond", "range"},
                {"\"yearStart\":\"03-01\"", "\"yearStart\":\"02-30\"", "/caps/0/yearStart", "range"},
                {"\"period\":\"EVER\"", "\"period\":\"MONTH\",\"yearStart\":\"03-01\"", "/caps/1/yearStart", "range"},
                {"\"on\":\"on\",\"most\"", "\"on\":\"days\",\"most\"", "/caps/0/on", "type"},
                {"\"period\":\"EVER\"", "\"period\":\"EVER\",\"on\":\"on\"", "/caps/1/on", "type"},
                {"\"visitDays\":30", "\"forOrganization\":true", "/caps/1/household", "unknown"},
        };
        CHECK_ALL(breaches);
}

static void a_cap_measures_the_same_under_its_code_for_ever(void)
{
        static const char *const changes[][2] = {{"\"most\":90", "\"most\":60"}, {"\"code\":\"k1\"", "\"code\":\"k3\""},
                                                 {"\"yearStart\":\"03-01\"", "\"yearStart\":\"01-01\""}, {"\"household\":true", "\"household\":false"},
                                                 {"\"period\":\"YEAR\",\"yearStart\":\"03-01\"", "\"period\":\"MONTH\""},
                                                 {"\"measure\":\"TIMES\"", "\"measure\":\"AMOUNT\""}, {"\"fact\":\"days\",\"period\"", "\"fact\":\"rate\",\"period\""}};
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                const ProgrammeDocument *now = document_of(changed(changes[i][0], changes[i][1]));
                struct faults faults = {.n = 0};
                document_check_caps(memory(), now, document_of(str_of(good)), &faults);
                if (faults.n != (i >= 2))
                        printf("# %s\n", changes[i][1]);
                CHECK_INT(faults.n, i >= 2);
        }
}

static void terms_are_sound(void)
{
        static const struct breach breaches[] = {
                {"\"perUnit\":{\"fact\":\"days\",\"amount\":5}", "\"perUnit\":{\"fact\":\"cost\",\"amount\":5}", "/terms/0/perUnit/fact", "type"},
                {"\"perUnit\":{\"fact\":\"days\",\"amount\":5}", "\"perUnit\":{\"fact\":\"days\"}", "/terms/0/perUnit/amount", "required"},
                {"{\"perUnit\":{\"fact\":\"days\",\"amount\":5}}", "{}", "/terms/0", "oneof"},
                {"\"share\":{\"fact\":\"cost\",\"basisPoints\":10}", "\"share\":{\"fact\":\"days\",\"basisPoints\":10}", "/terms/1/share/fact", "type"},
                {"\"share\":{\"fact\":\"cost\",\"basisPoints\":10}", "\"share\":{\"fact\":\"cost\"}", "/terms/1/share/basisPoints", "required"},
                {"\"fixed\":{\"amount\":7}", "\"fixed\":{}", "/terms/2/fixed/amount", "required"},
                {"\"when\":\"kind\"", "\"when\":\"sort\"", "/terms/2/when", "unknown"},
                {"\"is\":\"a\"", "\"is\":\"c\"", "/terms/2/is", "type"},
                {",\"is\":\"a\"", "", "/terms/2/is", "type"}, /* "true" is no choice */
                {"\"when\":\"kind\",", "", "/terms/2/when", "required"},
                {"\"principal\":\"cost\"", "\"principal\":\"days\"", "/terms/3/interest/principal", "type"},
                {"\"basisPoints\":\"rate\"", "\"basisPoints\":\"yes\"", "/terms/3/interest/basisPoints", "type"},
                {"\"days\":\"days\"", "\"days\":\"on\"", "/terms/3/interest/days", "type"},
                {",\"mostBasisPoints\":500", "", "/terms/3/interest/mostBasisPoints", "required"},
                {"\"purpose\":\"p\",", "", "/purpose", "required"},
                {"\"purpose\":\"p\"", "\"purpose\":\"p\",\"unit\":\"hour\"", "/terms/1", "type"},
                {"\"purpose\":\"p\"", "\"purpose\":\"p\",\"unit\":\"hour\"", "/unit", "in"},
        };
        CHECK_ALL(breaches);
}

static void stages_are_reached_and_lead_to_an_end(void)
{
        static const struct breach breaches[] = {
                {"\"code\":\"care\"", "\"code\":\"done\"", "/stages/4/code", "unique"},
                {"\"code\":\"care\"", "\"code\":\"county\"", "/stages/4/code", "unique"},
                {"\"to\":\"care\"", "\"to\":\"done\"", "/stages/4", "unreachable"},
                {"\"to\":\"care\"", "\"to\":\"nowhere\"", "/stages/3/actions/0/to", "unknown"},
                {"\"code\":\"refuse\"", "\"code\":\"confirm\"", "/stages/0/actions/1/code", "unique"},
                {"\"code\":\"refuse\"", "\"code\":\"withdraw\"", "/stages/0/actions/1/code", "unique"},
                {"\"days\":7", "\"days\":0", "/stages/1/days", "required"},
                {"\"days\":5,\"workingDays\"", "\"workingDays\"", "/stages/0/days", "required"},
                {"\"kind\":\"REVIEW\",\"level\":\"VILLAGE\"", "\"kind\":\"REVIEW\"", "/stages/0/level", "required"},
                {"\"fields\":[\"on\"]", "\"fields\":[\"off\"]", "/stages/0/actions/0/fields/0", "unknown"},
        };
        CHECK_ALL(breaches);
        /* From `care` only back to itself: no case that comes there ends, nor from where all ways lead there. */
        ProgrammeDocument *d = document_of(str_of(good));
        d->stages[4]->actions[0]->to = (char *)"care";
        d->stages[4]->actions[1]->to = (char *)"care";
        struct faults faults = {.n = 0};
        document_check(memory(), d, &faults);
        CHECK_INT(faults.n, 2);
        CHECK_TEXT(faults.items[0].place, "/stages/3");
        CHECK_TEXT(faults.items[1].place, "/stages/4");
        d->stages[4]->n_actions = 0;
        faults.n = 0;
        document_check(memory(), d, &faults);
        CHECK_TEXT(faults.items[0].place, "/stages/4/actions");
        d->n_stages = 0;
        faults.n = 0;
        document_check(memory(), d, &faults);
        CHECK(faults.n > 0);
}

static void money_needs_a_decision_a_payment_and_somebody(void)
{
        static const struct breach breaches[] = {
                {"\"effects\":[\"DECIDE\",\"PAY\"]", "\"effects\":[\"DECIDE\"]", "/stages/2/actions/0/effects", "required"},
                {"\"effects\":[\"DECIDE\",\"PAY\"]", "\"effects\":[\"PAY\"]", "/stages/2/actions/0/effects", "required"},
                {"\"effects\":[\"DECIDE\",\"PAY\"]", "\"effects\":[\"PAY\"]", "/terms", "required"},
                {"\"to\":\"payment\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\",\"PAY\"]", "\"to\":\"care\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\",\"PAY\"]",
                 "/stages/2/actions/0/to", "unknown"},
                {"\"to\":\"payment\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\",\"PAY\"]", "\"to\":\"care\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\"]", "/terms", "required"},
                {"\"to\":\"payment\",\"by\":\"OFFICER\"", "\"to\":\"payment\",\"by\":\"OWNER\"", "/stages/2/actions/0/by", "in"},
                {"\"to\":\"county\",\"by\":\"OFFICER\"", "\"to\":\"county\",\"by\":\"OFFICER\",\"effects\":[\"DECIDE\"]", "/stages/1/actions/0", "unknown"},
                {"\"to\":\"county\",\"by\":\"OFFICER\"", "\"to\":\"county\",\"by\":\"OFFICER\",\"reason\":true", "/stages/1/actions/0", "unknown"},
                {"\"to\":\"county\",\"by\":\"OFFICER\"}", "\"to\":\"county\",\"by\":\"OFFICER\"},{\"code\":" N("stop") ",\"to\":\"ended\",\"by\":\"OFFICER\"}",
                 "/stages/1/actions", "maxItems"},
                {"\"to\":\"done\",\"by\":\"RECIPIENT\"", "\"to\":\"done\",\"by\":\"OFFICER\"", "/stages/4/actions/1/by", "in"},
        };
        CHECK_ALL(breaches);
}

static void care_needs_what_it_names(void)
{
        static const struct breach breaches[] = {
                {"\"kind\":\"CARE\"", "\"kind\":\"SERVICE\"", "/contacts", "required"},
                {"\"kind\":\"CARE\"", "\"kind\":\"SERVICE\"", "/visitDays", "required"},
                {"\"role\":\"doctor\"", "\"role\":\"village-contact\"", "/contacts/1/role", "unique"},
                {"\"visitDays\":30", "\"forOrganization\":true", "/contacts", "unknown"},
                {"\"visitDays\":30", "\"forOrganization\":true", "/stages/4/actions/1/by", "in"},
                {"\"visitDays\":30", "\"forOrganization\":true,\"personOptional\":true", "/personOptional", "unknown"},
                {"\"contacts\":[{\"role\":" N("village-contact") ",\"level\":\"VILLAGE\"},{\"role\":" N("doctor") "}]", "\"contacts\":[]", "/stages/4/actions/0/by", "in"},
                {"\"fact\":\"ill\"", "\"fact\":\"days\"", "/assessments/0/monitors/0/fact", "unknown"},
                {"\"fact\":\"ill\",\"operator\":\"EQUALS\"", "\"fact\":\"ill\",\"operator\":\"AT_LEAST\"", "/assessments/0/monitors/0/operator", "type"},
                {"[{\"name\":" N("ill") ",\"type\":\"BOOL\"}]", "[]", "/assessments/0/fields", "required"},
                {"[{\"name\":" N("ill") ",\"type\":\"BOOL\"}]", "[{\"name\":" N("ill") ",\"type\":\"BOOL\"},{\"name\":" N("ill") ",\"type\":\"BOOL\"}]",
                 "/assessments/0/fields/1/name", "unique"},
        };
        CHECK_ALL(breaches);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"what holds together is taken", what_holds_together_is_taken},
                {"every shipped programme holds together", every_shipped_programme_holds_together},
                {"shipped money is decided above the village", shipped_money_is_decided_above_the_village},
                {"fields are sound", fields_are_sound},
                {"conditions are sound", conditions_are_sound},
                {"caps are sound", caps_are_sound},
                {"a cap measures the same under its code for ever", a_cap_measures_the_same_under_its_code_for_ever},
                {"terms are sound", terms_are_sound},
                {"stages are reached, and lead to an end", stages_are_reached_and_lead_to_an_end},
                {"money needs a decision, a payment and somebody", money_needs_a_decision_a_payment_and_somebody},
                {"care needs what it names", care_needs_what_it_names},
        };
        int r = CHECK_MAIN(cases);
        arena_free(documents_memory);
        return r;
}
