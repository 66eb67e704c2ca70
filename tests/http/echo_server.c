/* SPDX-License-Identifier: Apache-2.0
 *
 * A server for the edge suite and the benchmark of common/http alone. It answers GET with a fixed 70-byte
 * JSON, other methods with their body, and a few paths that exercise what handlers may do:
 *   /later    answers 20 ms later, so that pipelined answers would overtake it
 *   /stream   answers a body of chunks (?n= pieces of 1000 bytes)
 *   /upload   takes the body in pieces and answers its length
 *   /early    answers before the body came
 *   /hold     answers when /release is asked for; /holding tells how many wait
 *   /follow   an answer without an end: /say sends all that follow the same ?n= bytes, /unsent tells how many of them wait
 *             here, /following how many follow, /abort cuts them, /end ends them
 */
#include "common/base/clock.h"
#include "common/http/http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct echo {
        struct loop *loop;
        struct http_server *server;
        struct loop_timer *drain;
        struct work *held, *followers;
        int n_held;
};

struct work {
        struct http_request *request;
        struct loop_timer *timer;
        int64_t pieces, bytes;
        struct work *next; /* held, or following */
        bool held, follows;
};

static const struct http_field json = {{"Content-Type", 12}, {"application/json", 16}};

static void answer(struct http_request *request, struct str body)
{
        http_answer(request,
                    &(struct http_answer){.status = 200, .fields = &json, .n_fields = 1, .body = body});
}

static void on_later(void *arg)
{
        struct work *work = arg;
        loop_timer_free(TAKE(work->timer));
        answer(work->request, STR("{\"later\":true}"));
}

static void on_more(void *arg)
{
        static const char piece[1000];
        struct work *work = arg;
        if (work->pieces-- > 0)
                http_answer_piece(work->request, str_bytes(piece, sizeof(piece)));
        else
                http_answer_end(work->request, true);
}

static void hold(struct echo *echo, struct work *work)
{
        work->held = true;
        work->next = echo->held;
        echo->held = work;
        echo->n_held++;
}

static void unhold(struct echo *echo, struct work *work)
{
        struct work **at = &echo->held;
        while (*at != work)
                at = &(*at)->next;
        *at = work->next;
        work->held = false;
        echo->n_held--;
}

static void release(struct echo *echo)
{
        while (echo->held) {
                struct work *work = echo->held;
                unhold(echo, work);
                answer(work->request, STR("{\"held\":true}"));
        }
}

static int64_t number_of(const struct http_request *request, int64_t most, int64_t otherwise)
{
        struct str query = request->query;
        int64_t n;
        str_cut(&query, '=');
        return str_to_i64(query, 0, most, &n) < 0 ? otherwise : n;
}

/* --- followers ------------------------------------------------------------------------------------------- */

static void follow(struct echo *echo, struct work *work)
{
        work->follows = true;
        work->next = echo->followers;
        echo->followers = work;
        http_answer_begin(work->request, &(struct http_answer){.status = 200, .body = STR("hello"), .endless = true},
                          NULL, work);
}

static void unfollow(struct echo *echo, struct work *work)
{
        struct work **at = &echo->followers;
        while (*at != work)
                at = &(*at)->next;
        *at = work->next;
        work->follows = false;
}

static void say(struct echo *echo, size_t n)
{
        struct buf bytes = {0};
        for (size_t i = 0; i < n; i++)
                buf_add_char(&bytes, (char)('a' + i % 26));
        struct http_shared *shared = http_shared_new(echo->loop, buf_str(&bytes));
        for (struct work *work = echo->followers; work; work = work->next)
                (void)http_answer_shared(work->request, shared);
        http_shared_free(shared);
        buf_done(&bytes);
}

static void leave_followers(struct echo *echo, bool cut)
{
        while (echo->followers) {
                struct work *work = echo->followers;
                unfollow(echo, work);
                if (cut)
                        http_answer_abort(work->request);
                else
                        http_answer_end(work->request, true);
        }
}

static size_t followers(const struct echo *echo, size_t *ret_unsent)
{
        size_t n = 0;
        *ret_unsent = 0;
        for (const struct work *work = echo->followers; work; work = work->next, n++)
                *ret_unsent += http_answer_unsent(work->request);
        return n;
}

static void answer_long(struct http_request *request)
{
        struct buf bytes = {0};
        for (int64_t i = 0, n = number_of(request, 10 * 1000 * 1000, 10); i < n; i++)
                buf_add_char(&bytes, (char)('a' + i % 26));
        answer(request, buf_str(&bytes));
        buf_done(&bytes);
}

/* Is it one of theirs? */
static bool on_follow(struct echo *echo, struct http_request *request)
{
        if (str_is(request->path, "/follow")) {
                follow(echo, request->user);
                return true;
        }
        if (str_is(request->path, "/say"))
                say(echo, (size_t)number_of(request, 1000 * 1000, 10));
        else if (str_is(request->path, "/abort") || str_is(request->path, "/end"))
                leave_followers(echo, str_is(request->path, "/abort"));
        else if (!str_is(request->path, "/unsent") && !str_is(request->path, "/following"))
                return false;
        size_t unsent, n = followers(echo, &unsent);
        answer(request, str_of(arena_printf(request->arena, "%zu", str_is(request->path, "/following") ? n : unsent)));
        return true;
}

static bool want_stream(void *arg, struct http_request *request)
{
        (void)arg;
        return str_is(request->path, "/upload") || str_is(request->path, "/early");
}

static void on_request(void *arg, struct http_request *request)
{
        struct echo *echo = arg;
        struct work *work = request->user = ARENA_NEW(request->arena, struct work);
        work->request = request;
        if (on_follow(echo, request))
                return;
        if (str_is(request->path, "/later")) {
                work->timer = loop_timer_new(echo->loop, on_later, work);
                loop_timer_set(work->timer, 20 * 1000);
        } else if (str_is(request->path, "/stream")) {
                work->pieces = number_of(request, 1000 * 1000, 3);
                http_answer_begin(request, &(struct http_answer){.status = 200}, on_more, work);
        } else if (str_is(request->path, "/long")) {
                answer_long(request);
        } else if (str_is(request->path, "/hold")) {
                hold(echo, work);
        } else if (str_is(request->path, "/holding")) {
                answer(request, str_of(arena_printf(request->arena, "%d", echo->n_held)));
        } else if (str_is(request->path, "/release")) {
                release(echo);
                answer(request, STR("{}"));
        } else if (str_is(request->path, "/early")) {
                answer(request, STR("{\"early\":true}"));
        } else if (str_is(request->path, "/upload")) {
                if (!request->streamed)
                        answer(request, STR("0"));
        } else if (request->method == HTTP_GET || request->method == HTTP_HEAD) {
                http_answer(
                    request,
                    &(struct http_answer){
                        .status = 200,
                        .fields = &json,
                        .n_fields = 1,
                        .body = STR("{\"name\":\"members/0190a7c2f1\",\"displayName\":\"Wang Xiulan\","
                                    "\"state\":\"A\"}\n"),
                        .body_static = true,
                    });
        } else {
                answer(request, request->body);
        }
}

static void on_body(void *arg, struct http_request *request, struct str piece, bool last)
{
        struct work *work = request->user;
        (void)arg;
        work->bytes += (int64_t)piece.n;
        if (last)
                answer(request, str_of(arena_printf(request->arena, "%lld", (long long)work->bytes)));
        else
                http_body_more(request);
}

static void on_gone(void *arg, struct http_request *request)
{
        struct work *work = request->user;
        loop_timer_free(TAKE(work->timer));
        if (work->held)
                unhold(arg, work);
        if (work->follows)
                unfollow(arg, work);
}

static void on_refused(void *arg, const struct http_request *request, int status, struct buf *body,
                       const char **ret_content_type)
{
        static const struct {
                int status;
                const char *type;
        } problems[] = {{400, "malformed-request"},  {408, "request-timeout"},
                        {413, "payload-too-large"},  {414, "uri-too-long"},
                        {417, "expectation-failed"}, {431, "header-too-large"},
                        {501, "not-implemented"},    {503, "unavailable"},
                        {505, "http-version-not-supported"}};
        (void)arg;
        (void)request;
        for (size_t i = 0; i < ARRAY_LEN(problems); i++)
                if (problems[i].status == status)
                        buf_printf(body, "{\"type\":\"urn:nuanxin:problem:%s\",\"status\":%d}",
                                   problems[i].type, status);
        *ret_content_type = "application/problem+json";
}

static int64_t utc_us(void *arg)
{
        static const struct clock clock;
        (void)arg;
        return clock_now_us(&clock);
}

static void on_drain_check(void *arg)
{
        struct echo *echo = arg;
        if (http_server_connections(echo->server) == 0)
                loop_stop(echo->loop);
        else
                loop_timer_set(echo->drain, 10 * 1000);
}

static void on_terminate(void *arg)
{
        struct echo *echo = arg;
        http_server_drain(echo->server);
        on_drain_check(echo);
}

static int options_read(int n, char **text, struct http_server_options *options, const char **certificate,
                        const char **key)
{
        struct http_limits *limits = &options->limits;
        for (int i = 1; i + 1 < n; i += 2) {
                int64_t value = atoll(text[i + 1]);
                if (!strcmp(text[i], "--listen"))
                        options->address = text[i + 1];
                else if (!strcmp(text[i], "--certificate"))
                        *certificate = text[i + 1];
                else if (!strcmp(text[i], "--key"))
                        *key = text[i + 1];
                else if (!strcmp(text[i], "--header-ms"))
                        limits->header_us = value * 1000;
                else if (!strcmp(text[i], "--body-ms"))
                        limits->body_us = value * 1000;
                else if (!strcmp(text[i], "--keep-alive-ms"))
                        limits->keep_alive_us = value * 1000;
                else if (!strcmp(text[i], "--write-ms"))
                        limits->write_us = value * 1000;
                else if (!strcmp(text[i], "--gathered-bytes"))
                        limits->gathered_bytes = (size_t)value;
                else if (!strcmp(text[i], "--unsent-bytes"))
                        limits->unsent_bytes = (size_t)value;
                else if (!strcmp(text[i], "--max-connections"))
                        options->max_connections = (size_t)value;
                else
                        return -EINVAL;
        }
        return 0;
}

int main(int n, char **text)
{
        static const struct http_ops ops = {.want_stream = want_stream,
                                            .on_request = on_request,
                                            .on_body = on_body,
                                            .on_gone = on_gone,
                                            .on_refused = on_refused};
        struct http_server_options options = {.address = "127.0.0.1:0",
                                              .limits = http_default_limits,
                                              .max_connections = 10000,
                                              .utc_us = utc_us};
        const char *certificate = NULL, *key = NULL, *error = "unknown option";
        struct stream_tls *tls = NULL;
        if (options_read(n, text, &options, &certificate, &key) < 0 ||
            (certificate && stream_tls_new(certificate, key, &tls, &error) < 0)) {
                fprintf(stderr, "%s\n", error);
                return 2;
        }
        options.tls = tls;
        struct echo echo = {.loop = loop_new()};
        int port;
        int r = http_server_new(echo.loop, &options, &ops, &echo, &echo.server, &port);
        if (r < 0) {
                fprintf(stderr, "cannot listen on %s: %s\n", options.address, strerror(-r));
                return 1;
        }
        echo.drain = loop_timer_new(echo.loop, on_drain_check, &echo);
        struct loop_signal *terminate = loop_signal_new(echo.loop, SIGTERM, on_terminate, &echo);
        struct loop_signal *interrupt = loop_signal_new(echo.loop, SIGINT, on_terminate, &echo);
        printf("ready %d\n", port);
        fflush(stdout);
        loop_run(echo.loop);
        http_server_free(echo.server);
        loop_timer_free(echo.drain);
        loop_signal_free(terminate);
        loop_signal_free(interrupt);
        loop_free(echo.loop);
        stream_tls_free(tls);
        return 0;
}
