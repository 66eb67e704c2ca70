/* SPDX-License-Identifier: Apache-2.0
 *
 * What is next for an endpoint, as jobs of the lanes: in the read lane its next request is made ready, in the write lane what
 * came of it is written down. Consents, agreements and secrets are looked at each time, also for what is sent again.
 */
#pragma once

#include "services/stream/webhook.h"

#include "common/rpc/rpc.h"

enum look_result {
        LOOK_GONE,    /* it is not sent to any more: it was paused, disabled, deleted */
        LOOK_LATER,   /* not before at_us */
        LOOK_NOTHING, /* nothing is for it up to `through` */
        LOOK_BARRED,  /* its agency may see nothing now */
        LOOK_LOST,    /* the log no longer keeps what is next */
        LOOK_DEAD,    /* what is next can never be sent */
        LOOK_SEND,    /* the request is ready */
};

struct look {
        /* Given. */
        const char *id;
        const char *origin;         /* who we say that we are */
        int64_t revision, position; /* how far it has come, as the one who looks remembers, if the revision is this one */
        struct arena *arena;        /* emptied at first; what is found lives in it */

        /* Found. */
        enum look_result result;
        int64_t found_revision, at_us, through, latest, spacing_us;
        struct attempt attempt; /* what is tried: its outcome is still to be filled in */
        struct {
                const char *method, *url;
                const char *fields[8]; /* NULL-terminated */
                struct str body;
        } request;
};
int look_run(struct rpc_call *call, struct look *look) MUST_USE; /* read lane */

/* What came of it; or LOOK_LOST, or LOOK_NOTHING to be remembered. Write lane. */
struct settle {
        const struct look *look;
        uint32_t random;
        enum webhook_outcome outcome; /* as it was decided */
};
int settle_run(struct rpc_call *call, struct settle *settle) MUST_USE;

/* How all endpoints stand: for metrics, and to know whom to look after. Read lane. */
struct endpoint_standing {
        const char *id, *agency;
        int state;
        int64_t revision, position, next_us;
        int64_t behind;    /* events after its position */
        int64_t since_us;  /* when the first of them was taken in; 0: there is none */
        bool said;         /* that it falls behind: its reader's */
};
/* How far an agency has come with webhooks: as far as its endpoint that is furthest behind. */
struct agency_standing {
        const char *agency;
        int64_t position;
};
struct survey {
        struct arena *arena;
        /* Remembered positions, by id, in rising order: see struct look. */
        const struct endpoint_standing *known;
        size_t n_known;
        struct endpoint_standing *items; /* found, in rising order of their ids */
        size_t n;
        struct agency_standing *agencies;
        size_t n_agencies;
};
int survey_run(struct rpc_call *call, struct survey *survey) MUST_USE;
