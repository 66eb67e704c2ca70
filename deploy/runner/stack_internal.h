/* SPDX-License-Identifier: Apache-2.0
 *
 * What the runner's files share: the stack, its parts (one process each), and how many of each are wanted.
 */
#pragma once

#include "common/base/arena.h"
#include "common/loop/loop.h"
#include "deploy/runner/child.h"
#include "deploy/runner/stack.h"

#include <limits.h>

#define MAX_PARTS     64
#define MAX_ARGS      48
#define MAX_INSTANCES 8 /* of one name */
#define GIVE_UP_AFTER 3 /* starts in a row that ended without being ready */

#define SAY(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

enum stack_state { STACK_STARTING, STACK_SEEDING, STACK_RUNNING, STACK_STOPPING };
/* The order of stopping: those that take requests first, what they stand on last. */
enum rank { RANK_DOOR, RANK_SERVICE, RANK_REDIS, N_RANKS };
/* What there may be several of: the services, each before those that follow it, then the doors. */
enum { STACK_MEMBERSHIP, STACK_ACTIVITY, STACK_CARE, STACK_STREAM, STACK_GATEWAY, STACK_EDGE, N_SCALED };

struct part {
        struct child *child; /* NULL: the place is free */
        struct arena *arena; /* of its command line */
        enum rank rank;
        int scaled, number; /* "membership-2": STACK_MEMBERSHIP, 2; of Redis: -1 */
        bool leaving;       /* there are fewer wanted: told to end */
        const char *argv[MAX_ARGS];
        size_t n_args;
};

struct control;

struct stack {
        const struct stack_options *o;
        enum stack_state state;
        struct loop *loop;
        struct arena *arena;
        struct part parts[MAX_PARTS];
        int wanted[N_SCALED];
        char var[PATH_MAX], bin[PATH_MAX];
        const char *redis, *redis_socket, *bus, *keys, *notify;
        const char *edge, *edge_folder; /* "127.0.0.1:9080"; its key, and the stream's sockets for it */
        int notify_fd, lock_fd, http_fd, edge_fd;
        struct loop_fd *notify_watch, *seed_watch;
        struct loop_signal *signals[3];
        struct loop_timer *stop_timer, *log_timer, *slow_timer;
        struct control *control;
        pid_t seed_pid;
        int seed_pidfd;
        int result;
};

/* --- parts.c ----------------------------------------------------------------------------------------------------- */

extern const char *const scaled_names[N_SCALED];
#define SCALED_WORDS "give membership=N, activity=N, care=N, stream=N, gateway=N or edge=N"

/* Nobody else needs them: there may be none. */
static inline int least_of(int scaled)
{
        return scaled == STACK_CARE || scaled == STACK_STREAM || scaled == STACK_EDGE ? 0 : 1;
}

/* "membership=3" (whole item): its index, with least_of to MAX_INSTANCES; -1: no such name; -2: no such number. */
int parts_read(struct str item, int *ret_n);
void parts_add_redis(struct stack *stack);
/* Starts what is missing of what is wanted, tells the rest to end; call it again when a part has gone. */
int parts_adjust(struct stack *stack) MUST_USE;
void parts_reap(struct stack *stack); /* frees those that have left */
/* All that are wanted are ready, and nobody else is there? */
bool parts_settled(const struct stack *stack);
int parts_ready(const struct stack *stack, int scaled);
/* --- stack.c ----------------------------------------------------------------------------------------------------- */

void stack_part_changed(void *arg, struct child *child);

static inline struct part *stack_next(struct stack *stack, struct part *after)
{
        for (struct part *p = after ? after + 1 : stack->parts; p < stack->parts + MAX_PARTS; p++)
                if (p->child)
                        return p;
        return NULL;
}
#define STACK_EACH(p, stack) (struct part *p = stack_next(stack, NULL); p; p = stack_next(stack, p))
