/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as text/event-stream (WHATWG HTML, 9.2) has them. Pure.
 */
#pragma once

#include "common/base/str.h"

/* Appends each element of a JSON array of objects as one message: its data is the object as it stands, its id where to go
 * on after it. That is `cursor` ("EPOCH:SEQ", of the answer) after the last one; after any other the same epoch with the
 * object's own `sequence`, or no id if it has none: then whoever is cut there gets it once more. -EBADMSG: it is no such
 * array, or the cursor no word; what was appended then means nothing. */
int event_text(struct buf *out, struct str events, struct str cursor) MUST_USE;
