/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders, checks before the start, the children's command lines, the wait for ready, seeding, the orderly end.
 */
#include "deploy/runner/stack.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/loop/loop.h"
#include "deploy/runner/child.h"
#include "deploy/runner/prepare.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_CHILDREN    32
#define MAX_ARGS        48
#define MAX_INSTANCES   8 /* of a service */
#define WATCHDOG_US     (10 * CLOCK_SECOND_US)
#define LOGS_EVERY_US   (10 * CLOCK_SECOND_US)
#define STOP_LONGEST_US (25 * CLOCK_SECOND_US)
#define GIVE_UP_AFTER   3 /* starts that ended without being ready, during the first start */

enum stack_state { STACK_STARTING, STACK_SEEDING, STACK_RUNNING, STACK_STOPPING };
/* The order of stopping: those that take requests first, what they stand on last. */
enum rank { RANK_GATEWAY, RANK_SERVICE, RANK_REDIS, N_RANKS };

struct part {
        struct child *child;
        enum rank rank;
        const char *argv[MAX_ARGS];
        size_t n_args;
};

struct stack {
        const struct stack_options *o;
        enum stack_state state;
        struct loop *loop;
        struct arena *arena;
        struct part parts[MAX_CHILDREN];
        size_t n_parts;
        char var[PATH_MAX], bin[PATH_MAX];
        const char *redis, *redis_socket, *bus, *keys, *notify;
        int notify_fd, lock_fd;
        struct loop_fd *notify_watch, *seed_watch;
        struct loop_signal *signals[3];
        struct loop_timer *stop_timer, *log_timer;
        pid_t seed_pid;
        int seed_pidfd;
        int result;
};

#define SAY(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

/* --- the children ------------------------------------------------------------------------------------------------ */

static void arg(struct part *p, const char *text)
{
        if (p->n_args + 1 < MAX_ARGS)
                p->argv[p->n_args++] = text;
}

static void part_changed(void *arg, struct child *child);

static struct part *add_part(struct stack *s, enum rank rank, const char *name, const char *program, bool watchdog)
{
        struct part *p = &s->parts[s->n_parts++];
        p->rank = rank;
        arg(p, program);
        p->child = child_new(&(struct child_options){
                .loop = s->loop, .name = name, .argv = p->argv, .log_folder = arena_printf(s->arena, "%s/log", s->var),
                .notify_socket = s->notify, .watchdog_us = watchdog ? WATCHDOG_US : 0, .on_change = part_changed, .arg = s});
        return p;
}

static void add_redis(struct stack *s)
{
        struct part *p = add_part(s, RANK_REDIS, "redis", "redis-server", false);
        const char *const args[] = {"--port", "0", "--unixsocket", s->redis_socket, "--unixsocketperm", "700", "--dir",
                                    arena_printf(s->arena, "%s/redis", s->var), "--appendonly", "yes", "--appendfsync",
                                    "everysec", "--save", "", "--supervised", "systemd", "--daemonize", "no",
                                    "--maxmemory-policy", "noeviction"};
        for (size_t i = 0; i < ARRAY_LEN(args); i++)
                arg(p, args[i]);
}

static void add_common(struct stack *s, struct part *p, const char *instance)
{
        const char *const args[] = {"--instance", instance, "--redis", s->redis, "--bus", s->bus};
        for (size_t i = 0; i < ARRAY_LEN(args); i++)
                arg(p, args[i]);
        if (s->o->clock_file) {
                arg(p, "--clock-file");
                arg(p, s->o->clock_file);
        }
}

static const char *const services[] = {"membership", "activity"};

/* "activity=2": true if it is about this service, with its number. */
static bool read_instances(const char *item, const char *service, int64_t *ret_n)
{
        struct str count = str_of(item);
        struct str name = str_cut(&count, '=');
        return str_is(name, service) && str_to_i64(count, 1, MAX_INSTANCES, ret_n) == 0;
}

static int instances_of(const struct stack *s, const char *service)
{
        int64_t n = 1;
        for (size_t i = 0; i < s->o->instances.n; i++)
                if (read_instances(s->o->instances.items[i], service, &n))
                        break;
        return (int)n;
}

static int check_instances(const struct stack_options *o)
{
        for (size_t i = 0; i < o->instances.n; i++) {
                bool known = false;
                for (size_t k = 0; k < ARRAY_LEN(services); k++)
                        known = known || read_instances(o->instances.items[i], services[k], &(int64_t){0});
                if (!known) {
                        SAY("--instances %s: give membership=N or activity=N, with N from 1 to %d", o->instances.items[i], MAX_INSTANCES);
                        return -EINVAL;
                }
        }
        return 0;
}

/* The first instances are known to each other without asking the registry, so a start does not wait for it. */
static void add_peers(struct stack *s, struct part *p, const char *but)
{
        for (size_t i = 0; i < ARRAY_LEN(services); i++) {
                if (but && strcmp(but, services[i]) == 0)
                        continue;
                arg(p, "--peer");
                arg(p, arena_printf(s->arena, "%s=ipc://%s/%s-1.sock", services[i], s->bus, services[i]));
        }
}

static void add_services(struct stack *s)
{
        for (size_t i = 0; i < ARRAY_LEN(services); i++)
                for (int n = 1; n <= instances_of(s, services[i]); n++) {
                        const char *name = arena_printf(s->arena, "%s-%d", services[i], n);
                        struct part *p = add_part(s, RANK_SERVICE, name,
                                                  arena_printf(s->arena, "%s/nuanxin-%s", s->bin, services[i]), true);
                        add_common(s, p, name);
                        add_peers(s, p, services[i]);
                        arg(p, "--store");
                        arg(p, arena_printf(s->arena, "sqlite:%s/store/%s.db", s->var, services[i]));
                        arg(p, "--keys");
                        arg(p, s->keys);
                }
}

static void add_gateway(struct stack *s)
{
        struct part *p = add_part(s, RANK_GATEWAY, "gateway-1", arena_printf(s->arena, "%s/nuanxin-gateway", s->bin), true);
        add_common(s, p, "gateway-1");
        add_peers(s, p, NULL);
        arg(p, "--http");
        arg(p, s->o->http);
        for (size_t i = 0; i < s->o->gateway_options.n; i++)
                arg(p, s->o->gateway_options.items[i]);
}

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
                for (size_t i = 0; i < s->n_parts; i++)
                        if (child_pid(s->parts[i].child) == from.pid)
                                child_notified(s->parts[i].child, str_bytes(text, (size_t)n));
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
                for (size_t i = 0; i < s->n_parts; i++) {
                        struct part *p = &s->parts[i];
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
        for (size_t i = 0; i < s->n_parts; i++)
                if (child_pid(s->parts[i].child)) {
                        SAY("%s has not stopped yet: ending it", child_name(s->parts[i].child));
                        child_stop(s->parts[i].child, SIGKILL);
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
        loop_timer_set(s->stop_timer, STOP_LONGEST_US);
        for (size_t i = 0; i < s->n_parts; i++)
                child_retire(s->parts[i].child);
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
                execl(program, program, "--var", s->var, "--data", s->o->data, "--http", s->o->http, (char *)NULL);
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

static void part_changed(void *arg, struct child *child)
{
        struct stack *s = arg;
        bool all_ready = true;

        if (s->state == STACK_STOPPING) {
                if (child_state(child) == CHILD_DOWN)
                        stop_next_rank(s);
                return;
        }
        if (child_state(child) == CHILD_DOWN && s->state == STACK_STARTING && child_failures(child) < GIVE_UP_AFTER)
                return;
        if (child_state(child) == CHILD_DOWN && s->state == STACK_STARTING) {
                SAY("%s does not start: %s (log: %s/log/%s.log)", child_name(child), child_last_words(child), s->var, child_name(child));
                fail_stack(s, -EIO);
                return;
        }
        if (child_state(child) == CHILD_DOWN)
                log_warn("a process ended; it starts again", "name=%s %s log=%s/log/%s.log", child_name(child), child_end(child),
                         s->var, child_name(child));
        for (size_t i = 0; i < s->n_parts; i++)
                all_ready = all_ready && child_state(s->parts[i].child) == CHILD_READY;
        if (all_ready && s->state == STACK_STARTING)
                seed(s);
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
        if ((r = open_notify(s)) < 0)
                return r;
        s->redis = s->o->redis ? s->o->redis : arena_printf(s->arena, "unix:%s", s->redis_socket);
        if (!s->o->redis)
                add_redis(s);
        add_services(s);
        add_gateway(s);
        for (size_t i = 0; i < s->n_parts; i++)
                if ((r = child_start(s->parts[i].child)) < 0) {
                        SAY("can't start %s: %s", child_name(s->parts[i].child), strerror(-r));
                        return r;
                }
        return 0;
}

static int prepare(struct stack *s)
{
        int r = check_instances(s->o);
        if (r == 0)
                r = prepare_folder(s->o->var, s->var);
        if (r == 0)
                r = prepare_lock(s->var, s->o->http, &s->lock_fd);
        if (r == 0)
                r = prepare_port(s->o->http);
        s->keys = arena_printf(s->arena, "%s/keys", s->var);
        if (r == 0)
                r = prepare_keys(s->var);
        if (r == 0 && !s->o->no_seed)
                r = prepare_credentials(s->var, services, ARRAY_LEN(services));
        return r;
}

static void bound_logs(void *arg)
{
        struct stack *s = arg;
        for (size_t i = 0; i < s->n_parts; i++)
                child_bound_log(s->parts[i].child);
        loop_timer_set(s->log_timer, LOGS_EVERY_US);
}

int stack_run(const struct stack_options *options)
{
        struct stack s = {.o = options, .notify_fd = -1, .lock_fd = -1, .arena = arena_new(16384), .loop = loop_new()};

        s.stop_timer = loop_timer_new(s.loop, stop_hard, &s);
        s.signals[0] = loop_signal_new(s.loop, SIGINT, begin_stop, &s);
        s.signals[1] = loop_signal_new(s.loop, SIGTERM, begin_stop, &s);
        s.signals[2] = loop_signal_new(s.loop, SIGHUP, begin_stop, &s); /* its terminal was closed */
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
        for (size_t i = 0; i < s.n_parts; i++)
                child_free(s.parts[i].child);
        loop_fd_free(s.notify_watch);
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
