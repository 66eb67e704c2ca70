/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser. A header is parsed when all of it is there: what llhttp then sees is one contiguous text, so
 * nothing is pieced together, and a client that sends slowly holds no more than its own bytes. The scan
 * before it looks at lines only and refuses early what can never become a request: a line end other than
 * CRLF, a folded line, a request line that is none, anything too large. llhttp judges the rest, and decodes
 * chunked bodies.
 */
#include "common/http/parser.h"

#include <llhttp.h>

#include <stdlib.h>

enum {
        METHOD_BYTES = 32,      /* longer than any known */
        CHUNK_LINE_BYTES = 256, /* a chunk's size with its extensions */
};

struct http_parser {
        struct http_parser_limits limits;
        size_t scanned; /* bytes of whole lines seen by scan */
        size_t lines;   /* of this header, the request line included */

        llhttp_t llhttp;
        struct http_head *head;    /* while it is parsed */
        struct http_field *fields; /* room for lines - 1 */

        bool chunked;
        uint64_t left;        /* sized: still to come; chunked: still allowed */
        const char *framing;  /* chunked: the input's first byte that is not known to be data */
        size_t framing_bytes; /* since the last data */
        size_t line_bytes;    /* of the framing line in hand */
        bool trailers;        /* the size line after the last data has ended */
        char before;          /* the framing byte before, or 0 */
        int refused;
        struct str piece;
        struct buf joined; /* a piece of several chunks */
};

static bool is_token_char(unsigned char c)
{
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
                return true;
        return c && strchr("!#$%&'*+-.^_`|~", c);
}

/* --- scanning ------------------------------------------------------------------------------------------- */

/* method SP target SP HTTP/1.x; whole: the line has ended. */
static int request_line_judge(const struct http_parser *p, struct str line, bool whole)
{
        size_t i = 0;
        while (i < line.n && is_token_char((unsigned char)line.p[i]))
                i++;
        if (i > METHOD_BYTES)
                return 501;
        if (i == line.n)
                return whole ? 400 : 0;
        if (i == 0 || line.p[i] != ' ')
                return 400;
        size_t target = i + 1, end = target;
        while (end < line.n && line.p[end] > ' ' && line.p[end] < 0x7f)
                end++;
        if (end - target > p->limits.target_bytes)
                return 414;
        if (end == line.n && end > target)
                return whole ? 505 : 0; /* HTTP/0.9 has no version */
        if (end == line.n)
                return whole ? 400 : 0;
        if (end == target || line.p[end] != ' ')
                return 400;
        if (!whole)
                return 0;
        struct str version = str_bytes(line.p + end + 1, line.n - end - 1);
        if (str_is(version, "HTTP/1.1") || str_is(version, "HTTP/1.0"))
                return 0;
        bool other = version.n == 8 && memcmp(version.p, "HTTP/", 5) == 0 && version.p[5] >= '0' &&
                     version.p[5] <= '9' && version.p[6] == '.' && version.p[7] >= '0' && version.p[7] <= '9';
        return other ? 505 : 400;
}

static int line_judge(const struct http_parser *p, struct str line)
{
        if (p->lines == 0)
                return request_line_judge(p, line, true);
        if (p->lines > p->limits.header_fields)
                return 431;
        return line.p[0] == ' ' || line.p[0] == '\t' || line.p[0] == ':' ? 400
                                                                         : 0; /* obs-fold, an empty name */
}

static int rest_judge(const struct http_parser *p, struct str rest)
{
        if (memchr(rest.p, '\r', rest.n - 1))
                return 400;
        if (rest.p[rest.n - 1] == '\r')
                rest.n--;
        int status = p->lines == 0 && rest.n > 0 ? request_line_judge(p, rest, false) : 0;
        if (status)
                return status;
        return p->scanned + rest.n >= p->limits.header_bytes ? 431 : 0;
}

size_t http_parser_blank(struct str input)
{
        size_t n = 0;
        while (input.n - n >= 2 && input.p[n] == '\r' && input.p[n + 1] == '\n')
                n += 2;
        return n;
}

int http_parser_scan(struct http_parser *p, struct str input, size_t *ret_length)
{
        const char *end;
        while (p->scanned < input.n && (end = memchr(input.p + p->scanned, '\n', input.n - p->scanned))) {
                struct str line = {input.p + p->scanned, (size_t)(end - input.p) - p->scanned};
                if (line.n == 0 || line.p[--line.n] != '\r' || memchr(line.p, '\r', line.n))
                        return 400;
                size_t length = (size_t)(end - input.p) + 1;
                int status = line.n > 0 || p->lines == 0 ? line_judge(p, line) : 0;
                if (!status && length > p->limits.header_bytes)
                        status = 431;
                if (status)
                        return status;
                p->scanned = length;
                if (line.n == 0) {
                        *ret_length = length;
                        return 0;
                }
                p->lines++;
        }
        int status = p->scanned < input.n
                         ? rest_judge(p, (struct str){input.p + p->scanned, input.n - p->scanned})
                         : 0;
        if (!status)
                *ret_length = 0;
        return status;
}

/* --- the header ----------------------------------------------------------------------------------------- */

static int on_target(llhttp_t *llhttp, const char *at, size_t n)
{
        struct http_parser *p = llhttp->data;
        p->head->target = str_bytes(at, n);
        return 0;
}

static int on_name(llhttp_t *llhttp, const char *at, size_t n)
{
        struct http_parser *p = llhttp->data;
        if (!p->head)
                return 0; /* a trailer: dropped */
        if (p->head->n_fields + 1 >= p->lines)
                return -1;
        p->fields[p->head->n_fields++] = (struct http_field){.name = str_bytes(at, n), .value = {at + n, 0}};
        return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t n)
{
        struct http_parser *p = llhttp->data;
        if (!p->head)
                return 0;
        if (p->head->n_fields == 0)
                return -1;
        p->fields[p->head->n_fields - 1].value = str_trim(str_bytes(at, n));
        return 0;
}

static int on_head_end(llhttp_t *llhttp)
{
        (void)llhttp;
        return HPE_PAUSED;
}

static int on_data(llhttp_t *llhttp, const char *at, size_t n);
static int on_chunk(llhttp_t *llhttp);

static int on_body_end(llhttp_t *llhttp)
{
        (void)llhttp;
        return HPE_PAUSED;
}

static const llhttp_settings_t callbacks = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head_end,
    .on_body = on_data,
    .on_chunk_header = on_chunk,
    .on_message_complete = on_body_end,
};

int http_parser_head(struct http_parser *p, struct arena *arena, struct str text, struct http_head *ret_head)
{
        size_t request_line = (size_t)((const char *)memchr(text.p, '\n', text.n) - text.p);
        *ret_head = (struct http_head){0};
        ret_head->fields = p->fields = arena_alloc(arena, sizeof(*p->fields) * p->lines);
        p->head = ret_head;
        llhttp_init(&p->llhttp, HTTP_REQUEST, &callbacks);
        p->llhttp.data = p;
        int error = llhttp_execute(&p->llhttp, text.p, text.n);
        p->head = NULL;
        p->scanned = p->lines = 0;
        if (error != HPE_PAUSED) {
                /* Of the request line only the method can still be unknown, or the target no URL. */
                const char *at = llhttp_get_error_pos(&p->llhttp);
                bool in_line = at && at <= text.p + request_line;
                return in_line && error != HPE_INVALID_URL ? 501 : 400;
        }
        ret_head->method = str_bytes(text.p, (size_t)((const char *)memchr(text.p, ' ', text.n) - text.p));
        ret_head->version_minor = p->llhttp.http_minor;
        ret_head->content_length = p->llhttp.content_length;
        return http_head_judge(ret_head);
}

/* --- the body ------------------------------------------------------------------------------------------- */

/* What surrounds chunks, up to `to`: every line must end with CRLF, none may be folded or without a
 * name, and there may not be much of it. The first line that is not empty is a size; if no data follow,
 * the next are trailers. */
static int framing_judge(struct http_parser *p, const char *to)
{
        for (const char *c = p->framing; c < to; c++) {
                if ((*c == '\n') != (p->before == '\r'))
                        return 400;
                if (p->line_bytes == 0 && (*c == ' ' || *c == '\t' || *c == ':'))
                        return 400;
                p->before = *c;
                p->line_bytes++;
                p->framing_bytes++;
                if (!p->trailers && p->line_bytes > CHUNK_LINE_BYTES)
                        return 400;
                if (p->framing_bytes > p->limits.header_bytes)
                        return 431;
                if (*c == '\n') {
                        p->trailers |= p->line_bytes > 2;
                        p->line_bytes = 0;
                }
        }
        return 0;
}

static void framing_reset(struct http_parser *p)
{
        p->framing_bytes = p->line_bytes = 0;
        p->trailers = false;
        p->before = 0;
}

static int on_data(llhttp_t *llhttp, const char *at, size_t n)
{
        struct http_parser *p = llhttp->data;
        p->refused = framing_judge(p, at);
        if (p->refused)
                return -1;
        p->framing = at + n;
        framing_reset(p);
        if (p->piece.n == 0) {
                p->piece = str_bytes(at, n);
                return 0;
        }
        if (p->joined.n == 0)
                buf_add_str(&p->joined, p->piece);
        buf_add(&p->joined, at, n);
        p->piece = buf_str(&p->joined);
        return 0;
}

static int on_chunk(llhttp_t *llhttp)
{
        struct http_parser *p = llhttp->data;
        if (llhttp->content_length > p->left) {
                p->refused = 413;
                return -1;
        }
        p->left -= llhttp->content_length;
        return 0;
}

int http_parser_body_begin(struct http_parser *p, const struct http_head *head, uint64_t max_bytes)
{
        if (!head->chunked && head->content_length > max_bytes)
                return 413;
        p->chunked = head->chunked;
        p->left = head->chunked ? max_bytes : head->content_length;
        framing_reset(p);
        if (head->chunked)
                llhttp_resume(&p->llhttp);
        return 0;
}

static int chunked_decode(struct http_parser *p, struct str input, size_t *ret_consumed,
                          struct str *ret_piece, bool *ret_end)
{
        p->piece = (struct str){NULL, 0};
        p->joined.n = 0;
        p->framing = input.p;
        p->refused = 0;
        int error = llhttp_execute(&p->llhttp, input.p, input.n);
        if (error != HPE_OK && error != HPE_PAUSED)
                return p->refused ? p->refused : 400;
        const char *end = error == HPE_PAUSED ? llhttp_get_error_pos(&p->llhttp) : input.p + input.n;
        int status = framing_judge(p, end);
        if (status)
                return status;
        *ret_consumed = (size_t)(end - input.p);
        *ret_piece = p->piece;
        *ret_end = error == HPE_PAUSED;
        return 0;
}

int http_parser_body(struct http_parser *p, struct str input, size_t *ret_consumed, struct str *ret_piece,
                     bool *ret_end)
{
        if (p->chunked)
                return chunked_decode(p, input, ret_consumed, ret_piece, ret_end);
        size_t n = input.n < p->left ? input.n : (size_t)p->left;
        p->left -= n;
        *ret_consumed = n;
        *ret_piece = str_bytes(input.p, n);
        *ret_end = p->left == 0;
        return 0;
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct http_parser *http_parser_new(const struct http_parser_limits *limits)
{
        struct http_parser *p = mem_zalloc(sizeof(*p));
        p->limits = *limits;
        return p;
}

struct http_parser *http_parser_free(struct http_parser *p)
{
        if (p)
                buf_done(&p->joined);
        free(p);
        return NULL;
}
