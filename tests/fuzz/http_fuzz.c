/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary bytes through the HTTP parser, twice: at once, and in pieces cut at places that derive from the
 * bytes. Both must understand the same requests, and refuse or not alike; and whatever is accepted must
 * keep what the rest of the gateway relies on. Each look at the input is at a copy of just its size, so
 * that reading past its end is found.
 */
#include "common/http/parser.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_parser_limits limits = {
    .header_bytes = 2048, .header_fields = 20, .target_bytes = 512};
enum { BODY_BYTES = 4096 };

struct run {
        struct http_parser *parser;
        struct arena *arena;
        struct http_head head;
        struct buf input, body;
        struct buf story; /* what was understood */
        bool in_body, ended, refused;
};

static void must(bool condition)
{
        if (!condition)
                abort();
}

static bool is_text(struct str s, bool blanks)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if (c == 0x7f || (c < ' ' && !(blanks && c == '\t')) || (c == ' ' && !blanks))
                        return false;
        }
        return true;
}

static void head_check(const struct http_head *head)
{
        must(head->method.n > 0 && is_text(head->method, false));
        must(head->target.n > 0 && head->target.n <= limits.target_bytes && is_text(head->target, false));
        must(head->path.n > 0 && (head->path.p[0] == '/' || str_is(head->path, "*")));
        must(!memchr(head->target.p, '#', head->target.n));
        must(head->version_minor == 0 || head->version_minor == 1);
        must(head->host.n > 0 || head->version_minor == 0);
        must(!(head->sized && head->chunked) && !(head->chunked && head->version_minor == 0));
        must(head->n_fields <= limits.header_fields);
        for (size_t i = 0; i < head->n_fields; i++) {
                must(head->fields[i].name.n > 0 && is_text(head->fields[i].name, false));
                must(is_text(head->fields[i].value, true));
        }
}

static void tell(struct buf *story, struct str s)
{
        buf_printf(story, "%zu:", s.n);
        buf_add_str(story, s);
}

static void tell_request(struct run *run)
{
        const struct http_head *head = &run->head;
        tell(&run->story, head->method);
        tell(&run->story, head->target);
        tell(&run->story, head->path);
        tell(&run->story, head->query);
        tell(&run->story, head->host);
        for (size_t i = 0; i < head->n_fields; i++) {
                tell(&run->story, head->fields[i].name);
                tell(&run->story, head->fields[i].value);
        }
        buf_printf(&run->story, "%d %d %d %d\n", head->keep_alive, head->chunked, head->sized,
                   head->expects_continue);
        tell(&run->story, buf_str(&run->body));
        run->ended = !head->keep_alive;
}

static void consume(struct run *run, size_t n)
{
        must(n <= run->input.n);
        memmove(run->input.p, run->input.p + n, run->input.n - n);
        run->input.n -= n;
}

/* Whether it got anywhere. */
static bool step_head(struct run *run, struct str input)
{
        size_t blank = http_parser_blank(input), length;
        if (blank > 0) {
                consume(run, blank);
                return true;
        }
        run->refused = http_parser_scan(run->parser, input, &length);
        if (run->refused || length == 0)
                return false;
        arena_reset(run->arena);
        struct str text = arena_str(run->arena, (struct str){input.p, length});
        consume(run, length);
        run->refused = http_parser_head(run->parser, run->arena, text, &run->head);
        if (run->refused)
                return false;
        head_check(&run->head);
        run->body.n = 0;
        if (!run->head.chunked && run->head.content_length == 0) {
                tell_request(run);
                return true;
        }
        run->in_body = true;
        run->refused = http_parser_body_begin(run->parser, &run->head, BODY_BYTES);
        return !run->refused;
}

static bool step_body(struct run *run, struct str input)
{
        size_t consumed;
        struct str piece;
        bool end;
        run->refused = http_parser_body(run->parser, input, &consumed, &piece, &end);
        if (run->refused)
                return false;
        buf_add_str(&run->body, piece);
        must(run->body.n <= BODY_BYTES);
        consume(run, consumed);
        run->in_body = !end;
        if (end)
                tell_request(run);
        return true;
}

static void feed(struct run *run, const uint8_t *data, size_t n)
{
        buf_add(&run->input, data, n);
        bool more = true;
        while (more && !run->ended && !run->refused && run->input.n > 0) {
                struct str input = buf_str(&run->input);
                char *copy = malloc(input.n);
                must(copy != NULL);
                memcpy(copy, input.p, input.n);
                input.p = copy;
                more = run->in_body ? step_body(run, input) : step_head(run, input);
                free(copy);
        }
}

static void run_begin(struct run *run)
{
        *run = (struct run){.parser = http_parser_new(&limits), .arena = arena_new(8192)};
}

static void run_done(struct run *run)
{
        http_parser_free(run->parser);
        arena_free(run->arena);
        buf_done(&run->input);
        buf_done(&run->body);
        buf_done(&run->story);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct run whole, cut;
        run_begin(&whole);
        run_begin(&cut);
        feed(&whole, data, size);
        uint64_t dice = str_hash(str_bytes(data, size)) | 1;
        for (size_t at = 0; at < size;) {
                dice = dice * 6364136223846793005u + 1442695040888963407u;
                size_t longest = dice >> 60 < 8 ? 4 : 64, n = 1 + (dice >> 33) % longest;
                n = n < size - at ? n : size - at;
                feed(&cut, data + at, n);
                at += n;
        }
        must(whole.refused == cut.refused && whole.ended == cut.ended);
        must(str_eq(buf_str(&whole.story), buf_str(&cut.story)));
        run_done(&whole);
        run_done(&cut);
        return 0;
}
