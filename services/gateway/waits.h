/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that stay because they wait for news: event streams, and reads with `wait` (long polls). Each holds a connection,
 * so they are counted: at most --max-streams of one caller on one thread, and of all callers as many as half of the
 * connections. The rest is for those who ask and go.
 */
#pragma once

#include "services/gateway/request.h"

/* Counts it, until waits_leave. False: there are too many; it has been answered. */
bool waits_enter(struct request *request);
void waits_leave(struct request *request); /* one that did not enter, too */

/* A read that may wait: for how long, from its message, once it has entered (or that was not needed). False: answered. */
bool waits_poll(struct request *request, int64_t *ret_wait_us);
/* Long polls are answered now, with what there is. */
void waits_drain(struct worker *worker);
