/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided in this service: states, windows, whether a scan counts, registration codes. Pure: no store, no clock,
 * no randomness of its own.
 */
#pragma once

#include "common/base/str.h"
#include "nuanxin/activity/v1/activity.pb-c.h"
#include "nuanxin/activity/v1/campaign.pb-c.h"
#include "nuanxin/activity/v1/checkin.pb-c.h"
#include "nuanxin/activity/v1/registration.pb-c.h"
#include "nuanxin/problem.pb-c.h"

/* The contract's values under names that fit on a line. */
enum {
        CAMPAIGN_DRAFT = NUANXIN__ACTIVITY__V1__CAMPAIGN__STATE__DRAFT,
        CAMPAIGN_OPEN = NUANXIN__ACTIVITY__V1__CAMPAIGN__STATE__OPEN,
        CAMPAIGN_CLOSED = NUANXIN__ACTIVITY__V1__CAMPAIGN__STATE__CLOSED,
        CAMPAIGN_N_STATE,
};
enum {
        ACTIVITY_DRAFT = NUANXIN__ACTIVITY__V1__ACTIVITY__STATE__DRAFT,
        ACTIVITY_OPEN = NUANXIN__ACTIVITY__V1__ACTIVITY__STATE__OPEN,
        ACTIVITY_CLOSED = NUANXIN__ACTIVITY__V1__ACTIVITY__STATE__CLOSED,
        ACTIVITY_CANCELLED = NUANXIN__ACTIVITY__V1__ACTIVITY__STATE__CANCELLED,
        ACTIVITY_ENDED = NUANXIN__ACTIVITY__V1__ACTIVITY__STATE__ENDED,
        ACTIVITY_N_STATE,
};
enum {
        MODE_ON_SITE = NUANXIN__ACTIVITY__V1__ACTIVITY__MODE__ON_SITE,
        MODE_ONLINE = NUANXIN__ACTIVITY__V1__ACTIVITY__MODE__ONLINE,
        MODE_BOTH = NUANXIN__ACTIVITY__V1__ACTIVITY__MODE__BOTH,
};
enum {
        REGISTRATION_NONE = NUANXIN__ACTIVITY__V1__REGISTRATION__STATE__STATE_UNSPECIFIED,
        REGISTRATION_REGISTERED = NUANXIN__ACTIVITY__V1__REGISTRATION__STATE__REGISTERED,
        REGISTRATION_WAITING = NUANXIN__ACTIVITY__V1__REGISTRATION__STATE__WAITING,
        REGISTRATION_CANCELLED = NUANXIN__ACTIVITY__V1__REGISTRATION__STATE__CANCELLED,
};
enum {
        WAY_CARD = NUANXIN__ACTIVITY__V1__CHECKIN__WAY__CARD,
        WAY_CODE = NUANXIN__ACTIVITY__V1__CHECKIN__WAY__CODE,
        WAY_STAFF = NUANXIN__ACTIVITY__V1__CHECKIN__WAY__STAFF,
        WAY_ONLINE = NUANXIN__ACTIVITY__V1__CHECKIN__WAY__ONLINE,
};

#define HOUR_US               (3600 * INT64_C(1000000))
#define CHECKIN_EARLY_US      (2 * HOUR_US)  /* check-in opens before the start by */
#define CHECKIN_OFFLINE_US    (24 * HOUR_US) /* a scan may be uploaded so much later */
#define CHECKIN_CLOCK_SKEW_US (HOUR_US / 12) /* a device's clock may be fast by */
#define ACTIVITY_LONGEST_US   (31 * 24 * HOUR_US)

/* --- states ------------------------------------------------------------------------------------------------- */

/* The only statement of which state may follow which. Unknown values: false. */
bool campaign_may_become(int from, int to);
bool activity_may_become(int from, int to);
const char *campaign_state_name(int state); /* as in JSON: "OPEN" */
const char *activity_state_name(int state);

/* --- registrations --------------------------------------------------------------------------------------------- */

struct registration_facts {
        int64_t now_us;
        int activity_state, campaign_state;
        int64_t from_us, until_us; /* the activity's registration window; from 0: at once */
        int64_t end_us;            /* of the activity */
};
/* PROBLEM_NONE, or why a registration is not taken now (capacity apart). */
Nuanxin__Problem registration_decide(const struct registration_facts *facts);

/* Codes: seven characters of Crockford's base 32 (35 bits of `random`) and a check character over GF(32), which finds
 * every single wrong character and every two exchanged ones. */
#define REGISTRATION_CODE_SIZE 9 /* eight characters and the NUL */
void registration_code_make(char out[REGISTRATION_CODE_SIZE], uint64_t random);
/* Reads what a person typed: any case, blanks and hyphens, O for 0, I and L for 1. -EINVAL: not a code, or its check
 * character does not fit. */
int registration_code_parse(struct str typed, char ret_code[REGISTRATION_CODE_SIZE]) MUST_USE;

/* --- check-ins ------------------------------------------------------------------------------------------------- */

/* All that decides about a scan. Nothing here comes from another scan, so the order of uploads cannot matter. */
struct scan_facts {
        int64_t now_us, occurred_us;
        int way;
        Nuanxin__Problem identity; /* PROBLEM_NONE, or why card, code or id name nobody who may take part */
        bool organization_known;
        bool inactive; /* the membership is suspended or over, since inactive_us */
        int64_t inactive_us;
        int campaign_state;
        int64_t campaign_closed_us; /* 0: not closed */
        int activity_state, mode;
        int64_t start_us, end_us;
        int64_t closed_us; /* when it was closed or cancelled; 0: it was not */
        bool registration_required;
        int registration; /* REGISTRATION_NONE: there is none */
        int64_t registration_changed_us;
};
/* PROBLEM_NONE: it counts. */
Nuanxin__Problem scan_decide(const struct scan_facts *facts);

/* --- organisations --------------------------------------------------------------------------------------------- */

/* Is what is valid from one time (0: ever since) until before another (0: for ever) valid now? */
bool is_valid_at(int64_t from_us, int64_t to_us, int64_t now_us);
/* Is the organisation with `path` the one with `ancestor_path`, or below it? */
bool path_is_within(struct str path, struct str ancestor_path);
