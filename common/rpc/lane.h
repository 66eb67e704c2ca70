/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane: a bounded queue between the loop and one or more threads, and the rule by which it sheds what waited too
 * long.
 */
#pragma once

#include "common/base/metric.h"
#include "common/loop/loop.h"
#include "common/rpc/call.h"

#include <pthread.h>

/* Overloaded is a queue whose shortest wait within a whole interval exceeded the target (CoDel's sign of a standing
 * queue); then what waited more than twice the target is shed, so that what is served is still wanted. */
struct shed {
        int64_t target_us, interval_us;
        int64_t window_end_us, window_least_us;
        bool overloaded;
};
/* Says whether a request that waited so long is to be refused. */
bool shed_decide(struct shed *shed, int64_t now_us, int64_t waited_us);

struct lane {
        const char *name;
        unsigned n_threads;
        size_t together; /* so many at least, if they are there, are one thread's: they cost little more than one */
        pthread_mutex_t lock;
        pthread_cond_t wake, stop;
        struct call_list queue; /* under the lock, as are the next four */
        struct shed shed;
        int64_t bear_until_us; /* nothing is shed before */
        unsigned sleeping;
        bool stopping;
        struct call_list turn; /* the loop's: what this turn brought */
        struct metric *wait, *depth, *shed_total, *done_total;
};

void lane_init(struct lane *lane, const char *name, struct metric_registry *metrics);
void lane_done(struct lane *lane); /* after its threads; what is still queued stays in queue */

/* The loop's thread: queues for this turn's end, and hands over what is queued so with one lock and one wake. */
void lane_push(struct lane *lane, struct rpc_call *call);
void lane_flush(struct lane *lane);
/* Any thread: hands over at once. */
void lane_hand(struct lane *lane, struct call_list *calls);

/* A lane's thread: waits until there is work, at most timeout_us (< 0: for ever), and takes up to max, of the
 * oldest. Those to be shed are marked. False: the lane stops. */
bool lane_take(struct lane *lane, size_t max, int64_t timeout_us, struct call_list *ret_calls);
/* A lane's thread: rests for so long; false, and at once, if the lane stops. */
bool lane_pause(struct lane *lane, int64_t us);
/* A lane's thread: how long a wait is normal from now on (never below 50 ms); and: sheds nothing for so long, since what
 * is waited for is not this lane's to speed up. */
void lane_set_target(struct lane *lane, int64_t target_us);
void lane_bear(struct lane *lane, int64_t us);
void lane_stop(struct lane *lane);
size_t lane_depth(const struct lane *lane);
