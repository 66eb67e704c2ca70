/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking in: each source's outbox is followed as any consumer follows it, so a batch and the cursor move in one
 * transaction, and the log's number, chain and promise are given in it. What is internal to the machinery stays out.
 *
 * Two things are waited for, and the source with them, since what is in the log cannot be mended later:
 *   an organisation that is not known yet   until membership's events of that time have come;
 *   a type that this build does not know    for an hour: it was upgraded after its source. Then the event is taken in as it
 *                                           is, and nobody sees it until a build knows whom it is about.
 */
#include "services/stream/intake.h"

#include "common/base/log.h"
#include "contract/membership_v1.h"
#include "services/stream/append.h"
#include "services/stream/keep.h"
#include "services/stream/standing.h"

#define UNKNOWN_WAIT_US CLOCK_HOUR_US
#define SETTLE_US       (5 * CLOCK_SECOND_US) /* what clocks may differ by, and numbering take */
#define PATHS           64                    /* of organisations, remembered within a batch */

static const struct metric_family taken_family = {
        "nuanxin_log_events_total", "Events taken into the log, by source.", METRIC_COUNTER};
static const struct metric_family unplaced_family = {
        "nuanxin_log_unplaced_total", "Events taken in without a path: nobody knows their organisation.", METRIC_COUNTER};
static const struct metric_family unknown_family = {
        "nuanxin_log_unknown_total", "Events taken in whose type this build does not know: nobody sees them.", METRIC_COUNTER};

struct path {
        const char *code, *path;
};

struct intake {
        struct rpc_call *call;
        const char *source;
        bool is_tree; /* the source is the one that knows the organisations */
        struct log_new *events;
        const struct rpc_event **of; /* as they came */
        ProtobufCMessage **messages; /* unpacked, where somebody asked; else NULL */
        size_t n, n_unplaced, n_unknown;
        struct path paths[PATHS];
};

/* --- where it happened ----------------------------------------------------------------------------------------------- */

static struct path *path_slot(struct intake *t, const char *code)
{
        return &t->paths[str_hash(str_of(code)) % PATHS];
}

/* Has membership told all that it knew when this happened? Then an organisation that is unknown stays so. */
static bool is_settled(const struct intake *t, const struct rpc_event *e)
{
        return t->is_tree || e->time_us + SETTLE_US < rpc_settled_us(t->call, CONSUMER_MEMBERSHIP);
}

static int find_path(struct intake *t, const struct rpc_event *e, const char **ret_path)
{
        struct path *slot = path_slot(t, e->organization);
        *ret_path = "";
        if (!e->organization[0])
                return 0;
        if (!slot->code || strcmp(slot->code, e->organization) != 0) {
                const char *path;
                int r = organization_path_load(rpc_db(t->call), rpc_arena(t->call), str_of(e->organization), &path);
                if (r == STREAM_E_ABSENT) {
                        t->n_unplaced++;
                        return is_settled(t, e) ? 0 : -EAGAIN;
                }
                if (r != 0)
                        return r;
                *slot = (struct path){e->organization, path};
        }
        *ret_path = slot->path;
        return 0;
}

static int note_organization(struct intake *t, const OrganizationChanged *event)
{
        *path_slot(t, event->code) = (struct path){event->code, event->path};
        return organization_save(rpc_db(t->call), event->code, event->path);
}

/* --- one event ------------------------------------------------------------------------------------------------------- */

static bool is_of_interest(const struct contract_message *type)
{
        return type->person || type == &membership_v1_organization_changed_msg;
}

static int unpack(struct intake *t, const struct rpc_event *e, ProtobufCMessage **ret)
{
        *ret = NULL;
        if (!e->contract || !is_of_interest(e->contract))
                return 0;
        int r = message_unpack(rpc_arena(t->call), e->contract, e->data.p, e->data.n, ret);
        if (r != 0)
                log_error("an event cannot be read", "source=%s seq=%lld type=%s", t->source, (long long)e->seq, e->type);
        return r;
}

static int wait_for_upgrade(const struct intake *t, const struct rpc_event *e)
{
        if (rpc_now(t->call) - e->time_us >= UNKNOWN_WAIT_US)
                return 0;
        log_warn("the log waits for this service's upgrade: its source is of a newer build", "source=%s seq=%lld type=%s", t->source,
                 (long long)e->seq, e->type);
        return -EPROTONOSUPPORT;
}

static const char *person_of(struct intake *t, const struct contract_message *type, const ProtobufCMessage *message)
{
        struct str person = type && type->person ? message_text_at(type, message, type->person) : (struct str){0};
        return person.n ? arena_strndup(rpc_arena(t->call), person.p, person.n) : "";
}

static int take_one(struct intake *t, const struct rpc_event *e)
{
        ProtobufCMessage *message;
        const char *path = "";
        int r = e->contract ? 0 : wait_for_upgrade(t, e);
        if (r == 0)
                r = unpack(t, e, &message);
        if (r == 0 && e->contract == &membership_v1_organization_changed_msg)
                r = note_organization(t, (const OrganizationChanged *)message);
        if (r == 0)
                r = find_path(t, e, &path);
        if (r != 0)
                return r;
        t->n_unknown += !e->contract;
        t->of[t->n] = e;
        t->messages[t->n] = message;
        t->events[t->n++] = (struct log_new){
                .source = t->source,
                .id = e->id,
                .type = e->type,
                .subject = e->subject,
                .person = person_of(t, e->contract, message),
                .organization = e->organization,
                .path = path,
                .time_us = e->time_us,
                .data = e->data,
        };
        return 0;
}

/* What follows from an event that is in the log. */
static int note_one(struct intake *t, size_t i, int64_t seq)
{
        const struct contract_message *type = t->of[i]->contract;
        int r = contract_is_erasure(type) ? erase_start(t->call, t->events[i].person, seq) : 0;
        return r == 0 && t->messages[i] ? standing_note(t->call, type, t->messages[i], seq) : r;
}

/* --- a batch --------------------------------------------------------------------------------------------------------- */

static void intake_init(struct intake *t, struct rpc_call *call, const char *source, size_t n)
{
        *t = (struct intake){.call = call, .source = source, .is_tree = strcmp(source, "membership") == 0};
        t->events = ARENA_ARRAY(rpc_arena(call), struct log_new, n);
        t->of = ARENA_ARRAY(rpc_arena(call), const struct rpc_event *, n);
        t->messages = ARENA_ARRAY(rpc_arena(call), ProtobufCMessage *, n);
}

/* A transaction that is undone has been counted: these figures are for watching. */
static void count(const struct intake *t)
{
        struct metric_registry *metrics = rpc_metrics(t->call);
        metric_add(metric_new(metrics, &taken_family, "source=\"%s\"", t->source), (int64_t)t->n);
        metric_add(metric_new(metrics, &unplaced_family, "source=\"%s\"", t->source), (int64_t)t->n_unplaced);
        metric_add(metric_new(metrics, &unknown_family, "source=\"%s\"", t->source), (int64_t)t->n_unknown);
}

static int take(struct rpc_call *call, const char *source, const struct rpc_event *events, size_t n)
{
        struct intake t;
        int64_t first;
        intake_init(&t, call, source, n);
        int r = log_end_lock(call);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (!events[i].contract || !events[i].contract->event_internal)
                        r = take_one(&t, &events[i]);
        if (r == 0)
                r = log_append(call, t.events, t.n, &first);
        for (size_t i = 0; r == 0 && i < t.n; i++)
                r = note_one(&t, i, first + (int64_t)i);
        if (r == 0)
                count(&t);
        return r;
}

static int restart(struct rpc_call *call, const char *source)
{
        SourceRestarted event = NUANXIN__STREAM__V1__SOURCE_RESTARTED__INIT;
        int64_t first;
        event.source = (char *)source;
        const struct log_new taken = {
                .source = "stream", .id = rpc_new_id(call), .type = stream_v1_source_restarted_msg.name, .subject = source,
                .person = "", .organization = "", .path = "", .time_us = rpc_now(call), .data = message_pack(rpc_arena(call), &event),
        };
        int r = log_end_lock(call);
        if (r == 0)
                r = log_append(call, &taken, 1, &first);
        return r == 0 && strcmp(source, "membership") == 0 ? standing_reset(call, first) : r;
}

/* --- the sources ----------------------------------------------------------------------------------------------------- */

static int apply_membership(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        return take(call, "membership", events, n);
}

static int reset_membership(struct rpc_call *call)
{
        return restart(call, "membership");
}

static int apply_activity(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        return take(call, "activity", events, n);
}

static int reset_activity(struct rpc_call *call)
{
        return restart(call, "activity");
}

static int apply_care(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        return take(call, "care", events, n);
}

static int reset_care(struct rpc_call *call)
{
        return restart(call, "care");
}

static const char *const membership_topics[] = {"organization", "member", "consent", "erasure", NULL};
static const char *const activity_topics[] = {"campaign", "activity", "registration", "checkin", NULL};
static const char *const care_topics[] = {"programme", "case", "decision", "contact", "task", "visit", "ledger", "recipient", NULL};

const struct rpc_consumer stream_consumers[] = {
        {.source = "membership",
         .name = CONSUMER_MEMBERSHIP,
         .topics = membership_topics,
         .takes_unknown = true,
         .apply = apply_membership,
         .reset = reset_membership},
        {.source = "activity",
         .name = "stream.activity",
         .topics = activity_topics,
         .takes_unknown = true,
         .apply = apply_activity,
         .reset = reset_activity},
        {.source = "care",
         .name = "stream.care",
         .topics = care_topics,
         .takes_unknown = true,
         .apply = apply_care,
         .reset = reset_care},
        {0},
};
