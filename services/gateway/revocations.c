/* SPDX-License-Identifier: Apache-2.0
 *
 * The follower: cursor from Redis → events by long poll → generations to Redis → cursor to Redis → again.
 */
#include "services/gateway/revocations.h"

#include "common/base/log.h"
#include "common/contract/message.h"
#include "contract/internal_v1.h"
#include "contract/membership_v1.h"
#include "services/gateway/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PULL_EVENTS   500
#define PULL_WAIT_MS  5000
#define RETRY_US      (200 * 1000ll)
#define CURSOR_KEY    "gateway:revocations"

static const struct metric_family family_revoked = {"nuanxin_gateway_revocations_total",
                                                    "Changes of rights told to Redis.", METRIC_COUNTER};

enum revocations_state {
        REVOCATIONS_STARTING, /* the cursor is asked of Redis */
        REVOCATIONS_PULLING,  /* events are asked of membership */
        REVOCATIONS_TELLING,  /* generations are on their way to Redis */
        REVOCATIONS_PAUSED,   /* something failed: again soon, from the start */
};

struct revocations {
        struct worker *worker;
        enum revocations_state state;
        struct arena *arena;
        struct loop_timer *timer;
        struct rpc_pending *pending;
        struct metric *revoked;
        char epoch[64];
        int64_t after, told_to; /* told_to: the cursor once all of this batch is told */
        size_t telling;         /* answers of Redis to come */
        bool failed;
};

static void start(void *arg);

static void pause_then_restart(struct revocations *v)
{
        v->state = REVOCATIONS_PAUSED;
        loop_timer_set(v->timer, RETRY_US);
}

static void pull(struct revocations *v);

static void batch_done(struct revocations *v)
{
        if (v->failed) {
                pause_then_restart(v);
                return;
        }
        if (v->told_to != v->after) {
                char text[128];
                v->after = v->told_to;
                snprintf(text, sizeof(text), "%s:%" PRId64, v->epoch, v->after);
                CACHE_COMMAND(v->worker->cache, NULL, NULL, STR("SET"), STR(CURSOR_KEY), str_of(text));
        }
        pull(v);
}

static void on_told(void *arg, int error, const struct cache_reply *reply)
{
        struct revocations *v = arg;
        if (error == -ECANCELED)
                return;
        if (error || reply->kind == CACHE_ERROR)
                v->failed = true;
        if (--v->telling == 0)
                batch_done(v);
}

static void tell(struct revocations *v, const char *id, uint64_t generation)
{
        v->telling++;
        metric_add(v->revoked, 1);
        session_revoke(v->worker->callers, str_of(id), generation, on_told, v);
}

/* Tells what an event says of rights, if it does. */
static void tell_event(struct revocations *v, const Nuanxin__Internal__V1__OutboxEvent *event)
{
        static const char package[] = "nuanxin.membership.v1.";
        const ProtobufCMessageDescriptor *type = NULL;
        if (strncmp(event->type, package, sizeof(package) - 1) != 0)
                return;
        const char *name = event->type + sizeof(package) - 1;
        if (strcmp(name, "AccountRightsChanged") == 0)
                type = &nuanxin__membership__v1__account_rights_changed__descriptor;
        else if (strcmp(name, "ClientRightsChanged") == 0)
                type = &nuanxin__membership__v1__client_rights_changed__descriptor;
        else if (strcmp(name, "MemberRightsChanged") == 0)
                type = &nuanxin__membership__v1__member_rights_changed__descriptor;
        if (!type)
                return;
        ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, event->data.len, event->data.data);
        if (!message) {
                log_error("unreadable event of changed rights", "seq=%" PRId64, event->seq);
                return;
        }
        /* All three say who first and which generation second. */
        const ProtobufCFieldDescriptor *who = protobuf_c_message_descriptor_get_field(type, 1);
        const ProtobufCFieldDescriptor *generation = protobuf_c_message_descriptor_get_field(type, 2);
        tell(v, *(char **)((char *)message + who->offset), *(uint64_t *)((char *)message + generation->offset));
        protobuf_c_message_free_unpacked(message, NULL);
}

static void on_events(void *arg, const struct rpc_result *result)
{
        struct revocations *v = arg;
        ProtobufCMessage *message;
        v->pending = NULL;
        if (result->error == -ECANCELED)
                return;
        arena_reset(v->arena);
        if (result->error || result->problem != NUANXIN__PROBLEM__PROBLEM_NONE ||
            message_unpack(v->arena, internal_v1_pull_events.output, result->payload.p, result->payload.n, &message) < 0) {
                pause_then_restart(v);
                return;
        }
        const Nuanxin__Internal__V1__PullEventsResponse *events = (const void *)message;
        v->state = REVOCATIONS_TELLING;
        v->failed = false;
        v->telling = 1; /* until all are on their way */
        if (events->reset && v->epoch[0]) { /* another history, or one that we have lost the thread of */
                log_warn("membership's events were lost or restored: all sessions end", NULL);
                v->telling++;
                session_end_all(v->worker->callers, on_told, v);
        }
        v->told_to = events->reset      ? events->head
                     : events->n_events ? events->events[events->n_events - 1]->seq
                                        : v->after;
        if (strcmp(v->epoch, events->epoch) != 0)
                v->after = -1; /* the cursor has changed, wherever it stands */
        snprintf(v->epoch, sizeof(v->epoch), "%s", events->epoch);
        for (size_t i = 0; i < events->n_events; i++)
                tell_event(v, events->events[i]);
        on_told(v, 0, &(struct cache_reply){.kind = CACHE_INT});
}

static void pull(struct revocations *v)
{
        Nuanxin__Internal__V1__PullEventsRequest ask = NUANXIN__INTERNAL__V1__PULL_EVENTS_REQUEST__INIT;
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;

        v->state = REVOCATIONS_PULLING;
        arena_reset(v->arena);
        ask.consumer = (char *)"gateway.revocations";
        ask.epoch = v->epoch;
        ask.after = v->after;
        ask.limit = PULL_EVENTS;
        ask.wait_ms = PULL_WAIT_MS;
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)"gateway";
        const struct rpc_request request = {
                .method = &internal_v1_pull_events,
                .service = "membership",
                .principal = &self,
                .payload = message_pack(v->arena, &ask),
                .deadline_us = (PULL_WAIT_MS + 2000) * 1000ll,
                .long_poll = true,
        };
        v->pending = rpc_client_call(v->worker->rpc, &request, on_events, v);
}

static void on_cursor(void *arg, int error, const struct cache_reply *reply)
{
        struct revocations *v = arg;
        if (error == -ECANCELED)
                return;
        if (error || reply->kind == CACHE_ERROR) {
                pause_then_restart(v);
                return;
        }
        v->epoch[0] = '\0';
        v->after = 0;
        if (reply->kind == CACHE_TEXT) {
                struct str after = reply->text, epoch = str_cut(&after, ':');
                int64_t position;
                if (epoch.n < sizeof(v->epoch) && str_to_i64(after, 0, INT64_MAX, &position) == 0) {
                        snprintf(v->epoch, sizeof(v->epoch), "%.*s", (int)epoch.n, epoch.p);
                        v->after = position;
                }
        }
        pull(v);
}

static void start(void *arg)
{
        struct revocations *v = arg;
        v->state = REVOCATIONS_STARTING;
        CACHE_COMMAND(v->worker->cache, on_cursor, v, STR("GET"), STR(CURSOR_KEY));
}

void revocations_redis_back(struct revocations *v)
{
        if (v && v->state == REVOCATIONS_PULLING) {
                rpc_pending_cancel(TAKE(v->pending));
                start(v);
        } else if (v && v->state == REVOCATIONS_TELLING) {
                v->failed = true; /* starts again once all of this batch has its answer */
        }
}

struct revocations *revocations_new(struct worker *w)
{
        struct revocations *v = mem_zalloc(sizeof(*v));
        v->worker = w;
        v->arena = arena_new(64 * 1024);
        v->revoked = metric_new(w->gateway->metrics, &family_revoked, "%s", "");
        v->timer = loop_timer_new(w->loop, start, v);
        loop_timer_set(v->timer, 0);
        return v;
}

struct revocations *revocations_free(struct revocations *v)
{
        if (v) {
                if (v->pending)
                        rpc_pending_cancel(v->pending);
                loop_timer_free(v->timer);
                arena_free(v->arena);
                free(v);
        }
        return NULL;
}
