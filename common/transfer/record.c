/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a backup, written and read.
 */
#include "common/transfer/record.h"

#define NAME_MOST 100

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void put_number(struct buf *out, uint64_t v, int bytes)
{
        for (int i = 0; i < bytes; i++)
                buf_add_char(out, (char)(v >> (8 * i)));
}

static void put_text(struct buf *out, struct str s)
{
        put_number(out, s.n, 4);
        buf_add_str(out, s);
}

void record_put_head(struct buf *out, const struct record_head *head)
{
        buf_add_char(out, RECORD_HEAD);
        put_text(out, head->service);
        put_text(out, head->engine);
        put_text(out, head->epoch);
        put_number(out, (uint64_t)head->position, 8);
        put_number(out, (uint64_t)head->time_us, 8);
        buf_add(out, head->sum_key, sizeof(head->sum_key));
}

void record_put_migration(struct buf *out, const struct store_migration *migration)
{
        buf_add_char(out, RECORD_MIGRATION);
        put_text(out, str_of(migration->name));
        put_text(out, str_of(migration->sql));
}

void record_put_table(struct buf *out, const struct store_table *t)
{
        buf_add_char(out, RECORD_TABLE);
        put_text(out, str_of(t->name));
        put_number(out, t->n_columns, 1);
        for (size_t i = 0; i < t->n_columns; i++) {
                put_text(out, str_of(t->columns[i].name));
                put_number(out, (uint64_t)t->columns[i].type, 1);
        }
        put_number(out, t->n_key, 1);
        for (size_t i = 0; i < t->n_key; i++)
                put_number(out, t->key[i], 1);
}

void record_put_row(struct buf *out, struct str encoded)
{
        buf_add_char(out, RECORD_ROW);
        buf_add_str(out, encoded);
}

void record_put_end(struct buf *out, const struct row_sum *sum)
{
        buf_add_char(out, RECORD_END);
        put_number(out, (uint64_t)sum->rows, 8);
        put_number(out, (uint64_t)sum->sum, 8);
        put_number(out, (uint64_t)(sum->sum >> 64), 8);
}

void record_put_total(struct buf *out, int64_t tables, int64_t rows)
{
        buf_add_char(out, RECORD_TOTAL);
        put_number(out, (uint64_t)tables, 8);
        put_number(out, (uint64_t)rows, 8);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static bool take_bytes(struct str *rest, size_t n, struct str *ret)
{
        if (n > rest->n)
                return false;
        *ret = (struct str){rest->p, n};
        rest->p += n;
        rest->n -= n;
        return true;
}

static bool take_number(struct str *rest, int bytes, uint64_t *ret)
{
        struct str s;
        uint64_t v = 0;
        if (!take_bytes(rest, (size_t)bytes, &s))
                return false;
        for (int i = bytes - 1; i >= 0; i--)
                v = v << 8 | (unsigned char)s.p[i];
        *ret = v;
        return true;
}

static bool take_i64(struct str *rest, int64_t *ret)
{
        uint64_t v;
        if (!take_number(rest, 8, &v))
                return false;
        *ret = (int64_t)v;
        return true;
}

static bool take_text(struct str *rest, struct str *ret)
{
        uint64_t n;
        return take_number(rest, 4, &n) && take_bytes(rest, (size_t)n, ret);
}

/* Names become SQL, so they are words. */
static bool take_name(struct str *rest, struct arena *arena, const char **ret)
{
        struct str s;
        if (!take_text(rest, &s) || !s.n || s.n > NAME_MOST)
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
                        return false;
        *ret = arena_strndup(arena, s.p, s.n);
        return true;
}

static bool read_head(struct str *rest, struct record_head *head)
{
        struct str key;
        if (!take_text(rest, &head->service) || !take_text(rest, &head->engine) || !take_text(rest, &head->epoch) ||
            !take_i64(rest, &head->position) || !take_i64(rest, &head->time_us) || !take_bytes(rest, ROW_KEY_SIZE, &key))
                return false;
        memcpy(head->sum_key, key.p, ROW_KEY_SIZE);
        return true;
}

static bool read_migration(struct record_reader *reader, struct str *rest, struct store_migration *ret)
{
        struct str name, text;
        if (!take_text(rest, &name) || !take_text(rest, &text) || memchr(name.p, 0, name.n) || memchr(text.p, 0, text.n))
                return false;
        *ret = (struct store_migration){arena_strndup(reader->arena, name.p, name.n), arena_strndup(reader->arena, text.p, text.n)};
        return true;
}

static bool read_table(struct record_reader *reader, struct str *rest)
{
        struct store_table *t = &reader->table;
        uint64_t n, v;
        *t = (struct store_table){0};
        if (!take_name(rest, reader->arena, &t->name) || !take_number(rest, 1, &n) || !n || n > STORE_COLUMNS_MOST)
                return false;
        t->n_columns = (size_t)n;
        t->columns = ARENA_ARRAY(reader->arena, struct store_column, n);
        for (size_t i = 0; i < t->n_columns; i++) {
                if (!take_name(rest, reader->arena, &t->columns[i].name) || !take_number(rest, 1, &v) || v < STORE_I64 || v > STORE_BYTES)
                        return false;
                t->columns[i].type = (enum store_type)v;
        }
        if (!take_number(rest, 1, &n) || !n || n > STORE_KEY_MOST)
                return false;
        t->n_key = (size_t)n;
        for (size_t i = 0; i < t->n_key; i++) {
                if (!take_number(rest, 1, &v) || v >= t->n_columns)
                        return false;
                t->key[i] = (size_t)v;
        }
        return true;
}

static bool read_end(struct str *rest, struct row_sum *sum)
{
        uint64_t low, high;
        if (!take_i64(rest, &sum->rows) || !take_number(rest, 8, &low) || !take_number(rest, 8, &high))
                return false;
        sum->sum = (unsigned __int128)high << 64 | low;
        return true;
}

/* May this kind follow the last one? */
static bool may_follow(enum record_kind last, enum record_kind kind)
{
        switch (kind) {
        case RECORD_HEAD:
                return !last;
        case RECORD_MIGRATION:
                return last == RECORD_HEAD || last == RECORD_MIGRATION;
        case RECORD_TABLE:
        case RECORD_TOTAL:
                return last == RECORD_HEAD || last == RECORD_MIGRATION || last == RECORD_END;
        case RECORD_ROW:
        case RECORD_END:
                return last == RECORD_TABLE || last == RECORD_ROW;
        }
        return false;
}

static bool read_body(struct record_reader *reader, struct str *rest, struct record *ret)
{
        const char *start = rest->p;
        switch (ret->kind) {
        case RECORD_HEAD:
                return read_head(rest, &ret->head);
        case RECORD_MIGRATION:
                return read_migration(reader, rest, &ret->migration);
        case RECORD_TABLE:
                reader->tables++;
                return read_table(reader, rest);
        case RECORD_ROW:
                if (row_decode(rest, &reader->table, reader->values) < 0)
                        return false;
                reader->rows++;
                ret->values = reader->values;
                ret->encoded = str_bytes(start, (size_t)(rest->p - start));
                return true;
        case RECORD_END:
                return read_end(rest, &ret->sum);
        case RECORD_TOTAL:
                return take_i64(rest, &ret->tables) && take_i64(rest, &ret->rows) && ret->tables == reader->tables &&
                       ret->rows == reader->rows && !rest->n;
        }
        return false;
}

int record_next(struct record_reader *reader, struct str *rest, struct record *ret_record)
{
        uint64_t kind;
        *ret_record = (struct record){.table = &reader->table};
        if (!take_number(rest, 1, &kind) || !may_follow(reader->last, (enum record_kind)kind))
                return -EBADMSG;
        ret_record->kind = (enum record_kind)kind;
        if (!read_body(reader, rest, ret_record))
                return -EBADMSG;
        reader->last = ret_record->kind;
        return 0;
}
