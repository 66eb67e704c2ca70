/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates as texts, and years between them.
 */
#include "common/people/people.h"

#include <stdio.h>
#include <time.h>

static bool day_exists(int year, int month, int day)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (year < 1900 || year > 2199 || month < 1 || month > 12 || day < 1)
                return false;
        return day <= days[month - 1] + (month == 2 && leap);
}

static int number_in(struct str s)
{
        int64_t v;
        return s.n <= 4 && str_to_i64(s, 0, 9999, &v) == 0 ? (int)v : -1;
}

int date_parse(struct str text, char ret_date[DATE_SIZE])
{
        struct str s = str_trim(text);
        char separator = memchr(s.p ? s.p : "", '/', s.n) ? '/' : '-';
        struct str y = str_cut(&s, separator), m = str_cut(&s, separator);
        int year = number_in(y), month = number_in(m), day = number_in(s);
        if (y.n != 4 || m.n > 2 || s.n > 2 || !day_exists(year, month, day))
                return -EINVAL;
        snprintf(ret_date, DATE_SIZE, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100,
                 (unsigned)day % 100);
        return 0;
}

void date_of(int64_t us, char out[DATE_SIZE])
{
        time_t seconds = (time_t)(us / 1000000 + 8 * 3600);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        snprintf(out, DATE_SIZE, "%04u-%02u-%02u", (unsigned)(tm.tm_year + 1900) % 10000,
                 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100);
}

int date_years(const char *from, const char *to)
{
        int years = number_in(str_bytes(to, 4)) - number_in(str_bytes(from, 4));
        return strcmp(to + 4, from + 4) < 0 ? years - 1 : years;
}
