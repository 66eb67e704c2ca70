/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls, as one gateway thread remembers it: sessions, API keys, app backends, agencies, network addresses, and
 * accounts that somebody tries to sign in to, each with its principal and its rate leases. What is remembered is a copy: Redis
 * decides.
 *
 * How long a copy is believed: 5 s, and only while the subscription to "session" is alive and told nothing of it; with
 * Redis gone, 60 s from the last check. So a revoked session ends within milliseconds as a rule, within 5 s at worst,
 * and within 60 s while Redis is gone.
 */
#pragma once

#include "common/base/clock.h"
#include "common/base/metric.h"
#include "common/cache/cache.h"
#include "common/loop/loop.h"
#include "nuanxin/internal/v1/bus.pb-c.h"
#include "services/gateway/rate.h"

#define CALLER_FRESH_US (5 * CLOCK_SECOND_US)
#define CALLER_GONE_US  (60 * CLOCK_SECOND_US) /* with Redis gone */
#define CALLER_IDLE_US  (60 * CLOCK_SECOND_US) /* forgotten here when unused for so long */
#define CALLERS_MAX     65536

enum caller_kind { CALLER_SESSION, CALLER_KEY, CALLER_CLIENT, CALLER_AGENCY, CALLER_ADDRESS, CALLER_ACCOUNT };

enum caller_state {
        CALLER_UNKNOWN, /* Redis was not asked, or did not answer */
        CALLER_ALIVE,   /* principal is set */
        CALLER_DEAD,    /* Redis does not know it; an API key may still be known to membership */
};

/* What one caller has of one class of rate. */
struct lease {
        Nuanxin__RateClass class;
        int64_t tokens;    /* left of what was taken from Redis */
        int64_t used;      /* spent of it */
        int64_t dies_us;   /* tokens are good up to here (monotonic) */
        int64_t ahead_us;  /* what Redis said last … */
        int64_t said_us;   /* … and when */
        int64_t denied_us; /* there is no token before this */
        int64_t local_us;  /* the local limiter's state */
        uint64_t batch;    /* the one in which it was asked last */
        int64_t waiting;   /* requests that wait for that answer */
        struct lease *next;
};

struct caller {
        unsigned char key[32]; /* SHA-256 of what it is called: its name in Redis */
        enum caller_kind kind;
        enum caller_state state;
        struct str principal;                        /* of ALIVE sessions and keys, packed; malloc()ed; else {NULL,0} */
        struct caller *client;                       /* the app backend that opened this session, or whose (or what agency's)
                                                        API key this is; pinned */
        int64_t until_us;                            /* UTC: the session's absolute end */
        int64_t checked_us;                          /* monotonic: when the answer that made it ALIVE was asked for */
        uint64_t checks;                             /* answers about it so far, the last of them in the turn at … */
        int64_t answered_us;                         /* … (monotonic): good for that turn, whatever was told meanwhile */
        uint64_t batch;                              /* the one in which it was asked last */
        struct fetch *fetch;                         /* an API key: its service is being asked whose it is (auth.c) … */
        int64_t refused_us;                          /* … or did not know it, then */
        unsigned slot_key, slot_id, slot_client;
        unsigned pins;
        unsigned waiting; /* requests that stay (waits.c) */
        int64_t used_us;
        struct lease *leases;
        struct caller *chain, *newer, *older;
        uint64_t hash;
        size_t name_n;
        char name[]; /* what it is called here: compared, never shown; wiped at the end */
};

#define CALLERS_BUCKETS 16384
#define CALLERS_SLOTS   4096
#define CALLERS_CLOSED  1024

struct batch;

/* One that waits for answers: embed it. */
struct callers_waiter {
        void (*fn)(void *arg);
        void *arg;
        uint64_t batch_; /* not before this one is answered */
        struct callers_waiter *next_, *before_;
        bool queued_;
};

struct callers_metrics {
        struct metric *hits, *asked, *batches, *limited, *gone;
};

/* A session that was closed: the key in Redis. */
struct closed {
        char key[96];
        size_t key_n;
        int64_t at_us;
};

struct callers {
        struct loop *loop;
        struct cache *cache;
        const struct clock *clock;
        int64_t rate_scale;
        int gateway_threads; /* of all gateways that share the load */
        struct callers_metrics metrics;
        struct arena *scratch;
        uint64_t seed; /* of the table's hash, so that nobody can aim at one bucket */
        struct caller *buckets[CALLERS_BUCKETS];
        struct caller *newest, *oldest;
        size_t n;
        /* What the subscription told: no copy asked for before is believed. By slot: a collision costs one check. */
        int64_t dropped_us[CALLERS_SLOTS];
        bool told;             /* the subscription is alive, since … */
        int64_t told_since_us;
        int64_t gone_until_us; /* Redis failed a moment ago: it is not asked before this */
        /* The batch being filled in this turn, and those in flight. */
        struct batch *filling, *spare;
        uint64_t serial, answered;
        struct loop_turn turn;
        struct callers_waiter *first, *last;
        struct loop_timer *sweep;
        struct cache_script ask, put, close, revoke, end_all;
        struct closed closed[CALLERS_CLOSED]; /* a ring: the last ones */
        size_t n_closed;
};

struct callers *callers_new(struct loop *loop, struct cache *cache, const struct clock *clock, int64_t rate_scale,
                            int gateway_threads, struct metric_registry *metrics);
struct callers *callers_free(struct callers *callers);

/* The caller that `name` (a token, an API key, a client id, an address, an account's login) stands for; made when it is
 * new. Pinned: caller_unpin. */
struct caller *callers_get(struct callers *callers, enum caller_kind kind, struct str name);
struct caller *caller_unpin(struct caller *caller); /* NULL */

/* Redis or the key's service said who this is. Takes nothing; asked_us: when it was asked (monotonic). -EBADMSG: garbled. */
int caller_learn(struct callers *callers, struct caller *caller, struct str packed_principal, int64_t until_us,
                 int64_t asked_us) MUST_USE;
/* The principal of an ALIVE session or key, in the arena; NULL if it has none. */
Nuanxin__Internal__V1__Principal *caller_principal(struct arena *arena, const struct caller *caller);
void caller_forget(struct caller *caller, int64_t asked_us); /* DEAD, as far as was known then */

enum admission {
        ADMITTED,
        ADMISSION_WAITS,  /* register a waiter, then ask again */
        ADMISSION_DEAD,   /* no such session or key */
        ADMISSION_DENIED, /* its rate is used up */
        ADMISSION_GONE,   /* Redis is gone and this caller is not known here */
};
/* Is it who it says? at_least: the number of checks (caller->checks) that must have been made: 0 if a copy will do. */
enum admission caller_identify(struct callers *callers, struct caller *caller, uint64_t at_least);
/* One token. ret_wait_us: of ADMISSION_DENIED. */
enum admission caller_take(struct callers *callers, struct caller *caller, Nuanxin__RateClass class,
                           int64_t *ret_wait_us);

/* The local limiter alone, whether Redis is there or not: 0 or the µs to wait. */
int64_t caller_take_local(struct callers *callers, struct caller *caller, Nuanxin__RateClass class);

/* For RateLimit and RateLimit-Policy. False: this class has no limit for this caller. */
struct caller_rate {
        int64_t quota, window_s, remaining, reset_s;
};
bool caller_rate_state(const struct callers *callers, const struct caller *caller, Nuanxin__RateClass class,
                       struct caller_rate *ret_rate);

/* fn(arg) once all that was asked up to now has been answered. */
void callers_wait(struct callers *callers, struct callers_waiter *waiter);
void callers_wait_cancel(struct callers *callers, struct callers_waiter *waiter);

/* The subscription's news. */
void callers_told(struct callers *callers, bool alive);
bool callers_are_told(const struct callers *callers);
void callers_drop(struct callers *callers, struct str slot_text); /* a key in hexadecimal, or a principal's id */
/* Redis failed or is back. */
void callers_redis(struct callers *callers, bool up);
bool callers_redis_gone(const struct callers *callers);

enum rate_kind caller_rate_kind(const struct caller *caller);
