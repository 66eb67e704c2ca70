/* SPDX-License-Identifier: Apache-2.0
 *
 * stream lag, stream tail: how the log stands, who reads it and how far they have come; and the log itself, line by line.
 */
#include "common/base/clock.h"
#include "contract/stream_v1.h"
#include "services/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

#define WAIT_S 25 /* of one fetch, while nothing comes */

/* --- lag ------------------------------------------------------------------------------------------------------------- */

static const char *when(struct cli *cli, const Google__Protobuf__Timestamp *t)
{
        char *text = arena_alloc(cli->arena, 40);
        if (!t)
                return "-";
        clock_format_rfc3339(text, t->seconds * CLOCK_SECOND_US);
        return text;
}

static const char *number(struct cli *cli, int64_t n)
{
        return arena_printf(cli->arena, "%" PRId64, n);
}

static void show_subscribers(struct cli *cli, const Log *log)
{
        static const char *const headings[] = {"AGENCY", "BY", "POSITION", "BEHIND", "SEEN", "NOTICES", "RECEIPTS"};
        if (!log->n_subscribers)
                return;
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < log->n_subscribers; i++) {
                const Subscriber *s = log->subscribers[i];
                table_row(t, (const char *[]){s->agency, s->transport, number(cli, s->position), number(cli, s->behind),
                                              when(cli, s->seen_time), number(cli, s->notices), number(cli, s->receipts)});
        }
        table_print(t);
}

static int run_lag(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        void *response, *request = cli_request(cli, "GetLog");
        (void)command, (void)operands, (void)n;
        int r = request ? cli_call(cli, "GetLog", NULL, request, &response) : 2;
        if (r)
                return r;
        if (cli->json) {
                show_message(cli, operator_method("GetLog")->output, response);
                return 0;
        }
        const Log *log = response;
        printf("epoch %s\nevents %" PRId64 " to %" PRId64 ", %.1f MiB, the oldest of %s\nsigned up to %" PRId64 " at %s\n", log->epoch, log->oldest,
               log->latest, (double)log->bytes / (1 << 20), when(cli, log->oldest_time), log->checkpoint, when(cli, log->checkpoint_time));
        show_subscribers(cli, log);
        return 0;
}

/* --- tail ------------------------------------------------------------------------------------------------------------ */

/* The end of the JSON value that begins at p. */
static size_t value_length(struct str s)
{
        size_t depth = 0;
        bool text = false;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (text) {
                        if (c == '\\')
                                i++;
                        text = c != '"';
                        continue;
                }
                if (c == '"')
                        text = true;
                else if (c == '{' || c == '[')
                        depth++;
                else if ((c == '}' || c == ']') && depth > 0 && --depth == 0)
                        return i + 1;
        }
        return s.n;
}

/* What a terminal would obey or turn around, though it stands in somebody's title: C1 controls, and what formats and has no
 * width of its own (Unicode's categories Cc, Cf, Zl, Zp). */
static bool is_hidden(uint32_t c)
{
        static const struct { uint32_t first, last; } ranges[] = {
                {0x7F, 0x9F},     {0xAD, 0xAD},     {0x600, 0x605},   {0x61C, 0x61C},   {0x180E, 0x180E},   {0x200B, 0x200F},
                {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0x1D173, 0x1D17A}, {0xE0000, 0xE007F},
        };
        for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

/* JSON in UTF-8; what is hidden as an escape of JSON's (RFC 8259, 7), so that it says the same. */
static void print_json(struct str text)
{
        const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n;
        while (p < end) {
                const unsigned char *from = p;
                size_t n = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : *p >= 0xC0 ? 2 : 1;
                uint32_t c = n == 4 ? *p & 0x07 : n == 3 ? *p & 0x0F : n == 2 ? *p & 0x1F : *p;
                for (p++; p < from + n && p < end; p++)
                        c = c << 6 | (*p & 0x3F);
                if (!is_hidden(c))
                        fwrite(from, 1, (size_t)(p - from), stdout);
                else if (c > 0xFFFF)
                        printf("\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
                else
                        printf("\\u%04x", c);
        }
        putchar('\n');
}

/* Of an array of objects, each on a line. */
static void print_lines(struct str array)
{
        struct str rest = array;
        while (rest.n) {
                const char *begin = memchr(rest.p + 1, '{', rest.n - 1);
                if (!begin)
                        return;
                rest = (struct str){begin, (size_t)(rest.p + rest.n - begin)};
                size_t n = value_length(rest);
                print_json((struct str){rest.p, n});
                if (n >= rest.n)
                        return;
                rest = (struct str){rest.p + n - 1, rest.n - n + 1};
        }
}

static bool is_set(const struct cli *cli, const char *field)
{
        for (size_t i = 0; i < cli->sets.n; i++)
                if (strncmp(cli->sets.items[i], field, strlen(field)) == 0)
                        return true;
        return false;
}

/* Behind what there is now. */
static int newest_cursor(struct cli *cli, const char **ret)
{
        void *response, *request = message_new(cli->arena, operator_method("GetLog")->input);
        int r = cli_call(cli, "GetLog", NULL, request, &response);
        if (r)
                return r;
        *ret = ((const Log *)response)->cursor;
        return 0;
}

/* One fetch; its texts live in an arena of its own. */
static int fetch(struct cli *cli, FetchEventsRequest *request, char cursor[80], size_t *ret_n)
{
        struct arena *whole = cli->arena;
        void *response;
        cli->arena = arena_new(1 << 16);
        request->cursor = cursor;
        int r = cli_call(cli, "FetchEvents", NULL, request, &response);
        if (r == 0) {
                const FetchEventsResponse *batch = response;
                snprintf(cursor, 80, "%s", batch->cursor);
                *ret_n = batch->through > batch->from;
                print_lines(str_bytes(batch->events.data, batch->events.len));
                fflush(stdout);
        }
        arena_free(cli->arena);
        cli->arena = whole;
        return r;
}

static int run_tail(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        FetchEventsRequest *request = cli_request(cli, "FetchEvents");
        const char *from = n ? operands[0] : "";
        bool once = is_set(cli, "wait");
        char cursor[80];
        size_t some = 1;
        (void)command;
        int r = request ? 0 : 2;
        if (r == 0 && !n)
                r = newest_cursor(cli, &from);
        if (r)
                return r;
        snprintf(cursor, sizeof(cursor), "%s", strcmp(from, "oldest") == 0 ? "" : from);
        request->wait = once ? request->wait : WAIT_S;
        request->max_events = request->max_events ? request->max_events : 1000;
        while (r == 0 && (!once || some) && !ferror(stdout))
                r = fetch(cli, request, cursor, &some);
        return r;
}

const struct command commands_stream[] = {
        {"stream lag", "", "how the log stands, and how far each subscriber has come", NULL, {0}, NULL, run_lag},
        {"stream tail", "[CURSOR]", "events as they come, after CURSOR, or from \"oldest\"; --set agency=, types=, wait=0", NULL, {0}, NULL, run_tail},
        {0},
};
