/* SPDX-License-Identifier: Apache-2.0
 *
 * What tables there are, with their columns and keys, and the SQL that reads and writes their rows. The two catalogues
 * differ; what is made of them does not.
 */
#include "common/store/internal.h"
#include "common/store/whole.h"

#include <stdio.h>

/* What an engine keeps for its own workings: a copy makes its own. */
static bool is_own(struct str table)
{
        return str_starts(table, STR("store_")) || str_starts(table, STR("sqlite_")) || str_is(table, "writer_epoch") ||
               str_is(table, "rpc_lease");
}

static int type_of(struct str name, enum store_type *ret_type)
{
        static const struct {
                const char *name;
                enum store_type type;
        } types[] = {{"INTEGER", STORE_I64}, {"int8", STORE_I64}, {"TEXT", STORE_TEXT},
                     {"text", STORE_TEXT},   {"BLOB", STORE_BYTES}, {"bytea", STORE_BYTES}};
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
                if (str_is(name, types[i].name)) {
                        *ret_type = types[i].type;
                        return 0;
                }
        return -ENOTSUP;
}

/* --- SQL of a table --------------------------------------------------------------------------------------------------- */

static void put_key(struct buf *out, const struct store_table *t)
{
        buf_add_char(out, '(');
        for (size_t i = 0; i < t->n_key; i++)
                buf_printf(out, "%s\"%s\"", i ? ", " : "", t->columns[t->key[i]].name);
        buf_add_char(out, ')');
}

static void put_parameters(struct buf *out, size_t first, size_t n)
{
        buf_add_char(out, '(');
        for (size_t i = 0; i < n; i++)
                buf_printf(out, "%s$%zu", i ? ", " : "", first + i);
        buf_add_char(out, ')');
}

static void put_columns(struct buf *out, const struct store_table *t)
{
        for (size_t i = 0; i < t->n_columns; i++)
                buf_printf(out, "%s\"%s\"", i ? ", " : "", t->columns[i].name);
}

/* "SELECT … [WHERE key > (…)] ORDER BY key LIMIT $n" */
static const char *page_sql(struct arena *arena, const struct store_table *t, bool after)
{
        struct buf out = {0};
        buf_add_z(&out, "SELECT ");
        put_columns(&out, t);
        buf_printf(&out, " FROM \"%s\"", t->name);
        if (after) {
                buf_add_z(&out, " WHERE ");
                put_key(&out, t);
                buf_add_z(&out, " > ");
                put_parameters(&out, 1, t->n_key);
        }
        buf_add_z(&out, " ORDER BY ");
        for (size_t i = 0; i < t->n_key; i++)
                buf_printf(&out, "%s\"%s\"", i ? ", " : "", t->columns[t->key[i]].name);
        buf_printf(&out, " LIMIT $%zu", 1 + (after ? t->n_key : 0));
        const char *sql = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return sql;
}

/* So many keys, or rows, go into one statement. Of keys always just as many, the last again and again if need be. */
static size_t keys_of(const struct store_table *t)
{
        return PARAMETERS_MAX / t->n_key;
}

static size_t rows_of(const struct store_table *t)
{
        return PARAMETERS_MAX / t->n_columns;
}

/* "… FROM … WHERE key IN (…)", or "(a = … AND b = …) OR (…)": both engines go by the index then, whatever they know of the
 * table. */
static const char *keys_sql(struct arena *arena, const struct store_table *t, bool get)
{
        struct buf out = {0};
        buf_add_z(&out, get ? "SELECT " : "DELETE");
        if (get)
                put_columns(&out, t);
        buf_printf(&out, " FROM \"%s\" WHERE ", t->name);
        if (t->n_key == 1) {
                buf_printf(&out, "\"%s\" IN ", t->columns[t->key[0]].name);
                put_parameters(&out, 1, keys_of(t));
        }
        for (size_t i = 0; t->n_key > 1 && i < keys_of(t); i++) {
                buf_add_z(&out, i ? " OR (" : "(");
                for (size_t k = 0; k < t->n_key; k++)
                        buf_printf(&out, "%s\"%s\" = $%zu", k ? " AND " : "", t->columns[t->key[k]].name, 1 + i * t->n_key + k);
                buf_add_char(&out, ')');
        }
        const char *sql = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return sql;
}

static const char *put_sql(struct arena *arena, const struct store_table *t, size_t n)
{
        struct buf out = {0};
        buf_printf(&out, "INSERT INTO \"%s\" (", t->name);
        put_columns(&out, t);
        buf_add_z(&out, ") VALUES ");
        for (size_t i = 0; i < n; i++) {
                buf_add_z(&out, i ? ", " : "");
                put_parameters(&out, 1 + i * t->n_columns, t->n_columns);
        }
        buf_add_z(&out, " ON CONFLICT DO NOTHING");
        const char *sql = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return sql;
}

/* --- the catalogue ------------------------------------------------------------------------------------------------------ */

static int read_names(struct store_conn *conn, struct arena *arena, struct store_tables *ret)
{
        static const char sqlite[] = "SELECT name, 0 FROM sqlite_master WHERE type = 'table' ORDER BY name";
        static const char postgresql[] =
                "SELECT relname::text, CAST(GREATEST(reltuples, 0) AS BIGINT) FROM pg_class WHERE relkind = 'r' AND "
                "relnamespace = to_regnamespace(quote_ident(current_schema())) ORDER BY relname::text COLLATE \"C\"";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        enum { MOST = 512 };

        ret->items = ARENA_ARRAY(arena, struct store_table, MOST);
        ret->n = 0;
        int r = store_query(conn, conn->engine->shared ? postgresql : sqlite, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if (is_own(store_text(rows, 0)))
                        continue;
                if (ret->n == MOST)
                        return -E2BIG;
                ret->items[ret->n++] = (struct store_table){.name = store_text_dup(rows, 0, arena), .rows = store_i64(rows, 1)};
        }
        return r;
}

static int read_columns(struct store_conn *conn, struct arena *arena, struct store_table *t)
{
        static const char sqlite[] = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY name";
        static const char postgresql[] =
                "SELECT a.attname::text, t.typname::text, "
                "CAST(COALESCE(array_position(i.indkey::int2[], a.attnum), -1) + 1 AS BIGINT) "
                "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
                "JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "
                "WHERE c.relname::text = $1 AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) "
                "ORDER BY a.attname::text COLLATE \"C\"";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;

        t->columns = ARENA_ARRAY(arena, struct store_column, STORE_COLUMNS_MOST);
        int r = store_query(conn, conn->engine->shared ? postgresql : sqlite, &rows, TEXTZ(t->name));
        while (r == 0 && (r = store_next(rows)) == 1) {
                size_t key = (size_t)store_i64(rows, 2);
                if (t->n_columns == STORE_COLUMNS_MOST || key > STORE_KEY_MOST)
                        return -ENOTSUP;
                struct store_column *c = &t->columns[t->n_columns];
                c->name = store_text_dup(rows, 0, arena);
                r = type_of(store_text(rows, 1), &c->type);
                if (key)
                        t->key[key - 1] = t->n_columns;
                if (key > t->n_key)
                        t->n_key = key;
                t->n_columns++;
        }
        return r == 0 && !t->n_key ? -ENOTSUP : r;
}

static int count_rows(struct store_conn *conn, struct arena *arena, struct store_table *t)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, arena_printf(arena, "SELECT COUNT(*) FROM \"%s\"", t->name), &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? -EIO : r;
        t->rows = store_i64(rows, 0);
        return 0;
}

int store_tables_read(struct store_conn *conn, struct arena *arena, bool counted, struct store_tables *ret,
                      const char **ret_error)
{
        int r = read_names(conn, arena, ret);
        for (size_t i = 0; r == 0 && i < ret->n; i++) {
                struct store_table *t = &ret->items[i];
                r = read_columns(conn, arena, t);
                if (r == 0 && counted && !conn->engine->shared)
                        r = count_rows(conn, arena, t);
                if (r == -ENOTSUP)
                        return store_fail(ret_error, r, "table %s can't be copied: it has no primary key, one of more than "
                                                        "%d columns, or columns of other types", t->name, STORE_KEY_MOST);
                t->page = page_sql(arena, t, false);
                t->page_after = page_sql(arena, t, true);
                t->get = keys_sql(arena, t, true);
                t->remove = keys_sql(arena, t, false);
                t->put = put_sql(arena, t, rows_of(t));
                t->put_one = put_sql(arena, t, 1);
        }
        return r == 0 ? 0 : store_fail(ret_error, r, "can't read what tables there are: %s", store_last_error(conn));
}

struct store_table *store_tables_find(const struct store_tables *tables, struct str name)
{
        for (size_t i = 0; i < tables->n; i++)
                if (str_is(name, tables->items[i].name))
                        return &tables->items[i];
        return NULL;
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

int store_table_page(struct store_conn *conn, const struct store_table *t, const struct store_value *after, int64_t limit,
                     struct store_rows **ret_rows)
{
        struct store_value args[STORE_KEY_MOST + 1];
        size_t n = 0;
        if (after) {
                memcpy(args, after, t->n_key * sizeof(*after));
                n = t->n_key;
        }
        args[n++] = I64(limit);
        return store_query_values(conn, after ? t->page_after : t->page, ret_rows, args, n);
}

size_t store_table_keys(const struct store_table *t)
{
        return keys_of(t);
}

/* All the parameters of a statement over keys. */
static const struct store_value *fill_keys(const struct store_table *t, const struct store_value *keys, size_t n,
                                           struct store_value all[PARAMETERS_MAX])
{
        for (size_t i = 0; i < keys_of(t); i++)
                memcpy(all + i * t->n_key, keys + (i < n ? i : n - 1) * t->n_key, t->n_key * sizeof(*keys));
        return all;
}

int store_table_get(struct store_conn *conn, const struct store_table *t, const struct store_value *keys, size_t n,
                    struct store_rows **ret_rows)
{
        struct store_value all[PARAMETERS_MAX];
        return store_query_values(conn, t->get, ret_rows, fill_keys(t, keys, n, all), keys_of(t) * t->n_key);
}

int store_table_remove(struct store_conn *conn, const struct store_table *t, const struct store_value *keys, size_t n)
{
        struct store_value all[PARAMETERS_MAX];
        return store_exec_values(conn, t->remove, NULL, fill_keys(t, keys, n, all), keys_of(t) * t->n_key);
}

int store_table_put(struct store_conn *conn, const struct store_table *t, const struct store_value *values, size_t n)
{
        int r = 0;
        for (size_t done = 0, now; r == 0 && done < n; done += now) {
                now = n - done < rows_of(t) ? 1 : rows_of(t);
                r = store_exec_values(conn, now == 1 ? t->put_one : t->put, NULL, values + done * t->n_columns, now * t->n_columns);
        }
        return r;
}

struct store_value store_value_of(const struct store_rows *rows, int column, enum store_type type)
{
        if (store_is_null(rows, column))
                return SQLNULL();
        if (type == STORE_I64)
                return I64(store_i64(rows, column));
        if (type == STORE_TEXT)
                return TEXT(store_text(rows, column));
        struct str bytes = store_bytes(rows, column);
        return BYTES(bytes.p, bytes.n);
}

/* --- migrations ------------------------------------------------------------------------------------------------------- */

int store_migrations_read(struct store_conn *conn, struct arena *arena, struct store_migration **ret_list, size_t *ret_n)
{
        static const char sql[] = "SELECT name, text FROM store_migration";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        enum { MOST = 1024 };
        struct store_migration *list = ARENA_ARRAY(arena, struct store_migration, MOST);
        size_t n = 0;

        int r = store_query(conn, sql, &rows);
        while (r == 0 && n < MOST && (r = store_next(rows)) == 1) {
                struct store_migration m = {store_text_dup(rows, 0, arena), store_text_dup(rows, 1, arena)};
                size_t at = n++;
                for (; at && strcmp(list[at - 1].name, m.name) > 0; at--) /* in the order of their numbers, a folder at a time */
                        list[at] = list[at - 1];
                list[at] = m;
                r = 0;
        }
        if (r == 0) {
                *ret_list = list;
                *ret_n = n;
        }
        return r;
}

int store_migrations_run(struct store_conn *writer, const struct store_migration *list, size_t n, const char **ret_error)
{
        int r = 0;
        for (size_t i = 0, end; r == 0 && i < n; i = end) {
                const char *slash = strchr(list[i].name, '/');
                struct str folder = str_bytes(list[i].name, slash ? (size_t)(slash - list[i].name) + 1 : 0);
                for (end = i + 1; end < n && str_starts(str_of(list[end].name), folder);)
                        end++;
                r = store_migrate(writer, list + i, end - i, ret_error);
        }
        return r;
}
