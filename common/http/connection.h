/* SPDX-License-Identifier: Apache-2.0
 *
 * What server.c, connection.c and answer.c share: a connection, and an exchange (a request and its answer)
 * on it.
 */
#pragma once

#include "common/http/http.h"
#include "common/http/parser.h"

enum http_answer_state {
        HTTP_ANSWER_NONE,
        HTTP_ANSWER_BEGUN, /* http_answer_begin: pieces are coming */
        HTTP_ANSWER_DONE,  /* all of it is in `held` or in the stream */
};

struct http_exchange {
        struct http_request request;
        struct http_connection *connection;
        struct http_exchange *next;
        struct http_head head;
        struct buf body; /* gathered, when it did not come at once */
        struct buf held; /* the answer, while earlier ones are not sent */
        enum http_answer_state answer;
        bool handed_over; /* the handler knows it: on_request was called */
        bool owes_continue;
        bool close;        /* the connection ends with this answer */
        bool cut;          /* ... which is not complete */
        bool chunked, bare; /* the answer's body: in chunks; left out (HEAD, 204, 304) */
        bool endless;       /* it has no end; it has begun */
        void (*on_more)(void *user);
        void *user;
};

/* Where the reading side stands. Deadlines: see connection_check. */
enum http_input {
        HTTP_INPUT_IDLE,   /* no byte of a request */
        HTTP_INPUT_HEADER, /* part of a header */
        HTTP_INPUT_BODY,   /* a header, and part of its body (`reading`) */
        HTTP_INPUT_HELD,   /* the same; the handler has a piece and did not ask for more */
        HTTP_INPUT_ENDED,  /* nothing more will be read: refused, closing, or the peer ended */
};

struct http_connection {
        struct http_server *server;
        struct stream *stream;
        struct http_connection *next, *previous; /* the server's */
        struct http_parser *parser;
        struct loop_turn again; /* read on at the end of the turn */
        char peer_address[48];

        enum http_input input;
        bool served;       /* a request was read */
        bool last_request; /* nothing may follow the one last read */
        bool paused, peer_ended;
        int64_t started_us;  /* first byte of this header */
        int64_t deadline_us; /* of the input state */
        uint64_t body_bytes; /* in this window */
        struct http_exchange *reading; /* whose body is read */

        struct http_exchange *first, *last; /* in order of arrival; answers leave in this order */
        int n_open;
        uint64_t sent;    /* stream_sent when it last grew, */
        int64_t sent_us; /* and when that was */

        bool dead; /* off the server's list; freed when the last caller has returned */
        int callers;
};

struct http_server {
        struct loop *loop;
        struct http_server_options options;
        const struct http_ops *ops;
        void *arg;
        struct stream_listener *listener;
        struct http_connection *connections;
        size_t n_connections;
        struct http_exchange *spare; /* recycled */
        size_t n_spare;
        size_t gathered; /* bytes of bodies in the exchanges' own buffers */
        struct loop_timer *tick;
        int64_t tick_us;
        bool ticking, draining;
        struct buf scratch;  /* an answer's header while it is built */
        char date[32];       /* "Sun, 06 Nov 1994 08:49:37 GMT" */
        int64_t date_until_us; /* monotonic: when that becomes wrong */
};

/* server.c */
struct http_exchange *http_exchange_new(struct http_connection *connection);
void http_exchange_recycle(struct http_server *server, struct http_exchange *exchange);
void http_server_forget(struct http_connection *connection); /* it is off the list */
const char *http_server_date(struct http_server *server);

/* connection.c */
void http_connection_accept(struct http_server *server, struct stream *stream, const char *peer_address);
void http_connection_check(struct http_connection *connection, int64_t now_us); /* its deadlines */
void http_connection_rest(struct http_connection *connection); /* if it is idle: until when it may be */
void http_connection_cut(struct http_connection *connection); /* at once; tells on_gone */
void http_connection_abort(struct http_connection *connection); /* likewise, and the peer sees a reset */
void http_connection_end_input(struct http_connection *connection); /* reads no further request */
/* An exchange's answer is whole: sends what is due, in order. The connection may be gone after. */
void http_connection_advance(struct http_connection *connection);

/* answer.c */
const char *http_reason(int status);
void http_exchange_send(struct http_exchange *exchange, struct str bytes);
