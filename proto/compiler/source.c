/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks places up in protoc's SourceCodeInfo. Linear searches: a contract has a few thousand of them.
 */
#include "source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef Google__Protobuf__SourceCodeInfo__Location Location;

static const Location *location_of(struct place place)
{
        const Google__Protobuf__SourceCodeInfo *info = place.file->source_code_info;
        for (size_t i = 0; info && i < info->n_location; i++) {
                const Location *l = info->location[i];
                if (l->n_path == place.n && memcmp(l->path, place.path, place.n * sizeof(place.path[0])) == 0)
                        return l;
        }
        return NULL;
}

int source_line(struct place place)
{
        const Location *l = location_of(place);
        return l && l->n_span > 0 ? l->span[0] + 1 : 1;
}

const char *source_comment(struct arena *arena, struct place place)
{
        const Location *l = location_of(place);
        const char *text = !l ? NULL : l->leading_comments ? l->leading_comments : l->trailing_comments;
        if (!text)
                return "";
        char *out = arena_alloc(arena, strlen(text) + 1);
        size_t n = 0;
        for (const char *p = text; *p; p++) {
                bool space = *p == '\n' || *p == ' ' || *p == '\r' || *p == '\t';
                if (!space)
                        out[n++] = *p;
                else if (n > 0 && out[n - 1] != ' ')
                        out[n++] = ' ';
        }
        while (n > 0 && out[n - 1] == ' ')
                n--;
        out[n] = 0;
        return out;
}

static void refusal_add(struct refusals *r, const char *file, int line, const char *text)
{
        if (r->n == r->cap) {
                size_t cap = r->cap ? 2 * r->cap : 64;
                struct refusal *items = ARENA_ARRAY(r->arena, struct refusal, cap);
                if (r->n)
                        memcpy(items, r->items, r->n * sizeof(*items));
                r->items = items;
                r->cap = cap;
        }
        r->items[r->n++] = (struct refusal){file, line, text};
}

static const char *text_of(struct arena *arena, const char *format, va_list args)
{
        char line[2048];
        vsnprintf(line, sizeof(line), format, args);
        return arena_strdup(arena, line);
}

void refuse(struct refusals *r, struct place place, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        const char *text = text_of(r->arena, format, args);
        va_end(args);
        refusal_add(r, arena_printf(r->arena, "proto/%s", place.file->name), source_line(place), text);
}

void refuse_line(struct refusals *r, const char *file, int line, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        const char *text = text_of(r->arena, format, args);
        va_end(args);
        refusal_add(r, file, line, text);
}

static int by_place(const void *a, const void *b)
{
        const struct refusal *x = a, *y = b;
        int c = strcmp(x->file, y->file);
        c = c ? c : (x->line > y->line) - (x->line < y->line);
        return c ? c : strcmp(x->text, y->text);
}

size_t refusals_print(struct refusals *r)
{
        if (r->n)
                qsort(r->items, r->n, sizeof(*r->items), by_place);
        for (size_t i = 0; i < r->n; i++)
                fprintf(stderr, "%s:%d: %s\n", r->items[i].file, r->items[i].line, r->items[i].text);
        return r->n;
}
