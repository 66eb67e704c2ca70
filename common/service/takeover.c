/* SPDX-License-Identifier: Apache-2.0
 *
 * The wait for the writer's lock, in a thread, and the standby's watch over the writer. On a shared store there is no
 * lock: the thread waits for the database itself, so that a service may start before it.
 */
#include "common/service/takeover.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/schema.h"
#include "common/service/service.h"
#include "common/store/whole.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_POLL_US  (50 * 1000ll)
#define WATCH_EVERY_US  CLOCK_SECOND_US
#define FROZEN_AFTER_US (5 * CLOCK_SECOND_US) /* its callers wait for 10 s: what they asked is still done */
#define LATE_AFTER_US   (2 * CLOCK_SECOND_US)
#define LATE_LOOKS      4 /* in a row: a machine that slept as a whole has ended nobody */
#define SAY_LOOKS       60
#define WAKE_SIGNAL     SIGUSR1

#define FILLED_POLL_US    (10 * 1000)
#define DATABASE_EVERY_US (CLOCK_SECOND_US / 2)
#define SAY_EVERY_US      CLOCK_MINUTE_US

#define WRONG_KEYRING "this keyring is not the store's"

struct takeover {
        struct takeover_options o;
        struct loop_timer *schema_timer, *watch_timer;
        unsigned late_looks;
        bool fits, said_older;
        int64_t said_us; /* that the database is waited for */
        pthread_t thread;
        bool thread_runs;
        atomic_bool ending, filling;
        char moved[400]; /* where to; handed over from the thread by the post */
        struct store_writer *writer; /* likewise */
        char epoch[RPC_EPOCH_SIZE];  /* likewise */
};

/* Whose store it is: the keyring that seals what is in it, and its epoch. */
static int make_sure_whose(struct takeover *t, struct store_conn *writer, const char **ret_error)
{
        int r = t->o.keyring ? rpc_keyring_bind(writer, t->o.keyring, ret_error) : 0;
        if (r == 0)
                r = store_begin(writer);
        if (r == 0)
                r = rpc_epoch_load(writer, clock_now_us(t->o.clock), t->epoch);
        if (r == 0)
                r = store_commit(writer);
        store_rollback(writer);
        return r;
}

static int migrate(struct takeover *t, struct store_writer *writer)
{
        const char *error = NULL;
        service_notify("EXTEND_TIMEOUT_USEC=3600000000"); /* a large table takes its time */
        int r = rpc_migrate(store_writer_conn(writer), t->o.migrations, &error);
        if (r == 0)
                r = make_sure_whose(t, store_writer_conn(writer), &error);
        if (r == -EKEYREJECTED)
                log_error(WRONG_KEYRING, "error=\"%s\"", error);
        else if (r)
                log_error("the schema can't be brought up to date", "error=\"%s\"", error ? error : strerror(r < 0 ? -r : EIO));
        return r > 0 ? -EIO : r;
}

static void was_moved(void *arg)
{
        struct takeover *t = arg;
        loop_timer_clear(t->schema_timer);
        loop_timer_clear(t->watch_timer);
        t->o.on_moved(t->o.arg, t->moved);
}

static void became_writer(void *arg)
{
        struct takeover *t = arg;
        loop_timer_clear(t->schema_timer);
        loop_timer_clear(t->watch_timer);
        t->o.on_writer(t->o.arg, TAKE(t->writer), t->epoch);
}

static void *wait_for_lock(void *arg)
{
        struct takeover *t = arg;
        struct store_writer *writer;
        const char *error = NULL;
        int r;

        /* -EBUSY came after 3 s: a reader held an old snapshot. -EINTR: the wake signal. */
        do
                r = atomic_load(&t->ending) ? -ECANCELED
                                            : store_writer_acquire(t->o.store, t->o.instance, true, &writer, &error);
        while (r == -EBUSY || r == -EINTR);
        if (r == -ECANCELED)
                return NULL;
        if (r == STORE_E_MOVED) {
                snprintf(t->moved, sizeof(t->moved), "%s", error);
                loop_post(t->o.loop, was_moved, t);
                return NULL;
        }
        if (r == 0) {
                t->writer = writer;
                r = migrate(t, writer);
        }
        if (r) {
                /* A standby that can't take over must not pretend to be one: the manager starts it anew. */
                log_error("can't take over as the writer", "error=%s", error ? error : strerror(r < 0 ? -r : EIO));
                _exit(1);
        }
        loop_post(t->o.loop, became_writer, t);
        return NULL;
}

/* Says once what is waited for, and then each minute. */
static void say_waiting(struct takeover *t, const char *error)
{
        int64_t now = clock_monotonic_us();
        if (t->said_us && now - t->said_us < SAY_EVERY_US)
                return;
        t->said_us = now;
        log_warn("waiting for the database", "error=\"%s\"", error ? error : "");
}

static void rest(struct takeover *t)
{
        for (int64_t rested = 0; rested < DATABASE_EVERY_US && !atomic_load(&t->ending); rested += SCHEMA_POLL_US)
                usleep(SCHEMA_POLL_US);
}

/* While a copy is made into the database. Whoever makes it sees that an instance waits. */
static void wait_until_filled(struct takeover *t)
{
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        struct store_use use = {.state = STORE_FILLING};
        atomic_store(&t->filling, true);
        while (!atomic_load(&t->ending) && (use.state == STORE_FILLING || use.state == STORE_FILLED)) {
                int r = conn ? 0 : store_waiter_open(t->o.store, &conn);
                if (r == 0)
                        r = store_use_read(conn, &use);
                if (r != 0 && r != -EAGAIN)
                        break; /* whoever comes to it again says what is wrong */
                usleep(FILLED_POLL_US);
        }
        atomic_store(&t->filling, false);
}

static int look_at_use(struct store_conn *conn, const char **ret_error)
{
        struct store_use use;
        int r = store_use_read(conn, &use);
        return r == 0 ? store_use_check(&use, ret_error) : r;
}

/* A conflict is another instance's migration of the same schema: what it has done is not done again. */
static void *wait_for_database(void *arg)
{
        struct takeover *t = arg;
        struct store_writer *writer = NULL;
        int r = STORE_E_UNAVAILABLE;
        while (!atomic_load(&t->ending)) {
                const char *error = NULL;
                r = writer ? 0 : store_writer_acquire(t->o.store, t->o.instance, false, &writer, &error);
                if (r == 0)
                        r = rpc_migrate(store_writer_conn(writer), t->o.migrations, &error);
                if (r == 0) /* a copy may have begun since it was first looked at */
                        r = look_at_use(store_writer_conn(writer), &error);
                if (r == 0)
                        r = make_sure_whose(t, store_writer_conn(writer), &error);
                if (r == STORE_E_FILLING) {
                        writer = store_writer_release(writer);
                        say_waiting(t, error);
                        wait_until_filled(t);
                        continue;
                }
                if (r == STORE_E_UNAVAILABLE || r == STORE_E_RETRY) {
                        if (r == STORE_E_UNAVAILABLE)
                                say_waiting(t, error);
                        rest(t);
                        continue;
                }
                if (r == 0) {
                        t->writer = writer;
                        loop_post(t->o.loop, became_writer, t);
                        return NULL;
                }
                log_error(r == -EKEYREJECTED ? WRONG_KEYRING : "the schema can't be brought up to date", "error=\"%s\"",
                          error ? error : strerror(r < 0 ? -r : EIO));
                _exit(1);
        }
        store_writer_release(writer);
        return NULL;
}

static void on_wake(int signal_number)
{
        (void)signal_number; /* fcntl(2) returns: that was all */
}

static int start_waiting(struct takeover *t)
{
        /* Not pthread_cancel: it could end the thread inside SQLite, with its locks held. */
        const struct sigaction wake = {.sa_handler = on_wake};
        if (sigaction(WAKE_SIGNAL, &wake, NULL) < 0)
                return -errno;
        bool shared = store_is_shared(t->o.store);
        if (!shared) {
                loop_timer_set(t->schema_timer, 0);
                loop_timer_set(t->watch_timer, WATCH_EVERY_US);
        }
        int r = -pthread_create(&t->thread, NULL, shared ? wait_for_database : wait_for_lock, t);
        t->thread_runs = r == 0;
        return r;
}

/* The signal may come just before the thread waits, so it comes again until the thread has ended. */
static void stop_waiting(struct takeover *t)
{
        struct timespec until;
        atomic_store(&t->ending, true);
        do {
                pthread_kill(t->thread, WAKE_SIGNAL);
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += 10 * 1000 * 1000;
                until.tv_sec += until.tv_nsec / 1000000000;
                until.tv_nsec %= 1000000000;
        } while (pthread_timedjoin_np(t->thread, NULL, &until) == ETIMEDOUT);
}

/* A writer of an older build serves on, and what this one needs stands there only once it has taken over; one of a newer
 * build may have taken away what this one needs, at any time. */
static void look_for_schema(void *arg)
{
        struct takeover *t = arg;
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        const char *error = NULL;
        int r = store_reader_open(t->o.store, &conn);

        if (r == 0)
                r = rpc_schema_fits(conn, t->o.migrations, &error);
        if (r == STORE_E_MOVED) {
                snprintf(t->moved, sizeof(t->moved), "the store was moved");
                was_moved(t);
                return;
        }
        if (r == 1 && t->o.keyring && rpc_keyring_fits(conn, t->o.keyring, &error) == -EKEYREJECTED) {
                log_error(WRONG_KEYRING, "error=\"%s\"", error);
                _exit(1);
        }
        if (r == STORE_E_OUTGROWN) {
                log_error("this build is too old for the store", "error=\"%s\"", error);
                _exit(1);
        }
        if (r == 0 && !t->said_older) {
                t->said_older = true;
                log_info("the writer's build is older: what this one needs is made when it takes over", NULL);
                service_notify("READY=1"); /* who restarts one after the other goes on to the writer */
        }
        if (r == 1 && !t->fits) {
                t->fits = true;
                t->o.on_schema(t->o.arg);
        }
        loop_timer_set(t->schema_timer, t->fits ? WATCH_EVERY_US : SCHEMA_POLL_US);
}

static void name_of(const char *process, char name[32])
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%s/comm", process);
        FILE *f = fopen(path, "re");
        if (!f || !fgets(name, 32, f))
                name[0] = '\0';
        if (f)
                fclose(f);
}

/* The same program as ours, and not another process that got the number meanwhile? */
static bool is_our_kind(int pid)
{
        char process[16], name[32], own[32];
        snprintf(process, sizeof(process), "%d", pid);
        name_of(process, name);
        name_of("self", own);
        return name[0] && strcmp(name, own) == 0;
}

/* Holds the process before it looks again who the writer is: so the pid can't have become another's meanwhile. */
static void end_frozen(struct takeover *t, int frozen)
{
        int pid, fd = (int)syscall(SYS_pidfd_open, frozen, 0);
        int64_t still_us;
        if (fd < 0)
                return;
        if (store_writer_observe(t->o.store, &pid, &still_us) == 0 && pid == frozen && still_us >= FROZEN_AFTER_US &&
            is_our_kind(pid)) {
                log_error("the writer stands still: ending it", "pid=%d for_ms=%lld", pid, (long long)(still_us / 1000));
                if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
                        log_error("can't end the frozen writer; end it by hand", "pid=%d error=%s", pid, strerror(errno));
        }
        close(fd);
}

static void watch_writer(void *arg)
{
        struct takeover *t = arg;
        int pid = 0;
        int64_t still_us = 0;

        loop_timer_set(t->watch_timer, WATCH_EVERY_US);
        bool late = store_writer_observe(t->o.store, &pid, &still_us) == 0 && still_us >= LATE_AFTER_US;
        t->late_looks = late ? t->late_looks + 1 : 0;
        if (still_us < FROZEN_AFTER_US || t->late_looks < LATE_LOOKS)
                return;
        if (pid > 1 && pid != getpid())
                end_frozen(t, pid);
        else if (t->late_looks == LATE_LOOKS || t->late_looks % SAY_LOOKS == 0)
                log_error("the writer stands still, in another container: end it there", "for_ms=%lld", (long long)(still_us / 1000));
}

/* The lock, at once; else the wait for it. */
static int take_lock(struct takeover *t)
{
        const char *error = NULL;
        int r = store_writer_acquire(t->o.store, t->o.instance, false, &t->writer, &error);
        if (r == 0) {
                r = migrate(t, t->writer);
                if (r == 0)
                        became_writer(t);
                return r;
        }
        if (r == STORE_E_MOVED) {
                snprintf(t->moved, sizeof(t->moved), "%s", error);
                was_moved(t);
                return 0;
        }
        if (r == STORE_E_LOCKED || r == -EBUSY) {
                log_info("standing by: another instance writes", NULL);
                return start_waiting(t);
        }
        log_error("can't become the writer", "error=\"%s\"", error ? error : strerror(-r));
        return r > 0 ? -EIO : r;
}

int takeover_new(const struct takeover_options *options, struct takeover **ret_takeover)
{
        struct takeover *t = mem_zalloc(sizeof(*t));
        t->o = *options;
        t->schema_timer = loop_timer_new(options->loop, look_for_schema, t);
        t->watch_timer = loop_timer_new(options->loop, watch_writer, t);
        int r = store_is_shared(options->store) ? start_waiting(t) : take_lock(t);
        if (r < 0) {
                takeover_free(t);
                return r;
        }
        *ret_takeover = t;
        return 0;
}

bool takeover_filling(const struct takeover *t)
{
        return t && atomic_load(&t->filling);
}

struct takeover *takeover_free(struct takeover *t)
{
        if (!t)
                return NULL;
        if (t->thread_runs)
                stop_waiting(t);
        loop_post_cancel(t->o.loop, t);
        store_writer_release(t->writer);
        loop_timer_free(t->schema_timer);
        loop_timer_free(t->watch_timer);
        free(t);
        return NULL;
}
