/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers: each follows one outbox in order. A batch is pulled (from the source's instance, or straight from our own
 * store) and then applied by a job of the write lane, in one transaction with the cursor, which must still be where it
 * was: so each event has its effect once, whatever is repeated.
 *
 * One batch is applied at a time. As soon as a job knows how far its batch goes, the next is asked for: it comes, or waits at
 * the source for news, while this one is written. What was asked for ahead counts only if the job commits.
 *
 * While events come in a stream, each batch would hold the few that came during the one before, at the price of a transaction
 * here and of a read there. So the next is then asked for a moment later: it brings more, and leaves more to the requests.
 */
#include "common/rpc/follower.h"
#include "common/rpc/write_lane.h"

#include "common/base/log.h"
#include "common/rpc/client.h"

#include "contract/internal_v1.h"
#include <stdio.h>
#include <stdlib.h>

#define PULL_LIMIT    1000
#define PULL_WAIT_MS  10000
#define PULL_DEADLINE (20 * CLOCK_SECOND_US)
#define ANSWER_KEPT   65536
#define STREAM_LEAST  16              /* events in a batch: they come in a stream … */
#define STREAM_MOST   (PULL_LIMIT / 2) /* … that is followed closely enough */
#define GATHER_US     (CLOCK_SECOND_US / 100)
#define REST_LEAST    (CLOCK_SECOND_US / 10)
#define REST_SHORT    (CLOCK_SECOND_US / 2) /* others were in the way, or the store away */
#define REST_MOST     (10 * CLOCK_SECOND_US)

static const struct metric_family position_family = {
        "nuanxin_consumer_position", "Position up to which a consumer has applied its source's events.", METRIC_GAUGE};
static const struct metric_family head_family = {
        "nuanxin_consumer_head", "Newest position of a consumer's source that it has heard of.", METRIC_GAUGE};
static const struct metric_family failures_family = {
        "nuanxin_consumer_failures_total", "Steps of a consumer that failed and were tried again.", METRIC_COUNTER};
static const struct metric_family unknown_family = {
        "nuanxin_consumer_unknown_total", "Events of types that this build does not know, passed over: their source is newer.",
        METRIC_COUNTER};

typedef Nuanxin__Internal__V1__PullEventsRequest PullEventsRequest;
typedef Nuanxin__Internal__V1__PullEventsResponse PullEventsResponse;
typedef Nuanxin__Internal__V1__PullSnapshotRequest PullSnapshotRequest;
typedef Nuanxin__Internal__V1__PullSnapshotResponse PullSnapshotResponse;
typedef Nuanxin__Internal__V1__OutboxEvent OutboxEvent;

/* What a row of rpc_cursor says. An empty epoch with a topic: the snapshot's first page is still to come. */
struct cursor {
        char epoch[40];
        int64_t position;
        int64_t topic; /* the snapshot's topic that is being loaded, or -1 */
        char key[201];
};

enum follower_state {
        FOLLOWER_LOADING,  /* a job reads its cursor */
        FOLLOWER_PULLING,  /* a call to the source is under way, or begins when the timer fires */
        FOLLOWER_APPLYING, /* a job applies a batch */
        FOLLOWER_IDLE,     /* own outbox: nothing to do until news */
        FOLLOWER_RESTING,  /* after a failure: until the timer fires, then LOADING */
        FOLLOWER_STOPPED,  /* until it is started: another instance leads, or this one ends */
};

/* From which state it may go to which. */
static const uint8_t follower_may[] = {
        [FOLLOWER_LOADING] = 1 << FOLLOWER_PULLING | 1 << FOLLOWER_APPLYING | 1 << FOLLOWER_RESTING | 1 << FOLLOWER_STOPPED,
        [FOLLOWER_PULLING] = 1 << FOLLOWER_APPLYING | 1 << FOLLOWER_RESTING | 1 << FOLLOWER_STOPPED,
        [FOLLOWER_APPLYING] = 1 << FOLLOWER_PULLING | 1 << FOLLOWER_APPLYING | 1 << FOLLOWER_IDLE |
                              1 << FOLLOWER_RESTING | 1 << FOLLOWER_STOPPED,
        [FOLLOWER_IDLE] = 1 << FOLLOWER_APPLYING | 1 << FOLLOWER_STOPPED,
        [FOLLOWER_RESTING] = 1 << FOLLOWER_LOADING | 1 << FOLLOWER_STOPPED,
        [FOLLOWER_STOPPED] = 1 << FOLLOWER_STOPPED | 1 << FOLLOWER_LOADING,
};

/* An answer of the source's. */
struct pulled {
        struct buf answer; /* packed */
        bool there;
        int64_t from;     /* the position after which it was asked for */
        int64_t asked_us; /* and when */
};

struct follower {
        struct rpc_server *server;
        struct rpc_client *client;
        const struct rpc_consumer *consumer;
        bool own;
        enum follower_state state;
        struct cursor cursor; /* as committed */
        struct cursor next;   /* what the job in the lane makes of it */
        bool more;            /* the job left work behind */
        bool news;            /* came while it was busy */
        bool in_lane;         /* the job is the lane's */
        bool starts;          /* as soon as the lane gives the job of before the stop back */
        int64_t head;
        _Atomic int64_t settled_us; /* until then nothing is missing here */
        size_t n_events;    /* in the batch in hand */
        size_t n_unknown;   /* events of the batch whose type this build does not know */
        bool unknown_said;
        struct pulled now, ahead;      /* what is applied; what was asked for meanwhile */
        _Atomic int64_t ahead_from;    /* of the job: the batch in hand goes so far */
        struct job job;    /* the lane's while LOADING and APPLYING */
        struct rpc_pending *pending;
        struct loop_timer *timer;
        unsigned failures;
        struct metric *position_now, *head_now, *failed, *unknown;
};

struct followers {
        size_t n;
        struct follower items[];
};

static void follower_go(struct follower *f, enum follower_state state)
{
        if (!(follower_may[f->state] & 1 << state)) {
                log_error("a consumer went astray", "consumer=%s from=%d to=%d", f->consumer->name, f->state, state);
                abort();
        }
        f->state = state;
}

static void load(struct follower *f);
static void advance(struct follower *f);
static void ask_ahead(void *arg);
static void pull(struct follower *f, int64_t after);

static void drop_ahead(struct follower *f)
{
        f->ahead.there = false;
        if (f->pending)
                rpc_pending_cancel(TAKE(f->pending));
}

/* most_us: the longest that it rests, however often it failed. */
static void rest(struct follower *f, int64_t most_us, const char *why, int error)
{
        unsigned shift = f->failures < 7 ? f->failures : 7;
        int64_t wait = REST_LEAST << shift < most_us ? REST_LEAST << shift : most_us;
        metric_add(f->failed, 1);
        if (++f->failures % 8 == 2) /* the first may be a start or a takeover */
                log_warn(why, "consumer=%s source=%s error=%d failures=%u", f->consumer->name, f->consumer->source, error,
                         f->failures);
        drop_ahead(f);
        follower_go(f, FOLLOWER_RESTING);
        loop_timer_set(f->timer, wait);
}

static void on_timer(void *arg)
{
        struct follower *f = arg;
        if (f->state == FOLLOWER_RESTING)
                load(f);
        else if (f->state == FOLLOWER_PULLING && !f->pending)
                pull(f, f->cursor.position);
}

/* --- in the write lane: the cursor ------------------------------------------------------------------------------ */

static int cursor_load(struct store_conn *db, const char *name, struct cursor *ret)
{
        static const char make[] = "INSERT INTO rpc_cursor (name, epoch, position, topic, key) VALUES ($1, '', 0, -1, '') "
                                   "ON CONFLICT (name) DO NOTHING";
        static const char sql[] = "SELECT epoch, position, topic, key FROM rpc_cursor WHERE name = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_exec(db, make, NULL, TEXTZ(name));
        if (r == 0)
                r = store_query(db, sql, &rows, TEXTZ(name));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        snprintf(ret->epoch, sizeof(ret->epoch), "%s", store_text(rows, 0).p);
        ret->position = store_i64(rows, 1);
        ret->topic = store_i64(rows, 2);
        snprintf(ret->key, sizeof(ret->key), "%s", store_text(rows, 3).p);
        return 0;
}

/* -ESTALE if the cursor is not where we left it. */
static int cursor_move(struct store_conn *db, const char *name, const struct cursor *from, const struct cursor *to)
{
        static const char sql[] = "UPDATE rpc_cursor SET epoch = $2, position = $3, topic = $4, key = $5 "
                                  "WHERE name = $1 AND epoch = $6 AND position = $7 AND topic = $8 AND key = $9";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(name), TEXTZ(to->epoch), I64(to->position), I64(to->topic),
                           TEXTZ(to->key), TEXTZ(from->epoch), I64(from->position), I64(from->topic), TEXTZ(from->key));
        return r == 0 && changed != 1 ? -ESTALE : r;
}

/* --- in the write lane: a batch --------------------------------------------------------------------------------- */

static int apply(struct follower *f, struct rpc_call *call, OutboxEvent *const *events, size_t n)
{
        struct rpc_event *batch = n ? ARENA_ARRAY(call->arena, struct rpc_event, n) : NULL;
        for (size_t i = 0; i < n; i++) {
                batch[i] = (struct rpc_event){.seq = events[i]->seq,
                                              .time_us = events[i]->time_us,
                                              .id = events[i]->id,
                                              .type = events[i]->type,
                                              .subject = events[i]->subject,
                                              .organization = events[i]->organization,
                                              .contract = contract_message_by_name(str_of(events[i]->type)),
                                              .data = {(const char *)events[i]->data.data, events[i]->data.len}};
                f->n_unknown += !batch[i].contract && !f->consumer->takes_unknown;
        }
        return n ? f->consumer->apply(call, batch, n) : 0;
}

/* Another history, or forgotten events: what was derived goes, and the snapshot comes if there is one. */
static int start_over(struct follower *f, struct rpc_call *call, const char *epoch, int64_t head)
{
        bool snapshot = f->consumer->topics && f->consumer->topics[0];
        if (!snapshot && f->own && call->writer->shared) {
                int r = numbers_settle(call->writer, &head);
                if (r != 0)
                        return r;
        }
        log_warn("a consumer starts over", "consumer=%s source=%s snapshot=%d", f->consumer->name, f->consumer->source,
                 snapshot);
        f->next = (struct cursor){.topic = snapshot ? 0 : -1, .position = snapshot ? 0 : head};
        if (!snapshot)
                snprintf(f->next.epoch, sizeof(f->next.epoch), "%s", epoch);
        f->more = true;
        return f->consumer->reset ? f->consumer->reset(call) : 0;
}

static int take_events(struct follower *f, struct rpc_call *call, const PullEventsResponse *response)
{
        f->head = response->head;
        if (response->reset)
                return start_over(f, call, response->epoch, response->head);
        snprintf(f->next.epoch, sizeof(f->next.epoch), "%s", response->epoch);
        if (response->n_events)
                f->next.position = response->events[response->n_events - 1]->seq;
        f->more = f->next.position < response->head;
        f->n_events = response->n_events;
        if (!f->own && strcmp(f->cursor.epoch, response->epoch) == 0) {
                atomic_store(&f->ahead_from, f->next.position);
                loop_post(f->server->options.loop, ask_ahead, f);
        }
        return apply(f, call, response->events, response->n_events);
}

static int take_page(struct follower *f, struct rpc_call *call, const PullSnapshotResponse *response)
{
        bool first = !f->cursor.epoch[0];
        if (!first && strcmp(f->cursor.epoch, response->epoch) != 0)
                return start_over(f, call, response->epoch, response->position);
        if (first) {
                snprintf(f->next.epoch, sizeof(f->next.epoch), "%s", response->epoch);
                f->next.position = response->position;
        }
        snprintf(f->next.key, sizeof(f->next.key), "%s", response->next_key);
        if (!response->next_key[0] && !f->consumer->topics[++f->next.topic])
                f->next.topic = -1;
        f->head = response->position;
        f->more = true;
        return apply(f, call, response->events, response->n_events);
}

static bool in_snapshot(const struct follower *f)
{
        return f->cursor.topic >= 0;
}

/* A cursor within a snapshot names a topic that the table still has. */
static const char *topic_of(const struct follower *f)
{
        size_t n = 0;
        while (f->consumer->topics && f->consumer->topics[n])
                n++;
        return (size_t)f->cursor.topic < n ? f->consumer->topics[f->cursor.topic] : "";
}

static int pull_own(struct follower *f, struct rpc_call *call, ProtobufCMessage *response)
{
        if (in_snapshot(f))
                return snapshot_pull(call, topic_of(f), f->cursor.key, PULL_LIMIT, (PullSnapshotResponse *)response);
        return outbox_pull(call, f->cursor.epoch, f->cursor.position, PULL_LIMIT, (PullEventsResponse *)response);
}

static int job_apply(struct rpc_call *call, void *arg)
{
        struct follower *f = arg;
        const struct contract_message *type =
                in_snapshot(f) ? &internal_v1_pull_snapshot_response_msg : &internal_v1_pull_events_response_msg;
        ProtobufCMessage *response = message_new(call->arena, type);
        int r = f->own ? pull_own(f, call, response)
                       : message_unpack(call->arena, type, f->now.answer.p, f->now.answer.n, &response);
        f->next = f->cursor;
        f->more = false;
        f->n_events = f->n_unknown = 0;
        if (r != 0)
                return r;
        r = in_snapshot(f) ? take_page(f, call, (PullSnapshotResponse *)response)
                           : take_events(f, call, (PullEventsResponse *)response);
        bool moved = memcmp(&f->next, &f->cursor, sizeof(f->next)) != 0;
        return r == 0 && moved ? cursor_move(call->db, f->consumer->name, &f->cursor, &f->next) : r;
}

static int job_load(struct rpc_call *call, void *arg)
{
        struct follower *f = arg;
        f->next = (struct cursor){0};
        return cursor_load(call->db, f->consumer->name, &f->next);
}

/* --- on the loop ------------------------------------------------------------------------------------------------ */

/* A newer source tells of what this build has no word for: it goes on without. */
static void tell_unknown(struct follower *f)
{
        metric_add(f->unknown, (int64_t)f->n_unknown);
        if (f->n_unknown && !f->unknown_said)
                log_warn("events of unknown types are passed over: their source is of a newer build",
                         "consumer=%s source=%s our_build=%s", f->consumer->name, f->consumer->source, contract_build);
        f->unknown_said |= f->n_unknown > 0;
        f->n_unknown = 0;
}

static void on_applied(void *arg, int result)
{
        struct follower *f = arg;
        f->in_lane = false;
        if (f->state == FOLLOWER_STOPPED) {
                if (f->starts)
                        load(f);
                return;
        }
        if (result != 0) {
                bool passes = result == STORE_E_RETRY || result == STORE_E_UNAVAILABLE || result == -ESTALE ||
                              result == -EAGAIN;
                rest(f, passes ? REST_SHORT : REST_MOST, "a consumer could not apply its events", result);
                return;
        }
        f->failures = 0;
        f->cursor = f->next;
        tell_unknown(f);
        if (!f->more && f->cursor.epoch[0] && !in_snapshot(f))
                atomic_store(&f->settled_us, f->now.asked_us);
        metric_set(f->position_now, f->cursor.position);
        metric_set(f->head_now, f->head > f->cursor.position ? f->head : f->cursor.position);
        advance(f);
}

static void submit(struct follower *f, enum follower_state state, int (*run)(struct rpc_call *, void *))
{
        follower_go(f, state);
        f->in_lane = true;
        f->job = (struct job){.run = run, .done = on_applied, .arg = f};
        server_submit_job(f->server, &f->job);
}

static void load(struct follower *f)
{
        f->starts = false;
        f->more = true;
        submit(f, FOLLOWER_LOADING, job_load);
}

static void apply_ahead(struct follower *f)
{
        struct buf empty = f->now.answer;
        f->now = f->ahead;
        f->ahead = (struct pulled){.answer = empty};
        submit(f, FOLLOWER_APPLYING, job_apply);
}

static void on_pulled(void *arg, const struct rpc_result *result)
{
        struct follower *f = arg;
        bool wanted = f->state == FOLLOWER_PULLING;
        f->pending = NULL;
        if ((!wanted && f->state != FOLLOWER_APPLYING) || result->error == -ECANCELED)
                return;
        if (result->error != 0 || result->problem != NUANXIN__PROBLEM__PROBLEM_NONE) {
                if (wanted) /* else it is asked again when its turn comes */
                        rest(f, REST_MOST, "a consumer could not pull its events", result->error ? result->error : (int)result->problem);
                return;
        }
        if (f->ahead.answer.cap > ANSWER_KEPT && result->payload.n <= ANSWER_KEPT)
                buf_done(&f->ahead.answer); /* the large ones are over */
        f->ahead.answer.n = 0;
        buf_add_str(&f->ahead.answer, result->payload);
        f->ahead.there = true;
        if (wanted)
                apply_ahead(f);
}

static void pull_events(struct follower *f, int64_t after, struct buf *out)
{
        PullEventsRequest r = NUANXIN__INTERNAL__V1__PULL_EVENTS_REQUEST__INIT;
        r.consumer = (char *)f->consumer->name;
        r.epoch = f->cursor.epoch;
        r.after = after;
        r.unsaved = after - f->cursor.position;
        r.limit = PULL_LIMIT;
        r.wait_ms = PULL_WAIT_MS;
        message_pack_buf(out, &r);
}

static void pull_page(struct follower *f, struct buf *out)
{
        PullSnapshotRequest r = NUANXIN__INTERNAL__V1__PULL_SNAPSHOT_REQUEST__INIT;
        r.topic = (char *)topic_of(f);
        r.key = f->cursor.key;
        r.limit = PULL_LIMIT;
        message_pack_buf(out, &r);
}

static void pull(struct follower *f, int64_t after)
{
        struct buf request = {0};
        bool snapshot = in_snapshot(f);
        if (snapshot)
                pull_page(f, &request);
        else
                pull_events(f, after, &request);
        f->ahead.there = false;
        f->ahead.from = after;
        f->ahead.asked_us = clock_now_us(f->server->options.clock);
        struct rpc_request call = {.method = snapshot ? &internal_v1_pull_snapshot : &internal_v1_pull_events,
                                   .service = f->consumer->source,
                                   .principal = &f->server->self,
                                   .payload = buf_str(&request),
                                   .deadline_us = PULL_DEADLINE,
                                   .long_poll = !snapshot};
        f->pending = rpc_client_call(f->client, &call, on_pulled, f);
        buf_done(&request);
}

static bool in_stream(const struct follower *f)
{
        return f->n_events >= STREAM_LEAST && f->n_events < STREAM_MOST;
}

/* The job knows how far its batch goes; it may have ended, or run again, meanwhile. */
static void ask_ahead(void *arg)
{
        struct follower *f = arg;
        if (f->state == FOLLOWER_APPLYING && !in_stream(f) && f->in_lane && !f->pending && !f->ahead.there && !in_snapshot(f))
                pull(f, atomic_load(&f->ahead_from));
}

/* What was asked for ahead, if it is what comes now. */
static void pull_next(struct follower *f)
{
        bool fits = !in_snapshot(f) && f->ahead.from == f->cursor.position;
        if (fits && f->ahead.there) {
                apply_ahead(f);
                return;
        }
        follower_go(f, FOLLOWER_PULLING);
        if (fits && f->pending)
                return;
        drop_ahead(f);
        if (in_stream(f))
                loop_timer_set(f->timer, GATHER_US);
        else
                pull(f, f->cursor.position);
}

/* The next step, if there is one. */
static void advance(struct follower *f)
{
        bool more = f->more || f->news;
        f->news = false;
        if (!f->own)
                pull_next(f);
        else if (more)
                submit(f, FOLLOWER_APPLYING, job_apply);
        else
                follower_go(f, FOLLOWER_IDLE);
}

void followers_news(struct followers *followers)
{
        for (size_t i = 0; followers && i < followers->n; i++) {
                struct follower *f = &followers->items[i];
                if (!f->own)
                        continue;
                f->news = true;
                if (f->state == FOLLOWER_IDLE)
                        advance(f);
        }
}

void followers_start(struct followers *followers)
{
        for (size_t i = 0; followers && i < followers->n; i++) {
                struct follower *f = &followers->items[i];
                if (f->state != FOLLOWER_STOPPED)
                        continue;
                f->starts = f->in_lane;
                f->failures = 0;
                if (!f->in_lane)
                        load(f);
        }
}

void followers_stop(struct followers *followers)
{
        for (size_t i = 0; followers && i < followers->n; i++) {
                struct follower *f = &followers->items[i];
                follower_go(f, FOLLOWER_STOPPED);
                f->starts = false;
                loop_timer_clear(f->timer);
                drop_ahead(f);
        }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void follower_init(struct follower *f, struct rpc_server *server, struct rpc_client *client,
                          const struct rpc_consumer *consumer)
{
        struct metric_registry *metrics = server->options.metrics;
        f->server = server;
        f->client = client;
        f->consumer = consumer;
        f->own = strcmp(consumer->source, server->service->name) == 0;
        f->timer = loop_timer_new(server->options.loop, on_timer, f);
        f->position_now = metric_new(metrics, &position_family, "consumer=\"%s\"", consumer->name);
        f->head_now = metric_new(metrics, &head_family, "consumer=\"%s\"", consumer->name);
        f->failed = metric_new(metrics, &failures_family, "consumer=\"%s\"", consumer->name);
        f->unknown = metric_new(metrics, &unknown_family, "consumer=\"%s\"", consumer->name);
        f->state = FOLLOWER_STOPPED;
}

struct followers *followers_new(struct rpc_server *server, struct rpc_client *client)
{
        const struct rpc_consumer *consumers = server->service->consumers;
        size_t n = 0;
        while (consumers && consumers[n].name)
                n++;
        struct followers *followers = mem_zalloc(sizeof(*followers) + n * sizeof(followers->items[0]));
        followers->n = n;
        for (size_t i = 0; i < n; i++)
                follower_init(&followers->items[i], server, client, &consumers[i]);
        return followers;
}

struct followers *followers_free(struct followers *followers)
{
        followers_stop(followers);
        for (size_t i = 0; followers && i < followers->n; i++) {
                loop_post_cancel(followers->items[i].server->options.loop, &followers->items[i]);
                loop_timer_free(followers->items[i].timer);
                buf_done(&followers->items[i].now.answer);
                buf_done(&followers->items[i].ahead.answer);
        }
        free(followers);
        return NULL;
}

int64_t rpc_settled_us(const struct rpc_call *call, const char *consumer)
{
        const struct followers *followers = call->server->followers;
        for (size_t i = 0; followers && i < followers->n; i++)
                if (strcmp(followers->items[i].consumer->name, consumer) == 0)
                        return atomic_load(&followers->items[i].settled_us);
        return 0;
}

void followers_status(struct rpc_server *server, struct arena *arena, Nuanxin__Internal__V1__Status *status)
{
        const struct rpc_consumer *consumers = server->service->consumers;
        struct metric_registry *metrics = server->options.metrics;
        size_t n = 0;
        while (consumers && consumers[n].name)
                n++;
        status->consumers = n ? ARENA_ARRAY(arena, Nuanxin__Internal__V1__ConsumerStatus *, n) : NULL;
        for (size_t i = 0; i < n && rpc_server_leads(server); i++) {
                Nuanxin__Internal__V1__ConsumerStatus *s = arena_alloc(arena, sizeof(*s));
                nuanxin__internal__v1__consumer_status__init(s);
                s->source = (char *)consumers[i].source;
                s->name = (char *)consumers[i].name;
                s->position = metric_get(metric_new(metrics, &position_family, "consumer=\"%s\"", s->name));
                s->head = metric_get(metric_new(metrics, &head_family, "consumer=\"%s\"", s->name));
                status->consumers[status->n_consumers++] = s;
        }
}
