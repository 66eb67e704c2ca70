/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over brackets, commas and strings, with a stack of fixed depth.
 */
#include "text.h"

#include "common/contract/pointer.h"

#include <jansson.h>

struct walk {
        struct str json;
        size_t end, at;
        unsigned depth;
        size_t values;
        struct level {
                bool object, key_next;
                struct str key; /* as written, between its quotes */
                size_t index;
        } levels[TEXT_MAX_DEPTH];
};

/* From the opening quote to behind the closing one; the text between is returned. */
static struct str walk_string(struct walk *w)
{
        size_t from = ++w->at;
        while (w->at < w->end && w->json.p[w->at] != '"')
                w->at += w->json.p[w->at] == '\\' ? 2 : 1;
        if (w->at > w->end)
                w->at = w->end;
        struct str s = {w->json.p + from, w->at - from};
        w->at++;
        return s;
}

static int walk_step(struct walk *w)
{
        struct level *top = w->depth ? &w->levels[w->depth - 1] : NULL;
        char c = w->json.p[w->at];
        switch (c) {
        case '{':
        case '[':
                if (w->depth == TEXT_MAX_DEPTH)
                        return -E2BIG;
                w->levels[w->depth++] = (struct level){.object = c == '{', .key_next = c == '{'};
                w->values++;
                break;
        case '}':
        case ']':
                w->depth -= w->depth > 0;
                break;
        case ',':
                if (top && top->object)
                        top->key_next = true;
                else if (top)
                        top->index++;
                w->values++;
                break;
        case '"': {
                struct str s = walk_string(w);
                if (top && top->key_next) {
                        top->key = s;
                        top->key_next = false;
                }
                return 0;
        }
        default:
                break;
        }
        w->at++;
        return 0;
}

/* A key with its escapes resolved. */
static struct str key_text(struct arena *arena, struct str raw)
{
        if (!raw.p)
                return STR("");
        json_t *value = json_loadb(raw.p - 1, raw.n + 2, JSON_DECODE_ANY, NULL);
        struct str s = value ? arena_str(arena, str_bytes(json_string_value(value), json_string_length(value))) : raw;
        json_decref(value);
        return s;
}

int text_walk(struct arena *arena, struct str json, size_t end, const char **ret_pointer)
{
        struct walk w = {.json = json, .end = end < json.n ? end : json.n};
        while (w.at < w.end) {
                int r = walk_step(&w);
                if (r)
                        return r;
                if (w.values > TEXT_MAX_VALUES)
                        return -E2BIG;
        }
        if (!ret_pointer)
                return 0;
        struct pointer steps[TEXT_MAX_DEPTH];
        for (unsigned i = 0; i < w.depth; i++) {
                steps[i] = (struct pointer){.up = i ? &steps[i - 1] : NULL, .index = w.levels[i].index};
                if (w.levels[i].object)
                        steps[i].key = key_text(arena, w.levels[i].key);
        }
        *ret_pointer = pointer_text(arena, w.depth ? &steps[w.depth - 1] : NULL);
        return 0;
}
