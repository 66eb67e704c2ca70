/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema files: what has not run yet, in order, each in its own transaction; contractions, which wait for the operator;
 * and the marks for types whose names differ between engines.
 */
#include "common/store/internal.h"
#include "common/base/clock.h"

#include <unistd.h>

static const char *const mark_names[N_MARKS] = {
        [MARK_INT] = "int",       [MARK_BYTES] = "bytes",         [MARK_TEXT] = "text",
        [MARK_STRICT] = "strict", [MARK_CLUSTERED] = "clustered",
};

/* For how long other connections' locks are waited for in all: a migration takes its turn among short transactions. */
#define LOCKS_US (60 * CLOCK_SECOND_US)
#define PAUSE_US (50 * 1000)

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

/* A line for one engine: the length of its mark; of all of it if this is another engine; 0: it is for both. */
static size_t only_length(struct str s, bool shared)
{
        static const struct str only = STR("@postgresql");
        if (!str_starts(s, only) || (s.n > only.n && is_letter(s.p[only.n])))
                return 0;
        const char *end = memchr(s.p, '\n', s.n);
        return shared ? only.n : end ? (size_t)(end - s.p) + 1 : s.n;
}

/* -EINVAL for a mark that is unknown; *ret_mark is then that text. */
static int expand_marks(const struct store_engine *engine, struct str s, struct buf *out, struct str *ret_mark)
{
        bool at_line = true;
        while (s.n) {
                size_t only = at_line ? only_length(s, engine->shared) : 0;
                size_t n = only ? only : opaque_length(s);
                if (!n && s.p[0] != '@')
                        n = 1;
                if (n && !only) {
                        buf_add(out, s.p, n);
                } else if (!only) {
                        const char *found = NULL;
                        for (n = 1; n < s.n && is_letter(s.p[n]);)
                                n++;
                        for (size_t i = 0; i < N_MARKS; i++)
                                if (str_is((struct str){s.p + 1, n - 1}, mark_names[i]))
                                        found = engine->marks[i];
                        if (!found) {
                                *ret_mark = (struct str){s.p, n};
                                return -EINVAL;
                        }
                        buf_add_z(out, found);
                }
                at_line = s.p[n - 1] == '\n';
                s.p += n;
                s.n -= n;
        }
        return 0;
}

/* 1: it has run with this text; 0: it has not run; -EUCLEAN: it has run with another text. */
static int has_run(struct store_conn *conn, const struct store_migration *m)
{
        static const char select[] = "SELECT text FROM store_migration WHERE name = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, select, &rows, TEXTZ(m->name));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        return str_is(store_text(rows, 0), m->sql) ? 1 : -EUCLEAN;
}

/* In the open transaction. */
static int run_and_record(struct store_conn *writer, const struct store_migration *m, const char **ret_error)
{
        static const char insert[] = "INSERT INTO store_migration (name, text) VALUES ($1, $2)";
        struct buf sql = {0};
        struct str mark = {0};
        int r = expand_marks(writer->engine, str_of(m->sql), &sql, &mark);
        if (r == 0)
                r = writer->engine->script(writer, buf_z(&sql));
        if (r == 0)
                r = store_exec(writer, insert, NULL, TEXTZ(m->name), TEXTZ(m->sql));
        buf_done(&sql);
        if (mark.n)
                return store_fail(ret_error, r, "migration %s: unknown mark %.*s", m->name, (int)mark.n,
                                  mark.p);
        return r == 0 ? 0 : store_fail(ret_error, r, "migration %s: %s", m->name, store_last_error(writer));
}

static int migrate_once(struct store_conn *writer, const struct store_migration *m, const char **ret_error)
{
        int r = has_run(writer, m);
        if (r == 1)
                return 0;
        if (r == -EUCLEAN)
                return store_fail(ret_error, r, "migration %s has run with another text; add a new one",
                                  m->name);
        if (r == 0)
                r = store_begin(writer);
        if (r != 0)
                return store_fail(ret_error, r, "migration %s: %s", m->name, store_last_error(writer));
        r = run_and_record(writer, m, ret_error);
        if (r == 0 && (r = store_commit(writer)) != 0)
                r = store_fail(ret_error, r, "migration %s: %s", m->name, store_last_error(writer));
        store_rollback(writer);
        return r;
}

/* 0 also if it has run before. On a shared store others hold locks, each for a moment: this one waits shortly in their
 * queue, since who comes after it waits for it, and then makes room. */
static int migrate_one(struct store_conn *writer, const struct store_migration *m, int64_t until_us,
                       const char **ret_error)
{
        int r;
        while ((r = migrate_once(writer, m, ret_error)) == STORE_E_RETRY && clock_monotonic_us() < until_us)
                usleep(PAUSE_US);
        return r;
}

static int make_record(struct store_conn *writer, const char **ret_error)
{
        static const char create[] =
                "CREATE TABLE IF NOT EXISTS store_migration (name TEXT PRIMARY KEY, text TEXT NOT NULL)";
        int r = store_begin(writer);
        if (r == 0)
                r = store_exec(writer, create, NULL);
        if (r == 0)
                r = store_commit(writer);
        store_rollback(writer);
        return r == 0 ? 0 : store_fail(ret_error, r, "cannot record migrations: %s", store_last_error(writer));
}

/* --- contractions --------------------------------------------------------------------------------------- */

static bool is_contraction(struct str name)
{
        const struct str suffix = STR(".contract");
        return name.n > suffix.n && str_eq((struct str){name.p + name.n - suffix.n, suffix.n}, suffix);
}

bool store_is_contraction(const struct store_migration *m)
{
        return is_contraction(str_of(m->name));
}

/* "membership/" of "membership/001_core". */
static struct str folder_of(const char *name)
{
        const char *slash = strchr(name, '/');
        return str_bytes(name, slash ? (size_t)(slash - name) + 1 : 0);
}

static bool is_listed(const struct store_migration *list, size_t n, struct str name)
{
        for (size_t i = 0; i < n; i++)
                if (str_is(name, list[i].name))
                        return true;
        return false;
}

/* 1: a row to look at. A database without the record has none. */
static int next_record(struct store_conn *conn, struct store_rows **rows)
{
        static const char select[] = "SELECT name FROM store_migration ORDER BY name";
        int r = *rows ? 0 : store_query(conn, select, rows);
        return r == 0 ? store_next(*rows) : r;
}

int store_schema_fits(struct store_conn *conn, const struct store_migration *list, size_t n,
                      const char **ret_error)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t wanted = 0, found = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                wanted += !store_is_contraction(&list[i]);
        while ((r = next_record(conn, &rows)) == 1) {
                struct str name = store_text(rows, 0);
                bool listed = is_listed(list, n, name);
                if (!listed && n && is_contraction(name) && str_starts(name, folder_of(list[0].name)))
                        return store_fail(ret_error, STORE_E_OUTGROWN,
                                          "%.*s has taken away what this build needs: use a newer build",
                                          (int)name.n, name.p);
                found += listed && !is_contraction(name);
        }
        return r == 0 ? found == wanted : r;
}

/* Nothing of the list's folder has run: so nobody older is there either, and contractions need not wait. */
static int is_fresh(struct store_conn *conn, const struct store_migration *list, size_t n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r;
        while ((r = next_record(conn, &rows)) == 1)
                if (n && str_starts(store_text(rows, 0), folder_of(list[0].name)))
                        return 0;
        return r == 0 ? 1 : r;
}

int store_contract_pending(struct store_conn *conn, const struct store_migration *m)
{
        int r = store_is_contraction(m) ? has_run(conn, m) : 1;
        return r == 0 || r == 1 ? !r : r;
}

int store_contract(struct store_conn *writer, const struct store_migration *m, bool *ret_ran, const char **ret_error)
{
        int pending = store_contract_pending(writer, m);
        if (pending != 0 && pending != 1)
                return store_fail(ret_error, pending, "migration %s: %s", m->name, store_last_error(writer));
        int r = pending ? run_and_record(writer, m, ret_error) : 0;
        if (r == 0)
                *ret_ran = pending;
        return r;
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static int migrate_all(struct store_conn *writer, const struct store_migration *list, size_t n, int64_t until_us,
                       const char **ret_error)
{
        int r = make_record(writer, ret_error);
        if (r != 0)
                return r;
        int fits = store_schema_fits(writer, list, n, ret_error);
        if (fits == STORE_E_OUTGROWN)
                return fits;
        int fresh = fits == 0 || fits == 1 ? is_fresh(writer, list, n) : fits;
        if (fresh != 0 && fresh != 1)
                return store_fail(ret_error, fresh, "cannot read the record of migrations: %s",
                                  store_last_error(writer));
        for (size_t i = 0; r == 0 && i < n; i++)
                if (fresh || !store_is_contraction(&list[i]))
                        r = migrate_one(writer, &list[i], until_us, ret_error);
        return r;
}

int store_migrate(struct store_conn *writer, const struct store_migration *list, size_t n,
                  const char **ret_error)
{
        int64_t until_us = clock_monotonic_us() + LOCKS_US;
        int r = writer->engine->shared ? writer->engine->migration_lock(writer, until_us) : 0;
        if (r != 0)
                return store_fail(ret_error, r, "cannot lock the migrations: %s", store_last_error(writer));
        r = migrate_all(writer, list, n, until_us, ret_error);
        if (writer->engine->shared)
                writer->engine->migration_unlock(writer);
        return r;
}
