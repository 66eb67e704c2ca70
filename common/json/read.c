/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON to messages: jansson parses, the tables of the contract say what may be there.
 */
#include "common/json/transcode.h"

#include "common/contract/field.h"
#include "common/contract/pointer.h"
#include "scalar.h"
#include "text.h"

#include <jansson.h>
#include <math.h>

struct reader {
        struct arena *arena;
        struct violations *violations;
        size_t wrong;
};

static void say(struct reader *r, const struct pointer *at, struct expectation e)
{
        r->wrong++;
        if (r->violations->n < ARRAY_LEN(r->violations->items))
                violation_add(r->violations, pointer_text(r->arena, at), e.rule, e.en, e.zh);
}

static void read_object(struct reader *r, const struct contract_message *type, json_t *json, void *message,
                        const struct pointer *at);

/* --- values -------------------------------------------------------------------------------------------------- */

static int number_from_real(const ProtobufCFieldDescriptor *pb, double value, void *dst)
{
        if (pb->type == PROTOBUF_C_TYPE_DOUBLE) {
                memcpy(dst, &value, sizeof(value));
                return 0;
        }
        if (pb->type == PROTOBUF_C_TYPE_FLOAT) {
                float narrow = (float)value;
                memcpy(dst, &narrow, sizeof(narrow));
                return isinf(narrow) ? -EINVAL : 0;
        }
        /* 1.0 and 1e3 are whole numbers; beyond 2^53 a real has lost digits already. */
        if (value != trunc(value) || fabs(value) > 9007199254740992.0 || pb->type == PROTOBUF_C_TYPE_ENUM)
                return -EINVAL;
        return scalar_from_integer(pb, (int64_t)value, dst);
}

static int scalar_read(struct reader *r, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                       json_t *json, void *dst)
{
        switch (json_typeof(json)) {
        case JSON_STRING:
                if (pb->type == PROTOBUF_C_TYPE_BOOL)
                        return -EINVAL;
                return scalar_from_text(r->arena, f, pb, str_bytes(json_string_value(json), json_string_length(json)),
                                        dst);
        case JSON_INTEGER:
                return scalar_from_integer(pb, json_integer_value(json), dst);
        case JSON_REAL:
                return number_from_real(pb, json_real_value(json), dst);
        case JSON_TRUE:
        case JSON_FALSE: {
                protobuf_c_boolean value = json_is_true(json);
                if (pb->type == PROTOBUF_C_TYPE_BOOL)
                        memcpy(dst, &value, sizeof(value));
                return pb->type == PROTOBUF_C_TYPE_BOOL ? 0 : -EINVAL;
        }
        default:
                return -EINVAL;
        }
}

/* A value that is not null, into dst. */
static void value_read(struct reader *r, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                       json_t *json, void *dst, const struct pointer *at)
{
        bool is_object = pb->type == PROTOBUF_C_TYPE_MESSAGE &&
                         (f->message->wkt == CONTRACT_WKT_NONE || f->message->wkt == CONTRACT_WKT_EMPTY);
        if (is_object && json_is_object(json)) {
                void *message = message_new(r->arena, f->message);
                memcpy(dst, &message, sizeof(message));
                read_object(r, f->message, json, message, at);
        } else if (is_object || scalar_read(r, f, pb, json, dst) != 0) {
                struct expectation e = scalar_expected(r->arena, f, pb);
                if (pb->type == PROTOBUF_C_TYPE_STRING && json_is_string(json))
                        e = (struct expectation){"utf8", "must have no NUL character (U+0000)", "不得包含空字符（U+0000）"};
                say(r, at, e);
        }
}

static void list_read(struct reader *r, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                      json_t *json, void *message, const struct pointer *at)
{
        if (!json_is_array(json)) {
                say(r, at, (struct expectation){"type", "must be a list", "应为数组"});
                return;
        }
        size_t n = json_array_size(json), size = field_size(pb);
        char *items = arena_zalloc(r->arena, n * size + 1);
        size_t before = r->wrong;
        for (size_t i = 0; i < n; i++) {
                struct pointer item = {.up = at, .index = i};
                json_t *value = json_array_get(json, i);
                if (json_is_null(value))
                        say(r, &item, (struct expectation){"null", "must not be null in a list", "数组中不得有 null"});
                else
                        value_read(r, f, pb, value, items + i * size, &item);
        }
        if (r->wrong > before)
                return; /* what could not be read has no value */
        *(void **)field_value(message, pb) = items;
        *field_count(message, pb) = n;
}

static bool entry_read(struct reader *r, const struct contract_field *f, struct str key, json_t *value, void *entry,
                       const struct pointer *at)
{
        const ProtobufCFieldDescriptor *pb = f->message->pb->fields;
        size_t before = r->wrong;
        if (scalar_from_text(r->arena, &f->message->fields[0], &pb[0], key, field_value(entry, &pb[0])))
                say(r, at, scalar_expected(r->arena, &f->message->fields[0], &pb[0]));
        else if (json_is_null(value))
                say(r, at, (struct expectation){"null", "must not be null in a map", "映射中不得有 null"});
        else
                value_read(r, &f->message->fields[1], &pb[1], value, field_value(entry, &pb[1]), at);
        return r->wrong == before;
}

static void map_read(struct reader *r, const struct contract_field *f, const ProtobufCFieldDescriptor *pb, json_t *json,
                     void *message, const struct pointer *at)
{
        if (!json_is_object(json)) {
                say(r, at, (struct expectation){"type", "must be an object", "应为对象"});
                return;
        }
        void **entries = ARENA_ARRAY(r->arena, void *, json_object_size(json) + 1);
        size_t n = 0;
        bool good = true;
        for (void *i = json_object_iter(json); i; i = json_object_iter_next(json, i)) {
                struct str key = str_bytes(json_object_iter_key(i), json_object_iter_key_len(i));
                struct pointer entry = {.up = at, .key = key};
                entries[n] = message_new(r->arena, f->message);
                good &= entry_read(r, f, key, json_object_iter_value(i), entries[n++], &entry);
        }
        if (!good)
                return;
        *(void ***)field_value(message, pb) = entries;
        *field_count(message, pb) = n;
}

/* --- objects -------------------------------------------------------------------------------------------------- */

static void field_read(struct reader *r, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                       json_t *json, void *message, const struct pointer *at)
{
        if (json_is_null(json))
                return; /* the default */
        if (f->is_map) {
                map_read(r, f, pb, json, message, at);
        } else if (field_repeated(pb)) {
                list_read(r, f, pb, json, message, at);
        } else if (field_in_oneof(pb) && *field_case(message, pb) != 0) {
                say(r, at, (struct expectation){"oneof", "must not be given together with another of its group", "同组字段只能填写一个"});
        } else {
                if (field_in_oneof(pb))
                        *field_case(message, pb) = pb->id;
                value_read(r, f, pb, json, field_value(message, pb), at);
        }
}

static void read_object(struct reader *r, const struct contract_message *type, json_t *json, void *message,
                        const struct pointer *at)
{
        bool *seen = NULL; /* by field: jansson finds equal keys, not both spellings of one */
        for (void *i = json_object_iter(json); i; i = json_object_iter_next(json, i)) {
                struct str key = str_bytes(json_object_iter_key(i), json_object_iter_key_len(i));
                struct pointer here = {.up = at, .key = key};
                const struct contract_field *f = message_field(type, key);
                if (!f || f->internal) {
                        say(r, &here, (struct expectation){"unknownField", "no such field", "没有此字段"});
                        continue;
                }
                if (!seen)
                        seen = ARENA_ARRAY(r->arena, bool, type->n_fields);
                if (seen[f - type->fields])
                        say(r, &here, (struct expectation){"duplicateKey", "is given twice", "重复的字段"});
                else
                        field_read(r, f, &type->pb->fields[f - type->fields], json_object_iter_value(i), message, &here);
                seen[f - type->fields] = true;
        }
}

/* --- whole texts ------------------------------------------------------------------------------------------------ */

static int syntax(struct reader *r, const char *pointer, const char *en, const char *zh)
{
        violation_add(r->violations, pointer, "syntax", en, zh);
        return TRANSCODE_E_SYNTAX;
}

/* Why jansson refused the text. */
static int refused(struct reader *r, struct str json, const json_error_t *error)
{
        const char *pointer = "";
        size_t at = error->position > 0 ? (size_t)error->position : 0;
        if (text_walk(r->arena, json, at, &pointer) || !str_is_utf8(str_of(pointer)))
                pointer = "";
        /* jansson goes on with what stands there: maybe cut, maybe no UTF-8, and not ours to repeat. */
        const char *near = strstr(error->text, " near ");
        int n = near ? (int)(near - error->text) : (int)strlen(error->text);
        switch (json_error_code(error)) {
        case json_error_duplicate_key:
                violation_add(r->violations, pointer, "duplicateKey", "is given twice", "重复的字段");
                return TRANSCODE_E_VIOLATIONS;
        case json_error_numeric_overflow:
                violation_add(r->violations, pointer, "range", "the number is too large", "数值过大");
                return TRANSCODE_E_VIOLATIONS;
        default:
                return syntax(r, pointer, arena_printf(r->arena, "line %d, column %d: %.*s", error->line, error->column, n,
                                                       error->text),
                              arena_printf(r->arena, "第 %d 行第 %d 列不是有效的 JSON", error->line, error->column));
        }
}

int transcode_from_json(struct arena *arena, const struct contract_message *type, struct str json,
                        struct violations *violations, ProtobufCMessage **ret_message)
{
        struct reader r = {arena, violations, 0};
        json_error_t error;
        if (text_walk(arena, json, json.n, NULL))
                return syntax(&r, "", "nested deeper than 32, or too many values", "嵌套超过 32 层或内容过多");
        json_t *root = json_loadb(json.p ? json.p : "", json.n,
                                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        if (!root)
                return refused(&r, json, &error);
        void *message = message_new(arena, type);
        bool is_object = type->wkt == CONTRACT_WKT_NONE || type->wkt == CONTRACT_WKT_EMPTY;
        if (is_object && json_is_object(root))
                read_object(&r, type, root, message, NULL);
        else if (is_object || !json_is_string(root) ||
                 wkt_from_text(arena, type->wkt, str_bytes(json_string_value(root), json_string_length(root)), message))
                say(&r, NULL, (struct expectation){"type", is_object ? "must be an object" : "must be text of its form",
                                                     is_object ? "应为对象" : "格式不正确"});
        json_decref(root);
        *ret_message = message;
        return r.wrong ? TRANSCODE_E_VIOLATIONS : 0;
}

void transcode_given_fields(struct arena *arena, const struct contract_message *type, struct str json,
                            char ***ret_names, size_t *ret_n)
{
        json_t *root = json_loadb(json.p ? json.p : "", json.n, JSON_ALLOW_NUL, NULL);
        char **names = ARENA_ARRAY(arena, char *, type->n_fields + 1);
        size_t n = 0;
        for (unsigned i = 0; i < type->n_fields; i++)
                if (json_object_get(root, type->fields[i].json_name) || json_object_get(root, type->fields[i].name))
                        names[n++] = arena_strdup(arena, type->fields[i].name);
        json_decref(root);
        *ret_names = names;
        *ret_n = n;
}
