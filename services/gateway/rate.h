/* SPDX-License-Identifier: Apache-2.0
 *
 * How much a caller may do: the figures by kind of caller and class of method, and the arithmetic of GCRA (the generic
 * cell rate algorithm) around them. Pure: what Redis keeps and when it is asked is callers.c's matter.
 *
 * State is one number: how far a caller has run ahead of its steady rate ("ahead", µs). A token puts it one interval
 * further ahead; time takes it back; it may not pass burst × interval.
 *
 * A lease is a few tokens taken from Redis at once and used here within a second. They are counted where they were
 * taken, so a caller never gets more tokens than its rate gives; only their use may shift by that second, by at most
 * RATE_LEASE_SHARE of the burst for each gateway thread.
 */
#pragma once

#include "common/base/str.h"
#include "nuanxin/options.pb-c.h"

enum rate_kind {
        RATE_PERSON,  /* a session */
        RATE_CLIENT,  /* an app backend: its own calls and, together, those of the sessions that it opened */
        RATE_AGENCY,  /* a subscriber outside the association: an event stream costs one token, at its start */
        RATE_ADDRESS, /* nobody in particular: by network address */
        RATE_ACCOUNT, /* an account that somebody tries to sign in to */
        RATE_KINDS
};

#define RATE_CLASSES     6                     /* as enum RateClass */
#define RATE_LEASE_SHARE 10                    /* a lease is at most burst / RATE_LEASE_SHARE */
#define RATE_LEASE_US    1000000ll             /* and dead after this */

struct rate_figure {
        int64_t burst;       /* tokens */
        int64_t interval_us; /* between two tokens; 0: no limit */
};

/* scale: multiplies bursts and rates; ≥ 1. */
struct rate_figure rate_figure_of(enum rate_kind kind, Nuanxin__RateClass class, int64_t scale);
const char *rate_class_name(Nuanxin__RateClass class);

/* Tokens there are when `ahead_us` ahead. */
int64_t rate_tokens(struct rate_figure figure, int64_t ahead_us);
/* How long until there is one; 0: now. */
int64_t rate_wait_us(struct rate_figure figure, int64_t ahead_us);

/* May such a figure be leased by one of `threads` gateway threads, and how many tokens at once: `used` is how many
 * the caller spent of the last lease. At least 1. */
int64_t rate_lease_size(struct rate_figure figure, Nuanxin__RateClass class, int threads, int64_t used);

/* The local limiter, for while Redis is gone: one token at the rate divided by `share` (≥ 1). *theoretical_us is the
 * caller's state (0 at first). Returns 0 or the µs to wait. */
int64_t rate_take_local(struct rate_figure figure, int share, int64_t now_us, int64_t *theoretical_us);
