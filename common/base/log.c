/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats a log line on the stack and writes it with one write(2), so lines of threads never mix.
 */
#include "common/base/log.h"
#include "common/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *log_process = "nuanxin";
static enum log_level log_least = LOG_LEVEL_INFO;
static _Thread_local char log_trace[33];

static const char *const level_names[] = {"debug", "info", "warning", "error"};

bool log_level_parse(const char *name, enum log_level *ret_level)
{
        for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
                if (strcmp(name, level_names[i]) == 0) {
                        *ret_level = (enum log_level)i;
                        return true;
                }
        }
        return false;
}

void log_init(const char *process, enum log_level least)
{
        log_process = process;
        log_least = least;
}

void log_set_trace(struct str trace_id)
{
        size_t n = trace_id.n < sizeof(log_trace) - 1 ? trace_id.n : sizeof(log_trace) - 1;
        if (n)
                memcpy(log_trace, trace_id.p, n);
        log_trace[n] = '\0';
}

void log_write(enum log_level level, const char *message, const char *fields, ...)
{
        char line[2048], when[40];
        struct clock system = {0};
        size_t n, room = sizeof(line) - 1;

        if (level < log_least)
                return;
        int saved = errno;
        clock_format_rfc3339(when, clock_now_us(&system));
        n = (size_t)snprintf(line, room, "time=%s level=%s svc=%s msg=\"%s\"", when, level_names[level], log_process,
                             message);
        if (n < room && log_trace[0])
                n += (size_t)snprintf(line + n, room - n, " trace=%s", log_trace);
        if (fields && n < room) {
                va_list args;
                line[n++] = ' ';
                va_start(args, fields);
                int more = vsnprintf(line + n, room - n, fields, args);
                va_end(args);
                n += more > 0 ? (size_t)more : 0;
        }
        if (n > room - 1)
                n = room - 1;
        for (size_t i = 0; i < n; i++)
                if (line[i] == '\n' || line[i] == '\r')
                        line[i] = ' ';
        line[n++] = '\n';
        ssize_t ignored = write(STDERR_FILENO, line, n);
        (void)ignored;
        errno = saved;
}
