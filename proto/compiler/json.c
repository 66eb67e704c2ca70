/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON writer for the compiler's own documents (common/json is built from what the compiler makes).
 */
#include "json.h"

#include <assert.h>

static void line_break(struct json *j)
{
        buf_add_char(j->out, '\n');
        for (unsigned i = 0; j->indent && i < j->depth; i++)
                buf_add_z(j->out, "  ");
}

static void separate(struct json *j)
{
        if (j->after_key) {
                j->after_key = false;
                return;
        }
        if (j->more[j->depth])
                buf_add_char(j->out, ',');
        j->more[j->depth] = true;
        if (j->depth > 0 && j->depth <= j->lines)
                line_break(j);
}

static void quote(struct buf *out, const char *text)
{
        buf_add_char(out, '"');
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        buf_printf(out, "\\%c", *p);
                else if (*p < 0x20)
                        buf_printf(out, "\\u%04x", *p);
                else
                        buf_add_char(out, (char)*p);
        }
        buf_add_char(out, '"');
}

void json_open(struct json *j, char bracket)
{
        separate(j);
        buf_add_char(j->out, bracket);
        j->depth++;
        assert(j->depth < JSON_DEPTH_MAX); /* the contract is free of recursion, and flat */
        j->more[j->depth] = false;
}

void json_close(struct json *j, char bracket)
{
        j->depth--;
        if (j->indent && j->more[j->depth + 1])
                line_break(j);
        buf_add_char(j->out, bracket);
}

void json_key(struct json *j, const char *key)
{
        separate(j);
        quote(j->out, key);
        buf_add_z(j->out, j->indent ? ": " : ":");
        j->after_key = true;
}

void json_text(struct json *j, const char *text)
{
        separate(j);
        quote(j->out, text);
}

void json_integer(struct json *j, int64_t n)
{
        separate(j);
        buf_printf(j->out, "%lld", (long long)n);
}

void json_bool(struct json *j, bool b)
{
        separate(j);
        buf_add_z(j->out, b ? "true" : "false");
}

void json_member(struct json *j, const char *key, const char *text)
{
        json_key(j, key);
        json_text(j, text);
}

void json_member_integer(struct json *j, const char *key, int64_t n)
{
        json_key(j, key);
        json_integer(j, n);
}

void json_member_bool(struct json *j, const char *key, bool b)
{
        json_key(j, key);
        json_bool(j, b);
}

void json_open_member(struct json *j, const char *key, char bracket)
{
        json_key(j, key);
        json_open(j, bracket);
}
