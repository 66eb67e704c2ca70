/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the SQLite engine share; nobody else includes it.
 */
#pragma once

#include "common/store/internal.h"

struct sqlite3;

struct sqlite_store {
        struct store base;
        char *path; /* of the database file, without symbolic links: all processes must agree on its lock */
        char *lock_path;
        char *vfs; /* NULL: the system's */
        int64_t cache_kib, writer_cache_kib;
        bool no_sync;
        int file; /* the database file, for the writer's lock on it: open before and after all that SQLite opens */
};

/* open(2) of a file that was not there, mode 0600. What root makes is whose the folder is: an operator restores a store for a
 * service that runs as a user of its own. */
int sqlite_make(const char *path) MUST_USE;
/* Makes the names in path's folder durable. */
int sqlite_sync_folder(const char *path, const char **ret_error) MUST_USE;

/* Does statfs(2)'s f_type name a file system where locks or shared memory may not hold across machines? */
bool sqlite_is_network_fs(uint64_t type);

/* --- connections (sqlite_conn.c) --- */

struct sqlite_conn {
        struct store_conn base;
        struct sqlite3 *db;
        int wal_pages;         /* in the log after the last commit */
        int wal_pages_settled; /* how many of them the last checkpoint left behind it */
};

static inline struct sqlite3 *sqlite_handle(const struct store_conn *conn)
{
        return ((const struct sqlite_conn *)conn)->db;
}

/* writer NULL: a reader. *ret_conn is written only on success. */
int sqlite_conn_open(struct store *store, struct store_writer *writer, struct store_conn **ret_conn,
                     const char **ret_error) MUST_USE;
struct store_conn *sqlite_conn_close(struct store_conn *conn);
/* Turns SQLite's result into ours and keeps its text for store_last_error(). Does not return after a failed
 * fsync on the writer. */
int sqlite_error(struct store_conn *conn, int sqlite_result);
/* Moves the whole log into the file and empties it, or fails: what a takeover begins with. */
int sqlite_checkpoint_all(struct store_conn *conn) MUST_USE;

int sqlite_reader_open(struct store *store, struct store_conn **ret_conn) MUST_USE;
bool sqlite_in_transaction(const struct store_conn *conn);
int sqlite_begin(struct store_conn *conn) MUST_USE;
int sqlite_commit(struct store_conn *conn) MUST_USE;
void sqlite_rollback(struct store_conn *conn);
int sqlite_savepoint(struct store_conn *conn) MUST_USE;
int sqlite_savepoint_release(struct store_conn *conn) MUST_USE;
int sqlite_savepoint_rollback(struct store_conn *conn) MUST_USE;
int64_t sqlite_written(const struct store_conn *conn);
int sqlite_checkpoint_some(struct store_conn *conn) MUST_USE;
int sqlite_settle(struct store_conn *conn) MUST_USE;
void sqlite_rest(struct store_conn *conn);

/* --- statements (sqlite_statement.c) --- */

int sqlite_exec_values(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                       size_t n_args) MUST_USE;
int sqlite_query_values(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                        const struct store_value *args, size_t n_args) MUST_USE;
int sqlite_next(struct store_rows *rows) MUST_USE;
void sqlite_rows_close(struct store_rows *rows);
void sqlite_rows_free(struct store_rows *rows);
int64_t sqlite_i64(const struct store_rows *rows, int column);
struct str sqlite_text(const struct store_rows *rows, int column);
struct str sqlite_bytes(const struct store_rows *rows, int column);
bool sqlite_is_null(const struct store_rows *rows, int column);
/* Runs BEGIN, COMMIT and the like: without the rules that hold for a caller's SQL. */
int sqlite_control(struct store_conn *conn, const char *sql) MUST_USE;
/* Runs a text of many statements, uncached: schema files. */
int sqlite_script(struct store_conn *conn, const char *sql) MUST_USE;

/* --- who writes (sqlite_writer.c) --- */

int sqlite_writer_acquire(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                          const char **ret_error) MUST_USE;
struct store_writer *sqlite_writer_release(struct store_writer *writer);
int64_t sqlite_writer_epoch(const struct store_writer *writer);
int sqlite_writer_heartbeat(struct store_writer *writer) MUST_USE;
void sqlite_writer_moves(struct store_writer *writer); /* called within long statements: a heartbeat, if one is due */
int sqlite_writer_observe(struct store *store, int *ret_pid, int64_t *ret_still_us) MUST_USE;
/* Does the lock file still stand where it was locked? 0 or STORE_E_DEPOSED, which is for ever. */
int sqlite_writer_check_lock(struct store_writer *writer) MUST_USE;
/* Is the epoch still ours (in the open transaction, or as it stands)? 0, STORE_E_DEPOSED, or an error. */
int sqlite_writer_check_epoch(struct store_writer *writer) MUST_USE;
