/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, enums and bytes.
 */
#include "scalar.h"

#include "common/contract/field.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- bytes ------------------------------------------------------------------------------------------------- */

void base64_encode(struct buf *out, const uint8_t *p, size_t n)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        buf_reserve(out, (n + 2) / 3 * 4);
        char *o = out->p + out->n;
        for (size_t i = 0; i < n; i += 3) {
                uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
                *o++ = digits[v >> 18];
                *o++ = digits[v >> 12 & 63];
                *o++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
                *o++ = i + 2 < n ? digits[v & 63] : '=';
        }
        out->n = (size_t)(o - out->p);
}

static int base64_digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

int base64_decode(struct arena *arena, struct str text, ProtobufCBinaryData *ret_bytes)
{
        if (text.n && text.n % 4 == 0 && text.p[text.n - 1] == '=') {
                text.n--;
                text.n -= text.p[text.n - 1] == '=';
        }
        if (text.n % 4 == 1)
                return -EINVAL;
        uint8_t *bytes = arena_alloc(arena, text.n / 4 * 3 + 3);
        size_t n = 0;
        uint32_t v = 0;
        for (size_t i = 0; i < text.n; i++) {
                int d = base64_digit(text.p[i]);
                if (d < 0)
                        return -EINVAL;
                v = v << 6 | (uint32_t)d;
                if (i % 4 > 0)
                        bytes[n++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
        }
        *ret_bytes = (ProtobufCBinaryData){.len = n, .data = bytes};
        return 0;
}

/* --- numbers ------------------------------------------------------------------------------------------------ */

static int integer_store(const ProtobufCFieldDescriptor *pb, bool negative, uint64_t magnitude, void *dst)
{
        uint64_t most = UINT64_MAX;
        bool is_signed = false;
        switch (pb->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_ENUM:
                most = INT32_MAX;
                is_signed = true;
                break;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                most = INT64_MAX;
                is_signed = true;
                break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                most = UINT32_MAX;
                break;
        default:
                break;
        }
        if (magnitude > most + (negative && is_signed) || (negative && !is_signed && magnitude))
                return -EINVAL;
        uint64_t value = negative ? 0 - magnitude : magnitude;
        uint32_t low = (uint32_t)value;
        memcpy(dst, field_size(pb) == 8 ? (void *)&value : (void *)&low, field_size(pb));
        return 0;
}

/* -?(0|[1-9][0-9]*) */
static int integer_from_text(const ProtobufCFieldDescriptor *pb, struct str text, void *dst)
{
        bool negative = text.n && text.p[0] == '-';
        size_t i = negative;
        uint64_t v = 0;
        if (i == text.n || (text.p[i] == '0' && i + 1 < text.n))
                return -EINVAL;
        for (; i < text.n; i++) {
                unsigned d = (unsigned)(text.p[i] - '0');
                if (d > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - d)
                        return -EINVAL;
                v = v * 10 + d;
        }
        return integer_store(pb, negative, v, dst);
}

static int float_store(const ProtobufCFieldDescriptor *pb, double value, void *dst)
{
        if (pb->type == PROTOBUF_C_TYPE_DOUBLE) {
                memcpy(dst, &value, sizeof(value));
                return 0;
        }
        float f = (float)value;
        if (isinf(f) && !isinf(value))
                return -EINVAL;
        memcpy(dst, &f, sizeof(f));
        return 0;
}

static int float_from_text(const ProtobufCFieldDescriptor *pb, struct str text, void *dst)
{
        if (str_is(text, "NaN"))
                return float_store(pb, (double)NAN, dst);
        if (str_is(text, "Infinity"))
                return float_store(pb, (double)INFINITY, dst);
        if (str_is(text, "-Infinity"))
                return float_store(pb, (double)-INFINITY, dst);
        char z[64], *end;
        if (text.n == 0 || text.n >= sizeof(z) || strspn(memcpy(z, text.p, text.n), "0123456789+-.eE") < text.n)
                return -EINVAL;
        z[text.n] = 0;
        double v = strtod(z, &end);
        return *end || isinf(v) ? -EINVAL : float_store(pb, v, dst);
}

void double_to_json(struct buf *out, double value, bool single)
{
        if (isnan(value) || isinf(value)) {
                buf_add_z(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
                return;
        }
        if (value == 0) {
                buf_add_z(out, signbit(value) ? "-0.0" : "0");
                return;
        }
        char z[40];
        int digits = single ? FLT_DIG : DBL_DIG, most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
        for (;; digits++) {
                snprintf(z, sizeof(z), "%.*g", digits, value);
                double back = strtod(z, NULL);
                if (digits >= most || (single ? (float)back == (float)value : back == value))
                        break;
        }
        buf_add_z(out, z);
}

/* --- enums -------------------------------------------------------------------------------------------------- */

static int enum_from_text(const ProtobufCFieldDescriptor *pb, struct str text, void *dst)
{
        const ProtobufCEnumDescriptor *e = pb->descriptor;
        for (unsigned i = 0; i < e->n_value_names; i++)
                if (str_is(text, e->values_by_name[i].name)) {
                        int value = e->values[e->values_by_name[i].index].value;
                        memcpy(dst, &value, sizeof(value));
                        return 0;
                }
        return -EINVAL;
}

/* --- the interface ------------------------------------------------------------------------------------------ */

int scalar_from_integer(const ProtobufCFieldDescriptor *pb, int64_t number, void *dst)
{
        uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
        switch (pb->type) {
        case PROTOBUF_C_TYPE_BOOL:
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return -EINVAL;
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_FLOAT:
                return float_store(pb, (double)number, dst);
        case PROTOBUF_C_TYPE_ENUM: {
                int32_t value;
                int r = integer_store(pb, number < 0, magnitude, &value);
                if (r || !protobuf_c_enum_descriptor_get_value(pb->descriptor, value))
                        return -EINVAL;
                memcpy(dst, &value, sizeof(value));
                return 0;
        }
        default:
                return integer_store(pb, number < 0, magnitude, dst);
        }
}

static int text_from_text(struct arena *arena, struct str text, void *dst)
{
        if ((text.n && memchr(text.p, 0, text.n)) || !str_is_utf8(text))
                return -EINVAL;
        char *copy = arena_strndup(arena, text.p ? text.p : "", text.n);
        memcpy(dst, &copy, sizeof(copy));
        return 0;
}

int scalar_from_text(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                     struct str text, void *dst)
{
        switch (pb->type) {
        case PROTOBUF_C_TYPE_BOOL: {
                protobuf_c_boolean value = str_is(text, "true");
                if (!value && !str_is(text, "false"))
                        return -EINVAL;
                memcpy(dst, &value, sizeof(value));
                return 0;
        }
        case PROTOBUF_C_TYPE_STRING:
                return text_from_text(arena, text, dst);
        case PROTOBUF_C_TYPE_BYTES: {
                ProtobufCBinaryData bytes;
                int r = base64_decode(arena, text, &bytes);
                if (r == 0)
                        memcpy(dst, &bytes, sizeof(bytes));
                return r;
        }
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_FLOAT:
                return float_from_text(pb, text, dst);
        case PROTOBUF_C_TYPE_ENUM:
                return enum_from_text(pb, text, dst);
        case PROTOBUF_C_TYPE_MESSAGE: {
                if (f->message->wkt == CONTRACT_WKT_NONE || f->message->wkt == CONTRACT_WKT_EMPTY)
                        return -EINVAL;
                void *message = message_new(arena, f->message);
                int r = wkt_from_text(arena, f->message->wkt, text, message);
                if (r == 0)
                        memcpy(dst, &message, sizeof(message));
                return r;
        }
        default:
                return integer_from_text(pb, text, dst);
        }
}

static struct expectation message_expected(enum contract_wkt wkt)
{
        switch (wkt) {
        case CONTRACT_WKT_TIMESTAMP:
                return (struct expectation){"type", "must be a time after RFC 3339, such as 2026-05-29T08:00:00Z",
                                            "应为 RFC 3339 时间，例如 2026-05-29T08:00:00Z"};
        case CONTRACT_WKT_DURATION:
                return (struct expectation){"type", "must be a duration such as \"1.5s\"", "应为时长，例如 \"1.5s\""};
        case CONTRACT_WKT_FIELD_MASK:
                return (struct expectation){"type", "must be field paths, separated by commas", "应为以逗号分隔的字段路径"};
        default:
                return (struct expectation){"type", "must be an object", "应为对象"};
        }
}

/* The names a caller may give: all but the one that says nothing. */
static struct expectation enum_expected(struct arena *arena, const ProtobufCEnumDescriptor *type)
{
        struct buf names = {0};
        for (unsigned i = 0; i < type->n_values; i++)
                if (type->values[i].value != 0)
                        buf_printf(&names, "%s%s", names.n ? ", " : "", type->values[i].name);
        struct expectation e = {"in", arena_printf(arena, "must be one of %s", buf_z(&names)),
                                arena_printf(arena, "应为以下之一：%s", buf_z(&names))};
        buf_done(&names);
        return e;
}

struct expectation scalar_expected(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb)
{
        switch (pb->type) {
        case PROTOBUF_C_TYPE_BOOL:
                return (struct expectation){"type", "must be true or false", "应为 true 或 false"};
        case PROTOBUF_C_TYPE_STRING:
                return (struct expectation){"type", "must be a string", "应为字符串"};
        case PROTOBUF_C_TYPE_BYTES:
                return (struct expectation){"type", "must be a string in base64", "应为 base64 字符串"};
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_FLOAT:
                return (struct expectation){"type", "must be a number", "应为数字"};
        case PROTOBUF_C_TYPE_ENUM:
                return enum_expected(arena, pb->descriptor);
        case PROTOBUF_C_TYPE_MESSAGE:
                return message_expected(f->message->wkt);
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return (struct expectation){"type", "must be a whole number of 32 bits", "应为 32 位整数"};
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                return (struct expectation){"type", "must be a whole number from 0 to 4294967295", "应为 0 到 4294967295 的整数"};
        default:
                return (struct expectation){"type", "must be a whole number of 64 bits, as a string", "应为 64 位整数（字符串）"};
        }
}
