/* SPDX-License-Identifier: Apache-2.0
 *
 * A fetch from its frames to its answer: read, credits, asking the stream, and asking again while there is no news and its
 * time is not over. The stream is asked to wait for a moment only, so that a fetch whose agency has gone does not hold its
 * credit for long. A stream that is busy or away is asked again, ever more slowly, before the agency hears of it: credits
 * bound how many fetches can wait so.
 */
#include "services/edge/edge.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "contract/internal_v1.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#define WAIT_EACH_S     5
#define ANSWER_WITHIN_US (10 * CLOCK_SECOND_US) /* beyond its wait */
#define PATIENCE_US      (5 * CLOCK_SECOND_US) /* with a stream that is not there, beyond the wait */
#define PAUSE_LEAST_US   (20 * 1000)
#define PAUSES_MOST      5 /* it doubles so often */
#define COME_AGAIN_MS   1000
#define DRAINING_MS     100
#define SAY_EVERY_US    (10 * CLOCK_SECOND_US) /* of refusals to one agency */

struct fetch {
        TAILQ_ENTRY(fetch) list;
        struct edge *edge;
        struct agency *agency;
        uint64_t connection;
        bool gone;           /* nobody waits for the answer */
        struct arena *arena; /* for all of it */
        struct grammar_fetch asked;
        char key[40];        /* the id of the key that was shown */
        const char *cursor;  /* where it has come */
        int64_t until_us;
        struct rpc_pending *pending;
        struct loop_timer *pause; /* until the stream is asked again */
        unsigned pauses;
};

TAILQ_HEAD(fetch_list, fetch);

struct fetches {
        struct fetch_list list;
        size_t n;
        struct arena *arena; /* of the answer in hand */
};

static void ask(struct fetch *f);

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void fetch_end(struct fetch *f)
{
        struct edge *e = f->edge;
        struct fetches *all = e->fetches;
        TAILQ_REMOVE(&all->list, f, list);
        all->n--;
        f->agency->in_flight--;
        agencies_settle(e->agencies, f->agency);
        loop_timer_free(f->pause);
        arena_free(f->arena);
        free(f);
}

static void send_answer(struct edge *e, uint64_t connection, struct grammar_form form, const char *word, struct buf *last)
{
        struct str head[2];
        size_t n = grammar_head(form, word, head);
        if (bus_door_send(e->door, connection, head, n, last) < 0)
                metric_add(e->count.undelivered, 1);
}

static void send_refusal(struct edge *e, uint64_t connection, const struct grammar_fetch *to, const struct grammar_refusal *refusal)
{
        struct buf out = {0};
        count_refusal(e, refusal->problem);
        grammar_write_refusal(&out, to, refusal);
        send_answer(e, connection, to->form, GRAMMAR_REFUSED, &out);
}

/* One line of them each ten seconds and agency: what it does wrong it does often. */
static void say_refused(struct agency *agency, const struct grammar_refusal *refusal)
{
        int64_t now = clock_monotonic_us();
        if (agency->said_us && now - agency->said_us < SAY_EVERY_US)
                return;
        agency->said_us = now;
        log_info("an agency's fetch was refused", "agency=%s type=%s", agency->id, contract_problem_of(refusal->problem)->type);
}

static void fetch_refuse(struct fetch *f, const struct grammar_refusal *refusal)
{
        say_refused(f->agency, refusal);
        send_refusal(f->edge, f->connection, &f->asked, refusal);
        fetch_end(f);
}

static void fetch_come_again(struct fetch *f, uint32_t after_ms)
{
        fetch_refuse(f, &(struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, .retry_after_ms = after_ms});
}

/* --- the stream's answer ------------------------------------------------------------------------------------------------- */

/* As it is said here, where there is neither a path nor a Bearer. */
static void put_in_our_words(const struct fetch *f, struct grammar_refusal *refusal)
{
        bool gone = refusal->problem == NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE;
        if (gone || (f->asked.snapshot && refusal->problem == NUANXIN__PROBLEM__PROBLEM_PAGE_TOKEN_INVALID)) {
                refusal->problem = NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE;
                refusal->args[0] = "FETCH {\"cursor\":\"" GRAMMAR_SNAPSHOT "\"}";
        }
        if (refusal->problem == NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED)
                refusal->problem = NUANXIN__PROBLEM__PROBLEM_AGENCY_KEY_REVOKED;
        if (refusal->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE && !refusal->retry_after_ms)
                refusal->retry_after_ms = COME_AGAIN_MS;
}

static void on_refusal(struct fetch *f, const struct rpc_result *result)
{
        struct arena *arena = f->edge->fetches->arena;
        struct grammar_refusal refusal = {.problem = result->problem, .retry_after_ms = result->retry_after_ms};
        struct violation violations[ARRAY_LEN(((struct violations *)0)->items)];
        ProtobufCMessage *message;
        if (message_unpack(arena, &internal_v1_refusal_msg, result->payload.p, result->payload.n, &message) == 0) {
                const Nuanxin__Internal__V1__Refusal *said = (const void *)message;
                for (size_t i = 0; i < said->n_args && i < ARRAY_LEN(refusal.args); i++)
                        refusal.args[i] = said->args[i];
                for (size_t i = 0; i < said->n_violations && i < ARRAY_LEN(violations); i++) {
                        const Nuanxin__Internal__V1__RefusalViolation *v = said->violations[i];
                        violations[refusal.n_violations++] = (struct violation){v->pointer, v->rule, v->detail, v->detail_zh};
                }
                refusal.violations = violations;
        }
        put_in_our_words(f, &refusal);
        fetch_refuse(f, &refusal);
}

static void deliver(struct fetch *f, Batch *batch, struct str events)
{
        struct edge *e = f->edge;
        struct buf out = {0};
        batch->id = f->asked.fetch->id;
        grammar_write_batch(&out, f->asked.form, batch, events);
        metric_add(e->count.batches, 1);
        metric_add(e->count.event_bytes, (int64_t)events.n);
        send_answer(e, f->connection, f->asked.form, GRAMMAR_BATCH, &out);
        fetch_end(f);
}

static bool is_empty(struct str events)
{
        return !events.n || str_is(events, "[]");
}

/* waited: as long as it was to. A stream that answers at once, again and again, is not asked so. */
static void on_batch(struct fetch *f, const FetchEventsResponse *answer, struct str events, bool waited)
{
        Batch batch = NUANXIN__STREAM__V1__BATCH__INIT;
        int64_t left_us = f->until_us - clock_monotonic_us();
        bool moved = strcmp(f->cursor, answer->cursor) != 0;
        if (is_empty(events) && left_us > 0 && (moved || waited)) {
                f->cursor = arena_strdup(f->arena, answer->cursor); /* it has come further, though nothing was for it */
                ask(f);
                return;
        }
        batch.cursor = answer->cursor;
        batch.from = answer->from;
        batch.through = answer->through;
        batch.head = answer->head;
        batch.signature = answer->signature;
        batch.latest = answer->latest;
        deliver(f, &batch, events);
}

static void on_page(struct fetch *f, const FetchSnapshotResponse *page, struct str events)
{
        Batch batch = NUANXIN__STREAM__V1__BATCH__INIT;
        batch.cursor = page->next_page_token[0] ? grammar_page_cursor(f->arena, page->next_page_token) : page->cursor;
        deliver(f, &batch, events);
}

static void on_events(struct fetch *f, const struct rpc_result *result)
{
        struct arena *arena = f->edge->fetches->arena;
        const struct contract_message *type =
                f->asked.snapshot ? &stream_v1_fetch_snapshot_response_msg : &stream_v1_fetch_events_response_msg;
        uint32_t field = protobuf_c_message_descriptor_get_field_by_name(type->pb, "events")->id;
        ProtobufCMessage *message;
        struct buf rest = {0};
        struct str events;
        int r = grammar_cut_events(result->payload, field, &rest, &events);
        if (r == 0)
                r = message_unpack(arena, type, rest.p, rest.n, &message);
        buf_done(&rest);
        if (r < 0)
                fetch_refuse(f, &(struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_INTERNAL});
        else if (f->asked.snapshot)
                on_page(f, (const FetchSnapshotResponse *)message, events);
        else
                on_batch(f, (const FetchEventsResponse *)message, events, result->timing.total_us > CLOCK_SECOND_US / 10);
}

static void on_pause_over(void *arg)
{
        struct fetch *f = arg;
        if (f->gone)
                fetch_end(f);
        else
                ask(f);
}

/* Busy, or away: is there time to ask again? */
static bool ask_again_later(struct fetch *f)
{
        uint32_t random;
        int64_t pause_us = PAUSE_LEAST_US << (f->pauses < PAUSES_MOST ? f->pauses : PAUSES_MOST);
        if (clock_monotonic_us() + pause_us > f->until_us + PATIENCE_US)
                return false;
        if (!f->pause)
                f->pause = loop_timer_new(f->edge->loop, on_pause_over, f);
        id_random(&random, sizeof(random));
        f->pauses++;
        loop_timer_set(f->pause, pause_us / 2 + random % pause_us);
        return true;
}

static void on_answer(void *arg, const struct rpc_result *result)
{
        struct fetch *f = arg;
        f->pending = NULL;
        arena_reset(f->edge->fetches->arena);
        if (f->gone || result->error == -ECANCELED)
                fetch_end(f);
        else if ((result->error || result->problem == NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE) && ask_again_later(f))
                metric_add(f->edge->count.asked_again, 1);
        else if (result->error)
                fetch_come_again(f, COME_AGAIN_MS);
        else if (result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                on_refusal(f, result);
        else
                on_events(f, result);
}

/* --- asking the stream --------------------------------------------------------------------------------------------------- */

static struct str pack_snapshot(struct fetch *f)
{
        FetchSnapshotRequest request = NUANXIN__STREAM__V1__FETCH_SNAPSHOT_REQUEST__INIT;
        request.page_token = (char *)(uintptr_t)f->asked.page;
        request.max_events = f->asked.fetch->max;
        request.n_types = f->asked.fetch->n_types;
        request.types = f->asked.fetch->types;
        request.format = f->asked.form.json ? NUANXIN__STREAM__V1__EVENT_FORMAT__JSON : NUANXIN__STREAM__V1__EVENT_FORMAT__PROTOBUF;
        return message_pack(f->arena, &request);
}

static struct str pack_fetch(struct fetch *f, int wait_s)
{
        FetchEventsRequest request = NUANXIN__STREAM__V1__FETCH_EVENTS_REQUEST__INIT;
        request.cursor = (char *)(uintptr_t)f->cursor;
        request.max_events = f->asked.fetch->max;
        request.wait = wait_s;
        request.transport = (char *)"zeromq";
        request.n_types = f->asked.fetch->n_types;
        request.types = f->asked.fetch->types;
        request.format = f->asked.form.json ? NUANXIN__STREAM__V1__EVENT_FORMAT__JSON : NUANXIN__STREAM__V1__EVENT_FORMAT__PROTOBUF;
        return message_pack(f->arena, &request);
}

static void ask(struct fetch *f)
{
        Nuanxin__Internal__V1__Principal principal = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        int64_t left_s = (f->until_us - clock_monotonic_us() + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US;
        int wait_s = left_s < 0 ? 0 : left_s > WAIT_EACH_S ? WAIT_EACH_S : (int)left_s;
        principal.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__AGENCY;
        principal.id = f->agency->id;
        principal.session = f->key;
        const struct rpc_request request = {
                .method = f->asked.snapshot ? &stream_v1_fetch_snapshot : &stream_v1_fetch_events,
                .principal = &principal,
                .payload = f->asked.snapshot ? pack_snapshot(f) : pack_fetch(f, wait_s),
                .deadline_us = wait_s * CLOCK_SECOND_US + ANSWER_WITHIN_US,
                .long_poll = wait_s > 0,
        };
        f->pending = rpc_client_call(f->edge->rpc, &request, on_answer, f);
}

/* --- the agency's message -------------------------------------------------------------------------------------------------- */

static void fetch_start(struct edge *e, struct agency *agency, uint64_t connection, const char *key, struct arena *arena,
                        const struct grammar_fetch *asked)
{
        struct fetch *f = mem_zalloc(sizeof(*f));
        *f = (struct fetch){.edge = e, .agency = agency, .connection = connection, .arena = arena, .asked = *asked};
        snprintf(f->key, sizeof(f->key), "%s", key);
        f->cursor = asked->fetch->cursor;
        f->until_us = clock_monotonic_us() + asked->fetch->wait * CLOCK_SECOND_US;
        TAILQ_INSERT_TAIL(&e->fetches->list, f, list);
        e->fetches->n++;
        agency->in_flight++;
        ask(f);
}

/* Whether an agency's fetch may be asked for now; 0, or -EAGAIN and why not. */
static int admit(struct edge *e, const struct agency *agency, struct grammar_refusal *ret)
{
        static const char most[] = {'0' + AGENCY_FETCHES_MAX, '\0'};
        if (e->draining)
                *ret = (struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, .retry_after_ms = DRAINING_MS};
        else if (agency_busy(agency, e->door) >= AGENCY_FETCHES_MAX)
                *ret = (struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_TOO_MANY_FETCHES, .args = {most},
                                                .retry_after_ms = COME_AGAIN_MS};
        else
                return 0;
        return -EAGAIN;
}

static const struct grammar_refusal key_revoked = {.problem = NUANXIN__PROBLEM__PROBLEM_AGENCY_KEY_REVOKED};
static const struct grammar_refusal id_chosen = {.problem = NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                                                 .args = {"Leave ZMQ_ROUTING_ID as it is."}};

/* name: "AGENCY/KEY". */
void fetches_message(struct edge *e, uint64_t connection, const char *name, const struct str *parts, size_t n)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(2048);
        struct grammar_fetch asked;
        struct grammar_refusal refusal;
        metric_add(e->count.fetches, 1);
        int r = grammar_read(arena, parts, n, &asked, &refusal);
        if (!name || !name[0]) {
                send_refusal(e, connection, &asked, name ? &key_revoked : &id_chosen);
                return;
        }
        struct str key = str_of(name), id = str_cut(&key, '/');
        struct agency *agency = agencies_get(e->agencies, id);
        if (!agency_joined_by(agency, connection)) {
                bus_door_cut(e->door, connection);
        } else if (r < 0 || admit(e, agency, &refusal) < 0) {
                say_refused(agency, &refusal);
                send_refusal(e, connection, &asked, &refusal);
        } else {
                fetch_start(e, agency, connection, key.p, TAKE(arena), &asked);
        }
}

void fetches_gone(struct edge *e, uint64_t connection)
{
        struct fetch *f;
        TAILQ_FOREACH(f, &e->fetches->list, list)
                f->gone = f->gone || f->connection == connection;
        agencies_left_by(e->agencies, connection);
}

void fetches_drain(struct edge *e)
{
        struct fetch *f;
        while ((f = TAILQ_FIRST(&e->fetches->list))) {
                rpc_pending_cancel(f->pending);
                f->pending = NULL;
                fetch_come_again(f, DRAINING_MS);
        }
}

size_t fetches_in_flight(const struct edge *e)
{
        return e->fetches->n;
}

struct fetches *fetches_new(void)
{
        struct fetches *fetches = mem_zalloc(sizeof(*fetches));
        TAILQ_INIT(&fetches->list);
        fetches->arena = arena_new(64 * 1024);
        return fetches;
}

struct fetches *fetches_free(struct fetches *fetches)
{
        struct fetch *f;
        if (!fetches)
                return NULL;
        while ((f = TAILQ_FIRST(&fetches->list))) {
                rpc_pending_cancel(f->pending);
                fetch_end(f);
        }
        arena_free(fetches->arena);
        free(fetches);
        return NULL;
}
