/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread of a gateway: a loop, a listener on the shared port, and its own way to Redis and to the services.
 */
#pragma once

#include "common/rpc/client.h"
#include "services/gateway/callers.h"
#include "services/gateway/gateway.h"
#include "services/gateway/route.h"

#include <sys/queue.h>

struct request;

struct worker {
        struct gateway *gateway;
        int index;
        struct loop *loop;
        struct cache *cache;
        struct cache_subscription *subscription;
        struct rpc_client *rpc;
        struct callers *callers;
        struct route_table *routes;
        struct http_server *http;
        struct sse *sse;                 /* event streams */
        TAILQ_HEAD(, request) polls;     /* reads that wait for news (waits.c) */
        size_t n_waiting;                /* polls and streams */
        struct revocations *revocations; /* worker 0 only */
        struct loop_timer *timer;        /* looks at the services and, draining, at the connections */
        struct buf json;                 /* of the answer in hand */
        struct buf gzip;
        struct metric *in_flight, *connections;
        struct route nowhere;            /* counts what is no method of the contract */
        int64_t logged_second;           /* failures are logged up to a bound each second */
        unsigned logged, unlogged;
        uint32_t waited_for;             /* services, by bit of worker_services: constant */
        int64_t open_until_us;           /* monotonic: opens by then in any case; 0: is open */
        int64_t drain_until_us;          /* monotonic; 0: not draining */
        /* For other threads to read: which services have an instance, by bit of worker_services. */
        _Atomic uint32_t services_up;
        void (*on_open)(void *arg);  /* from this worker's thread: it accepts connections now */
        void (*on_ended)(void *arg); /* likewise */
        void *process;               /* their argument */
};

/* The services that serve HTTP methods, from the contract; NULL-terminated, at most 32. */
size_t worker_services(const char *names[32]);

size_t worker_max_connections(const struct gateway *gateway); /* a thread's share */

/* port: 0 takes a free one; ret_port is the one taken. A line for a person on failure. */
int worker_new(struct gateway *gateway, int index, const char *address, struct worker **ret_worker, int *ret_port,
               const char **ret_error) MUST_USE;
void worker_run(struct worker *worker); /* its thread's whole life: until it has drained */
void worker_drain(struct worker *worker); /* from any thread: no new connections; ends when the last is done, ≤ 20 s */
struct worker *worker_free(struct worker *worker);
