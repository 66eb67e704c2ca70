/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events (WHATWG HTML, 9.2): methods marked event_stream as an answer without an end. `id` is the cursor, which
 * a client that comes again gives back in Last-Event-ID. What a reader costs between events is its connection.
 *
 * A reader that comes late is sent one fetch after the other, the next when the one before has left: it may be as slow as
 * it likes, as long as it takes something within --write-timeout-ms. One that has come to the newest event is sent
 * events as they come; when SSE_UNREAD_MOST bytes of them wait for it, it is sent no more, and is cut unless it takes them all
 * within SSE_FULL_US. Each 15 s in which nothing was sent, a heartbeat: a comment, or the cursor if that has moved on over
 * events that are not for it.
 *
 * A stream ends when the gateway drains, and when a fetch is refused: the client comes again, elsewhere, or is told why by
 * the status. While the service is away it stays.
 */
#pragma once

#include "services/gateway/request.h"

#define SSE_UNREAD_MOST  (256u * 1024)
#define SSE_FULL_US      (2 * CLOCK_SECOND_US)
#define SSE_HEARTBEAT_US (15 * CLOCK_SECOND_US)

struct sse;
struct sse *sse_new(struct worker *worker);
struct sse *sse_free(struct sse *sse); /* after its readers have gone */

void sse_start(struct request *request); /* its message is decoded */
void sse_forget(struct request *request); /* one that is no reader, too */
void sse_drain(struct sse *sse);         /* ends all streams */
