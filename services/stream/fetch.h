/* SPDX-License-Identifier: Apache-2.0
 *
 * What an agency may see of the log, from a cursor on: the one way to events for whoever asks (FetchEvents, webhooks, the
 * operator's tail). Everything is checked at each fetch against the store, in the caller's transaction; what is rendered comes
 * from memory if it is there (segment.h).
 */
#pragma once

#include "services/stream/agencies.h"

struct fetch_ask {
        struct agencies *agencies;
        struct store_conn *db; /* in a transaction; any connection */
        struct arena *arena;   /* of the answer */
        int64_t now_us;
        const char *agency;    /* "": everything, for the operator */
        const char *key;       /* the id of the key that was shown; NULL: who asks is known otherwise */
        struct str cursor;     /* "": from the oldest */
        struct view_list types; /* none: all */
        EventFormat format;
        size_t max_events;
        bool itemize;           /* fill items */
        int64_t looked_through; /* nothing was found up to there, a moment ago; or 0 */
};

struct fetch_answer {
        struct log_position position;
        int64_t from, through; /* what was looked at: after `from`, up to `through` */
        struct str events;     /* JSON: an array; PROTOBUF: a CloudEventBatch */
        size_t n_events;
        const struct segment_event *items; /* each one's place in events, if asked for */
        /* FETCH_E_REFUSED */
        Nuanxin__Problem problem;
        const char *arg; /* or NULL */
};

#define FETCH_E_REFUSED 920
/* 0; FETCH_E_REFUSED with the problem; STORE_E_* and negative errors are passed on. */
int fetch_for_agency(const struct fetch_ask *ask, struct fetch_answer *ret) MUST_USE;

/* The state behind the log (log_state), from after `after` on: through is where the next page begins; what was the last page is
 * told by more. cursor is not asked. */
int fetch_state(const struct fetch_ask *ask, int64_t after, struct fetch_answer *ret, bool *ret_more) MUST_USE;
