/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching: over HTTP, server-sent events and ZeroMQ alike, since the gateway and the edge ask for batches here.
 */
#include "services/stream/fetch.h"
#include "services/stream/handle.h"

#include "common/base/clock.h"

#include <inttypes.h>

#define EVENTS_WITHOUT_MAX 100

#define KIND(name) NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name

/* --- who asks ------------------------------------------------------------------------------------------------------------ */

/* An agency for itself; the operator for any, or for all. Nobody else, whatever else they may. */
static int who(struct rpc_call *call, const char *agency, struct fetch_ask *ask)
{
        const Principal *p = rpc_principal(call);
        if (p->kind != KIND(AGENCY) && p->kind != KIND(OPERATOR)) {
                rpc_require_nothing(call);
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED, "event.read");
        }
        bool is_agency = p->kind == KIND(AGENCY);
        if (is_agency && !p->id[0]) /* would stand for everything */
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED);
        ask->agencies = agencies_of(call);
        ask->db = rpc_db(call);
        ask->arena = rpc_arena(call);
        ask->now_us = rpc_now(call);
        ask->agency = is_agency ? p->id : agency;
        ask->key = is_agency ? p->session : NULL;
        return rpc_require(call, (struct str){0});
}

static size_t size_of(int32_t asked)
{
        return asked > 0 ? (size_t)asked : EVENTS_WITHOUT_MAX;
}

static struct view_list list_of(char *const *items, size_t n)
{
        return (struct view_list){(const char *const *)items, n};
}

static int refused(struct rpc_call *call, int r, const struct fetch_answer *answer)
{
        if (r != FETCH_E_REFUSED)
                return r;
        agencies_count_refused(rpc_metrics(call), answer->problem);
        if (answer->arg)
                return rpc_refuse(call, answer->problem, answer->arg);
        return rpc_refuse(call, answer->problem);
}

/* --- the log ---------------------------------------------------------------------------------------------------------------- */

static ProtobufCBinaryData bytes_in(struct arena *arena, const void *p, size_t n)
{
        struct str copied = arena_str(arena, str_bytes(p, n));
        return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)copied.p};
}

/* The head at through, with its signature. */
static int fill_proof(struct rpc_call *call, const struct fetch_answer *answer, FetchEventsResponse *response)
{
        unsigned char head[CHAIN_SIZE], signature[SIGNATURE_SIZE];
        int r = 0;
        if (answer->through == answer->position.latest)
                memcpy(head, answer->position.head, sizeof(head));
        else
                r = log_head_at(rpc_db(call), answer->through, head);
        if (r != 0)
                return r;
        agencies_sign(call, answer->position.epoch, answer->through, head, signature);
        response->head = bytes_in(rpc_arena(call), head, sizeof(head));
        response->signature = bytes_in(rpc_arena(call), signature, sizeof(signature));
        return 0;
}

static int fill(struct rpc_call *call, const struct fetch_answer *answer, FetchEventsResponse *response)
{
        response->cursor = arena_alloc(rpc_arena(call), LOG_CURSOR_SIZE);
        log_cursor_write(&answer->position, answer->through, response->cursor);
        response->from = answer->from;
        response->through = answer->through;
        response->latest = answer->position.latest;
        response->events = (ProtobufCBinaryData){.len = answer->events.n, .data = (uint8_t *)(uintptr_t)answer->events.p};
        return fill_proof(call, answer, response);
}

static int fetch(struct rpc_call *call, const FetchEventsRequest *request, const char *transport, FetchEventsResponse *response)
{
        struct fetch_answer answer;
        struct fetch_ask ask = {
                .cursor = str_of(request->cursor),
                .types = list_of(request->types, request->n_types),
                .format = request->format,
                .max_events = size_of(request->max_events),
                .looked_through = rpc_waited_past(call),
        };
        int r = who(call, request->agency, &ask);
        if (r != 0)
                return r;
        rpc_wait_at_most(call, request->wait * CLOCK_SECOND_US);
        r = refused(call, fetch_for_agency(&ask, &answer), &answer);
        if (r != 0)
                return r;
        if (ask.key && request->cursor[0])
                position_note(ask.agencies, ask.agency, transport, answer.from, !request->ahead, ask.now_us);
        bool nothing = !answer.n_events && answer.through == answer.position.latest;
        if (nothing && request->wait && !rpc_deadline_near(call))
                return rpc_later_news(call, answer.position.latest);
        agencies_count_sent(ask.agencies, rpc_metrics(call), ask.key ? transport : "operator", answer.n_events);
        return fill(call, &answer, response);
}

static const char *transport_of(const FetchEventsRequest *request, const char *otherwise)
{
        return request->transport[0] ? request->transport : otherwise;
}

int handle_fetch_events(struct rpc_call *call, const FetchEventsRequest *request, FetchEventsResponse *response)
{
        return fetch(call, request, transport_of(request, "http"), response);
}

int handle_stream_events(struct rpc_call *call, const FetchEventsRequest *request, FetchEventsResponse *response)
{
        return fetch(call, request, transport_of(request, "sse"), response);
}

/* --- the state behind it -------------------------------------------------------------------------------------------------------- */

/* After which row of the state, in which epoch. */
struct place {
        int64_t after;
        struct str epoch;
};

static int place_read(struct rpc_call *call, const char *token, struct str filter, struct place *ret, bool *ret_first)
{
        struct str key;
        int r = rpc_page_start(call, token, filter, &key);
        *ret = (struct place){0};
        *ret_first = !key.n;
        if (r != 0 || !key.n)
                return r;
        struct str after = str_cut(&key, ' ');
        ret->epoch = key;
        return str_to_i64(after, 0, INT64_MAX, &ret->after);
}

static struct str filter_of(struct rpc_call *call, const struct fetch_ask *ask)
{
        struct str types = list_join(rpc_arena(call), ask->types);
        return str_of(arena_printf(rpc_arena(call), "%s|%d|%s", ask->agency, (int)ask->format, types.p));
}

int handle_fetch_snapshot(struct rpc_call *call, const FetchSnapshotRequest *request, FetchSnapshotResponse *response)
{
        struct fetch_answer answer;
        struct place place;
        bool more = false, first;
        struct fetch_ask ask = {
                .types = list_of(request->types, request->n_types),
                .format = request->format,
                .max_events = size_of(request->max_events),
        };
        int r = who(call, request->agency, &ask);
        struct str filter = r == 0 ? filter_of(call, &ask) : (struct str){0};
        if (r == 0)
                r = place_read(call, request->page_token, filter, &place, &first);
        if (r == 0)
                r = refused(call, fetch_state(&ask, place.after, &answer, &more), &answer);
        if (r != 0)
                return r;
        if (!first && !str_is(place.epoch, answer.position.epoch))
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PAGE_TOKEN_INVALID);
        response->events = (ProtobufCBinaryData){.len = answer.events.n, .data = (uint8_t *)(uintptr_t)answer.events.p};
        if (more) {
                const char *key = arena_printf(rpc_arena(call), "%" PRId64 " %s", answer.through, answer.position.epoch);
                response->next_page_token = rpc_page_token(call, filter, str_of(key));
                return 0;
        }
        /* Where the log begins by now: what it gave up since the first page stands behind the rows that were there then. */
        response->cursor = arena_alloc(rpc_arena(call), LOG_CURSOR_SIZE);
        log_cursor_write(&answer.position, answer.position.oldest - 1, response->cursor);
        return 0;
}
