/* SPDX-License-Identifier: Apache-2.0
 *
 * One SQLite connection: how it is set up, what its errors mean, transactions, and checkpoints.
 *
 * Readers open the database file read-only. SQLite still maps PATH-shm for writing (that is where readers
 * mark their snapshots) and makes or recovers it when no writer is there, so the folder must be writable.
 */
#include "common/store/sqlite.h"
#include "common/base/log.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

/* For how long a call waits for other connections: another tool on the file, a recovery in progress, readers
 * with an old snapshot at a takeover. */
#define BUSY_MS 3000

#define PROGRESS_STEPS 100000 /* of SQLite's machine, a few milliseconds */

/* Pages in the log (4 KiB each) after which the next transaction begins with a checkpoint: its answers are
 * out by then, so commits stay flat. Beyond the limit readers are waited for, shortly: a log that never ends
 * slows every read. */
#define WAL_DUE_PAGES   3000
#define WAL_LIMIT_PAGES 16000
#define WAL_LIMIT_MS    50

static int error_of_system(sqlite3 *db, int otherwise)
{
        int e = sqlite3_system_errno(db);
        return e == ENOSPC || e == EDQUOT ? -ENOSPC : otherwise;
}

int sqlite_error(struct store_conn *conn, int result)
{
        int extended = sqlite3_extended_errcode(sqlite_handle(conn));
        if ((extended & 0xff) != (result & 0xff))
                extended = result;
        snprintf(conn->error, sizeof(conn->error), "%s (SQLite %d)", sqlite3_errmsg(sqlite_handle(conn)), extended);

        if (conn->writer && (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC)) {
                log_error("fsync failed: what is on disk is unknown, so this process ends", "error=\"%s\"",
                          conn->error);
                abort();
        }
        switch (result & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_CONSTRAINT:
                return STORE_E_CONSTRAINT;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_ABORT: /* a rollback ended this statement */
                return STORE_E_RETRY;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_NOMEM:
                abort();
        case SQLITE_IOERR:
                return error_of_system(sqlite_handle(conn), -EIO);
        case SQLITE_CANTOPEN:
                return error_of_system(sqlite_handle(conn), -ENOENT);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_INTERRUPT:
                return -EINTR;
        case SQLITE_TOOBIG:
                return -E2BIG;
        default:
                return -EINVAL;
        }
}

static int on_wal_commit(void *userdata, sqlite3 *db, const char *name, int pages)
{
        struct sqlite_conn *conn = userdata;
        (void)db;
        (void)name;
        conn->wal_pages = pages;
        if (pages < conn->wal_pages_settled)
                conn->wal_pages_settled = 0; /* the log began anew */
        return SQLITE_OK;
}

/* Settings of every connection. Double quotes never mean text: PostgreSQL would not take it. */
static int set_up(struct store_conn *conn, const struct sqlite_store *store)
{
        static const struct {
                int option, value;
        } switches[] = {
                {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1}, {SQLITE_DBCONFIG_DEFENSIVE, 1},
                {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},   {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
                {SQLITE_DBCONFIG_DQS_DML, 0},          {SQLITE_DBCONFIG_DQS_DDL, 0},
        };
        char pragmas[256];

        sqlite3_extended_result_codes(sqlite_handle(conn), 1);
        sqlite3_busy_timeout(sqlite_handle(conn), BUSY_MS);
        for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
                int result = sqlite3_db_config(sqlite_handle(conn), switches[i].option, switches[i].value, NULL);
                if (result != SQLITE_OK)
                        return sqlite_error(conn, result);
        }
        snprintf(pragmas, sizeof(pragmas),
                 "PRAGMA cache_size=-%lld; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
                 "PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON; PRAGMA synchronous=%s;",
                 (long long)(conn->writer ? store->writer_cache_kib : store->cache_kib), store->no_sync ? "OFF" : "FULL");
        int result = sqlite3_exec(sqlite_handle(conn), pragmas, NULL, NULL, NULL);
        return result == SQLITE_OK ? 0 : sqlite_error(conn, result);
}

/* A long statement moves too. */
static int on_progress(void *userdata)
{
        const struct store_conn *conn = userdata;
        sqlite_writer_moves(conn->writer);
        return 0;
}

static int set_up_writer(struct store_conn *conn)
{
        sqlite3_stmt *stmt = NULL;
        bool wal = false;
        int result = sqlite3_prepare_v2(sqlite_handle(conn), "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
        if (result == SQLITE_OK && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
                wal = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
                result = sqlite3_step(stmt); /* the row says "wal" even if what follows it fails */
        }
        int r = result == SQLITE_DONE ? (wal ? 0 : -ENOTSUP) : sqlite_error(conn, result);
        sqlite3_finalize(stmt);
        if (r != 0)
                return r;
        sqlite3_wal_autocheckpoint(sqlite_handle(conn), 0);
        sqlite3_wal_hook(sqlite_handle(conn), on_wal_commit, conn);
        sqlite3_progress_handler(sqlite_handle(conn), PROGRESS_STEPS, on_progress, conn);
        result = sqlite3_exec(sqlite_handle(conn), "PRAGMA journal_size_limit=67108864", NULL, NULL, NULL);
        return result == SQLITE_OK ? 0 : sqlite_error(conn, result);
}

/* Nobody asks SQLite how much memory it holds: counting it takes a lock for each allocation. Once a process, before
 * the first connection. */
static void configure_engine(void)
{
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int sqlite_conn_open(struct store *base, struct store_writer *writer, struct store_conn **ret_conn,
                     const char **ret_error)
{
        const struct sqlite_store *store = (const struct sqlite_store *)base;
        struct sqlite_conn *db = mem_zalloc(sizeof(*db));
        _cleanup_(store_conn_closep) struct store_conn *conn = &db->base;
        static pthread_once_t configured = PTHREAD_ONCE_INIT;
        pthread_once(&configured, configure_engine);
        int flags = SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);

        conn->engine = &sqlite_engine;
        conn->writer = writer;
        int result = sqlite3_open_v2(store->path, &db->db, flags, store->vfs);
        if (!db->db)
                abort();
        int r = result == SQLITE_OK ? 0 : sqlite_error(conn, result);
        if (r == 0)
                r = set_up(conn, store);
        if (r == 0 && writer)
                r = set_up_writer(conn);
        if (r != 0)
                return store_fail(ret_error, r > 0 ? -EBUSY : r, "cannot open %s: %s", store->path,
                                  conn->error);
        *ret_conn = TAKE(conn);
        return 0;
}

int sqlite_reader_open(struct store *store, struct store_conn **ret_conn)
{
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        static const char has_table[] = "SELECT 1 FROM sqlite_master WHERE name = 'store_migration'";
        static const char has_schema[] = "SELECT 1 FROM store_migration LIMIT 1";

        int r = sqlite_conn_open(store, NULL, &conn, NULL);
        if (r != 0)
                return r;
        r = store_query(conn, has_table, &rows);
        if (r == 0 && (r = store_next(rows)) == 1) {
                rows = store_rows_close(rows);
                r = store_query(conn, has_schema, &rows);
                if (r == 0)
                        r = store_next(rows);
        }
        if (r != 1)
                return r == 0 || r == STORE_E_RETRY ? -EAGAIN : store_fail(NULL, r, "%s", conn->error);
        rows = store_rows_close(rows);
        *ret_conn = TAKE(conn);
        return 0;
}

struct store_conn *sqlite_conn_close(struct store_conn *conn)
{
        statements_done(conn);
        int result = sqlite3_close(sqlite_handle(conn));
        assert(result == SQLITE_OK); /* else a statement was left open */
        free(conn);
        return NULL;
}

/* --- transactions --------------------------------------------------------------------------------------- */

bool sqlite_in_transaction(const struct store_conn *conn)
{
        return !sqlite3_get_autocommit(sqlite_handle(conn));
}

/* mode as for sqlite3_wal_checkpoint_v2(). 0 also if readers let only a part of it happen. */
static int checkpoint(struct store_conn *conn, int mode, int busy_ms)
{
        struct sqlite_conn *state = (struct sqlite_conn *)conn;
        int pages = 0, settled = 0;
        int r = sqlite_writer_check_lock(conn->writer);
        if (r == 0)
                r = sqlite_writer_check_epoch(conn->writer);
        if (r != 0)
                return r;
        sqlite3_busy_timeout(sqlite_handle(conn), busy_ms);
        int result = sqlite3_wal_checkpoint_v2(sqlite_handle(conn), NULL, mode, &pages, &settled);
        sqlite3_busy_timeout(sqlite_handle(conn), BUSY_MS);
        if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY)
                return sqlite_error(conn, result);
        if (result != SQLITE_OK)
                snprintf(conn->error, sizeof(conn->error), "a reader holds on to an old snapshot");
        /* Even if little of it was settled: try again only after as much more. */
        state->wal_pages_settled = state->wal_pages;
        return result == SQLITE_OK ? 0 : STORE_E_RETRY;
}

int sqlite_checkpoint_all(struct store_conn *conn)
{
        int r = checkpoint(conn, SQLITE_CHECKPOINT_TRUNCATE, BUSY_MS);
        return r == STORE_E_RETRY ? -EBUSY : r;
}

void sqlite_rest(struct store_conn *conn)
{
        sqlite3_db_release_memory(sqlite_handle(conn));
}

int sqlite_checkpoint_some(struct store_conn *conn)
{
        assert(conn->writer && !sqlite_in_transaction(conn));
        int r = checkpoint(conn, SQLITE_CHECKPOINT_PASSIVE, BUSY_MS);
        return r == STORE_E_RETRY ? 0 : r;
}

int sqlite_settle(struct store_conn *conn)
{
        assert(conn->writer && !sqlite_in_transaction(conn));
        int r = checkpoint(conn, SQLITE_CHECKPOINT_TRUNCATE, 0);
        return r == STORE_E_RETRY ? 0 : r;
}

static int checkpoint_if_due(struct store_conn *conn)
{
        const struct sqlite_conn *state = (const struct sqlite_conn *)conn;
        if (state->wal_pages - state->wal_pages_settled < WAL_DUE_PAGES)
                return 0;
        if (state->wal_pages < WAL_LIMIT_PAGES)
                return sqlite_checkpoint_some(conn);
        int r = checkpoint(conn, SQLITE_CHECKPOINT_RESTART, WAL_LIMIT_MS);
        return r == STORE_E_RETRY ? 0 : r;
}

int sqlite_begin(struct store_conn *conn)
{
        static const char begin_write[] = "BEGIN IMMEDIATE", begin_read[] = "BEGIN";
        assert(!sqlite_in_transaction(conn));
        conn->in_savepoint = false;
        if (!conn->writer)
                return sqlite_control(conn, begin_read);

        int r = checkpoint_if_due(conn);
        if (r == 0)
                r = sqlite_writer_check_lock(conn->writer);
        if (r == 0)
                r = sqlite_control(conn, begin_write);
        if (r != 0)
                return r;
        r = sqlite_writer_check_epoch(conn->writer);
        if (r != 0)
                sqlite_rollback(conn);
        return r;
}

int sqlite_commit(struct store_conn *conn)
{
        static const char commit[] = "COMMIT";
        assert(!conn->in_savepoint || !sqlite_in_transaction(conn));
        if (!sqlite_in_transaction(conn))
                return -ECANCELED; /* the engine ended it: there is nothing that could become durable */
        int r = sqlite_control(conn, commit);
        if (r != 0)
                sqlite_rollback(conn);
        return r;
}

void sqlite_rollback(struct store_conn *conn)
{
        static const char rollback[] = "ROLLBACK";
        conn->in_savepoint = false;
        if (!sqlite_in_transaction(conn))
                return;
        int r = sqlite_control(conn, rollback);
        assert(r == 0 && !sqlite_in_transaction(conn));
        (void)r;
}

int sqlite_savepoint(struct store_conn *conn)
{
        static const char savepoint[] = "SAVEPOINT request";
        assert(!conn->in_savepoint || !sqlite_in_transaction(conn));
        if (!sqlite_in_transaction(conn))
                return -ECANCELED; /* SQLite would begin a transaction here */
        int r = sqlite_control(conn, savepoint);
        if (r == 0)
                conn->in_savepoint = true;
        return r;
}

int sqlite_savepoint_release(struct store_conn *conn)
{
        static const char release[] = "RELEASE request";
        if (!sqlite_in_transaction(conn))
                return -ECANCELED;
        assert(conn->in_savepoint);
        int r = sqlite_control(conn, release);
        if (r == 0)
                conn->in_savepoint = false;
        return r;
}

int sqlite_savepoint_rollback(struct store_conn *conn)
{
        static const char rollback_to[] = "ROLLBACK TO request";
        if (!sqlite_in_transaction(conn))
                return -ECANCELED;
        assert(conn->in_savepoint);
        int r = sqlite_control(conn, rollback_to);
        return r == 0 ? sqlite_savepoint_release(conn) : r;
}

int64_t sqlite_written(const struct store_conn *conn)
{
        return sqlite3_total_changes64(sqlite_handle(conn));
}
