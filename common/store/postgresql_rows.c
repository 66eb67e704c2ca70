/* SPDX-License-Identifier: Apache-2.0
 *
 * Results from PostgreSQL, in binary, and their columns. A result is here as a whole before its first row is given.
 */
#include "common/store/postgresql.h"

#include <assert.h>
#include <endian.h>

/* Beside TYPE_…: what is read as a text too. */
enum { TYPE_NAME = 19, TYPE_UNKNOWN = 705, TYPE_VARCHAR = 1043, TYPE_VOID = 2278 };

static bool is_integer(Oid type)
{
        return type == TYPE_I64 || type == TYPE_I32 || type == TYPE_I16 || type == TYPE_BOOL;
}

static bool is_text(Oid type)
{
        return type == TYPE_TEXT || type == TYPE_BYTES || type == TYPE_VARCHAR || type == TYPE_NAME || type == TYPE_UNKNOWN ||
               type == TYPE_VOID;
}

int postgresql_rows_take(struct postgresql_rows *rows, PGresult *result)
{
        for (int i = 0; i < PQnfields(result); i++) {
                Oid type = PQftype(result, i);
                if (is_integer(type) || is_text(type))
                        continue;
                PQclear(result);
                return conn_misuse(rows->base.conn, "a column is of a type that is not read here: CAST it to BIGINT or TEXT");
        }
        rows->result = result;
        rows->n_rows = PQntuples(result);
        rows->row = -1;
        return 0;
}

int postgresql_next(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        assert(base->open);
        base->on_row = false;
        if (!rows->result && !rows->error) {
                int r = postgresql_collect(postgresql_of(base->conn));
                if (r != 0 && !rows->error)
                        rows->error = r;
        }
        if (rows->error)
                return rows->error == STORE_E_CONSTRAINT ? -EEXIST : rows->error;
        if (rows->row + 1 >= rows->n_rows)
                return 0;
        rows->row++;
        base->on_row = true;
        return 1;
}

void postgresql_rows_free(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        postgresql_forget_rows(postgresql_of(base->conn), rows, true);
        PQclear(rows->result);
}

void postgresql_rows_close(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        postgresql_forget_rows(postgresql_of(base->conn), rows, false);
        PQclear(rows->result);
        rows->result = NULL;
        base->open = base->on_row = false;
        if (!base->cached)
                statement_free(base);
}

/* --- columns -------------------------------------------------------------------------------------------- */

bool postgresql_is_null(const struct store_rows *base, int column)
{
        const struct postgresql_rows *rows = (const struct postgresql_rows *)base;
        assert(base->on_row);
        return PQgetisnull(rows->result, rows->row, column);
}

int64_t postgresql_i64(const struct store_rows *base, int column)
{
        const struct postgresql_rows *rows = (const struct postgresql_rows *)base;
        uint64_t big;
        uint32_t middle;
        uint16_t small;
        if (postgresql_is_null(base, column))
                return 0;
        const char *p = PQgetvalue(rows->result, rows->row, column);
        switch (PQftype(rows->result, column)) {
        case TYPE_I64:
                memcpy(&big, p, sizeof(big));
                return (int64_t)be64toh(big);
        case TYPE_I32:
                memcpy(&middle, p, sizeof(middle));
                return (int32_t)be32toh(middle);
        case TYPE_I16:
                memcpy(&small, p, sizeof(small));
                return (int16_t)be16toh(small);
        case TYPE_BOOL:
                return *p != 0;
        default:
                assert(!"an integer column");
                return 0;
        }
}

struct str postgresql_bytes(const struct store_rows *base, int column)
{
        const struct postgresql_rows *rows = (const struct postgresql_rows *)base;
        if (postgresql_is_null(base, column))
                return (struct str){0};
        assert(is_text(PQftype(rows->result, column)));
        return (struct str){PQgetvalue(rows->result, rows->row, column),
                            (size_t)PQgetlength(rows->result, rows->row, column)};
}

struct str postgresql_text(const struct store_rows *base, int column)
{
        return postgresql_bytes(base, column);
}
