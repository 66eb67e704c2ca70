/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes to messages and back. What comes in is scanned against the contract's tables before libprotobuf-c sees
 * it: that library nests without bound, takes invalid UTF-8 and merges repeated singular messages.
 */
#include "common/contract/message.h"

#include "common/contract/field.h"

static void *from_arena(void *arena, size_t size)
{
        return arena_alloc(arena, size);
}

static void no_free(void *arena, void *p)
{
        (void)arena;
        (void)p;
}

/* --- the scan ------------------------------------------------------------------------------------------- */

struct cursor {
        const uint8_t *p, *end;
};

static bool varint_read(struct cursor *c, uint64_t *ret_value)
{
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
                uint8_t byte = *c->p++;
                value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

static bool skip(struct cursor *c, uint64_t n)
{
        if (n > (uint64_t)(c->end - c->p))
                return false;
        c->p += n;
        return true;
}

static unsigned wire_type_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
                return PROTOBUF_C_WIRE_TYPE_32BIT;
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return PROTOBUF_C_WIRE_TYPE_64BIT;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        default:
                return PROTOBUF_C_WIRE_TYPE_VARINT;
        }
}

/* How many items packed bytes hold; SIZE_MAX if they do not fit. */
static size_t packed_count(unsigned wire_type, struct cursor body)
{
        size_t n = (size_t)(body.end - body.p);
        if (wire_type == PROTOBUF_C_WIRE_TYPE_32BIT)
                return n % 4 ? SIZE_MAX : n / 4;
        if (wire_type == PROTOBUF_C_WIRE_TYPE_64BIT)
                return n % 8 ? SIZE_MAX : n / 8;
        size_t items = 0;
        uint64_t ignored;
        while (body.p < body.end) {
                if (!varint_read(&body, &ignored))
                        return SIZE_MAX;
                items++;
        }
        return items;
}

static bool scan_message(struct arena *arena, const struct contract_message *type, struct cursor c, unsigned depth);

/* The body of a length-delimited known field. Adds to *items what it holds. */
static bool scan_body(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                      struct cursor body, unsigned depth, size_t *items)
{
        size_t n = (size_t)(body.end - body.p);
        switch (pb->type) {
        case PROTOBUF_C_TYPE_MESSAGE:
                *items += 1;
                return scan_message(arena, f->message, body, depth + 1);
        case PROTOBUF_C_TYPE_STRING:
                *items += 1;
                return (n == 0 || !memchr(body.p, 0, n)) && str_is_utf8(str_bytes(body.p, n));
        case PROTOBUF_C_TYPE_BYTES:
                *items += 1;
                return true;
        default: {
                size_t packed = packed_count(wire_type_of(pb->type), body);
                if (!field_repeated(pb) || packed == SIZE_MAX)
                        return false;
                *items += packed;
                return true;
        }
        }
}

/* One value, known (f) or not (f NULL). */
static bool scan_value(struct arena *arena, const struct contract_field *f, const ProtobufCFieldDescriptor *pb,
                       unsigned wire_type, struct cursor *c, unsigned depth, size_t *items)
{
        uint64_t n;
        if (f && wire_type != wire_type_of(pb->type) &&
            !(wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && field_repeated(pb)))
                return false;
        switch (wire_type) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
                *items += 1;
                return varint_read(c, &n);
        case PROTOBUF_C_WIRE_TYPE_64BIT:
                *items += 1;
                return skip(c, 8);
        case PROTOBUF_C_WIRE_TYPE_32BIT:
                *items += 1;
                return skip(c, 4);
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
                if (!varint_read(c, &n))
                        return false;
                struct cursor body = {c->p, c->p};
                if (!skip(c, n))
                        return false;
                body.end = c->p;
                return !f || scan_body(arena, f, pb, body, depth, items);
        }
        default:
                return false; /* groups */
        }
}

static bool scan_message(struct arena *arena, const struct contract_message *type, struct cursor c, unsigned depth)
{
        if (depth > MESSAGE_MAX_DEPTH)
                return false;
        size_t *items = NULL; /* of each field, so far */
        const ProtobufCFieldDescriptor *fields = type->pb->fields;
        size_t likely = 0; /* fields come in their order as a rule */
        while (c.p < c.end) {
                uint64_t tag;
                if (!varint_read(&c, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
                        return false;
                const ProtobufCFieldDescriptor *pb =
                        likely < type->n_fields && fields[likely].id == tag >> 3
                                ? &fields[likely]
                                : protobuf_c_message_descriptor_get_field(type->pb, (unsigned)(tag >> 3));
                size_t unknown = 0;
                if (!pb) {
                        if (!scan_value(arena, NULL, NULL, tag & 7, &c, depth, &unknown))
                                return false;
                        continue;
                }
                size_t i = (size_t)(pb - fields);
                likely = i + 1;
                const struct contract_field *f = &type->fields[i];
                if (!items)
                        items = ARENA_ARRAY(arena, size_t, type->n_fields);
                if (!scan_value(arena, f, pb, tag & 7, &c, depth, &items[i]))
                        return false;
                if (!field_repeated(pb) ? items[i] > 1 : f->max_items && items[i] > f->max_items)
                        return false;
        }
        return true;
}

/* --- the interface ---------------------------------------------------------------------------------------- */

int message_unpack(struct arena *arena, const struct contract_message *type, const void *bytes, size_t n,
                   ProtobufCMessage **ret_message)
{
        const uint8_t *p = n ? bytes : (const uint8_t *)"";
        if (!scan_message(arena, type, (struct cursor){p, p + n}, 1))
                return -EBADMSG;
        ProtobufCAllocator allocator = {.alloc = from_arena, .free = no_free, .allocator_data = arena};
        ProtobufCMessage *m = protobuf_c_message_unpack(type->pb, &allocator, n, p);
        if (!m)
                return -EBADMSG;
        *ret_message = m;
        return 0;
}

void *message_new(struct arena *arena, const struct contract_message *type)
{
        void *m = arena_alloc(arena, type->pb->sizeof_message);
        protobuf_c_message_init(type->pb, m);
        return m;
}

struct str message_pack(struct arena *arena, const void *message)
{
        size_t n = protobuf_c_message_get_packed_size(message);
        uint8_t *p = arena_alloc(arena, n ? n : 1);
        protobuf_c_message_pack(message, p);
        return str_bytes(p, n);
}

void message_pack_buf(struct buf *out, const void *message)
{
        size_t n = protobuf_c_message_get_packed_size(message);
        if (n == 0)
                return;
        buf_reserve(out, n);
        out->n += protobuf_c_message_pack(message, (uint8_t *)out->p + out->n);
}

const struct contract_field *message_field(const struct contract_message *type, struct str name)
{
        for (unsigned i = 0; i < type->n_fields && name.n; i++) {
                const struct contract_field *f = &type->fields[i]; /* both spellings begin with the same letter */
                if (f->name[0] == name.p[0] && (str_is(name, f->name) || str_is(name, f->json_name)))
                        return f;
        }
        return NULL;
}

struct str message_text_at(const struct contract_message *type, const void *message, const char *path)
{
        struct str rest = str_of(path);
        while (message) {
                const struct contract_field *f = message_field(type, str_cut(&rest, '.'));
                if (!f)
                        break;
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[f - type->fields];
                if (field_repeated(pb) || !field_chosen(message, pb))
                        break;
                if (rest.n == 0)
                        return field_is_text(pb) ? str_of(*(char **)field_value(message, pb)) : (struct str){0};
                if (pb->type != PROTOBUF_C_TYPE_MESSAGE)
                        break;
                message = *(void **)field_value(message, pb);
                type = f->message;
        }
        return (struct str){0};
}
