/* SPDX-License-Identifier: Apache-2.0
 *
 * Redis on a loop (hiredis): one connection that mends itself, with time-outs and a bound on what is in
 * flight. What it is used for (sessions, rates, the registry) is the caller's matter. Callbacks run on the
 * loop's thread, exactly once a command.
 */
#pragma once

#include "common/base/arena.h"
#include "common/loop/loop.h"

struct cache;

/* Who we are to Redis and to its sentinels; NULL: nobody in particular. */
struct cache_auth {
        char *user, *password; /* without a user: the default one */
        char *sentinel_user, *sentinel_password;
};
/* From a file of mode 0600 with lines "password TEXT", "user NAME", "sentinel-password TEXT", "sentinel-user NAME". */
int cache_auth_read(const char *path, struct cache_auth *ret_auth, const char **ret_error) MUST_USE;
void cache_auth_done(struct cache_auth *auth); /* wipes */

struct cache_options {
        /* "unix:/path/redis.sock", "127.0.0.1:6379", "[::1]:6379"; a name is looked up once. Or, for a primary that
         * moves, its sentinels and its name among them: "sentinel://10.0.0.1:26379,10.0.0.2:26379/nuanxin". */
        const char *address;
        const struct cache_auth *auth; /* or NULL; copied */
        int64_t timeout_us;  /* of one command; 0: 1 s */
        size_t max_in_flight; /* 0: 4096; beyond it cache_command fails at once */
};
/* -EINVAL: no such address. Connects in the background and keeps reconnecting (5 ms to 1 s, 250 ms on a
 * unix socket); up only once Redis answers (PING), so not while it still loads its data, and behind sentinels
 * only if it says that it is the primary. When they name another, the connection is lost and made anew there. */
int cache_new(struct loop *loop, const struct cache_options *options, struct cache **ret_cache) MUST_USE;
/* Not from a callback. Commands in flight get -ECANCELED; what their callbacks send is ignored. */
struct cache *cache_free(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_free)
bool cache_is_up(const struct cache *cache);

/* Called with true after each connect, false after each loss (before the callbacks of what was in flight). */
typedef void (*cache_state_fn)(void *arg, bool up);
void cache_on_state(struct cache *cache, cache_state_fn fn, void *arg);

enum cache_kind { CACHE_NIL, CACHE_TEXT, CACHE_INT, CACHE_ARRAY, CACHE_ERROR };
struct cache_reply {
        enum cache_kind kind;
        struct str text; /* TEXT, ERROR */
        int64_t integer;
        const struct cache_reply *items; /* ARRAY */
        size_t n_items;
};
/* error: 0 with a reply (lent for the call); without one -ETIMEDOUT, -ENOTCONN (Redis may have done it or
 * not), -EBUSY (max_in_flight), -ECANCELED. An error reply of Redis is kind CACHE_ERROR with error 0. One
 * time-out gives up the connection and all that is in flight on it. */
typedef void (*cache_reply_fn)(void *arg, int error, const struct cache_reply *reply);

/* Sends one command of n_args binary-safe words; pipelined, written at the turn's end. fn may be NULL. A
 * failure to send is reported by fn too, from a later turn: a caller has one path. */
void cache_command(struct cache *cache, const struct str *args, size_t n_args, cache_reply_fn fn, void *arg);
#define CACHE_COMMAND(cache, fn, arg, ...)                                                                   \
        cache_command((cache), (const struct str[]){__VA_ARGS__},                                            \
                      sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str), (fn), (arg))

/* A script, sent as EVALSHA and loaded when Redis does not know it. text: a static string. One for each
 * cache; it outlives it. */
struct cache_script {
        const char *text;
        char sha1_[41];
};
void cache_eval(struct cache *cache, struct cache_script *script, const struct str *keys, size_t n_keys,
                const struct str *args, size_t n_args, cache_reply_fn fn, void *arg);

/* Subscriptions use a connection of their own; the channels' names are kept by pointer. on_message:
 * channel and payload lent. on_alive(true) once the subscription answers (again), false as soon as it is
 * lost or has not answered its PING for 1 s: what was cached on the promise of being told must then be
 * dropped. */
struct cache_subscription;
struct cache_subscription_ops {
        void (*on_message)(void *arg, struct str channel, struct str payload);
        void (*on_alive)(void *arg, bool alive);
};
int cache_subscribe(struct loop *loop, const struct cache_options *options, const char *const *channels,
                    size_t n_channels, const struct cache_subscription_ops *ops, void *arg,
                    struct cache_subscription **ret_subscription) MUST_USE;
/* Not from a callback. */
struct cache_subscription *cache_subscription_free(struct cache_subscription *subscription);
