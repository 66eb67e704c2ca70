/* SPDX-License-Identifier: Apache-2.0
 *
 * One round: the keys that were noted, each once; their old rows go from the target, their rows of now come. All old ones
 * of a table go before any new one comes, so that a value that is unique may have passed from one row to another.
 */
#include "common/transfer/follow.h"

#include <stdlib.h>

struct keys {
        struct store_value *items; /* n × n_key */
        size_t n, room;
};

void follow_init(struct follow *f, struct end *source, struct end *target, struct arena *arena)
{
        size_t n = source->tables.n;
        *f = (struct follow){.source = source, .target = target, .arena = arena_new(1 << 20)};
        f->target_tables = ARENA_ARRAY(arena, const struct store_table *, n);
        f->source_sums = ARENA_ARRAY(arena, struct row_sum, n);
        f->target_sums = ARENA_ARRAY(arena, struct row_sum, n);
        f->keys = mem_zalloc(n * sizeof(*f->keys) + 1);
        page_init(&f->page);
}

void follow_done(struct follow *f)
{
        for (size_t i = 0; f->keys && i < f->source->tables.n; i++)
                free(f->keys[i].items);
        free(f->keys);
        arena_free(f->arena);
        if (f->page.arena)
                page_done(&f->page);
        buf_done(&f->encoded);
        *f = (struct follow){0};
}

/* --- keys --------------------------------------------------------------------------------------------------------------- */

static int value_compare(const struct store_value *a, const struct store_value *b)
{
        if (a->type == STORE_I64)
                return (a->i > b->i) - (a->i < b->i);
        size_t n = a->s.n < b->s.n ? a->s.n : b->s.n;
        int r = n ? memcmp(a->s.p, b->s.p, n) : 0;
        return r ? r : (a->s.n > b->s.n) - (a->s.n < b->s.n);
}

static int key_compare(const void *a, const void *b, void *arg)
{
        const struct store_table *table = arg;
        int r = 0;
        for (size_t i = 0; r == 0 && i < table->n_key; i++)
                r = value_compare((const struct store_value *)a + i, (const struct store_value *)b + i);
        return r;
}

static void add_key(struct follow *f, struct keys *keys, const struct store_rows *note, const struct store_table *table)
{
        if ((keys->n + 1) * table->n_key > keys->room) {
                keys->room = (keys->n + 16) * table->n_key * 2;
                keys->items = mem_realloc(keys->items, keys->room * sizeof(*keys->items));
        }
        struct store_value *key = keys->items + keys->n++ * table->n_key;
        struct store_value lent[STORE_KEY_MOST];
        store_note_key(note, table, lent);
        for (size_t i = 0; i < table->n_key; i++) {
                key[i] = lent[i];
                if (lent[i].type != STORE_I64)
                        key[i].s = arena_str(f->arena, lent[i].s);
        }
}

static void sort_once(struct keys *keys, struct store_table *table)
{
        size_t k = table->n_key, kept = 0;
        if (!keys->n)
                return;
        qsort_r(keys->items, keys->n, k * sizeof(*keys->items), key_compare, table);
        for (size_t i = 1; i < keys->n; i++)
                if (key_compare(keys->items + kept * k, keys->items + i * k, table) != 0)
                        memmove(keys->items + ++kept * k, keys->items + i * k, k * sizeof(*keys->items));
        keys->n = kept + 1;
}

static int read_notes(struct follow *f, int64_t most, int64_t *ret_n, int64_t *ret_position, const char **ret_error)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t n = 0;

        arena_reset(f->arena);
        for (size_t i = 0; i < f->source->tables.n; i++)
                f->keys[i].n = 0;
        int r = store_notes(f->source->conn, f->position, most ? most : INT64_MAX, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct store_note note = store_note_of(rows);
                struct store_table *table = store_tables_find(&f->source->tables, note.table);
                if (!table)
                        return transfer_fail(ret_error, -ESTALE, "a table came into %s while it was being moved: begin again", f->source->address);
                add_key(f, &f->keys[table - f->source->tables.items], rows, table);
                *ret_position = note.position;
                n++;
                r = 0;
        }
        if (r != 0)
                return end_fail(f->source, r, "read the changes of", ret_error);
        for (size_t i = 0; i < f->source->tables.n; i++)
                sort_once(&f->keys[i], &f->source->tables.items[i]);
        *ret_n = n;
        return 0;
}

/* --- rows --------------------------------------------------------------------------------------------------------------- */

static bool counts(const struct follow *f)
{
        return f->compared || f->begun;
}

static bool is_compared(const struct follow *f, size_t table, const struct store_value *key)
{
        if (table != f->compared)
                return table < f->compared;
        return f->begun && key_compare(key, f->upto, &f->source->tables.items[table]) <= 0;
}

/* The rows of some keys into the page. */
static int read_rows(struct follow *f, struct end *end, const struct store_table *table, const struct store_value *keys, size_t n,
                     const char **ret_error)
{
        struct store_value values[STORE_COLUMNS_MOST];
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_table_get(end->conn, table, keys, n, &rows);
        page_begin(&f->page, table);
        while (r == 0 && (r = store_next(rows)) == 1) {
                row_read(rows, table, values);
                page_add(&f->page, values);
                r = 0;
        }
        return r == 0 ? 0 : end_fail(end, r, "read from", ret_error);
}

/* What the page's rows do to a sum, as far as they count. */
static void count_page(struct follow *f, size_t table, struct row_sum *sum, bool gone)
{
        struct store_value key[STORE_KEY_MOST];
        for (size_t i = 0; i < f->page.n; i++) {
                row_key(f->page.table, page_row(&f->page, i), key);
                if (!is_compared(f, table, key))
                        continue;
                f->encoded.n = 0;
                row_encode(&f->encoded, page_row(&f->page, i), f->page.table->n_columns);
                (gone ? row_sum_take : row_sum_add)(sum, f->sum_key, buf_str(&f->encoded));
        }
}

/* What is taken away was equal on both sides, so it leaves both sums. */
static int remove_old(struct follow *f, size_t t, const struct store_value *keys, size_t n, const char **ret_error)
{
        const struct store_table *table = f->target_tables[t];
        int r = 0;
        if (counts(f)) {
                r = read_rows(f, f->target, table, keys, n, ret_error);
                if (r != 0 || !f->page.n)
                        return r;
                count_page(f, t, &f->source_sums[t], true);
                count_page(f, t, &f->target_sums[t], true);
        }
        r = store_table_remove(f->target->conn, table, keys, n);
        return r == 0 ? 0 : end_fail(f->target, r, "write to", ret_error);
}

static int put_new(struct follow *f, size_t t, const struct store_value *keys, size_t n, const char **ret_error)
{
        int r = read_rows(f, f->source, &f->source->tables.items[t], keys, n, ret_error);
        if (r != 0 || !f->page.n)
                return r;
        count_page(f, t, &f->source_sums[t], false);
        r = end_put(f->target, &f->page, ret_error);
        if (r != 0 || !counts(f))
                return r;
        r = read_rows(f, f->target, f->target_tables[t], keys, n, ret_error);
        if (r == 0)
                count_page(f, t, &f->target_sums[t], false);
        return r;
}

static int for_keys(struct follow *f, size_t t,
                    int (*run)(struct follow *f, size_t t, const struct store_value *keys, size_t n, const char **ret_error),
                    const char **ret_error)
{
        const struct store_table *table = &f->source->tables.items[t];
        size_t most = store_table_keys(table);
        int r = 0;
        for (size_t i = 0, n; r == 0 && i < f->keys[t].n; i += n) {
                n = f->keys[t].n - i < most ? f->keys[t].n - i : most;
                r = run(f, t, f->keys[t].items + i * table->n_key, n, ret_error);
        }
        return r;
}

int follow_round(struct follow *f, int64_t most, int64_t *ret_n, const char **ret_error)
{
        int64_t position = f->position;
        int r = read_notes(f, most, ret_n, &position, ret_error);
        if (r != 0 || !*ret_n)
                return r;
        r = store_begin(f->target->conn);
        if (r != 0)
                return end_fail(f->target, r, "write to", ret_error);
        for (size_t t = 0; r == 0 && t < f->source->tables.n; t++) {
                r = for_keys(f, t, remove_old, ret_error);
                if (r == 0)
                        r = for_keys(f, t, put_new, ret_error);
        }
        if (r == 0 && (r = store_commit(f->target->conn)) != 0)
                r = end_fail(f->target, r, "write to", ret_error);
        store_rollback(f->target->conn);
        if (r == 0) {
                f->position = position;
                f->changes += *ret_n;
                f->rounds++;
        }
        return r;
}
