/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks: what an endpoint is, what an attempt makes of it (webhook_rules.c), and its rows (webhook_store.c).
 */
#pragma once

#include "common/base/clock.h"
#include "common/crypto/crypto.h"
#include "common/store/store.h"

enum webhook_state {
        WEBHOOK_ACTIVE = 1,   /* is sent to, or will be */
        WEBHOOK_PAUSED = 2,   /* by the operator, or when retries ended; its position stays */
        WEBHOOK_DISABLED = 3, /* it answered 410 Gone */
};

#define WEBHOOK_ATTEMPTS    10
#define WEBHOOK_BODY_MOST   20000 /* bytes of a delivery */
#define WEBHOOK_DEAD_NAMED  16    /* dead letters that a delivery names, the newest */
#define WEBHOOK_DEAD_ROOM   400   /* what naming them takes of a body, at most */
#define WEBHOOK_EVENT_MOST  (WEBHOOK_BODY_MOST - WEBHOOK_DEAD_ROOM)
#define WEBHOOK_TIMEOUT_US  (20 * CLOCK_SECOND_US)
#define WEBHOOK_ROTATION_US CLOCK_DAY_US /* for so long the secret before signs too */
#define WEBHOOK_SECRETS     8            /* that sign at once, the newest */
#define WEBHOOK_RATE        60000        /* deliveries a minute that an endpoint is asked to allow */
#define WEBHOOK_LOG_MOST    1000         /* attempts of an endpoint that the delivery log keeps; and dead letters besides */
#define WEBHOOK_PER_AGENCY  16
#define WEBHOOK_IN_ALL      1000

struct endpoint {
        const char *id, *agency, *url, *types;
        int state; /* enum webhook_state */
        const char *reason;
        int64_t position, hand, attempts, next_us;
        int64_t allowed_us, allowed_rate;
        int64_t redrive_next, redrive_through;
        const char *dead;
        int64_t deliveries, created_us, updated_us, revision;
};

/* --- rules: no I/O, no clock ----------------------------------------------------------------------------------------- */

bool webhook_may_become(int from, int to);

/* How long after the attempt number `made` (1: the first) the next one is due: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h, and
 * up to a tenth more by `random`; -1: that was the last. */
int64_t webhook_retry_us(int64_t made, uint32_t random);

/* Which event comes next: after *ret_after, and if *ret_through is not 0 up to there (a redrive). */
void webhook_next(const struct endpoint *endpoint, int64_t *ret_after, int64_t *ret_through);

enum webhook_kind {
        WEBHOOK_HANDSHAKE, /* OPTIONS: does it want to be sent events? */
        WEBHOOK_DELIVERY,  /* POST: one event */
        WEBHOOK_DEAD,      /* nothing was sent: the event never can be */
};

/* What was tried, and what came of it. */
struct attempt {
        enum webhook_kind kind;
        int64_t seq;          /* of the event; 0: the handshake */
        bool redriven;        /* it is sent once more */
        const char *event;    /* its id */
        int64_t began_us;
        unsigned status;      /* 0: no answer */
        const char *error;    /* "": it answered */
        int64_t took_us;
        int64_t retry_after_us; /* as it asked for; -1: it did not */
        const char *allowed_origin, *allowed_rate; /* as its answer to the handshake says */
};

enum webhook_outcome {
        WEBHOOK_DONE,   /* delivered, agreed, or dead: go on with what is next */
        WEBHOOK_RETRY,  /* not now */
        WEBHOOK_ENDED,  /* not now, and that was the last time */
        WEBHOOK_GONE,   /* 410 */
        WEBHOOK_PASSED, /* what was tried is not in hand any more: only the log tells of it */
};

/* The one place that decides what an attempt means. origin: ours, as the handshake asked. What the log shall say beside the
 * status goes to *ret_error: constant, or attempt->error. Texts of the endpoint may be given from the arena. */
enum webhook_outcome webhook_after(struct endpoint *endpoint, const struct attempt *attempt, const char *origin, int64_t now_us,
                                   uint32_t random, struct arena *arena, const char **ret_error);

/* There is nothing for it up to `through`. */
void webhook_pass(struct endpoint *endpoint, bool redriven, int64_t through);

/* Of one that is active. */
void webhook_pause(struct endpoint *endpoint, const char *reason);
/* Of any: its retries begin anew, and so does the handshake. */
void webhook_resume(struct endpoint *endpoint);

/* The body of a delivery: the event, a JSON object of at most WEBHOOK_EVENT_MOST bytes, with the extension `deadletters` if some
 * came before it. */
struct str webhook_body(struct arena *arena, struct str event, const char *dead);

/* How long to wait between two deliveries; 0: not at all. */
int64_t webhook_spacing_us(const struct endpoint *endpoint);

/* --- store ------------------------------------------------------------------------------------------------------------- */

#define WEBHOOK_E_ABSENT 1001

int endpoint_load(struct store_conn *db, struct arena *arena, const char *id, struct endpoint *ret) MUST_USE;
int endpoint_insert(struct store_conn *db, const struct endpoint *endpoint) MUST_USE;
/* All but id, agency, url, types and created_us. STORE_E_RETRY: somebody else was faster. Raises the revision. */
int endpoint_save(struct store_conn *db, struct endpoint *endpoint) MUST_USE;
/* Nothing else has changed since: moves its position on. */
int endpoint_pass(struct store_conn *db, const char *id, int64_t revision, int64_t position) MUST_USE;
int endpoint_delete(struct store_conn *db, const char *id) MUST_USE; /* with all that belongs to it; WEBHOOK_E_ABSENT */
int endpoints_query(struct store_conn *db, const char *agency, const char *after_id, int64_t limit,
                    struct store_rows **ret_rows) MUST_USE; /* agency "": of all */
void endpoint_read(const struct store_rows *rows, struct arena *arena, struct endpoint *ret);
int endpoints_count(struct store_conn *db, const char *agency, int64_t *ret_agency, int64_t *ret_all) MUST_USE;

/* Sealed as they are stored. expires_us of those before it becomes `old_expires_us`, if they had none. */
int secret_add(struct store_conn *db, struct arena *arena, const struct keyring *keyring, const char *endpoint, const char *id,
               const struct webhook_secret *secret, int64_t now_us, int64_t old_expires_us) MUST_USE;
/* Those that sign now, the newest first. */
int secrets_load(struct store_conn *db, struct arena *arena, const struct keyring *keyring, const char *endpoint, int64_t now_us,
                 struct webhook_secret ret[WEBHOOK_SECRETS], size_t *ret_n) MUST_USE;

struct delivery {
        int64_t id, seq;
        const char *event;
        int64_t attempt, time_us, status;
        const char *error;
        int64_t took_us;
        bool dead;
};
/* Keeps the log short as well. */
int delivery_insert(struct store_conn *db, const char *endpoint, const struct delivery *delivery) MUST_USE;
/* Newest first, those before `before` (INT64_MAX: all). */
int deliveries_query(struct store_conn *db, const char *endpoint, bool dead_only, int64_t before, int64_t limit,
                     struct store_rows **ret_rows) MUST_USE;
void delivery_read(const struct store_rows *rows, struct arena *arena, struct delivery *ret);
