/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements on PostgreSQL: prepared when they are first used on a connection, with the types that the arguments say, and
 * sent with their arguments in binary.
 */
#include "common/store/postgresql.h"
#include "common/base/clock.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

/* So many are put off at most: what is sent is bounded, and so is what is told late. */
#define PENDING_MAX 512
#define MANY_MAX    1000

const char *postgresql_skip_opaque(const char *p)
{
        const char *end;
        if (*p == '\'' || *p == '"')
                end = strchr(p + 1, *p);
        else if (p[0] == '-' && p[1] == '-')
                end = strchr(p, '\n');
        else
                return p;
        return end ? end + 1 : p + strlen(p);
}

/* $1 to $n, each at least once: n; else -EINVAL. */
static int count_parameters(const char *sql)
{
        uint64_t used = 0;
        while (*sql) {
                const char *next = postgresql_skip_opaque(sql);
                if (next == sql && *sql == '$') {
                        char *end;
                        long number = strtol(sql + 1, &end, 10);
                        if (number < 1 || number > PARAMETERS_MAX)
                                return -EINVAL;
                        used |= 1ull << (number - 1);
                        next = end;
                }
                sql = next == sql ? sql + 1 : next;
        }
        return used & (used + 1) ? -EINVAL : __builtin_popcountll(used);
}

int postgresql_find(struct postgresql_conn *c, const char *sql, size_t n_args, struct postgresql_rows **ret_rows)
{
        struct store_rows *kept;
        int r = statement_find(&c->base, sql, &kept);
        if (r < 0)
                return r;
        if (r == 0) {
                int n = count_parameters(sql);
                if (n < 0)
                        return conn_misuse(&c->base, "give parameters $1 to $n");
                struct postgresql_rows *rows = mem_zalloc(sizeof(*rows) + (size_t)n * sizeof(rows->types[0]));
                kept = &rows->base;
                *kept = (struct store_rows){.engine = &postgresql_engine, .conn = &c->base, .sql = sql,
                                            .cached = statement_keeps(&c->base, sql), .n_args = (size_t)n};
                statement_add(&c->base, kept);
        }
        *ret_rows = (struct postgresql_rows *)kept;
        if (kept->n_args == n_args)
                return 0;
        if (!kept->cached)
                statement_free(kept);
        return conn_misuse(&c->base, "wrong number of arguments");
}

Oid postgresql_type(const struct store_value *v)
{
        static const Oid types[] = {[STORE_NULL] = 0, [STORE_I64] = TYPE_I64, [STORE_TEXT] = TYPE_TEXT, [STORE_BYTES] = TYPE_BYTES};
        return types[v->type];
}

/* Is it prepared here for arguments of these types? A NULL is of any. */
static bool is_prepared(struct postgresql_conn *c, const struct postgresql_rows *rows, const struct store_value *args)
{
        if (rows->connection != c->connection)
                return false;
        for (size_t i = 0; i < rows->base.n_args; i++)
                if (args[i].type != STORE_NULL && rows->types[i] != postgresql_type(&args[i]))
                        return false;
        return true;
}

const char *postgresql_name(const struct postgresql_rows *rows, char text[16])
{
        if (rows->base.cached)
                snprintf(text, 16, "s%u", rows->name);
        else
                text[0] = '\0';
        return text;
}

int postgresql_prepare(struct postgresql_conn *c, struct postgresql_rows *rows)
{
        char name[16];
        rows->name = ++c->names;
        if (!PQsendPrepare(c->pg, postgresql_name(rows, name), rows->base.sql, (int)rows->base.n_args, rows->types))
                return postgresql_lost(c, NULL);
        rows->connection = c->connection;
        postgresql_pend(c, (struct pending){.kind = PENDING_PREPARE, .rows = rows});
        return 0;
}

static int prepare_for(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args)
{
        for (size_t i = 0; i < rows->base.n_args; i++)
                if (args[i].type != STORE_NULL)
                        rows->types[i] = postgresql_type(&args[i]);
        return postgresql_prepare(c, rows);
}

static int send_bound(struct postgresql_conn *c, const struct postgresql_rows *rows, const struct store_value *args)
{
        static const int binary[PARAMETERS_MAX] = {[0 ... PARAMETERS_MAX - 1] = 1};
        const char *values[PARAMETERS_MAX];
        int lengths[PARAMETERS_MAX];
        int64_t integers[PARAMETERS_MAX];
        char name[16];
        for (size_t i = 0; i < rows->base.n_args; i++) {
                if (args[i].type == STORE_I64) {
                        integers[i] = (int64_t)htobe64((uint64_t)args[i].i);
                        values[i] = (const char *)&integers[i];
                        lengths[i] = sizeof(integers[i]);
                } else {
                        values[i] = args[i].type == STORE_NULL ? NULL : args[i].s.p ? args[i].s.p : "";
                        lengths[i] = (int)args[i].s.n;
                }
        }
        if (!PQsendQueryPrepared(c->pg, postgresql_name(rows, name), (int)rows->base.n_args, values, lengths, binary, 1))
                return postgresql_lost(c, NULL);
        return 0;
}

static int send_statement(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args)
{
        int r = is_prepared(c, rows, args) ? 0 : prepare_for(c, rows, args);
        return r == 0 ? send_bound(c, rows, args) : r;
}

/* The end of one that is not kept, which has no result to wait for. */
static void drop_uncached(struct postgresql_rows *rows)
{
        if (!rows->base.cached)
                statement_free(&rows->base);
}

int postgresql_control(struct postgresql_conn *c, const char *sql, enum pending_kind kind)
{
        struct postgresql_rows *rows;
        int r = postgresql_find(c, sql, 0, &rows);
        if (r != 0)
                return r;
        r = send_statement(c, rows, NULL);
        if (r == 0)
                postgresql_pend(c, (struct pending){.kind = kind});
        drop_uncached(rows);
        return r;
}

int postgresql_exec(struct store_conn *conn, const char *sql, int64_t *ret_changed, const struct store_value *args,
                    size_t n_args)
{
        struct postgresql_conn *c = postgresql_of(conn);
        struct postgresql_rows *rows;
        int r = postgresql_find(c, sql, n_args, &rows);
        if (r != 0)
                return r;
        r = postgresql_enter(c);
        if (r == 0)
                r = send_statement(c, rows, args);
        if (r == 0)
                postgresql_pend(c, (struct pending){.kind = PENDING_EXEC, .ret_changed = ret_changed});
        drop_uncached(rows);
        if (r == 0 && (ret_changed || c->transaction == TRANSACTION_NONE || c->pending_end - c->pending_first > PENDING_MAX))
                r = postgresql_collect(c);
        return r;
}

/* In pieces: what is sent is bounded. */
static int send_many(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args, size_t n)
{
        const struct pending pending = {.kind = PENDING_EXEC};
        size_t n_args = rows->base.n_args;
        int r = 0;
        for (size_t i = 0, piece; r == 0 && i < n; i += piece) {
                piece = n - i < MANY_MAX ? n - i : MANY_MAX;
                if (piece > 1 && postgresql_merge(c, rows, args + i * n_args, piece, pending, &r))
                        continue;
                piece = 1;
                r = send_statement(c, rows, args + i * n_args);
                if (r == 0)
                        postgresql_pend(c, pending);
                if (r == 0 && c->pending_end - c->pending_first > PENDING_MAX)
                        r = postgresql_collect(c);
        }
        return r;
}

int postgresql_exec_many(struct store_conn *conn, const char *sql, const struct store_value *args, size_t n_args,
                         size_t n)
{
        struct postgresql_conn *c = postgresql_of(conn);
        struct postgresql_rows *rows;
        int r = n ? postgresql_find(c, sql, n_args, &rows) : 0;
        if (r != 0 || !n)
                return r;
        r = postgresql_enter(c);
        if (r == 0)
                r = send_many(c, rows, args, n);
        drop_uncached(rows);
        return r == 0 && c->transaction == TRANSACTION_NONE ? postgresql_collect(c) : r;
}

int postgresql_send_query(struct postgresql_conn *c, struct postgresql_rows *rows, const struct store_value *args,
                          struct postgresql_answer *answer)
{
        int r = postgresql_enter(c);
        if (r == 0)
                r = send_statement(c, rows, args);
        if (r != 0)
                return r;
        *answer = (struct postgresql_answer){0};
        postgresql_pend(c, (struct pending){.kind = PENDING_QUERY, .answer = answer});
        return c->transaction == TRANSACTION_NONE ? postgresql_sync(c) : 0; /* then it is a transaction of its own */
}

int postgresql_query(struct store_conn *conn, const char *sql, struct store_rows **ret_rows,
                     const struct store_value *args, size_t n_args)
{
        struct postgresql_conn *c = postgresql_of(conn);
        struct postgresql_rows *rows;
        bool wait = false;
        int r = postgresql_find(c, sql, n_args, &rows);
        if (r != 0)
                return r;
        rows->answer = rows->base.cached ? postgresql_gathered(c, sql, args, n_args, &wait) : NULL;
        if (wait)
                return STORE_E_GATHERED;
        if (!rows->answer) {
                rows->answer = &rows->own;
                r = postgresql_send_query(c, rows, args, rows->answer);
        }
        if (r != 0) {
                drop_uncached(rows);
                return r;
        }
        rows->row = -1;
        rows->base.open = true;
        *ret_rows = &rows->base;
        return 0;
}
