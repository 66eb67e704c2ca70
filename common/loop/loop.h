/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread's event loop (libevent): timers, descriptors, signals, work posted from other threads, and work
 * at the end of a turn, where what one turn produced leaves together. All callbacks run on the loop's thread.
 */
#pragma once

#include "common/base/str.h"

struct loop;
struct loop_timer;
struct loop_fd;

typedef void (*loop_fn)(void *arg);

struct loop *loop_new(void);
struct loop *loop_free(struct loop *loop); /* after everything that lives on it; takes NULL */
DEFINE_CLEANUP(struct loop *, loop_free)

void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop); /* from any thread; the current turn is finished */
int64_t loop_now_us(const struct loop *loop); /* monotonic, read once a turn */

/* From any thread: fn(arg) runs on the loop's thread soon, in order of posting. Wakes the loop at most
 * once for what is posted meanwhile. */
void loop_post(struct loop *loop, loop_fn fn, void *arg);
/* On the loop's thread: what was posted with this arg will not run. For its owner's end. */
void loop_post_cancel(struct loop *loop, void *arg);

/* Runs once, after all that this turn had to do; adding the same hook twice in a turn is once. Embed it. */
struct loop_turn {
        loop_fn fn;
        void *arg;
        struct loop_turn *next_;
        bool queued_;
};
void loop_at_turn_end(struct loop *loop, struct loop_turn *hook);
void loop_turn_cancel(struct loop *loop, struct loop_turn *hook); /* before its owner goes */

/* One-shot; set again from the callback to repeat. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg);
struct loop_timer *loop_timer_free(struct loop_timer *timer);
DEFINE_CLEANUP(struct loop_timer *, loop_timer_free)
void loop_timer_set(struct loop_timer *timer, int64_t after_us); /* replaces what was set */
void loop_timer_clear(struct loop_timer *timer);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void (*loop_fd_fn)(void *arg, int events);
struct loop_fd *loop_fd_new(struct loop *loop, int fd, loop_fd_fn fn, void *arg); /* fd stays the caller's */
struct loop_fd *loop_fd_free(struct loop_fd *watch);
void loop_fd_want(struct loop_fd *watch, int events); /* level-triggered; 0 for none */
void loop_fd_activate(struct loop_fd *watch, int events); /* as if it were ready, in the next turn */

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *loop, int signal_number, loop_fn fn, void *arg);
struct loop_signal *loop_signal_free(struct loop_signal *watch);

/* --- the small admin port: evhttp, on loopback if not told otherwise, for /metrics, /livez, /readyz ---------------------------- */

struct loop_admin;
struct loop_admin_page {
        const char *path; /* "/metrics"; a table ends with NULL */
        const char *content_type;
        /* Appends the body and returns the status. */
        int (*serve)(void *arg, struct buf *body);
};
/* address: "127.0.0.1:0"; anything off loopback is -EACCES unless open. ret_port: the port taken. */
int loop_admin_new(struct loop *loop, const char *address, bool open, const struct loop_admin_page *pages, void *arg,
                   struct loop_admin **ret_admin, int *ret_port) MUST_USE;
struct loop_admin *loop_admin_free(struct loop_admin *admin);
