/* SPDX-License-Identifier: Apache-2.0
 *
 * A store as a whole, for the tools that copy one (common/transfer): its tables as the catalogue knows them, rows by
 * their keys, the note that says what is being done with it, filling an empty one, and following the changes of one that
 * is in use. Nothing for handlers.
 */
#pragma once

#include "common/store/store.h"

/* --- tables ---------------------------------------------------------------------------------------------- */

#define STORE_KEY_MOST     4
#define STORE_COLUMNS_MOST 64

struct store_column {
        const char *name;
        enum store_type type; /* I64, TEXT or BYTES */
};
/* Columns stand by name and a key's columns in the order of the primary key: so the same on both engines. */
struct store_table {
        const char *name;
        struct store_column *columns;
        size_t n_columns;
        size_t key[STORE_KEY_MOST]; /* which columns */
        size_t n_key;
        int64_t rows; /* about as many; exact on SQLite if asked for */
        /* SQL, made once, in the arena: kept by a connection of a tool's. */
        const char *page, *page_after, *get, *remove, *put, *put_one;
};
struct store_tables {
        struct store_table *items; /* by name */
        size_t n;
};
/* All that a service keeps. Not what an engine's own workings need (who writes, the record of migrations, marks, leases).
 * counted: also how many rows each has (SQLite: it goes through them). -ENOTSUP: a table without a key, or of other types. */
int store_tables_read(struct store_conn *conn, struct arena *arena, bool counted, struct store_tables *ret,
                      const char **ret_error) MUST_USE;
struct store_table *store_tables_find(const struct store_tables *tables, struct str name);

/* The migrations that have run, in the order in which they can run again. */
int store_migrations_read(struct store_conn *conn, struct arena *arena, struct store_migration **ret_list,
                          size_t *ret_n) MUST_USE;
/* Runs a list that may have several folders. */
int store_migrations_run(struct store_conn *writer, const struct store_migration *list, size_t n,
                         const char **ret_error) MUST_USE;

/* Rows of a table in the order of its key (texts and bytes by their bytes): after `after` (n_key values; NULL: from the
 * start), at most limit. Then store_next, and store_value_of for each column. */
int store_table_page(struct store_conn *conn, const struct store_table *table, const struct store_value *after, int64_t limit,
                     struct store_rows **ret_rows) MUST_USE;
/* How many keys the next two take at once. */
size_t store_table_keys(const struct store_table *table);
int store_table_get(struct store_conn *conn, const struct store_table *table, const struct store_value *keys, size_t n,
                    struct store_rows **ret_rows) MUST_USE;
int store_table_remove(struct store_conn *conn, const struct store_table *table, const struct store_value *keys, size_t n) MUST_USE;
/* Puts n rows (n_columns values each) into the table. What collides with a row that is there is left
 * out. What goes wrong may be told by what follows, at the latest by the commit; likewise with store_table_remove. */
int store_table_put(struct store_conn *conn, const struct store_table *table, const struct store_value *values, size_t n) MUST_USE;
struct store_value store_value_of(const struct store_rows *rows, int column, enum store_type type); /* lent as store_text */

/* --- what is being done with it ------------------------------------------------------------------------------ */

enum store_state {
        STORE_IN_USE,   /* as ever */
        STORE_FILLING,  /* a copy is being made into it; nobody else may use it (STORE_E_FILLING) */
        STORE_FILLED,   /* the copy is whole, and waits for the word that its source is out of use (STORE_E_FILLING) */
        STORE_FOLLOWED, /* in use, and its changes are noted for a copy */
        STORE_HELD,     /* nobody writes for a moment: the last changes are being copied */
        STORE_MOVED,    /* out of use: the data is elsewhere (STORE_E_MOVED) */
};
struct store_use {
        enum store_state state;
        char id[40];      /* of the copying */
        int64_t until_us; /* FOLLOWED, HELD: UTC; if nobody has said more by then, all goes on as before */
        char other[256];  /* the address of the other end, without password */
};
/* Also where there is no schema yet. */
int store_use_read(struct store_conn *conn, struct store_use *ret_use) MUST_USE;
/* In a transaction of the writer's. */
int store_use_write(struct store_conn *writer, const struct store_use *use) MUST_USE;
/* May a service use it so? 0, STORE_E_FILLING or STORE_E_MOVED, with a line that says what to do. */
int store_use_check(const struct store_use *use, const char **ret_error) MUST_USE;
/* An address without its password, for notes and messages. */
void store_address(char out[256], const char *url);

/* A connection of one who waits for a shared store to be filled: it may ask store_use_read, and whoever fills sees by
 * store_waiting how many there are. */
int store_waiter_open(struct store *store, struct store_conn **ret_conn) MUST_USE;
int store_waiting(struct store_conn *conn, int64_t *ret_n) MUST_USE;

/* --- filling an empty store (opened with store_options.tool) --------------------------------------------------- */

/* Nobody else fills it meanwhile: 0 or STORE_E_LOCKED. Lasts as long as the connection. */
int store_fill_lock(struct store_conn *writer) MUST_USE;
/* Has it no table but its engine's own? 1, 0, or an error. */
int store_is_empty(struct store_conn *conn) MUST_USE;
int store_wipe(struct store_conn *writer) MUST_USE;       /* takes away every table, but the note of its use */
int store_fill_begin(struct store_conn *writer) MUST_USE; /* from here on references between tables are not checked */
int store_fill_settle(struct store_conn *writer) MUST_USE; /* most is there: gathers the planner's statistics */
int store_fill_end(struct store_conn *writer) MUST_USE; /* they are, for what comes; identities go on behind what is there */
/* Do all references hold that came unchecked? 1, 0, or an error. May take long; others may write meanwhile. */
int store_fill_check(struct store_conn *writer) MUST_USE;

/* --- following a store that is in use (SQLite) ------------------------------------------------------------------ */

/* From the commit on, every change of a row notes its key, whoever writes (triggers). In the writer's transaction. */
int store_follow_begin(struct store_conn *writer) MUST_USE;
int store_follow_end(struct store_conn *writer) MUST_USE;
/* Notes after a position, oldest first: then store_next and store_note_of. */
int store_notes(struct store_conn *conn, int64_t after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
struct store_note {
        int64_t position;
        struct str table;
};
struct store_note store_note_of(const struct store_rows *rows); /* lent as store_text */
/* The key in the current note, by the table's types. */
void store_note_key(const struct store_rows *rows, const struct store_table *table, struct store_value key[STORE_KEY_MOST]);
int store_notes_head(struct store_conn *conn, int64_t *ret_position) MUST_USE;
