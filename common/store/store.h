/* SPDX-License-Identifier: Apache-2.0
 *
 * A service's database: one API over two engines, SQLite and PostgreSQL, and one SQL text.
 *
 * SQL is a constant string with $1, $2 … placeholders, BIGINT microseconds for times, RETURNING, and
 * ON CONFLICT. A statement is prepared once a connection and found by the address of its text, if that is a
 * string literal or a static const array; any other text is prepared each time. Nothing here retries or logs; a
 * connection belongs to one thread at a time.
 *
 * What both engines take: a query that is not read to its end says LIMIT; sums say CAST(SUM(x) AS BIGINT); texts
 * compare by their bytes; a transaction on the writer is as if no other ran beside it (PostgreSQL: SERIALIZABLE).
 */
#pragma once

#include "common/base/arena.h"

/* Positive results, for the caller to handle. */
#define STORE_E_CONSTRAINT 1 /* a UNIQUE, CHECK, NOT NULL or FOREIGN KEY said no: go back to the savepoint */
#define STORE_E_RETRY      2 /* the engine ended the transaction; the same work may succeed if run again, whole */
#define STORE_E_LOCKED     3 /* another process holds the writer's lock */
#define STORE_E_DEPOSED    4 /* a successor writes now: this process must not, ever again */
#define STORE_E_UNAVAILABLE 5 /* the database is not reached (lost, restarting, failing over). The next store_begin tries
                               * to connect anew. From store_commit: whether it took effect is not known. */
#define STORE_E_GATHERED 7    /* put down, to be answered together with others: run what asked again (store_gather) */
#define STORE_E_OUTGROWN 6    /* a newer build has taken away from the schema what this one needs */
#define STORE_E_FILLING  7    /* a copy is being made into it (a move, a restore): not yet to be used */
#define STORE_E_MOVED    8    /* its data is elsewhere now: never to be used again */

struct store;
struct store_conn;
struct store_rows;

struct store_options {
        int64_t cache_kib;  /* page cache of a connection; 0: 4096, and 16384 of the writer: what a batch changes stays in it */
        const char *vfs;    /* SQLite VFS name for fault tests, or NULL */
        /* Opened for copying all of it (whole.h): STORE_E_FILLING and STORE_E_MOVED do not stop it, and every text of SQL that
         * it gives stays where it is, and as it is, for as long as the connection. */
        bool tool;
        bool unsafe_no_sync; /* synchronous=OFF: only to show that a test notices */
};

/* url: "sqlite:PATH" (relative or absolute; the folder must exist; network file systems are refused with
 * -ENOTSUP; makes the file, 0600, if there is none), or "postgresql://…" as libpq takes it (several hosts: the one that
 * takes writes; does not connect yet). A line for a person in *ret_error (arena-free static thread-local text) goes with
 * every failure; it never holds a password. */
int store_open(const char *url, const struct store_options *options, struct store **ret_store,
               const char **ret_error) MUST_USE;
struct store *store_close(struct store *store); /* after its connections; takes NULL; returns NULL */
DEFINE_CLEANUP(struct store *, store_close)
/* Do many processes, and many threads of each, write at once (PostgreSQL)? Else one thread of one process does. */
bool store_is_shared(const struct store *store);

/* --- schema ------------------------------------------------------------------------------------------ */

/* How a schema changes while older builds serve from it: first expand, later contract.
 *
 * A plain file only *expands*: a new table, a new nullable or defaulted column, a new index. Whatever the builds before it
 * do goes on working, so the first newer instance that may write runs it, and older ones go on, or start, beside it; a
 * newer instance that may not write does not read before it has run (store_schema_fits). Both ways of keeping a fact are
 * written until no build is left that reads the old one.
 * A file whose name ends in ".contract" takes away (drops, renames, tightens) what the build that brings it does no longer
 * need. It waits for the operator's word (`nuanxin store contract`, which asks every instance whether it can do without),
 * since there is no way back to an older build afterwards: that one finds, in the record, the name of a contraction that
 * it does not know, and refuses the store (STORE_E_OUTGROWN). No later file may count on a contraction having run. On a
 * new database everything runs at once. */

/* One numbered file. Types in it are portable marks: @int (INTEGER / BIGINT), @bytes (BLOB / BYTEA), @text (TEXT, which
 * compares by bytes); a line that begins with @postgresql is for that engine alone (the mark is taken off); after a
 * table's closing parenthesis @strict (STRICT / nothing) or @clustered (STRICT, WITHOUT ROWID / nothing: rows
 * stand in the order of the primary key, one tree fewer to write). */
struct store_migration {
        const char *name; /* "membership/001_core"; "membership/007_drop_nick.contract" */
        const char *sql;  /* NUL-terminated */
};
/* Assembles a file into the object: STORE_SCHEMA(sql_001, "services/membership/schema/001_core.sql"); gives a
 * NUL-terminated const char sql_001[]. */
#define STORE_SCHEMA(symbol, path)                                                                           \
        __asm__(".pushsection .rodata\n.global " #symbol "\n" #symbol ":\n.incbin \"" path                   \
                "\"\n.byte 0\n.popsection\n");                                                               \
        extern const char symbol[]

/* Runs what has not run yet but contractions, in order, each in a transaction of its own, under the writer's lock (shared:
 * under a lock of the database's, and while others serve). A recorded migration whose text has changed is -EUCLEAN.
 * The names of a list begin with one folder, its own. */
int store_migrate(struct store_conn *writer, const struct store_migration *list, size_t n,
                  const char **ret_error) MUST_USE;
/* Can a build with this list work with the database as it is? 1: yes; 0: some of the list has not run (contractions
 * aside); STORE_E_OUTGROWN: never again; or an error. */
int store_schema_fits(struct store_conn *conn, const struct store_migration *list, size_t n,
                      const char **ret_error) MUST_USE;
bool store_is_contraction(const struct store_migration *migration);
/* Is it a contraction that has not run? 1, 0, or an error. */
int store_contract_pending(struct store_conn *conn, const struct store_migration *migration) MUST_USE;
/* Runs a contraction that is pending, in the open transaction. */
int store_contract(struct store_conn *writer, const struct store_migration *migration, bool *ret_ran,
                   const char **ret_error) MUST_USE;

/* --- who may write ------------------------------------------------------------------------------------- */

/* Shared: everybody is a writer, at once, and the lock, the epoch, the heartbeat and observing have no part.
 *
 * On SQLite one process writes: it holds OFD locks on the database and on PATH.lock for life. Its pid and a heartbeat stand in
 * that file, so a waiting process can tell who writes and whether it still moves. */
struct store_writer;

/* wait: block until the lock is free (in a thread of its own); else STORE_E_LOCKED at once. On success the
 * store's write connection is open, writer_epoch has been raised, the WAL was checkpointed with TRUNCATE, and
 * whatever the predecessor had committed is durable. -EBUSY after 3 s if that cannot be had, since a reader holds
 * an old snapshot or a frozen predecessor a transaction: try again. -EINTR if a signal ended the wait. instance: its
 * id, for people who read the file. */
int store_writer_acquire(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                         const char **ret_error) MUST_USE;
struct store_writer *store_writer_release(struct store_writer *writer); /* closes the connection, frees the lock */
DEFINE_CLEANUP(struct store_writer *, store_writer_release)
struct store_conn *store_writer_conn(struct store_writer *writer); /* for the write lane's thread only */
/* Shared: one more connection that writes, for a thread of its own; close it before the writer. Else -ENOTSUP. */
int store_writer_extra(struct store_writer *writer, struct store_conn **ret_conn) MUST_USE;
int64_t store_writer_epoch(const struct store_writer *writer);
/* The holder calls it each second from the thread that writes; long statements do so by themselves. STORE_E_DEPOSED: the
 * lock file is not the one that was locked. */
int store_writer_heartbeat(struct store_writer *writer) MUST_USE;
/* A process that waits: the holder's pid (0: unknown, or of another PID namespace) and for how long its heartbeat has stood still. */
int store_writer_observe(struct store *store, int *ret_pid, int64_t *ret_still_us) MUST_USE;

/* --- connections and transactions ------------------------------------------------------------------------ */

/* A read-only connection: never writes, never checkpoints (NO_CKPT_ON_CLOSE). Many may be open, also while nobody
 * writes; the folder must be writable all the same (PATH-shm). -EAGAIN while the database has no schema yet. */
int store_reader_open(struct store *store, struct store_conn **ret_conn) MUST_USE;
/* What the database said when this thread's last store_reader_open failed; "" if nothing. Lent until its next failure. */
const char *store_reader_error(void);
struct store_conn *store_conn_close(struct store_conn *conn);
DEFINE_CLEANUP(struct store_conn *, store_conn_close)

/* On the writer: takes the write lock now and checks writer_epoch and the lock file (STORE_E_DEPOSED); before that
 * a checkpoint that is due, so what it costs falls between the answers of one batch and the start of the next (on a
 * full disk it may be -ENOSPC here already). On a reader: a read snapshot, from the first read on. */
int store_begin(struct store_conn *conn) MUST_USE;
/* Durable when it returns 0. A failed fsync ends the process (abort with a log line): what the kernel has dropped
 * cannot be known. Any other failure has rolled back; -ECANCELED: the engine had done so before. */
int store_commit(struct store_conn *conn) MUST_USE;
void store_rollback(struct store_conn *conn); /* no effect outside a transaction */
bool store_in_transaction(const struct store_conn *conn); /* false after the engine itself ended it */

/* How a shared store keeps the connection's next transactions apart; elsewhere it is always serial. READ_COMMITTED is
 * for what says itself what it locks: numbering, leases, sweeping. */
enum store_isolation { STORE_SERIALIZABLE, STORE_READ_COMMITTED };
void store_set_isolation(struct store_conn *conn, enum store_isolation isolation);

/* The rest of this transaction may take minutes (counts made anew from all rows): a server that says nothing for seconds
 * is not thought to be frozen. */
void store_take_time(struct store_conn *conn);

/* Shared stores only (-ENOTSUP): news between their processes. Whoever commits `SELECT pg_notify(channel, text)` wakes
 * those who listen. Outside a transaction. store_wait: 1: news came (the first text that was not yet told, 64 bytes), 0: none within
 * that time, STORE_E_UNAVAILABLE: the connection was lost; listen again. */
int store_listen(struct store_conn *conn, const char *channel) MUST_USE;
int store_wait(struct store_conn *conn, int64_t timeout_us, char ret_text[64]) MUST_USE;

/* On a reader in a transaction: brings the answers of what has been put down so far, in one round trip, and puts down from
 * now on (on), or no longer, each query that has no answer yet: it gives STORE_E_GATHERED. Whoever asked passes that on and
 * is run again after the next store_gather, when the same query with the same arguments finds its answer at hand, to the
 * end of the transaction. No effect where a query costs no round trip (SQLite). 0 or STORE_E_UNAVAILABLE. */
int store_gather(struct store_conn *conn, bool on) MUST_USE;

/* One savepoint at a time: a request inside a batch. -ECANCELED if there is no transaction any more. */
int store_savepoint(struct store_conn *conn) MUST_USE;
int store_savepoint_release(struct store_conn *conn) MUST_USE;
/* As store_savepoint_release, but nobody waits: what still goes wrong with statements that were put off ends the transaction
 * and is told as -ECANCELED by a later call that does wait. Then run the requests one by one. */
int store_savepoint_leave(struct store_conn *conn) MUST_USE;
int store_savepoint_rollback(struct store_conn *conn) MUST_USE; /* undoes to the savepoint and removes it */
/* SQLite: how many rows this connection has changed since it was opened, also those undone since: nothing was written between two
 * times at which it is the same. Without a statement open. */
int64_t store_written(const struct store_conn *conn);

/* The writer: moves the WAL into the file if that costs no one anything (PASSIVE); call when idle. */
int store_checkpoint(struct store_conn *writer) MUST_USE;

/* The writer, at rest: moves all of the WAL into the file and empties it, so that nothing which was overwritten or
 * deleted stays in it. No effect while a reader is in the way. */
int store_settle(struct store_conn *writer) MUST_USE;

/* Gives the connection's cache back: for one that has been idle for a while. It fills again by itself. */
void store_rest(struct store_conn *conn);

/* --- statements ------------------------------------------------------------------------------------------ */

enum store_type { STORE_NULL, STORE_I64, STORE_TEXT, STORE_BYTES };
struct store_value {
        enum store_type type;
        int64_t i;
        struct str s; /* kept by the caller until the call returns */
};
#define I64(v)        ((struct store_value){.type = STORE_I64, .i = (v)})
#define TEXT(str_)    ((struct store_value){.type = STORE_TEXT, .s = (str_)})     /* struct str */
#define TEXTZ(z)      ((struct store_value){.type = STORE_TEXT, .s = str_of(z)})  /* const char * */
#define BYTES(p_, n_) ((struct store_value){.type = STORE_BYTES, .s = {(const char *)(p_), (n_)}})
#define SQLNULL()     ((struct store_value){.type = STORE_NULL})
/* Empty text as NULL: for nullable columns. */
#define TEXT_OR_NULL(str_) ((str_).n ? TEXT(str_) : SQLNULL())

#define STORE_ARGS(...) ((const struct store_value[]){{0}, ##__VA_ARGS__} + 1), \
        (sizeof((const struct store_value[]){{0}, ##__VA_ARGS__}) / sizeof(struct store_value) - 1)

/* Runs to the end; the number of changed rows in *ret_changed. NULL: nobody asks; then PostgreSQL may take the statement
 * together with the next one, and what goes wrong with it is told by that one (at the latest by store_savepoint_release or
 * store_commit): who wants to learn of STORE_E_CONSTRAINT here gives ret_changed. On the writer nothing changes outside a
 * transaction (-ECANCELED): a handler that runs on after a full disk must not make its second half durable. -EINVAL
 * for mistakes (wrong number of arguments, two statements in one text, the same statement still open).
 *   r = store_exec(db, SQL_X, &changed, TEXTZ(id), I64(now)); */
#define store_exec(conn, sql, ret_changed, ...) \
        store_exec_values((conn), (sql), (ret_changed), STORE_ARGS(__VA_ARGS__))
int store_exec_values(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                      size_t n_args) MUST_USE;

/* As store_exec, without a number, for n lists of n_args arguments, one after the other: an INSERT of rows that differ in
 * their key, so that one statement may take them all. */
int store_exec_many(struct store_conn *conn, const char *sql, const struct store_value *args, size_t n_args,
                    size_t n) MUST_USE;

/* Starts a query; then store_next() for each row. Close it (or use _cleanup_) before the same SQL runs again.
 *   _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
 *   r = store_query(db, SQL_X, &rows, TEXTZ(id));
 *   while (r == 0 && (r = store_next(rows)) == 1) { … r = 0; }   */
#define store_query(conn, sql, ret_rows, ...) \
        store_query_values((conn), (sql), (ret_rows), STORE_ARGS(__VA_ARGS__))
int store_query_values(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                       const struct store_value *args, size_t n_args) MUST_USE;
/* 1: a row is there; 0: no more; or an error (negative, or STORE_E_RETRY which is never 1). STORE_E_CONSTRAINT is
 * reported as -EEXIST here, since 1 means a row. */
int store_next(struct store_rows *rows) MUST_USE;
struct store_rows *store_rows_close(struct store_rows *rows);
DEFINE_CLEANUP(struct store_rows *, store_rows_close)

/* Columns of the current row, from 0. Text and bytes are lent until the next store_next or close. NULL reads as
 * 0 or {NULL,0}. */
int64_t store_i64(const struct store_rows *rows, int column);
struct str store_text(const struct store_rows *rows, int column); /* NUL-terminated after n */
struct str store_bytes(const struct store_rows *rows, int column);
bool store_is_null(const struct store_rows *rows, int column);
/* A NUL-terminated copy in the arena; "" for NULL: what protobuf-c's string fields want. */
char *store_text_dup(const struct store_rows *rows, int column, struct arena *arena);

/* The last error of this connection, for logs: never contains data. */
const char *store_last_error(const struct store_conn *conn);
