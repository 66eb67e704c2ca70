/* SPDX-License-Identifier: Apache-2.0
 *
 * Path variables and query parameters: one value at a time, as text.
 */
#include "common/json/transcode.h"

#include "common/contract/field.h"
#include "scalar.h"

static int wrong(struct arena *arena, struct violations *v, struct str path, struct expectation e)
{
        violation_add(v, arena_printf(arena, "/%.*s", (int)path.n, path.p), e.rule, e.en, e.zh);
        return TRANSCODE_E_VIOLATIONS;
}

static int append(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                  void *message, const void *value)
{
        size_t n = *field_count(message, pb), size = field_size(pb);
        if (f->max_items && n >= f->max_items)
                return -E2BIG;
        char *items = arena_alloc(arena, (n + 1) * size);
        if (n)
                memcpy(items, *(char **)field_value(message, pb), n * size);
        memcpy(items + n * size, value, size);
        *(void **)field_value(message, pb) = items;
        *field_count(message, pb) = n + 1;
        return 0;
}

/* May a value be set that has one already? Only to the same text or number. */
static bool agrees(const ProtobufCFieldDescriptor *pb, const void *old, const void *new)
{
        if (field_is_default(pb, old))
                return true;
        if (pb->type == PROTOBUF_C_TYPE_STRING)
                return strcmp(*(char *const *)old, *(char *const *)new) == 0;
        return pb->type != PROTOBUF_C_TYPE_MESSAGE && pb->type != PROTOBUF_C_TYPE_BYTES &&
               memcmp(old, new, field_size(pb)) == 0;
}

static int leaf_set(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                    void *message, struct str path, struct str text, struct violations *v)
{
        union {
                void *pointer;
                ProtobufCBinaryData bytes;
                uint64_t wide;
        } value = {0};
        int64_t number;
        int r = scalar_from_text(arena, f, pb, text, &value);
        if (r && pb->type == PROTOBUF_C_TYPE_ENUM && str_to_i64(text, INT32_MIN, INT32_MAX, &number) == 0)
                r = scalar_from_integer(pb, number, &value);
        if (r)
                return wrong(arena, v, path, scalar_expected(arena, f, pb));
        if (field_repeated(pb)) {
                if (append(arena, f, pb, message, &value))
                        return wrong(arena, v, path, (struct expectation){"maxItems", "has too many items", "项数过多"});
                return 0;
        }
        if (field_in_oneof(pb) && *field_case(message, pb) != 0 && !field_chosen(message, pb))
                return wrong(arena, v, path, (struct expectation){"oneof", "must not be given together with another of its group",
                                                                  "同组字段只能填写一个"});
        if (!agrees(pb, field_value(message, pb), &value))
                return wrong(arena, v, path, (struct expectation){"duplicateKey", "is given twice, with different values",
                                                                  "重复给出且取值不同"});
        memcpy(field_value(message, pb), &value, field_size(pb));
        if (field_in_oneof(pb))
                *field_case(message, pb) = pb->id;
        return 0;
}

int transcode_set_text(struct arena *arena, const struct contract_message *type, void *message, struct str path,
                       struct str value, struct violations *violations)
{
        struct str rest = path;
        for (unsigned depth = 0; depth < MESSAGE_MAX_DEPTH; depth++) {
                const struct contract_field *f = message_field(type, str_cut(&rest, '.'));
                if (!f || f->internal || f->is_map)
                        break;
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[f - type->fields];
                if (rest.n == 0)
                        return leaf_set(arena, f, pb, message, path, value, violations);
                if (pb->type != PROTOBUF_C_TYPE_MESSAGE || field_repeated(pb) || f->message->wkt != CONTRACT_WKT_NONE ||
                    (field_in_oneof(pb) && !field_chosen(message, pb) && *field_case(message, pb) != 0))
                        break;
                void **inner = field_value(message, pb);
                if (!field_chosen(message, pb) || !*inner)
                        *inner = message_new(arena, f->message);
                if (field_in_oneof(pb))
                        *field_case(message, pb) = pb->id;
                message = *inner;
                type = f->message;
        }
        return wrong(arena, violations, path, (struct expectation){"unknownField", "no such parameter", "没有此参数"});
}
