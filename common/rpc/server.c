/* SPDX-License-Identifier: Apache-2.0
 *
 * The serving half on the loop's thread: a request is looked up, checked, and queued in its lane; its reply leaves from
 * here, once, whatever happens.
 */
#include "common/rpc/server_internal.h"
#include "common/rpc/write_lane.h"

#include "common/base/log.h"
#include "common/rpc/follower.h"
#include "common/rpc/move.h"
#include "common/rpc/leader.h"

#include <stdlib.h>

#define POOL_MOST  128 /* calls kept for reuse */
#define CALL_ARENA 4096
#define RETRY_MS   1000

#define SHARED_BATCH 32 /* most requests of one transaction where others write at once: a conflict costs all of them */

static const struct metric_family commit_family = {
        "nuanxin_commit_seconds", "Duration of the write lane's commits.", METRIC_HISTOGRAM};
static const struct metric_family head_family = {
        "nuanxin_outbox_head", "Position of the newest event in this service's outbox.", METRIC_GAUGE};
static const struct metric_family out_of_role_family = {
        "nuanxin_rpc_out_of_role_total", "Requests refused because the connection's role may not ask as such a principal.",
        METRIC_COUNTER};

/* --- calls ------------------------------------------------------------------------------------------------------ */

static struct rpc_call *call_take(struct rpc_server *server)
{
        struct rpc_call *call = call_list_take(&server->pool);
        if (!call) {
                call = mem_zalloc(sizeof(*call));
                call->arena = arena_new(CALL_ARENA);
        }
        call->server = server;
        return call;
}

static void call_free(struct rpc_call *call)
{
        bus_frame_close(&call->payload);
        arena_free(call->arena);
        free(call);
}

static void call_give_back(struct rpc_call *call)
{
        struct rpc_server *server = call->server;
        struct arena *arena = call->arena;
        if (server->pool.n >= POOL_MOST) {
                call_free(call);
                return;
        }
        bus_frame_close(&call->payload);
        arena_reset(arena);
        *call = (struct rpc_call){.arena = arena};
        call_list_add(&server->pool, call);
}

static void list_free(struct call_list *calls)
{
        struct rpc_call *call;
        while ((call = call_list_take(calls))) {
                list_free(&call->waiting);
                call_free(call);
        }
}

/* --- the end of a call ------------------------------------------------------------------------------------------ */

static void count(const struct rpc_call *call)
{
        const struct served *s = call->served;
        bool failed = call->problem == NUANXIN__PROBLEM__PROBLEM_INTERNAL ||
                      call->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE ||
                      call->problem == NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED;
        if (!s)
                return;
        metric_observe(s->duration, clock_monotonic_us() - call->received_us);
        metric_add(call->problem == NUANXIN__PROBLEM__PROBLEM_NONE ? s->ok : failed ? s->failed : s->refused, 1);
}

void server_check_drained(struct rpc_server *server)
{
        loop_fn on_drained = server->on_drained;
        if (!on_drained || server->active)
                return;
        server->on_drained = NULL;
        on_drained(server->drained_arg);
}

static void queue(struct rpc_server *server, struct rpc_call *call);

/* Sends the reply; whoever waited for this call's outcome is queued and will find its stored answer. */
static void call_end(struct rpc_call *call)
{
        struct rpc_server *server = call->server;
        struct call_list waiting = call->waiting;
        struct rpc_call *next;
        if (call->in_flight)
                flights_remove(server->flights, call);
        count(call);
        if (!call->told)
                server->options.reply(server->options.reply_arg, &call->from, call->envelope, call->answer);
        call_give_back(call);
        server->active--;
        while ((next = call_list_take(&waiting)))
                queue(server, next);
        server_check_drained(server);
}

static void call_end_here(struct rpc_call *call)
{
        call_seal(call);
        call_end(call);
}

static void job_end(struct rpc_call *call)
{
        struct rpc_server *server = call->server;
        const struct job *job = call->job;
        int result = call->result;
        call_give_back(call);
        server->active--;
        job->done(job->arg, result);
        server_check_drained(server);
}

static void see_use(struct rpc_server *server)
{
        int use = atomic_load(&server->use);
        if (use == server->use_seen)
                return;
        server->use_seen = use;
        atomic_store(&server->is_writer, server->writers && use != STORE_HELD && use != STORE_MOVED);
        if (server->options.changed)
                server->options.changed(server->options.reply_arg, use == STORE_MOVED);
}

static void on_done(void *arg)
{
        struct rpc_server *server = arg;
        struct rpc_call *call;
        pthread_mutex_lock(&server->done_lock);
        struct call_list done = server->done;
        server->done = (struct call_list){0};
        server->done_posted = false;
        bool woken = server->woken;
        server->woken = false;
        pthread_mutex_unlock(&server->done_lock);
        while ((call = call_list_take(&done)))
                if (call->parked)
                        parking_add(server->parking, call);
                else if (call->job)
                        job_end(call);
                else
                        call_end(call);
        see_use(server);
        int64_t head = atomic_load(&server->outbox_head), news = atomic_load(&server->news);
        bool outbox = head > server->outbox_seen, own = news > server->news_seen;
        server->outbox_seen = head;
        server->news_seen = news;
        if (outbox || own)
                parking_wake(server->parking);
        if (outbox)
                followers_news(server->followers);
        if (own)
                worker_news(server->worker);
        if (woken)
                worker_wake(server->worker);
}

/* Under the lock. */
static void post_done(struct rpc_server *server)
{
        if (!server->done_posted)
                loop_post(server->options.loop, on_done, server);
        server->done_posted = true;
}

void server_finished(struct rpc_server *server, struct call_list *calls)
{
        for (struct rpc_call *call = calls->first; call; call = call->next)
                if (!call->parked && !call->job)
                        call_seal(call);
        if (!calls->first)
                return;
        pthread_mutex_lock(&server->done_lock);
        call_list_join(&server->done, calls);
        post_done(server);
        pthread_mutex_unlock(&server->done_lock);
}

/* False: it was known. */
static bool raise_to(_Atomic int64_t *position, int64_t to)
{
        int64_t known = atomic_load(position);
        while (to > known && !atomic_compare_exchange_weak(position, &known, to))
                ;
        return to > known;
}

static void wake(struct rpc_server *server)
{
        pthread_mutex_lock(&server->done_lock);
        post_done(server);
        pthread_mutex_unlock(&server->done_lock);
}

void server_news(struct rpc_server *server, int64_t head)
{
        if (!raise_to(&server->outbox_head, head))
                return;
        metric_set(server->head, head);
        wake(server);
}

void server_own_news(struct rpc_server *server, int64_t position)
{
        if (raise_to(&server->news, position))
                wake(server);
}

int server_read_own_news(struct rpc_server *server, struct store_conn *db)
{
        int64_t position = 0;
        int r = server->service->news ? server->service->news(db, &position) : 0;
        if (r == 0)
                server_own_news(server, position);
        return r;
}

void server_wake(struct rpc_server *server)
{
        pthread_mutex_lock(&server->done_lock);
        server->woken = true;
        post_done(server);
        pthread_mutex_unlock(&server->done_lock);
}

/* --- the beginning of a call ------------------------------------------------------------------------------------ */

void server_use(struct rpc_server *server, int state)
{
        pthread_mutex_lock(&server->done_lock);
        atomic_store(&server->use, state);
        post_done(server);
        pthread_mutex_unlock(&server->done_lock);
}

bool server_is_draining(const struct rpc_server *server)
{
        return atomic_load_explicit(&server->draining, memory_order_relaxed);
}

static void on_turn_end(void *arg)
{
        struct rpc_server *server = arg;
        lane_flush(&server->read);
        lane_flush(&server->slow);
        lane_flush(&server->write);
}

static void push(struct rpc_server *server, struct lane *lane, struct rpc_call *call)
{
        lane_push(lane, call);
        loop_at_turn_end(server->options.loop, &server->turn_end);
}

/* False: it is answered already, or waits for the first with its key. */
static bool take_off(struct rpc_server *server, struct rpc_call *call)
{
        struct rpc_call *first = flights_find(server->flights, call);
        if (!first) {
                flights_add(server->flights, call);
                return true;
        }
        if (call->client_key && call->attempt == 0) {
                call_begin(call, NULL, NULL);
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_IDEMPOTENCY_IN_FLIGHT);
                call_end_here(call);
        } else {
                call_list_add(&first->waiting, call);
        }
        return false;
}

static void queue(struct rpc_server *server, struct rpc_call *call)
{
        Nuanxin__Lane which = call->served->contract->lane;
        struct lane *lane = which == NUANXIN__LANE__READ ? &server->read
                            : call->served->method->prepare ? &server->slow
                                                            : &server->write;
        if (which == NUANXIN__LANE__READ || take_off(server, call))
                push(server, lane, call);
}

/* Refuses at once what needs no lane to be refused. True: done. */
static bool refuse_early(struct rpc_server *server, struct rpc_call *call)
{
        bool writes = call->served && call->served->contract->lane != NUANXIN__LANE__READ;
        struct lane *lane = !writes ? &server->read : call->served->method->prepare ? &server->slow : &server->write;
        bool held = writes && !atomic_load(&server->is_writer) && !move_is_step(call);
        if (server_is_draining(server) || (writes && !server->writers) || held) {
                call_unavailable(call, RETRY_MS);
                call->not_writer = true; /* nothing was done: ask another instance */
        } else if (!call->served) { /* an older or newer build: callers that read our Hello do not come here */
                call_unavailable(call, RETRY_MS);
        } else if (call->deadline_us <= call->received_us) {
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED);
        } else if (lane_depth(lane) >= server->options.lane_queue) {
                metric_add(lane->shed_total, 1);
                call_unavailable(call, RETRY_MS);
        } else if (!writes && !server->readable) {
                call_unavailable(call, RETRY_MS);
        } else {
                return false;
        }
        return true;
}

void rpc_server_submit(struct rpc_server *server, const struct bus_peer *from,
                       const Nuanxin__Internal__V1__Envelope *envelope, struct arena **arena,
                       struct bus_frame *payload)
{
        const Nuanxin__Internal__V1__Request *request = envelope->request;
        struct rpc_call *call = call_take(server);
        struct arena *empty = call->arena;
        call->arena = *arena;
        *arena = empty;
        server->active++;
        call->from = *from;
        call->id = envelope->id;
        call->payload = *payload;
        *payload = (struct bus_frame){0};
        call_begin(call, NULL, NULL);
        call->served = server_find(server, request->method);
        if (call->served && !table_accepts(call->served->contract, request->input_hash))
                call->served = NULL;
        if (call->served && !call_accept(call, request)) {
                (void)rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                                 "The envelope breaks a bound of the contract.");
                call_refused(call);
                call_end_here(call);
        } else if (call->served && !call_fits_role(call)) {
                (void)rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED, call->served->contract->permission);
                call_refused(call);
                call_end_here(call);
        } else if (refuse_early(server, call)) {
                call_end_here(call);
        } else {
                queue(server, call);
        }
}

static void submit(struct rpc_server *server, struct lane *lane, const struct job *job)
{
        struct rpc_call *call = call_take(server);
        server->active++;
        call->job = job;
        call->principal = &server->self;
        call->actor = audit_actor(call->arena, &server->self);
        call->address = "";
        call->key = "";
        call->now_us = clock_now_us(server->options.clock);
        push(server, lane, call);
}

void server_submit_job(struct rpc_server *server, const struct job *job)
{
        submit(server, &server->write, job);
}

void server_submit_read(struct rpc_server *server, const struct job *job)
{
        submit(server, &server->read, job);
}

/* --- the server's life ------------------------------------------------------------------------------------------ */

static void start_threads(struct rpc_server *server)
{
        size_t n_read = (size_t)server->options.read_threads, n_slow = (size_t)server->options.slow_threads;
        server->n_threads = n_read + n_slow;
        server->threads = mem_zalloc(server->n_threads * sizeof(server->threads[0]));
        for (size_t i = 0; i < server->n_threads; i++) {
                struct lane_thread *t = &server->threads[i];
                t->server = server;
                if (pthread_create(&t->thread, NULL, i < n_read ? read_main : slow_main, t) != 0)
                        abort();
        }
}

static void set_defaults(struct rpc_server_options *o)
{
        o->read_threads = o->read_threads > 0 ? o->read_threads : 2;
        o->slow_threads = o->slow_threads > 0 ? o->slow_threads : 1;
        o->write_threads = o->write_threads > 0 ? o->write_threads : 4;
        o->write_batch = o->write_batch > 0 ? o->write_batch : 256;
        if (store_is_shared(o->store) && o->write_batch > SHARED_BATCH)
                o->write_batch = SHARED_BATCH;
        o->lane_queue = o->lane_queue ? o->lane_queue : 8192;
        o->answers_kept_us = o->answers_kept_us ? o->answers_kept_us : CLOCK_DAY_US;
        o->gateway_answers_kept_us = o->gateway_answers_kept_us ? o->gateway_answers_kept_us : 10 * CLOCK_MINUTE_US;
}

/* The same query of so many requests is one statement to PostgreSQL (store_gather). */
#define READ_TOGETHER 16

static void init_lanes(struct rpc_server *server)
{
        struct metric_registry *metrics = server->options.metrics;
        lane_init(&server->read, "read", metrics);
        lane_init(&server->slow, "slow", metrics);
        lane_init(&server->write, "write", metrics);
        server->read.n_threads = (unsigned)server->options.read_threads;
        server->read.together = store_is_shared(server->options.store) ? READ_TOGETHER : 0;
        server->slow.n_threads = (unsigned)server->options.slow_threads;
        server->write.n_threads = store_is_shared(server->options.store) ? (unsigned)server->options.write_threads : 1;
        server->read.shed = (struct shed){.target_us = 5000, .interval_us = 100000};
        server->write.shed = (struct shed){.target_us = 50000, .interval_us = 500000};
        server->slow.shed = (struct shed){.target_us = 1000000, .interval_us = 2000000};
}

int rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret_server)
{
        struct rpc_server *server = mem_zalloc(sizeof(*server));
        server->options = *options;
        set_defaults(&server->options);
        server->service = options->service;
        server->started_us = clock_now_us(options->clock);
        nuanxin__internal__v1__principal__init(&server->self);
        server->self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        server->self.id = (char *)options->service->name;
        pthread_mutex_init(&server->done_lock, NULL);
        server->turn_end = (struct loop_turn){.fn = on_turn_end, .arg = server};
        init_lanes(server);
        server->commit = metric_new(options->metrics, &commit_family, "%s", "");
        server->head = metric_new(options->metrics, &head_family, "%s", "");
        server->out_of_role = metric_new(options->metrics, &out_of_role_family, "%s", "");
        reach_init(&server->reach, options->metrics);
        server->flights = flights_new(server);
        server->parking = parking_new(server);
        server->readers = readers_new();
        int r = table_make(server);
        if (r != 0) {
                rpc_server_free(server);
                return r;
        }
        start_threads(server);
        *ret_server = server;
        return 0;
}

struct rpc_server *rpc_server_free(struct rpc_server *server)
{
        if (!server)
                return NULL;
        struct lane *lanes[] = {&server->read, &server->slow, &server->write};
        for (size_t i = 0; i < ARRAY_LEN(lanes); i++)
                lane_stop(lanes[i]);
        for (size_t i = 0; i < server->n_threads; i++)
                pthread_join(server->threads[i].thread, NULL);
        server->writers = write_lanes_free(server->writers);
        server->followers = followers_free(server->followers);
        server->worker = worker_free(server->worker);
        for (size_t i = 0; i < ARRAY_LEN(lanes); i++) {
                lane_done(lanes[i]);
                list_free(&lanes[i]->queue);
        }
        struct call_list parked = parking_empty(server->parking);
        list_free(&parked);
        list_free(&server->done);
        list_free(&server->pool);
        parking_free(server->parking);
        flights_free(server->flights);
        readers_free(server->readers);
        loop_turn_cancel(server->options.loop, &server->turn_end);
        loop_post_cancel(server->options.loop, server);
        pthread_mutex_destroy(&server->done_lock);
        free(server->threads);
        free(server->served);
        free(server);
        return NULL;
}

void rpc_server_become_writer(struct rpc_server *server, struct store_writer *writer, struct rpc_client *client)
{
        bool shared = store_is_shared(server->options.store);
        server->followers = followers_new(server, client);
        server->worker = worker_new(server);
        server->writers = write_lanes_new(server, writer);
        atomic_store(&server->is_writer, true);
        if (!shared) { /* who writes leads, and hears of all that is written */
                atomic_store(&server->hears_news, true);
                followers_start(server->followers);
                worker_start(server->worker);
        }
}

bool rpc_server_is_writer(const struct rpc_server *server)
{
        return atomic_load(&server->is_writer);
}

bool rpc_server_leads(const struct rpc_server *server)
{
        if (!atomic_load(&server->is_writer))
                return false;
        return !server->writers->leader || leader_leads(server->writers->leader);
}

int64_t rpc_server_away_us(const struct rpc_server *server)
{
        return reach_away_us(&server->reach);
}

int64_t rpc_server_still_us(const struct rpc_server *server)
{
        return server->writers && server->writers->leader ? write_lanes_still_us(server->writers) : 0;
}

void rpc_server_open_readers(struct rpc_server *server)
{
        server->readable = true;
}

void rpc_server_drain(struct rpc_server *server, loop_fn on_drained, void *arg)
{
        server->on_drained = on_drained;
        server->drained_arg = arg;
        atomic_store(&server->draining, true);
        followers_stop(server->followers);
        worker_stop(server->worker);
        if (server->writers && server->writers->leader)
                leader_resign(server->writers->leader);
        parking_wake(server->parking);
        server_check_drained(server);
}
