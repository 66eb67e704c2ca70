/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds by what is asked and by whom; in each its fetches by cursor.
 */
#include "services/gateway/feed.h"

#include "common/base/log.h"
#include "common/contract/message.h"
#include "common/http/http.h"
#include "services/gateway/decode.h"
#include "services/gateway/event_text.h"
#include "services/gateway/worker.h"

#include <stdlib.h>

#define BUCKETS     256
#define ANSWER_US   (10 * CLOCK_SECOND_US)        /* a fetch has so long beside its wait */
#define RETRY_US    (500 * 1000ll)                /* the service is away: again after this */
#define SOON_US     (100 * 1000ll)                /* an answer without events that comes sooner than this … */
#define BREATH_US   (20 * 1000ll)                 /* … is not asked for again before that */

static const struct metric_family family_fetches = {
        "nuanxin_gateway_stream_fetches_total", "Fetches for readers of event streams, shared by those who read the same.",
        METRIC_COUNTER};

TAILQ_HEAD(feed_readers, feed_reader);
TAILQ_HEAD(feed_fetches, feed_fetch);

enum feed_fetch_state {
        FEED_FETCH_ASKED,    /* the service has it: `pending` */
        FEED_FETCH_PAUSED,   /* until retry_us: it is in `paused` */
        FEED_FETCH_ANSWERED, /* its readers are told at the end of the turn: nobody joins any more */
};

struct feed_fetch {
        struct feed *feed;
        enum feed_fetch_state state;
        bool waits;
        char cursor[FEED_CURSOR_SIZE];
        struct rpc_pending *pending;
        int64_t asked_us, retry_us;
        struct feed_readers readers;
        size_t holds;            /* answered ones whose readers may join it */
        struct feed_answer answer;
        struct feed_fetch *next; /* ANSWERED: held for its readers */
        TAILQ_ENTRY(feed_fetch) list, queue; /* queue: paused, or answered */
};

struct feed {
        struct feeds *feeds;
        struct feed *chain;
        uint64_t hash;
        struct route *route;
        struct str principal, ask; /* packed; ask: without cursor and wait */
        struct arena *arena;
        ProtobufCMessage *message;
        const ProtobufCFieldDescriptor *ahead; /* the input's `ahead`: the cursor is ours, not the client's; or NULL */
        size_t uses; /* readers, and whoever is at work on it */
        int64_t breath_until_us; /* no fetch that waits before this */
        struct feed_fetches fetches;
};

struct feeds {
        struct worker *worker;
        struct arena *arena; /* of the message in hand */
        struct buf text;
        struct feed *buckets[BUCKETS];
        struct feed_fetches paused, answered;
        struct loop_timer *timer;
        struct loop_turn turn;
        struct metric *fetches;
};

/* --- fetches ---------------------------------------------------------------------------------------------------------- */

static void on_fetched(void *arg, const struct rpc_result *result);

static void ask(struct feed_fetch *f)
{
        struct feed *feed = f->feed;
        struct feeds *feeds = feed->feeds;
        const struct route *route = feed->route;
        int32_t wait = f->waits ? FEED_WAIT_S : 0;
        *(char **)decode_member(route->cursor, feed->message) = f->cursor;
        *(int32_t *)decode_member(route->wait, feed->message) = wait;
        if (feed->ahead)
                *(protobuf_c_boolean *)decode_member(feed->ahead, feed->message) = f->waits;
        arena_reset(feeds->arena);
        const struct rpc_request call = {
                .method = route->method,
                .principal_packed = feed->principal,
                .payload = message_pack(feeds->arena, feed->message),
                .deadline_us = ANSWER_US + wait * CLOCK_SECOND_US,
                .long_poll = f->waits,
        };
        metric_add(feeds->fetches, 1);
        f->state = FEED_FETCH_ASKED;
        f->asked_us = loop_now_us(feeds->worker->loop);
        f->pending = rpc_client_call(feeds->worker->rpc, &call, on_fetched, f);
}

static void pause_fetch(struct feed_fetch *f, int64_t pause_us)
{
        struct feeds *feeds = f->feed->feeds;
        int64_t now = loop_now_us(feeds->worker->loop);
        f->state = FEED_FETCH_PAUSED;
        f->retry_us = now + pause_us;
        struct feed_fetch *at = TAILQ_LAST(&feeds->paused, feed_fetches);
        while (at && at->retry_us > f->retry_us)
                at = TAILQ_PREV(at, feed_fetches, queue);
        if (at)
                TAILQ_INSERT_AFTER(&feeds->paused, at, f, queue);
        else
                TAILQ_INSERT_HEAD(&feeds->paused, f, queue);
        loop_timer_set(feeds->timer, TAILQ_FIRST(&feeds->paused)->retry_us - now);
}

static void on_timer(void *arg)
{
        struct feeds *feeds = arg;
        int64_t now = loop_now_us(feeds->worker->loop);
        struct feed_fetch *f;
        while ((f = TAILQ_FIRST(&feeds->paused)) && f->retry_us <= now) {
                TAILQ_REMOVE(&feeds->paused, f, queue);
                ask(f);
        }
        if (f)
                loop_timer_set(feeds->timer, f->retry_us - now);
}

static struct feed_fetch *fetch_new(struct feed *feed, const char *cursor, bool waits)
{
        struct feed_fetch *f = mem_zalloc(sizeof(*f));
        f->feed = feed;
        f->waits = waits;
        memcpy(f->cursor, cursor, strnlen(cursor, sizeof(f->cursor) - 1));
        TAILQ_INIT(&f->readers);
        TAILQ_INSERT_HEAD(&feed->fetches, f, list);
        int64_t breath_us = feed->breath_until_us - loop_now_us(feed->feeds->worker->loop);
        if (waits && breath_us > 0)
                pause_fetch(f, breath_us);
        else
                ask(f);
        return f;
}

static void fetch_free(struct feed_fetch *f)
{
        if (f->state == FEED_FETCH_ASKED)
                rpc_pending_cancel(f->pending);
        if (f->state == FEED_FETCH_PAUSED)
                TAILQ_REMOVE(&f->feed->feeds->paused, f, queue);
        if (f->state != FEED_FETCH_ANSWERED)
                TAILQ_REMOVE(&f->feed->fetches, f, list);
        free(f);
}

/* Nobody may want it any more. */
static void fetch_drop(struct feed_fetch *f)
{
        if (!TAILQ_FIRST(&f->readers) && f->holds == 0 && f->state != FEED_FETCH_ANSWERED)
                fetch_free(f);
}

static void leave_fetch(struct feed_reader *reader)
{
        struct feed_fetch *f = reader->fetch;
        TAILQ_REMOVE(&f->readers, reader, list);
        reader->fetch = NULL;
        fetch_drop(f);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

/* Will it be other soon, without the reader's doing? */
static bool is_passing(const struct rpc_result *result)
{
        return result->error || (result->problem != NUANXIN__PROBLEM__PROBLEM_NONE &&
                                 contract_problem_of(result->problem)->status >= 500);
}

static int64_t number_in(const struct contract_message *type, void *message, const char *name, int64_t otherwise)
{
        const ProtobufCFieldDescriptor *field = decode_field(type, name);
        return field && field->type == PROTOBUF_C_TYPE_INT64 ? *(int64_t *)decode_member(field, message) : otherwise;
}

static int read_answer(struct feed *feed, struct str packed, struct feed_answer *a)
{
        const struct contract_message *type = feed->route->method->output;
        struct feeds *feeds = feed->feeds;
        ProtobufCMessage *message;
        arena_reset(feeds->arena);
        if (message_unpack(feeds->arena, type, packed.p, packed.n, &message) < 0)
                return -EBADMSG;
        struct str cursor = str_of(*(char **)decode_member(decode_field(type, "cursor"), message));
        const ProtobufCBinaryData *events = decode_member(decode_field(type, "events"), message);
        feeds->text.n = 0;
        if (cursor.n >= sizeof(a->cursor) ||
            event_text(&feeds->text, events->len ? str_bytes(events->data, events->len) : STR("[]"), cursor) < 0)
                return -EBADMSG;
        memcpy(a->cursor, cursor.p, cursor.n);
        a->events_n = feeds->text.n;
        a->events = feeds->text.n ? http_shared_new(feeds->worker->loop, buf_str(&feeds->text)) : NULL;
        if (feeds->text.cap > 256 * 1024)
                buf_done(&feeds->text);
        /* Where the answer does not say how far there is to go, events may be followed by more. */
        a->latest = number_in(type, message, "through", !a->events) >= number_in(type, message, "latest", 1);
        return 0;
}

/* It was to wait, but came back with nothing at once: what happened was not for this agency, or the service ends. The next
 * one must not turn into a circle. */
static bool is_hasty(const struct feed_fetch *f, const struct feed_answer *a)
{
        return f->waits && a->latest && !a->events && loop_now_us(f->feed->feeds->worker->loop) - f->asked_us < SOON_US;
}

static void feed_release(struct feed *feed);

static void tell(struct feed_fetch *f)
{
        struct feed *feed = f->feed;
        struct feed_fetch *next = f->next;
        struct feed_reader *reader;
        while ((reader = TAILQ_FIRST(&f->readers))) {
                leave_fetch(reader);
                reader->on_answer(reader, &f->answer);
        }
        http_shared_free(f->answer.events);
        fetch_free(f);
        if (next && --next->holds == 0)
                fetch_drop(next);
        feed_release(feed);
}

static void on_turn_end(void *arg)
{
        struct feeds *feeds = arg;
        struct feed_fetch *f;
        while ((f = TAILQ_FIRST(&feeds->answered))) {
                TAILQ_REMOVE(&feeds->answered, f, queue);
                tell(f);
        }
}

static struct feed_fetch *fetch_at(struct feed *feed, const char *cursor, bool waits)
{
        struct feed_fetch *f;
        TAILQ_FOREACH(f, &feed->fetches, list)
                if (f->waits == waits && strcmp(f->cursor, cursor) == 0)
                        return f;
        return fetch_new(feed, cursor, waits);
}

static void on_fetched(void *arg, const struct rpc_result *result)
{
        static const struct rpc_result good = {0}, unreadable = {.problem = NUANXIN__PROBLEM__PROBLEM_INTERNAL};
        struct feed_fetch *f = arg;
        struct feed *feed = f->feed;
        struct feeds *feeds = feed->feeds;

        if (f->waits && is_passing(result)) {
                pause_fetch(f, RETRY_US);
                return;
        }
        f->state = FEED_FETCH_ANSWERED;
        TAILQ_REMOVE(&feed->fetches, f, list);
        feed->uses++;
        f->answer.result = result;
        if (result->error == 0 && result->problem == NUANXIN__PROBLEM__PROBLEM_NONE) {
                bool read = read_answer(feed, result->payload, &f->answer) == 0;
                f->answer.result = read ? &good : &unreadable;
                if (!read)
                        log_error("a service's answer can't be streamed", "method=%s", feed->route->method->name);
        }
        if (f->answer.result != &good) {
                tell(f);
                return;
        }
        if (is_hasty(f, &f->answer))
                feed->breath_until_us = loop_now_us(feeds->worker->loop) + BREATH_US;
        if (f->waits) {
                f->next = fetch_at(feed, f->answer.cursor, true);
                f->next->holds++;
        }
        /* The next question leaves before this one's readers are written to, one after the other. */
        TAILQ_INSERT_TAIL(&feeds->answered, f, queue);
        loop_at_turn_end(feeds->worker->loop, &feeds->turn);
}

/* --- feeds ------------------------------------------------------------------------------------------------------------ */

static struct feed *feed_new(struct feeds *feeds, struct route *route, struct str principal, struct str packed, uint64_t hash)
{
        struct feed *feed = mem_zalloc(sizeof(*feed));
        feed->feeds = feeds;
        feed->hash = hash;
        feed->route = route;
        feed->arena = arena_new(1024);
        feed->principal = arena_str(feed->arena, principal);
        feed->ask = arena_str(feed->arena, packed);
        if (message_unpack(feed->arena, route->method->input, packed.p, packed.n, &feed->message) < 0)
                abort(); /* it was packed here */
        const ProtobufCFieldDescriptor *ahead = decode_field(route->method->input, "ahead");
        feed->ahead = ahead && ahead->type == PROTOBUF_C_TYPE_BOOL ? ahead : NULL;
        TAILQ_INIT(&feed->fetches);
        feed->chain = feeds->buckets[hash % BUCKETS];
        feeds->buckets[hash % BUCKETS] = feed;
        return feed;
}

static void feed_release(struct feed *feed)
{
        struct feed **at = &feed->feeds->buckets[feed->hash % BUCKETS];
        if (--feed->uses > 0)
                return;
        while (*at != feed)
                at = &(*at)->chain;
        *at = feed->chain;
        arena_free(feed->arena);
        free(feed);
}

void feed_enter(struct feeds *feeds, struct feed_reader *reader, struct route *route, struct str principal,
                ProtobufCMessage *message)
{
        *(char **)decode_member(route->cursor, message) = (char *)protobuf_c_empty_string;
        *(int32_t *)decode_member(route->wait, message) = 0;
        arena_reset(feeds->arena);
        struct str packed = message_pack(feeds->arena, message);
        uint64_t hash = str_hash(principal) ^ 31 * str_hash(packed) ^ route->method->id;
        struct feed *feed = feeds->buckets[hash % BUCKETS];
        while (feed && (feed->hash != hash || feed->route != route || !str_eq(feed->principal, principal) ||
                        !str_eq(feed->ask, packed)))
                feed = feed->chain;
        reader->feed = feed ? feed : feed_new(feeds, route, principal, packed, hash);
        reader->feed->uses++;
}

void feed_leave(struct feed_reader *reader)
{
        if (!reader->feed)
                return;
        if (reader->fetch)
                leave_fetch(reader);
        feed_release(reader->feed);
        reader->feed = NULL;
}

void feed_ask(struct feed_reader *reader, const char *cursor, bool waits)
{
        reader->fetch = fetch_at(reader->feed, cursor, waits);
        TAILQ_INSERT_TAIL(&reader->fetch->readers, reader, list);
}

struct feeds *feeds_new(struct worker *w)
{
        struct feeds *feeds = mem_zalloc(sizeof(*feeds));
        feeds->worker = w;
        feeds->arena = arena_new(16 * 1024);
        feeds->timer = loop_timer_new(w->loop, on_timer, feeds);
        feeds->fetches = metric_new(w->gateway->metrics, &family_fetches, "%s", "");
        feeds->turn = (struct loop_turn){.fn = on_turn_end, .arg = feeds};
        TAILQ_INIT(&feeds->paused);
        TAILQ_INIT(&feeds->answered);
        return feeds;
}

struct feeds *feeds_free(struct feeds *feeds)
{
        if (feeds) {
                on_turn_end(feeds); /* to nobody */
                loop_turn_cancel(feeds->worker->loop, &feeds->turn);
                loop_timer_free(feeds->timer);
                arena_free(feeds->arena);
                buf_done(&feeds->text);
                free(feeds);
        }
        return NULL;
}
