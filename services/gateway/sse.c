/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers of event streams.
 */
#include "services/gateway/sse.h"

#include "common/contract/message.h"
#include "services/gateway/answer.h"
#include "services/gateway/auth.h"
#include "services/gateway/decode.h"
#include "services/gateway/feed.h"
#include "services/gateway/waits.h"

#include <stdio.h>
#include <stdlib.h>

#define TICK_US       CLOCK_SECOND_US
#define RETRY_MS      1000 /* when a stream has ended, clients come again after this and up to … */
#define RETRY_MORE_MS 2000 /* … this more, so that not all come at once */

static const struct metric_family family_streams = {"nuanxin_gateway_streams", "Open event streams.", METRIC_GAUGE};
static const struct metric_family family_ended = {
        "nuanxin_gateway_streams_ended_total",
        "Event streams that ended, by reason: gone (the client left), slow (it did not read), refused, drained.", METRIC_COUNTER};

struct sse_reader {
        struct feed_reader feed; /* first: on_answer is told this */
        struct request *request;
        char cursor[FEED_CURSOR_SIZE];
        bool begun;   /* its head has left */
        bool live;    /* it has come to the newest event */
        bool full;    /* too much waits for it */
        bool moved;   /* on to a cursor that it has not been told */
        int64_t said_us;    /* when something was written last */
        int64_t emptied_us; /* all had left, or: since then something waits */
        struct metric *ended; /* why; NULL: its client left */
        TAILQ_ENTRY(sse_reader) all;
};

struct sse {
        struct worker *worker;
        struct feeds *feeds;
        TAILQ_HEAD(, sse_reader) readers;
        struct loop_timer *timer;
        struct metric *streams, *gone, *slow, *refused, *drained;
};

/* --- its end ---------------------------------------------------------------------------------------------------------- */

/* From let_go, however it came to that. */
void sse_forget(struct request *r)
{
        struct sse *sse = r->worker->sse;
        struct sse_reader *x = r->reader;
        if (!x)
                return;
        r->reader = NULL;
        feed_leave(&x->feed);
        TAILQ_REMOVE(&sse->readers, x, all);
        if (!x->begun)
                return;
        metric_add(sse->streams, -1);
        metric_add(x->ended ? x->ended : sse->gone, 1);
}

static struct http_request *leave(struct sse_reader *x, struct metric *reason)
{
        struct http_request *http = x->request->http;
        x->ended = reason;
        request_done(x->request, 200);
        return http;
}

static void finish(struct sse_reader *x, struct metric *reason)
{
        http_answer_end(leave(x, reason), true);
}

/* --- what it is sent -------------------------------------------------------------------------------------------------- */

static int64_t now_of(const struct sse_reader *x)
{
        return loop_now_us(x->request->worker->loop);
}

static void note_written(struct sse_reader *x, size_t waited)
{
        x->said_us = now_of(x);
        if (waited == 0)
                x->emptied_us = x->said_us;
}

static void on_more(void *user)
{
        struct request *r = user;
        struct sse_reader *x = r->reader;
        x->emptied_us = now_of(x);
        if (x->full)
                x->full = x->live = false;
        if (!x->feed.fetch)
                feed_ask(&x->feed, x->cursor, true);
}

static void begin(struct sse_reader *x)
{
        struct request *r = x->request;
        struct head h = {0};
        uint16_t random;
        id_random(&random, sizeof(random));
        const char *retry = arena_printf(r->http->arena, "retry: %u\n\n", RETRY_MS + random % RETRY_MORE_MS);
        head_add(&h, "Content-Type", STR("text/event-stream"));
        head_add(&h, "Cache-Control", STR("no-store"));
        head_add(&h, "X-Accel-Buffering", STR("no")); /* a proxy of nginx's would keep events back */
        head_common(&h, r);
        const struct http_answer answer = {.status = 200, .fields = h.fields, .n_fields = h.n, .body = str_of(retry), .endless = true};
        request_begun(r, 200);
        x->begun = true;
        metric_add(r->worker->sse->streams, 1);
        http_answer_begin(r->http, &answer, on_more, r);
        note_written(x, 0);
}

/* One whose answer has begun is told when it comes again. */
static void refuse(struct sse_reader *x, const struct rpc_result *result)
{
        struct request *r = x->request;
        if (!x->begun) {
                (void)request_call_failed(r, result);
                return;
        }
        if (!result->error && contract_problem_of(result->problem)->status == 401)
                auth_refuse(r);
        finish(x, r->worker->sse->refused);
}

static void on_answer(struct feed_reader *feed, const struct feed_answer *a)
{
        struct sse_reader *x = (struct sse_reader *)feed;
        struct request *r = x->request;
        struct sse *sse = r->worker->sse;
        if (a->result->error || a->result->problem != NUANXIN__PROBLEM__PROBLEM_NONE) {
                refuse(x, a->result);
                return;
        }
        if (!x->begun)
                begin(x);
        if (r->http->method == HTTP_HEAD || r->worker->drain_until_us) {
                finish(x, r->http->method == HTTP_HEAD ? sse->gone : sse->drained);
                return;
        }
        size_t waited = http_answer_unsent(r->http);
        if (strcmp(x->cursor, a->cursor) != 0)
                x->moved = true;
        memcpy(x->cursor, a->cursor, sizeof(x->cursor));
        x->live = x->live || a->latest;
        x->full = x->live && waited > 0 && waited + a->events_n >= SSE_UNREAD_MOST;
        if ((x->live && !x->full) || (!a->events && waited == 0))
                feed_ask(&x->feed, x->cursor, true);
        if (a->events) {
                bool left = http_answer_shared(r->http, a->events);
                note_written(x, waited);
                x->moved = false;
                if (left && !x->feed.fetch)
                        feed_ask(&x->feed, x->cursor, true);
        }
}

/* --- each second ------------------------------------------------------------------------------------------------------ */

static void heartbeat(struct sse_reader *x)
{
        char text[FEED_CURSOR_SIZE + 8] = ":\n\n";
        if (x->moved)
                snprintf(text, sizeof(text), "id: %s\n\n", x->cursor);
        x->moved = false;
        http_answer_piece(x->request->http, str_of(text));
        note_written(x, 0);
}

static void look_at(struct sse_reader *x, int64_t now)
{
        struct sse *sse = x->request->worker->sse;
        if (!x->begun)
                return;
        if (!request_may_call(x->request)) /* whose key or session has ended, as somebody else found out */
                finish(x, sse->refused);
        else if (x->full && now - x->emptied_us >= SSE_FULL_US)
                http_answer_abort(leave(x, sse->slow));
        else if (now - x->said_us >= SSE_HEARTBEAT_US && http_answer_unsent(x->request->http) == 0)
                heartbeat(x);
}

static void on_tick(void *arg)
{
        struct sse *sse = arg;
        int64_t now = loop_now_us(sse->worker->loop);
        for (struct sse_reader *x = TAILQ_FIRST(&sse->readers), *next; x; x = next) {
                next = TAILQ_NEXT(x, all);
                look_at(x, now);
        }
        if (TAILQ_FIRST(&sse->readers))
                loop_timer_set(sse->timer, TICK_US);
}

/* --- its start -------------------------------------------------------------------------------------------------------- */

/* Where it begins: after what it had last, else where its query says. False: it has been answered. */
static bool cursor_of(struct request *r, struct sse_reader *x)
{
        struct str last = r->headers.values[HEADER_LAST_EVENT_ID];
        struct str cursor = str_of(*(char **)decode_member(r->route->cursor, r->message));
        if (last.n)
                cursor = last;
        if (cursor.n >= sizeof(x->cursor) || !str_is_utf8(cursor)) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_CURSOR_UNKNOWN, NULL);
                return false;
        }
        memcpy(x->cursor, cursor.p, cursor.n);
        return true;
}

void sse_start(struct request *r)
{
        struct sse *sse = r->worker->sse;
        struct sse_reader *x = ARENA_NEW(r->http->arena, struct sse_reader);
        if (!request_may_call(r)) {
                answer_refusal(r, auth_problem(r), NULL);
                return;
        }
        if (!cursor_of(r, x) || !waits_enter(r))
                return;
        x->request = r;
        x->feed.on_answer = on_answer;
        r->state = REQUEST_STREAMING;
        r->reader = x;
        if (!TAILQ_FIRST(&sse->readers))
                loop_timer_set(sse->timer, TICK_US);
        TAILQ_INSERT_TAIL(&sse->readers, x, all);
        feed_enter(sse->feeds, &x->feed, r->route, r->who->principal, r->message);
        feed_ask(&x->feed, x->cursor, false);
}

void sse_drain(struct sse *sse)
{
        for (struct sse_reader *x = TAILQ_FIRST(&sse->readers), *next; x; x = next) {
                next = TAILQ_NEXT(x, all);
                if (x->begun)
                        finish(x, sse->drained);
        }
}

struct sse *sse_new(struct worker *w)
{
        struct metric_registry *metrics = w->gateway->metrics;
        struct sse *sse = mem_zalloc(sizeof(*sse));
        sse->worker = w;
        sse->feeds = feeds_new(w);
        sse->timer = loop_timer_new(w->loop, on_tick, sse);
        sse->streams = metric_new(metrics, &family_streams, "%s", "");
        sse->gone = metric_new(metrics, &family_ended, "reason=\"gone\"");
        sse->slow = metric_new(metrics, &family_ended, "reason=\"slow\"");
        sse->refused = metric_new(metrics, &family_ended, "reason=\"refused\"");
        sse->drained = metric_new(metrics, &family_ended, "reason=\"drained\"");
        TAILQ_INIT(&sse->readers);
        return sse;
}

struct sse *sse_free(struct sse *sse)
{
        if (sse) {
                loop_timer_free(sse->timer);
                feeds_free(sse->feeds);
                free(sse);
        }
        return NULL;
}
