/* SPDX-License-Identifier: Apache-2.0
 *
 * One statement for many arguments: a row costs PostgreSQL less to find, or to insert, than a statement to begin, so the same
 * one that is asked for at once with many is begun once, over arrays of their arguments. Queries without an order or a
 * limit, and INSERTs whose values are their arguments.
 */
#include "common/store/postgresql.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARRAY_BYTES = 1001, ARRAY_TEXT = 1009, ARRAY_I64 = 1016 }; /* pg_type.dat */

static Oid array_of(Oid element)
{
        return element == TYPE_I64 ? ARRAY_I64 : element == TYPE_TEXT ? ARRAY_TEXT : ARRAY_BYTES;
}

static bool is_query(const char *sql)
{
        return str_starts(str_of(sql), STR("SELECT ")) && !strstr(sql, "ORDER BY") && !strstr(sql, "LIMIT") &&
               !strstr(sql, "OFFSET");
}

/* The part "VALUES ($1, … $n)" of an INSERT; p NULL: there is none. */
static struct str values_of(const char *sql, size_t n_args)
{
        const char *at = str_starts(str_of(sql), STR("INSERT INTO ")) ? strstr(sql, "VALUES (") : NULL;
        if (!at)
                return (struct str){0};
        struct buf expected = {0};
        buf_add_z(&expected, "VALUES (");
        for (size_t i = 1; i <= n_args; i++) {
                char part[16];
                snprintf(part, sizeof(part), "$%zu%s", i, i < n_args ? ", " : ")");
                buf_add_z(&expected, part);
        }
        bool same = str_starts(str_of(at), buf_str(&expected));
        struct str found = {same ? at : NULL, expected.n};
        buf_done(&expected);
        return found;
}

static void add_arrays(struct buf *out, size_t n_args)
{
        char part[32];
        buf_add_z(out, " FROM ROWS FROM (");
        for (size_t i = 1; i <= n_args; i++) {
                snprintf(part, sizeof(part), "%sunnest($%zu)", i > 1 ? ", " : "", i);
                buf_add_z(out, part);
        }
        buf_add_z(out, ")");
}

static void add_insert(struct buf *out, const char *sql, struct str values, size_t n_args)
{
        buf_add(out, sql, (size_t)(values.p - sql));
        buf_add_z(out, "SELECT *");
        add_arrays(out, n_args);
        buf_add_z(out, values.p + values.n);
}

/* $1 of the query is a column of what the arrays unfold to. OFFSET keeps the query's own plan, run for each of them. */
static void add_query(struct buf *out, const char *sql, size_t n_args)
{
        char part[16];
        buf_add_z(out, "SELECT gathered.n, answer.*");
        add_arrays(out, n_args);
        buf_add_z(out, " WITH ORDINALITY AS gathered(");
        for (size_t i = 1; i <= n_args; i++) {
                snprintf(part, sizeof(part), "a%zu, ", i);
                buf_add_z(out, part);
        }
        buf_add_z(out, "n) CROSS JOIN LATERAL (");
        while (*sql) {
                const char *next = postgresql_skip_opaque(sql);
                if (next == sql && *sql == '$') {
                        buf_add_z(out, "gathered.a");
                        next = sql + 1;
                } else {
                        next = next == sql ? sql + 1 : next;
                        buf_add(out, sql, (size_t)(next - sql));
                }
                sql = next;
        }
        buf_add_z(out, "\nOFFSET 0) AS answer");
}

/* NULL: it is of neither kind. */
static char *text_of(const char *sql, size_t n_args)
{
        struct buf out = {0};
        struct str values = values_of(sql, n_args);
        if (values.p)
                add_insert(&out, sql, values, n_args);
        else if (is_query(sql))
                add_query(&out, sql, n_args);
        char *text = out.n ? mem_strdup(buf_z(&out)) : NULL;
        buf_done(&out);
        return text;
}

static struct postgresql_rows *merged_of(struct postgresql_rows *rows)
{
        struct postgresql_rows *m = rows->merged;
        if (!m) {
                size_t n = rows->base.n_args;
                m = rows->merged = mem_zalloc(sizeof(*m) + n * sizeof(m->types[0]));
                m->base = (struct store_rows){.engine = &postgresql_engine, .conn = rows->base.conn, .n_args = n,
                                              .sql = text_of(rows->base.sql, n), .cached = true};
        }
        return m;
}

/* Of the i-th argument in each list: 0 if all are NULL, or they differ. */
static Oid element_of(const struct store_value *args, size_t n_args, size_t n, size_t i)
{
        Oid found = 0;
        for (size_t k = 0; k < n; k++) {
                Oid type = postgresql_type(&args[k * n_args + i]);
                if (type && found && type != found)
                        return 0;
                found = type ? type : found;
        }
        return found;
}

static void add_i32(struct buf *out, int32_t v)
{
        uint32_t big = htobe32((uint32_t)v);
        buf_add(out, &big, sizeof(big));
}

/* As array_recv() takes it: dimensions, whether there are NULLs, type, length, first index, elements. */
static void write_array(struct buf *out, Oid element, const struct store_value *args, size_t n_args, size_t n, size_t i)
{
        const int32_t head[] = {1, 1, (int32_t)element, (int32_t)n, 1};
        for (size_t k = 0; k < ARRAY_LEN(head); k++)
                add_i32(out, head[k]);
        for (size_t k = 0; k < n; k++) {
                const struct store_value *v = &args[k * n_args + i];
                uint64_t big = htobe64((uint64_t)v->i);
                if (v->type == STORE_NULL) {
                        add_i32(out, -1);
                } else if (v->type == STORE_I64) {
                        add_i32(out, sizeof(big));
                        buf_add(out, &big, sizeof(big));
                } else {
                        add_i32(out, (int32_t)v->s.n);
                        buf_add(out, v->s.p, v->s.n);
                }
        }
}

static int send_arrays(struct postgresql_conn *c, const struct postgresql_rows *m, const struct store_value *args, size_t n)
{
        const char *values[PARAMETERS_MAX];
        int lengths[PARAMETERS_MAX], binary[PARAMETERS_MAX];
        size_t ends[PARAMETERS_MAX], at = 0, n_args = m->base.n_args;
        struct buf arrays = {0};
        char name[16];
        for (size_t i = 0; i < n_args; i++) {
                write_array(&arrays, element_of(args, n_args, n, i), args, n_args, n, i);
                ends[i] = arrays.n;
        }
        for (size_t i = 0; i < n_args; at = ends[i++]) {
                values[i] = arrays.p + at;
                lengths[i] = (int)(ends[i] - at);
                binary[i] = 1;
        }
        int sent = PQsendQueryPrepared(c->pg, postgresql_name(m, name), (int)n_args, values, lengths, binary, 1);
        buf_done(&arrays);
        return sent ? 0 : postgresql_lost(c, NULL);
}

bool postgresql_merge(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args, size_t n,
                      struct pending pending, int *ret_result)
{
        size_t n_args = rows->base.n_args;
        if (!n_args)
                return false;
        for (size_t i = 0; i < n_args; i++)
                if (!element_of(args, n_args, n, i))
                        return false;
        struct postgresql_rows *m = merged_of(rows);
        if (!m->base.sql)
                return false;
        bool prepared = m->connection == c->connection;
        for (size_t i = 0; i < n_args; i++) {
                Oid type = array_of(element_of(args, n_args, n, i));
                prepared = prepared && m->types[i] == type;
                m->types[i] = type;
        }
        int r = prepared ? 0 : postgresql_prepare(c, m);
        if (r == 0)
                r = send_arrays(c, m, args, n);
        if (r == 0)
                postgresql_pend(c, pending);
        *ret_result = r;
        return true;
}
