/* SPDX-License-Identifier: Apache-2.0
 *
 * One line a happening, on standard error, as logfmt: time, level, who, the message, key=value fields, and
 * the trace of the request in hand. Never personal data: ids and codes only.
 */
#pragma once

#include "common/base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* process: shown as svc=; kept by pointer. Call once, before any thread starts. Thread-safe afterwards. */
void log_init(const char *process, enum log_level least);

/* "debug", "info", "warning", "error"? */
bool log_level_parse(const char *name, enum log_level *ret_level);

/* The trace id of this thread's work, shown as trace=; empty clears it. Copied (32 characters at most). */
void log_set_trace(struct str trace_id);

/* message: a constant phrase. fields: printf format of key=value pairs, or NULL.
 *   log_write(LOG_LEVEL_INFO, "listening", "address=%s", address); */
void log_write(enum log_level level, const char *message, const char *fields, ...) PRINTF(3, 4);

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
