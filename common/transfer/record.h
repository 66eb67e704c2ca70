/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a backup, record by record (common/transfer/file.h packs and seals them in blocks):
 *
 *   backup = head *migration *( table *row end ) total
 *
 * Numbers are little-endian; a text is 4 bytes of length and that many. A record does not go over a block's end.
 */
#pragma once

#include "common/transfer/row.h"

enum record_kind {
        RECORD_HEAD = 'H',      /* what was backed up, and when */
        RECORD_MIGRATION = 'M', /* name and text */
        RECORD_TABLE = 'T',     /* name, columns, key */
        RECORD_ROW = 'R',       /* of the table before */
        RECORD_END = 'E',       /* of the table: rows and sum */
        RECORD_TOTAL = 'Z',     /* of the backup: nothing follows */
};

struct record_head {
        struct str service, engine;
        struct str epoch; /* of the outbox */
        int64_t position; /* its newest */
        int64_t time_us;
        unsigned char sum_key[ROW_KEY_SIZE];
};
struct record {
        enum record_kind kind;
        struct record_head head;
        struct store_migration migration; /* texts in the reader's arena */
        const struct store_table *table;  /* TABLE, ROW, END: the reader's */
        const struct store_value *values; /* of a row; lent from the block */
        struct str encoded;               /* the row as it stands there */
        struct row_sum sum;               /* END */
        int64_t tables, rows;             /* TOTAL */
};

/* Reads records in their order; what does not fit the grammar is -EBADMSG. */
struct record_reader {
        struct arena *arena; /* given; holds tables and migrations */
        enum record_kind last; /* 0: none yet */
        struct store_table table;
        int64_t tables, rows;
        struct store_value values[STORE_COLUMNS_MOST];
};
int record_next(struct record_reader *reader, struct str *rest, struct record *ret_record) MUST_USE;

/* Append one. */
void record_put_head(struct buf *out, const struct record_head *head);
void record_put_migration(struct buf *out, const struct store_migration *migration);
void record_put_table(struct buf *out, const struct store_table *table);
void record_put_row(struct buf *out, struct str encoded);
void record_put_end(struct buf *out, const struct row_sum *sum);
void record_put_total(struct buf *out, int64_t tables, int64_t rows);
