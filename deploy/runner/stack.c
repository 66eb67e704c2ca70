/* SPDX-License-Identifier: Apache-2.0
 *
 * The stack's life: checks before the start, the wait for ready, seeding, changes of number, the orderly end.
 */
#include "deploy/runner/stack.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "deploy/runner/control.h"
#include "deploy/runner/prepare.h"
#include "deploy/runner/stack_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGS_EVERY_US   (10 * CLOCK_SECOND_US)
#define SLOW_START_US   (10 * CLOCK_SECOND_US)
#define EDGE_ABOVE      1000 /* its port above that of HTTP */

/* Whose stores are what the credentials belong to; of the stream's, see the seed. */
static const char *const services[] = {"membership", "activity"};

/* --- notices from the children ---------------------------------------------------------------------------------------- */

static void on_notice(void *arg, int events)
{
        struct stack *s = arg;
        char text[512];
        union {
                struct cmsghdr aligned;
                char bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        (void)events;

        for (;;) {
                struct iovec iov = {text, sizeof(text)};
                struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
                ssize_t n = recvmsg(s->notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                if (n < 0)
                        return;
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
                        continue;
                struct ucred from;
                memcpy(&from, CMSG_DATA(c), sizeof(from));
                for STACK_EACH(p, s)
                        if (child_pid(p->child) == from.pid)
                                child_notified(p->child, str_bytes(text, (size_t)n));
        }
}

static int open_notify(struct stack *s)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int on = 1;

        s->notify = arena_printf(s->arena, "%s/notify.sock", s->var);
        unlink(s->notify);
        s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->notify);
        if (s->notify_fd < 0 || bind(s->notify_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            setsockopt(s->notify_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
                return -errno;
        s->notify_watch = loop_fd_new(s->loop, s->notify_fd, on_notice, s);
        loop_fd_want(s->notify_watch, LOOP_READ);
        return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

/* Tells those of the lowest rank that still run; each death comes back here by part_changed. */
static void stop_next_rank(struct stack *s)
{
        for (int rank = 0; rank < N_RANKS; rank++) {
                bool any = false;
                for STACK_EACH(p, s) {
                        if ((int)p->rank != rank || !child_pid(p->child))
                                continue;
                        any = true;
                        if (child_state(p->child) != CHILD_STOPPING)
                                child_stop(p->child, SIGTERM);
                }
                if (any)
                        return;
        }
        loop_stop(s->loop);
}

static void stop_hard(void *arg)
{
        struct stack *s = arg;
        for STACK_EACH(p, s)
                if (child_pid(p->child)) {
                        SAY("%s has not stopped yet: ending it", child_name(p->child));
                        child_stop(p->child, SIGKILL);
                }
}

/* By Ctrl-C, SIGTERM or a failure. Asked a second time, it does not wait any more. */
static void begin_stop(void *arg)
{
        struct stack *s = arg;
        if (s->state == STACK_STOPPING) {
                stop_hard(s);
                return;
        }
        s->state = STACK_STOPPING;
        if (s->seed_pid)
                kill(s->seed_pid, SIGTERM);
        loop_timer_set(s->stop_timer, CHILD_STOP_LONGEST_US);
        loop_timer_clear(s->slow_timer);
        for STACK_EACH(p, s)
                child_retire(p->child);
        stop_next_rank(s);
}

static void fail_stack(struct stack *s, int r)
{
        s->result = r;
        begin_stop(s);
}

static void print_ready(struct stack *s)
{
        fflush(stdout);
        printf("ready http://%s\n", s->o->http);
        fflush(stdout);
        s->state = STACK_RUNNING;
        loop_timer_clear(s->slow_timer);
}

static void on_seeded(void *arg, int events)
{
        struct stack *s = arg;
        int status = 0;
        (void)events;
        if (waitpid(s->seed_pid, &status, WNOHANG) != s->seed_pid)
                return;
        s->seed_pid = 0;
        s->seed_watch = loop_fd_free(s->seed_watch);
        close(s->seed_pidfd);
        if (s->state == STACK_STOPPING)
                return;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                SAY("the start is not complete; mend that and start again: it goes on where it was (logs: %s/log)", s->var);
                fail_stack(s, -EIO);
                return;
        }
        print_ready(s);
}

/* The seed makes what a first run needs and prints what a person needs; later runs only print. */
static void seed(struct stack *s)
{
        s->state = STACK_SEEDING;
        if (s->o->no_seed) {
                print_ready(s);
                return;
        }
        const char *program = arena_printf(s->arena, "%s/nuanxin-seed", s->bin);
        fflush(stdout);
        s->seed_pid = fork();
        if (s->seed_pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                setpgid(0, 0);
                bool streams = s->wanted[STACK_STREAM] && s->wanted[STACK_EDGE];
                const char *arguments[] = {program, "--var", s->var, "--data", s->o->data, "--http", s->o->http, NULL, NULL, NULL, NULL, NULL, NULL};
                size_t n = 7;
                if (s->wanted[STACK_CARE]) {
                        arguments[n++] = "--care";
                        arguments[n++] = s->o->care;
                        if (s->o->samples)
                                arguments[n++] = "--samples";
                }
                if (streams) {
                        arguments[n++] = "--edge";
                        arguments[n++] = s->edge;
                }
                execv(program, (char *const *)arguments);
                SAY("can't run %s: %s", program, strerror(errno));
                _exit(127);
        }
        s->seed_pidfd = s->seed_pid < 0 ? -errno : child_pidfd(s->seed_pid);
        if (s->seed_pidfd < 0) {
                SAY("can't start %s: %s", program, strerror(-s->seed_pidfd));
                fail_stack(s, s->seed_pidfd);
                return;
        }
        s->seed_watch = loop_fd_new(s->loop, s->seed_pidfd, on_seeded, s);
        loop_fd_want(s->seed_watch, LOOP_READ);
}

/* Not from within the child's own call. */
static void replace_parts(void *arg)
{
        struct stack *s = arg;
        parts_reap(s);
        if (s->state == STACK_RUNNING && parts_adjust(s) < 0)
                log_error("an instance was not started", NULL);
        control_look(s->control);
}

void stack_part_changed(void *arg, struct child *child)
{
        struct stack *s = arg;
        bool down = child_state(child) == CHILD_DOWN;

        if (s->state == STACK_STOPPING) {
                if (down)
                        stop_next_rank(s);
                return;
        }
        if (down && s->state == STACK_STARTING && child_failures(child) < GIVE_UP_AFTER)
                return;
        if (down && s->state == STACK_STARTING) {
                SAY("%s does not start: %s (log: %s/log/%s.log)", child_name(child), child_last_words(child), s->var, child_name(child));
                fail_stack(s, -EIO);
                return;
        }
        if (down && child_is_ending(child))
                loop_post(s->loop, replace_parts, s);
        else if (down)
                log_warn("a process ended; it starts again", "name=%s %s log=%s/log/%s.log", child_name(child), child_end(child),
                         s->var, child_name(child));
        if (s->state == STACK_STARTING && parts_settled(s))
                seed(s);
        control_look(s->control);
}

/* A database that is not there is waited for: say so. */
static void on_slow_start(void *arg)
{
        struct stack *s = arg;
        for STACK_EACH(p, s)
                if (child_state(p->child) != CHILD_READY)
                        SAY("%s is not ready yet: %s (log: %s/log/%s.log)", child_name(p->child), child_last_words(p->child), s->var,
                            child_name(p->child));
        loop_timer_set(s->slow_timer, SLOW_START_US);
}

static int find_programs(struct stack *s)
{
        ssize_t n = readlink("/proc/self/exe", s->bin, sizeof(s->bin) - 1);
        if (n < 0)
                return -errno;
        s->bin[n] = '\0';
        *strrchr(s->bin, '/') = '\0';
        return 0;
}

static int start_all(struct stack *s)
{
        int r;
        s->redis_socket = arena_printf(s->arena, "%s/redis.sock", s->var);
        s->bus = arena_printf(s->arena, "%s/bus", s->var);
        s->edge_folder = arena_printf(s->arena, "%s/edge", s->var);
        if ((r = open_notify(s)) < 0)
                return r;
        s->redis = s->o->redis ? s->o->redis : arena_printf(s->arena, "unix:%s", s->redis_socket);
        if (!s->o->redis) {
                parts_add_redis(s);
                if ((r = child_start(s->parts[0].child)) < 0) {
                        SAY("can't start redis: %s", strerror(-r));
                        return r;
                }
        }
        if ((r = control_new(s, &s->control)) < 0)
                return r;
        loop_timer_set(s->slow_timer, SLOW_START_US);
        return parts_adjust(s);
}

static int read_options(struct stack *s)
{
        int n = 1;
        for (int i = 0; i < N_SCALED; i++)
                s->wanted[i] = 1;
        for (size_t i = 0; i < s->o->instances.n; i++) {
                int scaled = parts_read(str_of(s->o->instances.items[i]), &n);
                if (scaled < 0) {
                        SAY("--instances %s: " SCALED_WORDS ", with N from 1 to %d; none only of care, stream and edge",
                            s->o->instances.items[i], MAX_INSTANCES);
                        return -EINVAL;
                }
                s->wanted[scaled] = n;
        }
        if (s->o->store && !strstr(s->o->store, "SERVICE")) {
                SAY("STORE: each service has a database of its own; say SERVICE where its name goes: postgresql:///nuanxin_SERVICE");
                return -EINVAL;
        }
        return 0;
}

/* Without a word about it: two stacks that have different ports for HTTP have two for this, too. */
static int find_edge(struct stack *s)
{
        const char *colon = strrchr(s->o->http, ':');
        int64_t port;
        s->edge = s->o->edge;
        if (s->edge)
                return 0;
        if (str_to_i64(str_of(colon + 1), 1, 65535, &port) < 0)
                return -EINVAL;
        s->edge = arena_printf(s->arena, "%.*s:%d", (int)(colon - s->o->http), s->o->http,
                               (int)(port + EDGE_ABOVE > 65535 ? port - EDGE_ABOVE : port + EDGE_ABOVE));
        return 0;
}

static int prepare(struct stack *s)
{
        int r = read_options(s);
        if (r == 0)
                r = prepare_folder(s->o->var, s->var);
        if (r == 0)
                r = prepare_lock(s->var, s->o->http, &s->lock_fd);
        if (r == 0)
                r = prepare_port("HTTP", s->o->http, &s->http_fd);
        if (r == 0)
                r = find_edge(s);
        if (r == 0)
                r = prepare_port("EDGE", s->edge, &s->edge_fd);
        s->keys = arena_printf(s->arena, "%s/keys", s->var);
        if (r == 0)
                r = prepare_keys(s->var, s->o->store);
        if (r == 0 && !s->o->no_seed && !s->o->store)
                r = prepare_credentials(s->var, services, ARRAY_LEN(services));
        return r;
}

static void bound_logs(void *arg)
{
        struct stack *s = arg;
        for STACK_EACH(p, s)
                child_bound_log(p->child);
        loop_timer_set(s->log_timer, LOGS_EVERY_US);
}

int stack_run(const struct stack_options *options)
{
        struct stack s = {.o = options, .notify_fd = -1, .lock_fd = -1, .http_fd = -1, .edge_fd = -1,
                          .arena = arena_new(16384), .loop = loop_new()};

        s.stop_timer = loop_timer_new(s.loop, stop_hard, &s);
        s.signals[0] = loop_signal_new(s.loop, SIGINT, begin_stop, &s);
        s.signals[1] = loop_signal_new(s.loop, SIGTERM, begin_stop, &s);
        s.signals[2] = loop_signal_new(s.loop, SIGHUP, begin_stop, &s); /* its terminal was closed */
        s.slow_timer = loop_timer_new(s.loop, on_slow_start, &s);
        s.log_timer = loop_timer_new(s.loop, bound_logs, &s);
        loop_timer_set(s.log_timer, LOGS_EVERY_US);
        s.result = find_programs(&s);
        if (s.result == 0)
                s.result = prepare(&s);
        if (s.result == 0) {
                s.result = start_all(&s);
                if (s.result < 0)
                        begin_stop(&s);
                loop_run(s.loop);
                if (s.result == 0)
                        SAY("stopped; the data stay in %s", s.var);
        }
        control_free(s.control);
        loop_post_cancel(s.loop, &s);
        for STACK_EACH(p, &s) {
                child_free(p->child);
                arena_free(p->arena);
        }
        loop_fd_free(s.notify_watch);
        loop_timer_free(s.slow_timer);
        loop_timer_free(s.stop_timer);
        loop_timer_free(s.log_timer);
        for (size_t i = 0; i < ARRAY_LEN(s.signals); i++)
                loop_signal_free(s.signals[i]);
        if (s.notify_fd >= 0) {
                close(s.notify_fd);
                unlink(s.notify);
        }
        arena_free(s.arena);
        loop_free(s.loop);
        return s.result;
}
