/* SPDX-License-Identifier: Apache-2.0
 *
 * A store that is a PostgreSQL database: its address, and everybody being a writer.
 */
#include "common/store/postgresql.h"

#include <stdlib.h>

/* Where the address says nothing else. A part that is gone is noticed within seconds, also if it says nothing. */
static const char *const defaults[][2] = {
        {"connect_timeout", "2"},         {"target_session_attrs", "read-write"},
        {"keepalives_idle", "5"},         {"keepalives_interval", "2"},
        {"keepalives_count", "3"},        {"tcp_user_timeout", "5000"},
        {"client_encoding", "UTF8"},      {"application_name", "nuanxin"},
        {"gssencmode", "disable"},
};

static struct store *close_store(struct store *base)
{
        struct postgresql_store *store = (struct postgresql_store *)base;
        for (size_t i = 0; store->keywords[i]; i++) {
                free((char *)store->keywords[i]);
                free((char *)store->values[i]);
        }
        free(store->keywords);
        free(store->values);
        free(store);
        return NULL;
}

static void set_option(struct postgresql_store *store, size_t *n, const char *keyword, const char *value)
{
        for (size_t i = 0; i < *n; i++)
                if (strcmp(store->keywords[i], keyword) == 0)
                        return;
        store->keywords[*n] = mem_strdup(keyword);
        store->values[(*n)++] = mem_strdup(value);
}

int postgresql_open(const char *url, struct store **ret_store, const char **ret_error)
{
        char *words = NULL;
        PQconninfoOption *options = PQconninfoParse(url, &words);
        PQfreemem(words); /* they may hold a part of the password */
        if (!options)
                return store_fail(ret_error, -EINVAL, "the store's address is not as libpq takes it: "
                                                      "postgresql://USER@HOST:PORT/DATABASE?…");
        size_t given = 0, n = 0;
        while (options[given].keyword)
                given++;
        struct postgresql_store *store = mem_zalloc(sizeof(*store));
        store->base.engine = &postgresql_engine;
        store->keywords = mem_zalloc((given + ARRAY_LEN(defaults) + 1) * sizeof(*store->keywords));
        store->values = mem_zalloc((given + ARRAY_LEN(defaults) + 1) * sizeof(*store->values));
        for (size_t i = 0; i < given; i++)
                if (options[i].val)
                        set_option(store, &n, options[i].keyword, options[i].val);
        for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
                set_option(store, &n, defaults[i][0], defaults[i][1]);
        PQconninfoFree(options);
        *ret_store = &store->base;
        return 0;
}

/* --- who writes: everybody --------------------------------------------------------------------------------- */

static struct store_writer *writer_release(struct store_writer *writer)
{
        writer->conn = store_conn_close(writer->conn);
        free(writer);
        return NULL;
}

static int writer_acquire(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                          const char **ret_error)
{
        struct store_writer *writer = mem_zalloc(sizeof(*writer));
        struct postgresql_conn *c = postgresql_conn_new(store, writer);
        (void)instance;
        (void)wait;
        *writer = (struct store_writer){.engine = &postgresql_engine, .store = store, .conn = &c->base};
        int r = postgresql_connect(c);
        if (r != 0) {
                store_fail(ret_error, r, "%s", c->base.error);
                writer_release(writer);
                return r;
        }
        *ret_writer = writer;
        return 0;
}

static int writer_extra(struct store_writer *writer, struct store_conn **ret_conn)
{
        struct postgresql_conn *c = postgresql_conn_new(writer->store, writer);
        int r = postgresql_connect(c);
        if (r != 0) {
                store_conn_close(&c->base);
                return r;
        }
        *ret_conn = &c->base;
        return 0;
}

static int64_t writer_epoch(const struct store_writer *writer)
{
        (void)writer;
        return 0;
}

static int writer_heartbeat(struct store_writer *writer)
{
        (void)writer;
        return 0;
}

static int writer_observe(struct store *store, int *ret_pid, int64_t *ret_still_us)
{
        (void)store;
        *ret_pid = 0;
        *ret_still_us = 0;
        return 0;
}

/* --- readers ----------------------------------------------------------------------------------------------- */

/* 1: yes. */
static int has_row(struct store_conn *conn, const char *sql)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, sql, &rows);
        return r == 0 ? store_next(rows) : r;
}

static int reader_open(struct store *store, struct store_conn **ret_conn)
{
        static const char has_table[] = "SELECT 1 WHERE to_regclass('store_migration') IS NOT NULL";
        static const char has_schema[] = "SELECT 1 FROM store_migration LIMIT 1";
        struct postgresql_conn *c = postgresql_conn_new(store, NULL);
        int r = postgresql_connect(c);
        if (r == 0)
                r = has_row(&c->base, has_table);
        if (r == 1)
                r = has_row(&c->base, has_schema);
        if (r != 1) {
                if (r != 0)
                        r = store_fail(NULL, r, "%s", c->base.error);
                store_conn_close(&c->base);
                return r == 0 || r == STORE_E_RETRY ? -EAGAIN : r;
        }
        *ret_conn = &c->base;
        return 0;
}

/* --- the engine -------------------------------------------------------------------------------------------- */

static int nothing_to_do(struct store_conn *conn)
{
        (void)conn; /* the server's own checkpointer does it */
        return 0;
}

static void rest(struct store_conn *conn)
{
        (void)conn;
}

static const char *const marks[N_MARKS] = {"BIGINT", "BYTEA", "TEXT COLLATE \"C\"", "", ""};

const struct store_engine postgresql_engine = {
        .shared = true,
        .close = close_store,
        .writer_acquire = writer_acquire,
        .writer_release = writer_release,
        .writer_extra = writer_extra,
        .writer_epoch = writer_epoch,
        .writer_heartbeat = writer_heartbeat,
        .writer_observe = writer_observe,
        .reader_open = reader_open,
        .conn_close = postgresql_conn_close,
        .begin = postgresql_begin,
        .commit = postgresql_commit,
        .rollback = postgresql_rollback,
        .in_transaction = postgresql_in_transaction,
        .set_isolation = postgresql_set_isolation,
        .listen = postgresql_listen,
        .wait = postgresql_wait,
        .gather = postgresql_gather,
        .savepoint = postgresql_savepoint,
        .savepoint_release = postgresql_savepoint_release,
        .savepoint_leave = postgresql_savepoint_leave,
        .savepoint_rollback = postgresql_savepoint_rollback,
        .checkpoint = nothing_to_do,
        .settle = nothing_to_do,
        .rest = rest,
        .exec = postgresql_exec,
        .exec_many = postgresql_exec_many,
        .query = postgresql_query,
        .next = postgresql_next,
        .rows_close = postgresql_rows_close,
        .rows_free = postgresql_rows_free,
        .i64 = postgresql_i64,
        .text = postgresql_text,
        .bytes = postgresql_bytes,
        .is_null = postgresql_is_null,
        .marks = marks,
        .script = postgresql_script,
        .migration_lock = postgresql_migration_lock,
        .migration_unlock = postgresql_migration_unlock,
};
