/* SPDX-License-Identifier: Apache-2.0
 *
 * The activity service's decisions: states, windows, scans, registration codes.
 */
// uses: services/activity/rules.c
#include "services/activity/rules.h"

#include "tests/support/check.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name
#define MINUTE_US     INT64_C(60000000)

/* --- states ------------------------------------------------------------------------------------------------- */

static void campaigns_move_only_as_drawn(void)
{
        static const int allowed[][2] = {
                {CAMPAIGN_DRAFT, CAMPAIGN_OPEN}, {CAMPAIGN_OPEN, CAMPAIGN_CLOSED}, {CAMPAIGN_CLOSED, CAMPAIGN_OPEN}};
        for (int from = -1; from <= CAMPAIGN_N_STATE; from++)
                for (int to = -1; to <= CAMPAIGN_N_STATE; to++) {
                        bool want = false;
                        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                                want |= allowed[i][0] == from && allowed[i][1] == to;
                        CHECK_INT(campaign_may_become(from, to), want);
                }
}

static void activities_move_only_as_drawn(void)
{
        static const int allowed[][2] = {
                {ACTIVITY_DRAFT, ACTIVITY_OPEN},    {ACTIVITY_DRAFT, ACTIVITY_CANCELLED},
                {ACTIVITY_OPEN, ACTIVITY_CLOSED},   {ACTIVITY_OPEN, ACTIVITY_CANCELLED},
                {ACTIVITY_OPEN, ACTIVITY_ENDED},    {ACTIVITY_CLOSED, ACTIVITY_OPEN},
                {ACTIVITY_CLOSED, ACTIVITY_ENDED},  {ACTIVITY_CLOSED, ACTIVITY_CANCELLED},
        };
        for (int from = -1; from <= ACTIVITY_N_STATE; from++)
                for (int to = -1; to <= ACTIVITY_N_STATE; to++) {
                        bool want = false;
                        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                                want |= allowed[i][0] == from && allowed[i][1] == to;
                        CHECK_INT(activity_may_become(from, to), want);
                }
}

static void every_state_has_a_name(void)
{
        CHECK_TEXT(activity_state_name(ACTIVITY_ENDED), "ENDED");
        CHECK_TEXT(activity_state_name(0), "UNKNOWN");
        CHECK_TEXT(activity_state_name(99), "UNKNOWN");
        CHECK_TEXT(campaign_state_name(CAMPAIGN_DRAFT), "DRAFT");
        CHECK_TEXT(campaign_state_name(-1), "UNKNOWN");
}

/* --- registrations --------------------------------------------------------------------------------------------- */

static void registrations_need_an_open_activity_of_an_open_campaign(void)
{
        for (int activity = 1; activity < ACTIVITY_N_STATE; activity++)
                for (int campaign = 1; campaign < CAMPAIGN_N_STATE; campaign++) {
                        struct registration_facts f = {100, activity, campaign, 0, 0, 200};
                        Nuanxin__Problem want = activity != ACTIVITY_OPEN  ? PROBLEM(ACTIVITY_NOT_OPEN)
                                                : campaign != CAMPAIGN_OPEN ? PROBLEM(CAMPAIGN_CLOSED)
                                                                            : PROBLEM(NONE);
                        CHECK_INT(registration_decide(&f), want);
                }
}

static Nuanxin__Problem at(int64_t now, int64_t from, int64_t until, int64_t end)
{
        struct registration_facts f = {now, ACTIVITY_OPEN, CAMPAIGN_OPEN, from, until, end};
        return registration_decide(&f);
}

static void the_registration_window_has_sharp_edges(void)
{
        CHECK_INT(at(99, 100, 150, 200), PROBLEM(REGISTRATION_OUTSIDE_WINDOW));
        CHECK_INT(at(100, 100, 150, 200), PROBLEM(NONE));
        CHECK_INT(at(149, 100, 150, 200), PROBLEM(NONE));
        CHECK_INT(at(150, 100, 150, 200), PROBLEM(REGISTRATION_OUTSIDE_WINDOW));
        CHECK_INT(at(199, 0, 0, 200), PROBLEM(NONE));
        CHECK_INT(at(200, 0, 0, 200), PROBLEM(REGISTRATION_OUTSIDE_WINDOW));
        CHECK_INT(at(200, 0, 900, 200), PROBLEM(REGISTRATION_OUTSIDE_WINDOW)); /* never past the activity's end */
}

/* --- codes ----------------------------------------------------------------------------------------------------- */

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static bool reads(const char *typed, const char *want)
{
        char code[REGISTRATION_CODE_SIZE] = "";
        int r = registration_code_parse(str_of(typed), code);
        return want ? r == 0 && strcmp(code, want) == 0 : r == -EINVAL && !code[0];
}

static void a_code_is_read_back_however_it_is_typed(void)
{
        char code[REGISTRATION_CODE_SIZE], typed[32];
        for (uint64_t i = 0; i < 2000; i++) {
                registration_code_make(code, i * UINT64_C(0x9E3779B97F4A7C15));
                CHECK_INT(strlen(code), 8);
                CHECK(reads(code, code));
                snprintf(typed, sizeof(typed), " %.4s-%.2s %s", code, code + 4, code + 6);
                for (char *c = typed; *c; c++)
                        *c = *c == '0' ? 'o' : *c == '1' ? (i % 2 ? 'l' : 'I') : *c >= 'A' ? (char)(*c + 32) : *c;
                CHECK(reads(typed, code));
        }
}

static void every_wrong_character_is_found(void)
{
        char code[REGISTRATION_CODE_SIZE];
        for (uint64_t i = 0; i < 50; i++) {
                registration_code_make(code, i * UINT64_C(0x9E3779B97F4A7C15));
                for (int place = 0; place < 8; place++)
                        for (int d = 0; d < 32; d++) {
                                char wrong[REGISTRATION_CODE_SIZE];
                                memcpy(wrong, code, sizeof(wrong));
                                wrong[place] = digits[d];
                                CHECK(reads(wrong, digits[d] == code[place] ? code : NULL));
                        }
        }
}

static void every_two_exchanged_characters_are_found(void)
{
        char code[REGISTRATION_CODE_SIZE];
        for (uint64_t i = 0; i < 200; i++) {
                registration_code_make(code, i * UINT64_C(0x9E3779B97F4A7C15));
                for (int a = 0; a < 8; a++)
                        for (int b = a + 1; b < 8; b++) {
                                char wrong[REGISTRATION_CODE_SIZE];
                                memcpy(wrong, code, sizeof(wrong));
                                wrong[a] = code[b];
                                wrong[b] = code[a];
                                CHECK(reads(wrong, code[a] == code[b] ? code : NULL));
                        }
        }
}

static void what_is_no_code_is_refused(void)
{
        char code[REGISTRATION_CODE_SIZE], typed[32];
        registration_code_make(code, 0x123456789);
        CHECK(reads("", NULL));
        CHECK(reads("-", NULL));
        CHECK(reads("0000000", NULL));
        CHECK(reads("00000000", "00000000"));
        CHECK(reads("000000000", NULL));
        CHECK(reads("0000000U", NULL));
        CHECK(reads("0000000\xC3\xA9", NULL));
        snprintf(typed, sizeof(typed), "%s0", code);
        CHECK(reads(typed, NULL));
        CHECK(registration_code_parse((struct str){"0000\0000", 8}, code) == -EINVAL);
}

/* --- scans ----------------------------------------------------------------------------------------------------- */

#define NOW (INT64_C(1000) * HOUR_US)

/* A scan that counts: each case spoils one thing. */
static struct scan_facts good(void)
{
        return (struct scan_facts){
                .now_us = NOW,
                .occurred_us = NOW - HOUR_US,
                .way = WAY_CARD,
                .identity = PROBLEM(NONE),
                .organization_known = true,
                .campaign_state = CAMPAIGN_OPEN,
                .activity_state = ACTIVITY_OPEN,
                .mode = MODE_BOTH,
                .start_us = NOW - 2 * HOUR_US,
                .end_us = NOW + 2 * HOUR_US,
        };
}

#define SCAN(want, ...)                                                                                      \
        do {                                                                                                 \
                struct scan_facts f = good();                                                                \
                __VA_ARGS__;                                                                                 \
                CHECK_INT(scan_decide(&f), PROBLEM(want));                                                   \
        } while (0)

static void a_scan_is_refused_for_each_reason(void)
{
        SCAN(NONE, (void)f);
        SCAN(CHECKIN_CARD_FORGED, f.identity = PROBLEM(CHECKIN_CARD_FORGED));
        SCAN(CHECKIN_CARD_EXPIRED, f.identity = PROBLEM(CHECKIN_CARD_EXPIRED));
        SCAN(CHECKIN_ORGANIZATION_UNKNOWN, f.organization_known = false);
        SCAN(CHECKIN_ACTIVITY_CLOSED, f.activity_state = ACTIVITY_DRAFT);
        SCAN(CHECKIN_CAMPAIGN_CLOSED, f.campaign_state = CAMPAIGN_DRAFT);
        SCAN(CHECKIN_WRONG_MODE, f.mode = MODE_ONLINE);
        SCAN(CHECKIN_WRONG_MODE, f.mode = MODE_ON_SITE; f.way = WAY_ONLINE);
        SCAN(CHECKIN_NOT_REGISTERED, f.registration_required = true);
}

static void the_time_of_a_scan_has_sharp_edges(void)
{
        SCAN(NONE, f.occurred_us = NOW + CHECKIN_CLOCK_SKEW_US);
        SCAN(CHECKIN_IN_FUTURE, f.occurred_us = NOW + CHECKIN_CLOCK_SKEW_US + 1);
        SCAN(NONE, f.start_us = NOW - 30 * HOUR_US; f.occurred_us = NOW - CHECKIN_OFFLINE_US);
        SCAN(CHECKIN_TOO_OLD, f.start_us = NOW - 30 * HOUR_US; f.occurred_us = NOW - CHECKIN_OFFLINE_US - 1);
        SCAN(NONE, f.occurred_us = f.start_us - CHECKIN_EARLY_US);
        SCAN(CHECKIN_OUTSIDE_WINDOW, f.occurred_us = f.start_us - CHECKIN_EARLY_US - 1);
        SCAN(NONE, f.end_us = f.occurred_us);
        SCAN(CHECKIN_OUTSIDE_WINDOW, f.end_us = f.occurred_us - 1);
}

static void what_happened_before_a_closing_still_counts(void)
{
        for (int state = ACTIVITY_CLOSED; state <= ACTIVITY_ENDED; state++) {
                SCAN(NONE, f.activity_state = state; f.closed_us = f.occurred_us + 1);
                SCAN(CHECKIN_ACTIVITY_CLOSED, f.activity_state = state; f.closed_us = f.occurred_us);
        }
        SCAN(NONE, f.activity_state = ACTIVITY_ENDED);
        SCAN(NONE, f.campaign_state = CAMPAIGN_CLOSED; f.campaign_closed_us = f.occurred_us + 1);
        SCAN(CHECKIN_CAMPAIGN_CLOSED, f.campaign_state = CAMPAIGN_CLOSED; f.campaign_closed_us = f.occurred_us);
}

static void what_happened_before_a_membership_was_suspended_still_counts(void)
{
        SCAN(NONE, f.inactive = true; f.inactive_us = f.occurred_us + 1);
        SCAN(CHECKIN_MEMBER_NOT_ACTIVE, f.inactive = true; f.inactive_us = f.occurred_us);
        SCAN(CHECKIN_MEMBER_NOT_ACTIVE, f.inactive = true);
        SCAN(NONE, f.inactive_us = f.occurred_us);
}

static void a_required_place_is_one_at_the_time_of_the_scan(void)
{
        SCAN(NONE, f.registration_required = true; f.registration = REGISTRATION_REGISTERED);
        SCAN(CHECKIN_NOT_REGISTERED, f.registration_required = true; f.registration = REGISTRATION_WAITING);
        SCAN(CHECKIN_NOT_REGISTERED, f.registration_required = true; f.registration = REGISTRATION_CANCELLED;
             f.registration_changed_us = f.occurred_us);
        SCAN(NONE, f.registration_required = true; f.registration = REGISTRATION_CANCELLED;
             f.registration_changed_us = f.occurred_us + 1);
        SCAN(NONE, f.registration = REGISTRATION_WAITING);
}

static void every_way_fits_the_modes_that_it_is_made_for(void)
{
        for (int way = WAY_CARD; way <= WAY_ONLINE; way++)
                for (int mode = MODE_ON_SITE; mode <= MODE_BOTH; mode++) {
                        struct scan_facts f = good();
                        f.way = way;
                        f.mode = mode;
                        bool fits = mode == MODE_BOTH || (mode == MODE_ONLINE) == (way == WAY_ONLINE);
                        CHECK_INT(scan_decide(&f), fits ? PROBLEM(NONE) : PROBLEM(CHECKIN_WRONG_MODE));
                }
}

/* --- organisations --------------------------------------------------------------------------------------------- */

static void a_subtree_is_a_prefix_of_whole_segments(void)
{
        CHECK(path_is_within(STR("/43/4301/"), STR("/43/")));
        CHECK(path_is_within(STR("/43/"), STR("/43/")));
        CHECK(!path_is_within(STR("/43/"), STR("/43/4301/")));
        CHECK(!path_is_within(STR("/431/"), STR("/43/")));
        CHECK(!path_is_within(STR("/43/"), STR("")));
}

static void validity_begins_with_its_first_moment_and_ends_before_its_last(void)
{
        CHECK(is_valid_at(0, 0, 5));
        CHECK(is_valid_at(5, 0, 5) && !is_valid_at(6, 0, 5));
        CHECK(is_valid_at(0, 6, 5) && !is_valid_at(0, 5, 5));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"campaigns move only as drawn", campaigns_move_only_as_drawn},
                {"activities move only as drawn", activities_move_only_as_drawn},
                {"every state has a name", every_state_has_a_name},
                {"registrations need an open activity of an open campaign",
                 registrations_need_an_open_activity_of_an_open_campaign},
                {"the registration window has sharp edges", the_registration_window_has_sharp_edges},
                {"a code is read back however it is typed", a_code_is_read_back_however_it_is_typed},
                {"every wrong character is found", every_wrong_character_is_found},
                {"every two exchanged characters are found", every_two_exchanged_characters_are_found},
                {"what is no code is refused", what_is_no_code_is_refused},
                {"a scan is refused for each reason", a_scan_is_refused_for_each_reason},
                {"the time of a scan has sharp edges", the_time_of_a_scan_has_sharp_edges},
                {"what happened before a closing still counts", what_happened_before_a_closing_still_counts},
                {"what happened before a membership was suspended still counts",
                 what_happened_before_a_membership_was_suspended_still_counts},
                {"a required place is one at the time of the scan", a_required_place_is_one_at_the_time_of_the_scan},
                {"every way fits the modes that it is made for", every_way_fits_the_modes_that_it_is_made_for},
                {"a subtree is a prefix of whole segments", a_subtree_is_a_prefix_of_whole_segments},
                {"validity begins with its first moment and ends before its last",
                 validity_begins_with_its_first_moment_and_ends_before_its_last},
        };
        return CHECK_MAIN(cases);
}
