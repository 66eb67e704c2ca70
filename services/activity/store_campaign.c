/* SPDX-License-Identifier: Apache-2.0
 *
 * Campaigns in the store; the list of schema files.
 */
#include "store_internal.h"

STORE_SCHEMA(activity_001_core, "services/activity/schema/001_core.sql");
STORE_SCHEMA(activity_002_member_since, "services/activity/schema/002_member_since.sql");

const struct store_migration activity_migrations[] = {
        {"activity/001_core", activity_001_core},
        {"activity/002_member_since", activity_002_member_since},
        {NULL, NULL},
};

struct str path_end(struct arena *arena, struct str path)
{
        struct str end = arena_str(arena, path);
        ((char *)end.p)[end.n - 1] = '/' + 1;
        return end;
}

#define COLUMNS                                                                                              \
        "id, organization, path, title, description, start_us, end_us, state, closed_us, created_us, "        \
        "updated_us, revision"

void campaign_read(const struct store_rows *rows, struct arena *arena, struct campaign *ret)
{
        *ret = (struct campaign){
                .id = store_text_dup(rows, 0, arena),
                .organization = store_text_dup(rows, 1, arena),
                .path = store_text_dup(rows, 2, arena),
                .title = store_text_dup(rows, 3, arena),
                .description = store_text_dup(rows, 4, arena),
                .start_us = store_i64(rows, 5),
                .end_us = store_i64(rows, 6),
                .state = (int)store_i64(rows, 7),
                .closed_us = store_i64(rows, 8),
                .created_us = store_i64(rows, 9),
                .updated_us = store_i64(rows, 10),
                .revision = store_i64(rows, 11),
        };
}

int campaign_load(struct store_conn *db, struct arena *arena, const char *id, struct campaign *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM campaign WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                campaign_read(rows, arena, ret);
        return r;
}

int campaign_insert(struct store_conn *db, const struct campaign *c)
{
        static const char sql[] = "INSERT INTO campaign (" COLUMNS ") "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        return store_exec(db, sql, NULL, TEXTZ(c->id), TEXTZ(c->organization), TEXTZ(c->path), TEXTZ(c->title),
                          TEXTZ(c->description), I64(c->start_us), I64(c->end_us), I64(c->state), I64(c->closed_us),
                          I64(c->created_us), I64(c->updated_us), I64(c->revision));
}

int campaign_save(struct store_conn *db, struct campaign *c)
{
        static const char sql[] =
                "UPDATE campaign SET title = $2, description = $3, start_us = $4, end_us = $5, state = $6, "
                "closed_us = $7, updated_us = $8, revision = revision + 1 WHERE id = $1 AND revision = $9";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->id), TEXTZ(c->title), TEXTZ(c->description), I64(c->start_us),
                           I64(c->end_us), I64(c->state), I64(c->closed_us), I64(c->updated_us), I64(c->revision));
        c->revision++;
        return one_changed(r, changed);
}

int campaigns_query(struct store_conn *db, struct str path, struct str end, int state, const char *before,
                    int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM campaign WHERE path >= $1 AND path < $2 "
                                  "AND ($3 = 0 OR state = $3) AND ($4 = '' OR id < $4) ORDER BY id DESC LIMIT $5";
        return store_query(db, sql, ret_rows, TEXT(path), TEXT(end), I64(state), TEXTZ(before), I64(limit));
}

int campaigns_from_query(struct store_conn *db, const char *id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM campaign WHERE id >= $1 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(id), I64(limit));
}
