/* SPDX-License-Identifier: Apache-2.0
 *
 * Days: dates, the periods of caps, working days after the official calendars that are shipped, ends of notices.
 */
// uses: services/care/rules_calendar.c
#include "services/care/rules_calendar.h"

#include "common/base/clock.h"
#include "common/json/transcode.h"
#include "tests/support/check.h"

#include <glob.h>

static day_t day(const char *text)
{
        day_t d = INT32_MIN;
        CHECK_INT(day_parse(str_of(text), &d), 0);
        return d;
}

static int64_t at(const char *text)
{
        int64_t us = 0;
        CHECK_INT(clock_parse_rfc3339(str_of(text), &us), 0);
        return us;
}

static const char *text_of(day_t d)
{
        static char text[4][DAY_TEXT_SIZE];
        static int next;
        day_put(text[next = (next + 1) % 4], d);
        return text[next];
}

/* --- dates ---------------------------------------------------------------------------------------------------- */

static void every_day_of_two_centuries_is_written_and_read_back(void)
{
        static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        day_t next = day("1900-01-01");
        CHECK_INT(next, -25567);
        CHECK_INT(day("1970-01-01"), 0);
        for (int y = 1900; y <= 2100; y++)
                for (int m = 1; m <= 12; m++) {
                        int leap = m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
                        for (int d = 1; d <= lengths[m - 1] + leap; d++, next++) {
                                char want[48];
                                int got_y, got_m, got_d;
                                snprintf(want, sizeof(want), "%04d-%02d-%02d", y, m, d);
                                if (strcmp(text_of(next), want) != 0 || day(want) != next || day_of(y, m, d) != next)
                                        CHECK_TEXT(text_of(next), want);
                                day_split(next, &got_y, &got_m, &got_d);
                                if (got_y != y || got_m != m || got_d != d)
                                        check_failed = true;
                        }
                }
        CHECK_INT(next, day("2100-12-31") + 1);
}

static void what_is_no_day_is_refused(void)
{
        static const char *const wrong[] = {"", "2026-2-01", "2026-02-29", "1900-02-29", "2100-02-29", "2026-00-10", "2026-13-01", "2026-04-31",
                                            "2026-04-00", "1899-12-31", "2101-01-01", "2026/04/01", "2026-04-0a", "-026-04-01", "2026-04-011", "20260401"};
        day_t d = 7;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                if (day_parse(str_of(wrong[i]), &d) != -EINVAL || d != 7)
                        CHECK_TEXT(wrong[i], "a refusal");
        CHECK_INT(day_parse(STR("2000-02-29"), &d), 0);
}

static void a_day_begins_at_midnight_in_china(void)
{
        CHECK_TEXT(text_of(day_at(at("2026-05-28T15:59:59.999999Z"))), "2026-05-28");
        CHECK_TEXT(text_of(day_at(at("2026-05-28T16:00:00Z"))), "2026-05-29");
        CHECK_TEXT(text_of(day_at(at("1969-12-31T15:59:59Z"))), "1969-12-31");
        CHECK_INT(day_start_us(day("2026-05-29")), at("2026-05-29T00:00:00+08:00"));
}

static void a_year_begins_where_its_cap_says(void)
{
        static const struct {
                const char *day, *start, *want;
        } cases[] = {
                {"2026-05-29", "", "2026-01-01"},      {"2026-01-01", "", "2026-01-01"},      {"2026-12-31", "", "2026-01-01"},
                {"2026-02-28", "03-01", "2025-03-01"}, {"2026-03-01", "03-01", "2026-03-01"}, {"2028-02-29", "03-01", "2027-03-01"},
                {"2026-08-31", "09-01", "2025-09-01"}, {"2026-09-01", "09-01", "2026-09-01"}, {"2027-02-28", "02-29", "2026-03-01"},
                {"2027-03-01", "02-29", "2027-03-01"}, {"2028-02-28", "02-29", "2027-03-01"}, {"2028-02-29", "02-29", "2028-02-29"},
                {"2029-02-28", "02-29", "2028-02-29"}, {"2026-12-30", "12-31", "2025-12-31"}, {"2026-12-31", "12-31", "2026-12-31"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                CHECK_TEXT(text_of(year_start(day(cases[i].day), cases[i].start)), cases[i].want);
        CHECK_TEXT(text_of(month_start(day("2028-02-29"))), "2028-02-01");
        CHECK_TEXT(text_of(month_start(day("2026-10-01"))), "2026-10-01");
        CHECK(is_year_start("02-29") && is_year_start("12-31"));
        CHECK(!is_year_start("") && !is_year_start("02-30") && !is_year_start("00-01") && !is_year_start("13-01") && !is_year_start("1-001"));
}

static void people_grow_older_on_their_birthday(void)
{
        CHECK_INT(years_between(day("1966-05-29"), day("2026-05-28")), 59);
        CHECK_INT(years_between(day("1966-05-29"), day("2026-05-29")), 60);
        CHECK_INT(years_between(day("1964-02-29"), day("2026-02-28")), 61);
        CHECK_INT(years_between(day("1964-02-29"), day("2026-03-01")), 62);
        CHECK_INT(years_between(day("1964-02-29"), day("2028-02-29")), 64);
        CHECK(years_between(day("2026-05-29"), day("2026-05-28")) < 0);
}

/* --- working days --------------------------------------------------------------------------------------------- */

static struct arena *memory;
static const WorkCalendar *shipped[16];
static struct calendars official = {shipped, 0};

static void load(void)
{
        glob_t found;
        memory = arena_new(1 << 16);
        if (glob("services/care/calendar/*.json", 0, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc && i < 16; i++) {
                static char text[1 << 14];
                struct violations violations = {0};
                ProtobufCMessage *message = NULL;
                FILE *f = fopen(found.gl_pathv[i], "r");
                size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
                if (f)
                        fclose(f);
                if (transcode_from_json(memory, &care_v1_work_calendar_msg, (struct str){text, n}, &violations, &message) == 0)
                        message_validate(memory, &care_v1_work_calendar_msg, message, &violations);
                if (violations.n)
                        printf("# %s: %s %s\n", found.gl_pathv[i], violations.items[0].pointer, violations.items[0].detail);
                else
                        shipped[official.n++] = (WorkCalendar *)message;
        }
        globfree(&found);
}

static void the_shipped_calendars_hold_together(void)
{
        /* How many days are worked in these years is known. */
        static const struct {
                int year, days;
        } years[] = {{2024, 251}, {2025, 248}, {2026, 248}};
        CHECK_INT(official.n, 3);
        for (size_t i = 0; i < official.n; i++) {
                bool in_open;
                size_t item;
                int worked = 0;
                CHECK_INT(calendar_check(shipped[i], &in_open, &item), 0);
                CHECK_INT(shipped[i]->year, years[i].year);
                CHECK(shipped[i]->source[0]);
                for (day_t d = day_of(years[i].year, 1, 1); d < day_of(years[i].year + 1, 1, 1); d++)
                        worked += is_working_day(&official, d);
                CHECK_INT(worked, years[i].days);
        }
}

static void holidays_and_the_days_worked_for_them_count_as_given_out(void)
{
        CHECK(!is_working_day(&official, day("2026-10-01")));
        CHECK(!is_working_day(&official, day("2026-10-07")));
        CHECK(is_working_day(&official, day("2026-10-08")));
        CHECK(is_working_day(&official, day("2026-10-10")));  /* a Saturday */
        CHECK(!is_working_day(&official, day("2026-10-11"))); /* a Sunday */
        CHECK(is_working_day(&official, day("2026-02-14")));  /* a Saturday before the Spring Festival */
        CHECK(!is_working_day(&official, day("2026-02-23")));
        CHECK(is_working_day(&official, day("2026-02-24")));
}

static void a_year_without_a_calendar_has_its_weeks_and_the_days_of_the_law(void)
{
        CHECK(!is_working_day(&official, day("2027-01-01"))); /* a Friday */
        CHECK(is_working_day(&official, day("2027-01-04")));
        CHECK(!is_working_day(&official, day("2027-01-02")));
        CHECK(!is_working_day(&official, day("2030-05-01"))); /* a Wednesday */
        CHECK(!is_working_day(&official, day("2030-05-02")));
        CHECK(is_working_day(&official, day("2030-05-03")));
        CHECK(!is_working_day(&official, day("2030-10-03")));
        CHECK(is_working_day(&official, day("2030-10-04")));
        CHECK(!is_working_day(&official, day("1969-12-28"))); /* a Sunday */
        CHECK(is_working_day(&official, day("1969-12-29")));
}

static void check_end(const char *from, int n, bool working, const char *want, bool known_wanted)
{
        int missing = -1;
        int64_t got = deadline_us(&official, at(from), n, working, &missing);
        bool known = missing == 0;
        if (got != at(want)) {
                char text[40];
                clock_format_rfc3339(text, got);
                printf("# from %s, %d days\n", from, n);
                CHECK_TEXT(text, want);
        }
        CHECK_INT(known, known_wanted);
}

static void a_notice_of_seven_working_days_ends_after_the_seventh(void)
{
        check_end("2026-06-01T10:00:00+08:00", 7, true, "2026-06-11T00:00:00+08:00", true); /* Monday; ends with Wednesday the 10th */
        check_end("2026-06-01T23:59:59+08:00", 7, true, "2026-06-11T00:00:00+08:00", true);
        check_end("2026-06-05T18:00:00+08:00", 1, true, "2026-06-09T00:00:00+08:00", true); /* Friday → Monday */
        check_end("2026-06-06T09:00:00+08:00", 1, true, "2026-06-09T00:00:00+08:00", true); /* Saturday → Monday */
        /* 28, 29, 30 September; 8, 9, 10 (a Saturday at work), 12 October. */
        check_end("2026-09-25T09:00:00+08:00", 7, true, "2026-10-13T00:00:00+08:00", true);
        /* Spring Festival: 12, 13, 14 (a Saturday at work), then 24, 25, 26, 27 February. */
        check_end("2026-02-11T09:00:00+08:00", 7, true, "2026-02-28T00:00:00+08:00", true);
        check_end("2026-06-01T10:00:00+08:00", 7, false, "2026-06-09T00:00:00+08:00", true);
        check_end("2026-06-01T10:00:00+08:00", 0, true, "2026-06-02T00:00:00+08:00", true);
}

static void it_is_said_when_a_calendar_is_missing(void)
{
        check_end("2026-12-29T10:00:00+08:00", 2, true, "2027-01-01T00:00:00+08:00", true);
        check_end("2026-12-29T10:00:00+08:00", 3, true, "2027-01-05T00:00:00+08:00", false);
        check_end("2026-12-29T10:00:00+08:00", 3, false, "2027-01-02T00:00:00+08:00", true);
        check_end("2026-01-01T00:00:00+08:00", 3660, false, "2036-01-10T00:00:00+08:00", true);
}

static void a_calendar_in_disorder_is_refused_at_its_date(void)
{
        static const struct {
                const char *closed[3], *open[3];
                bool in_open;
                size_t item;
        } cases[] = {
                {{"2026-10-01", "2026-10-03"}, {0}, false, 1},               /* a Saturday is closed anyway */
                {{"2026-10-01"}, {"2026-10-10", "2026-10-09"}, true, 1},     /* a Friday is open anyway */
                {{"2025-10-01"}, {0}, false, 0},                             /* another year */
                {{"2026-10-02", "2026-10-01"}, {0}, false, 1},               /* not in order */
                {{"2026-10-01", "2026-10-01"}, {0}, false, 1},               /* twice */
                {{"2026-10-32"}, {0}, false, 0},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                WorkCalendar c = NUANXIN__CARE__V1__WORK_CALENDAR__INIT;
                bool in_open = false;
                size_t item = 99;
                c.year = 2026;
                c.closed = (char **)cases[i].closed;
                c.open = (char **)cases[i].open;
                while (c.n_closed < 3 && c.closed[c.n_closed])
                        c.n_closed++;
                while (c.n_open < 3 && c.open[c.n_open])
                        c.n_open++;
                CHECK_INT(calendar_check(&c, &in_open, &item), -EINVAL);
                CHECK_INT(in_open, cases[i].in_open);
                CHECK_INT(item, cases[i].item);
        }
}

int main(void)
{
        static const struct check_case cases[] = {
                {"every day of two centuries is written and read back", every_day_of_two_centuries_is_written_and_read_back},
                {"what is no day is refused", what_is_no_day_is_refused},
                {"a day begins at midnight in China", a_day_begins_at_midnight_in_china},
                {"a year begins where its cap says, 29 February too", a_year_begins_where_its_cap_says},
                {"people grow older on their birthday", people_grow_older_on_their_birthday},
                {"the shipped calendars hold together", the_shipped_calendars_hold_together},
                {"holidays and the days worked for them count as given out", holidays_and_the_days_worked_for_them_count_as_given_out},
                {"a year without a calendar has its weeks and the days of the law", a_year_without_a_calendar_has_its_weeks_and_the_days_of_the_law},
                {"a notice of seven working days ends after the seventh", a_notice_of_seven_working_days_ends_after_the_seventh},
                {"it is said when a calendar is missing", it_is_said_when_a_calendar_is_missing},
                {"a calendar in disorder is refused at its date", a_calendar_in_disorder_is_refused_at_its_date},
        };
        load();
        int r = CHECK_MAIN(cases);
        arena_free(memory);
        return r;
}
