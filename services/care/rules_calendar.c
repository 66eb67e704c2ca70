/* SPDX-License-Identifier: Apache-2.0
 *
 * The days of rules_calendar.h.
 */
#include "rules_calendar.h"

#include "common/base/clock.h"

#include <errno.h>

#define EAST_US (8 * CLOCK_HOUR_US) /* China is ahead of UTC by */

/* --- dates ---------------------------------------------------------------------------------------------------- */

static bool is_leap(int year)
{
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
        static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Years that begin in March, so that the leap day is their last: then both ways are plain division. */
day_t day_of(int year, int month, int day)
{
        int y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
        if (month == 2 && day > days_of_month(year, month)) { /* "02-29", or beyond: on in March */
                day -= days_of_month(year, month);
                y = year;
                m = 0;
        }
        return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

void day_split(day_t day, int *ret_year, int *ret_month, int *ret_day)
{
        int z = day + 719468; /* after 0000-03-01; our years are positive */
        int era = z / 146097, of_era = z % 146097;
        int y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int of_year = of_era - (365 * y + y / 4 - y / 100);
        int m = (5 * of_year + 2) / 153;
        *ret_day = of_year - (153 * m + 2) / 5 + 1;
        *ret_month = m < 10 ? m + 3 : m - 9;
        *ret_year = y + era * 400 + (*ret_month <= 2);
}

static int number(const char *p, int n)
{
        int v = 0;
        for (int i = 0; i < n; i++) {
                if (p[i] < '0' || p[i] > '9')
                        return -1;
                v = v * 10 + (p[i] - '0');
        }
        return v;
}

int day_parse(struct str text, day_t *ret_day)
{
        if (text.n != DAY_TEXT_SIZE - 1 || text.p[4] != '-' || text.p[7] != '-')
                return -EINVAL;
        int y = number(text.p, 4), m = number(text.p + 5, 2), d = number(text.p + 8, 2);
        if (y < 1900 || y > 2100 || m < 1 || m > 12 || d < 1 || d > days_of_month(y, m))
                return -EINVAL;
        *ret_day = day_of(y, m, d);
        return 0;
}

static void put_number(char *out, int value, int n)
{
        for (int i = n - 1; i >= 0; i--, value /= 10)
                out[i] = (char)('0' + value % 10);
}

void day_put(char out[DAY_TEXT_SIZE], day_t day)
{
        int y, m, d;
        day_split(day, &y, &m, &d);
        put_number(out, y, 4);
        put_number(out + 5, m, 2);
        put_number(out + 8, d, 2);
        out[4] = out[7] = '-';
        out[10] = '\0';
}

day_t day_at(int64_t us)
{
        us += EAST_US;
        return (day_t)(us / CLOCK_DAY_US - (us % CLOCK_DAY_US < 0));
}

int64_t day_start_us(day_t day)
{
        return day * CLOCK_DAY_US - EAST_US;
}

bool is_year_start(const char *start)
{
        if (strlen(start) != 5 || start[2] != '-')
                return false;
        int m = number(start, 2), d = number(start + 3, 2);
        return m >= 1 && m <= 12 && d >= 1 && d <= days_of_month(2000, m);
}

day_t year_start(day_t day, const char *start)
{
        int y, m, d, from_month = start[0] ? number(start, 2) : 1, from_day = start[0] ? number(start + 3, 2) : 1;
        day_split(day, &y, &m, &d);
        day_t first = day_of(y, from_month, from_day);
        return first <= day ? first : day_of(y - 1, from_month, from_day);
}

day_t month_start(day_t day)
{
        int y, m, d;
        day_split(day, &y, &m, &d);
        return day - d + 1;
}

int years_between(day_t birth, day_t day)
{
        int y, m, d, birth_year, birth_month, birth_day;
        day_split(day, &y, &m, &d);
        day_split(birth, &birth_year, &birth_month, &birth_day);
        return y - birth_year - (day < day_of(y, birth_month, birth_day));
}

/* --- working days --------------------------------------------------------------------------------------------- */

static bool is_weekend(day_t day)
{
        return (day % 7 + 7 + 3) % 7 >= 5; /* day 0 was a Thursday */
}

static bool is_listed(char *const *dates, size_t n, const char *date)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(dates[i], date) == 0)
                        return true;
        return false;
}

static const WorkCalendar *calendar_of(const struct calendars *calendars, int year)
{
        for (size_t i = 0; i < calendars->n; i++)
                if (calendars->items[i]->year == year)
                        return calendars->items[i];
        return NULL;
}

static bool is_named_by_law(int month, int day)
{
        return (month == 1 && day == 1) || (month == 5 && day <= 2) || (month == 10 && day <= 3);
}

bool is_working_day(const struct calendars *calendars, day_t day)
{
        char date[DAY_TEXT_SIZE];
        int y, m, d;
        day_split(day, &y, &m, &d);
        const WorkCalendar *c = calendar_of(calendars, y);
        if (!c)
                return !is_weekend(day) && !is_named_by_law(m, d);
        day_put(date, day);
        return is_weekend(day) ? is_listed(c->open, c->n_open, date) : !is_listed(c->closed, c->n_closed, date);
}

int64_t deadline_us(const struct calendars *calendars, int64_t from_us, int n, bool working_days, int *ret_missing)
{
        day_t day = day_at(from_us);
        int missing = 0;
        while (n > 0) {
                int y, m, d;
                day_split(++day, &y, &m, &d);
                if (working_days && !missing && !calendar_of(calendars, y))
                        missing = y;
                n -= !working_days || is_working_day(calendars, day);
        }
        if (ret_missing)
                *ret_missing = missing;
        return day_start_us(day + 1);
}

/* --- checking a calendar -------------------------------------------------------------------------------------- */

static bool dates_fit(char *const *dates, size_t n, int year, bool weekend, size_t *ret_item)
{
        day_t day, before = INT32_MIN;
        int y, m, d;
        for (size_t i = 0; i < n; i++) {
                *ret_item = i;
                if (day_parse(str_of(dates[i]), &day) < 0)
                        return false;
                day_split(day, &y, &m, &d);
                if (y != year || is_weekend(day) != weekend || day <= before)
                        return false;
                before = day;
        }
        return true;
}

int calendar_check(const WorkCalendar *c, bool *ret_in_open, size_t *ret_item)
{
        *ret_in_open = false;
        if (!dates_fit(c->closed, c->n_closed, c->year, false, ret_item))
                return -EINVAL;
        *ret_in_open = true;
        return dates_fit(c->open, c->n_open, c->year, true, ret_item) ? 0 : -EINVAL;
}
