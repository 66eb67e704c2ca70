/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to JSON, straight into a buffer.
 */
#include "common/json/transcode.h"

#include "common/base/word.h"
#include "common/contract/field.h"
#include "scalar.h"

/* Nothing to escape in these eight bytes? */
static bool is_plain(uint64_t word)
{
        return !word_has_below(word, 0x20) && !word_has(word, '"') && !word_has(word, '\\') && !word_has(word, 0x7f);
}

void transcode_json_string(struct buf *out, struct str s)
{
        static const char hex[] = "0123456789abcdef";
        size_t from = 0;
        buf_reserve(out, s.n + 2);
        buf_add_char(out, '"');
        for (size_t i = 0; i < s.n; i++) {
                while (s.n - i >= 8 && is_plain(word_load(s.p + i)))
                        i += 8;
                if (i == s.n)
                        break;
                unsigned char c = (unsigned char)s.p[i];
                if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
                        continue;
                buf_add(out, s.p + from, i - from);
                from = i + 1;
                if (c == '"' || c == '\\') {
                        char two[] = {'\\', (char)c};
                        buf_add(out, two, 2);
                } else if (c == '\n') {
                        buf_add_z(out, "\\n");
                } else {
                        char six[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                        buf_add(out, six, 6);
                }
        }
        buf_add(out, s.p + from, s.n - from);
        buf_add_char(out, '"');
}

static void enum_write(struct buf *out, const ProtobufCFieldDescriptor *pb, int32_t value)
{
        const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(pb->descriptor, value);
        if (!known) {
                buf_add_i64(out, value);
                return;
        }
        buf_add_char(out, '"');
        buf_add_z(out, known->name);
        buf_add_char(out, '"');
}

static void value_write(struct buf *out, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                        const void *value)
{
        uint64_t wide = 0;
        if (field_size(pb) == 8)
                memcpy(&wide, value, sizeof(wide));
        switch (pb->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                buf_add_i64(out, *(const int32_t *)value);
                break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                buf_add_u64(out, *(const uint32_t *)value);
                break;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                buf_add_char(out, '"');
                if (pb->type == PROTOBUF_C_TYPE_UINT64 || pb->type == PROTOBUF_C_TYPE_FIXED64)
                        buf_add_u64(out, wide);
                else
                        buf_add_i64(out, (int64_t)wide);
                buf_add_char(out, '"');
                break;
        case PROTOBUF_C_TYPE_FLOAT:
                double_to_json(out, (double)*(const float *)value, true);
                break;
        case PROTOBUF_C_TYPE_DOUBLE:
                double_to_json(out, *(const double *)value, false);
                break;
        case PROTOBUF_C_TYPE_BOOL:
                buf_add_z(out, *(const protobuf_c_boolean *)value ? "true" : "false");
                break;
        case PROTOBUF_C_TYPE_ENUM:
                enum_write(out, pb, *(const int32_t *)value);
                break;
        case PROTOBUF_C_TYPE_STRING:
                transcode_json_string(out, str_of(*(char *const *)value));
                break;
        case PROTOBUF_C_TYPE_BYTES: {
                const ProtobufCBinaryData *bytes = value;
                if (f->raw_json) {
                        buf_add_str(out, bytes->len ? str_bytes(bytes->data, bytes->len) : STR("null"));
                        break;
                }
                buf_add_char(out, '"');
                base64_encode(out, bytes->data, bytes->len);
                buf_add_char(out, '"');
                break;
        }
        case PROTOBUF_C_TYPE_MESSAGE:
                transcode_to_json(out, f->message, *(void *const *)value);
                break;
        }
}

/* A map's key is a string whatever its type. */
static void key_write(struct buf *out, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                      const void *key)
{
        bool quoted = pb->type == PROTOBUF_C_TYPE_STRING || field_size(pb) == 8;
        if (!quoted)
                buf_add_char(out, '"');
        value_write(out, f, pb, key);
        if (!quoted)
                buf_add_char(out, '"');
}

static void map_write(struct buf *out, const struct contract_message *entry, void **entries, size_t n)
{
        const ProtobufCFieldDescriptor *key = &entry->pb->fields[0], *value = &entry->pb->fields[1];
        buf_add_char(out, '{');
        for (size_t i = 0; i < n; i++) {
                if (i)
                        buf_add_char(out, ',');
                key_write(out, &entry->fields[0], key, field_value(entries[i], key));
                buf_add_char(out, ':');
                const void *v = field_value(entries[i], value);
                if (value->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)v)
                        buf_add_z(out, "{}"); /* an empty message need not be on the wire */
                else
                        value_write(out, &entry->fields[1], value, v);
        }
        buf_add_char(out, '}');
}

static void list_write(struct buf *out, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                       const char *items, size_t n)
{
        size_t size = field_size(pb);
        buf_add_char(out, '[');
        for (size_t i = 0; i < n; i++) {
                if (i)
                        buf_add_char(out, ',');
                value_write(out, f, pb, items + i * size);
        }
        buf_add_char(out, ']');
}

/* An answer has the same shape whatever its values: only what was not chosen, or is a message that is not there, is
 * left out. */
static bool field_written(const struct contract_field *f, const ProtobufCFieldDescriptor *pb, const void *message)
{
        if (f->internal || !field_chosen(message, pb))
                return false;
        return field_repeated(pb) || pb->type != PROTOBUF_C_TYPE_MESSAGE || *(void *const *)field_value(message, pb);
}

static void field_write(struct buf *out, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                        const void *message)
{
        const void *value = field_value(message, pb);
        if (f->is_map)
                map_write(out, f->message, *(void ***)(uintptr_t)value, *field_count(message, pb));
        else if (field_repeated(pb))
                list_write(out, f, pb, *(char *const *)value, *field_count(message, pb));
        else
                value_write(out, f, pb, value);
}

bool transcode_field_to_json(struct buf *out, const struct contract_message *type, unsigned field, const void *message)
{
        const ProtobufCFieldDescriptor *pb = &type->pb->fields[field];
        bool written = field_written(&type->fields[field], pb, message);
        if (written)
                field_write(out, &type->fields[field], pb, message);
        return written;
}

void transcode_to_json(struct buf *out, const struct contract_message *type, const void *message)
{
        if (type->wkt != CONTRACT_WKT_NONE) {
                wkt_to_json(out, type->wkt, message);
                return;
        }
        char before = '{';
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *f = &type->fields[i];
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[i];
                if (!field_written(f, pb, message))
                        continue;
                buf_add_char(out, before);
                before = ',';
                buf_add_str(out, f->json_key);
                field_write(out, f, pb, message);
        }
        buf_add_z(out, before == '{' ? "{}" : "}");
}
