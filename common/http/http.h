/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on a stream (llhttp, strict): a connection reads requests within limits, hands over whole ones
 * (or a body in pieces where the handler asks), and writes answers in order. RFC 9110, RFC 9112. What
 * llhttp lets by and we refuse: a missing, repeated or malformed Host, obs-fold, an empty field name,
 * versions other than 1.0 and 1.1.
 */
#pragma once

#include "common/base/arena.h"
#include "common/http/field.h"
#include "common/loop/stream.h"

struct http_limits {
        size_t header_bytes; /* 16 KiB: 431 */
        size_t header_fields; /* 100: 431 */
        size_t target_bytes; /* 8 KiB: 414 */
        size_t body_bytes;   /* 1 MiB: 413 */
        size_t gathered_bytes; /* 128 MiB of bodies in memory, over all connections: beyond it those above 16 KiB get 503 */
        size_t unsent_bytes; /* 128 MiB of answers that clients do not take, over all connections: who has the most is cut */
        int pipelined;       /* 16 requests read ahead; then reading pauses */
        int64_t header_us;   /* 10 s for a whole header from its first byte (and from the connect): 408 */
        int64_t body_us;     /* a body must come at 1 KiB/s at least, measured over this window, 10 s: 408 */
        int64_t keep_alive_us; /* 75 s idle */
        int64_t write_us;    /* 30 s: a peer that takes nothing for so long is cut */
};
extern const struct http_limits http_default_limits;

enum http_method {
        HTTP_GET,
        HTTP_HEAD,
        HTTP_POST,
        HTTP_PUT,
        HTTP_PATCH,
        HTTP_DELETE,
        HTTP_OPTIONS,
        HTTP_OTHER, /* another that is known, e.g. TRACE */
};

/* One request; lives until its answer has been handed over or its connection ended. Its arena is the
 * place for everything made on its behalf. */
struct http_request {
        enum http_method method;
        struct str method_text;
        struct str target;       /* as sent */
        struct str path, query;  /* of origin-form and absolute-form; not decoded; "*" for OPTIONS * */
        struct str host;         /* with its port: of an absolute target, else of Host; may be empty in 1.0 */
        const struct http_field *fields;
        size_t n_fields;
        struct str body;         /* whole, unless streamed */
        bool streamed;           /* want_stream said so: the body comes by on_body */
        bool chunked_or_sized;   /* a body was announced, though it may be empty */
        int version_minor;       /* 0 or 1 */
        const char *peer_address;
        bool tls;
        int64_t started_us;      /* monotonic, first byte of the header */
        struct arena *arena;
        void *user; /* the handler's own */
};

/* The first of that name; {NULL,0}: absent. */
struct str http_field_value(const struct http_request *request, const char *name);
/* Percent-decoding of a path segment or (form = true) a query component into the arena. -EINVAL:
 * malformed, or a NUL, or invalid UTF-8. */
int http_decode(struct arena *arena, struct str text, bool form, struct str *ret) MUST_USE;

struct http_ops {
        /* The header is complete, a body that is not known to be empty is still to come: return true to
         * get it in pieces by on_body. NULL: never. */
        bool (*want_stream)(void *arg, struct http_request *request);
        /* A whole request (or, streamed, its header). Answer now or later with http_answer. */
        void (*on_request)(void *arg, struct http_request *request);
        /* A piece of a streamed body, lent; last = true with the final (maybe empty) one. Reading pauses
         * until http_body_more (which a handler may call from within). body_bytes does not bound a
         * streamed body. An answer before the last piece ends the connection with it. */
        void (*on_body)(void *arg, struct http_request *request, struct str piece, bool last);
        /* The client went away or was cut before the answer: forget the request, do not answer it; it is
         * freed after this returns. NULL only for a server that answers everything at once. */
        void (*on_gone)(void *arg, struct http_request *request);
        /* The parser or a limit refused: 400, 408, 413, 414, 417, 431, 501 (unknown method, transfer
         * coding), 503 (too many bodies at once) or 505. Make the answer for this status in `body`, e.g. problem+json, and set the
         * content type. The connection then closes. request may be half filled (the header, if that was
         * complete). NULL: an empty body. */
        void (*on_refused)(void *arg, const struct http_request *request, int status, struct buf *body,
                           const char **ret_content_type);
};

struct http_server; /* a listener and its connections on one loop */
struct http_server_options {
        const char *address;
        struct stream_tls *tls; /* or NULL */
        struct http_limits limits;
        size_t max_connections; /* of this server; beyond it accepting pauses */
        bool opens_later;       /* connections wait, in the kernel, until http_server_open */
        int64_t (*utc_us)(void *); /* for the Date field; arg is ops' arg */
};
int http_server_new(struct loop *loop, const struct http_server_options *options, const struct http_ops *ops,
                    void *arg, struct http_server **ret_server, int *ret_port) MUST_USE;
void http_server_open(struct http_server *server);
/* No new connections but those that wait to be accepted; each ends with the answer to the last request that it has sent
 * (Connection: close), idle ones after a second in which a request that was on its way may still come. */
void http_server_drain(struct http_server *server);
size_t http_server_connections(const struct http_server *server);
struct http_server *http_server_free(struct http_server *server);

struct http_answer {
        int status;
        const struct http_field *fields; /* beyond Date, Content-Length, Connection, which are set here */
        size_t n_fields;
        struct str body; /* copied, unless body_static; not sent for HEAD, 204, 304 (HEAD keeps the length) */
        bool body_static;
        bool close; /* Connection: close */
        bool endless; /* of http_answer_begin: pieces will come as long as the client stays; one that closes its side has gone */
};
void http_answer(struct http_request *request, const struct http_answer *answer); /* ends the request */

/* A body whose length isn't known: chunked for 1.1 (closing for 1.0). on_more is called each time the
 * output has emptied: write the next piece with http_answer_piece, or end. head->body is the first
 * piece. To a HEAD pieces are dropped, so end at once. on_gone may still come until http_answer_end. */
void http_answer_begin(struct http_request *request, const struct http_answer *head,
                       void (*on_more)(void *user), void *user);
void http_answer_piece(struct http_request *request, struct str piece);
/* complete = false: cut, so that the client notices. */
void http_answer_end(struct http_request *request, bool complete);
/* Cut at once: what has not left is dropped. */
void http_answer_abort(struct http_request *request);
/* Bytes of the connection that wait here, because the client does not take them or an earlier answer is not complete. */
size_t http_answer_unsent(const struct http_request *request);

/* A piece that many answers have in common: put into its form once, and a large one is lent to each instead of copied.
 * For the answers of one loop. Whoever makes it gives it back; it stays until the last answer has left. */
struct http_shared;
struct http_shared *http_shared_new(struct loop *loop, struct str piece); /* copies; not empty */
struct http_shared *http_shared_free(struct http_shared *shared); /* NULL */
/* True: it has left, and on_more does not follow. */
bool http_answer_shared(struct http_request *request, struct http_shared *shared);

void http_body_more(struct http_request *request); /* go on reading a streamed body */

/* gzip (RFC 1952) of `in`, appended; level 1..9. */
void http_gzip(struct buf *out, struct str in, int level);
/* Does an Accept-Encoding value allow gzip (q > 0)? Does an Accept value allow this type? (RFC 9110,
 * 12.5) */
bool http_accepts_gzip(struct str accept_encoding);
bool http_accepts(struct str accept, const char *media_type);
