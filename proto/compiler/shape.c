/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes are written out as text and hashed with SHA-256, so a difference can always be explained.
 */
#include "shape.h"

#include <sodium.h>

const char *field_type_name(const struct field *f)
{
        static const char *const scalars[] = {
                [TYPE(DOUBLE)] = "double",   [TYPE(FLOAT)] = "float",       [TYPE(INT64)] = "int64",
                [TYPE(UINT64)] = "uint64",   [TYPE(INT32)] = "int32",       [TYPE(FIXED64)] = "fixed64",
                [TYPE(FIXED32)] = "fixed32", [TYPE(BOOL)] = "bool",         [TYPE(STRING)] = "string",
                [TYPE(BYTES)] = "bytes",     [TYPE(UINT32)] = "uint32",     [TYPE(SFIXED32)] = "sfixed32",
                [TYPE(SFIXED64)] = "sfixed64", [TYPE(SINT32)] = "sint32",   [TYPE(SINT64)] = "sint64",
        };
        if (f->message)
                return f->message->name;
        if (f->enumeration)
                return f->enumeration->name;
        return f->pb->type < ARRAY_LEN(scalars) && scalars[f->pb->type] ? scalars[f->pb->type] : "group";
}

void digest_hex(char out[65], struct str bytes)
{
        unsigned char digest[crypto_hash_sha256_BYTES];
        crypto_hash_sha256(digest, (const unsigned char *)bytes.p, bytes.n);
        hex_encode(out, digest, sizeof(digest));
}

static uint64_t digest_64(struct str bytes)
{
        unsigned char digest[crypto_hash_sha256_BYTES];
        crypto_hash_sha256(digest, (const unsigned char *)bytes.p, bytes.n);
        uint64_t h = 0;
        for (int i = 0; i < 8; i++)
                h = h << 8 | digest[i];
        return h ? h : 1; /* 0 means not known yet */
}

uint64_t shape_hash(struct arena *arena, struct message *x)
{
        if (x->hash)
                return x->hash;
        struct buf text = {0};
        buf_printf(&text, "message %s\n", x->name);
        for (size_t i = 0; i < x->n_fields; i++) {
                struct field *f = &x->fields[i];
                buf_printf(&text, "%d %s %s %s %s\n", (int)f->number, f->repeated ? "repeated" : "singular",
                           field_type_name(f), f->name, f->oneof ? f->oneof : "");
                if (f->message)
                        buf_printf(&text, "  %016llx\n", (unsigned long long)shape_hash(arena, f->message));
                for (size_t v = 0; f->enumeration && v < f->enumeration->n_values; v++)
                        buf_printf(&text, "  %d %s\n", (int)f->enumeration->values[v].number,
                                   f->enumeration->values[v].name);
        }
        x->hash = digest_64(buf_str(&text));
        buf_done(&text);
        return x->hash;
}
