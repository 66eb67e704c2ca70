/* SPDX-License-Identifier: Apache-2.0
 *
 * Problem details (RFC 9457) as JSON, in the caller's language. Pure.
 *
 * Chinese if Accept-Language prefers zh (any of its variants) to en; English otherwise.
 */
#pragma once

#include "common/contract/message.h"

enum language { LANGUAGE_EN, LANGUAGE_ZH };
enum language language_of(struct str accept_language);
const char *language_tag(enum language language); /* for Content-Language */

/* A refusal by the gateway itself, or from a service. */
struct problem {
        Nuanxin__Problem value;
        const char *args[8]; /* fill {0}, {1} …; NULL-terminated if fewer */
        const struct violation *violations;
        size_t n_violations;
        const char *snapshot; /* the path at which to read the present state instead; NULL: none */
};

/* The problem that stands for an HTTP status which the HTTP layer refuses with. */
Nuanxin__Problem problem_of_status(int status);

/* Appends {"type":…}. trace_id: 32 hexadecimal digits or empty. Returns the HTTP status. */
unsigned problem_write(struct buf *out, const struct problem *problem, enum language language, struct str trace_id);
