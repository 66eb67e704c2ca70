/* SPDX-License-Identifier: Apache-2.0
 *
 * System time, the test offset, and RFC 3339 both ways.
 */
#include "common/base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int clock_init(struct clock *clock, const char *offset_file)
{
        clock->offset_us = NULL;
        if (!offset_file || !*offset_file)
                return 0;
        int fd = open(offset_file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (lseek(fd, 0, SEEK_END) < (off_t)sizeof(int64_t)) {
                close(fd);
                return -EINVAL;
        }
        void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        int failed = errno;
        close(fd);
        if (map == MAP_FAILED)
                return -failed;
        clock->offset_us = map;
        return 0;
}

static int64_t read_clock(clockid_t id)
{
        struct timespec ts;
        clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * CLOCK_SECOND_US + ts.tv_nsec / 1000;
}

int64_t clock_now_us(const struct clock *clock)
{
        return read_clock(CLOCK_REALTIME) + (clock->offset_us ? *clock->offset_us : 0);
}

int64_t clock_monotonic_us(void)
{
        return read_clock(CLOCK_MONOTONIC);
}

size_t clock_format_rfc3339(char out[40], int64_t us)
{
        int64_t fraction = us % CLOCK_SECOND_US;
        time_t seconds = us / CLOCK_SECOND_US;
        if (fraction < 0) {
                fraction += CLOCK_SECOND_US;
                seconds--;
        }
        struct tm tm;
        gmtime_r(&seconds, &tm);
        /* Not strftime(3): its %Y does not fill years before 1000 with zeros. */
        size_t n = (size_t)snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                                    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (fraction && fraction % 1000 == 0)
                n += (size_t)snprintf(out + n, 40 - n, ".%03d", (int)(fraction / 1000));
        else if (fraction)
                n += (size_t)snprintf(out + n, 40 - n, ".%06d", (int)fraction);
        out[n++] = 'Z';
        out[n] = '\0';
        return n;
}

/* Reads exactly `digits` digits at *p. */
static bool take_number(struct str *s, int digits, int *ret)
{
        int v = 0;
        if (s->n < (size_t)digits)
                return false;
        for (int i = 0; i < digits; i++) {
                if (s->p[i] < '0' || s->p[i] > '9')
                        return false;
                v = v * 10 + (s->p[i] - '0');
        }
        s->p += digits;
        s->n -= (size_t)digits;
        *ret = v;
        return true;
}

static bool take_char(struct str *s, const char *any_of)
{
        if (!s->n || !strchr(any_of, s->p[0]) || !s->p[0])
                return false;
        s->p++;
        s->n--;
        return true;
}

static int days_in_month(int year, int month)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return month == 2 && leap ? 29 : days[month - 1];
}

int clock_parse_rfc3339(struct str s, int64_t *ret_us)
{
        int year, month, day, hour, minute, second, off_hour = 0, off_minute = 0;
        int64_t micros = 0;

        if (!take_number(&s, 4, &year) || !take_char(&s, "-") || !take_number(&s, 2, &month) ||
            !take_char(&s, "-") || !take_number(&s, 2, &day) || !take_char(&s, "Tt") ||
            !take_number(&s, 2, &hour) || !take_char(&s, ":") || !take_number(&s, 2, &minute) ||
            !take_char(&s, ":") || !take_number(&s, 2, &second))
                return -EINVAL;
        if (take_char(&s, ".")) {
                int64_t unit = 100000;
                size_t digits = 0;
                while (s.n && s.p[0] >= '0' && s.p[0] <= '9') {
                        micros += (s.p[0] - '0') * unit;
                        unit /= 10;
                        digits++;
                        s.p++;
                        s.n--;
                }
                if (!digits || digits > 9)
                        return -EINVAL;
        }
        if (s.n && (s.p[0] == '+' || s.p[0] == '-')) {
                int sign = s.p[0] == '-' ? -1 : 1;
                s.p++;
                s.n--;
                if (!take_number(&s, 2, &off_hour) || !take_char(&s, ":") || !take_number(&s, 2, &off_minute) ||
                    off_hour > 23 || off_minute > 59)
                        return -EINVAL;
                off_hour *= sign;
                off_minute *= sign;
        } else if (!take_char(&s, "Zz")) {
                return -EINVAL;
        }
        if (s.n || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
                return -EINVAL;
        if (year < 1)
                return -ERANGE;
        if (day > days_in_month(year, month))
                return -EINVAL;
        struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day,
                        .tm_hour = hour, .tm_min = minute, .tm_sec = second};
        int64_t seconds = (int64_t)timegm(&tm) - off_hour * 3600 - off_minute * 60;
        if (seconds < -62135596800ll || seconds > 253402300799ll)
                return -ERANGE;
        *ret_us = seconds * CLOCK_SECOND_US + micros;
        return 0;
}
