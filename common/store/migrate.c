/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema files: what has not run yet, in order, each in its own transaction; and the marks for types whose
 * names differ between engines.
 */
#include "common/store/internal.h"

struct mark {
        const char *name, *sqlite;
};
static const struct mark marks[] = {
        {"int", "INTEGER"},
        {"bytes", "BLOB"},
        {"text", "TEXT"},
        {"strict", "STRICT"},
        {"clustered", "STRICT, WITHOUT ROWID"},
};

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The part of s that is no place for marks: a comment or a quoted text at its start; 0 if there is none. */
static size_t opaque_length(struct str s)
{
        const char *end = NULL;
        if (s.p[0] == '\'' || s.p[0] == '"') {
                end = memchr(s.p + 1, s.p[0], s.n - 1);
        } else if (s.n > 1 && s.p[0] == '-' && s.p[1] == '-') {
                end = memchr(s.p, '\n', s.n);
        } else {
                return 0;
        }
        return end ? (size_t)(end - s.p) + 1 : s.n;
}

/* -EINVAL for a mark that is unknown; *ret_mark is then that text. */
static int expand_marks(struct str s, struct buf *out, struct str *ret_mark)
{
        while (s.n) {
                size_t n = opaque_length(s);
                if (!n && s.p[0] != '@')
                        n = 1;
                if (n) {
                        buf_add(out, s.p, n);
                } else {
                        const struct mark *found = NULL;
                        for (n = 1; n < s.n && is_letter(s.p[n]);)
                                n++;
                        for (size_t i = 0; i < ARRAY_LEN(marks); i++)
                                if (str_is((struct str){s.p + 1, n - 1}, marks[i].name))
                                        found = &marks[i];
                        if (!found) {
                                *ret_mark = (struct str){s.p, n};
                                return -EINVAL;
                        }
                        buf_add_z(out, found->sqlite);
                }
                s.p += n;
                s.n -= n;
        }
        return 0;
}

/* 1: it has run with this text; 0: it has not run; -EUCLEAN: it has run with another text. */
static int has_run(struct store_conn *writer, const struct store_migration *m)
{
        static const char select[] = "SELECT text FROM store_migration WHERE name = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(writer, select, &rows, TEXTZ(m->name));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        return str_is(store_text(rows, 0), m->sql) ? 1 : -EUCLEAN;
}

static int run_one(struct store_conn *writer, const struct store_migration *m, const char *sql)
{
        static const char insert[] = "INSERT INTO store_migration (name, text) VALUES ($1, $2)";
        int r = store_begin(writer);
        if (r != 0)
                return r;
        r = statement_script(writer, sql);
        if (r == 0)
                r = store_exec(writer, insert, NULL, TEXTZ(m->name), TEXTZ(m->sql));
        if (r == 0)
                r = store_commit(writer);
        store_rollback(writer);
        return r;
}

static int migrate_one(struct store_conn *writer, const struct store_migration *m, const char **ret_error)
{
        struct buf sql = {0};
        struct str mark = {0};
        int r = has_run(writer, m);
        if (r == 1)
                return 0;
        if (r == -EUCLEAN)
                return store_fail(ret_error, r, "migration %s has run with another text; add a new one",
                                  m->name);
        if (r == 0)
                r = expand_marks(str_of(m->sql), &sql, &mark);
        if (r == 0)
                r = run_one(writer, m, buf_z(&sql));
        buf_done(&sql);
        if (mark.n)
                return store_fail(ret_error, r, "migration %s: unknown mark %.*s", m->name, (int)mark.n,
                                  mark.p);
        return r == 0 ? 0 : store_fail(ret_error, r, "migration %s: %s", m->name, store_last_error(writer));
}

int store_migrate(struct store_conn *writer, const struct store_migration *list, size_t n,
                  const char **ret_error)
{
        static const char create[] =
                "CREATE TABLE IF NOT EXISTS store_migration (name TEXT PRIMARY KEY, text TEXT NOT NULL)";
        int r = store_begin(writer);
        if (r == 0)
                r = store_exec(writer, create, NULL);
        if (r == 0)
                r = store_commit(writer);
        store_rollback(writer);
        if (r != 0)
                return store_fail(ret_error, r, "cannot record migrations: %s", store_last_error(writer));

        for (size_t i = 0; i < n; i++) {
                r = migrate_one(writer, &list[i], ret_error);
                if (r != 0)
                        return r;
        }
        return 0;
}
