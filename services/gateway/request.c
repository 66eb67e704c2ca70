/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests from their header to the service and back. What a request needs before a service sees it is checked in the
 * order in which it costs: route, fields, caller and rate, message.
 */
#include "services/gateway/request.h"

#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "common/rpc/envelope.h"
#include "contract/stream_v1.h"
#include "services/gateway/admit.h"
#include "services/gateway/answer.h"
#include "services/gateway/auth.h"
#include "services/gateway/decode.h"
#include "services/gateway/etag.h"
#include "services/gateway/export.h"
#include "services/gateway/finish.h"
#include "services/gateway/pages.h"
#include "services/gateway/sse.h"
#include "services/gateway/upload.h"
#include "services/gateway/waits.h"

#define CLIENT_KEY_MAX 128
#define CALL_US        (10 * CLOCK_SECOND_US) /* of a call that waits for news: beside that wait */

static const struct metric_family family_requests = {
        "nuanxin_gateway_requests_total", "Requests by method of the contract and HTTP status.", METRIC_COUNTER};
static const struct metric_family family_duration = {
        "nuanxin_gateway_request_seconds", "From a request's first byte to its answer.", METRIC_HISTOGRAM};

/* --- counting --------------------------------------------------------------------------------------------------- */

static void count(struct worker *w, struct route *route, unsigned status, int64_t started_us)
{
        struct metric_registry *registry = w->gateway->metrics;
        size_t i = 0;
        if (!route)
                route = &w->nowhere;
        while (i < ROUTE_STATUSES_MAX - 1 && route->counted[i].status && route->counted[i].status != status)
                i++;
        if (route->counted[i].status != status) {
                route->counted[i].status = status;
                route->counted[i].metric =
                        metric_new(registry, &family_requests, "method=\"%s\",code=\"%u\"", route->label, status);
        }
        metric_add(route->counted[i].metric, 1);
        if (!route->duration)
                route->duration = metric_new(registry, &family_duration, "method=\"%s\"", route->label);
        metric_observe(route->duration, clock_monotonic_us() - started_us);
}

static void let_go(struct request *r)
{
        callers_wait_cancel(r->worker->callers, &r->waiter);
        auth_fetch_forget(r);
        if (r->pending)
                rpc_pending_cancel(r->pending);
        r->pending = NULL;
        while (r->n_charges)
                caller_unpin(r->charges[--r->n_charges].caller);
        r->who = caller_unpin(r->who);
        r->upload = upload_free(r->upload);
        r->export = export_free(r->export);
        finish_forget(r);
        sse_forget(r);
        waits_leave(r);
        if (r->counted)
                metric_add(r->worker->in_flight, -1);
        r->state = REQUEST_ANSWERED;
}

void request_done(struct request *r, unsigned status)
{
        if (!r->begun)
                count(r->worker, r->route, status, r->http->started_us);
        let_go(r);
}

void request_begun(struct request *r, unsigned status)
{
        count(r->worker, r->route, status, r->http->started_us);
        metric_add(r->worker->in_flight, -1);
        r->begun = true;
        r->counted = false;
}

/* --- what its header says ----------------------------------------------------------------------------------------- */

static bool is_visible(struct str text, size_t most)
{
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] < 0x21 || text.p[i] > 0x7e)
                        return false;
        return text.n > 0 && text.n <= most;
}

static void read_trace(struct request *r)
{
        struct str parent = r->headers.values[HEADER_TRACEPARENT], id = r->headers.values[HEADER_X_REQUEST_ID];
        if (parent.p && id_is_traceparent(parent))
                id_next_traceparent(r->traceparent, parent);
        else
                id_new_traceparent(r->traceparent);
        r->request_id = id.p && is_visible(id, CLIENT_KEY_MAX) ? id : (struct str){r->traceparent + 3, 32};
}

static struct request *request_of(struct worker *w, struct http_request *http)
{
        if (http->user)
                return http->user;
        struct request *r = ARENA_NEW(http->arena, struct request);
        r->worker = w;
        r->http = http;
        http->user = r;
        headers_read(&r->headers, http);
        read_trace(r);
        r->address = forwarded_client(http->arena, &w->gateway->proxies, http->peer_address,
                                      r->headers.values[HEADER_FORWARDED]);
        if (route_find(w->routes, http->arena, http->path, &r->match) && http->method <= HTTP_DELETE) {
                static const enum contract_http methods[] = {
                        [HTTP_GET] = CONTRACT_GET,     [HTTP_HEAD] = CONTRACT_GET,   [HTTP_POST] = CONTRACT_POST,
                        [HTTP_PUT] = CONTRACT_PUT,     [HTTP_PATCH] = CONTRACT_PATCH, [HTTP_DELETE] = CONTRACT_DELETE};
                enum contract_http method = methods[http->method];
                /* Who can't send PATCH (a mini program's wx.request) says so in a POST. */
                if (http->method == HTTP_POST && str_is(r->headers.values[HEADER_X_HTTP_METHOD_OVERRIDE], "PATCH"))
                        method = CONTRACT_PATCH;
                r->route = r->match.routes[method];
        }
        return r;
}

static bool refuse(struct request *r, Nuanxin__Problem problem, const char *arg)
{
        answer_refusal(r, problem, arg);
        return false;
}

static bool check_accept(struct request *r)
{
        struct str accept = r->headers.values[HEADER_ACCEPT];
        r->class = r->route->method->rate;
        if (r->route->method->event_stream)
                return !accept.p || http_accepts(accept, "text/event-stream") ||
                       refuse(r, NUANXIN__PROBLEM__PROBLEM_NOT_ACCEPTABLE, "text/event-stream");
        if (!accept.p || http_accepts(accept, "application/json"))
                return true;
        if (!r->route->method->export)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_NOT_ACCEPTABLE, "application/json");
        if (!export_wanted(r))
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_NOT_ACCEPTABLE,
                              "application/json, text/csv, application/x-ndjson");
        r->class = NUANXIN__RATE_CLASS__RATE_BULK;
        return true;
}

/* media type [; charset=utf-8] */
static bool is_media_type(struct str value, const char *type)
{
        struct str parameters = value, name = str_trim(str_cut(&parameters, ';'));
        if (!str_case_eq(name, str_of(type)))
                return false;
        while (parameters.n) {
                struct str text = str_trim(str_cut(&parameters, ';')), key = str_cut(&text, '=');
                if (str_case_eq(key, STR("charset")) && strcmp(type, "application/json") == 0 &&
                    !str_case_eq(text, STR("utf-8")) && !str_case_eq(text, STR("\"utf-8\"")))
                        return false;
        }
        return true;
}

static bool check_body(struct request *r)
{
        const struct contract_method *m = r->route->method;
        const char *type = m->upload ? "text/csv" : "application/json";
        struct str coding = r->headers.values[HEADER_CONTENT_ENCODING];
        bool body = r->http->body.n > 0 || (m->upload && r->http->chunked_or_sized);
        if (!body)
                return true;
        if (!r->route->has_body)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST, "This method takes no body.");
        if (coding.p && !str_case_eq(coding, STR("identity")))
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_UNSUPPORTED_MEDIA_TYPE, type);
        if (!is_media_type(r->headers.values[HEADER_CONTENT_TYPE], type))
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_UNSUPPORTED_MEDIA_TYPE, type);
        return true;
}

static bool check_idempotency_key(struct request *r)
{
        struct str key = r->headers.values[HEADER_IDEMPOTENCY_KEY];
        if (!key.p || r->route->method->http == CONTRACT_GET)
                return true;
        if (!is_visible(key, CLIENT_KEY_MAX))
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                              "Idempotency-Key has 1 to 128 visible ASCII characters.");
        r->idempotency_key = key;
        return true;
}

/* If-Match names one strong tag. "*" asks only that there be something, which is so unless the answer is 404. What can
 * never match, or can't be checked by this method, is 412: the client relies on the check. */
static bool check_if_match(struct request *r)
{
        struct etag_list list;
        struct str text = r->headers.values[HEADER_IF_MATCH];
        if (!text.p)
                return true;
        int e = etag_list_parse(text, &list);
        if (e < 0)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST, "If-Match is \"*\" or a list of entity tags.");
        if (list.any)
                return true;
        if (list.n != 1)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST, "If-Match takes one entity tag here.");
        bool reads = r->route->method->http == CONTRACT_GET;
        bool taken = reads || (r->route->request_tag && list.tags[0].value.n <= r->route->request_tag_max);
        if (list.tags[0].weak || !taken)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED, NULL);
        r->if_match = list.tags[0].value;
        return true;
}

static bool check_head(struct request *r)
{
        struct http_request *http = r->http;
        if (!r->match.routes) {
                if (pages_answer(r->worker->gateway->pages, r))
                        return false;
                r->allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
                if (http->method == HTTP_OPTIONS && str_is(http->path, "*")) {
                        answer_options(r);
                        return false;
                }
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_PATH_UNKNOWN, NULL);
        }
        if (http->method == HTTP_OPTIONS) {
                answer_options(r);
                return false;
        }
        if (!r->route)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_METHOD_NOT_ALLOWED, NULL);
        if (r->headers.repeated)
                return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                              arena_printf(http->arena, "The field %s may stand only once.", r->headers.repeated));
        return check_accept(r) && check_body(r) && check_idempotency_key(r) && check_if_match(r);
}

/* --- calling ------------------------------------------------------------------------------------------------------ */

bool request_may_call(const struct request *r)
{
        return r->who->kind == CALLER_ADDRESS || r->who->principal.p;
}

static void place_call(struct request *r, struct str payload, struct str key, bool client_key, int64_t wait_us, rpc_done_fn done)
{
        const struct rpc_request call = {
                .method = r->route->method,
                .principal_packed = r->who->principal, /* none: nobody in particular */
                .payload = payload,
                .traceparent = {r->traceparent, ID_TRACEPARENT_SIZE - 1},
                .idempotency_key = key,
                .client_key = client_key,
                .address = str_of(r->address),
                .deadline_us = wait_us ? CALL_US + wait_us : 0,
                .long_poll = wait_us > 0,
        };
        if (request_may_call(r))
                r->pending = rpc_client_call(r->worker->rpc, &call, done, r);
        else
                answer_refusal(r, auth_problem(r), NULL);
}

void request_call(struct request *r, struct str payload, struct str key, bool client_key, rpc_done_fn done)
{
        place_call(r, payload, key, client_key, 0, done);
}

/* Where to read the present state, with the types that the request asks for: "/v1/events:snapshot?types=…". */
static const char *snapshot_of(struct request *r)
{
        const struct contract_message *input = r->route->method->input;
        const ProtobufCFieldDescriptor *types = decode_field(input, "types");
        const char *path = stream_v1_fetch_snapshot.path;
        if (!types || types->type != PROTOBUF_C_TYPE_STRING || types->label != PROTOBUF_C_LABEL_REPEATED)
                return path;
        size_t n = *(size_t *)((char *)r->message + types->quantifier_offset);
        char **items = *(char ***)decode_member(types, r->message);
        for (size_t i = 0; i < n; i++) /* letters, digits, dots and stars */
                path = arena_printf(r->http->arena, "%s%ctypes=%s", path, i ? '&' : '?', items[i]);
        return path;
}

/* A service's refusal, with its texts lent from the arena. */
static void answer_from_service(struct request *r, const struct rpc_result *result)
{
        ProtobufCAllocator allocator = envelope_allocator(r->http->arena);
        Nuanxin__Internal__V1__Refusal *refusal = nuanxin__internal__v1__refusal__unpack(
                &allocator, result->payload.n, (const uint8_t *)result->payload.p);
        struct problem problem = {.value = result->problem};
        if (refusal) {
                struct violation *violations = ARENA_ARRAY(r->http->arena, struct violation, refusal->n_violations + 1);
                for (size_t i = 0; i < refusal->n_violations; i++)
                        violations[i] = (struct violation){refusal->violations[i]->pointer, refusal->violations[i]->rule,
                                                           refusal->violations[i]->detail,
                                                           refusal->violations[i]->detail_zh};
                for (size_t i = 0; i < refusal->n_args && i < ARRAY_LEN(problem.args); i++)
                        problem.args[i] = refusal->args[i];
                problem.violations = violations;
                problem.n_violations = refusal->n_violations;
        }
        if (result->problem == NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE)
                problem.args[0] = problem.snapshot = snapshot_of(r);
        if (contract_problem_of(result->problem)->status == 401)
                auth_refuse(r);
        answer_problem(r, &problem, result->retry_after_ms);
}

bool request_call_failed(struct request *r, const struct rpc_result *result)
{
        r->pending = NULL;
        r->timing.queue_us += result->timing.queue_us;
        r->timing.handler_us += result->timing.handler_us;
        r->timing.commit_us += result->timing.commit_us;
        r->called_us += result->timing.total_us;
        if (result->error == -ETIMEDOUT)
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED, NULL);
        else if (result->error)
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, NULL);
        else if (result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                answer_from_service(r, result);
        else
                return false;
        return true;
}

static void on_answer(void *arg, const struct rpc_result *result)
{
        struct request *r = arg;
        if (request_call_failed(r, result))
                return;
        if (r->route->method->session == NUANXIN__SESSION_EFFECT__SESSION_NONE)
                answer_output(r, result->payload);
        else
                finish_session(r, result->payload);
}

static void call_for_answer(struct request *r)
{
        int64_t wait_us = 0;
        if (r->route->wait && !waits_poll(r, &wait_us))
                return;
        place_call(r, message_pack(r->http->arena, r->message), r->idempotency_key, r->idempotency_key.p != NULL, wait_us, on_answer);
}

static void set_if_match(struct request *r)
{
        if (r->if_match.p && r->route->request_tag)
                *(char **)decode_member(r->route->request_tag, r->message) =
                        arena_strndup(r->http->arena, r->if_match.p, r->if_match.n);
}

/* --- going on -------------------------------------------------------------------------------------------------------- */

static bool decode(struct request *r)
{
        struct violations violations = {0};
        int e = decode_request(r->http, r->route, &r->match, &violations, &r->message);
        if (e == 0) {
                set_if_match(r);
                return true;
        }
        if (e == DECODE_E_VIOLATIONS) {
                answer_problem(r, &(struct problem){.value = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT,
                                                    .violations = violations.items,
                                                    .n_violations = violations.n}, 0);
                return false;
        }
        return refuse(r, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST, "The query is no form encoding of UTF-8 text.");
}

static bool sign_in_admitted(struct request *r)
{
        struct str login = {NULL, 0};
        if (r->route->method->rate == NUANXIN__RATE_CLASS__RATE_LOGIN)
                login = message_text_at(r->route->method->input, r->message, "login");
        return admit_account(r, login);
}

void request_go(void *arg)
{
        struct request *r = arg;
        if (r->state == REQUEST_ROUTED) {
                if (!admit(r))
                        return;
                r->state = REQUEST_ADMITTED;
                if (r->route->method->upload) {
                        r->state = REQUEST_STREAMING;
                        upload_start(r);
                        return;
                }
                if (!decode(r))
                        return;
        }
        if (!sign_in_admitted(r))
                return;
        r->state = REQUEST_CALLING;
        if (r->export)
                export_start(r);
        else if (r->route->method->event_stream)
                sse_start(r);
        else
                call_for_answer(r);
}

void request_call_again(struct request *r)
{
        rpc_pending_cancel(TAKE(r->pending));
        call_for_answer(r);
}

/* --- the HTTP layer's callbacks ---------------------------------------------------------------------------------------- */

static bool want_stream(void *arg, struct http_request *http)
{
        struct request *r = request_of(arg, http);
        r->streamed = r->route && r->route->method->upload;
        return r->streamed;
}

static void on_request(void *arg, struct http_request *http)
{
        struct request *r = request_of(arg, http);
        r->counted = true;
        metric_add(r->worker->in_flight, 1);
        if (check_head(r))
                request_go(r);
}

static void on_body(void *arg, struct http_request *http, struct str piece, bool last)
{
        (void)arg;
        upload_piece(http->user, piece, last);
}

static void on_gone(void *arg, struct http_request *http)
{
        (void)arg;
        struct request *r = http->user;
        if (r && r->state != REQUEST_ANSWERED)
                let_go(r);
}

static void on_refused(void *arg, const struct http_request *http, int status, struct buf *body,
                       const char **ret_content_type)
{
        count(arg, NULL, (unsigned)status, http->started_us);
        answer_refused(arg, http, status, body, ret_content_type);
}

const struct http_ops request_ops = {
        .want_stream = want_stream,
        .on_request = on_request,
        .on_body = on_body,
        .on_gone = on_gone,
        .on_refused = on_refused,
};
