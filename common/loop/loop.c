/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop itself. A turn is one pass of libevent (poll once, run what is ready), then the hooks of the
 * turn's end. The base takes no locks: the only ways in from another thread are loop_post and loop_stop, an
 * atomic each and an eventfd.
 */
#include "common/loop/loop_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct posted {
        struct posted *next;
        loop_fn fn;
        void *arg;
};

struct loop {
        struct event_base *base;
        struct loop_turn *turn_first, **turn_last;
        int64_t *
            now_us; /* this turn's time, 0 until somebody asks; apart, so that asking leaves the loop const */
        bool running;
        _Atomic(bool) stopped;
        _Atomic(struct posted *) posted; /* newest first */
        struct posted *held;             /* taken from there, oldest first: the loop's thread only */
        int wake_fd;
        struct event wake;
        struct loop_unsent unsent;
};

struct loop_timer {
        struct loop *loop;
        struct event event;
        int64_t due_us;
        loop_fn fn;
        void *arg;
};

struct loop_fd {
        struct loop *loop;
        struct event ready;
        struct event again; /* a timer of zero: fires in the next turn, after what that turn's poll found */
        int fd, wanted, activated;
        loop_fd_fn fn;
        void *arg;
};

struct loop_signal {
        struct event event;
        loop_fn fn;
        void *arg;
};

/* --- work from other threads ---------------------------------------------------------------------------- */

static void loop_wake(struct loop *loop)
{
        uint64_t one = 1;
        /* Can fail only when the counter is full, and then the wake-up is there already. */
        if (write(loop->wake_fd, &one, sizeof(one)) < 0)
                return;
}

void loop_post(struct loop *loop, loop_fn fn, void *arg)
{
        struct posted *p = mem_zalloc(sizeof(*p));
        p->fn = fn;
        p->arg = arg;
        struct posted *before = atomic_load_explicit(&loop->posted, memory_order_relaxed);
        do
                p->next = before;
        while (!atomic_compare_exchange_weak_explicit(&loop->posted, &before, p, memory_order_release,
                                                      memory_order_relaxed));
        /* Whoever found the list empty wakes the loop; p itself may be gone by now. */
        if (!before)
                loop_wake(loop);
}

/* Moves what was posted behind what is held. */
static void take_posted(struct loop *loop)
{
        struct posted *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire), *oldest = NULL;
        struct posted **last = &loop->held;
        while (newest) {
                struct posted *next = newest->next;
                newest->next = oldest;
                oldest = newest;
                newest = next;
        }
        while (*last)
                last = &(*last)->next;
        *last = oldest;
}

static void drop_held(struct loop *loop, bool all, const void *arg)
{
        struct posted **at = &loop->held;
        while (*at) {
                struct posted *p = *at;
                if (!all && p->arg != arg) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                free(p);
        }
}

void loop_post_cancel(struct loop *loop, void *arg)
{
        take_posted(loop); /* the wake-up for what stays is still to come */
        drop_held(loop, false, arg);
}

/* The eventfd is watched by edges, so that it need not be read. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
        struct loop *loop = arg;
        struct posted *p;
        (void)fd;
        (void)what;
        take_posted(loop);
        while ((p = loop->held)) {
                loop->held = p->next;
                p->fn(p->arg);
                free(p);
        }
}

/* --- the loop ------------------------------------------------------------------------------------------- */

static struct event_base *base_new(void)
{
        /* libevent's few globals (signals) are still shared by the bases of all threads. */
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, (void (*)(void))evthread_use_pthreads);
        struct event_config *config = event_config_new();
        if (!config)
                abort();
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        struct event_base *base = event_base_new_with_config(config);
        event_config_free(config);
        return base;
}

struct loop *loop_new(void)
{
        struct loop *loop = mem_zalloc(sizeof(*loop));
        loop->now_us = mem_zalloc(sizeof(*loop->now_us));
        loop->turn_last = &loop->turn_first;
        TAILQ_INIT(&loop->unsent.streams);
        loop->base = base_new();
        loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (!loop->base || loop->wake_fd < 0) {
                log_error("no event loop to be had", "error=\"%s\"", strerror(errno));
                abort();
        }
        event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake, loop);
        event_add(&loop->wake, NULL);
        return loop;
}

struct loop *loop_free(struct loop *loop)
{
        if (!loop)
                return NULL;
        take_posted(loop);
        drop_held(loop, true, NULL);
        event_del(&loop->wake);
        event_base_free(loop->base);
        close(loop->wake_fd);
        free(loop->now_us);
        free(loop);
        return NULL;
}

struct event_base *loop_base(struct loop *loop)
{
        return loop->base;
}

struct loop_unsent *loop_unsent(struct loop *loop)
{
        return &loop->unsent;
}

static void run_turn_end(struct loop *loop)
{
        struct loop_turn *hook;
        while ((hook = loop->turn_first)) {
                loop_turn_cancel(loop, hook);
                hook->fn(hook->arg);
        }
}

void loop_run(struct loop *loop)
{
        loop->running = true;
        run_turn_end(loop); /* what was prepared before the first turn */
        while (!atomic_load_explicit(&loop->stopped, memory_order_acquire)) {
                *loop->now_us = 0;
                if (event_base_loop(loop->base, EVLOOP_ONCE) < 0) {
                        log_error("the event loop failed", "error=\"%s\"", strerror(errno));
                        abort();
                }
                run_turn_end(loop);
        }
        atomic_store(&loop->stopped, false);
        loop->running = false;
}

void loop_stop(struct loop *loop)
{
        atomic_store_explicit(&loop->stopped, true, memory_order_release);
        loop_wake(loop);
}

int64_t loop_now_us(const struct loop *loop)
{
        if (!loop->running)
                return clock_monotonic_us();
        if (*loop->now_us == 0)
                *loop->now_us = clock_monotonic_us();
        return *loop->now_us;
}

void loop_at_turn_end(struct loop *loop, struct loop_turn *hook)
{
        if (hook->queued_)
                return;
        hook->queued_ = true;
        hook->next_ = NULL;
        *loop->turn_last = hook;
        loop->turn_last = &hook->next_;
}

void loop_turn_cancel(struct loop *loop, struct loop_turn *hook)
{
        if (!hook->queued_)
                return;
        struct loop_turn **at = &loop->turn_first;
        while (*at != hook)
                at = &(*at)->next_;
        *at = hook->next_;
        if (!*at)
                loop->turn_last = at;
        hook->queued_ = false;
}

/* --- timers --------------------------------------------------------------------------------------------- */

static void timer_arm(struct loop_timer *timer, int64_t after_us)
{
        struct timeval after = {.tv_sec = after_us / CLOCK_SECOND_US, .tv_usec = after_us % CLOCK_SECOND_US};
        event_add(&timer->event, &after);
}

/* libevent keeps time by the kernel's coarse clock, some milliseconds behind: a timer that it fires early
 * waits on, so that what is due is due by loop_now_us too. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
        struct loop_timer *timer = arg;
        (void)fd;
        (void)what;
        int64_t left_us = timer->due_us - loop_now_us(timer->loop);
        if (left_us > 0)
                timer_arm(timer, left_us);
        else
                timer->fn(timer->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
        struct loop_timer *timer = mem_zalloc(sizeof(*timer));
        timer->loop = loop;
        timer->fn = fn;
        timer->arg = arg;
        event_assign(&timer->event, loop->base, -1, 0, on_timer, timer);
        return timer;
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
        if (timer)
                event_del(&timer->event);
        free(timer);
        return NULL;
}

void loop_timer_set(struct loop_timer *timer, int64_t after_us)
{
        after_us = after_us < 0 ? 0 : after_us;
        timer->due_us = loop_now_us(timer->loop) + after_us;
        timer_arm(timer, after_us);
}

void loop_timer_clear(struct loop_timer *timer)
{
        event_del(&timer->event);
}

/* --- descriptors ---------------------------------------------------------------------------------------- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
        struct loop_fd *watch = arg;
        (void)fd;
        watch->fn(watch->arg, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
        struct loop_fd *watch = arg;
        (void)fd;
        (void)what;
        int events = watch->activated;
        watch->activated = 0;
        watch->fn(watch->arg, events);
}

struct loop_fd *loop_fd_new(struct loop *loop, int fd, loop_fd_fn fn, void *arg)
{
        struct loop_fd *watch = mem_zalloc(sizeof(*watch));
        watch->loop = loop;
        watch->fd = fd;
        watch->fn = fn;
        watch->arg = arg;
        event_assign(&watch->ready, loop->base, fd, 0, on_ready, watch);
        event_assign(&watch->again, loop->base, -1, 0, on_again, watch);
        return watch;
}

struct loop_fd *loop_fd_free(struct loop_fd *watch)
{
        if (watch) {
                event_del(&watch->ready);
                event_del(&watch->again);
        }
        free(watch);
        return NULL;
}

void loop_fd_want(struct loop_fd *watch, int events)
{
        if (events == watch->wanted)
                return;
        watch->wanted = events;
        event_del(&watch->ready);
        short what = (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
        event_assign(&watch->ready, watch->loop->base, watch->fd, what | EV_PERSIST, on_ready, watch);
        if (events)
                event_add(&watch->ready, NULL);
}

void loop_fd_activate(struct loop_fd *watch, int events)
{
        static const struct timeval now = {0};
        if (!watch->activated)
                event_add(&watch->again, &now);
        watch->activated |= events;
}

/* --- signals -------------------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
        struct loop_signal *watch = arg;
        (void)fd;
        (void)what;
        watch->fn(watch->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signal_number, loop_fn fn, void *arg)
{
        struct loop_signal *watch = mem_zalloc(sizeof(*watch));
        watch->fn = fn;
        watch->arg = arg;
        event_assign(&watch->event, loop->base, signal_number, EV_SIGNAL | EV_PERSIST, on_signal, watch);
        event_add(&watch->event, NULL);
        return watch;
}

struct loop_signal *loop_signal_free(struct loop_signal *watch)
{
        if (watch)
                event_del(&watch->event);
        free(watch);
        return NULL;
}
