/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract's field rules, asked of a whole message. A value that is not given (proto3's default) meets only
 * `required`; every other rule is about what was given.
 */
#include "common/contract/message.h"

#include "common/base/id.h"
#include "common/contract/field.h"
#include "common/contract/pointer.h"

#include "google/protobuf/field_mask.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

/* --- patterns: constants of the process, made once -------------------------------------------------------- */

static pthread_once_t patterns_once = PTHREAD_ONCE_INIT;
static regex_t *patterns; /* by pattern_id */

static void patterns_compile(void)
{
        patterns = mem_zalloc(sizeof(*patterns) * (contract_n_patterns + 1));
        for (unsigned m = 0; m < contract_n_messages; m++)
                for (unsigned i = 0; i < contract_messages[m]->n_fields; i++) {
                        const struct contract_field *f = &contract_messages[m]->fields[i];
                        if (f->pattern && regcomp(&patterns[f->pattern_id], f->pattern, REG_EXTENDED | REG_NOSUB))
                                abort(); /* the contract compiler compiled it, too */
                }
}

void contract_init(void)
{
        pthread_once(&patterns_once, patterns_compile);
}

static bool pattern_matches(const struct contract_field *f, const char *text)
{
        contract_init();
        return regexec(&patterns[f->pattern_id], text, 0, NULL, 0) == 0;
}

/* --- saying what is wrong --------------------------------------------------------------------------------- */

/* The paths of a partial update, and where in them the walk is. */
struct mask {
        char **paths;
        size_t n;
        const char *at; /* "" or "address." */
};

struct check {
        struct arena *arena;
        struct violations *violations;
};

void violation_add(struct violations *v, const char *pointer, const char *rule, const char *detail,
                   const char *detail_zh)
{
        if (v->n < ARRAY_LEN(v->items))
                v->items[v->n++] = (struct violation){pointer, rule, detail, detail_zh};
}

static void say(struct check *c, const struct pointer *at, const char *rule, const char *en, const char *zh)
{
        if (c->violations->n < ARRAY_LEN(c->violations->items))
                violation_add(c->violations, pointer_text(c->arena, at), rule, en, zh);
}

static void say_number(struct check *c, const struct pointer *at, const char *rule, const char *en, const char *zh,
                       uint32_t n)
{
        if (c->violations->n < ARRAY_LEN(c->violations->items))
                say(c, at, rule, arena_printf(c->arena, en, n), arena_printf(c->arena, zh, n));
}

/* --- values ----------------------------------------------------------------------------------------------- */

static void check_length(struct check *c, const struct contract_field *f, size_t n, bool text,
                         const struct pointer *at)
{
        if (f->min_length && n < f->min_length)
                say_number(c, at, "minLength", text ? "must have at least %u characters" : "must have at least %u bytes",
                           text ? "至少 %u 个字符" : "至少 %u 个字节", f->min_length);
        if (f->max_length && n > f->max_length)
                say_number(c, at, "maxLength", text ? "must have at most %u characters" : "must have at most %u bytes",
                           text ? "最多 %u 个字符" : "最多 %u 个字节", f->max_length);
}

static bool is_listed(const struct contract_field *f, const char *text)
{
        for (const char *const *v = f->in; *v; v++)
                if (strcmp(*v, text) == 0)
                        return true;
        return false;
}

static void say_listed(struct check *c, const struct contract_field *f, const struct pointer *at)
{
        struct buf values = {0};
        for (const char *const *v = f->in; *v; v++)
                buf_printf(&values, "%s%s", values.n ? ", " : "", *v);
        say(c, at, "in", arena_printf(c->arena, "must be one of %s", buf_z(&values)),
            arena_printf(c->arena, "应为以下之一：%s", buf_z(&values)));
        buf_done(&values);
}

/* The pattern as the contract has it: without the anchors, and without the ()? of a text that may be empty. */
static void say_form(struct check *c, const struct contract_field *f, const struct pointer *at)
{
        struct str form = str_of(f->pattern);
        form = (struct str){form.p + 2, form.n - 4}; /* ^( … )$ */
        if (form.n > 3 && form.p[0] == '(' && memcmp(form.p + form.n - 2, ")?", 2) == 0)
                form = (struct str){form.p + 1, form.n - 3};
        say(c, at, "pattern", arena_printf(c->arena, "must have the form %.*s", (int)form.n, form.p),
            arena_printf(c->arena, "格式应为 %.*s", (int)form.n, form.p));
}

static void check_text(struct check *c, const struct contract_field *f, const char *text, const struct pointer *at)
{
        struct str s = str_of(text);
        if (f->min_length || f->max_length)
                check_length(c, f, str_code_points(s), true, at);
        if (f->uuid && !id_is_uuid(s))
                say(c, at, "uuid", "must be a UUID in lower case", "应为小写 UUID");
        if (f->in && !is_listed(f, text))
                say_listed(c, f, at);
        /* What is too long was refused above, and costs no matching. */
        if (f->pattern && (!f->max_length || s.n <= 4 * (size_t)f->max_length) && !pattern_matches(f, text))
                say_form(c, f, at);
}

static bool range_holds(const struct contract_field *f, const ProtobufCFieldDescriptor *pb, const void *value)
{
        uint64_t u;
        int64_t i;
        switch (pb->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                i = *(const int32_t *)value;
                break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                i = *(const uint32_t *)value;
                break;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                memcpy(&u, value, sizeof(u));
                if (u > INT64_MAX)
                        return false;
                i = (int64_t)u;
                break;
        default:
                memcpy(&i, value, sizeof(i));
        }
        return i >= f->range_min && i <= f->range_max;
}

static void check_message(struct check *c, const struct contract_message *type, void *message,
                          const struct pointer *at, const struct mask *mask);

/* One value that was given. */
static void check_value(struct check *c, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                        const void *value, const struct pointer *at, const struct mask *mask)
{
        if (pb->type == PROTOBUF_C_TYPE_STRING)
                check_text(c, f, *(char *const *)value, at);
        else if (pb->type == PROTOBUF_C_TYPE_BYTES)
                check_length(c, f, ((const ProtobufCBinaryData *)value)->len, false, at);
        else if (pb->type == PROTOBUF_C_TYPE_MESSAGE)
                check_message(c, f->message, *(void *const *)value, at, mask);
        else if (f->has_range && !range_holds(f, pb, value))
                say(c, at, "range", arena_printf(c->arena, "must be from %" PRId64 " to %" PRId64, f->range_min, f->range_max),
                    arena_printf(c->arena, "应在 %" PRId64 " 到 %" PRId64 " 之间", f->range_min, f->range_max));
}

/* --- repeated fields and maps ------------------------------------------------------------------------------- */

static int compare_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_bytes(const void *a, const void *b)
{
        const ProtobufCBinaryData *x = a, *y = b;
        size_t n = x->len < y->len ? x->len : y->len;
        int r = n ? memcmp(x->data, y->data, n) : 0;
        return r ? r : (x->len > y->len) - (x->len < y->len);
}

static int compare_4(const void *a, const void *b)
{
        return memcmp(a, b, 4);
}

static int compare_8(const void *a, const void *b)
{
        return memcmp(a, b, 8);
}

static bool items_unique(struct check *c, const ProtobufCFieldDescriptor *pb, const char *items, size_t n)
{
        size_t size = field_size(pb);
        int (*compare)(const void *, const void *) = pb->type == PROTOBUF_C_TYPE_STRING ? compare_text
                                                     : pb->type == PROTOBUF_C_TYPE_BYTES ? compare_bytes
                                                     : size == 8                         ? compare_8
                                                                                         : compare_4;
        char *sorted = arena_alloc(c->arena, n * size);
        memcpy(sorted, items, n * size);
        qsort(sorted, n, size, compare);
        for (size_t i = 1; i < n; i++)
                if (compare(sorted + (i - 1) * size, sorted + i * size) == 0)
                        return false;
        return true;
}

/* A map's key as JSON has it. */
static struct str key_text(struct arena *arena, const ProtobufCFieldDescriptor *pb, const void *key)
{
        int64_t wide = 0;
        if (field_is_text(pb))
                return str_of(*(char *const *)key);
        if (pb->type == PROTOBUF_C_TYPE_BOOL)
                return *(const protobuf_c_boolean *)key ? STR("true") : STR("false");
        if (field_size(pb) == 4)
                return str_of(arena_printf(arena, "%" PRId32, *(const int32_t *)key));
        memcpy(&wide, key, sizeof(wide));
        return str_of(arena_printf(arena, "%" PRId64, wide));
}

/* A map's key and value meet the rules of the map's own field where they are text. */
static void check_entry(struct check *c, const struct contract_field *f, void *entry, const struct pointer *up)
{
        const struct contract_message *type = f->message;
        const ProtobufCFieldDescriptor *key = &type->pb->fields[0], *value = &type->pb->fields[1];
        const void *k = field_value(entry, key), *v = field_value(entry, value);
        struct pointer at = {.up = up, .key = key_text(c->arena, key, k)};
        if (field_is_text(key) && f->max_length)
                check_length(c, f, str_code_points(at.key), true, &at);
        if (value->type == PROTOBUF_C_TYPE_MESSAGE) {
                if (*(void *const *)v)
                        check_message(c, type->fields[1].message, *(void *const *)v, &at, NULL);
        } else if (!field_is_default(value, v)) {
                check_value(c, f, value, v, &at, NULL);
        }
}

static void check_items(struct check *c, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                        void *message, const struct pointer *at)
{
        size_t n = *field_count(message, pb), size = field_size(pb);
        char *items = *(char **)field_value(message, pb);
        if (f->max_items && n > f->max_items) {
                say_number(c, at, "maxItems", "must have at most %u items", "最多 %u 项", f->max_items);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                struct pointer item = {.up = at, .index = i};
                if (f->is_map)
                        check_entry(c, f, *(void **)(items + i * size), at);
                else
                        check_value(c, f, pb, items + i * size, &item, NULL);
        }
        if (f->unique && n > 1 && !items_unique(c, pb, items, n))
                say(c, at, "unique", "must not have equal items", "各项不得重复");
}

/* --- messages ---------------------------------------------------------------------------------------------- */

/* Is the field part of the update: masked itself, below a masked one, or (for a message) above one? */
static bool mask_covers(const struct mask *mask, const char *name)
{
        char path[256];
        int n = snprintf(path, sizeof(path), "%s%s", mask->at, name);
        if (n < 0 || (size_t)n >= sizeof(path))
                return true;
        for (size_t i = 0; i < mask->n; i++) {
                size_t length = strlen(mask->paths[i]), shared = length < (size_t)n ? length : (size_t)n;
                if (strncmp(mask->paths[i], path, shared) != 0)
                        continue;
                char next = length < (size_t)n ? path[shared] : mask->paths[i][shared];
                if (next == 0 || next == '.')
                        return true;
        }
        return false;
}

static void check_field(struct check *c, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                        void *message, const struct pointer *up, const struct mask *mask)
{
        struct pointer at = {.up = up, .key = str_of(f->json_name)};
        void *value = field_value(message, pb);
        bool given = field_repeated(pb) ? *field_count(message, pb) > 0
                                        : field_chosen(message, pb) && !field_is_default(pb, value);
        if (!given) {
                if (f->required && (!mask || !up || mask_covers(mask, f->name)))
                        say(c, &at, "required", "is required", "必填");
                return;
        }
        if (field_repeated(pb)) {
                check_items(c, f, pb, message, &at);
                return;
        }
        struct mask below = mask ? *mask : (struct mask){0};
        if (mask && f->message && up) /* the masked message itself is the paths' root */
                below.at = arena_printf(c->arena, "%s%s.", mask->at, f->name);
        check_value(c, f, pb, value, &at, mask ? &below : NULL);
}

static bool path_exists(const struct contract_message *type, struct str path)
{
        while (type && path.n) {
                const struct contract_field *f = message_field(type, str_cut(&path, '.'));
                if (!f)
                        return false;
                if (path.n == 0)
                        return true;
                type = f->is_map ? NULL : f->message;
        }
        return false;
}

/* The update mask of a request: {0} if it has none. Its paths start below the request's first plain message. */
static struct mask mask_of(struct check *c, const struct contract_message *type, const void *message)
{
        const Google__Protobuf__FieldMask *given = NULL;
        const struct contract_message *resource = NULL;
        struct pointer at = {0};
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *f = &type->fields[i];
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[i];
                if (!f->message || field_repeated(pb) || !field_chosen(message, pb))
                        continue;
                if (f->message->wkt == CONTRACT_WKT_FIELD_MASK) {
                        given = *(void **)field_value(message, pb);
                        at.key = str_of(f->json_name);
                } else if (f->message->wkt == CONTRACT_WKT_NONE && !resource) {
                        resource = f->message;
                }
        }
        if (!given || given->n_paths == 0 || !resource)
                return (struct mask){0};
        for (size_t i = 0; i < given->n_paths; i++)
                if (!path_exists(resource, str_of(given->paths[i])))
                        say(c, &at, "unknownField", arena_printf(c->arena, "names no field: %s", given->paths[i]),
                            arena_printf(c->arena, "没有字段 %s", given->paths[i]));
        return (struct mask){given->paths, given->n_paths, ""};
}

static void check_message(struct check *c, const struct contract_message *type, void *message,
                          const struct pointer *at, const struct mask *mask)
{
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *f = &type->fields[i];
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[i];
                if (f->output_only)
                        field_clear(message, pb);
                else
                        check_field(c, f, pb, message, at, mask);
        }
}

void message_validate(struct arena *arena, const struct contract_message *type, void *message,
                      struct violations *violations)
{
        struct check c = {arena, violations};
        struct mask mask = mask_of(&c, type, message);
        check_message(&c, type, message, NULL, mask.n ? &mask : NULL);
}
