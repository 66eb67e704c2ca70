/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this module share; nobody else includes it. SQLite's types stay in sqlite_*.c: the second
 * engine comes with files of its own beside them.
 */
#pragma once

#include "common/store/store.h"

struct sqlite3;

struct store {
        char *path; /* of the database file, without symbolic links: all processes must agree on its lock */
        char *lock_path;
        char *vfs; /* NULL: the system's */
        int64_t cache_kib;
        bool no_sync;
};

/* Writes a line for a person into this thread's text and lends it through ret_error; returns r. */
int store_fail(const char **ret_error, int r, const char *format, ...) PRINTF(3, 4);

/* Makes the names in path's folder durable. */
int store_sync_folder(const char *path, const char **ret_error) MUST_USE;

/* Does statfs(2)'s f_type name a file system where locks or shared memory may not hold across machines? */
bool store_is_network_fs(uint64_t type);

/* --- connections (sqlite_conn.c) --- */

/* writer NULL: a reader. *ret_conn is written only on success. */
int conn_open(struct store *store, struct store_writer *writer, struct store_conn **ret_conn,
              const char **ret_error) MUST_USE;
bool conn_is_writer(const struct store_conn *conn);
struct sqlite3 *conn_handle(const struct store_conn *conn);
/* Turns SQLite's result into ours and keeps its text for store_last_error(). Does not return after a failed
 * fsync on the writer. */
int conn_error(struct store_conn *conn, int sqlite_result);
/* A caller's mistake: keeps the text; -EINVAL. */
int conn_misuse(struct store_conn *conn, const char *text) MUST_USE;
/* Moves the whole log into the file and empties it, or fails: what a takeover begins with. */
int conn_checkpoint_all(struct store_conn *conn) MUST_USE;

/* --- statements (sqlite_statement.c) --- */

/* Statements of one connection by the address of their text. Bounded: what comes when it is full is prepared
 * for one use. */
#define STATEMENTS_SLOTS 1024u
#define STATEMENTS_MAX   768u
struct statements {
        struct store_rows *slots[STATEMENTS_SLOTS];
        size_t n;
};
struct statements *conn_statements(struct store_conn *conn);
void statements_done(struct statements *statements);
/* Runs BEGIN, COMMIT and the like: without the rules that hold for a caller's SQL. */
int statement_control(struct store_conn *conn, const char *sql) MUST_USE;
/* Runs a text of many statements, uncached: schema files. */
int statement_script(struct store_conn *conn, const char *sql) MUST_USE;

/* --- who writes (sqlite_writer.c) --- */

/* Does the lock file still stand where it was locked? 0 or STORE_E_DEPOSED, which is for ever. */
int writer_check_lock(struct store_writer *writer) MUST_USE;
/* Is the epoch still ours (in the open transaction, or as it stands)? 0, STORE_E_DEPOSED, or an error. */
int writer_check_epoch(struct store_writer *writer) MUST_USE;
