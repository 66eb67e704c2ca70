/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to requests, without sockets, time or callbacks: a caller scans its input for a whole header,
 * has that parsed, then has the body decoded piece by piece. Refusals are HTTP statuses; after one the
 * bytes that follow mean nothing.
 */
#pragma once

#include "common/base/arena.h"
#include "common/http/field.h"

struct http_head {
        struct str method;
        struct str target;      /* as sent */
        struct str path, query; /* "*" for OPTIONS * */
        struct str host;        /* authority of an absolute target, else of Host; may be empty for HTTP/1.0 */
        const struct http_field *fields;
        size_t n_fields;
        int version_minor; /* 0 or 1 */
        bool keep_alive;
        bool expects_continue;
        bool chunked;
        bool sized; /* Content-Length was there */
        uint64_t content_length;
};

struct http_parser_limits {
        size_t header_bytes, header_fields, target_bytes;
};

struct http_parser; /* one per connection */

struct http_parser *http_parser_new(const struct http_parser_limits *limits);
struct http_parser *http_parser_free(struct http_parser *parser);
DEFINE_CLEANUP(struct http_parser *, http_parser_free)

/* How many bytes of empty lines stand before a request: to be consumed before http_parser_scan (RFC
 * 9112, 2.2). */
size_t http_parser_blank(struct str input);

/* Looks for the end of the header at the start of input, going on where it stopped: input is all of the
 * header that there is so far, again. 0: *ret_length is the header's length, or 0 while it is
 * incomplete. Positive: refused. */
int http_parser_scan(struct http_parser *parser, struct str input, size_t *ret_length) MUST_USE;

/* Parses a header that scan found. text must live as long as the head, which points into it; fields go
 * to the arena. 0, or positive: refused (ret_head is then filled as far as it was understood). */
int http_parser_head(struct http_parser *parser, struct arena *arena, struct str text,
                     struct http_head *ret_head) MUST_USE;

/* After a head that is chunked or sized > 0. A body announced or sent beyond max_bytes is refused with
 * 413. */
int http_parser_body_begin(struct http_parser *parser, const struct http_head *head,
                           uint64_t max_bytes) MUST_USE;
/* Decodes what input has of the body: *ret_piece is lent until the next call; *ret_end: the body is
 * complete, and what follows *ret_consumed is the next request. Trailers are dropped. 0, or positive:
 * refused. */
int http_parser_body(struct http_parser *parser, struct str input, size_t *ret_consumed,
                     struct str *ret_piece, bool *ret_end) MUST_USE;

/* The rules of RFC 9110 and 9112 over a head whose method, target, version and fields are set; sets the
 * rest but content_length. 0, or positive: refused. */
int http_head_judge(struct http_head *head) MUST_USE;
