/* SPDX-License-Identifier: Apache-2.0
 *
 * What the seed's files share: its way to the services, and the credentials' file.
 */
#pragma once

#include "common/base/clock.h"
#include "common/service/operator.h"

#define PROVINCE "43" /* 湖南省 */
#define WAIT_US  (30 * CLOCK_SECOND_US)

struct seed {
        const char *var, *data, *care, *http, *edge, *edge_key_file, *redis, *redis_auth_file, *curve;
        bool samples;
        struct cache_auth redis_auth;
        struct operator *op;
        struct arena *arena;
        struct clock clock;
};

/* Calls, or says what went wrong. expected: a refusal's type that the caller handles (then 1), or NULL. */
int seed_call(struct seed *s, const char *method, const void *request, const char *expected, void **ret_response) MUST_USE;
/* Services learn of the organisations from membership's events: waits until this one has. */
int seed_call_once_known(struct seed *s, const char *method, const void *request, void **ret_response) MUST_USE;

int seed_read(struct seed *s, const char *path, struct str *ret) MUST_USE;
/* All or nothing, mode 0600; a line if it fails. */
int seed_write(const char *path, struct str text) MUST_USE;
/* In our own file, of our own shape: the text between the quotes after "key" within `within`; key NULL: after `within`. */
struct str seed_value(struct str text, const char *within, const char *key);

/* --- care.c ------------------------------------------------------------------------------------------------------- */

/* The shipped programmes and calendars, as far as the care service does not know them. */
int care_keep(struct seed *s) MUST_USE;

/* --- sample.c ----------------------------------------------------------------------------------------------------- */

/* Money, people and cases to try care with: those that an earlier, unfinished first run has not made. After care_keep. */
int sample_make(struct seed *s) MUST_USE;

/* --- agency.c ----------------------------------------------------------------------------------------------------- */

/* An agency of the stream's, with keys of both kinds, and "agency" in the credentials: what of it is missing is made. */
int agency_keep(struct seed *s, const char *path, struct str *credentials) MUST_USE;
void agency_print(const struct seed *s, struct str credentials);
