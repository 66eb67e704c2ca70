/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipients, their secrets and flags in SQL. Lists are a range of (path, id), which is one index.
 */
#include "store_recipient.h"

#define COLUMNS                                                                                              \
        "id, organization, path, member, household, name, id_number_masked, phone_masked, "                  \
        "bank_account_masked, state, created_us, updated_us, erased_us, revision"

void recipient_read(const struct store_rows *rows, struct arena *arena, struct recipient *ret)
{
        *ret = (struct recipient){
                .id = store_text_dup(rows, 0, arena),
                .organization = store_text_dup(rows, 1, arena),
                .path = store_text_dup(rows, 2, arena),
                .member = store_text_dup(rows, 3, arena),
                .household = store_text_dup(rows, 4, arena),
                .name = store_text_dup(rows, 5, arena),
                .id_number_masked = store_text_dup(rows, 6, arena),
                .phone_masked = store_text_dup(rows, 7, arena),
                .bank_account_masked = store_text_dup(rows, 8, arena),
                .state = (int)store_i64(rows, 9),
                .created_us = store_i64(rows, 10),
                .updated_us = store_i64(rows, 11),
                .erased_us = store_i64(rows, 12),
                .revision = store_i64(rows, 13),
        };
}

static int load_one(struct store_conn *db, struct arena *arena, const char *sql, struct store_value by,
                    struct recipient *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, by), rows);
        if (r == 0)
                recipient_read(rows, arena, ret);
        return r;
}

int recipient_load(struct store_conn *db, struct arena *arena, const char *id, struct recipient *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM recipient WHERE id = $1";
        return load_one(db, arena, sql, TEXTZ(id), ret);
}

int recipient_by_member(struct store_conn *db, struct arena *arena, const char *member, struct recipient *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM recipient WHERE member = $1 AND member <> ''";
        return load_one(db, arena, sql, TEXTZ(member), ret);
}

int recipient_by_id_number(struct store_conn *db, struct arena *arena, struct str index, struct recipient *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM recipient "
                                  "WHERE id = (SELECT recipient FROM recipient_secret WHERE id_number_index = $1)";
        return load_one(db, arena, sql, BYTES(index.p, index.n), ret);
}

int recipient_insert(struct store_conn *db, const struct recipient *r)
{
        static const char sql[] = "INSERT INTO recipient (" COLUMNS ") "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
                                  "ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int x = store_exec(db, sql, &changed, TEXTZ(r->id), TEXTZ(r->organization), TEXTZ(r->path), TEXTZ(r->member),
                           TEXTZ(r->household), TEXTZ(r->name), TEXTZ(r->id_number_masked), TEXTZ(r->phone_masked),
                           TEXTZ(r->bank_account_masked), I64(r->state), I64(r->created_us), I64(r->updated_us),
                           I64(r->erased_us), I64(r->revision));
        return x == 0 && changed == 0 ? STORE_E_CONSTRAINT : x;
}

int recipient_save(struct store_conn *db, struct recipient *r)
{
        static const char sql[] =
                "UPDATE recipient SET organization = $2, path = $3, member = $4, household = $5, name = $6, "
                "id_number_masked = $7, phone_masked = $8, bank_account_masked = $9, state = $10, updated_us = $11, "
                "erased_us = $12, revision = revision + 1 WHERE id = $1 AND revision = $13";
        int64_t changed = 0;
        int x = store_exec(db, sql, &changed, TEXTZ(r->id), TEXTZ(r->organization), TEXTZ(r->path), TEXTZ(r->member),
                           TEXTZ(r->household), TEXTZ(r->name), TEXTZ(r->id_number_masked), TEXTZ(r->phone_masked),
                           TEXTZ(r->bank_account_masked), I64(r->state), I64(r->updated_us), I64(r->erased_us),
                           I64(r->revision));
        r->revision++;
        return one_changed(x, changed);
}

/* --- lists ----------------------------------------------------------------------------------------------------- */

int recipients_query(struct store_conn *db, struct arena *arena, const struct recipient_filter *f, int64_t limit,
                     struct store_rows **ret_rows)
{
        static const char all[] = "SELECT " COLUMNS " FROM recipient WHERE path >= $1 AND path < $2 "
                                  "AND (path, id) > ($3, $4) ORDER BY path, id LIMIT $5";
        static const char of_one[] = "SELECT " COLUMNS " FROM recipient WHERE household = $6 AND path >= $1 "
                                     "AND path < $2 AND (path, id) > ($3, $4) ORDER BY path, id LIMIT $5";
        struct store_value path = TEXT(f->path), end = TEXT(path_end(arena, f->path));
        if (!f->household[0])
                return store_query(db, all, ret_rows, path, end, TEXTZ(f->after_path), TEXTZ(f->after_id), I64(limit));
        return store_query(db, of_one, ret_rows, path, end, TEXTZ(f->after_path), TEXTZ(f->after_id), I64(limit),
                           TEXTZ(f->household));
}

int household_query(struct store_conn *db, const char *household, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT " COLUMNS " FROM recipient WHERE household = $1 ORDER BY path, id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(household), I64(limit));
}

/* --- what is sealed -------------------------------------------------------------------------------------------- */

static struct store_value bytes_or_null(struct str s)
{
        return s.n ? BYTES(s.p, s.n) : SQLNULL();
}

int recipient_secret_load(struct store_conn *db, struct arena *arena, const char *id, struct recipient_secret *ret)
{
        static const char sql[] =
                "SELECT wrapped_key, id_number, phone, bank_account, special FROM recipient_secret WHERE recipient = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = (struct recipient_secret){
                        .wrapped_key = arena_str(arena, store_bytes(rows, 0)),
                        .id_number = arena_str(arena, store_bytes(rows, 1)),
                        .phone = arena_str(arena, store_bytes(rows, 2)),
                        .bank_account = arena_str(arena, store_bytes(rows, 3)),
                        .special = arena_str(arena, store_bytes(rows, 4)),
                };
        return r;
}

int recipient_secret_insert(struct store_conn *db, const char *id, const struct recipient_secret *s)
{
        static const char sql[] =
                "INSERT INTO recipient_secret (recipient, wrapped_key, id_number, phone, bank_account, special, "
                "id_number_index) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(id), BYTES(s->wrapped_key.p, s->wrapped_key.n),
                           BYTES(s->id_number.p, s->id_number.n), bytes_or_null(s->phone), bytes_or_null(s->bank_account),
                           BYTES(s->special.p, s->special.n), BYTES(s->id_number_index.p, s->id_number_index.n));
        return one_changed(r, changed);
}

int recipient_secret_save(struct store_conn *db, const char *id, const struct recipient_secret *s)
{
        static const char sql[] =
                "UPDATE recipient_secret SET phone = $2, bank_account = $3, special = $4 WHERE recipient = $1";
        return store_exec(db, sql, NULL, TEXTZ(id), bytes_or_null(s->phone), bytes_or_null(s->bank_account),
                          BYTES(s->special.p, s->special.n));
}

int recipient_secret_delete(struct store_conn *db, const char *id)
{
        static const char flags[] = "DELETE FROM recipient_flag WHERE recipient = $1";
        static const char secret[] = "DELETE FROM recipient_secret WHERE recipient = $1";
        int r = store_exec(db, flags, NULL, TEXTZ(id));
        return r == 0 ? store_exec(db, secret, NULL, TEXTZ(id)) : r;
}

/* --- flags ----------------------------------------------------------------------------------------------------- */

#define FLAG_COLUMNS "id, until_date, sealed, created_us"

static void read_flag(const struct store_rows *rows, struct arena *arena, struct flag *ret)
{
        *ret = (struct flag){
                .id = store_text_dup(rows, 0, arena),
                .until_date = store_text_dup(rows, 1, arena),
                .sealed = arena_str(arena, store_bytes(rows, 2)),
                .created_us = store_i64(rows, 3),
        };
}

int flag_insert(struct store_conn *db, const char *recipient, const struct flag *f)
{
        static const char sql[] =
                "INSERT INTO recipient_flag (" FLAG_COLUMNS ", recipient) VALUES ($1, $2, $3, $4, $5)";
        return store_exec(db, sql, NULL, TEXTZ(f->id), TEXTZ(f->until_date), BYTES(f->sealed.p, f->sealed.n),
                          I64(f->created_us), TEXTZ(recipient));
}

int flag_load(struct store_conn *db, struct arena *arena, const char *recipient, const char *id, struct flag *ret)
{
        static const char sql[] = "SELECT " FLAG_COLUMNS " FROM recipient_flag WHERE id = $1 AND recipient = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id), TEXTZ(recipient)), rows);
        if (r == 0)
                read_flag(rows, arena, ret);
        return r;
}

int flag_delete(struct store_conn *db, const char *id)
{
        static const char sql[] = "DELETE FROM recipient_flag WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(id));
}

int flags_expire(struct store_conn *db, const char *recipient, const char *today)
{
        static const char sql[] =
                "DELETE FROM recipient_flag WHERE recipient = $1 AND until_date <> '' AND until_date < $2";
        return store_exec(db, sql, NULL, TEXTZ(recipient), TEXTZ(today));
}

int flags_load(struct store_conn *db, struct arena *arena, const char *recipient, struct flag out[FLAGS_MAX],
               size_t *ret_n)
{
        static const char sql[] =
                "SELECT " FLAG_COLUMNS " FROM recipient_flag WHERE recipient = $1 ORDER BY id LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(recipient), I64(FLAGS_MAX));
        while (r == 0 && n < FLAGS_MAX && (r = store_next(rows)) == 1) {
                read_flag(rows, arena, &out[n++]);
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}
