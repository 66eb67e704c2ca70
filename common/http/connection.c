/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection: its input becomes exchanges in order, its answers leave in that order. A refusal is an
 * answer like any other, the last one. Whatever calls in here may end the connection, so it is freed only
 * when the outermost caller has returned.
 */
#include "common/http/connection.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
        BODY_BYTES_PER_SECOND = 1024,
        BODY_BYTES_ALWAYS = 16 * 1024, /* a body so small is taken in any case */
        UNSENT_MOST = 64 * 1024, /* beyond it no further request is read */
        LAST_REQUEST_US = 1000 * 1000, /* while draining: an idle connection's next request may be on its way */
};

static int64_t now_us(const struct http_connection *c)
{
        return loop_now_us(c->server->loop);
}

/* --- its life ------------------------------------------------------------------------------------------- */

static void connection_enter(struct http_connection *c)
{
        c->callers++;
}

static void connection_leave(struct http_connection *c)
{
        if (--c->callers > 0 || !c->dead)
                return;
        http_parser_free(c->parser);
        free(c);
}

static struct http_exchange *pop(struct http_connection *c)
{
        struct http_exchange *x = c->first;
        c->first = x->next;
        if (!c->first)
                c->last = NULL;
        c->n_open--;
        return x;
}

/* The stream is somebody else's from here, or gone. */
static void connection_dispose(struct http_connection *c)
{
        connection_enter(c);
        c->dead = true;
        c->stream = NULL;
        c->reading = NULL;
        loop_turn_cancel(c->server->loop, &c->again);
        http_server_forget(c);
        while (c->first) {
                struct http_exchange *x = pop(c);
                if (x->handed_over && x->answer != HTTP_ANSWER_DONE && c->server->ops->on_gone)
                        c->server->ops->on_gone(c->server->arg, &x->request);
                http_exchange_recycle(c->server, x);
        }
        connection_leave(c);
}

void http_connection_cut(struct http_connection *c)
{
        stream_free(c->stream);
        connection_dispose(c);
}

void http_connection_abort(struct http_connection *c)
{
        stream_abort(c->stream);
        connection_dispose(c);
}

static void connection_end(struct http_connection *c, bool cut)
{
        if (cut) {
                http_connection_abort(c);
                return;
        }
        stream_finish(c->stream);
        connection_dispose(c);
}

static void pause(struct http_connection *c, bool paused)
{
        if (c->paused == paused)
                return;
        c->paused = paused;
        stream_pause(c->stream, paused);
        if (!paused)
                loop_at_turn_end(c->server->loop, &c->again); /* there may be input already */
}

void http_connection_end_input(struct http_connection *c)
{
        c->input = HTTP_INPUT_ENDED;
        c->reading = NULL;
        pause(c, false); /* what still comes is dropped, so that the peer's end is noticed */
}

/* --- refusing ------------------------------------------------------------------------------------------- */

static struct http_exchange *exchange_begin(struct http_connection *c)
{
        struct http_exchange *x = http_exchange_new(c);
        if (c->last)
                c->last->next = x;
        else
                c->first = x;
        c->last = x;
        c->n_open++;
        return x;
}

/* x: the exchange refused, NULL before there is one. */
static void refuse(struct http_connection *c, struct http_exchange *x, int status)
{
        const struct http_ops *ops = c->server->ops;
        http_connection_end_input(c);
        if (!x)
                x = exchange_begin(c);
        if (x->handed_over && x->answer != HTTP_ANSWER_DONE) {
                if (ops->on_gone)
                        ops->on_gone(c->server->arg, &x->request);
                x->handed_over = false;
                if (x->answer == HTTP_ANSWER_BEGUN) { /* too late to say anything else */
                        x->close = x->cut = true;
                        x->answer = HTTP_ANSWER_DONE;
                        http_connection_advance(c);
                        return;
                }
        }
        struct buf body = {0};
        const char *type = NULL;
        if (ops->on_refused)
                ops->on_refused(c->server->arg, &x->request, status, &body, &type);
        struct http_field fields[2];
        size_t n = 0;
        if (type)
                fields[n++] = (struct http_field){STR("Content-Type"), str_of(type)};
        if (status == 503)
                fields[n++] = (struct http_field){STR("Retry-After"), STR("1")};
        http_answer(&x->request, &(struct http_answer){.status = status,
                                                       .fields = fields,
                                                       .n_fields = n,
                                                       .body = buf_str(&body),
                                                       .close = true});
        buf_done(&body);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static enum http_method method_of(struct str text)
{
        static const struct {
                const char *text;
                enum http_method method;
        } known[] = {{"GET", HTTP_GET},        {"POST", HTTP_POST},     {"PUT", HTTP_PUT},
                     {"PATCH", HTTP_PATCH},    {"DELETE", HTTP_DELETE}, {"HEAD", HTTP_HEAD},
                     {"OPTIONS", HTTP_OPTIONS}};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (str_is(text, known[i].text))
                        return known[i].method;
        return HTTP_OTHER;
}

static void request_fill(struct http_exchange *x)
{
        const struct http_head *head = &x->head;
        struct http_request *r = &x->request;
        r->method = method_of(head->method);
        r->method_text = head->method;
        r->target = head->target;
        r->path = head->path;
        r->query = head->query;
        r->host = head->host;
        r->fields = head->fields;
        r->n_fields = head->n_fields;
        r->chunked_or_sized = head->chunked || head->sized;
        r->version_minor = head->version_minor;
        x->close = !head->keep_alive;
}

static void hand_over(struct http_connection *c, struct http_exchange *x)
{
        x->handed_over = true;
        c->server->ops->on_request(c->server->arg, &x->request);
}

static void pay_continue(struct http_connection *c)
{
        struct http_exchange *x = c->first;
        if (!x || !x->owes_continue || x != c->reading)
                return;
        x->owes_continue = false;
        stream_write_static(c->stream, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void body_window(struct http_connection *c)
{
        c->input = HTTP_INPUT_BODY;
        c->body_bytes = 0;
        c->deadline_us = now_us(c) + c->server->options.limits.body_us;
}

static void body_begin(struct http_connection *c, struct http_exchange *x)
{
        const struct http_ops *ops = c->server->ops;
        x->request.streamed = ops->want_stream && ops->want_stream(c->server->arg, &x->request);
        int status = http_parser_body_begin(
            c->parser, &x->head, x->request.streamed ? UINT64_MAX : c->server->options.limits.body_bytes);
        if (status) {
                refuse(c, x, status);
                return;
        }
        c->reading = x;
        body_window(c);
        if (x->request.streamed)
                hand_over(c, x);
        if (c->dead || c->reading != x)
                return;
        x->owes_continue = x->head.expects_continue && stream_peek(c->stream).n == 0;
        pay_continue(c);
}

static void body_piece(struct http_connection *c, struct http_exchange *x, struct str piece, bool end)
{
        if (end) {
                c->reading = NULL;
                c->input = HTTP_INPUT_IDLE;
        } else if (x->request.streamed) {
                c->input = HTTP_INPUT_HELD;
        }
        if (x->request.streamed) {
                c->server->ops->on_body(c->server->arg, &x->request, piece, end);
                if (!c->dead && c->input == HTTP_INPUT_HELD)
                        pause(c, true);
                return;
        }
        if (end && x->body.n == 0) {
                x->request.body = arena_str(x->request.arena, piece);
        } else {
                c->server->gathered += piece.n;
                buf_add_str(&x->body, piece);
                x->request.body = buf_str(&x->body);
        }
        if (end)
                hand_over(c, x);
}

/* Strangers' unfinished bodies must not fill the memory. */
static bool has_room(const struct http_connection *c, const struct http_exchange *x, size_t n)
{
        return x->request.streamed || x->body.n + n <= BODY_BYTES_ALWAYS ||
               c->server->gathered + n <= c->server->options.limits.gathered_bytes;
}

/* Whether there may be more to do. The piece is lent out of the input, which is consumed after it was
 * used; a handler that ends the connection takes the stream with it. */
static bool step_body(struct http_connection *c, struct str input)
{
        struct http_exchange *x = c->reading;
        size_t consumed;
        struct str piece;
        bool end;
        int status = http_parser_body(c->parser, input, &consumed, &piece, &end);
        if (!status && !has_room(c, x, piece.n))
                status = 503;
        if (status) {
                refuse(c, x, status);
                return false;
        }
        c->body_bytes += piece.n;
        x->owes_continue = false;
        if (piece.n > 0 || end)
                body_piece(c, x, piece, end);
        if (c->dead)
                return false;
        stream_consume(c->stream, consumed);
        return true;
}

static void step_head(struct http_connection *c, struct str text)
{
        struct http_exchange *x = exchange_begin(c);
        struct str copy = arena_str(x->request.arena, text);
        stream_consume(c->stream, text.n);
        c->input = HTTP_INPUT_IDLE;
        c->served = true;
        int status = http_parser_head(c->parser, x->request.arena, copy, &x->head);
        c->last_request = !x->head.keep_alive;
        request_fill(x);
        if (status)
                refuse(c, x, status);
        else if (x->head.chunked || x->head.content_length > 0)
                body_begin(c, x);
        else
                hand_over(c, x);
}

/* Who does not take the answers is not asked what else. */
static bool has_enough(const struct http_connection *c)
{
        return c->n_open >= c->server->options.limits.pipelined || stream_unsent(c->stream) > UNSENT_MOST;
}

static bool step_header(struct http_connection *c, struct str input)
{
        if (has_enough(c)) {
                pause(c, true);
                return false;
        }
        size_t blank = http_parser_blank(input), length;
        if (blank > 0) {
                stream_consume(c->stream, blank);
                return true;
        }
        if (c->input == HTTP_INPUT_IDLE) {
                c->input = HTTP_INPUT_HEADER;
                c->started_us = now_us(c);
                if (c->served) /* the first has its deadline from the connect */
                        c->deadline_us = c->started_us + c->server->options.limits.header_us;
        }
        int status = http_parser_scan(c->parser, input, &length);
        if (status) {
                refuse(c, NULL, status);
                return false;
        }
        if (length == 0)
                return false;
        step_head(c, (struct str){input.p, length});
        return true;
}

/* The peer ended: an unfinished request is dropped, what was asked before is still answered. */
static void input_exhausted(struct http_connection *c)
{
        struct http_exchange *x = c->reading;
        http_connection_end_input(c);
        if (x) {
                if (x->handed_over && x->answer != HTTP_ANSWER_DONE && c->server->ops->on_gone)
                        c->server->ops->on_gone(c->server->arg, &x->request);
                x->cut = x->answer == HTTP_ANSWER_BEGUN;
                x->close = true;
                x->answer = HTTP_ANSWER_DONE;
        }
        http_connection_advance(c);
}

static void connection_read(struct http_connection *c)
{
        connection_enter(c);
        bool more = true;
        while (more && !c->dead && c->input != HTTP_INPUT_HELD) {
                struct str input = stream_peek(c->stream);
                if (c->input == HTTP_INPUT_ENDED) {
                        stream_consume(c->stream, input.n);
                        break;
                }
                if (input.n == 0)
                        more = false;
                else if (c->input == HTTP_INPUT_BODY)
                        more = step_body(c, input);
                else
                        more = step_header(c, input);
                if (!c->dead && c->input == HTTP_INPUT_IDLE && c->last_request)
                        http_connection_end_input(c);
        }
        if (!c->dead && c->peer_ended && !c->paused && c->input != HTTP_INPUT_ENDED &&
            c->input != HTTP_INPUT_HELD)
                input_exhausted(c);
        connection_leave(c);
}

static void on_input(void *arg)
{
        connection_read(arg);
}

static void on_closed(void *arg, int error)
{
        struct http_connection *c = arg;
        /* Who reads an answer without an end does not say that it asks nothing more: it has gone. */
        if (error || (c->first && c->first->endless)) {
                http_connection_cut(c);
                return;
        }
        c->peer_ended = true;
        connection_read(c);
}

void http_body_more(struct http_request *request)
{
        struct http_exchange *x = (struct http_exchange *)request;
        struct http_connection *c = x->connection;
        if (c->reading != x || c->input != HTTP_INPUT_HELD)
                return;
        if (c->paused)
                body_window(c); /* the wait was not the client's */
        c->input = HTTP_INPUT_BODY;
        pause(c, false);
}

/* --- answering ------------------------------------------------------------------------------------------ */

/* x has become the first: what it holds may leave. */
static void release_held(struct http_connection *c)
{
        if (c->first->held.n > 0) {
                stream_give_back(c->stream, c->first->held.n);
                stream_write(c->stream, buf_str(&c->first->held));
                c->first->held.n = 0;
        }
        pay_continue(c);
}

void http_connection_advance(struct http_connection *c)
{
        while (c->first && c->first->answer == HTTP_ANSWER_DONE) {
                struct http_exchange *x = pop(c);
                bool close = x->close, abort_it = x->cut && !x->chunked;
                http_exchange_recycle(c->server, x);
                if (close) {
                        connection_end(c, abort_it);
                        return;
                }
                if (c->first)
                        release_held(c);
        }
        if (c->n_open == 0) {
                if (c->input == HTTP_INPUT_ENDED || (c->server->draining && c->input == HTTP_INPUT_IDLE)) {
                        connection_end(c, false);
                        return;
                }
                if (c->input == HTTP_INPUT_IDLE)
                        http_connection_rest(c);
        }
        if (c->paused && c->input != HTTP_INPUT_HELD && !has_enough(c))
                pause(c, false);
}

static void on_drained(void *arg)
{
        struct http_connection *c = arg;
        struct http_exchange *x = c->first;
        if (!x && c->input == HTTP_INPUT_IDLE)
                http_connection_rest(c);
        if (x && x->answer == HTTP_ANSWER_BEGUN && x->on_more)
                x->on_more(x->user);
        else if (c->paused && c->input != HTTP_INPUT_HELD && !has_enough(c))
                pause(c, false);
}

/* --- deadlines ------------------------------------------------------------------------------------------ */

void http_connection_check(struct http_connection *c, int64_t now)
{
        const struct http_limits *limits = &c->server->options.limits;
        uint64_t sent = stream_sent(c->stream);
        bool sending = stream_unsent(c->stream) > 0;
        if (!sending || sent != c->sent) {
                c->sent = sent;
                c->sent_us = now;
        } else if (now - c->sent_us >= limits->write_us) {
                http_connection_cut(c);
                return;
        }
        if (now < c->deadline_us)
                return;
        switch (c->input) {
        case HTTP_INPUT_IDLE: /* since the connect or the last answer; nobody is owed anything */
                if (c->n_open == 0 && !sending)
                        connection_end(c, false);
                return;
        case HTTP_INPUT_HEADER:
                refuse(c, NULL, 408);
                return;
        case HTTP_INPUT_BODY:
                if (c->body_bytes < (uint64_t)(limits->body_us * BODY_BYTES_PER_SECOND / CLOCK_SECOND_US))
                        refuse(c, c->reading, 408);
                else
                        body_window(c);
                return;
        case HTTP_INPUT_HELD:
        case HTTP_INPUT_ENDED:
                return;
        }
}

void http_connection_rest(struct http_connection *c)
{
        const struct http_server *server = c->server;
        if (c->n_open == 0 && c->input == HTTP_INPUT_IDLE)
                c->deadline_us = now_us(c) + (server->draining ? LAST_REQUEST_US : server->options.limits.keep_alive_us);
}

void http_connection_accept(struct http_server *server, struct stream *stream, const char *peer_address)
{
        static const struct stream_ops ops = {
            .on_input = on_input, .on_drained = on_drained, .on_closed = on_closed};
        const struct http_limits *limits = &server->options.limits;
        struct http_connection *c = mem_zalloc(sizeof(*c));
        c->server = server;
        c->stream = stream;
        c->parser = http_parser_new(&(struct http_parser_limits){
            .header_bytes = limits->header_bytes,
            .header_fields = limits->header_fields,
            .target_bytes = limits->target_bytes,
        });
        c->again = (struct loop_turn){.fn = on_input, .arg = c};
        snprintf(c->peer_address, sizeof(c->peer_address), "%s", peer_address);
        c->sent_us = now_us(c);
        c->deadline_us = c->sent_us + limits->header_us;
        c->next = server->connections;
        if (c->next)
                c->next->previous = c;
        server->connections = c;
        server->n_connections++;
        stream_start(stream, &ops, c);
}
