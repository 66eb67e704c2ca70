/* SPDX-License-Identifier: Apache-2.0
 *
 * Work of a service's own that goes on beside its requests, and outside its store: it sends, and waits for what comes of it.
 * It runs on the instance that leads, on the loop's thread, as callbacks; what it reads and writes of the store it does as
 * jobs in the lanes, like a handler. It keeps nothing in memory that another instance could not find in the store.
 */
#pragma once

#include "common/base/metric.h"
#include "common/loop/loop.h"
#include "common/rpc/rpc.h"

struct rpc_worker; /* where it runs: for its own calls below */

/* All on the loop's thread. */
struct rpc_worker_kind {
        /* Once, before the first start. state: what the service's start() made. */
        void *(*make)(struct rpc_worker *host, void *state);
        void (*start)(void *worker); /* this instance leads from now on */
        /* It leads no longer, or ends: begin nothing new, until it is started again. What was begun may still be written down. */
        void (*stop)(void *worker);
        /* While it leads: there are news of the service's own, as its requests wait for; or a handler has woken it (rpc_wake). */
        void (*news)(void *worker);
        void (*wake)(void *worker);
        void (*free)(void *worker); /* after the lanes have ended: jobs that are not done will not be */
};

/* A job goes through a lane like a request. The owner keeps it until it is done. */
struct job {
        int (*run)(struct rpc_call *call, void *arg); /* any thread; may run again */
        void (*done)(void *arg, int result);          /* the loop's thread; what run said, or why it did not */
        void *arg;
};
void rpc_worker_read(struct rpc_worker *host, const struct job *job); /* in a snapshot, on a read-only connection */
/* In a savepoint: not 0 undoes it. done comes after the commit if the result is 0. */
void rpc_worker_write(struct rpc_worker *host, const struct job *job);

/* May it write now? Not while its store is being moved elsewhere: then what it sends would be sent from there once more. */
bool rpc_worker_may_write(const struct rpc_worker *host);

/* While something is held, a process that shall end waits for it, within its time. */
void rpc_worker_hold(struct rpc_worker *host);
void rpc_worker_release(struct rpc_worker *host);

struct loop *rpc_worker_loop(const struct rpc_worker *host);
const struct clock *rpc_worker_clock(const struct rpc_worker *host);
struct metric_registry *rpc_worker_metrics(const struct rpc_worker *host);

/* For handlers: when this has committed, the worker is woken, on whichever instance it runs; soon at least. */
int rpc_wake(struct rpc_call *call) MUST_USE;
