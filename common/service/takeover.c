/* SPDX-License-Identifier: Apache-2.0
 *
 * The wait for the writer's lock, in a thread, and the standby's watch over the writer.
 */
#include "common/service/takeover.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/schema.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCHEMA_POLL_US  (50 * 1000ll)
#define WATCH_EVERY_US  CLOCK_SECOND_US
#define FROZEN_AFTER_US (10 * CLOCK_SECOND_US)

struct takeover {
        struct takeover_options o;
        struct loop_timer *schema_timer, *watch_timer;
        pthread_t thread;
        bool thread_runs;
        struct store_writer *writer; /* handed over from the thread by the post */
};

static int migrate(struct takeover *t, struct store_writer *writer)
{
        const char *error = NULL;
        size_t n = 0;
        int r = store_migrate(store_writer_conn(writer), rpc_migrations, rpc_n_migrations, &error);
        while (t->o.migrations[n].name)
                n++;
        if (r == 0)
                r = store_migrate(store_writer_conn(writer), t->o.migrations, n, &error);
        if (r)
                log_error("the schema can't be brought up to date", "error=\"%s\"", error ? error : strerror(r < 0 ? -r : EIO));
        return r > 0 ? -EIO : r;
}

static void became_writer(void *arg)
{
        struct takeover *t = arg;
        loop_timer_clear(t->schema_timer);
        loop_timer_clear(t->watch_timer);
        t->o.on_writer(t->o.arg, TAKE(t->writer));
}

static void *wait_for_lock(void *arg)
{
        struct takeover *t = arg;
        struct store_writer *writer;
        const char *error = NULL;
        int r = store_writer_acquire(t->o.store, t->o.instance, true, &writer, &error);

        if (r == 0)
                r = migrate(t, writer);
        if (r) {
                /* A standby that can't take over must not pretend to be one: the manager starts it anew. */
                log_error("can't take over as the writer", "error=\"%s\"", error ? error : strerror(r < 0 ? -r : EIO));
                _exit(1);
        }
        t->writer = writer;
        loop_post(t->o.loop, became_writer, t);
        return NULL;
}

static void look_for_schema(void *arg)
{
        struct takeover *t = arg;
        struct store_conn *conn;
        if (store_reader_open(t->o.store, &conn) == 0) {
                store_conn_close(conn);
                t->o.on_schema(t->o.arg);
                return;
        }
        loop_timer_set(t->schema_timer, SCHEMA_POLL_US);
}

/* Is that pid still a process of ours, and not a later one with the same number? */
static bool is_our_kind(int pid)
{
        char path[64], name[32] = "";
        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        FILE *f = fopen(path, "re");
        bool ours = f && fgets(name, sizeof(name), f) && strncmp(name, "nuanxin-", 8) == 0;
        if (f)
                fclose(f);
        return ours;
}

static void watch_writer(void *arg)
{
        struct takeover *t = arg;
        int pid = 0;
        int64_t still_us = 0;

        loop_timer_set(t->watch_timer, WATCH_EVERY_US);
        if (store_writer_observe(t->o.store, &pid, &still_us) < 0 || still_us < FROZEN_AFTER_US)
                return;
        if (pid > 1 && pid != getpid() && is_our_kind(pid)) {
                log_error("the writer stands still: ending it", "pid=%d for_ms=%lld", pid, (long long)(still_us / 1000));
                if (kill(pid, SIGKILL) < 0)
                        log_error("can't end the frozen writer; end it by hand", "pid=%d error=\"%s\"", pid, strerror(errno));
        }
}

int takeover_new(const struct takeover_options *options, struct takeover **ret_takeover)
{
        struct takeover *t = mem_zalloc(sizeof(*t));
        const char *error = NULL;

        t->o = *options;
        t->schema_timer = loop_timer_new(options->loop, look_for_schema, t);
        t->watch_timer = loop_timer_new(options->loop, watch_writer, t);
        int r = store_writer_acquire(options->store, options->instance, false, &t->writer, &error);
        if (r == 0) {
                r = migrate(t, t->writer);
                if (r == 0)
                        became_writer(t);
        } else if (r == STORE_E_LOCKED) {
                log_info("standing by: another instance writes", NULL);
                loop_timer_set(t->schema_timer, 0);
                loop_timer_set(t->watch_timer, WATCH_EVERY_US);
                r = -pthread_create(&t->thread, NULL, wait_for_lock, t);
                t->thread_runs = r == 0;
        } else {
                log_error("can't become the writer", "error=\"%s\"", error ? error : strerror(-r));
                r = r > 0 ? -EIO : r;
        }
        if (r < 0) {
                takeover_free(t);
                return r;
        }
        *ret_takeover = t;
        return 0;
}

struct takeover *takeover_free(struct takeover *t)
{
        if (!t)
                return NULL;
        if (t->thread_runs) {
                /* It may wait in fcntl(2) for ever: it is cancelled there, or has ended by itself. */
                pthread_cancel(t->thread);
                pthread_join(t->thread, NULL);
        }
        store_writer_release(t->writer);
        loop_timer_free(t->schema_timer);
        loop_timer_free(t->watch_timer);
        free(t);
        return NULL;
}
