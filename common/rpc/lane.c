/* SPDX-License-Identifier: Apache-2.0
 *
 * The queues between the loop and the lanes' threads.
 */
#include "common/rpc/lane.h"

#include "common/base/clock.h"

#include <time.h>

#define TARGET_LEAST_US 50000 /* of the write lane */

static const struct metric_family wait_family = {
        "nuanxin_lane_wait_seconds", "Time a request waited in its lane's queue.", METRIC_HISTOGRAM};
static const struct metric_family depth_family = {
        "nuanxin_lane_depth", "Requests waiting in the lane's queue.", METRIC_GAUGE};
static const struct metric_family shed_family = {
        "nuanxin_lane_shed_total", "Requests refused since the lane's queue was full or too slow.", METRIC_COUNTER};
static const struct metric_family done_family = {
        "nuanxin_lane_taken_total", "Requests that a thread of the lane has taken.", METRIC_COUNTER};

/* --- lists ------------------------------------------------------------------------------------------------------ */

void call_list_add(struct call_list *list, struct rpc_call *call)
{
        call->next = NULL;
        if (list->last)
                list->last->next = call;
        else
                list->first = call;
        list->last = call;
        list->n++;
}

void call_list_join(struct call_list *list, struct call_list *more)
{
        if (!more->first)
                return;
        if (list->last)
                list->last->next = more->first;
        else
                list->first = more->first;
        list->last = more->last;
        list->n += more->n;
        *more = (struct call_list){0};
}

struct rpc_call *call_list_take(struct call_list *list)
{
        struct rpc_call *call = list->first;
        if (!call)
                return NULL;
        list->first = call->next;
        if (!list->first)
                list->last = NULL;
        list->n--;
        call->next = NULL;
        return call;
}

/* --- shedding --------------------------------------------------------------------------------------------------- */

bool shed_decide(struct shed *shed, int64_t now_us, int64_t waited_us)
{
        if (now_us >= shed->window_end_us) {
                /* A window that nothing fell into says that the queue was empty. */
                bool fresh = now_us < shed->window_end_us + shed->interval_us;
                shed->overloaded = fresh && shed->window_least_us > shed->target_us;
                shed->window_end_us = now_us + shed->interval_us;
                shed->window_least_us = waited_us;
        } else if (waited_us < shed->window_least_us) {
                shed->window_least_us = waited_us;
        }
        if (shed->overloaded && waited_us <= shed->target_us)
                shed->overloaded = false;
        return shed->overloaded && waited_us > 2 * shed->target_us;
}

/* --- the lane --------------------------------------------------------------------------------------------------- */

void lane_init(struct lane *lane, const char *name, struct metric_registry *metrics)
{
        lane->name = name;
        pthread_mutex_init(&lane->lock, NULL);
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&lane->wake, &attributes);
        pthread_cond_init(&lane->stop, &attributes);
        pthread_condattr_destroy(&attributes);
        lane->wait = metric_new(metrics, &wait_family, "lane=\"%s\"", name);
        lane->depth = metric_new(metrics, &depth_family, "lane=\"%s\"", name);
        lane->shed_total = metric_new(metrics, &shed_family, "lane=\"%s\"", name);
        lane->done_total = metric_new(metrics, &done_family, "lane=\"%s\"", name);
}

void lane_done(struct lane *lane)
{
        call_list_join(&lane->queue, &lane->turn);
        pthread_cond_destroy(&lane->wake);
        pthread_cond_destroy(&lane->stop);
        pthread_mutex_destroy(&lane->lock);
}

size_t lane_depth(const struct lane *lane)
{
        int64_t depth = metric_get(lane->depth);
        return depth > 0 ? (size_t)depth : 0;
}

void lane_push(struct lane *lane, struct rpc_call *call)
{
        metric_add(lane->depth, 1); /* at once: whether the queue is full is asked within the turn */
        call_list_add(&lane->turn, call);
}

static void hand_over(struct lane *lane, struct call_list *calls)
{
        int64_t now = clock_monotonic_us();
        for (struct rpc_call *call = calls->first; call; call = call->next)
                call->queued_us = now;
        pthread_mutex_lock(&lane->lock);
        size_t n = calls->n;
        call_list_join(&lane->queue, calls);
        if (n > 1 && lane->sleeping > 1)
                pthread_cond_broadcast(&lane->wake);
        else if (lane->sleeping)
                pthread_cond_signal(&lane->wake);
        pthread_mutex_unlock(&lane->lock);
}

void lane_flush(struct lane *lane)
{
        if (lane->turn.first)
                hand_over(lane, &lane->turn);
}

void lane_hand(struct lane *lane, struct call_list *calls)
{
        metric_add(lane->depth, (int64_t)calls->n);
        hand_over(lane, calls);
}

static struct timespec monotonic_after(int64_t us)
{
        int64_t at = clock_monotonic_us() + us;
        return (struct timespec){.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
}

/* Under the lock. */
static void wait_for_work(struct lane *lane, int64_t timeout_us)
{
        struct timespec until = monotonic_after(timeout_us < 0 ? 0 : timeout_us);
        while (!lane->queue.first && !lane->stopping) {
                lane->sleeping++;
                int r = timeout_us < 0 ? pthread_cond_wait(&lane->wake, &lane->lock)
                                       : pthread_cond_timedwait(&lane->wake, &lane->lock, &until);
                lane->sleeping--;
                if (r == ETIMEDOUT)
                        break;
        }
}

/* crowded: more waited than there are threads. A few that waited long met a busy machine, not a standing queue. */
static void note_taken(struct lane *lane, struct rpc_call *call, int64_t now, bool crowded)
{
        int64_t waited = now > call->queued_us ? now - call->queued_us : 0;
        bool late = shed_decide(&lane->shed, now, waited) && now >= lane->bear_until_us;
        /* Our own work and our peers' is not what overloads, and others depend on it. */
        call->shed = late && crowded && call->served && !call->served->peers_only;
        call->queue_us += (uint32_t)waited;
        metric_observe(lane->wait, waited);
        if (call->shed)
                metric_add(lane->shed_total, 1);
}

bool lane_take(struct lane *lane, size_t max, int64_t timeout_us, struct call_list *ret_calls)
{
        struct call_list taken = {0};
        pthread_mutex_lock(&lane->lock);
        if (!lane->queue.first)
                wait_for_work(lane, timeout_us);
        size_t share = (lane->queue.n + lane->n_threads - 1) / lane->n_threads;
        if (share < lane->together)
                share = lane->queue.n < lane->together ? lane->queue.n : lane->together;
        if (share > max)
                share = max;
        int64_t now = lane->queue.first ? clock_monotonic_us() : 0;
        bool crowded = lane->queue.n > lane->n_threads;
        while (taken.n < share) {
                struct rpc_call *call = call_list_take(&lane->queue);
                note_taken(lane, call, now, crowded);
                call_list_add(&taken, call);
        }
        bool go_on = !lane->stopping;
        pthread_mutex_unlock(&lane->lock);
        metric_add(lane->depth, -(int64_t)taken.n);
        metric_add(lane->done_total, (int64_t)taken.n);
        *ret_calls = taken;
        return go_on;
}

bool lane_pause(struct lane *lane, int64_t us)
{
        struct timespec until = monotonic_after(us);
        pthread_mutex_lock(&lane->lock);
        while (!lane->stopping && pthread_cond_timedwait(&lane->stop, &lane->lock, &until) != ETIMEDOUT)
                ;
        bool go_on = !lane->stopping;
        pthread_mutex_unlock(&lane->lock);
        return go_on;
}

void lane_set_target(struct lane *lane, int64_t target_us)
{
        pthread_mutex_lock(&lane->lock);
        lane->shed.target_us = target_us > TARGET_LEAST_US ? target_us : TARGET_LEAST_US;
        pthread_mutex_unlock(&lane->lock);
}

void lane_bear(struct lane *lane, int64_t us)
{
        pthread_mutex_lock(&lane->lock);
        lane->bear_until_us = clock_monotonic_us() + us;
        pthread_mutex_unlock(&lane->lock);
}

void lane_stop(struct lane *lane)
{
        pthread_mutex_lock(&lane->lock);
        lane->stopping = true;
        pthread_cond_broadcast(&lane->wake);
        pthread_cond_broadcast(&lane->stop);
        pthread_mutex_unlock(&lane->lock);
}
