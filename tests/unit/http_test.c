/* SPDX-License-Identifier: Apache-2.0
 *
 * The pure parts of common/http: scanning and parsing byte by byte, what a head means, bodies, decoding,
 * negotiation, gzip. What needs a socket is in tests/http.
 */
#include "common/http/http.h"
#include "common/http/parser.h"

#include "tests/support/check.h"

#include <zlib.h>

static const struct http_parser_limits limits = {.header_bytes = 200, .header_fields = 3, .target_bytes = 20};

/* The status of refusing, or 0 with the head. */
static int parse(struct arena *arena, const char *text, struct http_head *ret_head)
{
        _cleanup_(http_parser_freep) struct http_parser *parser = http_parser_new(&limits);
        struct str input = arena_str(arena, str_of(text));
        size_t length;
        int status = http_parser_scan(parser, input, &length);
        if (status)
                return status;
        CHECK_INT(length, input.n);
        return length ? http_parser_head(parser, arena, (struct str){input.p, length}, ret_head) : -1;
}

static int status_of(const char *text)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct http_head head;
        return parse(arena, text, &head);
}

static void a_head_is_found_byte_by_byte(void)
{
        static const char text[] = "GET /a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET";
        _cleanup_(http_parser_freep) struct http_parser *parser = http_parser_new(&limits);
        for (size_t n = 1; n < sizeof(text); n++) {
                size_t length;
                CHECK_INT(http_parser_scan(parser, str_bytes(text, n), &length), 0);
                if (n < sizeof(text) - 4)
                        CHECK_INT(length, 0);
                if (n == sizeof(text) - 4) {
                        CHECK_INT(length, n);
                        break;
                }
        }
}

static void a_head_is_understood(void)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct http_head head;
        CHECK_INT(parse(arena,
                        "PUT /a/b?c=d?e HTTP/1.1\r\nHost: x:80\r\nX-A: \t v w \r\nContent-Length: 12\r\n\r\n",
                        &head),
                  0);
        CHECK(str_is(head.method, "PUT") && str_is(head.target, "/a/b?c=d?e"));
        CHECK(str_is(head.path, "/a/b") && str_is(head.query, "c=d?e") && str_is(head.host, "x:80"));
        CHECK_INT(head.n_fields, 3);
        CHECK(str_is(head.fields[1].name, "X-A") && str_is(head.fields[1].value, "v w"));
        CHECK(head.sized && !head.chunked && head.keep_alive && head.version_minor == 1);
        CHECK_INT(head.content_length, 12);
}

static void an_absolute_target_replaces_host(void)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct http_head head;
        CHECK_INT(parse(arena, "GET http://y:1?q HTTP/1.1\r\nHost: x\r\n\r\n", &head), 0);
        CHECK(str_is(head.host, "y:1") && str_is(head.path, "/") && str_is(head.query, "q"));
}

static void connections_stay_or_close(void)
{
        static const struct {
                const char *text;
                bool keep_alive;
        } cases[] = {
            {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
            {"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n", false},
            {"GET / HTTP/1.1\r\nHost: x\r\nConnection: closer\r\n\r\n", true},
            {"GET / HTTP/1.0\r\n\r\n", false},
            {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
            {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        };
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct http_head head;
                CHECK_INT(parse(arena, cases[i].text, &head), 0);
                CHECK_INT(head.keep_alive, cases[i].keep_alive);
        }
}

static void limits_are_exact(void)
{
        CHECK_INT(status_of("GET /23456789012345678901 HTTP/1.0\r\n\r\n"), 414);
        CHECK_INT(status_of("GET /2345678901234567890 HTTP/1.0\r\n\r\n"), 0);
        CHECK_INT(status_of("GET / HTTP/1.0\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"), 0);
        CHECK_INT(status_of("GET / HTTP/1.0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"), 431);
        char text[256];
        int n = snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nA: %0177d\r\n\r\n", 0);
        CHECK_INT(n, 200);
        CHECK_INT(status_of(text), 0);
        snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nA: %0178d\r\n\r\n", 0);
        CHECK_INT(status_of(text), 431);
}

static void refusals_name_their_reason(void)
{
        CHECK_INT(status_of("FROB / HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
        CHECK_INT(status_of("GET / HTTP/2.0\r\n\r\n"), 505);
        CHECK_INT(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
        CHECK_INT(status_of("GET / HTTP/1.1\r\nHost: x\r\nExpect: y\r\n\r\n"), 417);
        CHECK_INT(status_of("GET / HTTP/1.1\r\nHost: x\r\nExpect: y\r\nHost: x\r\n\r\n"), 400);
        CHECK_INT(status_of("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: br, chunked\r\n\r\n"), 501);
        CHECK_INT(status_of("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, br\r\n\r\n"), 400);
}

static void chunks_are_joined_however_they_are_cut(void)
{
        static const char head_text[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        static const char body_text[] = "3;x=y\r\nabc\r\n1\r\nd\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET";
        for (size_t step = 1; step < sizeof(body_text); step++) {
                _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
                _cleanup_(http_parser_freep) struct http_parser *parser = http_parser_new(&limits);
                struct http_head head;
                size_t length, at = 0;
                CHECK_INT(http_parser_scan(parser, STR(head_text), &length), 0);
                CHECK_INT(http_parser_head(parser, arena, STR(head_text), &head), 0);
                CHECK_INT(http_parser_body_begin(parser, &head, 14), 0);
                struct buf body = {0};
                bool end = false;
                while (!end && at < sizeof(body_text) - 1) {
                        size_t n = sizeof(body_text) - 1 - at < step ? sizeof(body_text) - 1 - at : step,
                               consumed = 0;
                        struct str piece = {NULL, 0};
                        CHECK_INT(
                            http_parser_body(parser, str_bytes(body_text + at, n), &consumed, &piece, &end),
                            0);
                        buf_add_str(&body, piece);
                        at += consumed;
                }
                CHECK(end && str_is(str_bytes(body_text + at, 3), "GET"));
                CHECK_TEXT(buf_z(&body), "abcd0123456789");
                buf_done(&body);
        }
}

static void chunks_beyond_the_limit_are_refused_when_announced(void)
{
        static const char text[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        _cleanup_(http_parser_freep) struct http_parser *parser = http_parser_new(&limits);
        struct http_head head;
        size_t length, consumed;
        struct str piece;
        bool end;
        CHECK_INT(http_parser_scan(parser, STR(text), &length), 0);
        CHECK_INT(http_parser_head(parser, arena, STR(text), &head), 0);
        CHECK_INT(http_parser_body_begin(parser, &head, 10), 0);
        CHECK_INT(http_parser_body(parser, STR("a\r\n0123456789\r\n1\r\n"), &consumed, &piece, &end), 413);
}

static void percent_decoding(void)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct str got;
        CHECK_INT(http_decode(arena, STR("a%20b+c%E6%9A%96"), false, &got), 0);
        CHECK_TEXT(got.p, "a b+c暖");
        CHECK_INT(http_decode(arena, STR("a%20b+c%e6%9a%96"), true, &got), 0);
        CHECK_TEXT(got.p, "a b c暖");
        CHECK_INT(http_decode(arena, STR(""), true, &got), 0);
        CHECK_INT(got.n, 0);
        static const char *const bad[] = {"%",      "%2",        "a%zz", "%00", "%ff",
                                          "%C0%80", "%ED%A0%80", "%+1",  "% 1"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                CHECK_INT(http_decode(arena, str_of(bad[i]), true, &got), -EINVAL);
}

static void accept_is_weighed(void)
{
        CHECK(http_accepts(STR(""), "application/json"));
        CHECK(http_accepts(STR("*/*"), "application/json"));
        CHECK(http_accepts(STR("text/html, application/*;q=0.1"), "application/json"));
        CHECK(http_accepts(STR("Application/JSON; charset=utf-8"), "application/json"));
        CHECK(!http_accepts(STR("text/html"), "application/json"));
        CHECK(!http_accepts(STR("*/*, application/json;q=0"), "application/json"));
        CHECK(!http_accepts(STR("application/json;q=0.000, */*;q=0.5"), "application/json"));
        CHECK(http_accepts(STR("application/*;q=0, application/json;q=0.001"), "application/json"));
        CHECK(!http_accepts(STR("application/jsonx, app/*"), "application/json"));
        CHECK(http_accepts_gzip(STR("gzip")) && http_accepts_gzip(STR("br, *;q=0.5")) &&
              http_accepts_gzip(STR("GZIP;q=1")));
        CHECK(!http_accepts_gzip(STR("")) && !http_accepts_gzip(STR("br")) &&
              !http_accepts_gzip(STR("gzip;q=0, *")));
        CHECK(!http_accepts_gzip(STR("identity, *;q=0")) && http_accepts_gzip(STR("*;q=0, gzip ; q=0.3")));
}

static void fields_are_found_by_name(void)
{
        const struct http_field fields[] = {
            {STR("Accept"), STR("a")}, {STR("ACCEPT"), STR("b")}, {STR("x"), STR("")}};
        struct http_request request = {.fields = fields, .n_fields = ARRAY_LEN(fields)};
        CHECK(str_is(http_field_value(&request, "accept"), "a"));
        CHECK(http_field_value(&request, "X").p != NULL && http_field_value(&request, "X").n == 0);
        CHECK(http_field_value(&request, "accep").p == NULL);
}

static void gzip_can_be_undone(void)
{
        struct buf text = {0}, packed = {0};
        for (int i = 0; i < 20000; i++)
                buf_printf(&text, "line %d\n", i * i);
        buf_add_z(&packed, "before");
        http_gzip(&packed, buf_str(&text), 6);
        CHECK(packed.n < text.n / 2);
        char *out = malloc(text.n + 1);
        z_stream z = {.next_in = (Bytef *)packed.p + 6,
                      .avail_in = (uInt)packed.n - 6,
                      .next_out = (Bytef *)out,
                      .avail_out = (uInt)text.n + 1};
        CHECK_INT(inflateInit2(&z, 15 + 16), Z_OK);
        CHECK_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
        CHECK_INT(z.total_out, text.n);
        CHECK(memcmp(out, text.p, text.n) == 0);
        inflateEnd(&z);
        free(out);
        buf_done(&text);
        buf_done(&packed);
}

int main(void)
{
        static const struct check_case cases[] = {
            {"a head is found byte by byte", a_head_is_found_byte_by_byte},
            {"a head is understood", a_head_is_understood},
            {"an absolute target replaces Host", an_absolute_target_replaces_host},
            {"connections stay or close", connections_stay_or_close},
            {"limits are exact", limits_are_exact},
            {"refusals name their reason", refusals_name_their_reason},
            {"chunks are joined however they are cut", chunks_are_joined_however_they_are_cut},
            {"chunks beyond the limit are refused when announced",
             chunks_beyond_the_limit_are_refused_when_announced},
            {"percent-decoding", percent_decoding},
            {"Accept is weighed", accept_is_weighed},
            {"fields are found by name", fields_are_found_by_name},
            {"gzip can be undone", gzip_can_be_undone},
        };
        return CHECK_MAIN(cases);
}
