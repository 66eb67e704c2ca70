/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as agencies get them: CloudEvents 1.0 in JSON and in protobuf. No I/O.
 */
#pragma once

#include "services/stream/projection.h"

/* Appends one event of a public type. JSON: an object; PROTOBUF: an entry of CloudEventBatch, with its tag and length.
 * -EBADMSG: its data are no message of the type; then nothing is appended. */
int render_event(struct buf *out, struct arena *arena, const struct projection *projection, EventFormat format,
                 const StoredEvent *event, const struct contract_message *type) MUST_USE;

/* What stands around and between rendered events. */
struct render_frame {
        struct str begin, between, end;
};
struct render_frame render_frame(EventFormat format);
