/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding, sums and pages of rows.
 */
#include "common/transfer/row.h"
#include "common/crypto/crypto.h"

#include <stdlib.h>

#define PAGE_BYTES (1024 * 1024)
#define LIMIT_LEAST 32
#define LIMIT_MOST  4096

enum { NOTHING, NUMBER, TEXT_, BYTES_ };

/* --- sums ----------------------------------------------------------------------------------------------------------- */

static unsigned __int128 hash(const unsigned char key[ROW_KEY_SIZE], struct str encoded)
{
        unsigned char out[16];
        unsigned __int128 sum = 0;
        keyed_sum128(out, key, encoded);
        for (int i = 15; i >= 0; i--)
                sum = sum << 8 | out[i];
        return sum;
}

void row_sum_add(struct row_sum *sum, const unsigned char key[ROW_KEY_SIZE], struct str encoded)
{
        sum->sum += hash(key, encoded);
        sum->rows++;
}

void row_sum_take(struct row_sum *sum, const unsigned char key[ROW_KEY_SIZE], struct str encoded)
{
        sum->sum -= hash(key, encoded);
        sum->rows--;
}

bool row_sum_equal(const struct row_sum *a, const struct row_sum *b)
{
        return a->sum == b->sum && a->rows == b->rows;
}

void row_sum_text(char out[33], const struct row_sum *sum)
{
        unsigned char bytes[16];
        for (int i = 0; i < 16; i++)
                bytes[i] = (unsigned char)(sum->sum >> (120 - 8 * i));
        hex_encode(out, bytes, 16);
}

/* --- the encoding ------------------------------------------------------------------------------------------------------ */

static void put_number(struct buf *out, uint64_t v, int bytes)
{
        for (int i = 0; i < bytes; i++)
                buf_add_char(out, (char)(v >> (8 * i)));
}

static bool take_number(struct str *rest, int bytes, uint64_t *ret)
{
        uint64_t v = 0;
        if (rest->n < (size_t)bytes)
                return false;
        for (int i = bytes - 1; i >= 0; i--)
                v = v << 8 | (unsigned char)rest->p[i];
        rest->p += bytes;
        rest->n -= (size_t)bytes;
        *ret = v;
        return true;
}

void row_encode(struct buf *out, const struct store_value *values, size_t n_columns)
{
        for (size_t i = 0; i < n_columns; i++) {
                const struct store_value *v = &values[i];
                switch (v->type) {
                case STORE_NULL:
                        buf_add_char(out, NOTHING);
                        break;
                case STORE_I64:
                        buf_add_char(out, NUMBER);
                        put_number(out, (uint64_t)v->i, 8);
                        break;
                case STORE_TEXT:
                case STORE_BYTES:
                        buf_add_char(out, v->type == STORE_TEXT ? TEXT_ : BYTES_);
                        put_number(out, v->s.n, 4);
                        buf_add_str(out, v->s);
                        break;
                }
        }
}

int row_decode(struct str *rest, const struct store_table *table, struct store_value *ret_values)
{
        static const enum store_type types[] = {STORE_NULL, STORE_I64, STORE_TEXT, STORE_BYTES};
        for (size_t i = 0; i < table->n_columns; i++) {
                uint64_t kind, v;
                if (!take_number(rest, 1, &kind) || kind >= ARRAY_LEN(types) ||
                    (kind != NOTHING && types[kind] != table->columns[i].type))
                        return -EBADMSG;
                ret_values[i] = SQLNULL();
                if (kind == NOTHING)
                        continue;
                if (!take_number(rest, kind == NUMBER ? 8 : 4, &v) || (kind != NUMBER && v > rest->n))
                        return -EBADMSG;
                if (kind == NUMBER) {
                        ret_values[i] = I64((int64_t)v);
                        continue;
                }
                ret_values[i] = (struct store_value){.type = types[kind], .s = {rest->p, (size_t)v}};
                rest->p += v;
                rest->n -= (size_t)v;
        }
        return 0;
}

/* --- pages ------------------------------------------------------------------------------------------------------------- */

void page_init(struct page *page)
{
        *page = (struct page){.arena = arena_new(1 << 20)};
}

void page_done(struct page *page)
{
        arena_free(page->arena);
        free(page->values);
        *page = (struct page){0};
}

void page_begin(struct page *page, const struct store_table *table)
{
        arena_reset(page->arena);
        page->table = table;
        page->n = page->bytes = 0;
}

void page_add(struct page *page, const struct store_value *values)
{
        size_t columns = page->table->n_columns;
        if ((page->n + 1) * columns > page->room) {
                page->room = (page->n + 1) * columns * 2;
                page->values = mem_realloc(page->values, page->room * sizeof(*values));
        }
        struct store_value *row = page->values + page->n++ * columns;
        for (size_t i = 0; i < columns; i++) {
                row[i] = values[i];
                if (values[i].type == STORE_TEXT || values[i].type == STORE_BYTES)
                        row[i].s = arena_str(page->arena, values[i].s);
                page->bytes += 8 + row[i].s.n;
        }
}

void row_read(const struct store_rows *rows, const struct store_table *table, struct store_value *ret_values)
{
        for (size_t i = 0; i < table->n_columns; i++)
                ret_values[i] = store_value_of(rows, (int)i, table->columns[i].type);
}

void row_key(const struct store_table *table, const struct store_value *values, struct store_value ret_key[STORE_KEY_MOST])
{
        for (size_t i = 0; i < table->n_key; i++)
                ret_key[i] = values[table->key[i]];
}

int page_read_some(struct page *page, struct store_conn *conn, const struct store_table *table, const struct store_value *after,
                   int64_t limit)
{
        struct store_value values[STORE_COLUMNS_MOST];
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_table_page(conn, table, after, limit, &rows);
        page_begin(page, table); /* the query has its own copy of `after` */
        while (r == 0 && (r = store_next(rows)) == 1) {
                row_read(rows, table, values);
                page_add(page, values);
                r = 0;
        }
        return r;
}

int page_read(struct page *page, struct store_conn *conn, const struct store_table *table, struct place *place)
{
        int64_t limit = place->limit ? place->limit : LIMIT_LEAST;
        int r = page_read_some(page, conn, table, place->begun ? place->after : NULL, limit);
        if (r != 0)
                return r;
        place->ended = (int64_t)page->n < limit;
        if (page->n) {
                row_key(table, page_row(page, page->n - 1), place->after);
                place->begun = true;
        }
        if (page->bytes > PAGE_BYTES)
                limit = limit / 2 > LIMIT_LEAST ? limit / 2 : LIMIT_LEAST;
        else if (page->bytes < PAGE_BYTES / 2 && limit < LIMIT_MOST)
                limit *= 2;
        place->limit = limit;
        return 0;
}

void page_sum(const struct page *page, const unsigned char key[ROW_KEY_SIZE], struct row_sum *sum)
{
        struct buf encoded = {0};
        for (size_t i = 0; i < page->n; i++) {
                encoded.n = 0;
                row_encode(&encoded, page_row(page, i), page->table->n_columns);
                row_sum_add(sum, key, buf_str(&encoded));
        }
        buf_done(&encoded);
}
