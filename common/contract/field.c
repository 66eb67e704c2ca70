/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults of fields, and blanking them: for masks and for what a caller may not set.
 */
#include "common/contract/field.h"

#include "common/contract/message.h"

bool field_is_default(const ProtobufCFieldDescriptor *pb, const void *value)
{
        static const char zeros[8];
        switch (pb->type) {
        case PROTOBUF_C_TYPE_STRING: {
                const char *text = *(char *const *)value;
                return !text || !text[0];
        }
        case PROTOBUF_C_TYPE_BYTES:
                return ((const ProtobufCBinaryData *)value)->len == 0;
        default:
                return memcmp(value, zeros, field_size(pb)) == 0;
        }
}

void field_clear(void *message, const ProtobufCFieldDescriptor *pb)
{
        if (field_repeated(pb)) {
                *field_count(message, pb) = 0;
                return;
        }
        if (!field_chosen(message, pb))
                return;
        memset(field_value(message, pb), 0, field_size(pb));
        if (field_in_oneof(pb))
                *field_case(message, pb) = 0;
        else if (field_is_text(pb))
                *(const char **)field_value(message, pb) = protobuf_c_empty_string;
}

/* --- masking ---------------------------------------------------------------------------------------------- */

#define MASK_CHARACTERS 16
#define MASK_MARK       "＊"

/* 王小明 → 王＊＊ */
static char *text_masked(struct arena *arena, const char *text)
{
        size_t characters = str_code_points(str_of(text)), first = 1;
        while (text[first] && ((unsigned char)text[first] & 0xc0) == 0x80)
                first++;
        if (characters > MASK_CHARACTERS)
                characters = MASK_CHARACTERS;
        size_t mark = strlen(MASK_MARK);
        char *out = arena_alloc(arena, first + (characters - 1) * mark + 1), *o = out;
        memcpy(o, text, first);
        o += first;
        for (size_t i = 1; i < characters; i++, o += mark)
                memcpy(o, MASK_MARK, mark);
        *o = 0;
        return out;
}

static void field_mask(struct arena *arena, void *message, const ProtobufCFieldDescriptor *pb)
{
        if (!field_is_text(pb)) {
                field_clear(message, pb);
                return;
        }
        size_t n = field_repeated(pb) ? *field_count(message, pb) : field_chosen(message, pb);
        char **texts = field_repeated(pb) ? *(char ***)field_value(message, pb) : field_value(message, pb);
        for (size_t i = 0; i < n; i++)
                if (texts[i] && texts[i][0])
                        texts[i] = text_masked(arena, texts[i]);
}

void message_mask(struct arena *arena, const struct contract_message *type, void *message, Nuanxin__Privacy most)
{
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *f = &type->fields[i];
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[i];
                if (f->privacy > most) {
                        field_mask(arena, message, pb);
                } else if (f->message && field_repeated(pb)) {
                        void **items = *(void ***)field_value(message, pb);
                        for (size_t k = 0; k < *field_count(message, pb); k++)
                                message_mask(arena, f->message, items[k], most);
                } else if (f->message && field_chosen(message, pb)) {
                        void *inner = *(void **)field_value(message, pb);
                        if (inner)
                                message_mask(arena, f->message, inner, most);
                }
        }
}
