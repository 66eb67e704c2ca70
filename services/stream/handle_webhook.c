/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhook endpoints, as the operator has them: making, showing, pausing, resuming, deleting, new secrets, sending again, and
 * what was delivered. What is due is sent by webhook_worker.c.
 */
#include "services/stream/handle_agency.h"
#include "services/stream/log.h"
#include "services/stream/state.h"
#include "services/stream/store.h"
#include "services/stream/view.h"
#include "services/stream/webhook.h"

#include "common/outbound/outbound.h"
#include "common/rpc/worker.h"

#include <inttypes.h>

/* --- shared -------------------------------------------------------------------------------------------------------- */

static void fill_types(struct rpc_call *call, const struct endpoint *e, Endpoint *out)
{
        struct str rest = str_of(e->types);
        out->types = ARENA_ARRAY(rpc_arena(call), char *, rest.n / 2 + 1);
        while (rest.n) {
                struct str type = str_cut(&rest, ' ');
                out->types[out->n_types++] = arena_strndup(rpc_arena(call), type.p, type.n);
        }
}

/* One that is active may wait for its agency. */
static int fill_standing(struct rpc_call *call, const struct endpoint *e, Endpoint *out)
{
        struct agency agency;
        int r = e->state == WEBHOOK_ACTIVE ? agency_load(rpc_db(call), rpc_arena(call), e->agency, &agency) : STREAM_E_ABSENT;
        if (r == 0 && agency.suspended)
                out->reason = (char *)"its agency is suspended";
        else if (r == 0 && agency.agreement_expire_us <= rpc_now(call))
                out->reason = (char *)"the agreement has expired";
        return r == STREAM_E_ABSENT ? 0 : r;
}

/* Of the newest secret. */
static int fill_public_key(struct rpc_call *call, const struct endpoint *e, Endpoint *out)
{
        struct webhook_secret secrets[WEBHOOK_SECRETS];
        size_t n = 0;
        int r = secrets_load(rpc_db(call), rpc_arena(call), rpc_keyring(call), e->id, rpc_now(call), secrets, &n);
        if (r == 0 && n)
                out->public_key = webhook_public_text(rpc_arena(call), &secrets[0]);
        for (size_t i = 0; i < n; i++)
                webhook_secret_wipe(&secrets[i]);
        return r;
}

static int fill(struct rpc_call *call, Endpoint *out, const struct endpoint *e, const struct log_position *log)
{
        char cursor[LOG_CURSOR_SIZE];
        log_cursor_write(log, e->position, cursor);
        out->id = (char *)e->id;
        out->agency = (char *)e->agency;
        out->url = (char *)e->url;
        out->state = (Endpoint__State)e->state;
        out->reason = (char *)e->reason;
        out->cursor = arena_strdup(rpc_arena(call), cursor);
        out->behind = log->latest > e->position ? log->latest - e->position : 0;
        out->attempts = (uint32_t)e->attempts;
        out->next_attempt_time = e->attempts ? rpc_timestamp(call, e->next_us) : NULL;
        out->create_time = rpc_timestamp(call, e->created_us);
        out->allow_time = rpc_timestamp(call, e->allowed_us);
        out->allowed_rate = (int32_t)e->allowed_rate;
        out->redrive_from = e->redrive_next;
        out->redrive_through = e->redrive_through;
        fill_types(call, e, out);
        int r = fill_standing(call, e, out);
        return r == 0 ? fill_public_key(call, e, out) : r;
}

static int find(struct rpc_call *call, const char *id, struct endpoint *ret)
{
        int r = endpoint_load(rpc_db(call), rpc_arena(call), id, ret);
        return r == WEBHOOK_E_ABSENT ? rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND) : r;
}

/* Both are of the operator's methods: who may call is decided before the handler. */
static int find_with_log(struct rpc_call *call, const char *id, struct endpoint *ret, struct log_position *ret_log)
{
        rpc_require_nothing(call);
        int r = log_position(rpc_db(call), ret_log);
        return r == 0 ? find(call, id, ret) : r;
}

static int read_cursor(struct rpc_call *call, const struct log_position *log, const char *cursor, int64_t *ret_after)
{
        int r = log_cursor_read(log, str_of(cursor), ret_after);
        if (r == LOG_E_GONE)
                return rpc_about(call, "/cursor", rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE, "/v1/events:snapshot"));
        if (r == LOG_E_UNKNOWN)
                return rpc_about(call, "/cursor", rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CURSOR_UNKNOWN));
        return r;
}

/* Saved, shown, and told to the worker. */
static int finish(struct rpc_call *call, struct endpoint *e, const struct log_position *log, Endpoint *response)
{
        e->updated_us = rpc_now(call);
        int r = endpoint_save(rpc_db(call), e);
        if (r == 0)
                r = fill(call, response, e, log);
        rpc_audit_subject(call, e->id, "");
        return r == 0 ? rpc_wake(call) : r;
}

static int add_secret(struct rpc_call *call, const char *endpoint, EndpointSecret *response)
{
        struct webhook_secret secret;
        webhook_secret_new(&secret);
        response->secret = webhook_secret_text(rpc_arena(call), &secret);
        int r = secret_add(rpc_db(call), rpc_arena(call), rpc_keyring(call), endpoint, rpc_new_id(call), &secret, rpc_now(call),
                           rpc_now(call) + WEBHOOK_ROTATION_US);
        webhook_secret_wipe(&secret);
        return r;
}

/* --- making and deleting ------------------------------------------------------------------------------------------------ */

static int check_new(struct rpc_call *call, const Endpoint *given)
{
        const struct stream_state *state = rpc_state(call);
        const char *why = outbound_url_refusal(given->url, state->options->webhook.allow_loopback);
        int64_t of_agency, all;
        struct agency agency;
        int r = find_agency(call, given->agency, &agency);
        if (r == 0 && why)
                r = rpc_about(call, "/endpoint/url", rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ENDPOINT_ADDRESS_REFUSED, why));
        for (size_t i = 0; i < given->n_types && r == 0; i++)
                if (!view_pattern_is_known(str_of(given->types[i])))
                        r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_EVENT_TYPE_UNKNOWN, given->types[i]);
        if (r == 0)
                r = endpoints_count(rpc_db(call), given->agency, &of_agency, &all);
        if (r == 0 && (of_agency >= WEBHOOK_PER_AGENCY || all >= WEBHOOK_IN_ALL))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ENDPOINT_LIMIT,
                               arena_printf(rpc_arena(call), "%" PRId64, of_agency >= WEBHOOK_PER_AGENCY ? of_agency : all));
        return r;
}

static const char *join(struct arena *arena, char *const *items, size_t n)
{
        const char *all = "";
        for (size_t i = 0; i < n; i++)
                all = arena_printf(arena, "%s%s%s", all, i ? " " : "", items[i]);
        return all;
}

int handle_create_endpoint(struct rpc_call *call, const CreateEndpointRequest *request, EndpointSecret *response)
{
        const Endpoint *given = request->endpoint;
        struct log_position log;
        rpc_require_nothing(call);
        struct endpoint e = {
                .id = rpc_new_id(call),
                .agency = given->agency,
                .url = given->url,
                .types = join(rpc_arena(call), given->types, given->n_types),
                .state = WEBHOOK_ACTIVE,
                .reason = "",
                .dead = "",
                .created_us = rpc_now(call),
                .updated_us = rpc_now(call),
                .revision = 1,
        };
        int r = check_new(call, given);
        if (r == 0)
                r = log_position(rpc_db(call), &log);
        if (r != 0)
                return r;
        e.position = log.latest;
        if (request->cursor[0])
                r = read_cursor(call, &log, request->cursor, &e.position);
        if (r == 0)
                r = endpoint_insert(rpc_db(call), &e);
        if (r == 0)
                r = add_secret(call, e.id, response);
        response->endpoint = message_new(rpc_arena(call), &stream_v1_endpoint_msg);
        if (r == 0)
                r = fill(call, response->endpoint, &e, &log);
        rpc_audit_subject(call, e.id, "");
        return r == 0 ? rpc_wake(call) : r;
}

int handle_rotate_endpoint_secret(struct rpc_call *call, const RotateEndpointSecretRequest *request, EndpointSecret *response)
{
        struct endpoint e;
        struct log_position log;
        int r = find_with_log(call, request->endpoint, &e, &log);
        if (r == 0)
                r = add_secret(call, e.id, response);
        if (r != 0)
                return r;
        response->endpoint = message_new(rpc_arena(call), &stream_v1_endpoint_msg);
        return finish(call, &e, &log, response->endpoint);
}

int handle_delete_endpoint(struct rpc_call *call, const DeleteEndpointRequest *request, DeleteEndpointResponse *response)
{
        (void)response;
        rpc_require_nothing(call);
        int r = endpoint_delete(rpc_db(call), request->endpoint);
        if (r == WEBHOOK_E_ABSENT)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        rpc_audit_subject(call, request->endpoint, "");
        return r == 0 ? rpc_wake(call) : r;
}

/* --- showing -------------------------------------------------------------------------------------------------------------- */

int handle_get_endpoint(struct rpc_call *call, const GetEndpointRequest *request, Endpoint *response)
{
        struct endpoint e;
        struct log_position log;
        int r = find_with_log(call, request->endpoint, &e, &log);
        return r == 0 ? fill(call, response, &e, &log) : r;
}

int handle_list_endpoints(struct rpc_call *call, const ListEndpointsRequest *request, ListEndpointsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(request->agency), key;
        struct log_position log;
        size_t size = (size_t)rpc_page_size(request->page_size), bytes = 0;
        rpc_require_nothing(call);
        int r = log_position(rpc_db(call), &log);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r != 0)
                return r;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        response->endpoints = ARENA_ARRAY(arena, Endpoint *, size);
        r = endpoints_query(rpc_db(call), request->agency, arena_strndup(arena, key.p, key.n), (int64_t)size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct endpoint e;
                if (response->n_endpoints == size || bytes >= RPC_PAGE_BYTES) {
                        const char *last = response->endpoints[response->n_endpoints - 1]->id;
                        response->next_page_token = rpc_page_token(call, filter, str_of(last));
                        return 0;
                }
                endpoint_read(rows, arena, &e);
                Endpoint *out = message_new(arena, &stream_v1_endpoint_msg);
                r = fill(call, out, &e, &log);
                response->endpoints[response->n_endpoints++] = out;
                bytes += protobuf_c_message_get_packed_size(&out->base);
        }
        return r;
}

static Delivery *delivery_message(struct rpc_call *call, const char *endpoint, const struct delivery *d)
{
        Delivery *out = message_new(rpc_arena(call), &stream_v1_delivery_msg);
        out->id = d->id;
        out->endpoint = (char *)endpoint;
        out->seq = d->seq;
        out->event = (char *)d->event;
        out->attempt = (uint32_t)d->attempt;
        out->time = rpc_timestamp(call, d->time_us);
        out->status = (uint32_t)d->status;
        out->error = (char *)d->error;
        out->took_ms = (uint32_t)(d->took_us / 1000);
        out->dead = d->dead;
        return out;
}

int handle_list_deliveries(struct rpc_call *call, const ListDeliveriesRequest *request, ListDeliveriesResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s|%d", request->endpoint, request->dead_only)), key;
        size_t size = (size_t)rpc_page_size(request->page_size);
        int64_t before = INT64_MAX;
        struct endpoint e;
        rpc_require_nothing(call);
        int r = find(call, request->endpoint, &e);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0 && key.n && str_to_i64(key, 0, INT64_MAX, &before) != 0)
                r = -EINVAL;
        if (r != 0)
                return r;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        response->deliveries = ARENA_ARRAY(arena, Delivery *, size);
        r = deliveries_query(rpc_db(call), e.id, request->dead_only, before, (int64_t)size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct delivery d;
                if (response->n_deliveries == size) {
                        const char *last = arena_printf(arena, "%" PRId64, response->deliveries[size - 1]->id);
                        response->next_page_token = rpc_page_token(call, filter, str_of(last));
                        return 0;
                }
                delivery_read(rows, arena, &d);
                response->deliveries[response->n_deliveries++] = delivery_message(call, e.id, &d);
                r = 0;
        }
        return r;
}

/* --- stopping, going on, sending again ------------------------------------------------------------------------------------- */

int handle_pause_endpoint(struct rpc_call *call, const PauseEndpointRequest *request, Endpoint *response)
{
        struct endpoint e;
        struct log_position log;
        int r = find_with_log(call, request->endpoint, &e, &log);
        if (r != 0)
                return r;
        if (e.state == WEBHOOK_ACTIVE)
                webhook_pause(&e, "by the operator");
        return finish(call, &e, &log, response);
}

int handle_resume_endpoint(struct rpc_call *call, const ResumeEndpointRequest *request, Endpoint *response)
{
        struct endpoint e;
        struct log_position log;
        int r = find_with_log(call, request->endpoint, &e, &log);
        if (r == 0 && request->cursor[0])
                r = read_cursor(call, &log, request->cursor, &e.position);
        if (r != 0)
                return r;
        webhook_resume(&e);
        return finish(call, &e, &log, response);
}

int handle_redrive_endpoint(struct rpc_call *call, const RedriveEndpointRequest *request, Endpoint *response)
{
        struct arena *arena = rpc_arena(call);
        struct endpoint e;
        struct log_position log;
        int r = find_with_log(call, request->endpoint, &e, &log);
        if (r != 0)
                return r;
        if (e.redrive_next)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ENDPOINT_REDRIVES, arena_printf(arena, "%" PRId64, e.redrive_next),
                                  arena_printf(arena, "%" PRId64, e.redrive_through));
        if (request->from < log.oldest)
                return rpc_invalid(call, "/from", "range", arena_printf(arena, "the log begins at %" PRId64, log.oldest),
                                   arena_printf(arena, "日志从 %" PRId64 " 开始", log.oldest));
        if (request->from > e.position)
                return rpc_invalid(call, "/from", "range", arena_printf(arena, "it has been sent events up to %" PRId64, e.position),
                                   arena_printf(arena, "已发送至 %" PRId64, e.position));
        if (request->through < request->from)
                return rpc_invalid(call, "/through", "range", "is before from", "早于 from");
        e.redrive_next = request->from;
        e.redrive_through = request->through < e.position ? request->through : e.position;
        return finish(call, &e, &log, response);
}
