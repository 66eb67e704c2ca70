/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements: prepared once a connection and found by the address of their text, $1 … bound by name, and
 * their rows. A statement and its open result are the same object (struct store_rows).
 */
#include "common/store/sqlite.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct sqlite_rows {
        struct store_rows base;
        sqlite3_stmt *stmt;
        struct buf held; /* copies of text and bytes that a query's parameters point to */
        size_t n_parameters;
        uint8_t argument[]; /* of each SQLite parameter: the number after its $, less one */
};

static inline sqlite3_stmt *stmt_of(const struct store_rows *rows)
{
        return ((const struct sqlite_rows *)rows)->stmt;
}

void sqlite_rows_free(struct store_rows *base)
{
        struct sqlite_rows *rows = (struct sqlite_rows *)base;
        sqlite3_finalize(rows->stmt);
        buf_done(&rows->held);
}

/* SQLite numbers parameters as they first appear in the text; $N says which argument each one is. */
static int map_parameters(struct sqlite_rows *rows)
{
        uint64_t used = 0;
        for (size_t i = 0; i < rows->n_parameters; i++) {
                const char *name = sqlite3_bind_parameter_name(rows->stmt, (int)i + 1);
                int64_t number;
                if (!name || name[0] != '$' || str_to_i64(str_of(name + 1), 1, PARAMETERS_MAX, &number) < 0)
                        return -EINVAL;
                rows->argument[i] = (uint8_t)(number - 1);
                used |= 1ull << (number - 1);
                if ((size_t)number > rows->base.n_args)
                        rows->base.n_args = (size_t)number;
        }
        return rows->base.n_args == (size_t)__builtin_popcountll(used) ? 0 : -EINVAL;
}

static int prepare(struct store_conn *conn, const char *sql, bool keep, struct sqlite_rows **ret_rows)
{
        sqlite3_stmt *stmt = NULL;
        const char *tail;
        unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0;
        int result = sqlite3_prepare_v3(sqlite_handle(conn), sql, -1, flags, &stmt, &tail);
        if (result != SQLITE_OK)
                return sqlite_error(conn, result);
        size_t n = stmt ? (size_t)sqlite3_bind_parameter_count(stmt) : 0;
        struct sqlite_rows *rows = mem_zalloc(sizeof(*rows) + n);
        rows->base = (struct store_rows){.engine = &sqlite_engine, .conn = conn, .sql = sql, .cached = keep};
        rows->stmt = stmt;
        rows->n_parameters = n;
        if (!stmt || tail[strspn(tail, " \t\r\n;")] || map_parameters(rows) < 0) {
                statement_free(&rows->base);
                return conn_misuse(conn, "give one statement, with parameters $1 to $n");
        }
        *ret_rows = rows;
        return 0;
}

/* A statement ready to bind. */
static int find(struct store_conn *conn, const char *sql, struct sqlite_rows **ret_rows)
{
        struct store_rows *kept;
        int r = statement_find(conn, sql, &kept);
        if (r == 1) {
                *ret_rows = (struct sqlite_rows *)kept;
                return 0;
        }
        if (r == 0)
                r = prepare(conn, sql, statement_keeps(conn, sql), ret_rows);
        if (r == 0)
                statement_add(conn, &(*ret_rows)->base);
        return r;
}

static int bind(struct sqlite_rows *rows, const struct store_value *args)
{
        int result = SQLITE_OK;
        for (size_t i = 0; i < rows->n_parameters && result == SQLITE_OK; i++) {
                const struct store_value *v = &args[rows->argument[i]];
                const char *p = v->s.p ? v->s.p : ""; /* empty is not NULL */
                int at = (int)i + 1;
                switch (v->type) {
                case STORE_NULL:
                        result = sqlite3_bind_null(rows->stmt, at);
                        break;
                case STORE_I64:
                        result = sqlite3_bind_int64(rows->stmt, at, v->i);
                        break;
                case STORE_TEXT:
                        result = sqlite3_bind_text64(rows->stmt, at, p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
                        break;
                case STORE_BYTES:
                        result = sqlite3_bind_blob64(rows->stmt, at, p, v->s.n, SQLITE_STATIC);
                        break;
                }
        }
        return result == SQLITE_OK ? 0 : sqlite_error(rows->base.conn, result);
}

/* The caller's SQL. On the writer nothing may change outside a transaction: a handler that runs on after the
 * engine ended the batch must not make its second half durable. */
static int start(struct store_conn *conn, const char *sql, size_t n_args, struct sqlite_rows **ret_rows)
{
        int r = find(conn, sql, ret_rows);
        if (r != 0)
                return r;
        struct sqlite_rows *rows = *ret_rows;
        if (rows->base.n_args != n_args)
                r = conn_misuse(conn, "wrong number of arguments");
        else if (!sqlite_in_transaction(conn) && conn->writer && !sqlite3_stmt_readonly(rows->stmt))
                r = -ECANCELED;
        if (r != 0 && !rows->base.cached)
                statement_free(&rows->base);
        return r;
}

static void finish(struct sqlite_rows *rows)
{
        sqlite3_reset(rows->stmt);
        if (rows->n_parameters)
                sqlite3_clear_bindings(rows->stmt);
        rows->base.open = rows->base.on_row = false;
        if (!rows->base.cached)
                statement_free(&rows->base);
}

static int run(struct sqlite_rows *rows)
{
        int result;
        do
                result = sqlite3_step(rows->stmt);
        while (result == SQLITE_ROW);
        return result == SQLITE_DONE ? 0 : sqlite_error(rows->base.conn, result);
}

int sqlite_exec_values(struct store_conn *conn, const char *sql, int64_t *ret_changed,
                      const struct store_value *args, size_t n_args)
{
        struct sqlite_rows *rows;
        int r = start(conn, sql, n_args, &rows);
        if (r != 0)
                return r;
        r = bind(rows, args);
        if (r == 0)
                r = run(rows);
        if (r == 0 && ret_changed)
                *ret_changed = sqlite3_stmt_readonly(rows->stmt) ? 0 : sqlite3_changes64(sqlite_handle(conn));
        finish(rows);
        return r;
}

int sqlite_control(struct store_conn *conn, const char *sql)
{
        struct sqlite_rows *rows;
        int r = find(conn, sql, &rows);
        if (r != 0)
                return r;
        r = run(rows);
        finish(rows);
        return r;
}

int sqlite_script(struct store_conn *conn, const char *sql)
{
        int result = sqlite3_exec(sqlite_handle(conn), sql, NULL, NULL, NULL);
        return result == SQLITE_OK ? 0 : sqlite_error(conn, result);
}

/* Copies what the arguments point to, for as long as the result is open; one allocation that is kept. */
static void hold(struct sqlite_rows *rows, const struct store_value *args, struct store_value *held)
{
        size_t total = 0;
        for (size_t i = 0; i < rows->base.n_args; i++)
                total += args[i].type == STORE_TEXT || args[i].type == STORE_BYTES ? args[i].s.n : 0;
        rows->held.n = 0;
        buf_reserve(&rows->held, total);
        for (size_t i = 0; i < rows->base.n_args; i++) {
                held[i] = args[i];
                if (args[i].type != STORE_TEXT && args[i].type != STORE_BYTES)
                        continue;
                held[i].s.p = args[i].s.n ? rows->held.p + rows->held.n : "";
                buf_add_str(&rows->held, args[i].s);
        }
}

int sqlite_query_values(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                       const struct store_value *args, size_t n_args)
{
        struct store_value held[PARAMETERS_MAX];
        struct sqlite_rows *rows;
        int r = start(conn, sql, n_args, &rows);
        if (r != 0)
                return r;
        hold(rows, args, held);
        r = bind(rows, held);
        if (r != 0) {
                finish(rows);
                return r;
        }
        rows->base.open = true;
        *ret_rows = &rows->base;
        return 0;
}

int sqlite_next(struct store_rows *rows)
{
        assert(rows->open);
        int result = sqlite3_step(stmt_of(rows));
        rows->on_row = result == SQLITE_ROW;
        if (rows->on_row)
                return 1;
        if (result == SQLITE_DONE)
                return 0;
        int r = sqlite_error(rows->conn, result);
        return r == STORE_E_CONSTRAINT ? -EEXIST : r;
}

void sqlite_rows_close(struct store_rows *base)
{
        struct sqlite_rows *rows = (struct sqlite_rows *)base;
        if (rows->held.cap > 64 * 1024)
                buf_done(&rows->held);
        finish(rows);
}

/* --- columns -------------------------------------------------------------------------------------------- */

int64_t sqlite_i64(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        return sqlite3_column_int64(stmt_of(rows), column);
}

struct str sqlite_text(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        const char *p = (const char *)sqlite3_column_text(stmt_of(rows), column);
        return (struct str){p, p ? (size_t)sqlite3_column_bytes(stmt_of(rows), column) : 0};
}

struct str sqlite_bytes(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        const char *p = sqlite3_column_blob(stmt_of(rows), column);
        return (struct str){p, p ? (size_t)sqlite3_column_bytes(stmt_of(rows), column) : 0};
}

bool sqlite_is_null(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        return sqlite3_column_type(stmt_of(rows), column) == SQLITE_NULL;
}
