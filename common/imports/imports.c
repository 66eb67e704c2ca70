/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads arrive in chunks, each kept sealed as it is, and are read again row by row, from any row.
 */
#include "common/imports/internal.h"

#include "common/base/clock.h"

#include <inttypes.h>

#define KEPT_US (7 * CLOCK_DAY_US)

STORE_SCHEMA(imports_schema_001, "common/imports/schema/001_imports.sql");
STORE_SCHEMA(imports_schema_002, "common/imports/schema/002_about.sql");

/* --- chunks in ------------------------------------------------------------------------------------------ */

char *import_owner(struct rpc_call *call)
{
        const Principal *p = rpc_principal(call);
        return arena_printf(rpc_arena(call), "%d:%s", (int)p->kind, p->id);
}

static char *piece_context(struct arena *arena, const char *import, int64_t start)
{
        return arena_printf(arena, "import:%s:%" PRId64, import, start);
}

static const char *about_of(const struct import_chunk *chunk)
{
        return chunk->about ? chunk->about : "";
}

static int begin(struct rpc_call *call, const struct import_chunk *chunk, struct import *import)
{
        struct arena *arena = rpc_arena(call);
        *import = (struct import){
                .id = arena_strdup(arena, chunk->upload),
                .owner = import_owner(call),
                .organization = arena_strdup(arena, chunk->organization),
                .header = arena_strdup(arena, ""),
                .about = arena_strdup(arena, about_of(chunk)),
                .kind = chunk->kind->number,
                .state = STATE(UPLOADING),
                .validate_only = chunk->validate_only,
                .created = rpc_now(call),
        };
        int r = import_insert(rpc_db(call), import);
        return r == 0
                   ? rpc_due_add(call, "import-expire", import->id, rpc_now(call) + KEPT_US, (struct str){0})
                   : r;
}

static int64_t lines_in(struct str data)
{
        int64_t n = 0;
        for (const char *p = data.p, *end = p + data.n; data.n && (p = memchr(p, '\n', (size_t)(end - p)));
             p++)
                n++;
        return n;
}

static int append(struct rpc_call *call, const struct import_chunk *chunk, struct import *import)
{
        struct arena *arena = rpc_arena(call);
        int r = 0;
        if (chunk->data.n) {
                char *context = piece_context(arena, import->id, import->size);
                struct import_piece piece = {
                    .start = import->size,
                    .size = (int64_t)chunk->data.n,
                    .data = keyring_seal(arena, rpc_keyring(call), context, chunk->data),
                };
                r = import_piece_add(rpc_db(call), import->id, &piece);
        }
        import->size += (int64_t)chunk->data.n;
        import->utf8 = csv_utf8_scan(import->utf8, chunk->data);
        import->total += lines_in(chunk->data); /* about: until the rows are read */
        if (chunk->last)
                import->state = STATE(RUNNING);
        return r == 0 ? import_update(rpc_db(call), import) : r;
}

int import_receive(struct rpc_call *call, const struct import_chunk *chunk, struct import *ret_import,
                   bool *ret_complete)
{
        int r = import_get(rpc_db(call), rpc_arena(call), chunk->upload, ret_import);
        *ret_complete = false;
        if (r == -ENOENT && chunk->offset != 0)
                return rpc_refuse(call, PROBLEM(IMPORT_GAP), "0");
        if (r == -ENOENT)
                r = begin(call, chunk, ret_import);
        if (r != 0)
                return r;
        if (strcmp(ret_import->owner, import_owner(call)) != 0 || ret_import->kind != chunk->kind->number ||
            strcmp(ret_import->about, about_of(chunk)) != 0)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        int64_t end = chunk->offset + (int64_t)chunk->data.n;
        if (end > chunk->kind->most_bytes)
                return rpc_refuse(call, PROBLEM(IMPORT_TOO_LARGE),
                                  arena_printf(rpc_arena(call), "%" PRId64, chunk->kind->most_bytes));
        bool seen = chunk->data.n ? end <= ret_import->size : chunk->offset < ret_import->size;
        if (ret_import->state != STATE(UPLOADING) || (seen && !chunk->last))
                return 0;
        if (!seen && chunk->offset != ret_import->size)
                return rpc_refuse(call, PROBLEM(IMPORT_GAP),
                                  arena_printf(rpc_arena(call), "%" PRId64, ret_import->size));
        struct import_chunk rest = *chunk;
        if (seen)
                rest.data = (struct str){0};
        *ret_complete = chunk->last;
        return append(call, &rest, ret_import);
}

/* --- rows out ------------------------------------------------------------------------------------------- */

int import_read(struct rpc_call *call, const struct import *import, csv_row_fn on_row, void *arg)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(csv_freep) struct csv *csv = csv_new(import->utf8 == 0 ? CSV_UTF8 : CSV_GB18030,
                                                       import->next_row, import->next_offset, on_row, arg);
        int r = 0;
        for (int64_t offset = import->next_offset; offset < import->size && r == 0;) {
                struct import_piece piece;
                struct str plain;
                r = import_piece_at(rpc_db(call), arena, import->id, offset, &piece);
                if (r != 0)
                        return r == -ENOENT ? -EUCLEAN : r;
                r = keyring_open(arena, rpc_keyring(call), piece_context(arena, import->id, piece.start),
                                 piece.data, &plain);
                if (r != 0)
                        return r;
                size_t skip = (size_t)(offset - piece.start);
                r = csv_push(csv, str_bytes(plain.p + skip, plain.n - skip));
                offset = piece.start + piece.size;
        }
        return r == 0 ? csv_end(csv) : r;
}

int import_finish(struct rpc_call *call, struct import *import, Operation__State state)
{
        import->state = state;
        import->ended = rpc_now(call);
        import->total = import->accepted + import->unchanged + import->refused;
        if (state == STATE(FAILED))
                import->accepted = 0; /* all or none: none */
        int r = import_pieces_drop(rpc_db(call), import->id, import->size);
        return r == 0 ? import_update(rpc_db(call), import) : r;
}

int import_expire(struct rpc_call *call, const char *id, struct str payload)
{
        (void)payload;
        return import_delete(rpc_db(call), id);
}
