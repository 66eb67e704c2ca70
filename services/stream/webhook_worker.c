/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends events to webhooks: a worker of the instance that leads. Each endpoint has a hook, which has one thing in hand at a time
 * and never waits for another's:
 *
 *   look (read lane) → send → settle (write lane) → look …, until nothing is left; then again on news, or when a retry is due.
 *
 * What an endpoint has acknowledged is written down before its next event leaves; who takes over begins from what is written.
 */
#include "services/stream/webhook_worker.h"

#include "services/stream/agencies.h"
#include "services/stream/state.h"
#include "services/stream/webhook_figures.h"

#include "common/base/log.h"
#include "common/contract/contract.h"
#include "common/outbound/outbound.h"
#include "common/rpc/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define SURVEY_US   (5 * CLOCK_SECOND_US)   /* for what nobody told of, and for metrics */
#define POLL_US     (CLOCK_SECOND_US / 5)   /* how late a retry may be: the service's clock may be moved */
#define REST_US     (CLOCK_SECOND_US / 20)   /* after a look without a find: a busy log is not asked at each of its events, */
#define REST_EACH_US 1000                    /* and a thousand times a second by all hooks together */
#define AGAIN_US    (CLOCK_SECOND_US / 2)   /* after a job that failed */
#define REMEMBER_US (10 * CLOCK_SECOND_US)  /* how often it is written down that there was nothing for it */
#define GRACE_US    (5 * CLOCK_SECOND_US)   /* for what is under way when this instance ends or leads no longer */

enum hook_state {
        HOOK_IDLE,     /* until news, or its time */
        HOOK_LOOKING,  /* a job finds out what is next */
        HOOK_SENDING,  /* a request is under way */
        HOOK_SETTLING, /* a job writes down what came of it */
        HOOK_WAITING,  /* that failed: until it is tried again */
};

/* From which state it may go to which. */
static const uint8_t hook_may[] = {
        [HOOK_IDLE] = 1 << HOOK_LOOKING,
        [HOOK_LOOKING] = 1 << HOOK_IDLE | 1 << HOOK_SENDING | 1 << HOOK_SETTLING,
        [HOOK_SENDING] = 1 << HOOK_SETTLING | 1 << HOOK_IDLE,
        [HOOK_SETTLING] = 1 << HOOK_IDLE | 1 << HOOK_WAITING,
        [HOOK_WAITING] = 1 << HOOK_SETTLING,
};

struct hook {
        struct hook *next; /* by rising id */
        struct webhook_worker *worker;
        char id[ID_TEXT_SIZE];
        enum hook_state state;
        bool wants;      /* to look */
        int64_t at_us;   /* UTC: a retry is due; 0: none */
        int64_t from_us; /* monotonic: not before */
        int64_t revision, position, written_us; /* there is nothing for it up to here; when that was last written down */
        struct look look;
        struct settle settle;
        struct job job;
        struct outbound_call *sending;
};

struct webhook_worker {
        struct rpc_worker *host;
        struct agencies *agencies;
        const struct stream_webhook_options *options;
        struct outbound *outbound;
        struct loop_timer *timer, *grace;
        int64_t timer_at_us, survey_at_us; /* monotonic */
        struct hook *hooks;
        size_t n_hooks;
        bool runs, surveying;
        struct survey surveys[2]; /* the newest, and the one before or under way */
        unsigned newest;
        struct job survey_job;
        struct webhook_figures figures;
};

static void consider(struct hook *h);

static void hook_go(struct hook *h, enum hook_state state)
{
        if (!(hook_may[h->state] & 1 << state)) {
                log_error("a webhook went astray", "endpoint=%s from=%d to=%d", h->id, h->state, state);
                abort();
        }
        h->state = state;
}

static int64_t utc_now(const struct webhook_worker *w)
{
        return clock_now_us(rpc_worker_clock(w->host));
}

static void arm(struct webhook_worker *w, int64_t after_us)
{
        int64_t at_us = clock_monotonic_us() + after_us;
        if (at_us >= w->timer_at_us)
                return;
        w->timer_at_us = at_us;
        loop_timer_set(w->timer, after_us);
}

/* Idle, and to look when the time has come. */
static void rest(struct hook *h, bool wants, int64_t for_us)
{
        if (h->state != HOOK_IDLE)
                hook_go(h, HOOK_IDLE);
        h->wants |= wants;
        h->from_us = clock_monotonic_us() + for_us;
        consider(h);
}

/* --- settling --------------------------------------------------------------------------------------------------------- */

static void say(const struct hook *h)
{
        const struct attempt *a = &h->look.attempt;
        enum look_result result = h->look.result;
        enum webhook_outcome outcome = h->settle.outcome;
        if (result == LOOK_SEND && outcome == WEBHOOK_ENDED)
                log_warn("retries ended: an endpoint is paused", "endpoint=%s seq=%lld status=%u", h->id, (long long)a->seq,
                         a->status);
        else if (result == LOOK_SEND && outcome == WEBHOOK_GONE)
                log_warn("an endpoint is gone: it is disabled", "endpoint=%s seq=%lld", h->id, (long long)a->seq);
        else if (result == LOOK_DEAD)
                log_warn("an event is too large for webhooks: it is left out", "endpoint=%s seq=%lld", h->id, (long long)a->seq);
        else if (result == LOOK_LOST)
                log_warn("the log no longer keeps what is next for an endpoint", "endpoint=%s", h->id);
}

static void on_settled(void *arg, int result)
{
        struct hook *h = arg;
        struct webhook_worker *w = h->worker;
        bool sent = h->look.result == LOOK_SEND;
        if (result != 0) {
                bool passes = result == STORE_E_RETRY || result == STORE_E_UNAVAILABLE || result == -EAGAIN;
                metric_add(w->figures.failures, 1);
                if (!passes)
                        log_error("what came of a delivery cannot be written down", "endpoint=%s error=%d", h->id, result);
                hook_go(h, HOOK_WAITING);
                h->from_us = clock_monotonic_us() + AGAIN_US;
                arm(w, AGAIN_US);
                return;
        }
        if (sent) {
                rpc_worker_release(w->host);
                metric_add(w->figures.outcomes[h->settle.outcome], 1);
        }
        if (sent && h->settle.outcome == WEBHOOK_DONE && h->look.attempt.kind == WEBHOOK_DELIVERY)
                agencies_count_sent(w->agencies, rpc_worker_metrics(w->host), "webhook", 1);
        metric_add(w->figures.dead, h->look.result == LOOK_DEAD);
        say(h);
        rest(h, true, sent && h->look.attempt.kind == WEBHOOK_DELIVERY ? h->look.spacing_us : 0);
}

static int run_settle(struct rpc_call *call, void *arg)
{
        struct hook *h = arg;
        return settle_run(call, &h->settle);
}

static void settle(struct hook *h)
{
        hook_go(h, HOOK_SETTLING);
        h->settle.look = &h->look;
        id_random(&h->settle.random, sizeof(h->settle.random));
        h->job = (struct job){.run = run_settle, .done = on_settled, .arg = h};
        rpc_worker_write(h->worker->host, &h->job);
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

static void on_answer(void *arg, const struct outbound_result *result)
{
        struct hook *h = arg;
        struct webhook_worker *w = h->worker;
        struct attempt *a = &h->look.attempt;
        h->sending = NULL;
        a->status = result->status;
        a->error = arena_strdup(h->look.arena, result->error);
        a->took_us = result->took_us;
        a->retry_after_us = outbound_retry_after_us(result->fields[0], utc_now(w));
        a->allowed_origin = arena_strdup(h->look.arena, result->fields[1]);
        a->allowed_rate = arena_strdup(h->look.arena, result->fields[2]);
        metric_add(w->figures.under_way, -1);
        metric_observe(w->figures.took, a->took_us);
        settle(h);
}

static void send_request(struct hook *h)
{
        struct webhook_worker *w = h->worker;
        const struct outbound_request request = {
                .method = h->look.request.method,
                .url = h->look.request.url,
                .fields = h->look.request.fields,
                .body = h->look.request.body,
                .timeout_us = WEBHOOK_TIMEOUT_US,
                .wanted = {"Retry-After", "WebHook-Allowed-Origin", "WebHook-Allowed-Rate"},
        };
        hook_go(h, HOOK_SENDING);
        h->look.attempt.began_us = utc_now(w);
        rpc_worker_hold(w->host);
        metric_add(w->figures.under_way, 1);
        h->sending = outbound_send(w->outbound, &request, on_answer, h);
}

static void give_up_sending(struct hook *h)
{
        outbound_cancel(TAKE(h->sending));
        metric_add(h->worker->figures.under_way, -1);
        rpc_worker_release(h->worker->host);
        hook_go(h, HOOK_IDLE);
}

/* --- looking --------------------------------------------------------------------------------------------------------- */

static void hook_remove(struct hook *h)
{
        struct hook **p = &h->worker->hooks;
        while (*p != h)
                p = &(*p)->next;
        *p = h->next;
        h->worker->n_hooks--;
        arena_free(h->look.arena);
        free(h);
}

/* Nothing is for it up to there: that is remembered, and now and then written down. */
static void pass(struct hook *h)
{
        const struct look *look = &h->look;
        int64_t now = clock_monotonic_us();
        bool knew = h->revision == look->found_revision && h->position >= look->through;
        if (look->attempt.redriven) {
                settle(h);
                return;
        }
        h->revision = look->found_revision;
        h->position = look->through;
        if (!knew && now - h->written_us > REMEMBER_US) {
                h->written_us = now;
                settle(h);
                return;
        }
        bool more = !knew && look->through < look->latest;
        rest(h, more, more ? 0 : REST_US + (int64_t)h->worker->n_hooks * REST_EACH_US);
}

static void go_on(struct hook *h)
{
        switch (h->look.result) {
        case LOOK_SEND:
                send_request(h);
                break;
        case LOOK_DEAD:
        case LOOK_LOST:
                settle(h);
                break;
        case LOOK_NOTHING:
                pass(h);
                break;
        case LOOK_LATER:
                h->at_us = h->look.at_us;
                rest(h, false, 0);
                break;
        case LOOK_BARRED: /* until the next survey */
                rest(h, false, 0);
                break;
        case LOOK_GONE: /* until a survey finds it active again */
                hook_go(h, HOOK_IDLE);
                hook_remove(h);
        }
}

static void on_looked(void *arg, int result)
{
        struct hook *h = arg;
        struct webhook_worker *w = h->worker;
        if (result == 0 && w->runs && rpc_worker_may_write(w->host)) {
                go_on(h);
                return;
        }
        metric_add(w->figures.failures, result != 0);
        if (result != 0 && result != STORE_E_RETRY && result != STORE_E_UNAVAILABLE)
                log_error("what is next for an endpoint cannot be found", "endpoint=%s error=%d", h->id, result);
        rest(h, true, AGAIN_US);
}

static int run_look(struct rpc_call *call, void *arg)
{
        struct hook *h = arg;
        return look_run(call, &h->look);
}

static void look(struct hook *h)
{
        hook_go(h, HOOK_LOOKING);
        h->wants = false;
        h->at_us = 0;
        h->look.revision = h->revision;
        h->look.position = h->position;
        h->job = (struct job){.run = run_look, .done = on_looked, .arg = h};
        rpc_worker_read(h->worker->host, &h->job);
}

/* Does what has become possible, or sees to it that it is asked again in time. */
static void consider(struct hook *h)
{
        struct webhook_worker *w = h->worker;
        bool looks = h->state == HOOK_IDLE && w->runs && (h->wants || h->at_us);
        int64_t wait = h->from_us - clock_monotonic_us(), until_due = h->at_us ? h->at_us - utc_now(w) : 0;
        if (!looks && h->state != HOOK_WAITING)
                return;
        if (looks && until_due > 0 && wait < until_due)
                wait = until_due < POLL_US ? until_due : POLL_US;
        if (wait > 0)
                arm(w, wait);
        else if (looks)
                look(h);
        else
                settle(h);
}

/* --- surveys ------------------------------------------------------------------------------------------------------------ */

static struct survey *newest(struct webhook_worker *w)
{
        return &w->surveys[w->newest];
}

static struct survey *other(struct webhook_worker *w)
{
        return &w->surveys[!w->newest];
}

static struct hook *hook_new(struct webhook_worker *w, const char *id)
{
        struct hook *h = mem_zalloc(sizeof(*h));
        h->worker = w;
        snprintf(h->id, sizeof(h->id), "%s", id);
        h->look = (struct look){.id = h->id, .origin = w->options->origin, .arena = arena_new(4096)};
        return h;
}

/* Every active endpoint has a hook, and each hook looks. One whose retry is still to come looks too if its row was changed. */
static void attend(struct webhook_worker *w)
{
        struct hook **p = &w->hooks;
        for (size_t i = 0; i < newest(w)->n; i++) {
                const struct endpoint_standing *item = &newest(w)->items[i];
                while (*p && strcmp((*p)->id, item->id) < 0)
                        p = &(*p)->next;
                struct hook *h = *p && strcmp((*p)->id, item->id) == 0 ? *p : NULL;
                if (!h && item->state == WEBHOOK_ACTIVE) {
                        h = hook_new(w, item->id);
                        h->next = *p;
                        *p = h;
                        w->n_hooks++;
                }
                if (h && h->at_us && h->look.found_revision != item->revision)
                        h->at_us = 0;
                if (h && !h->at_us)
                        h->wants = true;
        }
        for (struct hook *h = w->hooks; h; h = h->next)
                consider(h);
}

static void on_surveyed(void *arg, int result)
{
        struct webhook_worker *w = arg;
        w->surveying = false;
        if (!w->runs)
                return;
        if (result != 0) {
                metric_add(w->figures.failures, 1);
                w->survey_at_us = clock_monotonic_us() + AGAIN_US;
                arm(w, AGAIN_US);
                return;
        }
        w->newest = !w->newest;
        for (size_t i = 0; i < newest(w)->n_agencies; i++)
                position_note(w->agencies, newest(w)->agencies[i].agency, "webhook", newest(w)->agencies[i].position, true, utc_now(w));
        webhook_figures_show(&w->figures, other(w), newest(w), utc_now(w));
        attend(w);
}

static int run_survey(struct rpc_call *call, void *arg)
{
        struct webhook_worker *w = arg;
        return survey_run(call, other(w));
}

static void survey(struct webhook_worker *w)
{
        struct survey *s = other(w);
        size_t n = 0;
        for (struct hook *h = w->hooks; h; h = h->next)
                n++;
        arena_reset(s->arena);
        struct endpoint_standing *known = ARENA_ARRAY(s->arena, struct endpoint_standing, n + 1);
        s->known = known;
        s->n_known = 0;
        for (struct hook *h = w->hooks; h; h = h->next)
                known[s->n_known++] = (struct endpoint_standing){
                        .id = arena_strdup(s->arena, h->id), .revision = h->revision, .position = h->position};
        w->surveying = true;
        w->survey_at_us = clock_monotonic_us() + SURVEY_US;
        w->survey_job = (struct job){.run = run_survey, .done = on_surveyed, .arg = w};
        rpc_worker_read(w->host, &w->survey_job);
}

static void on_timer(void *arg)
{
        struct webhook_worker *w = arg;
        w->timer_at_us = INT64_MAX;
        for (struct hook *h = w->hooks; h; h = h->next)
                consider(h);
        if (!w->runs)
                return;
        if (!w->surveying && clock_monotonic_us() >= w->survey_at_us)
                survey(w);
        int64_t wait = w->survey_at_us - clock_monotonic_us();
        arm(w, wait > 0 ? wait : AGAIN_US);
}

/* Its time is over: it will be sent again, by whoever leads then. */
static void on_grace(void *arg)
{
        struct webhook_worker *w = arg;
        for (struct hook *h = w->hooks; h; h = h->next)
                if (h->state == HOOK_SENDING)
                        give_up_sending(h);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static void *worker_make(struct rpc_worker *host, void *state)
{
        struct webhook_worker *w = mem_zalloc(sizeof(*w));
        w->host = host;
        w->agencies = ((struct stream_state *)state)->agencies;
        w->options = &((struct stream_state *)state)->options->webhook;
        char agent[80];
        snprintf(agent, sizeof(agent), "nuanxin-stream/%s", contract_build);
        const struct outbound_options outbound = {.loop = rpc_worker_loop(host),
                                                  .allow_loopback = w->options->allow_loopback,
                                                  .authorities = w->options->authorities,
                                                  .agent = agent};
        int r = outbound_new(&outbound, &w->outbound);
        if (r != 0) {
                log_error("nothing can be sent to webhooks", "error=%d", r);
                abort();
        }
        w->timer = loop_timer_new(rpc_worker_loop(host), on_timer, w);
        w->grace = loop_timer_new(rpc_worker_loop(host), on_grace, w);
        w->timer_at_us = INT64_MAX;
        for (size_t i = 0; i < ARRAY_LEN(w->surveys); i++)
                w->surveys[i].arena = arena_new(4096);
        webhook_figures_init(&w->figures, rpc_worker_metrics(host));
        return w;
}

static void worker_start(void *arg)
{
        struct webhook_worker *w = arg;
        w->runs = true;
        loop_timer_clear(w->grace);
        w->survey_at_us = 0;
        arm(w, 0);
}

/* What is under way may end, for a moment; what it led to is written down by whoever may write. */
static void worker_stop(void *arg)
{
        struct webhook_worker *w = arg;
        w->runs = false;
        webhook_figures_hide(&w->figures, newest(w));
        loop_timer_set(w->grace, GRACE_US);
}

/* The log has grown. A retry that is due later stays so. */
static void worker_news(void *arg)
{
        struct webhook_worker *w = arg;
        for (struct hook *h = w->hooks; h; h = h->next) {
                h->wants |= !h->at_us;
                consider(h);
        }
}

/* Endpoints were made or changed. */
static void worker_wake(void *arg)
{
        struct webhook_worker *w = arg;
        w->survey_at_us = 0;
        arm(w, 0);
}

static void worker_free(void *arg)
{
        struct webhook_worker *w = arg;
        outbound_free(w->outbound);
        while (w->hooks)
                hook_remove(w->hooks);
        loop_timer_free(w->timer);
        loop_timer_free(w->grace);
        for (size_t i = 0; i < ARRAY_LEN(w->surveys); i++)
                arena_free(w->surveys[i].arena);
        free(w);
}

const struct rpc_worker_kind webhook_worker = {
        .make = worker_make, .start = worker_start, .stop = worker_stop, .news = worker_news,
        .wake = worker_wake, .free = worker_free};
