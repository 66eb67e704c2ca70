/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the PostgreSQL engine share; nobody else includes it.
 *
 * A connection works in libpq's pipeline mode. What is sent stands in a list of what is pending, in its order; whoever
 * needs an answer sends a Sync and collects everything up to it, so one round trip brings all that was put off. BEGIN and
 * SAVEPOINT are due from store_begin and store_savepoint on, and go with the first statement. After a failure the
 * transaction takes nothing more: what it was is told to each caller until somebody goes back.
 */
#pragma once

#include "common/store/internal.h"

#include <libpq-fe.h>

struct postgresql_store {
        struct store base;
        const char **keywords, **values; /* as PQconnectdbParams takes them */
};

/* What a query comes to: neither result nor error while it is pending. */
struct postgresql_answer {
        PGresult *result;
        int error;       /* STORE_E_GATHERED: it was skipped since another failed, and may be sent again */
        int n_rows;
        const int *rows; /* these rows of the result, whose first column is not the query's; NULL: all that there is */
};

/* What one message that was sent waits for. */
enum pending_kind { PENDING_PREPARE, PENDING_EXEC, PENDING_QUERY, PENDING_SAVEPOINT, PENDING_COMMIT, PENDING_SYNC };
struct pending {
        enum pending_kind kind;
        bool quiet;                       /* a failure of it is nobody's any more */
        bool left;                        /* its savepoint was: a failure of it is the whole transaction's */
        struct postgresql_rows *rows;     /* PREPARE; NULL: gone */
        struct postgresql_answer *answer; /* QUERY; NULL: gone */
        int64_t *ret_changed;             /* EXEC; or NULL */
};

/* BEGIN: not yet; with the first statement; sent. */
enum transaction { TRANSACTION_NONE, TRANSACTION_DUE, TRANSACTION_OPEN };

struct postgresql_conn {
        struct store_conn base;
        struct postgresql_store *store;
        PGconn *pg;          /* NULL: not connected */
        uint32_t connection; /* which one, from 1: a statement is prepared on one */
        uint32_t names;      /* of statements given so far */
        enum transaction transaction;
        enum store_isolation isolation;
        bool savepoint_due, savepoint_made;
        int failed;  /* what ended the transaction, or made it wait for a rollback */
        bool warned; /* by the server, since the last COMMIT was sent */
        bool committed;
        struct pending *pending;
        size_t pending_first, pending_end, pending_max;
        struct gather *gather; /* NULL: it never gathered */
        unsigned ends; /* of results in a row: libpq has lost the thread at the second */
};

struct postgresql_rows {
        struct store_rows base;
        uint32_t connection; /* on which it is prepared; 0: on none */
        uint32_t name;
        struct postgresql_answer own, *answer; /* its own, or one of the gathered */
        int row;
        struct postgresql_rows *merged; /* the same for many arguments at once; NULL: not made */
        Oid types[]; /* of the parameters, as it was prepared; 0: the server's choice */
};

static inline struct postgresql_conn *postgresql_of(struct store_conn *conn)
{
        return (struct postgresql_conn *)conn;
}

/* --- the connection (postgresql_conn.c) --- */

/* Does not connect. */
struct postgresql_conn *postgresql_conn_new(struct store *store, struct store_writer *writer);
struct store_conn *postgresql_conn_close(struct store_conn *conn);
/* Connects if there is no connection: 0 or STORE_E_UNAVAILABLE. */
int postgresql_connect(struct postgresql_conn *c) MUST_USE;
/* Notices, without waiting, that an idle connection was ended by the other side. */
void postgresql_look(struct postgresql_conn *c);
/* The connection is of no use any more. why: for a person; NULL: libpq's words; "": those kept already. STORE_E_UNAVAILABLE, which is what the
 * transaction failed with, if there was one. */
int postgresql_lost(struct postgresql_conn *c, const char *why);
/* Something came within that time: 1; nothing: 0; or STORE_E_UNAVAILABLE. */
int postgresql_wait_input(struct postgresql_conn *c, int64_t timeout_us) MUST_USE;
/* Waits for the socket, bounded. 0: libpq has a result; STORE_E_UNAVAILABLE: it was lost. */
int postgresql_wait_ready(struct postgresql_conn *c, int64_t patience_us) MUST_USE;
#define PATIENCE_US        (5 * CLOCK_SECOND_US)   /* without a byte from the server */
#define PATIENCE_READ_US   (2 * CLOCK_SECOND_US)   /* so that another instance may be asked within a request's time */
#define PATIENCE_SCRIPT_US (900 * CLOCK_SECOND_US) /* an index over a large table takes its time */

/* --- errors (postgresql_error.c) --- */

/* What a failed result means; keeps its text. drop: the connection must not be used on. */
int postgresql_error(struct postgresql_conn *c, const PGresult *result, bool *ret_drop);

/* --- the pipeline (postgresql_pipeline.c) --- */

void postgresql_pend(struct postgresql_conn *c, struct pending pending);
/* An answer has no place any more. Outside a transaction a failure is nobody's then. */
void postgresql_forget_answer(struct postgresql_conn *c, const struct postgresql_answer *answer);
/* Nor has a statement. */
void postgresql_forget_rows(struct postgresql_conn *c, const struct postgresql_rows *rows);
/* Everything pending is nobody's any more. */
void postgresql_hush(struct postgresql_conn *c);
/* Sends a Sync; what went wrong before it ends there. */
int postgresql_sync(struct postgresql_conn *c) MUST_USE;
/* Is something pending since the last Sync? */
bool postgresql_unsynced(const struct postgresql_conn *c);
/* Sync, then waits for all that is pending. The first thing that went wrong: it is kept as the transaction's failure, on
 * a reader the next statement begins anew, and outside a transaction it is told only here. */
int postgresql_collect(struct postgresql_conn *c) MUST_USE;
/* Takes what has come already. */
void postgresql_take_ready(struct postgresql_conn *c);

/* --- transactions (postgresql_transaction.c) --- */

/* Before a statement: connects, begins, sets the savepoint, as it is due. */
int postgresql_enter(struct postgresql_conn *c) MUST_USE;
/* Ends the open transaction without waiting. */
void postgresql_abandon(struct postgresql_conn *c);
int postgresql_begin(struct store_conn *conn) MUST_USE;
int postgresql_commit(struct store_conn *conn) MUST_USE;
void postgresql_rollback(struct store_conn *conn);
bool postgresql_in_transaction(const struct store_conn *conn);
void postgresql_set_isolation(struct store_conn *conn, enum store_isolation isolation);
int postgresql_savepoint(struct store_conn *conn) MUST_USE;
int postgresql_savepoint_release(struct store_conn *conn) MUST_USE;
int postgresql_savepoint_leave(struct store_conn *conn) MUST_USE;
int postgresql_savepoint_rollback(struct store_conn *conn) MUST_USE;

/* --- statements (postgresql_statement.c) --- */

/* The end of what is no place for parameters (a quoted text, a comment) from p on; p if it is none. */
const char *postgresql_skip_opaque(const char *p);
/* Prepares it under a name, with rows->types. */
int postgresql_prepare(struct postgresql_conn *c, struct postgresql_rows *rows) MUST_USE;
/* Its name on the server; without one it lasts until the next such one. */
const char *postgresql_name(const struct postgresql_rows *rows, char text[16]);
/* The kept statement of this text. */
int postgresql_find(struct postgresql_conn *c, const char *sql, size_t n_args, struct postgresql_rows **ret_rows) MUST_USE;
/* Sends a query, with its answer pending. */
int postgresql_send_query(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args,
                          struct postgresql_answer *answer) MUST_USE;
Oid postgresql_type(const struct store_value *v); /* 0: of any */
/* Puts BEGIN, SAVEPOINT and the like into the pipeline. */
int postgresql_control(struct postgresql_conn *c, const char *sql, enum pending_kind kind) MUST_USE;
int postgresql_exec(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                    size_t n_args) MUST_USE;
int postgresql_exec_many(struct store_conn *conn, const char *sql, const struct store_value *args, size_t n_args,
                         size_t n) MUST_USE;
int postgresql_query(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                     const struct store_value *args, size_t n_args) MUST_USE;

/* --- results (postgresql_rows.c) --- */

/* Takes the result over: 0, or -EINVAL if there is a column of a type that the store does not know. */
int postgresql_answer_take(struct postgresql_conn *c, struct postgresql_answer *answer, PGresult *result) MUST_USE;
int postgresql_next(struct store_rows *rows) MUST_USE;
void postgresql_rows_close(struct store_rows *rows);
void postgresql_rows_free(struct store_rows *rows);
int64_t postgresql_i64(const struct store_rows *rows, int column);
struct str postgresql_text(const struct store_rows *rows, int column);
struct str postgresql_bytes(const struct store_rows *rows, int column);
bool postgresql_is_null(const struct store_rows *rows, int column);

enum { TYPE_BOOL = 16, TYPE_BYTES = 17, TYPE_I64 = 20, TYPE_I16 = 21, TYPE_I32 = 23, TYPE_TEXT = 25 }; /* pg_type.dat */

/* --- gathering (postgresql_gather.c) --- */

int postgresql_gather(struct store_conn *conn, bool on) MUST_USE;
/* The answer that such a query has, or is to be given: then whoever asks comes back for it (*ret_wait). NULL: it is none
 * of the gathered. */
struct postgresql_answer *postgresql_gathered(struct postgresql_conn *c, const char *sql, const struct store_value *args,
                                              size_t n_args, bool *ret_wait);
/* The transaction ended. */
void postgresql_gather_reset(struct postgresql_conn *c);
void postgresql_gather_free(struct postgresql_conn *c);

/* --- one statement for many (postgresql_merge.c) --- */

/* Sends a statement once for n lists of arguments, one after the other in args; its result is what is pending. A query's
 * rows come after a column that counts the lists from 1. False: it is not of a kind where that may be done. */
bool postgresql_merge(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args, size_t n,
                      struct pending pending, int *ret_result);

/* --- who writes, news, migrations (postgresql_store.c, postgresql_news.c) --- */

int postgresql_listen(struct store_conn *conn, const char *channel) MUST_USE;
int postgresql_wait(struct store_conn *conn, int64_t timeout_us, char ret_text[64]) MUST_USE;
int postgresql_script(struct store_conn *conn, const char *sql) MUST_USE;
int postgresql_migration_lock(struct store_conn *conn, int64_t until_us) MUST_USE;
void postgresql_migration_unlock(struct store_conn *conn);
