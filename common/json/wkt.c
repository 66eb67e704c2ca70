/* SPDX-License-Identifier: Apache-2.0
 *
 * Times, durations and field masks, which are text in JSON.
 */
#include "scalar.h"

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

#include <ctype.h>
#include <inttypes.h>

#define TIMESTAMP_MIN (-62135596800ll) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX 253402300799ll   /* 9999-12-31T23:59:59Z */
#define DURATION_MAX  315576000000ll

typedef Google__Protobuf__Timestamp Timestamp;
typedef Google__Protobuf__Duration Duration;
typedef Google__Protobuf__FieldMask FieldMask;

/* --- shared ------------------------------------------------------------------------------------------------- */

/* Exactly n digits at the start of *s, cut off. -1: there are fewer. */
static int digits_cut(struct str *s, size_t n)
{
        int v = 0;
        if (s->n < n)
                return -1;
        for (size_t i = 0; i < n; i++) {
                if (s->p[i] < '0' || s->p[i] > '9')
                        return -1;
                v = v * 10 + (s->p[i] - '0');
        }
        s->p += n;
        s->n -= n;
        return v;
}

static bool char_cut(struct str *s, char c)
{
        if (s->n == 0 || s->p[0] != c)
                return false;
        s->p++;
        s->n--;
        return true;
}

/* "" or "." and 1 to 9 digits; -1 if malformed. */
static int32_t nanos_cut(struct str *s)
{
        int32_t nanos = 0;
        int n = 0;
        if (!char_cut(s, '.'))
                return 0;
        for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; n++) {
                if (n == 9)
                        return -1;
                nanos = nanos * 10 + (s->p[0] - '0');
                s->p++;
                s->n--;
        }
        if (n == 0)
                return -1;
        for (; n < 9; n++)
                nanos *= 10;
        return nanos;
}

/* Exactly n digits of v, then the character `after` unless it is 0. */
static void digits_write(struct buf *out, unsigned v, unsigned n, char after)
{
        char text[11];
        text[n] = after;
        for (unsigned i = n; i > 0; v /= 10)
                text[--i] = (char)('0' + v % 10);
        buf_add(out, text, n + (after != 0));
}

/* As many digits as needed of 0, 3, 6 or 9, then the unit. */
static void nanos_write(struct buf *out, unsigned nanos, char unit)
{
        buf_add_char(out, nanos ? '.' : unit);
        if (nanos == 0)
                return;
        if (nanos % 1000000 == 0)
                digits_write(out, nanos / 1000000, 3, unit);
        else if (nanos % 1000 == 0)
                digits_write(out, nanos / 1000, 6, unit);
        else
                digits_write(out, nanos, 9, unit);
}

/* --- times (days after Howard Hinnant, "chrono-compatible low-level date algorithms") ----------------------- */

static int64_t days_from_civil(int64_t y, int m, int d)
{
        y -= m <= 2;
        int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
        int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
        return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int *m, int *d)
{
        z += 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        int64_t mp = (5 * doy + 2) / 153;
        *d = (int)(doy - (153 * mp + 2) / 5 + 1);
        *m = (int)(mp < 10 ? mp + 3 : mp - 9);
        *y = yoe + era * 400 + (*m <= 2);
}

static bool date_exists(int y, int m, int d)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

/* "Z" or "+08:00" → seconds east of UTC. */
static bool offset_cut(struct str *s, int *ret_seconds)
{
        *ret_seconds = 0;
        if (char_cut(s, 'Z'))
                return true;
        int sign = char_cut(s, '+') ? 1 : char_cut(s, '-') ? -1 : 0;
        int hours = digits_cut(s, 2);
        bool colon = char_cut(s, ':');
        int minutes = digits_cut(s, 2);
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return sign && colon && hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59;
}

static int timestamp_from_text(struct str s, Timestamp *t)
{
        int year = digits_cut(&s, 4);
        bool good = char_cut(&s, '-');
        int month = digits_cut(&s, 2);
        good &= char_cut(&s, '-');
        int day = digits_cut(&s, 2);
        good &= char_cut(&s, 'T');
        int hour = digits_cut(&s, 2);
        good &= char_cut(&s, ':');
        int minute = digits_cut(&s, 2);
        good &= char_cut(&s, ':');
        int second = digits_cut(&s, 2), offset;
        int32_t nanos = nanos_cut(&s);
        good &= offset_cut(&s, &offset);
        if (!good || s.n || nanos < 0 || !date_exists(year, month, day) || hour < 0 || hour > 23 || minute < 0 ||
            minute > 59 || second < 0 || second > 59)
                return -EINVAL;
        int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
        if (seconds < TIMESTAMP_MIN || seconds > TIMESTAMP_MAX)
                return -EINVAL;
        t->seconds = seconds;
        t->nanos = nanos;
        return 0;
}

static void timestamp_to_json(struct buf *out, const Timestamp *t)
{
        int64_t s = t->seconds < TIMESTAMP_MIN ? TIMESTAMP_MIN : t->seconds > TIMESTAMP_MAX ? TIMESTAMP_MAX : t->seconds;
        int64_t day = s / 86400 - (s % 86400 < 0), rest = s - day * 86400, year;
        int month, d;
        civil_from_days(day, &year, &month, &d);
        unsigned second = (unsigned)rest;
        buf_add_char(out, '"');
        digits_write(out, (unsigned)year, 4, '-');
        digits_write(out, (unsigned)month, 2, '-');
        digits_write(out, (unsigned)d, 2, 'T');
        digits_write(out, second / 3600, 2, ':');
        digits_write(out, second / 60 % 60, 2, ':');
        digits_write(out, second % 60, 2, 0);
        nanos_write(out, t->nanos < 0 || t->nanos > 999999999 ? 0 : (unsigned)t->nanos, 'Z');
        buf_add_char(out, '"');
}

/* --- durations ----------------------------------------------------------------------------------------------- */

static int duration_from_text(struct str s, Duration *d)
{
        bool negative = char_cut(&s, '-');
        int64_t seconds = 0;
        size_t digits = 0;
        for (; s.n && s.p[0] >= '0' && s.p[0] <= '9'; digits++, s.p++, s.n--) {
                seconds = seconds * 10 + (s.p[0] - '0');
                if (seconds > DURATION_MAX)
                        return -EINVAL;
        }
        int32_t nanos = nanos_cut(&s);
        if (digits == 0 || nanos < 0 || !str_is(s, "s"))
                return -EINVAL;
        d->seconds = negative ? -seconds : seconds;
        d->nanos = negative ? -nanos : nanos;
        return 0;
}

static void duration_to_json(struct buf *out, const Duration *d)
{
        int32_t nanos = d->nanos < -999999999 || d->nanos > 999999999 ? 0 : d->nanos;
        bool negative = d->seconds < 0 || nanos < 0;
        uint64_t seconds = d->seconds < 0 ? 0 - (uint64_t)d->seconds : (uint64_t)d->seconds;
        buf_printf(out, "\"%s%" PRIu64, negative ? "-" : "", seconds);
        nanos_write(out, (unsigned)(nanos < 0 ? -nanos : nanos), 's');
        buf_add_char(out, '"');
}

/* --- field masks --------------------------------------------------------------------------------------------- */

#define MASK_MAX_PATHS 256

/* memberName → member_name; an underscore has no place in JSON's spelling. */
static char *path_from_camel(struct arena *arena, struct str path)
{
        char *out = arena_alloc(arena, 2 * path.n + 1), *o = out;
        for (size_t i = 0; i < path.n; i++) {
                char c = path.p[i];
                if (isupper((unsigned char)c)) {
                        *o++ = '_';
                        *o++ = (char)tolower((unsigned char)c);
                } else if (islower((unsigned char)c) || isdigit((unsigned char)c) || c == '.') {
                        *o++ = c;
                } else {
                        return NULL;
                }
        }
        *o = 0;
        return path.n ? out : NULL;
}

static int mask_from_text(struct arena *arena, struct str text, FieldMask *mask)
{
        size_t n = text.n > 0;
        for (size_t i = 0; i < text.n; i++)
                n += text.p[i] == ',';
        if (n > MASK_MAX_PATHS)
                return -EINVAL;
        mask->paths = ARENA_ARRAY(arena, char *, n + 1);
        for (size_t i = 0; i < n; i++) {
                mask->paths[i] = path_from_camel(arena, str_cut(&text, ','));
                if (!mask->paths[i])
                        return -EINVAL;
        }
        mask->n_paths = n;
        return 0;
}

static void mask_to_json(struct buf *out, const FieldMask *mask)
{
        buf_add_char(out, '"');
        for (size_t i = 0; i < mask->n_paths; i++) {
                if (i)
                        buf_add_char(out, ',');
                for (const char *p = mask->paths[i]; *p; p++) {
                        if (p[0] == '_' && islower((unsigned char)p[1]))
                                buf_add_char(out, (char)toupper((unsigned char)*++p));
                        else if (isalnum((unsigned char)*p) || *p == '.' || *p == '_')
                                buf_add_char(out, *p);
                }
        }
        buf_add_char(out, '"');
}

/* --- the interface ------------------------------------------------------------------------------------------ */

int wkt_from_text(struct arena *arena, enum contract_wkt wkt, struct str text, void *message)
{
        switch (wkt) {
        case CONTRACT_WKT_TIMESTAMP:
                return timestamp_from_text(text, message);
        case CONTRACT_WKT_DURATION:
                return duration_from_text(text, message);
        case CONTRACT_WKT_FIELD_MASK:
                return mask_from_text(arena, text, message);
        default:
                return -EINVAL;
        }
}

void wkt_to_json(struct buf *out, enum contract_wkt wkt, const void *message)
{
        switch (wkt) {
        case CONTRACT_WKT_TIMESTAMP:
                timestamp_to_json(out, message);
                break;
        case CONTRACT_WKT_DURATION:
                duration_to_json(out, message);
                break;
        case CONTRACT_WKT_FIELD_MASK:
                mask_to_json(out, message);
                break;
        default:
                buf_add_z(out, "{}");
        }
}
