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

int postgresql_answer_take(struct postgresql_conn *c, struct postgresql_answer *answer, PGresult *result)
{
        for (int i = 0; i < PQnfields(result); i++) {
                Oid type = PQftype(result, i);
                if (is_integer(type) || is_text(type))
                        continue;
                PQclear(result);
                return conn_misuse(&c->base, "a column is of a type that is not read here: CAST it to BIGINT or TEXT");
        }
        answer->result = result;
        answer->n_rows = PQntuples(result);
        return 0;
}

int postgresql_next(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        struct postgresql_answer *answer = rows->answer;
        assert(base->open);
        base->on_row = false;
        if (!answer->result && !answer->error) {
                int r = postgresql_collect(postgresql_of(base->conn));
                if (r != 0 && !answer->error && !answer->result)
                        answer->error = r;
        }
        if (answer->error)
                return answer->error == STORE_E_CONSTRAINT ? -EEXIST : answer->error;
        if (rows->row + 1 >= answer->n_rows)
                return 0;
        rows->row++;
        base->on_row = true;
        return 1;
}

void postgresql_rows_free(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        postgresql_forget_rows(postgresql_of(base->conn), rows);
        if (rows->merged) {
                mem_freep(&rows->merged->base.sql);
                statement_free(&rows->merged->base);
        }
}

void postgresql_rows_close(struct store_rows *base)
{
        struct postgresql_rows *rows = (struct postgresql_rows *)base;
        if (rows->answer == &rows->own) {
                if (!rows->own.result && !rows->own.error)
                        postgresql_forget_answer(postgresql_of(base->conn), &rows->own);
                PQclear(rows->own.result);
        }
        base->open = base->on_row = false;
        if (!base->cached)
                statement_free(base);
}

/* --- columns -------------------------------------------------------------------------------------------- */

/* Where it stands in the result. */
struct place {
        const PGresult *result;
        int row, column;
};

static struct place place_of(const struct store_rows *base, int column)
{
        const struct postgresql_rows *rows = (const struct postgresql_rows *)base;
        const struct postgresql_answer *answer = rows->answer;
        assert(base->on_row);
        if (answer->rows)
                return (struct place){answer->result, answer->rows[rows->row], column + 1};
        return (struct place){answer->result, rows->row, column};
}

bool postgresql_is_null(const struct store_rows *base, int column)
{
        struct place at = place_of(base, column);
        return PQgetisnull(at.result, at.row, at.column);
}

int64_t postgresql_i64(const struct store_rows *base, int column)
{
        struct place at = place_of(base, column);
        uint64_t big;
        uint32_t middle;
        uint16_t small;
        if (PQgetisnull(at.result, at.row, at.column))
                return 0;
        const char *p = PQgetvalue(at.result, at.row, at.column);
        switch (PQftype(at.result, at.column)) {
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
        struct place at = place_of(base, column);
        if (PQgetisnull(at.result, at.row, at.column))
                return (struct str){0};
        assert(is_text(PQftype(at.result, at.column)));
        return (struct str){PQgetvalue(at.result, at.row, at.column), (size_t)PQgetlength(at.result, at.row, at.column)};
}

struct str postgresql_text(const struct store_rows *base, int column)
{
        return postgresql_bytes(base, column);
}
