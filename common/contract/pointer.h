/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Pointers (RFC 6901) while walking a document: steps on the stack, text only when something is wrong.
 */
#pragma once

#include "common/base/arena.h"

struct pointer {
        const struct pointer *up; /* NULL: this is a step from the root */
        struct str key;           /* {NULL}: an index */
        size_t index;
};

/* "" for NULL, else "/member/addresses/2/street". */
const char *pointer_text(struct arena *arena, const struct pointer *pointer);
