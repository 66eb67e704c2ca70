/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo as an app backend: one kept-alive HTTP connection a thread (libcurl), answers read by the contract.
 */
#pragma once

#include "common/base/arena.h"
#include "common/contract/contract.h"

struct web;
struct web *web_new(const char *address, const char *bearer); /* bearer may be NULL */
struct web *web_free(struct web *web);
DEFINE_CLEANUP(struct web *, web_free)

struct web_answer {
        int status;
        struct str body;    /* until the next call */
        const char *problem; /* "activity-full", or "" */
};
/* Waits out 429 and 503 (Retry-After) for up to 60 s, with the same Idempotency-Key. Negative: the connection failed
 * for so long. body NULL: none. content_type NULL: JSON. */
int web_call(struct web *web, const char *method, const char *path, const struct str *body, const char *content_type,
             const char *accept, struct web_answer *ret) MUST_USE;
/* The same, and the answer as a message. An answer other than 2xx: -EBADMSG after a line on standard error. */
int web_message(struct web *web, const char *method, const char *path, const struct str *body, struct arena *arena,
                const struct contract_message *type, void *ret_message) MUST_USE;
