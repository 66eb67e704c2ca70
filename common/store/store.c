/* SPDX-License-Identifier: Apache-2.0
 *
 * From store.h to the engine that the store's address names.
 */
#include "common/store/internal.h"
#include "common/store/whole.h"

#include <stdarg.h>
#include <stdio.h>

#define FAILURE_MOST 320

/* The thread's last words of a failure. */
static char *failure(void)
{
        static _Thread_local char text[FAILURE_MOST];
        return text;
}

int store_fail(const char **ret_error, int r, const char *format, ...)
{
        char *text = failure();
        va_list args;
        va_start(args, format);
        vsnprintf(text, FAILURE_MOST, format, args);
        va_end(args);
        if (ret_error)
                *ret_error = text;
        return r;
}

int conn_misuse(struct store_conn *conn, const char *text)
{
        snprintf(conn->error, sizeof(conn->error), "%s", text);
        return -EINVAL;
}

int store_open(const char *url, const struct store_options *options, struct store **ret_store,
               const char **ret_error)
{
        static const struct store_options defaults = {0};
        struct str rest = str_of(url), scheme = str_cut(&rest, ':');
        int r;
        if (!options)
                options = &defaults;
        if (str_is(scheme, "sqlite") && rest.n)
                r = sqlite_open(rest, options, ret_store, ret_error);
        else if (str_is(scheme, "postgresql") && rest.n)
                r = postgresql_open(url, ret_store, ret_error);
        else /* Not the address itself: it may be one with a password, misspelt. */
                return store_fail(ret_error, -EINVAL, "the store's address must be sqlite:PATH or postgresql://…");
        if (r == 0)
                (*ret_store)->tool = options->tool;
        return r;
}

struct store *store_close(struct store *store)
{
        return store ? store->engine->close(store) : NULL;
}

bool store_is_shared(const struct store *store)
{
        return store->engine->shared;
}

/* --- who may write --------------------------------------------------------------------------------------- */

/* Is it a service's to use? */
static int check_use(const struct store *store, struct store_conn *conn, const char **ret_error)
{
        struct store_use use;
        if (store->tool)
                return 0;
        int r = store_use_read(conn, &use);
        if (r != 0)
                return store_fail(ret_error, r, "cannot read what the store is used for: %s", conn->error);
        return store_use_check(&use, ret_error);
}

int store_writer_acquire(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                         const char **ret_error)
{
        _cleanup_(store_writer_releasep) struct store_writer *writer = NULL;
        int r = store->engine->writer_acquire(store, instance, wait, &writer, ret_error);
        if (r == 0)
                r = check_use(store, writer->conn, ret_error);
        if (r == 0) {
                writer->conn->tool = store->tool;
                *ret_writer = TAKE(writer);
        }
        return r;
}

struct store_writer *store_writer_release(struct store_writer *writer)
{
        return writer ? writer->engine->writer_release(writer) : NULL;
}

struct store_conn *store_writer_conn(struct store_writer *writer)
{
        return writer->conn;
}

int store_writer_extra(struct store_writer *writer, struct store_conn **ret_conn)
{
        return writer->engine->writer_extra(writer, ret_conn);
}

int64_t store_writer_epoch(const struct store_writer *writer)
{
        return writer->engine->writer_epoch(writer);
}

int store_writer_heartbeat(struct store_writer *writer)
{
        return writer->engine->writer_heartbeat(writer);
}

int store_writer_observe(struct store *store, int *ret_pid, int64_t *ret_still_us)
{
        return store->engine->writer_observe(store, ret_pid, ret_still_us);
}

/* --- connections and transactions -------------------------------------------------------------------------- */

int store_reader_open(struct store *store, struct store_conn **ret_conn)
{
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        failure()[0] = '\0';
        int r = store->engine->reader_open(store, &conn);
        if (r == 0)
                r = check_use(store, conn, NULL);
        if (r == 0) {
                conn->tool = store->tool;
                *ret_conn = TAKE(conn);
        }
        return r == STORE_E_FILLING ? -EAGAIN : r;
}

struct store_conn *store_conn_close(struct store_conn *conn)
{
        return conn ? conn->engine->conn_close(conn) : NULL;
}

const char *store_reader_error(void)
{
        return failure();
}

const char *store_last_error(const struct store_conn *conn)
{
        return conn->error;
}

int store_begin(struct store_conn *conn)
{
        return conn->engine->begin(conn);
}

int store_commit(struct store_conn *conn)
{
        return conn->engine->commit(conn);
}

void store_rollback(struct store_conn *conn)
{
        conn->engine->rollback(conn);
}

bool store_in_transaction(const struct store_conn *conn)
{
        return conn->engine->in_transaction(conn);
}

void store_set_isolation(struct store_conn *conn, enum store_isolation isolation)
{
        conn->engine->set_isolation(conn, isolation);
}

void store_take_time(struct store_conn *conn)
{
        conn->takes_time = true;
}

int store_listen(struct store_conn *conn, const char *channel)
{
        return conn->engine->listen(conn, channel);
}

int store_wait(struct store_conn *conn, int64_t timeout_us, char ret_text[64])
{
        return conn->engine->wait(conn, timeout_us, ret_text);
}

int store_gather(struct store_conn *conn, bool on)
{
        return conn->engine->gather(conn, on);
}

int store_savepoint(struct store_conn *conn)
{
        return conn->engine->savepoint(conn);
}

int store_savepoint_release(struct store_conn *conn)
{
        return conn->engine->savepoint_release(conn);
}

int store_savepoint_leave(struct store_conn *conn)
{
        return conn->engine->savepoint_leave(conn);
}

int store_savepoint_rollback(struct store_conn *conn)
{
        return conn->engine->savepoint_rollback(conn);
}

int64_t store_written(const struct store_conn *conn)
{
        return conn->engine->written(conn);
}

int store_checkpoint(struct store_conn *writer)
{
        return writer->engine->checkpoint(writer);
}

int store_settle(struct store_conn *writer)
{
        return writer->engine->settle(writer);
}

void store_rest(struct store_conn *conn)
{
        conn->engine->rest(conn);
}

/* --- statements -------------------------------------------------------------------------------------------- */

int store_exec_values(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                      size_t n_args)
{
        return conn->engine->exec(conn, sql, ret_changed, args, n_args);
}

int store_exec_many(struct store_conn *conn, const char *sql, const struct store_value *args, size_t n_args, size_t n)
{
        int r = 0;
        if (conn->engine->exec_many)
                return conn->engine->exec_many(conn, sql, args, n_args, n);
        for (size_t i = 0; i < n && r == 0; i++)
                r = conn->engine->exec(conn, sql, NULL, args + i * n_args, n_args);
        return r;
}

int store_query_values(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                       const struct store_value *args, size_t n_args)
{
        return conn->engine->query(conn, sql, ret_rows, args, n_args);
}

int store_next(struct store_rows *rows)
{
        return rows->engine->next(rows);
}

struct store_rows *store_rows_close(struct store_rows *rows)
{
        if (rows)
                rows->engine->rows_close(rows);
        return NULL;
}

int64_t store_i64(const struct store_rows *rows, int column)
{
        return rows->engine->i64(rows, column);
}

struct str store_text(const struct store_rows *rows, int column)
{
        return rows->engine->text(rows, column);
}

struct str store_bytes(const struct store_rows *rows, int column)
{
        return rows->engine->bytes(rows, column);
}

bool store_is_null(const struct store_rows *rows, int column)
{
        return rows->engine->is_null(rows, column);
}

char *store_text_dup(const struct store_rows *rows, int column, struct arena *arena)
{
        struct str s = rows->engine->text(rows, column);
        return arena_strndup(arena, s.p, s.n);
}
