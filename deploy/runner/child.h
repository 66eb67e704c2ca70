/* SPDX-License-Identifier: Apache-2.0
 *
 * One process under the runner: started, watched, started again if it dies, stopped.
 */
#pragma once

#include "common/loop/loop.h"

#include <sys/types.h>

enum child_state {
        CHILD_DOWN,     /* not running; starts again after a pause unless the stack is ending */
        CHILD_STARTING, /* runs, has not said READY=1 */
        CHILD_READY,
        CHILD_STOPPING, /* was told to end */
};

struct child;
struct child_options {
        struct loop *loop;
        const char *name;         /* "membership-1": log file and notices */
        const char *const *argv;  /* NULL-terminated; kept by pointer */
        const char *log_folder;
        const char *notify_socket; /* $NOTIFY_SOCKET of the child */
        int listen_fd;            /* lent to it as sd_listen_fds(3) says; -1: none */
        int64_t watchdog_us;      /* killed when it has not said WATCHDOG=1 for so long; 0: never */
        /* After each change of state. */
        void (*on_change)(void *arg, struct child *child);
        void *arg;
};
struct child *child_new(const struct child_options *options);
struct child *child_free(struct child *child); /* of a dead one; takes NULL */

int child_start(struct child *child) MUST_USE;
#define CHILD_STOP_LONGEST_US (25 * 1000 * 1000ll) /* a drain takes 20 s at most */
/* No restart from here on; killed if it still runs after CHILD_STOP_LONGEST_US. */
void child_stop(struct child *child, int signal_number);
void child_retire(struct child *child); /* if it dies, it stays down */
void child_notified(struct child *child, struct str message); /* its datagram */

/* A log beyond 16 MiB becomes NAME.log.1 in place of the last one, and begins anew; call it now and then. What the
 * process writes in that very moment may be lost. */
void child_bound_log(struct child *child);

/* A descriptor that becomes readable when the process ends (close-on-exec), or -errno. */
int child_pidfd(pid_t pid) MUST_USE;

const char *child_name(const struct child *child);
pid_t child_pid(const struct child *child); /* 0: not running */
enum child_state child_state(const struct child *child);
bool child_is_ending(const struct child *child); /* it was stopped or retired */
int child_failures(const struct child *child); /* ended in a row without having been ready */
const char *child_end(const struct child *child); /* how it ended the last time: "signal=9", "status=1" */
/* The last line of its log that says why, for a person; until the next call. */
const char *child_last_words(struct child *child);
