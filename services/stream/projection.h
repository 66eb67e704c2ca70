/* SPDX-License-Identifier: Apache-2.0
 *
 * What of an event's message is shown: it depends on the highest privacy class and the withheld fields alone, so agencies
 * with the same of these share it, and what is rendered with it. No I/O.
 */
#pragma once

#include "services/stream/view.h"

/* Of one type of message. */
struct shape {
        const struct contract_message *type;
        bool whole;   /* nothing of it is hidden, at any depth */
        bool *shown;  /* by field */
        const struct shape **inner; /* of a field that is a message, else NULL */
};

/* Of all types. Never changes once it is made: any thread. */
struct projection;
struct projection *projection_new(Nuanxin__Privacy most, struct view_list withheld);
struct projection *projection_free(struct projection *projection);
DEFINE_CLEANUP(struct projection *, projection_free)

/* What it is made from, as text: equal texts, equal projections. */
struct str projection_name(const struct projection *projection);
struct str projection_name_of(struct arena *arena, Nuanxin__Privacy most, struct view_list withheld);

/* type: one of contract_messages. */
const struct shape *projection_shape(const struct projection *projection, const struct contract_message *type);

/* A packed message with only what is shown, in the arena; what this build does not know is left out. -EBADMSG: it is no
 * message. */
int projection_apply(const struct projection *projection, struct arena *arena, const struct contract_message *type,
                     struct str data, struct str *ret_data) MUST_USE;
