/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a message is shown, field by field and at every depth; and packed messages cut down to that, without unpacking
 * them: what is not known to be shown is not copied.
 */
#include "projection.h"

#include <stdlib.h>

struct projection {
        struct arena *arena;
        struct str name;
        struct shape *shapes; /* by the index in contract_messages */
};

/* --- making ----------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct str projection_name_of(struct arena *arena, Nuanxin__Privacy most, struct view_list withheld)
{
        const char **sorted = ARENA_ARRAY(arena, const char *, withheld.n + 1);
        struct buf out = {0};
        if (withheld.n)
                memcpy(sorted, withheld.items, withheld.n * sizeof(*sorted));
        qsort(sorted, withheld.n, sizeof(*sorted), by_text);
        buf_add_i64(&out, (int64_t)most);
        for (size_t i = 0; i < withheld.n; i++)
                if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0)
                        buf_printf(&out, " %s", sorted[i]);
        struct str name = arena_str(arena, buf_str(&out));
        buf_done(&out);
        return name;
}

struct str projection_name(const struct projection *p)
{
        return p->name;
}

static void shape_begin(struct projection *p, unsigned index, Nuanxin__Privacy most, struct view_list withheld)
{
        const struct contract_message *type = contract_messages[index];
        struct shape *shape = &p->shapes[index];
        *shape = (struct shape){.type = type, .whole = true};
        shape->shown = ARENA_ARRAY(p->arena, bool, type->n_fields + 1);
        shape->inner = ARENA_ARRAY(p->arena, const struct shape *, type->n_fields + 1);
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_message *inner = type->fields[i].message;
                shape->shown[i] = type->wkt != CONTRACT_WKT_NONE || view_shows_field(most, withheld, type, i);
                shape->whole = shape->whole && shape->shown[i];
                unsigned at = inner ? view_type_index(inner) : contract_n_messages;
                if (at < contract_n_messages && contract_messages[at] == inner)
                        shape->inner[i] = &p->shapes[at];
                else if (inner) /* no table for it: nothing of it is known */
                        shape->whole = shape->shown[i] = false;
        }
}

/* One step towards: whole is what has nothing hidden, at any depth. Messages do not contain themselves. */
static bool shape_settle(struct shape *shape)
{
        bool changed = false;
        for (unsigned i = 0; i < shape->type->n_fields; i++) {
                if (!shape->shown[i] || !shape->inner[i] || shape->inner[i]->whole)
                        continue;
                changed = changed || shape->whole;
                shape->whole = false;
                if (shape->type->fields[i].is_map) { /* of what is partly hidden nothing */
                        shape->shown[i] = false;
                        changed = true;
                }
        }
        return changed;
}

struct projection *projection_new(Nuanxin__Privacy most, struct view_list withheld)
{
        struct projection *p = mem_zalloc(sizeof(*p));
        bool changed = true;
        p->arena = arena_new(16 * 1024);
        p->name = projection_name_of(p->arena, most, withheld);
        p->shapes = ARENA_ARRAY(p->arena, struct shape, contract_n_messages);
        for (unsigned i = 0; i < contract_n_messages; i++)
                shape_begin(p, i, most, withheld);
        while (changed) {
                changed = false;
                for (unsigned i = 0; i < contract_n_messages; i++)
                        changed = shape_settle(&p->shapes[i]) || changed;
        }
        return p;
}

struct projection *projection_free(struct projection *p)
{
        if (p)
                arena_free(p->arena);
        free(p);
        return NULL;
}

const struct shape *projection_shape(const struct projection *p, const struct contract_message *type)
{
        return &p->shapes[view_type_index(type)];
}

/* --- cutting down ------------------------------------------------------------------------------------------------------- */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static int varint_cut(struct str *in, uint64_t *ret)
{
        uint64_t value = 0;
        for (size_t i = 0; i < in->n && i < 10; i++) {
                value |= (uint64_t)(in->p[i] & 0x7f) << (7 * i);
                if (in->p[i] & 0x80)
                        continue;
                in->p += i + 1;
                in->n -= i + 1;
                *ret = value;
                return 0;
        }
        return -EBADMSG;
}

static int bytes_cut(struct str *in, uint64_t n, struct str *ret)
{
        if (n > in->n)
                return -EBADMSG;
        *ret = (struct str){in->p, (size_t)n};
        in->p += n;
        in->n -= (size_t)n;
        return 0;
}

/* The value after a tag; of WIRE_BYTES without its length. */
static int value_cut(struct str *in, unsigned wire, struct str *ret)
{
        const char *begin = in->p;
        uint64_t n;
        int r;
        switch (wire) {
        case WIRE_VARINT:
                r = varint_cut(in, &n);
                *ret = (struct str){begin, (size_t)(in->p - begin)};
                return r;
        case WIRE_64:
                return bytes_cut(in, 8, ret);
        case WIRE_32:
                return bytes_cut(in, 4, ret);
        case WIRE_BYTES:
                r = varint_cut(in, &n);
                return r == 0 ? bytes_cut(in, n, ret) : r;
        default: /* groups are none of proto3's */
                return -EBADMSG;
        }
}

static void varint_put(struct buf *out, uint64_t value)
{
        while (value >= 0x80) {
                buf_add_char(out, (char)(value | 0x80));
                value >>= 7;
        }
        buf_add_char(out, (char)value);
}

static int cut_down(const struct shape *shape, struct str in, unsigned depth, struct buf *out);

static int cut_message(const struct shape *inner, uint64_t tag, struct str value, unsigned depth, struct buf *out)
{
        struct buf part = {0};
        int r = cut_down(inner, value, depth + 1, &part);
        if (r == 0) {
                varint_put(out, tag);
                varint_put(out, part.n);
                buf_add_str(out, buf_str(&part));
        }
        buf_done(&part);
        return r;
}

static int cut_down(const struct shape *shape, struct str in, unsigned depth, struct buf *out)
{
        int r = depth < MESSAGE_MAX_DEPTH ? 0 : -EBADMSG;
        while (r == 0 && in.n) {
                const char *begin = in.p;
                struct str value = {0};
                uint64_t tag = 0;
                r = varint_cut(&in, &tag);
                if (r == 0)
                        r = value_cut(&in, tag & 7, &value);
                const ProtobufCFieldDescriptor *pb =
                        r == 0 && tag >> 3 <= UINT32_MAX
                                ? protobuf_c_message_descriptor_get_field(shape->type->pb, (unsigned)(tag >> 3))
                                : NULL;
                size_t i = pb ? (size_t)(pb - shape->type->pb->fields) : 0;
                if (!pb || !shape->shown[i])
                        continue;
                if (!shape->inner[i])
                        buf_add(out, begin, (size_t)(in.p - begin));
                else
                        r = (tag & 7) == WIRE_BYTES ? cut_message(shape->inner[i], tag, value, depth, out) : -EBADMSG;
        }
        return r;
}

int projection_apply(const struct projection *p, struct arena *arena, const struct contract_message *type, struct str data,
                     struct str *ret_data)
{
        struct buf out = {0};
        int r = cut_down(projection_shape(p, type), data, 0, &out);
        if (r == 0)
                *ret_data = arena_str(arena, buf_str(&out));
        buf_done(&out);
        return r;
}
