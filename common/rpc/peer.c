/* SPDX-License-Identifier: Apache-2.0
 *
 * What every service offers to its peers: its outbox and its snapshots.
 */
#include "common/rpc/peer.h"

#include "common/rpc/listener.h"

#include "contract/internal_v1.h"

#define PULL_BYTES (1024 * 1024) /* of events in one answer: a frame holds 4 MiB */

typedef Nuanxin__Internal__V1__OutboxEvent OutboxEvent;
typedef Nuanxin__Internal__V1__PullEventsRequest PullEventsRequest;
typedef Nuanxin__Internal__V1__PullEventsResponse PullEventsResponse;
typedef Nuanxin__Internal__V1__PullSnapshotRequest PullSnapshotRequest;
typedef Nuanxin__Internal__V1__PullSnapshotResponse PullSnapshotResponse;

/* --- positions -------------------------------------------------------------------------------------------------- */

struct position {
        char *epoch;
        int64_t oldest, head; /* 0 if there is no event */
};

/* STORE_E_RETRY while the store had no writer yet. */
static int read_position(struct rpc_call *call, struct position *ret)
{
        static const char sql[] = "SELECT epoch, (SELECT MIN(seq) FROM rpc_outbox), (SELECT MAX(seq) FROM rpc_outbox) "
                                  "FROM rpc_epoch WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(call->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? STORE_E_RETRY : r;
        ret->epoch = store_text_dup(rows, 0, call->arena);
        ret->oldest = store_i64(rows, 1);
        ret->head = store_i64(rows, 2);
        return 0;
}

int rpc_outbox_head(struct rpc_call *call, int64_t *ret_head)
{
        return listener_read_head(call->db, ret_head);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static OutboxEvent *event_of(struct rpc_call *call, const struct store_rows *row)
{
        OutboxEvent *event = arena_alloc(call->arena, sizeof(*event));
        nuanxin__internal__v1__outbox_event__init(event);
        event->seq = store_i64(row, 0);
        event->id = store_text_dup(row, 1, call->arena);
        event->type = store_text_dup(row, 2, call->arena);
        event->subject = store_text_dup(row, 3, call->arena);
        event->organization = store_text_dup(row, 4, call->arena);
        event->time_us = store_i64(row, 5);
        struct str data = arena_str(call->arena, store_bytes(row, 6));
        event->data = (ProtobufCBinaryData){.len = data.n, .data = (uint8_t *)data.p};
        return event;
}

static int read_events(struct rpc_call *call, int64_t after, unsigned limit, PullEventsResponse *response)
{
        static const char sql[] = "SELECT seq, id, type, subject, organization, time_us, data FROM rpc_outbox "
                                  "WHERE seq > $1 ORDER BY seq LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t bytes = 0;
        int r = store_query(call->db, sql, &rows, I64(after), I64(limit));
        response->events = arena_alloc(call->arena, limit * sizeof(response->events[0]));
        while (r == 0 && bytes < PULL_BYTES && (r = store_next(rows)) == 1) {
                OutboxEvent *event = event_of(call, rows);
                response->events[response->n_events++] = event;
                bytes += event->data.len + 300;
                r = 0;
        }
        return r;
}

int outbox_pull(struct rpc_call *call, const char *epoch, int64_t after, unsigned limit, PullEventsResponse *response)
{
        struct position position;
        int r = read_position(call, &position);
        if (r != 0)
                return r;
        response->epoch = position.epoch;
        response->head = position.head;
        response->reset = (epoch[0] && strcmp(epoch, position.epoch) != 0) || after > position.head ||
                          (position.oldest && after < position.oldest - 1);
        return response->reset || after == position.head ? 0 : read_events(call, after, limit, response);
}

static int handle_pull_events(struct rpc_call *call, const PullEventsRequest *request, PullEventsResponse *response)
{
        unsigned limit = request->limit ? request->limit : 1;
        rpc_wait_at_most(call, (int64_t)request->wait_ms * 1000);
        int r = outbox_pull(call, request->epoch, request->after, limit, response);
        if (r != 0)
                return r;
        if (!response->reset)
                readers_note(call->server->readers, request->consumer, request->after - request->unsaved, call->now_us);
        if (response->n_events || response->reset || rpc_deadline_near(call))
                return 0;
        return rpc_later(call, request->after);
}

/* --- snapshots -------------------------------------------------------------------------------------------------- */

int rpc_snapshot_add(struct rpc_call *call, const struct contract_message *type, const void *event, const char *subject,
                     const char *organization, const char *key)
{
        PullSnapshotResponse *page = call->snapshot;
        if (!page)
                return -EPERM;
        /* A page that is full leaves the rest to the next one, which starts after the last key taken. */
        if (page->n_events >= call->snapshot_limit || call->snapshot_bytes >= PULL_BYTES)
                return 0;
        OutboxEvent *e = arena_alloc(call->arena, sizeof(*e));
        struct str data = message_pack(call->arena, event);
        nuanxin__internal__v1__outbox_event__init(e);
        e->id = rpc_new_id(call);
        e->type = (char *)type->name;
        e->subject = arena_strdup(call->arena, subject);
        e->organization = arena_strdup(call->arena, organization);
        e->time_us = call->now_us;
        e->data = (ProtobufCBinaryData){.len = data.n, .data = (uint8_t *)data.p};
        page->events[page->n_events++] = e;
        page->next_key = arena_strdup(call->arena, key);
        call->snapshot_bytes += data.n + 300;
        return 0;
}

static const struct rpc_snapshot *find_snapshot(const struct rpc_service *service, const char *topic)
{
        for (const struct rpc_snapshot *s = service->snapshots; s && s->topic; s++)
                if (strcmp(s->topic, topic) == 0)
                        return s;
        return NULL;
}

int snapshot_pull(struct rpc_call *call, const char *topic, const char *key, unsigned limit,
                  PullSnapshotResponse *response)
{
        const struct rpc_snapshot *snapshot = find_snapshot(call->server->service, topic);
        struct position position;
        if (!snapshot)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        int r = read_position(call, &position);
        if (r != 0)
                return r;
        response->epoch = position.epoch;
        response->position = position.head;
        response->events = arena_alloc(call->arena, limit * sizeof(response->events[0]));
        call->snapshot = response;
        call->snapshot_limit = limit;
        call->snapshot_bytes = 0;
        r = snapshot->page(call, key, limit);
        call->snapshot = NULL;
        return r;
}

static int handle_pull_snapshot(struct rpc_call *call, const PullSnapshotRequest *request,
                                PullSnapshotResponse *response)
{
        return snapshot_pull(call, request->topic, request->key, request->limit ? request->limit : 1, response);
}

const struct rpc_method peer_methods[] = {
        INTERNAL_V1_PULL_EVENTS(handle_pull_events),
        INTERNAL_V1_PULL_SNAPSHOT(handle_pull_snapshot),
        INTERNAL_V1_GET_STATUS(handle_get_status),
        INTERNAL_V1_LIST_AUDIT(handle_list_audit),
        INTERNAL_V1_CONTRACT_STORE(handle_contract_store),
        INTERNAL_V1_MOVE_STORE(handle_move_store),
        INTERNAL_V1_LEAVE_STORE(handle_leave_store),
        {0},
};
