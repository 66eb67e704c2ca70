/* SPDX-License-Identifier: Apache-2.0
 *
 * Any JSON as a year's calendar: what calendar_check lets by says of each day whether it is worked on, and a time of so many days
 * ends with as many of them. The first byte says how many.
 */
// uses: services/care/rules_calendar.c
#include "services/care/rules_calendar.h"

#include "common/base/clock.h"
#include "common/json/transcode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
        if (!holds)
                abort();
}

static void try_days(const struct calendars *calendars, int year, int n)
{
        int64_t from = day_start_us(day_of(year, 1, 1)) + CLOCK_HOUR_US;
        int missing = 0, worked = 0;
        int64_t end = deadline_us(calendars, from, n, true, &missing);
        day_t last = day_at(end) - 1;
        for (day_t day = day_at(from) + 1; day <= last; day++)
                worked += is_working_day(calendars, day);
        must(worked == n && (n == 0 || is_working_day(calendars, last)));
        must(missing == 0 || missing == year + 1);
        must(deadline_us(calendars, from, n, false, NULL) <= end);
}

static void try_parts(const WorkCalendar *c)
{
        char text[DAY_TEXT_SIZE];
        const struct calendars calendars = {&c, 1};
        for (size_t i = 0; i < c->n_closed; i++) {
                day_t day;
                must(day_parse(str_of(c->closed[i]), &day) == 0 && !is_working_day(&calendars, day));
                day_put(text, day);
                must(strcmp(text, c->closed[i]) == 0);
        }
        for (size_t i = 0; i < c->n_open; i++) {
                day_t day;
                must(day_parse(str_of(c->open[i]), &day) == 0 && is_working_day(&calendars, day));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 16);
        const struct contract_message *type = &care_v1_work_calendar_msg;
        struct violations violations = {0};
        ProtobufCMessage *message = NULL;
        bool in_open;
        size_t item;
        if (size < 1 || transcode_from_json(arena, type, str_bytes(data + 1, size - 1), &violations, &message) != 0)
                return 0;
        message_validate(arena, type, message, &violations);
        const WorkCalendar *calendar = (const WorkCalendar *)message;
        if (violations.n || !calendar->year || calendar_check(calendar, &in_open, &item) < 0)
                return 0; /* no handler takes it */
        try_parts(calendar);
        try_days(&(const struct calendars){&calendar, 1}, (int)calendar->year, data[0]);
        return 0;
}
