/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows on their way from one store to another: their one encoding, sums over them, and pages of them.
 */
#pragma once

#include "common/store/whole.h"

/* How many rows and the sum (modulo 2^128) of a keyed hash of each: it does not depend on their order, and a change
 * takes the old row out and the new one in. */
#define ROW_KEY_SIZE 16
struct row_sum {
        unsigned __int128 sum;
        int64_t rows;
};
void row_sum_add(struct row_sum *sum, const unsigned char key[ROW_KEY_SIZE], struct str encoded);
void row_sum_take(struct row_sum *sum, const unsigned char key[ROW_KEY_SIZE], struct str encoded);
bool row_sum_equal(const struct row_sum *a, const struct row_sum *b);
void row_sum_text(char out[33], const struct row_sum *sum);

/* Appends a row's columns: each a byte (0 NULL, 1 number, 2 text, 3 bytes), then 8 bytes, or 4 bytes of length and that many. */
void row_encode(struct buf *out, const struct store_value *values, size_t n_columns);
/* -EBADMSG if it is not so, or of other types than the table's. Values are lent from rest, which moves behind the row. */
int row_decode(struct str *rest, const struct store_table *table, struct store_value *ret_values) MUST_USE;

/* Some rows of a table, copied out of the store. */
struct page {
        struct arena *arena;
        const struct store_table *table;
        struct store_value *values; /* n × n_columns */
        size_t n, room;
        size_t bytes;
};
void page_init(struct page *page);
void page_done(struct page *page);
void page_begin(struct page *page, const struct store_table *table); /* empties it */
void page_add(struct page *page, const struct store_value *values);  /* copied */
static inline const struct store_value *page_row(const struct page *page, size_t i)
{
        return page->values + i * page->table->n_columns;
}
/* The current row of a query over a table's columns. */
void row_read(const struct store_rows *rows, const struct store_table *table, struct store_value *ret_values);
void row_key(const struct store_table *table, const struct store_value *values, struct store_value ret_key[STORE_KEY_MOST]);
/* Where in a table the next page begins, and about how many rows it has: {0} at first. */
struct place {
        struct store_value after[STORE_KEY_MOST]; /* lent from the page that was read last */
        bool begun, ended;
        int64_t limit;
};
/* The next rows; the same page must be given all through the table. */
int page_read(struct page *page, struct store_conn *conn, const struct store_table *table, struct place *place) MUST_USE;
/* At most limit rows from after `after` (NULL: from the start). */
int page_read_some(struct page *page, struct store_conn *conn, const struct store_table *table, const struct store_value *after,
                   int64_t limit) MUST_USE;
void page_sum(const struct page *page, const unsigned char key[ROW_KEY_SIZE], struct row_sum *sum);
