/* SPDX-License-Identifier: Apache-2.0
 *
 * The one source of time. Rules and handlers never ask the system: they get a clock, so a test can move it.
 * All times are microseconds: UTC since 1970 for what is stored, monotonic for durations and deadlines.
 */
#pragma once

#include "common/base/str.h"

struct clock {
        /* Added to UTC time, for tests: shared memory of every process under test; NULL in production. */
        const volatile int64_t *offset_us;
};

/* With offset_file: maps its first 8 bytes (a host-order int64, microseconds) read-only and adds that to
 * every UTC reading. NULL: plain system time. */
int clock_init(struct clock *clock, const char *offset_file) MUST_USE;

int64_t clock_now_us(const struct clock *clock); /* UTC, shiftable by tests */
int64_t clock_monotonic_us(void);                /* never shifted: time-outs, durations */

#define CLOCK_SECOND_US 1000000ll
#define CLOCK_MINUTE_US (60 * CLOCK_SECOND_US)
#define CLOCK_HOUR_US   (60 * CLOCK_MINUTE_US)
#define CLOCK_DAY_US    (24 * CLOCK_HOUR_US)

/* RFC 3339 in UTC with as many fraction digits as needed (0, 3 or 6), e.g. 2026-05-29T01:02:03.5Z -> .500Z.
 * out has at least 40 bytes. Returns the length. */
size_t clock_format_rfc3339(char out[40], int64_t us);
/* RFC 3339 with any offset; fractions beyond microseconds are cut. -EINVAL if malformed, -ERANGE outside
 * years 0001 to 9999. */
int clock_parse_rfc3339(struct str text, int64_t *ret_us) MUST_USE;
