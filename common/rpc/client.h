/* SPDX-License-Identifier: Apache-2.0
 *
 * The calling half: which instances there are, which one gets a request, and what happens when it does not answer.
 * One client a loop; everything runs on the loop's thread.
 *
 * Choosing: of two random instances the one with the lower (outstanding + 1) × latency average; five failures in a
 * row eject an instance for a while (at most half of a fleet). While no instance fits, reads wait for 2 s and writes
 * until their deadline, at most 8,192 in all. A lost connection, not_writer or an instance that gives no sign of life
 * (2 to 3 s after it froze) moves the request to another instance with the same idempotency key, outside the budget;
 * but not a request in whose time four instances died. Other repeatable failures are retried at most twice, within a
 * budget of 20 % of requests, with jitter. At most 65,536 requests and 256 MiB of them are under way.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/metric.h"
#include "common/bus/bus.h"
#include "common/cache/cache.h"
#include "common/contract/contract.h"
#include "nuanxin/internal/v1/bus.pb-c.h"

struct rpc_client;
struct rpc_pending;

struct rpc_client_options {
        struct loop *loop;
        struct bus *bus;
        struct cache *cache;               /* the registry is read from here; NULL: configured peers only */
        const char *const *peers;          /* "membership=ipc://…": configured endpoints, NULL-terminated, or NULL */
        const char *self_service;          /* who calls: for Hello */
        const char *self_instance;
        struct metric_registry *metrics;
};
int rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret_client) MUST_USE;
/* Pending calls end with -ECANCELED. Free the cache first: its callbacks may still name the client. */
struct rpc_client *rpc_client_free(struct rpc_client *client);
/* An endpoint known by other means (an instance's own); stays for the client's life. */
int rpc_client_add_peer(struct rpc_client *client, const char *service, const char *endpoint) MUST_USE;
/* Is there an instance up for it (for a write: one that may write)? For readiness. */
bool rpc_client_has(const struct rpc_client *client, const char *service, bool may_write);

struct rpc_timing {
        uint32_t queue_us, handler_us, commit_us; /* as the service says */
        int64_t total_us;                         /* from sending to the answer, retries included */
};

struct rpc_result {
        /* 0: `problem` says whether payload is the output (PROBLEM_NONE) or a packed Refusal. -ETIMEDOUT: no answer by
         * the deadline, the outcome is unknown. -EHOSTUNREACH: no instance took it (in time, for a read); nothing was
         * done. -EMSGSIZE: beyond 4 MiB. -ECANCELED: the client ends; make no further calls. */
        int error;
        Nuanxin__Problem problem;
        struct str payload; /* lent for the call */
        uint32_t retry_after_ms;
        bool replayed;
        int attempts;
        struct rpc_timing timing;
};
typedef void (*rpc_done_fn)(void *arg, const struct rpc_result *result);

struct rpc_request {
        const struct contract_method *method;
        const char *service;   /* NULL: method->service; given for the methods that every service has */
        const char *instance;  /* this very instance, or NULL */
        const Nuanxin__Internal__V1__Principal *principal;
        struct str principal_packed; /* the same, packed, for who has it so: then `principal` is not read */
        struct str payload;    /* packed input */
        struct str traceparent; /* of this hop; {NULL,0}: a new trace */
        struct str idempotency_key; /* at most 128 characters; {NULL,0}: the client makes one */
        bool client_key;
        struct str address;
        int64_t deadline_us; /* from now; 0: 10 s */
        bool long_poll; /* may be answered late on purpose: its time says nothing of the instance */
};
/* done runs exactly once, never before this returns. Everything is copied as needed. */
struct rpc_pending *rpc_client_call(struct rpc_client *client, const struct rpc_request *request, rpc_done_fn done,
                                    void *arg);
void rpc_pending_cancel(struct rpc_pending *pending); /* done will not run */

/* One row of `nuanxin status`; its texts are lent until the loop runs again. */
struct rpc_instance {
        const char *service, *instance, *endpoint;
        bool up, may_write, draining, ejected;
        unsigned outstanding;
        int64_t latency_us;
};
size_t rpc_client_instances(const struct rpc_client *client, struct rpc_instance *out, size_t room);

/* --- the registry's other end: a service says that it is there -------------------------------------------------------- */

struct rpc_announcer;
struct rpc_announcer_options {
        struct loop *loop;
        struct cache *cache;
        const char *service, *instance, *endpoint, *admin_address;
};
/* Writes instance:{service}:{id} each second with a life of 3 s, at once after a change, and removes it at the end. */
int rpc_announcer_new(const struct rpc_announcer_options *options, struct rpc_announcer **ret) MUST_USE;
void rpc_announcer_set(struct rpc_announcer *announcer, bool may_write, bool draining);
struct rpc_announcer *rpc_announcer_free(struct rpc_announcer *announcer);
