/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service keeps of membership's data: the tree of organisations, and of each member the organisation and
 * whether the membership is active.
 */
#include "store_internal.h"

/* --- organisations --------------------------------------------------------------------------------------------- */

int organization_load(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret)
{
        static const char sql[] = "SELECT code, parent, path, name, valid_from_us, valid_to_us "
                                  "FROM organization WHERE code = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXT(code)), rows);
        if (r != 0)
                return r;
        *ret = (struct organization){
                .code = store_text_dup(rows, 0, arena),
                .parent = store_text_dup(rows, 1, arena),
                .path = store_text_dup(rows, 2, arena),
                .name = store_text_dup(rows, 3, arena),
                .valid_from_us = store_i64(rows, 4),
                .valid_to_us = store_i64(rows, 5),
        };
        return 0;
}

int organization_ancestors(struct store_conn *db, struct arena *arena, const char *code,
                           const char *ret_codes[ORGANIZATION_MAX_DEPTH], size_t *ret_n)
{
        static const char sql[] =
                "WITH RECURSIVE up (code, depth) AS (SELECT parent, 2 FROM organization WHERE code = $1 "
                "AND parent <> '' UNION ALL SELECT o.parent, up.depth + 1 FROM up JOIN organization o ON o.code = up.code "
                "WHERE o.parent <> '' AND up.depth < $2) SELECT code FROM up ORDER BY depth";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        ret_codes[n++] = code;
        int r = store_query(db, sql, &rows, TEXTZ(code), I64(ORGANIZATION_MAX_DEPTH));
        while (r == 0 && (r = store_next(rows)) == 1) {
                ret_codes[n++] = store_text_dup(rows, 0, arena);
                r = 0;
        }
        *ret_n = n;
        return r;
}

/* What is counted at `code`, and so at all above it, is added to (sign 1) or taken from (sign -1) everything from
 * `parent` upwards. */
static int counts_carry(struct store_conn *db, struct arena *arena, const char *code, const char *parent, int sign)
{
        static const char sql[] =
                "INSERT INTO campaign_count (campaign, organization, on_site, online) "
                "SELECT n.campaign, $2, $3 * n.on_site, $3 * n.online FROM campaign c "
                "CROSS JOIN campaign_count n WHERE n.campaign = c.id AND n.organization = $1 "
                "ON CONFLICT (campaign, organization) DO UPDATE SET "
                "on_site = campaign_count.on_site + excluded.on_site, online = campaign_count.online + excluded.online";
        const char *codes[ORGANIZATION_MAX_DEPTH];
        size_t n = 0;
        int r = *parent ? organization_ancestors(db, arena, parent, codes, &n) : 0;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = store_exec(db, sql, NULL, TEXTZ(code), TEXTZ(codes[i]), I64(sign));
        return r;
}

static int paths_follow(struct store_conn *db, const char *code, const char *path)
{
        static const char campaigns[] = "UPDATE campaign SET path = $2 WHERE organization = $1";
        static const char activities[] = "UPDATE activity SET path = $2 WHERE organization = $1";
        int r = store_exec(db, campaigns, NULL, TEXTZ(code), TEXTZ(path));
        return r == 0 ? store_exec(db, activities, NULL, TEXTZ(code), TEXTZ(path)) : r;
}

int organization_save(struct store_conn *db, struct arena *arena, const struct organization *o)
{
        static const char sql[] =
                "INSERT INTO organization (code, parent, path, name, valid_from_us, valid_to_us) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (code) DO UPDATE SET parent = excluded.parent, "
                "path = excluded.path, name = excluded.name, valid_from_us = excluded.valid_from_us, "
                "valid_to_us = excluded.valid_to_us";
        struct organization was;
        int r = organization_load(db, arena, str_of(o->code), &was);
        bool known = r == 0;
        if (r == ACTIVITY_E_ABSENT)
                r = 0;
        bool moved = known && strcmp(was.parent, o->parent) != 0;
        if (r == 0 && moved)
                r = counts_carry(db, arena, o->code, was.parent, -1);
        if (r == 0)
                r = store_exec(db, sql, NULL, TEXTZ(o->code), TEXTZ(o->parent), TEXTZ(o->path), TEXTZ(o->name),
                               I64(o->valid_from_us), I64(o->valid_to_us));
        if (r == 0 && moved)
                r = counts_carry(db, arena, o->code, o->parent, 1);
        if (r == 0 && known && strcmp(was.path, o->path) != 0)
                r = paths_follow(db, o->code, o->path);
        return r;
}

/* --- members --------------------------------------------------------------------------------------------------- */

int member_load(struct store_conn *db, struct arena *arena, const char *id, struct member *ret)
{
        static const char sql[] = "SELECT m.organization, m.active, m.since_us, o.path FROM member m "
                                  "LEFT JOIN organization o ON o.code = m.organization WHERE m.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = (struct member){
                        .organization = store_text_dup(rows, 0, arena),
                        .active = store_i64(rows, 1),
                        .since_us = store_i64(rows, 2),
                        .path = store_text_dup(rows, 3, arena),
                };
        return r;
}

int member_save(struct store_conn *db, const char *id, const struct member *member)
{
        static const char sql[] =
                "INSERT INTO member (id, organization, active, since_us) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (id) DO UPDATE SET organization = excluded.organization, active = excluded.active, "
                "since_us = excluded.since_us";
        return store_exec(db, sql, NULL, TEXTZ(id), TEXTZ(member->organization), I64(member->active),
                          I64(member->since_us));
}

int members_forget(struct store_conn *db)
{
        static const char sql[] = "DELETE FROM member";
        return store_exec(db, sql, NULL);
}

/* A code that nobody can type, and that registration_read does not show: the registration's own id. */
int member_erase(struct store_conn *db, const char *id)
{
        static const char sql[] = "UPDATE registration SET code = id WHERE member = $1";
        return store_exec(db, sql, NULL, TEXTZ(id));
}

#define THESE_ACTIVITIES "(SELECT id FROM activity WHERE id > $2 ORDER BY id LIMIT $3)"

int member_erase_scans(struct store_conn *db, struct arena *arena, const char *id, const char *after, int64_t limit,
                       const char **ret_last)
{
        static const char attendances[] = "UPDATE attendance SET device = '', nonce = '' "
                                          "WHERE member = $1 AND activity IN " THESE_ACTIVITIES;
        static const char refused[] = "DELETE FROM refused_scan WHERE member = $1 AND activity IN " THESE_ACTIVITIES;
        static const char last[] =
                "SELECT MAX(id) FROM (SELECT id FROM activity WHERE id > $1 ORDER BY id LIMIT $2) AS these";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_exec(db, attendances, NULL, TEXTZ(id), TEXTZ(after), I64(limit));
        if (r == 0)
                r = store_exec(db, refused, NULL, TEXTZ(id), TEXTZ(after), I64(limit));
        if (r == 0)
                r = first_row(store_query(db, last, &rows, TEXTZ(after), I64(limit)), rows);
        if (r == 0)
                *ret_last = store_text_dup(rows, 0, arena);
        return r;
}
