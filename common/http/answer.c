/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: the status line and fields, a whole body or one in chunks. What is not yet due is held by its
 * exchange.
 */
#include "common/http/connection.h"

#include <stdio.h>
#include <stdlib.h>

enum {
        JOINED_BYTES = 8 * 1024, /* a body up to this goes out in one piece with its header */
        LENT_BYTES = 2 * 1024,   /* a shared piece from this on is lent: to copy less is cheaper than to keep count */
};

const char *http_reason(int status)
{
        static const struct {
                int status;
                const char *reason;
        } known[] = {
            {200, "OK"},
            {201, "Created"},
            {202, "Accepted"},
            {204, "No Content"},
            {206, "Partial Content"},
            {303, "See Other"},
            {304, "Not Modified"},
            {400, "Bad Request"},
            {401, "Unauthorized"},
            {403, "Forbidden"},
            {404, "Not Found"},
            {405, "Method Not Allowed"},
            {406, "Not Acceptable"},
            {408, "Request Timeout"},
            {409, "Conflict"},
            {410, "Gone"},
            {412, "Precondition Failed"},
            {413, "Content Too Large"},
            {414, "URI Too Long"},
            {415, "Unsupported Media Type"},
            {417, "Expectation Failed"},
            {422, "Unprocessable Content"},
            {428, "Precondition Required"},
            {429, "Too Many Requests"},
            {431, "Request Header Fields Too Large"},
            {500, "Internal Server Error"},
            {501, "Not Implemented"},
            {502, "Bad Gateway"},
            {503, "Service Unavailable"},
            {504, "Gateway Timeout"},
            {505, "HTTP Version Not Supported"},
        };
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (known[i].status == status)
                        return known[i].reason;
        return "";
}

void http_exchange_send(struct http_exchange *x, struct str bytes)
{
        if (x->connection->first == x) {
                stream_write(x->connection->stream, bytes);
                return;
        }
        buf_add_str(&x->held, bytes);
        stream_keep(x->connection->stream, bytes.n);
}

/* A control byte in a value would end the field early: it becomes a space. */
static void add_field(struct buf *out, const struct http_field *field)
{
        buf_add_str(out, field->name);
        buf_add(out, ": ", 2);
        buf_add_str(out, field->value);
        if (str_has_control(field->value))
                for (char *c = out->p + out->n - field->value.n; c < out->p + out->n; c++)
                        if ((unsigned char)*c < ' ')
                                *c = ' ';
        buf_add(out, "\r\n", 2);
}

static void add_head(struct buf *out, struct http_exchange *x, const struct http_answer *a)
{
        struct http_server *server = x->connection->server;
        buf_add(out, "HTTP/1.1 ", 9);
        buf_add_u64(out, (uint64_t)a->status);
        buf_add_char(out, ' ');
        buf_add_z(out, http_reason(a->status));
        buf_add(out, "\r\nDate: ", 8);
        buf_add_z(out, http_server_date(server));
        buf_add(out, "\r\n", 2);
        for (size_t i = 0; i < a->n_fields; i++)
                add_field(out, &a->fields[i]);
        if (x->close)
                buf_add_str(out, STR("Connection: close\r\n"));
        else if (x->head.version_minor == 0)
                buf_add_str(out, STR("Connection: keep-alive\r\n"));
}

/* Must the connection end with this answer? It must if the rest of the body would be taken for a
 * request. What came after it is then not acted on. */
static void settle_close(struct http_exchange *x, const struct http_answer *a)
{
        struct http_connection *c = x->connection;
        x->close |= a->close || (c->server->draining && c->last == x) || c->reading == x;
        if (x->close && c->input != HTTP_INPUT_ENDED)
                http_connection_end_input(c);
}

void http_answer(struct http_request *request, const struct http_answer *a)
{
        struct http_exchange *x = (struct http_exchange *)request;
        struct http_connection *c = x->connection;
        struct buf *out = &c->server->scratch;
        settle_close(x, a);
        out->n = 0;
        add_head(out, x, a);
        if (a->status != 204 && a->status != 304) {
                buf_add_str(out, STR("Content-Length: "));
                buf_add_u64(out, a->body.n);
                buf_add(out, "\r\n", 2);
        }
        buf_add(out, "\r\n", 2);
        bool bare = request->method == HTTP_HEAD || a->status == 204 || a->status == 304 || a->body.n == 0;
        if (!bare && a->body.n <= JOINED_BYTES) {
                buf_add_str(out, a->body);
                bare = true;
        }
        http_exchange_send(x, buf_str(out));
        if (!bare && a->body_static && c->first == x)
                stream_write_static(c->stream, a->body);
        else if (!bare)
                http_exchange_send(x, a->body);
        x->answer = HTTP_ANSWER_DONE;
        http_connection_advance(c);
}

void http_answer_begin(struct http_request *request, const struct http_answer *head,
                       void (*on_more)(void *user), void *user)
{
        struct http_exchange *x = (struct http_exchange *)request;
        struct buf *out = &x->connection->server->scratch;
        x->answer = HTTP_ANSWER_BEGUN;
        x->on_more = on_more;
        x->user = user;
        x->bare = request->method == HTTP_HEAD;
        x->chunked = request->version_minor == 1;
        x->close |= !x->chunked;
        settle_close(x, head);
        x->endless = head->endless;
        if (x->endless)
                stream_keep_little(x->connection->stream);
        out->n = 0;
        add_head(out, x, head);
        if (x->chunked)
                buf_add_str(out, STR("Transfer-Encoding: chunked\r\n"));
        buf_add(out, "\r\n", 2);
        http_exchange_send(x, buf_str(out));
        http_answer_piece(request, head->body);
}

void http_answer_piece(struct http_request *request, struct str piece)
{
        struct http_exchange *x = (struct http_exchange *)request;
        if (x->bare || piece.n == 0) {
                http_exchange_send(x, (struct str){NULL, 0}); /* on_more comes all the same */
                return;
        }
        char line[24];
        int n = snprintf(line, sizeof(line), "%zx\r\n", piece.n);
        if (x->chunked)
                http_exchange_send(x, str_bytes(line, (size_t)n));
        http_exchange_send(x, piece);
        if (x->chunked)
                http_exchange_send(x, STR("\r\n"));
}

void http_answer_end(struct http_request *request, bool complete)
{
        struct http_exchange *x = (struct http_exchange *)request;
        if (!complete)
                x->close = x->cut = true;
        else if (x->chunked && !x->bare)
                http_exchange_send(x, STR("0\r\n\r\n"));
        x->answer = HTTP_ANSWER_DONE;
        http_connection_advance(x->connection);
}

void http_answer_abort(struct http_request *request)
{
        struct http_exchange *x = (struct http_exchange *)request;
        x->handed_over = false; /* the handler knows */
        http_connection_abort(x->connection);
}

size_t http_answer_unsent(const struct http_request *request)
{
        const struct http_exchange *x = (const struct http_exchange *)request;
        return stream_unsent(x->connection->stream) + x->held.n;
}

/* --- shared pieces -------------------------------------------------------------------------------------- */

struct http_shared {
        struct loop *loop;
        size_t size, uses;
        struct str piece, chunk; /* chunk: with its size before it and its end */
        char bytes[];
};

struct http_shared *http_shared_new(struct loop *loop, struct str piece)
{
        char line[24];
        size_t before = (size_t)snprintf(line, sizeof(line), "%zx\r\n", piece.n);
        struct http_shared *s = mem_realloc(NULL, sizeof(*s) + before + piece.n + 2);
        s->loop = loop;
        s->size = before + piece.n + 2;
        s->uses = 1;
        stream_lends(loop, s->size);
        memcpy(s->bytes, line, before);
        memcpy(s->bytes + before, piece.p, piece.n);
        memcpy(s->bytes + before + piece.n, "\r\n", 2);
        s->piece = (struct str){s->bytes + before, piece.n};
        s->chunk = (struct str){s->bytes, before + piece.n + 2};
        return s;
}

struct http_shared *http_shared_free(struct http_shared *s)
{
        if (s && --s->uses == 0) {
                stream_lends_no_more(s->loop, s->size);
                free(s);
        }
        return NULL;
}

static void on_shared_sent(const void *bytes, size_t n, void *arg)
{
        (void)bytes;
        (void)n;
        http_shared_free(arg);
}

bool http_answer_shared(struct http_request *request, struct http_shared *s)
{
        struct http_exchange *x = (struct http_exchange *)request;
        struct str bytes = x->chunked ? s->chunk : s->piece;
        bool first = x->connection->first == x;
        if (x->bare)
                return false;
        size_t sent = first ? stream_send(x->connection->stream, bytes) : 0;
        if (sent == bytes.n)
                return true;
        bytes = (struct str){bytes.p + sent, bytes.n - sent};
        if (!first || bytes.n < LENT_BYTES) {
                http_exchange_send(x, bytes);
                return false;
        }
        s->uses++;
        stream_write_lent(x->connection->stream, bytes, on_shared_sent, s);
        return false;
}
