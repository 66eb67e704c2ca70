/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of proto/nuanxin/stream/v1/edge.proto: an agency's message to a fetch, and answers to their frames. Pure.
 */
#pragma once

#include "common/contract/message.h"

#include "contract/stream_v1.h"

#define GRAMMAR_FETCH_MAX 65536 /* bytes of a fetch, as it comes */

struct grammar_form {
        bool delimited; /* an empty frame stands in front, as a REQ socket puts it and wants it back */
        bool json;
};

struct grammar_fetch {
        struct grammar_form form;
        const Fetch *fetch; /* never NULL: of what could not be read it has what could */
        bool snapshot;      /* it asks for the present state, */
        const char *page;   /* of which this page; "" for the first */
};

struct grammar_refusal {
        Nuanxin__Problem problem;
        const char *args[8]; /* of its detail; NULL-terminated if fewer */
        const struct violation *violations;
        size_t n_violations;
        uint32_t retry_after_ms;
};

/* Reads a message's frames. 0; -EBADMSG: ret_refusal says what is wrong. In both cases ret_fetch says how to answer.
 * Everything lives as long as the arena's contents. */
int grammar_read(struct arena *arena, const struct str *parts, size_t n, struct grammar_fetch *ret_fetch,
                 struct grammar_refusal *ret_refusal) MUST_USE;

/* The frames of an answer but for its last: at most 2. */
size_t grammar_head(struct grammar_form form, const char *word, struct str out[2]);
#define GRAMMAR_BATCH   "BATCH"
#define GRAMMAR_REFUSED "REFUSED"

/* Appends the last frame. batch->events is not read: events has them as the stream made them for this form. */
void grammar_write_batch(struct buf *out, struct grammar_form form, const Batch *batch, struct str events);
void grammar_write_refusal(struct buf *out, const struct grammar_fetch *to, const struct grammar_refusal *refusal);

/* The stream's answer without its events, which are large and are passed on as they are: appends the other fields to `rest`,
 * packed as they were. -EBADMSG. */
int grammar_cut_events(struct str packed, uint32_t field, struct buf *rest, struct str *ret_events) MUST_USE;

/* Where the snapshot goes on, as a cursor. */
#define GRAMMAR_SNAPSHOT "snapshot"
char *grammar_page_cursor(struct arena *arena, const char *page);
