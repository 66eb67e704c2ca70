/* SPDX-License-Identifier: Apache-2.0
 *
 * Days as people and offices count them: dates, periods of caps, working days after the State Council's calendar. Pure: no
 * store, no clock. A day is a number, 0 being 1970-01-01; it begins at midnight in China, which is UTC+8 all year.
 */
#pragma once

#include "contract/care_v1.h"

#include "common/base/arena.h"

typedef int32_t day_t;

#define DAY_TEXT_SIZE 11 /* YYYY-MM-DD and the NUL */

/* --- dates ---------------------------------------------------------------------------------------------------- */

/* "2028-02-29", of the years 1900 to 2100. -EINVAL: no such day, or not written so. */
int day_parse(struct str text, day_t *ret_day) MUST_USE;
void day_put(char out[DAY_TEXT_SIZE], day_t day);
/* month 1 to 12, day 1 to 31; what is beyond a month's end goes on in the next: 02-29 is 03-01 in a year without it. */
day_t day_of(int year, int month, int day);
void day_split(day_t day, int *ret_year, int *ret_month, int *ret_day);

day_t day_at(int64_t us);       /* in which day is this UTC time? */
int64_t day_start_us(day_t day); /* when it begins */

/* The period that `day` is in, by its first day. start: "MM-DD", or "": 01-01. */
day_t year_start(day_t day, const char *start);
day_t month_start(day_t day);
/* Is it a day that a year can begin with, "MM-DD" ("02-29" too)? */
bool is_year_start(const char *start);

/* Whole years from birth to that day; who is born on 29 February has a birthday on 1 March in common years. Below 0: not yet
 * born. */
int years_between(day_t birth, day_t day);

/* --- working days --------------------------------------------------------------------------------------------- */

struct calendars {
        const WorkCalendar *const *items; /* a year at most once, in any order */
        size_t n;
};

/* By its year's calendar. Without one, by the week and the days off that the law itself names (1 January, 1 and 2 May, 1 to
 * 3 October): what the State Council moves about that year is not known yet. */
bool is_working_day(const struct calendars *calendars, day_t day);

/* When the nth day after that time is over, in UTC: the day itself does not count (Civil Code, article 201). n ≤ 3660.
 * ret_missing (may be NULL): the first year on the way whose calendar is not there, so that this is a guess; 0: there is none. */
int64_t deadline_us(const struct calendars *calendars, int64_t from_us, int n, bool working_days, int *ret_missing);

/* --- checking a calendar -------------------------------------------------------------------------------------- */

/* 0; or -EINVAL, and which date is wrong: not a date of that year, closed on a weekend, open on a weekday, in disorder. */
int calendar_check(const WorkCalendar *calendar, bool *ret_in_open, size_t *ret_item) MUST_USE;
