/* SPDX-License-Identifier: Apache-2.0
 *
 * Imports in SQL: the upload's pieces, how far it is, what it refused.
 */
#include "common/imports/store.h"

#define COLUMNS                                                                                              \
        "id, kind, owner, organization, validate_only, state, size, utf8, header, next_offset, next_row, "   \
        "total, accepted, unchanged, refused, created, ended, about"

int import_get(struct store_conn *db, struct arena *arena, const char *id, struct import *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM import WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        *ret = (struct import){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .owner = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .validate_only = store_i64(rows, 4),
                .state = (int)store_i64(rows, 5),
                .size = store_i64(rows, 6),
                .utf8 = (uint32_t)store_i64(rows, 7),
                .header = store_text_dup(rows, 8, arena),
                .next_offset = store_i64(rows, 9),
                .next_row = store_i64(rows, 10),
                .total = store_i64(rows, 11),
                .accepted = store_i64(rows, 12),
                .unchanged = store_i64(rows, 13),
                .refused = store_i64(rows, 14),
                .created = store_i64(rows, 15),
                .ended = store_i64(rows, 16),
                .about = store_text_dup(rows, 17, arena),
        };
        return 0;
}

int import_insert(struct store_conn *db, const struct import *i)
{
        static const char sql[] =
            "INSERT INTO import (" COLUMNS ") VALUES"
            " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL, $17)";
        return store_exec(db, sql, NULL, TEXTZ(i->id), I64(i->kind), TEXTZ(i->owner), TEXTZ(i->organization),
                          I64(i->validate_only), I64(i->state), I64(i->size), I64(i->utf8), TEXTZ(i->header),
                          I64(i->next_offset), I64(i->next_row), I64(i->total), I64(i->accepted),
                          I64(i->unchanged), I64(i->refused), I64(i->created), TEXTZ(i->about));
}

int import_update(struct store_conn *db, const struct import *i)
{
        static const char sql[] =
            "UPDATE import SET state = $2, size = $3, utf8 = $4, header = $5, next_offset = $6,"
            " next_row = $7, total = $8, accepted = $9, unchanged = $10, refused = $11,"
            " ended = $12 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(i->id), I64(i->state), I64(i->size), I64(i->utf8),
                          TEXTZ(i->header), I64(i->next_offset), I64(i->next_row), I64(i->total),
                          I64(i->accepted), I64(i->unchanged), I64(i->refused),
                          i->ended ? I64(i->ended) : SQLNULL());
}

int import_delete(struct store_conn *db, const char *id)
{
        static const char *const steps[] = {
            "DELETE FROM import_error WHERE import = $1",
            "DELETE FROM import_piece WHERE import = $1",
            "DELETE FROM import_seen WHERE import = $1",
            "DELETE FROM import WHERE id = $1",
        };
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
                r = store_exec(db, steps[i], NULL, TEXTZ(id));
        return r;
}

int import_piece_add(struct store_conn *db, const char *import, const struct import_piece *piece)
{
        static const char sql[] =
            "INSERT INTO import_piece (import, start, size, data) VALUES ($1, $2, $3, $4)";
        return store_exec(db, sql, NULL, TEXTZ(import), I64(piece->start), I64(piece->size),
                          BYTES(piece->data.p, piece->data.n));
}

int import_piece_at(struct store_conn *db, struct arena *arena, const char *import, int64_t offset,
                    struct import_piece *ret)
{
        static const char sql[] =
            "SELECT start, size, data FROM import_piece WHERE import = $1 AND start <= $2"
            " ORDER BY start DESC LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(import), I64(offset));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        *ret = (struct import_piece){
                .start = store_i64(rows, 0),
                .size = store_i64(rows, 1),
                .data = arena_str(arena, store_bytes(rows, 2)),
        };
        return 0;
}

int import_pieces_drop(struct store_conn *db, const char *import, int64_t before)
{
        static const char sql[] = "DELETE FROM import_piece WHERE import = $1 AND start + size <= $2";
        return store_exec(db, sql, NULL, TEXTZ(import), I64(before));
}

int import_see(struct store_conn *db, const char *import, struct str person, struct str says,
               enum import_seen *ret)
{
        static const char insert[] =
            "INSERT INTO import_seen (import, person, says) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        static const char sql[] = "SELECT says FROM import_seen WHERE import = $1 AND person = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t inserted = 0;
        int r = store_exec(db, insert, &inserted, TEXTZ(import), BYTES(person.p, person.n), BYTES(says.p, says.n));
        if (r == 0 && inserted) {
                *ret = SEEN_NEVER;
                return 0;
        }
        if (r == 0)
                r = store_query(db, sql, &rows, TEXTZ(import), BYTES(person.p, person.n));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -EUCLEAN : r;
        *ret = str_eq(store_bytes(rows, 0), says) ? SEEN_ALIKE : SEEN_OTHERWISE;
        return 0;
}

int import_seen_drop(struct store_conn *db, const char *import, int64_t limit, int64_t *ret_dropped)
{
        static const char sql[] = "DELETE FROM import_seen WHERE import = $1 AND person IN"
                                  " (SELECT person FROM import_seen WHERE import = $1 LIMIT $2)";
        return store_exec(db, sql, ret_dropped, TEXTZ(import), I64(limit));
}

int import_error_add(struct store_conn *db, const char *import, const struct import_error *error)
{
        static const char sql[] = "INSERT INTO import_error (import, row_number, fault, column_name)"
                                  " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        return store_exec(db, sql, NULL, TEXTZ(import), I64(error->row), I64(error->fault),
                          TEXTZ(error->column));
}

int import_error_list(struct store_conn *db, struct arena *arena, const char *import, int64_t after_row,
                      size_t limit, struct import_error *out, size_t *ret_n)
{
        static const char sql[] = "SELECT row_number, fault, column_name FROM import_error"
                                  " WHERE import = $1 AND row_number > $2 ORDER BY row_number LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(import), I64(after_row), I64((int64_t)limit));
        while (r == 0 && n < limit && (r = store_next(rows)) == 1) {
                out[n++] = (struct import_error){store_i64(rows, 0), (int)store_i64(rows, 1),
                                                 store_text_dup(rows, 2, arena)};
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}
