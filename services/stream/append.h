/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking events into the log: numbers, salts, the chain.
 */
#pragma once

#include "services/stream/log.h"

struct log_new {
        const char *source, *id, *type, *subject, *person, *organization, *path; /* "" where there is none */
        int64_t time_us;
        struct str data;
};

/* In the write lane, after log_end_lock. Numbers them on from the end of the log, in this order; the first one's sequence in
 * *ret_first (0 if n is 0). */
int log_append(struct rpc_call *call, const struct log_new *events, size_t n, int64_t *ret_first) MUST_USE;
