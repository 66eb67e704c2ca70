/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmes and calendars in SQL.
 */
#include "store_programme.h"

#define COLUMNS "p.id, p.organization, v.version, p.current_version, v.created_us, v.activated_us, v.document"
#define BOTH    "FROM programme p JOIN programme_version v ON v.programme = p.id "

void programme_read(const struct store_rows *rows, struct arena *arena, struct programme *ret)
{
        *ret = (struct programme){
                .id = store_text_dup(rows, 0, arena),
                .organization = store_text_dup(rows, 1, arena),
                .version = store_i64(rows, 2),
                .current_version = store_i64(rows, 3),
                .created_us = store_i64(rows, 4),
                .activated_us = store_i64(rows, 5),
                .document = arena_str(arena, store_bytes(rows, 6)),
        };
}

int programme_load(struct store_conn *db, struct arena *arena, const char *id, int64_t version, struct programme *ret)
{
        static const char any[] = "SELECT " COLUMNS " " BOTH "WHERE p.id = $1 AND v.version = $2";
        static const char current[] = "SELECT " COLUMNS " " BOTH "WHERE p.id = $1 AND v.version = p.current_version";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = version ? store_query(db, any, &rows, TEXTZ(id), I64(version)) : store_query(db, current, &rows, TEXTZ(id));
        r = first_row(r, rows);
        if (r == 0)
                programme_read(rows, arena, ret);
        return r;
}

int programme_find(struct store_conn *db, struct arena *arena, const char *id, int64_t version, int64_t *ret_version,
                   const char **ret_hash)
{
        static const char any[] = "SELECT version, hash FROM programme_version WHERE programme = $1 AND version = $2";
        static const char current[] = "SELECT v.version, v.hash " BOTH "WHERE p.id = $1 AND v.version = p.current_version";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = version ? store_query(db, any, &rows, TEXTZ(id), I64(version)) : store_query(db, current, &rows, TEXTZ(id));
        r = first_row(r, rows);
        if (r != 0)
                return r;
        *ret_version = store_i64(rows, 0);
        *ret_hash = store_text_dup(rows, 1, arena);
        return 0;
}

int programme_load_hash(struct store_conn *db, struct arena *arena, const char *id, const char *hash, struct programme *ret)
{
        static const char sql[] = "SELECT " COLUMNS " " BOTH "WHERE p.id = $1 AND v.hash = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id), TEXTZ(hash)), rows);
        if (r == 0)
                programme_read(rows, arena, ret);
        return r;
}

int programme_organization(struct store_conn *db, struct arena *arena, const char *id, const char **ret_organization)
{
        static const char sql[] = "SELECT organization FROM programme WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret_organization = store_text_dup(rows, 0, arena);
        return r;
}

/* Whoever adds a version holds the programme's row, so numbers have no gaps and no doubles. */
static int next_version(struct store_conn *db, const struct programme *p, int64_t *ret_version)
{
        static const char sql[] = "INSERT INTO programme (id, organization, current_version, last_version) VALUES ($1, $2, 0, 1) "
                                  "ON CONFLICT (id) DO UPDATE SET last_version = programme.last_version + 1 RETURNING last_version";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(p->id), TEXTZ(p->organization)), rows);
        if (r == 0)
                *ret_version = store_i64(rows, 0);
        return r;
}

int programme_add(struct store_conn *db, struct programme *p, const char *hash)
{
        static const char sql[] = "INSERT INTO programme_version (programme, version, hash, document, created_us, activated_us) "
                                  "VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (programme, hash) DO NOTHING";
        int64_t changed = 0;
        int r = next_version(db, p, &p->version);
        if (r == 0)
                r = store_exec(db, sql, &changed, TEXTZ(p->id), I64(p->version), TEXTZ(hash), BYTES(p->document.p, p->document.n),
                               I64(p->created_us));
        return one_changed(r, changed); /* somebody else added it meanwhile: found, when run again */
}

int programme_activate(struct store_conn *db, const char *id, int64_t version, int64_t now_us)
{
        static const char current[] = "UPDATE programme SET current_version = $2 WHERE id = $1";
        static const char activated[] = "UPDATE programme_version SET activated_us = $3 WHERE programme = $1 AND version = $2";
        int r = store_exec(db, current, NULL, TEXTZ(id), I64(version));
        if (r == 0)
                r = store_exec(db, activated, NULL, TEXTZ(id), I64(version), I64(now_us));
        return r;
}

int programme_versions_query(struct store_conn *db, const char *id, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " " BOTH "WHERE p.id = $1 AND v.programme = $1 ORDER BY v.version";
        return store_query(db, sql, ret_rows, TEXTZ(id));
}

int programmes_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " " BOTH "AND v.version = p.current_version WHERE p.id > $1 ORDER BY p.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

/* --- calendars --------------------------------------------------------------------------------------------------- */

int calendar_save(struct store_conn *db, int year, struct str packed, int64_t now_us)
{
        static const char sql[] = "INSERT INTO work_calendar (year, calendar, updated_us) VALUES ($1, $2, $3) "
                                  "ON CONFLICT (year) DO UPDATE SET calendar = $2, updated_us = $3";
        return store_exec(db, sql, NULL, I64(year), BYTES(packed.p, packed.n), I64(now_us));
}

int calendar_load(struct store_conn *db, struct arena *arena, int year, struct str *ret_packed)
{
        static const char sql[] = "SELECT calendar FROM work_calendar WHERE year = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, I64(year)), rows);
        if (r == 0)
                *ret_packed = arena_str(arena, store_bytes(rows, 0));
        return r;
}

int calendars_query(struct store_conn *db, int from_year, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT calendar FROM work_calendar WHERE year >= $1 ORDER BY year";
        return store_query(db, sql, ret_rows, I64(from_year));
}
