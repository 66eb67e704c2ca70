/* SPDX-License-Identifier: Apache-2.0
 *
 * Making answers.
 */
#include "services/gateway/answer.h"

#include "common/base/log.h"
#include "common/contract/message.h"
#include "common/json/transcode.h"
#include "services/gateway/cors.h"
#include "services/gateway/decode.h"
#include "services/gateway/etag.h"

#include <stdio.h>

#define FAILURES_LOGGED 20 /* a second and thread */

void head_add(struct head *h, const char *name, struct str value)
{
        if (h->n < ARRAY_LEN(h->fields))
                h->fields[h->n++] = (struct http_field){str_of(name), value};
}

void head_vary(struct head *h, const char *name)
{
        if (h->n_vary < ARRAY_LEN(h->vary))
                h->vary[h->n_vary++] = name;
}

/* --- what every answer carries ------------------------------------------------------------------------------------ */

static char *put_text(char *p, const char *z)
{
        size_t n = strlen(z);
        memcpy(p, z, n);
        return p + n;
}

static char *put_number(char *p, int64_t value)
{
        return p + str_put_i64(p, value);
}

/* name;dur=1.234 */
static char *put_duration(char *p, const char *name, int64_t us)
{
        if (us < 0)
                us = 0;
        p = put_number(put_text(p, name), us / 1000);
        *p++ = '.';
        *p++ = (char)('0' + us / 100 % 10);
        *p++ = (char)('0' + us / 10 % 10);
        *p++ = (char)('0' + us % 10);
        return p;
}

/* wire: on the bus and in sockets' queues, both ways; gateway: what is left of the time since the first byte. */
static struct str server_timing(const struct request *r)
{
        char *text = arena_alloc(r->http->arena, 192), *p = text;
        const struct rpc_timing *t = &r->timing;
        int64_t served = (int64_t)t->queue_us + t->handler_us + t->commit_us;
        p = put_duration(p, "gateway;dur=", clock_monotonic_us() - r->http->started_us - r->called_us);
        if (r->called_us) {
                p = put_duration(p, ", wire;dur=", r->called_us - served);
                p = put_duration(p, ", queue;dur=", t->queue_us);
                p = put_duration(p, ", handler;dur=", t->handler_us);
                p = put_duration(p, ", commit;dur=", t->commit_us);
        }
        return (struct str){text, (size_t)(p - text)};
}

/* draft-ietf-httpapi-ratelimit-headers-10: RateLimit-Policy: "read";q=200;w=4 and RateLimit: "read";r=199;t=1 */
static void add_rate(struct head *h, struct request *r)
{
        struct caller_rate rate = {0};
        const struct charge *tightest = NULL;
        for (const struct charge *c = r->charges; c < r->charges + r->n_charges; c++) {
                struct caller_rate one;
                if (!caller_rate_state(r->worker->callers, c->caller, c->class, &one) ||
                    (tightest && one.remaining >= rate.remaining))
                        continue;
                tightest = c;
                rate = one;
        }
        if (!tightest)
                return;
        const char *name = rate_class_name(tightest->class);
        char *text = arena_alloc(r->http->arena, 160), *p = text, *q;
        p = put_text(put_text(put_text(p, "\""), name), "\";r=");
        p = put_number(put_text(put_number(p, rate.remaining), ";t="), rate.reset_s);
        head_add(h, "RateLimit", (struct str){text, (size_t)(p - text)});
        q = p;
        p = put_text(put_text(put_text(p, "\""), name), "\";q=");
        p = put_number(put_text(put_number(p, rate.quota), ";w="), rate.window_s);
        head_add(h, "RateLimit-Policy", (struct str){q, (size_t)(p - q)});
}

static void add_vary(struct head *h, struct arena *arena)
{
        if (h->n_vary == 0)
                return;
        const char *vary = h->vary[0];
        for (size_t i = 1; i < h->n_vary; i++)
                vary = arena_printf(arena, "%s, %s", vary, h->vary[i]);
        head_add(h, "Vary", str_of(vary));
}

void head_common(struct head *h, struct request *r)
{
        head_add(h, "X-Content-Type-Options", STR("nosniff"));
        if (r->request_id.n)
                head_add(h, "X-Request-Id", r->request_id);
        head_add(h, "Server-Timing", server_timing(r));
        add_rate(h, r);
        cors_add(h, r);
        add_vary(h, r->http->arena);
}

/* --- sending -------------------------------------------------------------------------------------------------------- */

static void answer_send(struct request *r, struct head *h, int status, struct str body)
{
        head_common(h, r);
        const struct http_answer answer = {.status = status, .fields = h->fields, .n_fields = h->n, .body = body};
        struct http_request *http = r->http;
        request_done(r, (unsigned)status);
        http_answer(http, &answer);
}

/* The body, compressed if that is allowed and worth it. */
static struct str body_coded(struct request *r, struct head *h, struct buf *plain, bool *ret_gzip)
{
        struct buf *gzip = &r->worker->gzip;
        *ret_gzip = false;
        if (plain->n <= ANSWER_GZIP_FROM)
                return buf_str(plain);
        head_vary(h, "Accept-Encoding");
        struct str accept = r->headers.values[HEADER_ACCEPT_ENCODING];
        if (!accept.p || !http_accepts_gzip(accept))
                return buf_str(plain);
        gzip->n = 0;
        http_gzip(gzip, buf_str(plain), 1);
        head_add(h, "Content-Encoding", STR("gzip"));
        *ret_gzip = true;
        return buf_str(gzip);
}

static void buffer_reuse(struct buf *b)
{
        if (b->cap > 256 * 1024)
                buf_done(b);
        b->n = 0;
}

/* --- outputs -------------------------------------------------------------------------------------------------------- */

/* "value", with its quotes; a compressed answer's has its ending. */
static void add_tag(struct head *h, struct request *r, struct str value, bool gzip)
{
        char *text = arena_alloc(r->http->arena, value.n + sizeof(ETAG_GZIP) + 2), *p = text;
        *p++ = '"';
        memcpy(p, value.p, value.n);
        p += value.n;
        if (gzip)
                p = put_text(p, ETAG_GZIP);
        *p++ = '"';
        head_add(h, "ETag", (struct str){text, (size_t)(p - text)});
}

/* Has the answer's tag, if any, been seen by the client (304), or is it not the one it asked for (412)? */
static int tag_status(struct request *r, struct str tag)
{
        bool reads = r->http->method == HTTP_GET || r->http->method == HTTP_HEAD;
        struct etag_list list;
        struct str none_match = r->headers.values[HEADER_IF_NONE_MATCH];
        if (!reads)
                return 200;
        if (r->if_match.p && !str_eq(tag, r->if_match))
                return 412;
        if (none_match.p && etag_list_parse(none_match, &list) == 0 && (tag.n || list.any) &&
            etag_list_has(&list, tag, true))
                return 304;
        return 200;
}

void answer_message(struct request *r, const ProtobufCMessage *message)
{
        struct worker *w = r->worker;
        struct head h = {0};
        const ProtobufCFieldDescriptor *field = r->route->answer_tag;
        struct str tag = field ? str_of(*(char **)decode_member(field, (void *)message)) : (struct str){NULL, 0};
        bool gzip = false;

        if (!etag_is_value(tag))
                tag.n = 0;
        int status = tag_status(r, tag);
        if (status == 412) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED, NULL);
                return;
        }
        struct str body = {NULL, 0};
        if (status == 200) {
                w->json.n = 0;
                transcode_to_json(&w->json, r->route->method->output, message);
                head_add(&h, "Content-Type", STR("application/json"));
                body = body_coded(r, &h, &w->json, &gzip);
        }
        head_add(&h, "Cache-Control", STR("no-store"));
        if (tag.n)
                add_tag(&h, r, tag, gzip);
        if (r->route->method->export)
                head_vary(&h, "Accept");
        answer_send(r, &h, status, body);
        buffer_reuse(&w->json);
        buffer_reuse(&w->gzip);
}

void answer_output(struct request *r, struct str packed)
{
        ProtobufCMessage *message;
        if (message_unpack(r->http->arena, r->route->method->output, packed.p, packed.n, &message) < 0)
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_INTERNAL, NULL);
        else
                answer_message(r, message);
}

const char *answer_allow(struct request *r)
{
        return r->match.routes ? route_allow(r->http->arena, &r->match) : r->allow;
}

/* --- problems ------------------------------------------------------------------------------------------------------- */

static struct str trace_of(const struct request *r)
{
        return (struct str){r->traceparent + 3, 32};
}

/* One line each, but not a flood when everything fails. */
static void log_failure(struct request *r, unsigned status, Nuanxin__Problem value)
{
        struct worker *w = r->worker;
        int64_t second = loop_now_us(w->loop) / CLOCK_SECOND_US;
        if (second != w->logged_second) {
                w->logged_second = second;
                w->logged = 0;
        }
        if (w->logged == FAILURES_LOGGED) {
                w->unlogged++;
                return;
        }
        w->logged++;
        log_set_trace(trace_of(r));
        log_warn("answered with a failure", "status=%u problem=%s method=%s after_ms=%lld unlogged=%u", status,
                 contract_problem_of(value)->type, r->route ? r->route->label : "-",
                 (long long)(clock_monotonic_us() - r->http->started_us) / 1000, w->unlogged);
        w->unlogged = 0;
        log_set_trace((struct str){NULL, 0});
}

void answer_problem(struct request *r, const struct problem *problem, uint32_t retry_after_ms)
{
        struct head h = {0};
        struct buf *body = &r->worker->json;
        enum language language = language_of(r->headers.values[HEADER_ACCEPT_LANGUAGE]);
        body->n = 0;
        unsigned status = problem_write(body, problem, language, trace_of(r));

        if (status >= 500)
                log_failure(r, status, problem->value);
        head_add(&h, "Content-Type", STR("application/problem+json"));
        head_add(&h, "Content-Language", str_of(language_tag(language)));
        head_add(&h, "Cache-Control", STR("no-store"));
        head_vary(&h, "Accept-Language");
        if (status == 405)
                head_add(&h, "Allow", str_of(answer_allow(r)));
        if (status == 401)
                head_add(&h, "WWW-Authenticate",
                         r->headers.values[HEADER_AUTHORIZATION].p
                                 ? STR("Bearer realm=\"nuanxin\", error=\"invalid_token\"")
                                 : STR("Bearer realm=\"nuanxin\""));
        if (status == 503 || status == 429)
                head_add(&h, "Retry-After",
                         str_of(arena_printf(r->http->arena, "%u", retry_after_ms > 1000 ? (retry_after_ms + 999) / 1000 : 1)));
        answer_send(r, &h, (int)status, buf_str(body));
        buffer_reuse(body);
}

void answer_refusal(struct request *r, Nuanxin__Problem value, const char *arg)
{
        answer_problem(r, &(struct problem){.value = value, .args = {arg}}, 0);
}

void answer_options(struct request *r)
{
        struct head h = {0};
        head_add(&h, "Allow", str_of(answer_allow(r)));
        cors_add_preflight(&h, r);
        answer_send(r, &h, 204, (struct str){NULL, 0});
}

void answer_refused(struct worker *w, const struct http_request *http, int status, struct buf *body,
                    const char **ret_content_type)
{
        const struct http_limits *limits = &w->gateway->limits;
        struct headers headers = {0};
        char bytes[24] = "", fields[24] = "";
        if (http && http->n_fields)
                headers_read(&headers, http);
        struct problem problem = {.value = problem_of_status(status), .args = {bytes, fields}};
        switch (status) {
        case 413:
                snprintf(bytes, sizeof(bytes), "%zu", limits->body_bytes);
                break;
        case 414:
                snprintf(bytes, sizeof(bytes), "%zu", limits->target_bytes);
                break;
        case 431:
                snprintf(bytes, sizeof(bytes), "%zu", limits->header_bytes);
                snprintf(fields, sizeof(fields), "%zu", limits->header_fields);
                break;
        case 400:
                problem.args[0] = "This is not HTTP/1.1 as RFC 9112 has it.";
                break;
        default:
                break;
        }
        problem_write(body, &problem, language_of(headers.values[HEADER_ACCEPT_LANGUAGE]), (struct str){NULL, 0});
        *ret_content_type = "application/problem+json";
}
