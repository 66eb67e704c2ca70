/* SPDX-License-Identifier: Apache-2.0
 *
 * Forking, watching through a pidfd, restarting with a growing pause.
 */
#include "deploy/runner/child.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTART_FIRST_US   (50 * 1000ll)
#define RESTART_LONGEST_US (5 * CLOCK_SECOND_US)
#define STEADY_US          (CLOCK_SECOND_US / 5) /* ready for so long: its next restart begins with the shortest pause */
#define LOG_MOST           (16 << 20)

struct child {
        struct child_options o;
        enum child_state state;
        pid_t pid;
        int pidfd;
        struct loop_fd *watch;
        struct loop_timer *restart_timer, *watchdog_timer, *end_timer;
        int64_t pause_us, ready_us;
        int failures;
        bool ending; /* no restart */
        bool silent; /* a sign of life is overdue */
        char log_path[256], end[24], words[512];
        off_t log_start; /* where this process's log begins: the file has earlier ones too */
};

const char *child_name(const struct child *c)
{
        return c->o.name;
}

pid_t child_pid(const struct child *c)
{
        return c->pid;
}

enum child_state child_state(const struct child *c)
{
        return c->state;
}

bool child_is_ending(const struct child *c)
{
        return c->ending;
}

int child_failures(const struct child *c)
{
        return c->failures;
}

static void set_state(struct child *c, enum child_state state)
{
        if (c->state == state)
                return;
        c->state = state;
        c->o.on_change(c->o.arg, c);
}

static void on_exit_of(void *arg, int events)
{
        struct child *c = arg;
        int status = 0;
        (void)events;

        if (waitpid(c->pid, &status, WNOHANG) != c->pid)
                return;
        c->watch = loop_fd_free(c->watch);
        close(c->pidfd);
        c->pid = 0;
        loop_timer_clear(c->watchdog_timer);
        loop_timer_clear(c->end_timer);
        if (!c->ending) {
                c->failures = c->state == CHILD_READY ? 0 : c->failures + 1;
                bool steady = c->state == CHILD_READY && clock_monotonic_us() - c->ready_us >= STEADY_US;
                c->pause_us = steady || !c->pause_us ? RESTART_FIRST_US : 2 * c->pause_us;
                if (c->pause_us > RESTART_LONGEST_US)
                        c->pause_us = RESTART_LONGEST_US;
                if (WIFSIGNALED(status))
                        snprintf(c->end, sizeof(c->end), "signal=%d", WTERMSIG(status));
                else
                        snprintf(c->end, sizeof(c->end), "status=%d", WEXITSTATUS(status));
                loop_timer_set(c->restart_timer, c->pause_us);
        }
        set_state(c, CHILD_DOWN);
}

static void on_restart(void *arg)
{
        struct child *c = arg;
        int r = c->ending ? 0 : child_start(c);
        if (r < 0) {
                log_error("can't start a process", "name=%s error=\"%s\"", c->o.name, strerror(-r));
                loop_timer_set(c->restart_timer, RESTART_LONGEST_US);
        }
}

/* It is given a second more: if the machine slept as a whole, what it says now is still to be read. */
static void on_silence(void *arg)
{
        struct child *c = arg;
        if (c->pid && c->state != CHILD_STARTING && !c->silent) {
                c->silent = true;
                loop_timer_set(c->watchdog_timer, CLOCK_SECOND_US);
        } else if (c->pid && c->state != CHILD_STARTING) {
                log_error("a process stands still: ending it", "name=%s pid=%d", c->o.name, (int)c->pid);
                kill(c->pid, SIGKILL);
        }
}

static void on_overdue(void *arg)
{
        struct child *c = arg;
        if (c->pid) {
                fprintf(stderr, "%s has not stopped yet: ending it\n", c->o.name);
                kill(c->pid, SIGKILL);
        }
}

struct child *child_new(const struct child_options *options)
{
        struct child *c = mem_zalloc(sizeof(*c));
        c->o = *options;
        c->restart_timer = loop_timer_new(options->loop, on_restart, c);
        c->watchdog_timer = loop_timer_new(options->loop, on_silence, c);
        c->end_timer = loop_timer_new(options->loop, on_overdue, c);
        snprintf(c->log_path, sizeof(c->log_path), "%s/%s.log", options->log_folder, options->name);
        return c;
}

struct child *child_free(struct child *c)
{
        if (c) {
                if (c->watch) {
                        loop_fd_free(c->watch);
                        close(c->pidfd);
                }
                loop_timer_free(c->restart_timer);
                loop_timer_free(c->watchdog_timer);
                loop_timer_free(c->end_timer);
                free(c);
        }
        return NULL;
}

/* As descriptor 3, so that it needs no name. */
static void lend_socket(int fd)
{
        char pid[16];
        if (fd == 3)
                (void)fcntl(fd, F_SETFD, 0);
        else
                dup2(fd, 3);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
}

/* In the forked child: nothing but system calls until exec. */
static void become(const struct child *c, pid_t parent)
{
        char watchdog[32];
        sigset_t none;
        int log = open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGTERM); /* the stack ends with its runner */
        if (getppid() != parent)
                _exit(1);
        setpgid(0, 0); /* Ctrl-C goes to the runner alone: it stops the others in order */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (log >= 0) {
                dup2(log, STDOUT_FILENO);
                dup2(log, STDERR_FILENO);
        }
        if (null >= 0)
                dup2(null, STDIN_FILENO);
        setenv("NOTIFY_SOCKET", c->o.notify_socket, 1);
        if (c->o.watchdog_us) {
                snprintf(watchdog, sizeof(watchdog), "%lld", (long long)c->o.watchdog_us);
                setenv("WATCHDOG_USEC", watchdog, 1);
        }
        if (c->o.listen_fd >= 0)
                lend_socket(c->o.listen_fd);
        execvp(c->o.argv[0], (char *const *)c->o.argv);
        fprintf(stderr, "can't run %s: %s; `make deps all` installs and builds what is missing\n", c->o.argv[0], strerror(errno));
        _exit(127);
}

int child_pidfd(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        return fd < 0 ? -errno : fd;
}

int child_start(struct child *c)
{
        struct stat log;
        c->log_start = stat(c->log_path, &log) == 0 ? log.st_size : 0;
        pid_t parent = getpid(), pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                become(c, parent);
        c->pidfd = child_pidfd(pid);
        if (c->pidfd < 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return c->pidfd;
        }
        c->pid = pid;
        c->watch = loop_fd_new(c->o.loop, c->pidfd, on_exit_of, c);
        loop_fd_want(c->watch, LOOP_READ);
        set_state(c, CHILD_STARTING);
        return 0;
}

void child_retire(struct child *c)
{
        c->ending = true;
        loop_timer_clear(c->restart_timer);
}

void child_stop(struct child *c, int signal_number)
{
        child_retire(c);
        if (c->pid) {
                kill(c->pid, signal_number);
                loop_timer_set(c->end_timer, CHILD_STOP_LONGEST_US);
                set_state(c, CHILD_STOPPING);
        }
}

const char *child_end(const struct child *c)
{
        return c->end;
}

void child_notified(struct child *c, struct str message)
{
        while (message.n) {
                struct str line = str_cut(&message, '\n');
                if (str_is(line, "READY=1") && c->state == CHILD_STARTING) {
                        c->failures = 0;
                        c->ready_us = clock_monotonic_us();
                        set_state(c, CHILD_READY);
                }
                if (c->o.watchdog_us && (str_is(line, "WATCHDOG=1") || str_is(line, "READY=1"))) {
                        c->silent = false;
                        loop_timer_set(c->watchdog_timer, c->o.watchdog_us);
                }
        }
}

/* The value of a logfmt line's key, with its quotes' escapes undone; empty if it has none. */
static struct buf log_value(struct str line, const char *key)
{
        struct buf out = {0};
        const char *end = line.p + line.n, *p = memmem(line.p, line.n, key, strlen(key));
        if (!p)
                return out;
        for (p += strlen(key); p < end && *p != '"'; p++) {
                if (*p == '\\' && p + 1 < end)
                        p++;
                buf_add(&out, p, 1);
        }
        return out;
}

/* `msg="can't listen" error="No such device" hint="…"` as a sentence; what is no log line as it is. */
static void put_words(struct str line, char *ret, size_t room)
{
        static const char *const keys[] = {" value=\"", " error=\"", " why=\"", " hint=\""};
        struct buf all = log_value(line, " msg=\"");
        for (size_t i = 0; i < ARRAY_LEN(keys) && all.n; i++) {
                _cleanup_(buf_done) struct buf value = log_value(line, keys[i]);
                if (value.n)
                        buf_printf(&all, ": %s", buf_z(&value));
        }
        if (!all.n)
                buf_add(&all, line.p, line.n);
        snprintf(ret, room, "%s", buf_z(&all));
        buf_done(&all);
}

void child_bound_log(struct child *c)
{
        char old[sizeof(c->log_path) + 2];
        struct stat st;
        int from = open(c->log_path, O_RDWR | O_CLOEXEC);
        if (from >= 0 && fstat(from, &st) == 0 && st.st_size > LOG_MOST) {
                snprintf(old, sizeof(old), "%s.1", c->log_path);
                int to = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                while (to >= 0 && sendfile(to, from, NULL, LOG_MOST) > 0)
                        ;
                if (ftruncate(from, 0) == 0)
                        c->log_start = 0;
                if (to >= 0)
                        close(to);
        }
        if (from >= 0)
                close(from);
}

const char *child_last_words(struct child *c)
{
        char tail[4096];
        int fd = open(c->log_path, O_RDONLY | O_CLOEXEC);
        off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        off_t from = size - c->log_start > (off_t)sizeof(tail) ? size - (off_t)sizeof(tail) : c->log_start;
        ssize_t n = size <= 0 ? 0 : pread(fd, tail, sizeof(tail), from);

        if (fd >= 0)
                close(fd);
        snprintf(c->words, sizeof(c->words), "it left no message");
        struct str rest = {tail, n > 0 ? (size_t)n : 0};
        while (rest.n) {
                struct str line = str_cut(&rest, '\n');
                bool says_why = memmem(line.p, line.n, "level=error", 11) || !str_starts(line, STR("time="));
                if (line.n && says_why)
                        put_words(line, c->words, sizeof(c->words));
        }
        return c->words;
}
