/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts in SQL: what an organisation has itself, and what its whole subtree has.
 */
#include "services/membership/store.h"

int count_node_get(struct store_conn *db, struct arena *arena, const char *organization, char **ret_path)
{
        static const char sql[] = "SELECT path FROM count_node WHERE organization = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(organization));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        *ret_path = store_text_dup(rows, 0, arena);
        return 0;
}

int count_node_set(struct store_conn *db, const char *organization, const char *path)
{
        static const char sql[] = "INSERT INTO count_node (organization, path) VALUES ($1, $2)"
                                  " ON CONFLICT (organization) DO UPDATE SET path = excluded.path";
        return store_exec(db, sql, NULL, TEXTZ(organization), TEXTZ(path));
}

int count_own_add(struct store_conn *db, const struct store_value *counts, size_t n)
{
        static const char sql[] =
            "INSERT INTO count_own (organization, what, n) VALUES ($1, $2, $3)"
            " ON CONFLICT (organization, what) DO UPDATE SET n = count_own.n + excluded.n";
        return store_exec_many(db, sql, counts, 3, n);
}

int count_subtree_add(struct store_conn *db, const struct store_value *counts, size_t n)
{
        static const char sql[] =
            "INSERT INTO count_subtree (organization, what, n) VALUES ($1, $2, $3)"
            " ON CONFLICT (organization, what) DO UPDATE SET n = count_subtree.n + excluded.n";
        return store_exec_many(db, sql, counts, 3, n);
}

static int read_counts(struct store_conn *db, const char *sql, const char *organization,
                       struct count out[COUNT_MAX], size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(organization), I64(COUNT_MAX));
        while (r == 0 && n < COUNT_MAX && (r = store_next(rows)) == 1) {
                out[n++] = (struct count){(int)store_i64(rows, 0), store_i64(rows, 1)};
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}
int count_own_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX],
                   size_t *ret_n)
{
        static const char sql[] = "SELECT what, n FROM count_own WHERE organization = $1 LIMIT $2";
        return read_counts(db, sql, organization, out, ret_n);
}

int count_subtree_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX],
                       size_t *ret_n)
{
        static const char sql[] = "SELECT what, n FROM count_subtree WHERE organization = $1 LIMIT $2";
        return read_counts(db, sql, organization, out, ret_n);
}

int count_rebuild(struct store_conn *db)
{
        static const char *const steps[] = {
            "DELETE FROM count_node",
            "DELETE FROM count_own",
            "DELETE FROM count_subtree",
            "INSERT INTO count_node (organization, path) SELECT code, path FROM organization",
            "INSERT INTO count_own (organization, what, n) SELECT code, 100 + kind, 1 FROM organization",
            "INSERT INTO count_own (organization, what, n)"
            " SELECT organization, state, COUNT(*) FROM member GROUP BY organization, state",
            "INSERT INTO count_subtree (organization, what, n)"
            " SELECT a.code, c.what, SUM(c.n) FROM organization a"
            " JOIN organization o ON o.path >= a.path AND o.path < substr(a.path, 1, length(a.path) - 1) || "
            "'0'"
            " JOIN count_own c ON c.organization = o.code GROUP BY a.code, c.what",
        };
        int r = 0;
        store_take_time(db);
        for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
                r = store_exec(db, steps[i], NULL);
        return r;
}
