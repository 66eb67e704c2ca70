/* SPDX-License-Identifier: Apache-2.0
 *
 * The write lane's threads: one transaction, SQLite's single thread with its housekeeping, and the life of all of them.
 * What a shared store's threads do is in shared_lane.c.
 */
#include "common/rpc/write_lane.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/leader.h"
#include "common/rpc/listener.h"
#include "common/rpc/move.h"

#include <stdlib.h>
#include <unistd.h>

#define BEAT_US       CLOCK_SECOND_US       /* of the lock file's heartbeat */
#define DUE_POLL_US   (CLOCK_SECOND_US / 5) /* how late due work may start: the service's clock may be moved */
#define REST_US       (3 * CLOCK_SECOND_US) /* idle for so long: the cache is given back */
#define SWEEP_US      CLOCK_SECOND_US
#define SWEEP_IDLE_US (10 * CLOCK_SECOND_US)
#define TICK_US       CLOCK_SECOND_US

static const struct metric_family batch_family = {
        "nuanxin_write_batch_size", "Requests in one transaction of the write lane.", METRIC_HISTOGRAM};
static const struct metric_family replays_family = {
        "nuanxin_replays_total", "Writes answered with a stored answer.", METRIC_COUNTER};
static const struct metric_family reruns_family = {
        "nuanxin_batch_reruns_total", "Batches that were lost and ran again one by one.", METRIC_COUNTER};
static const struct metric_family retried_family = {
        "nuanxin_write_retries_total", "Transactions of the write lane that ran again, by reason.", METRIC_COUNTER};

void write_lane_check_deposed(int result)
{
        if (result != STORE_E_DEPOSED)
                return;
        log_error("another process writes this store now: ending at once", NULL);
        _exit(EXIT_FAILURE);
}

bool write_lane_lost(const struct write_lane *lane, int result)
{
        return !store_in_transaction(lane->db) || result == STORE_E_RETRY || result == STORE_E_UNAVAILABLE ||
               result == STORE_E_DEPOSED || result == -ENOSPC || result == -EIO || result == -ECANCELED;
}

int write_lane_transaction(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg)
{
        int64_t outbox_next = lane->outbox_next, audit_next = lane->audit_next;
        const struct store_use use = lane->use;
        lane->outcome_unknown = lane->wakes = false;
        lane->news = 0;
        int r = store_begin(lane->db);
        if (r == 0)
                r = run(lane, arg);
        if (r == 0) {
                int64_t before = clock_monotonic_us();
                r = store_commit(lane->db);
                lane->commit_us = (uint32_t)(clock_monotonic_us() - before);
                metric_observe(lane->server->commit, lane->commit_us);
                lane->outcome_unknown = r == STORE_E_UNAVAILABLE;
        }
        if (r != 0) {
                store_rollback(lane->db);
                lane->outbox_next = outbox_next;
                lane->audit_next = audit_next;
                lane->use = use;
                write_lane_check_deposed(r);
                return r;
        }
        lane->dirty = true;
        if (lane->wakes)
                server_wake(lane->server);
        move_committed(lane, use.state);
        if (lane->outbox_next != outbox_next && lane->shared)
                leader_wake(lane->all->leader);
        else if (lane->outbox_next != outbox_next)
                server_news(lane->server, lane->outbox_next - 1);
        if (lane->news)
                server_own_news(lane->server, lane->news);
        return 0;
}

int write_lane_loosely(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg)
{
        store_set_isolation(lane->db, STORE_READ_COMMITTED);
        int r = write_lane_transaction(lane, run, arg);
        store_set_isolation(lane->db, STORE_SERIALIZABLE);
        return r;
}

/* --- SQLite's thread ---------------------------------------------------------------------------------------------- */

static int load_all(struct write_lane *lane, void *arg)
{
        (void)arg;
        int r = outbox_load_epoch(lane);
        if (r == 0)
                r = numbers_load(lane);
        if (r == 0)
                r = due_load(lane);
        if (r == 0)
                r = move_load(lane);
        if (r == 0)
                r = server_read_own_news(lane->server, lane->db);
        return r;
}

/* The numbers that go on from what is there. Until that is read nothing can be written. */
static bool load(struct write_lane *lane)
{
        if (lane->loaded)
                return true;
        int r = store_begin(lane->db);
        if (r == 0)
                r = load_all(lane, NULL);
        if (r == 0)
                r = store_commit(lane->db);
        if (r != 0) {
                log_error("the write lane cannot start", "error=%d store=\"%s\"", r, store_last_error(lane->db));
                store_rollback(lane->db);
                write_lane_check_deposed(r);
                return false;
        }
        lane->loaded = true;
        move_committed(lane, STORE_IN_USE);
        server_news(lane->server, lane->outbox_next - 1);
        return true;
}

static void refuse_all(struct write_lane *lane, struct call_list *calls)
{
        for (struct rpc_call *call = calls->first; call; call = call->next)
                batch_give_up(lane, call, -EIO);
        server_finished(lane->server, calls);
}

/* Only a bit each time, each second while writes come: what nobody needs any more. */
static void sweep(struct write_lane *lane, int64_t now)
{
        if (now - lane->swept_us < (lane->answers_since_sweep ? SWEEP_US : SWEEP_IDLE_US))
                return;
        lane->swept_us = now;
        int64_t head = lane->outbox_next - 1;
        int r = write_lane_transaction(lane, answer_sweep, NULL);
        if (r == 0)
                r = write_lane_transaction(lane, outbox_trim, &head);
        if (r != 0)
                log_warn("sweeping failed", "error=%d store=\"%s\"", r, store_last_error(lane->db));
        arena_reset(lane->arena);
}

/* One that writes nothing leaves the thread as idle as it was. */
static void tick(struct write_lane *lane, int64_t now)
{
        bool wrote = false, dirty = lane->dirty;
        if (!lane->server->service->tick || now - lane->ticked_us < TICK_US)
                return;
        lane->ticked_us = now;
        int r = write_lane_transaction(lane, tick_run, &wrote);
        if (r != 0)
                log_warn("what was noted could not be stored", "error=%d store=\"%s\"", r, store_last_error(lane->db));
        if (wrote)
                lane->busy_us = now;
        else
                lane->dirty = dirty;
        arena_reset(lane->arena);
}

static void housekeep(struct write_lane *lane, bool idle)
{
        int64_t now = clock_monotonic_us();
        if (now - lane->beat_us >= BEAT_US) {
                write_lane_check_deposed(store_writer_heartbeat(lane->all->writer));
                lane->beat_us = now;
        }
        if (!load(lane))
                return;
        if (!idle && store_written(lane->db) != lane->written)
                lane->busy_us = now;
        move_watch(lane);
        if (move_holds(lane))
                return;
        if (clock_now_us(lane->server->options.clock) >= lane->due_next_us)
                due_run(lane);
        sweep(lane, now);
        tick(lane, now);
        lane->written = store_written(lane->db);
        if (idle && lane->dirty) {
                write_lane_check_deposed(store_checkpoint(lane->db));
                lane->dirty = false;
        } else if (idle && lane->busy_us && now - lane->busy_us > REST_US) {
                write_lane_check_deposed(store_settle(lane->db));
                store_rest(lane->db);
                mem_rest();
                lane->busy_us = 0;
        }
}

/* How long the thread may sleep without missing anything. */
static int64_t patience(const struct write_lane *lane)
{
        if (!lane->loaded || move_holds(lane))
                return DUE_POLL_US;
        if (lane->due_next_us == INT64_MAX)
                return BEAT_US;
        return clock_now_us(lane->server->options.clock) >= lane->due_next_us ? 0 : DUE_POLL_US;
}

static void *write_main(void *arg)
{
        struct write_lane *lane = arg;
        struct rpc_server *server = lane->server;
        struct call_list calls;
        size_t max = (size_t)server->options.write_batch;
        pthread_setname_np(pthread_self(), "write");
        housekeep(lane, false);
        for (;;) {
                if (!lane_take(&server->write, max, patience(lane), &calls)) {
                        server_finished(server, &calls); /* unanswered: the server is being freed */
                        return NULL;
                }
                bool idle = !calls.first;
                if (!idle && load(lane))
                        batch_run(lane, &calls);
                else if (!idle)
                        refuse_all(lane, &calls);
                housekeep(lane, idle);
        }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void write_lane_init(struct write_lane *lane, struct write_lanes *all)
{
        lane->server = all->server;
        lane->all = all;
        lane->shared = store_is_shared(all->server->options.store);
        lane->due_next_us = INT64_MAX;
        lane->arena = arena_new(16 * 1024);
        atomic_store(&lane->moved_us, clock_monotonic_us());
}

void write_lane_done(struct write_lane *lane)
{
        if (lane->shared)
                store_conn_close(lane->db);
        arena_free(lane->arena);
        buf_done(&lane->sweep_key);
}

static struct write_lanes *lanes_new(struct rpc_server *server, struct store_writer *writer, size_t n)
{
        struct write_lanes *all = mem_zalloc(sizeof(*all) + n * sizeof(all->items[0]));
        struct metric_registry *metrics = server->options.metrics;
        all->server = server;
        all->writer = writer;
        all->n = n;
        pthread_mutex_init(&all->turn, NULL);
        all->batch_size = metric_new_plain(metrics, &batch_family);
        all->replays = metric_new(metrics, &replays_family, "%s", "");
        all->reruns = metric_new(metrics, &reruns_family, "%s", "");
        all->retried = metric_new(metrics, &retried_family, "reason=\"conflict\"");
        all->unreached = metric_new(metrics, &retried_family, "reason=\"unreached\"");
        for (size_t i = 0; i < n; i++) {
                write_lane_init(&all->items[i], all);
                all->items[i].index = (unsigned)i;
        }
        return all;
}

struct write_lanes *write_lanes_new(struct rpc_server *server, struct store_writer *writer)
{
        bool shared = store_is_shared(server->options.store);
        struct write_lanes *all = lanes_new(server, writer, shared ? (size_t)server->options.write_threads : 1);
        if (shared) {
                all->leader = leader_new(all);
                all->listener = listener_new(all);
        } else {
                all->items[0].db = store_writer_conn(writer);
        }
        for (size_t i = 0; i < all->n; i++)
                if (pthread_create(&all->items[i].thread, NULL, shared ? shared_lane_main : write_main, &all->items[i]) != 0)
                        abort();
        return all;
}

struct write_lanes *write_lanes_free(struct write_lanes *all)
{
        if (!all)
                return NULL;
        for (size_t i = 0; i < all->n; i++)
                pthread_join(all->items[i].thread, NULL);
        listener_free(all->listener);
        leader_free(all->leader);
        for (size_t i = 0; i < all->n; i++)
                write_lane_done(&all->items[i]);
        store_writer_release(all->writer);
        pthread_mutex_destroy(&all->turn);
        free(all);
        return NULL;
}

int64_t write_lanes_still_us(const struct write_lanes *all)
{
        int64_t now = clock_monotonic_us(), most = 0;
        for (size_t i = 0; all && i < all->n; i++) {
                int64_t still = now - atomic_load(&all->items[i].moved_us);
                most = still > most ? still : most;
        }
        return most;
}
