/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements: prepared once a connection and found by the address of their text, $1 … bound by name, and
 * their rows. A statement and its open result are the same object (struct store_rows).
 */
#include "common/store/internal.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define PARAMETERS_MAX 64

struct store_rows {
        struct store_conn *conn;
        const char *sql; /* whose address is the key */
        sqlite3_stmt *stmt;
        bool cached; /* else it ends with its result */
        bool open;
        bool on_row;
        struct buf held; /* copies of text and bytes that a query's parameters point to */
        size_t n_args;
        size_t n_parameters;
        uint8_t argument[]; /* of each SQLite parameter: the number after its $, less one */
};

static struct store_rows *rows_free(struct store_rows *rows)
{
        if (rows) {
                sqlite3_finalize(rows->stmt);
                buf_done(&rows->held);
                free(rows);
        }
        return NULL;
}

/* SQLite numbers parameters as they first appear in the text; $N says which argument each one is. */
static int map_parameters(struct store_rows *rows)
{
        uint64_t used = 0;
        for (size_t i = 0; i < rows->n_parameters; i++) {
                const char *name = sqlite3_bind_parameter_name(rows->stmt, (int)i + 1);
                int64_t number;
                if (!name || name[0] != '$' || str_to_i64(str_of(name + 1), 1, PARAMETERS_MAX, &number) < 0)
                        return -EINVAL;
                rows->argument[i] = (uint8_t)(number - 1);
                used |= 1ull << (number - 1);
                if ((size_t)number > rows->n_args)
                        rows->n_args = (size_t)number;
        }
        return rows->n_args == (size_t)__builtin_popcountll(used) ? 0 : -EINVAL;
}

static int prepare(struct store_conn *conn, const char *sql, bool keep, struct store_rows **ret_rows)
{
        sqlite3_stmt *stmt = NULL;
        const char *tail;
        unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0;
        int result = sqlite3_prepare_v3(conn_handle(conn), sql, -1, flags, &stmt, &tail);
        if (result != SQLITE_OK)
                return conn_error(conn, result);
        size_t n = stmt ? (size_t)sqlite3_bind_parameter_count(stmt) : 0;
        struct store_rows *rows = mem_zalloc(sizeof(*rows) + n);
        rows->conn = conn;
        rows->sql = sql;
        rows->stmt = stmt;
        rows->cached = keep;
        rows->n_parameters = n;
        if (!stmt || tail[strspn(tail, " \t\r\n;")] || map_parameters(rows) < 0) {
                rows_free(rows);
                return conn_misuse(conn, "give one statement, with parameters $1 to $n");
        }
        *ret_rows = rows;
        return 0;
}

/* Does this text stand where the program's constants do, so that its address says which it is? (Symbols of the linker.) */
static bool is_constant(const char *sql)
{
        extern const char __executable_start[], __data_start[];
        return sql >= __executable_start && sql < __data_start;
}

/* Constants stand at fixed addresses; their low bits carry little. */
static size_t slot_of(const char *sql)
{
        return (size_t)(((uint64_t)(uintptr_t)sql * 0x9E3779B97F4A7C15ull) >> 32) % STATEMENTS_SLOTS;
}

/* A statement ready to bind. */
static int find(struct store_conn *conn, const char *sql, struct store_rows **ret_rows)
{
        struct statements *cache = conn_statements(conn);
        size_t slot = slot_of(sql);
        while (cache->slots[slot] && cache->slots[slot]->sql != sql)
                slot = (slot + 1) % STATEMENTS_SLOTS;
        struct store_rows *rows = cache->slots[slot];
        if (rows) {
                if (rows->open)
                        return conn_misuse(conn, "the same statement is still open");
                *ret_rows = rows;
                return 0;
        }
        bool keep = cache->n < STATEMENTS_MAX && is_constant(sql);
        int r = prepare(conn, sql, keep, &rows);
        if (r != 0)
                return r;
        if (keep) {
                cache->slots[slot] = rows;
                cache->n++;
        }
        *ret_rows = rows;
        return 0;
}

void statements_done(struct statements *statements)
{
        for (size_t i = 0; i < STATEMENTS_SLOTS; i++)
                statements->slots[i] = rows_free(statements->slots[i]);
        statements->n = 0;
}

static int bind(struct store_rows *rows, const struct store_value *args)
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
        return result == SQLITE_OK ? 0 : conn_error(rows->conn, result);
}

/* The caller's SQL. On the writer nothing may change outside a transaction: a handler that runs on after the
 * engine ended the batch must not make its second half durable. */
static int start(struct store_conn *conn, const char *sql, size_t n_args, struct store_rows **ret_rows)
{
        int r = find(conn, sql, ret_rows);
        if (r != 0)
                return r;
        struct store_rows *rows = *ret_rows;
        if (rows->n_args != n_args)
                r = conn_misuse(conn, "wrong number of arguments");
        else if (!store_in_transaction(conn) && conn_is_writer(conn) && !sqlite3_stmt_readonly(rows->stmt))
                r = -ECANCELED;
        if (r != 0 && !rows->cached)
                rows_free(rows);
        return r;
}

static void finish(struct store_rows *rows)
{
        sqlite3_reset(rows->stmt);
        if (rows->n_parameters)
                sqlite3_clear_bindings(rows->stmt);
        rows->open = rows->on_row = false;
        if (!rows->cached)
                rows_free(rows);
}

static int run(struct store_rows *rows)
{
        int result;
        do
                result = sqlite3_step(rows->stmt);
        while (result == SQLITE_ROW);
        return result == SQLITE_DONE ? 0 : conn_error(rows->conn, result);
}

int store_exec_values(struct store_conn *conn, const char *sql, int64_t *ret_changed,
                      const struct store_value *args, size_t n_args)
{
        struct store_rows *rows;
        int r = start(conn, sql, n_args, &rows);
        if (r != 0)
                return r;
        r = bind(rows, args);
        if (r == 0)
                r = run(rows);
        if (r == 0 && ret_changed)
                *ret_changed = sqlite3_stmt_readonly(rows->stmt) ? 0 : sqlite3_changes64(conn_handle(conn));
        finish(rows);
        return r;
}

int statement_control(struct store_conn *conn, const char *sql)
{
        struct store_rows *rows;
        int r = find(conn, sql, &rows);
        if (r != 0)
                return r;
        r = run(rows);
        finish(rows);
        return r;
}

int statement_script(struct store_conn *conn, const char *sql)
{
        int result = sqlite3_exec(conn_handle(conn), sql, NULL, NULL, NULL);
        return result == SQLITE_OK ? 0 : conn_error(conn, result);
}

/* Copies what the arguments point to, for as long as the result is open; one allocation that is kept. */
static void hold(struct store_rows *rows, const struct store_value *args, struct store_value *held)
{
        size_t total = 0;
        for (size_t i = 0; i < rows->n_args; i++)
                total += args[i].type == STORE_TEXT || args[i].type == STORE_BYTES ? args[i].s.n : 0;
        rows->held.n = 0;
        buf_reserve(&rows->held, total);
        for (size_t i = 0; i < rows->n_args; i++) {
                held[i] = args[i];
                if (args[i].type != STORE_TEXT && args[i].type != STORE_BYTES)
                        continue;
                held[i].s.p = args[i].s.n ? rows->held.p + rows->held.n : "";
                buf_add_str(&rows->held, args[i].s);
        }
}

int store_query_values(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                       const struct store_value *args, size_t n_args)
{
        struct store_value held[PARAMETERS_MAX];
        struct store_rows *rows;
        int r = start(conn, sql, n_args, &rows);
        if (r != 0)
                return r;
        hold(rows, args, held);
        r = bind(rows, held);
        if (r != 0) {
                finish(rows);
                return r;
        }
        rows->open = true;
        *ret_rows = rows;
        return 0;
}

int store_next(struct store_rows *rows)
{
        assert(rows->open);
        int result = sqlite3_step(rows->stmt);
        rows->on_row = result == SQLITE_ROW;
        if (rows->on_row)
                return 1;
        if (result == SQLITE_DONE)
                return 0;
        int r = conn_error(rows->conn, result);
        return r == STORE_E_CONSTRAINT ? -EEXIST : r;
}

struct store_rows *store_rows_close(struct store_rows *rows)
{
        if (rows) {
                if (rows->held.cap > 64 * 1024)
                        buf_done(&rows->held);
                finish(rows);
        }
        return NULL;
}

/* --- columns -------------------------------------------------------------------------------------------- */

int64_t store_i64(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        return sqlite3_column_int64(rows->stmt, column);
}

struct str store_text(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        const char *p = (const char *)sqlite3_column_text(rows->stmt, column);
        return (struct str){p, p ? (size_t)sqlite3_column_bytes(rows->stmt, column) : 0};
}

struct str store_bytes(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        const char *p = sqlite3_column_blob(rows->stmt, column);
        return (struct str){p, p ? (size_t)sqlite3_column_bytes(rows->stmt, column) : 0};
}

bool store_is_null(const struct store_rows *rows, int column)
{
        assert(rows->on_row);
        return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

char *store_text_dup(const struct store_rows *rows, int column, struct arena *arena)
{
        struct str s = store_text(rows, column);
        return arena_strndup(arena, s.p, s.n);
}
