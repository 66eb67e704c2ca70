/* SPDX-License-Identifier: Apache-2.0
 *
 * Agencies and their keys in SQL.
 */
#include "services/stream/store_agency.h"

/* --- lists ------------------------------------------------------------------------------------------------------------ */

struct str list_join(struct arena *arena, struct view_list list)
{
        struct buf out = {0};
        for (size_t i = 0; i < list.n; i++) {
                if (i)
                        buf_add_char(&out, '\n');
                buf_add_z(&out, list.items[i]);
        }
        struct str text = arena_str(arena, buf_str(&out));
        buf_done(&out);
        return text;
}

struct view_list list_split(struct arena *arena, struct str text)
{
        size_t n = text.n ? 1 : 0;
        for (size_t i = 0; i < text.n; i++)
                n += text.p[i] == '\n';
        const char **items = ARENA_ARRAY(arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++) {
                struct str item = str_cut(&text, '\n');
                items[i] = arena_strndup(arena, item.p, item.n);
        }
        return (struct view_list){items, n};
}

/* --- agencies ----------------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                         \
        "id, name, purposes, statutory, types, organizations, privacy, withheld, agreement, agreement_expire_us, "      \
        "suspended, created_us, updated_us, revision"

void agency_read(const struct store_rows *rows, struct arena *arena, struct agency *ret)
{
        *ret = (struct agency){
                .id = store_text_dup(rows, 0, arena),
                .name = store_text_dup(rows, 1, arena),
                .purposes = list_split(arena, store_text(rows, 2)),
                .statutory = list_split(arena, store_text(rows, 3)),
                .types = list_split(arena, store_text(rows, 4)),
                .organizations = list_split(arena, store_text(rows, 5)),
                .privacy = (Nuanxin__Privacy)store_i64(rows, 6),
                .withheld = list_split(arena, store_text(rows, 7)),
                .agreement = store_text_dup(rows, 8, arena),
                .agreement_expire_us = store_i64(rows, 9),
                .suspended = store_i64(rows, 10),
                .created_us = store_i64(rows, 11),
                .updated_us = store_i64(rows, 12),
                .revision = store_i64(rows, 13),
        };
}

int agency_load(struct store_conn *db, struct arena *arena, const char *id, struct agency *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM agency WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                agency_read(rows, arena, ret);
        return r;
}

int agency_revision(struct store_conn *db, const char *id, int64_t *ret)
{
        static const char sql[] = "SELECT revision FROM agency WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = store_i64(rows, 0);
        return r;
}

int agencies_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM agency WHERE id > $1 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

static int places_save(struct store_conn *db, const struct agency *a)
{
        static const char clear[] = "DELETE FROM agency_organization WHERE agency = $1";
        static const char add[] = "INSERT INTO agency_organization (organization, agency) VALUES ($1, $2)";
        int r = store_exec(db, clear, NULL, TEXTZ(a->id));
        for (size_t i = 0; r == 0 && i < a->organizations.n; i++)
                r = store_exec(db, add, NULL, TEXTZ(a->organizations.items[i]), TEXTZ(a->id));
        return r;
}

/* The texts of an agency's columns, made for one statement. */
struct columns {
        struct arena *arena;
        struct str purposes, statutory, types, organizations, withheld;
};

static void columns_of(struct columns *c, const struct agency *a)
{
        c->arena = arena_new(4096);
        c->purposes = list_join(c->arena, a->purposes);
        c->statutory = list_join(c->arena, a->statutory);
        c->types = list_join(c->arena, a->types);
        c->organizations = list_join(c->arena, a->organizations);
        c->withheld = list_join(c->arena, a->withheld);
}

int agency_insert(struct store_conn *db, const struct agency *a)
{
        static const char sql[] = "INSERT INTO agency (" COLUMNS ") "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING";
        struct columns c;
        int64_t changed = 0;
        columns_of(&c, a);
        int r = store_exec(db, sql, &changed, TEXTZ(a->id), TEXTZ(a->name), TEXT(c.purposes), TEXT(c.statutory), TEXT(c.types),
                           TEXT(c.organizations), I64(a->privacy), TEXT(c.withheld), TEXTZ(a->agreement),
                           I64(a->agreement_expire_us), I64(a->suspended), I64(a->created_us), I64(a->updated_us), I64(a->revision));
        arena_free(c.arena);
        if (r == 0 && !changed)
                return STORE_E_CONSTRAINT;
        return r == 0 ? places_save(db, a) : r;
}

int agency_save(struct store_conn *db, struct agency *a)
{
        static const char sql[] =
                "UPDATE agency SET name = $2, purposes = $3, statutory = $4, types = $5, organizations = $6, privacy = $7, "
                "withheld = $8, agreement = $9, agreement_expire_us = $10, suspended = $11, updated_us = $12, "
                "revision = revision + 1 WHERE id = $1 AND revision = $13";
        struct columns c;
        int64_t changed = 0;
        columns_of(&c, a);
        int r = store_exec(db, sql, &changed, TEXTZ(a->id), TEXTZ(a->name), TEXT(c.purposes), TEXT(c.statutory), TEXT(c.types),
                           TEXT(c.organizations), I64(a->privacy), TEXT(c.withheld), TEXTZ(a->agreement),
                           I64(a->agreement_expire_us), I64(a->suspended), I64(a->updated_us), I64(a->revision));
        arena_free(c.arena);
        a->revision++;
        if (r == 0 && changed != 1)
                return STORE_E_RETRY;
        return r == 0 ? places_save(db, a) : r;
}

int agencies_touch(struct store_conn *db, const char *organization)
{
        static const char sql[] = "UPDATE agency SET revision = revision + 1 WHERE id IN "
                                  "(SELECT agency FROM agency_organization WHERE organization = $1)";
        return store_exec(db, sql, NULL, TEXTZ(organization));
}

/* --- keys ----------------------------------------------------------------------------------------------------------------- */

#define KEY_COLUMNS "id, agency, kind, value, created_us"

static void key_read(const struct store_rows *rows, struct arena *arena, struct agency_key *ret)
{
        *ret = (struct agency_key){
                .id = store_text_dup(rows, 0, arena),
                .agency = store_text_dup(rows, 1, arena),
                .kind = (int)store_i64(rows, 2),
                .value = store_text_dup(rows, 3, arena),
                .created_us = store_i64(rows, 4),
        };
}

static int keys_read(int r, struct store_rows *rows, struct arena *arena, struct agency_key **ret, size_t *ret_n)
{
        struct agency_key *keys = NULL;
        size_t n = 0, room = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                if (n == room) {
                        room = room ? 2 * room : 8;
                        struct agency_key *more = ARENA_ARRAY(arena, struct agency_key, room);
                        if (n)
                                memcpy(more, keys, n * sizeof(*keys));
                        keys = more;
                }
                key_read(rows, arena, &keys[n++]);
                r = 0;
        }
        if (r != 0)
                return r;
        *ret = keys;
        *ret_n = n;
        return 0;
}

int agency_keys_load(struct store_conn *db, struct arena *arena, const char *agency, struct agency_key **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT " KEY_COLUMNS " FROM agency_key WHERE agency = $1 AND revoked_us = 0 ORDER BY id LIMIT 100";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(agency));
        return keys_read(r, rows, arena, ret, ret_n);
}

int agency_keys_of_kind(struct store_conn *db, struct arena *arena, int kind, struct agency_key **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT " KEY_COLUMNS " FROM agency_key WHERE kind = $1 AND revoked_us = 0 "
                                  "ORDER BY agency, id LIMIT 10000";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(kind));
        return keys_read(r, rows, arena, ret, ret_n);
}

int agency_key_find(struct store_conn *db, struct arena *arena, int kind, const char *value, struct agency_key *ret)
{
        static const char sql[] = "SELECT " KEY_COLUMNS " FROM agency_key WHERE value = $1 AND kind = $2 AND revoked_us = 0";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(value), I64(kind)), rows);
        if (r == 0)
                key_read(rows, arena, ret);
        return r;
}

int agency_key_insert(struct store_conn *db, const struct agency_key *key)
{
        static const char sql[] = "INSERT INTO agency_key (id, agency, kind, value, created_us, revoked_us) "
                                  "VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(key->id), TEXTZ(key->agency), I64(key->kind), TEXTZ(key->value),
                           I64(key->created_us));
        return r == 0 && !changed ? STORE_E_CONSTRAINT : r;
}

int agency_key_revoke(struct store_conn *db, const char *agency, const char *id, int64_t now_us)
{
        static const char sql[] = "UPDATE agency_key SET revoked_us = $3 WHERE agency = $1 AND id = $2 AND revoked_us = 0";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(agency), TEXTZ(id), I64(now_us));
        return r == 0 && !changed ? STREAM_E_ABSENT : r;
}
