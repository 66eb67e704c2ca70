/* SPDX-License-Identifier: Apache-2.0
 *
 * The array is not parsed, only cut: what stands in it was written by a service of ours, and goes out byte by byte.
 */
#include "services/gateway/event_text.h"

#define SEQUENCE_DIGITS 19

struct scan {
        const char *p, *end;
};

static void skip_blanks(struct scan *s)
{
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
                s->p++;
}

/* Is this the next character that is no blank? Then it is taken. */
static bool take(struct scan *s, char c)
{
        skip_blanks(s);
        if (s->p == s->end || *s->p != c)
                return false;
        s->p++;
        return true;
}

/* What stands between the quotes, undecoded; s is behind the first one. */
static int take_string(struct scan *s, struct str *ret_text)
{
        const char *start = s->p;
        while (s->p < s->end && *s->p != '"')
                s->p += *s->p == '\\' ? 2 : 1;
        if (s->p >= s->end)
                return -EBADMSG;
        *ret_text = (struct str){start, (size_t)(s->p++ - start)};
        return 0;
}

/* One object, and the text that it has as `sequence`. */
static int take_event(struct scan *s, struct str *ret_event, struct str *ret_sequence)
{
        const char *start = s->p;
        struct str text;
        bool wanted = false; /* what comes next is the sequence */
        size_t depth = 0;
        if (s->p == s->end || *s->p != '{')
                return -EBADMSG;
        while (s->p < s->end) {
                char c = *s->p++;
                if (c == '"') {
                        if (take_string(s, &text) < 0)
                                return -EBADMSG;
                        if (depth != 1)
                                continue;
                        if (take(s, ':')) {
                                wanted = str_is(text, "sequence");
                        } else if (wanted) {
                                *ret_sequence = text;
                                wanted = false;
                        }
                } else if (c == '{' || c == '[') {
                        depth++;
                } else if ((c == '}' || c == ']') && --depth == 0) {
                        *ret_event = (struct str){start, (size_t)(s->p - start)};
                        return 0;
                }
        }
        return -EBADMSG;
}

static bool is_number(struct str text)
{
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] < '0' || text.p[i] > '9')
                        return false;
        return text.n > 0 && text.n <= SEQUENCE_DIGITS;
}

/* Nothing in it that ends a line, or a header field that gives it back. */
static bool is_word(struct str text)
{
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] < 0x21 || text.p[i] > 0x7e)
                        return false;
        return text.n > 0;
}

static void add_data(struct buf *out, struct str event)
{
        size_t from;
        buf_add(out, "data: ", 6);
        from = out->n;
        buf_add_str(out, event);
        for (char *p = out->p + from; p < out->p + out->n; p++) /* a blank between its values; a line ends there */
                if (*p == '\n' || *p == '\r')
                        *p = ' ';
        buf_add(out, "\n\n", 2);
}

static void add_id(struct buf *out, struct str epoch, struct str text)
{
        buf_add(out, "id: ", 4);
        buf_add_str(out, epoch);
        while (epoch.n && text.n > 1 && text.p[0] == '0') /* as cursors are written everywhere */
                text = (struct str){text.p + 1, text.n - 1};
        buf_add_str(out, text);
        buf_add_char(out, '\n');
}

int event_text(struct buf *out, struct str events, struct str cursor)
{
        struct scan s = {events.p, events.p + events.n};
        const char *colon = cursor.n ? memchr(cursor.p, ':', cursor.n) : NULL;
        struct str epoch = {cursor.p, colon ? (size_t)(colon + 1 - cursor.p) : 0};
        if (!is_word(cursor) || !take(&s, '['))
                return -EBADMSG;
        bool last = take(&s, ']');
        while (!last) {
                struct str event, sequence = {NULL, 0};
                skip_blanks(&s);
                if (take_event(&s, &event, &sequence) < 0)
                        return -EBADMSG;
                last = take(&s, ']');
                if (!last && !take(&s, ','))
                        return -EBADMSG;
                if (last)
                        add_id(out, (struct str){NULL, 0}, cursor);
                else if (epoch.n && is_number(sequence))
                        add_id(out, epoch, sequence);
                add_data(out, event);
        }
        skip_blanks(&s);
        return s.p == s.end ? 0 : -EBADMSG;
}
