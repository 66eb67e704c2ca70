/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounts, clients and their grants in SQL. Lists go through the organisations of a subtree in the order of
 * their paths, so a page starts after (path, id).
 */
#include "services/membership/store.h"

#define ACCOUNT_COLUMNS                                                                                      \
        "a.id, a.login, a.display_name, a.organization, a.password, a.disabled, a.generation, a.created"
#define CLIENT_COLUMNS "c.id, c.name, c.organization, c.key_hash, c.disabled, c.generation, c.created"

/* --- grants --------------------------------------------------------------------------------------------- */

int role_grants_get(struct store_conn *db, struct arena *arena, const char *holder,
                    struct role_grant out[ROLE_GRANT_MAX], size_t *ret_n)
{
        static const char sql[] =
            "SELECT role, organization FROM role_grant WHERE holder = $1 ORDER BY role, organization LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(holder), I64(ROLE_GRANT_MAX));
        while (r == 0 && n < ROLE_GRANT_MAX && (r = store_next(rows)) == 1) {
                out[n++] = (struct role_grant){(int)store_i64(rows, 0), store_text_dup(rows, 1, arena)};
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

int role_grants_set(struct store_conn *db, const char *holder, const struct role_grant *grants, size_t n)
{
        static const char clear[] = "DELETE FROM role_grant WHERE holder = $1";
        static const char insert[] = "INSERT INTO role_grant (holder, role, organization) VALUES ($1, $2, $3)"
                                     " ON CONFLICT DO NOTHING";
        int r = store_exec(db, clear, NULL, TEXTZ(holder));
        for (size_t i = 0; i < n && r == 0; i++)
                r = store_exec(db, insert, NULL, TEXTZ(holder), I64(grants[i].role),
                               TEXTZ(grants[i].organization));
        return r;
}

/* --- accounts ------------------------------------------------------------------------------------------- */

static void read_account(const struct store_rows *rows, struct arena *arena, struct account *a)
{
        *a = (struct account){
                .id = store_text_dup(rows, 0, arena),
                .login = store_text_dup(rows, 1, arena),
                .display_name = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .password = store_text_dup(rows, 4, arena),
                .disabled = store_i64(rows, 5),
                .generation = store_i64(rows, 6),
                .created = store_i64(rows, 7),
        };
}

static int account_one(struct store_conn *db, struct arena *arena, const char *sql, const char *value,
                       struct account *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(value));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_account(rows, arena, ret);
        return 0;
}

int account_get(struct store_conn *db, struct arena *arena, const char *id, struct account *ret)
{
        static const char sql[] = "SELECT " ACCOUNT_COLUMNS " FROM account a WHERE a.id = $1";
        return account_one(db, arena, sql, id, ret);
}

int account_by_login(struct store_conn *db, struct arena *arena, const char *login, struct account *ret)
{
        static const char sql[] = "SELECT " ACCOUNT_COLUMNS " FROM account a WHERE a.login = $1";
        return account_one(db, arena, sql, login, ret);
}

int account_insert(struct store_conn *db, const struct account *a)
{
        static const char sql[] =
            "INSERT INTO account (id, login, display_name, organization, password, disabled,"
            " generation, created) VALUES ($1, $2, $3, $4, $5, 0, $6, $7) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(a->id), TEXTZ(a->login), TEXTZ(a->display_name),
                           TEXTZ(a->organization), TEXTZ(a->password), I64(a->generation), I64(a->created));
        return r == 0 && changed == 0 ? STORE_E_CONSTRAINT : r;
}

int account_update(struct store_conn *db, const struct account *a)
{
        static const char sql[] =
            "UPDATE account SET password = $2, disabled = $3, generation = $4 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(a->id), TEXTZ(a->password), I64(a->disabled),
                          I64(a->generation));
}

int account_list(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                 const char *after_id, int64_t limit, struct account *out, char **out_paths, size_t *ret_n)
{
        static const char sql[] = "SELECT " ACCOUNT_COLUMNS ", o.path FROM organization o"
                                  " JOIN account a ON a.organization = o.code"
                                  " WHERE o.path >= $1 AND o.path < $2 AND (o.path, a.id) > ($3, $4)"
                                  " ORDER BY o.path, a.id LIMIT $5";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXT(path), TEXTZ(path_end(arena, path)), TEXTZ(after_path),
                            TEXTZ(after_id), I64(limit));
        while (r == 0 && (int64_t)n < limit && (r = store_next(rows)) == 1) {
                read_account(rows, arena, &out[n]);
                out_paths[n++] = store_text_dup(rows, 8, arena);
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

int account_states(struct store_conn *db, struct arena *arena, const char *after, int64_t limit, struct account *out,
                   size_t *ret_n)
{
        static const char sql[] =
            "SELECT " ACCOUNT_COLUMNS " FROM account a WHERE a.id > $1 ORDER BY a.id LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(after), I64(limit));
        while (r == 0 && (r = store_next(rows)) == 1) {
                read_account(rows, arena, &out[n++]);
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

/* --- clients -------------------------------------------------------------------------------------------- */

static void read_client(const struct store_rows *rows, struct arena *arena, struct client *c)
{
        *c = (struct client){
                .id = store_text_dup(rows, 0, arena),
                .name = store_text_dup(rows, 1, arena),
                .organization = store_text_dup(rows, 2, arena),
                .key_hash = store_text_dup(rows, 3, arena),
                .disabled = store_i64(rows, 4),
                .generation = store_i64(rows, 5),
                .created = store_i64(rows, 6),
        };
}

static int client_one(struct store_conn *db, struct arena *arena, const char *sql, const char *value,
                      struct client *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(value));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_client(rows, arena, ret);
        return 0;
}

int client_get(struct store_conn *db, struct arena *arena, const char *id, struct client *ret)
{
        static const char sql[] = "SELECT " CLIENT_COLUMNS " FROM client c WHERE c.id = $1";
        return client_one(db, arena, sql, id, ret);
}

int client_by_key(struct store_conn *db, struct arena *arena, const char *key_hash, struct client *ret)
{
        static const char sql[] = "SELECT " CLIENT_COLUMNS " FROM client c WHERE c.key_hash = $1";
        return client_one(db, arena, sql, key_hash, ret);
}

int client_insert(struct store_conn *db, const struct client *c)
{
        static const char sql[] =
            "INSERT INTO client (id, name, organization, key_hash, disabled, generation, created)"
            " VALUES ($1, $2, $3, $4, 0, $5, $6)";
        return store_exec(db, sql, NULL, TEXTZ(c->id), TEXTZ(c->name), TEXTZ(c->organization),
                          TEXTZ(c->key_hash), I64(c->generation), I64(c->created));
}

int client_update(struct store_conn *db, const struct client *c)
{
        static const char sql[] =
            "UPDATE client SET key_hash = $2, disabled = $3, generation = $4 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(c->id), TEXTZ(c->key_hash), I64(c->disabled),
                          I64(c->generation));
}

int client_list(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                const char *after_id, int64_t limit, struct client *out, char **out_paths, size_t *ret_n)
{
        static const char sql[] = "SELECT " CLIENT_COLUMNS ", o.path FROM organization o"
                                  " JOIN client c ON c.organization = o.code"
                                  " WHERE o.path >= $1 AND o.path < $2 AND (o.path, c.id) > ($3, $4)"
                                  " ORDER BY o.path, c.id LIMIT $5";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXT(path), TEXTZ(path_end(arena, path)), TEXTZ(after_path),
                            TEXTZ(after_id), I64(limit));
        while (r == 0 && (int64_t)n < limit && (r = store_next(rows)) == 1) {
                read_client(rows, arena, &out[n]);
                out_paths[n++] = store_text_dup(rows, 7, arena);
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}
