/* SPDX-License-Identifier: Apache-2.0
 *
 * One end of a copying: a store that is read, or one that is filled. Inside of common/transfer.
 */
#pragma once

#include "common/transfer/file.h"
#include "common/transfer/row.h"
#include "common/transfer/transfer.h"

struct end {
        struct store *store;
        struct store_writer *writer; /* of one that is filled */
        struct store_conn *conn;     /* the writer's, or a reader */
        char address[256];           /* without password */
        struct store_tables tables;
};
void end_close(struct end *end);
/* Says what went wrong at this end; returns r. */
int end_fail(const struct end *end, int r, const char *what, const char **ret_error);

/* For reading; a SQLite file is not made here. */
int end_open_source(struct end *end, const char *url, const char **ret_error) MUST_USE;

/* For filling: nobody else may write or fill it. */
int end_open_target(struct end *end, const char *url, const char **ret_error) MUST_USE;
/* Notes that it is being filled, and clears what an earlier copying left unfinished; refuses (-ENOTEMPTY) a store that holds
 * anything else. Never is there a moment in which it looks like a store to use. */
int end_claim(struct end *end, const char *id, const char *other, const char **ret_error) MUST_USE;
/* The note of its use, in a transaction of its own. */
int end_note(struct end *end, enum store_state state, const char *id, const char *other, const char **ret_error) MUST_USE;
/* The schema by these migrations; then its tables are known, and references between them unchecked. */
int end_prepare(struct end *end, struct arena *arena, const struct store_migration *migrations, size_t n,
                const char **ret_error) MUST_USE;
/* Puts a page of rows of another end's table of the same shape, in the open transaction. */
int end_put(struct end *end, const struct page *page, const char **ret_error) MUST_USE;
/* Is it the same table, with the same columns and key? */
bool tables_match(const struct store_table *a, const struct store_table *b);

/* Whose store it is, of which history: the first part of a report. */
int end_describe(struct end *end, struct arena *arena, struct transfer_report *report, const struct store_migration **ret_migrations,
                 const char **ret_error) MUST_USE;
void report_tables(struct transfer_report *report, struct arena *arena, const struct store_tables *tables, const struct row_sum *sums);
void report_service(struct transfer_report *report, struct arena *arena, const struct store_migration *migrations, size_t n);
void progress_say(const struct transfer_progress *progress, const char *what, int64_t done, int64_t total);
