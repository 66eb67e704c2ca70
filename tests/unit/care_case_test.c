/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done with a case, by whom, and where it goes then: every actor at every kind of stage.
 */
// uses: services/care/rules_case.c services/care/rules_document.c services/care/rules_programme.c
// uses: services/care/rules_calendar.c services/care/rules_place.c
#include "services/care/rules_case.h"

#include "common/contract/message.h"
#include "tests/support/check.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name
#define NOW           (INT64_C(1800000000) * CLOCK_SECOND_US)
#define PATH          "/43/4301/430102/430102001/430102001001/"

static struct arena *arena;

/* --- a document with a stage of each kind ---------------------------------------------------------------------------- */

static Action *action(const char *code, const char *to, int by, int effect, bool reason)
{
        Action *a = message_new(arena, &care_v1_action_msg);
        a->code = (char *)code;
        a->to = (char *)to;
        a->by = (Action__By)by;
        a->reason = reason;
        if (effect) {
                a->effects = ARENA_ARRAY(arena, Action__Effect, 1);
                a->effects[0] = (Action__Effect)effect;
                a->n_effects = 1;
        }
        return a;
}

static Stage *stage(const char *code, int kind, int level, Action **actions, size_t n)
{
        Stage *s = message_new(arena, &care_v1_stage_msg);
        s->code = (char *)code;
        s->kind = (Stage__Kind)kind;
        s->level = (Level)level;
        s->actions = ARENA_ARRAY(arena, Action *, n);
        memcpy(s->actions, actions, n * sizeof(Action *));
        s->n_actions = n;
        return s;
}
#define STAGE(code, kind, level, ...) \
        stage((code), (kind), (level), (Action *[]){__VA_ARGS__}, sizeof((Action *[]){__VA_ARGS__}) / sizeof(Action *))

#define VILLAGE  NUANXIN__CARE__V1__LEVEL__VILLAGE
#define TOWNSHIP NUANXIN__CARE__V1__LEVEL__TOWNSHIP
#define COUNTY   NUANXIN__CARE__V1__LEVEL__COUNTY

static ProgrammeDocument *document_make(void)
{
        ProgrammeDocument *d = message_new(arena, &care_v1_programme_document_msg);
        Stage *stages[] = {
                STAGE("village", STAGE_REVIEW, VILLAGE, action("confirm", "notice", BY_OFFICER, 0, false),
                      action("return", "returned", BY_OFFICER, 0, true), action("refuse", "refused", BY_OFFICER, 0, true)),
                STAGE("notice", STAGE_NOTICE, VILLAGE, action("over", "county", BY_OFFICER, 0, false)),
                STAGE("county", STAGE_REVIEW, COUNTY, action("approve", "payment", BY_OFFICER, EFFECT_DECIDE, false),
                      action("care", "care", BY_OFFICER, 0, false)),
                STAGE("payment", STAGE_PAYMENT, 0, action("paid", "service", BY_OFFICER, 0, false)),
                STAGE("service", STAGE_SERVICE, TOWNSHIP, action("start", "service", BY_OFFICER, 0, false),
                      action("by-owner", "service", BY_OWNER, 0, false), action("by-contact", "service", BY_CONTACT, 0, false),
                      action("rate", "done", BY_RECIPIENT, EFFECT_RATE, false), action("end", "ended", BY_OWNER, EFFECT_RELEASE, true)),
                STAGE("care", STAGE_CARE, TOWNSHIP, action("leave", "ended", BY_OFFICER, 0, true)),
        };
        ContactRule *contact = message_new(arena, &care_v1_contact_rule_msg);
        DocumentRule *papers[2] = {message_new(arena, &care_v1_document_rule_msg), message_new(arena, &care_v1_document_rule_msg)};
        d->stages = ARENA_ARRAY(arena, Stage *, ARRAY_LEN(stages));
        memcpy(d->stages, stages, sizeof(stages));
        d->n_stages = ARRAY_LEN(stages);
        contact->role = (char *)"village-contact";
        contact->level = VILLAGE;
        d->contacts = ARENA_ARRAY(arena, ContactRule *, 1);
        d->contacts[d->n_contacts++] = contact;
        papers[0]->kind = (char *)"photo";
        papers[1]->kind = (char *)"invoice";
        papers[1]->required = true;
        d->documents = ARENA_ARRAY(arena, DocumentRule *, 2);
        memcpy(d->documents, papers, sizeof(papers));
        d->n_documents = 2;
        return d;
}

static struct case_facts at(const char *code)
{
        static const char *const papers[] = {"invoice"};
        return (struct case_facts){
                .document = document_make(),
                .programme = "p",
                .version = 7,
                .state = CASE_OPEN,
                .stage = code,
                .has_person = true,
                .person_active = true,
                .documents = papers,
                .n_documents = 1,
        };
}

static struct case_verdict verdict;

static Nuanxin__Problem ask(const struct case_facts *f, const struct case_actor *a, const char *what, bool reason)
{
        case_decide(arena, f, a, what, reason, NOW, &verdict);
        return verdict.problem;
}

static struct case_actor officer(int level)
{
        struct case_actor a = {0};
        a.decides[level] = true;
        return a;
}

/* --- places ---------------------------------------------------------------------------------------------------------- */

static bool is_code(int level, const char *code)
{
        return str_is(path_code(path_at_level(str_of(PATH), level)), code);
}

static void the_organisation_of_a_level_is_the_nth_of_the_path(void)
{
        CHECK(is_code(1, "43") && is_code(2, "4301") && is_code(3, "430102") && is_code(4, "430102001") && is_code(5, "430102001001"));
        CHECK(is_code(0, "430102001001"));
        CHECK(is_code(6, "430102001001"));
        CHECK(str_is(path_at_level(str_of("/43/4301/"), 3), "/43/4301/"));
        CHECK_INT(path_code(str_of("/")).n, 0);
}

/* --- who ------------------------------------------------------------------------------------------------------------- */

/* For each action of the service stage, who of six may. */
static void an_action_is_for_those_whom_it_names(void)
{
        static const char *const actions[] = {"start", "by-owner", "by-contact", "rate", "end"};
        static const char wanted[][7] = {"1.....", ".1....", "..1...", ".1.1..", ".1...."};
        for (size_t i = 0; i < ARRAY_LEN(actions); i++)
                for (int who = 0; who < 6; who++) {
                        struct case_facts f = at("service");
                        struct case_actor a = {.owner = who == 1, .contact = who == 2, .recipient = who == 3};
                        a.decides[TOWNSHIP] = who == 0;
                        a.decides[VILLAGE] = who == 4; /* of another level */
                        a.opened = who == 5;
                        bool may = ask(&f, &a, actions[i], true) == PROBLEM(NONE);
                        CHECK_INT(may, wanted[i][who] == '1');
                        if (!may)
                                CHECK_INT(verdict.problem, PROBLEM(LEVEL_REQUIRED));
                }
}

static void an_officer_decides_at_the_stages_level_only(void)
{
        for (int level = 0; level <= LEVELS; level++) {
                struct case_facts village = at("village"), county = at("county");
                struct case_actor a = officer(level);
                CHECK_INT(ask(&village, &a, "confirm", false) == PROBLEM(NONE), level == VILLAGE);
                CHECK_INT(ask(&county, &a, "approve", false) == PROBLEM(NONE), level == COUNTY);
        }
        struct case_facts f = at("county");
        struct case_actor nobody = {0};
        CHECK_INT(ask(&f, &nobody, "approve", false), PROBLEM(LEVEL_REQUIRED));
        CHECK_TEXT(verdict.args[0], "county");
        CHECK_TEXT(verdict.args[1], "p");
        CHECK_TEXT(verdict.args[2], "7");
        CHECK_TEXT(verdict.args[3], "COUNTY");
}

static void nobody_decides_what_is_their_own(void)
{
        struct case_facts f = at("county");
        struct case_actor opened = officer(COUNTY), recipient = officer(COUNTY);
        opened.opened = recipient.recipient = true;
        CHECK_INT(ask(&f, &opened, "approve", false), PROBLEM(OWN_CASE));
        CHECK_INT(ask(&f, &recipient, "approve", false), PROBLEM(OWN_CASE));
        f = at("service"); /* where nothing is decided they may */
        opened = officer(TOWNSHIP);
        opened.opened = true;
        CHECK_INT(ask(&f, &opened, "start", false), PROBLEM(NONE));
}

static void who_has_decided_elsewhere_may_not_where_deciders_are_separate(void)
{
        struct case_facts f = at("county");
        struct case_actor a = officer(COUNTY);
        a.decided_elsewhere = true;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(NONE));
        ((ProgrammeDocument *)f.document)->separate_deciders = true;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(DECIDED_BEFORE));
        CHECK_TEXT(verdict.args[0], "p");
        a.itself = true;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(NONE));
}

static void deciders_are_known_by_stage(void)
{
        const char *d = deciders_with(arena, deciders_with(arena, "", "a", "village"), "b", "county");
        CHECK_TEXT(d, "village a\ncounty b\n");
        CHECK_TEXT(deciders_with(arena, d, "a", "village"), d);
        CHECK(!has_decided_elsewhere(d, "a", "village") && has_decided_elsewhere(d, "a", "county"));
        CHECK(!has_decided_elsewhere(d, "c", "county") && !has_decided_elsewhere("", "a", "county"));
}

/* --- where to -------------------------------------------------------------------------------------------------------- */

static void an_action_leads_to_a_stage_an_end_or_back(void)
{
        struct case_facts f = at("village");
        struct case_actor a = officer(VILLAGE);
        CHECK_INT(ask(&f, &a, "confirm", false), PROBLEM(NONE));
        CHECK(verdict.move.stage && strcmp(verdict.move.stage->code, "notice") == 0);
        CHECK_INT(verdict.move.state, CASE_OPEN);
        CHECK(verdict.move.officer);
        CHECK_INT(verdict.move.level, VILLAGE);
        CHECK_INT(ask(&f, &a, "return", true), PROBLEM(NONE));
        CHECK_INT(verdict.move.state, CASE_RETURNED);
        CHECK(!verdict.move.stage);
        CHECK_INT(ask(&f, &a, "refuse", true), PROBLEM(NONE));
        CHECK_INT(verdict.move.state, CASE_REFUSED);
        f = at("service");
        struct case_actor owner = {.owner = true};
        CHECK_INT(ask(&f, &owner, "rate", false), PROBLEM(NONE));
        CHECK_INT(verdict.move.state, CASE_DONE);
        CHECK(move_has(&verdict.move, EFFECT_RATE) && !move_has(&verdict.move, EFFECT_PAY) && !verdict.move.officer);
        CHECK_INT(ask(&f, &owner, "end", true), PROBLEM(NONE));
        CHECK_INT(verdict.move.state, CASE_ENDED);
}

static void a_reason_is_given_where_one_is_asked(void)
{
        struct case_facts f = at("village");
        struct case_actor a = officer(VILLAGE);
        CHECK_INT(ask(&f, &a, "return", false), PROBLEM(REASON_MISSING));
        CHECK_INT(ask(&f, &a, "confirm", false), PROBLEM(NONE));
}

static void what_the_stage_does_not_know_is_unknown(void)
{
        struct case_facts f = at("village");
        struct case_actor a = officer(VILLAGE);
        CHECK_INT(ask(&f, &a, "approve", true), PROBLEM(ACTION_UNKNOWN));
        CHECK_TEXT(verdict.args[0], "village");
        CHECK_TEXT(verdict.args[3], "approve");
        CHECK_INT(ask(&f, &a, "resubmit", true), PROBLEM(ACTION_UNKNOWN));
        CHECK_INT(ask(&f, &a, "reopen", true), PROBLEM(ACTION_UNKNOWN));
        f.stage = "gone";
        CHECK_INT(ask(&f, &a, "confirm", true), PROBLEM(ACTION_UNKNOWN));
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

static void a_notice_waits_for_its_end_and_for_objections(void)
{
        struct case_facts f = at("notice");
        struct case_actor a = officer(VILLAGE), itself = {.itself = true};
        f.noticed = true;
        for (int late = -1; late <= 1; late++) {
                f.notice_end_us = NOW - late;
                f.objection = NULL;
                CHECK_INT(ask(&f, &a, "over", false), late < 0 ? PROBLEM(NOTICE_RUNNING) : PROBLEM(NONE));
                CHECK_INT(ask(&f, &itself, "over", false), late < 0 ? PROBLEM(NOTICE_RUNNING) : PROBLEM(NONE));
                f.objection = "o-1";
                CHECK_INT(ask(&f, &a, "over", false), PROBLEM(OBJECTION_OPEN));
                CHECK_TEXT(verdict.args[0], "o-1");
        }
}

static void only_the_bank_ends_a_payment(void)
{
        struct case_facts f = at("payment");
        struct case_actor a = officer(0), itself = {.itself = true};
        CHECK_INT(ask(&f, &a, "paid", false), PROBLEM(ACTION_UNKNOWN));
        CHECK_INT(ask(&f, &itself, "paid", false), PROBLEM(NONE));
        CHECK(!verdict.move.officer);
}

/* --- what is missing ------------------------------------------------------------------------------------------------- */

static void papers_are_there_at_the_first_decision(void)
{
        static const char *const photo[] = {"photo"};
        struct case_facts f = at("county");
        struct case_actor a = officer(COUNTY);
        f.documents = photo;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(DOCUMENT_MISSING));
        CHECK_TEXT(verdict.args[2], "invoice");
        CHECK_INT(ask(&f, &a, "care", false), PROBLEM(CONTACT_MISSING)); /* decides nothing */
        f.decided = true;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(NONE));
}

static void nobody_is_cared_for_without_contacts(void)
{
        static const char *const other[] = {"family-doctor"}, *const both[] = {"family-doctor", "village-contact"};
        struct case_facts f = at("county");
        struct case_actor a = officer(COUNTY);
        f.contacts = other;
        f.n_contacts = 1;
        CHECK_INT(ask(&f, &a, "care", false), PROBLEM(CONTACT_MISSING));
        CHECK_TEXT(verdict.args[2], "village-contact");
        f.contacts = both;
        f.n_contacts = 2;
        CHECK_INT(ask(&f, &a, "care", false), PROBLEM(NONE));
        CHECK(!case_contact_missing(&f));
        CHECK(document_contact(f.document, "village-contact") && !document_contact(f.document, "family-doctor"));
}

static void who_is_gone_is_granted_nothing(void)
{
        struct case_facts f = at("county");
        struct case_actor a = officer(COUNTY);
        f.person_active = false;
        CHECK_INT(ask(&f, &a, "approve", false), PROBLEM(RECIPIENT_NOT_ACTIVE));
        f = at("village");
        a = officer(VILLAGE);
        f.person_active = false;
        CHECK_INT(ask(&f, &a, "refuse", true), PROBLEM(NONE));
}

/* --- what every case knows ------------------------------------------------------------------------------------------- */

static void a_returned_case_is_put_right_by_its_own(void)
{
        struct case_facts f = at(STAGE_RETURNED);
        f.state = CASE_RETURNED;
        for (int who = 0; who < 4; who++) {
                struct case_actor a = {.opened = who == 0, .owner = who == 1, .recipient = who == 2};
                a.decides[0] = who == 3;
                CHECK_INT(ask(&f, &a, "resubmit", false), who < 3 ? PROBLEM(NONE) : PROBLEM(LEVEL_REQUIRED));
                if (who < 3)
                        CHECK_TEXT(verdict.move.stage->code, "village");
        }
        struct case_actor a = officer(VILLAGE);
        CHECK_INT(ask(&f, &a, "confirm", false), PROBLEM(ACTION_UNKNOWN));
}

static void it_is_withdrawn_while_nothing_is_paid(void)
{
        static const char *const stages[] = {"village", "notice", "county", "payment", "service", "care"};
        for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
                struct case_facts f = at(stages[i]);
                struct case_actor person = {.recipient = true}, owner = {.owner = true}, other = officer(COUNTY);
                CHECK_INT(ask(&f, &person, "withdraw", false), PROBLEM(NONE));
                CHECK_INT(verdict.move.state, CASE_WITHDRAWN);
                CHECK_INT(ask(&f, &owner, "withdraw", false), PROBLEM(NONE));
                CHECK_INT(ask(&f, &other, "withdraw", false), PROBLEM(LEVEL_REQUIRED));
                f.paid = true;
                CHECK_INT(ask(&f, &person, "withdraw", false), PROBLEM(ACTION_UNKNOWN));
        }
}

static void a_document_may_say_what_withdrawing_is(void)
{
        struct case_facts f = at("village");
        struct case_actor person = {.recipient = true};
        f.document->stages[0]->actions[0] = action("withdraw", "ended", BY_OWNER, 0, false);
        CHECK_INT(ask(&f, &person, "withdraw", false), PROBLEM(LEVEL_REQUIRED));
}

static void a_closed_case_is_reopened_within_a_year_by_who_decided(void)
{
        static const int closed[] = {CASE_DONE, CASE_REFUSED, CASE_WITHDRAWN, CASE_ENDED};
        for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
                struct case_facts f = at("county");
                struct case_actor county = officer(COUNTY), town = officer(TOWNSHIP);
                f.state = closed[i];
                f.decided_level = COUNTY;
                f.closed_us = NOW - REOPEN_DAYS * CLOCK_DAY_US;
                CHECK(!case_may_end(&f));
                CHECK_INT(ask(&f, &county, "approve", false), PROBLEM(CASE_CLOSED));
                CHECK_INT(ask(&f, &county, "withdraw", false), PROBLEM(CASE_CLOSED));
                CHECK_INT(ask(&f, &town, "reopen", false), PROBLEM(LEVEL_REQUIRED));
                CHECK_INT(ask(&f, &county, "reopen", false), PROBLEM(NONE));
                CHECK_INT(verdict.move.state, CASE_OPEN);
                CHECK_TEXT(verdict.move.stage->code, "village");
                county.opened = true;
                CHECK_INT(ask(&f, &county, "reopen", false), PROBLEM(OWN_CASE));
                county.opened = false;
                f.paid = true;
                CHECK_INT(ask(&f, &county, "reopen", false), PROBLEM(CASE_PAID));
                f.paid = f.person_active = false;
                CHECK_INT(ask(&f, &county, "reopen", false), PROBLEM(RECIPIENT_NOT_ACTIVE));
                f.closed_us--;
                CHECK_INT(ask(&f, &county, "reopen", false), PROBLEM(CASE_TOO_OLD));
        }
}

int main(void)
{
        static const struct check_case cases[] = {
                {"the organisation of a level is the nth of the path", the_organisation_of_a_level_is_the_nth_of_the_path},
                {"an action is for those whom it names", an_action_is_for_those_whom_it_names},
                {"an officer decides at the stages level only", an_officer_decides_at_the_stages_level_only},
                {"nobody decides what is their own", nobody_decides_what_is_their_own},
                {"who has decided elsewhere may not where deciders are separate", who_has_decided_elsewhere_may_not_where_deciders_are_separate},
                {"deciders are known by stage", deciders_are_known_by_stage},
                {"an action leads to a stage an end or back", an_action_leads_to_a_stage_an_end_or_back},
                {"a reason is given where one is asked", a_reason_is_given_where_one_is_asked},
                {"what the stage does not know is unknown", what_the_stage_does_not_know_is_unknown},
                {"a notice waits for its end and for objections", a_notice_waits_for_its_end_and_for_objections},
                {"only the bank ends a payment", only_the_bank_ends_a_payment},
                {"papers are there at the first decision", papers_are_there_at_the_first_decision},
                {"nobody is cared for without contacts", nobody_is_cared_for_without_contacts},
                {"who is gone is granted nothing", who_is_gone_is_granted_nothing},
                {"a returned case is put right by its own", a_returned_case_is_put_right_by_its_own},
                {"it is withdrawn while nothing is paid", it_is_withdrawn_while_nothing_is_paid},
                {"a document may say what withdrawing is", a_document_may_say_what_withdrawing_is},
                {"a closed case is reopened within a year by who decided", a_closed_case_is_reopened_within_a_year_by_who_decided},
        };
        arena = arena_new(1 << 16);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
