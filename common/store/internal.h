/* SPDX-License-Identifier: Apache-2.0
 *
 * What both engines of this module share; nobody else includes it. Each engine has files of its own, sqlite_*.c and
 * postgresql_*.c, where its library's types stay, and one table of what it does; store.c leads from store.h there.
 */
#pragma once

#include "common/store/store.h"

/* As in store.h, without their prefix. */
struct store_engine {
        bool shared;
        struct store *(*close)(struct store *store);

        int (*writer_acquire)(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                              const char **ret_error);
        struct store_writer *(*writer_release)(struct store_writer *writer);
        int (*writer_extra)(struct store_writer *writer, struct store_conn **ret_conn);
        int64_t (*writer_epoch)(const struct store_writer *writer);
        int (*writer_heartbeat)(struct store_writer *writer);
        int (*writer_observe)(struct store *store, int *ret_pid, int64_t *ret_still_us);

        int (*reader_open)(struct store *store, struct store_conn **ret_conn);
        struct store_conn *(*conn_close)(struct store_conn *conn);
        int (*begin)(struct store_conn *conn);
        int (*commit)(struct store_conn *conn);
        void (*rollback)(struct store_conn *conn);
        bool (*in_transaction)(const struct store_conn *conn);
        void (*set_isolation)(struct store_conn *conn, enum store_isolation isolation);
        int (*listen)(struct store_conn *conn, const char *channel);
        int (*wait)(struct store_conn *conn, int64_t timeout_us, char ret_text[64]);
        int (*gather)(struct store_conn *conn, bool on);
        int (*savepoint)(struct store_conn *conn);
        int (*savepoint_release)(struct store_conn *conn);
        int (*savepoint_leave)(struct store_conn *conn);
        int (*savepoint_rollback)(struct store_conn *conn);
        int64_t (*written)(const struct store_conn *conn); /* not shared */
        int (*checkpoint)(struct store_conn *writer);
        int (*settle)(struct store_conn *writer);
        void (*rest)(struct store_conn *conn);

        int (*exec)(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                    size_t n_args);
        /* NULL: one after the other. */
        int (*exec_many)(struct store_conn *conn, const char *sql, const struct store_value *args, size_t n_args, size_t n);
        int (*query)(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                     const struct store_value *args, size_t n_args);
        int (*next)(struct store_rows *rows);
        void (*rows_close)(struct store_rows *rows);
        void (*rows_free)(struct store_rows *rows); /* what it holds of the engine's; then rows itself */
        int64_t (*i64)(const struct store_rows *rows, int column);
        struct str (*text)(const struct store_rows *rows, int column);
        struct str (*bytes)(const struct store_rows *rows, int column);
        bool (*is_null)(const struct store_rows *rows, int column);

        /* For migrate.c: the types of enum store_mark; a text of many statements, in the open transaction. Shared: a lock
         * against other processes' migrations (until: a monotonic time; STORE_E_RETRY: not had by then). */
        const char *const *marks;
        int (*script)(struct store_conn *writer, const char *sql);
        int (*migration_lock)(struct store_conn *writer, int64_t until_us);
        void (*migration_unlock)(struct store_conn *writer);
};
enum store_mark { MARK_INT, MARK_BYTES, MARK_TEXT, MARK_STRICT, MARK_CLUSTERED, N_MARKS };

extern const struct store_engine sqlite_engine, postgresql_engine;

/* An engine's own structs begin with these. */
struct store {
        const struct store_engine *engine;
        bool tool;
};
struct store_writer {
        const struct store_engine *engine;
        struct store *store;
        struct store_conn *conn;
};

/* Statements of one connection by the address of their text. Bounded: what comes when it is full is prepared
 * for one use. */
#define STATEMENTS_SLOTS 1024u
#define STATEMENTS_MAX   768u
struct statements {
        struct store_rows *slots[STATEMENTS_SLOTS];
        size_t n;
};

struct store_conn {
        const struct store_engine *engine;
        bool tool; /* its texts stay where they are */
        struct store_writer *writer; /* NULL: a reader */
        bool in_savepoint;
        bool takes_time; /* until the transaction ends */
        char error[240];
        struct statements statements;
};

/* A statement and its open result are one object. */
#define PARAMETERS_MAX 64
struct store_rows {
        const struct store_engine *engine;
        struct store_conn *conn;
        const char *sql; /* whose address is the key */
        bool cached;     /* else it ends with its result */
        bool open;
        bool on_row;
        size_t n_args;
};

int sqlite_open(struct str path, const struct store_options *options, struct store **ret_store,
                const char **ret_error) MUST_USE;
int postgresql_open(const char *url, struct store **ret_store, const char **ret_error) MUST_USE;

/* Writes a line for a person into this thread's text and lends it through ret_error; returns r. */
int store_fail(const char **ret_error, int r, const char *format, ...) PRINTF(3, 4);
/* A caller's mistake: keeps the text; -EINVAL. */
int conn_misuse(struct store_conn *conn, const char *text) MUST_USE;

/* --- statements (statement.c) --- */

/* The statement of this text if it is kept and not open: 1; 0: there is none; -EINVAL: it is open. */
int statement_find(struct store_conn *conn, const char *sql, struct store_rows **ret_rows) MUST_USE;
/* May a new one be kept? */
bool statement_keeps(const struct store_conn *conn, const char *sql);
/* Keeps it, if rows->cached says so. */
void statement_add(struct store_conn *conn, struct store_rows *rows);
struct store_rows *statement_free(struct store_rows *rows);
void statements_done(struct store_conn *conn);
