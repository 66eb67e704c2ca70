/* SPDX-License-Identifier: Apache-2.0
 *
 * Activities in the store.
 */
#include "store_internal.h"

#define COLUMNS                                                                                              \
        "id, campaign, organization, path, title, description, category, mode, place, link, start_us, end_us, " \
        "registration_start_us, registration_end_us, capacity, no_waiting_list, registration_required, state, " \
        "closed_us, created_us, updated_us, revision"

#define SELECT_WITH(counts)                                                                                  \
        "SELECT a.id, a.campaign, a.organization, a.path, a.title, a.description, a.category, a.mode, a.place, " \
        "a.link, a.start_us, a.end_us, a.registration_start_us, a.registration_end_us, a.capacity, "          \
        "a.no_waiting_list, a.registration_required, a.state, a.closed_us, a.created_us, a.updated_us, "      \
        "a.revision, " counts ", c.state, c.organization FROM activity a JOIN campaign c ON c.id = a.campaign "
/* Where places are limited the seat row knows them to the moment; the rest is counted from the events. */
#define SELECT                                                                                               \
        SELECT_WITH("COALESCE(s.taken, n.registered), COALESCE(s.waiting, n.waiting), n.on_site, n.online")  \
        "LEFT JOIN seat s ON s.activity = a.id LEFT JOIN activity_count n ON n.activity = a.id "

void activity_read(const struct store_rows *rows, struct arena *arena, struct activity *ret)
{
        *ret = (struct activity){
                .id = store_text_dup(rows, 0, arena),
                .campaign = store_text_dup(rows, 1, arena),
                .organization = store_text_dup(rows, 2, arena),
                .path = store_text_dup(rows, 3, arena),
                .title = store_text_dup(rows, 4, arena),
                .description = store_text_dup(rows, 5, arena),
                .category = (int)store_i64(rows, 6),
                .mode = (int)store_i64(rows, 7),
                .place = store_text_dup(rows, 8, arena),
                .link = store_text_dup(rows, 9, arena),
                .start_us = store_i64(rows, 10),
                .end_us = store_i64(rows, 11),
                .registration_start_us = store_i64(rows, 12),
                .registration_end_us = store_i64(rows, 13),
                .capacity = store_i64(rows, 14),
                .no_waiting_list = store_i64(rows, 15),
                .registration_required = store_i64(rows, 16),
                .state = (int)store_i64(rows, 17),
                .closed_us = store_i64(rows, 18),
                .created_us = store_i64(rows, 19),
                .updated_us = store_i64(rows, 20),
                .revision = store_i64(rows, 21),
                .registered = store_i64(rows, 22),
                .waiting = store_i64(rows, 23),
                .on_site = store_i64(rows, 24),
                .online = store_i64(rows, 25),
                .campaign_state = (int)store_i64(rows, 26),
                .campaign_organization = store_text_dup(rows, 27, arena),
        };
}

static int load(struct store_conn *db, struct arena *arena, const char *sql, const char *id, struct activity *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                activity_read(rows, arena, ret);
        return r;
}

int activity_load(struct store_conn *db, struct arena *arena, const char *id, struct activity *ret)
{
        static const char sql[] = SELECT_WITH("0, 0, 0, 0") "WHERE a.id = $1";
        return load(db, arena, sql, id, ret);
}

int activity_load_counted(struct store_conn *db, struct arena *arena, const char *id, struct activity *ret)
{
        static const char sql[] = SELECT "WHERE a.id = $1";
        return load(db, arena, sql, id, ret);
}

int activity_insert(struct store_conn *db, const struct activity *a)
{
        static const char sql[] = "INSERT INTO activity (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
                                  "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
        int r = store_exec(db, sql, NULL, TEXTZ(a->id), TEXTZ(a->campaign), TEXTZ(a->organization), TEXTZ(a->path),
                           TEXTZ(a->title), TEXTZ(a->description), I64(a->category), I64(a->mode), TEXTZ(a->place),
                           TEXTZ(a->link), I64(a->start_us), I64(a->end_us), I64(a->registration_start_us),
                           I64(a->registration_end_us), I64(a->capacity), I64(a->no_waiting_list),
                           I64(a->registration_required), I64(a->state), I64(a->closed_us), I64(a->created_us),
                           I64(a->updated_us), I64(a->revision));
        return r == 0 && a->capacity ? seat_insert(db, a->id, a->capacity) : r;
}

int activity_save(struct store_conn *db, struct activity *a)
{
        static const char sql[] =
                "UPDATE activity SET title = $2, description = $3, category = $4, mode = $5, place = $6, link = $7, "
                "start_us = $8, end_us = $9, registration_start_us = $10, registration_end_us = $11, capacity = $12, "
                "no_waiting_list = $13, registration_required = $14, state = $15, closed_us = $16, updated_us = $17, "
                "revision = revision + 1 WHERE id = $1 AND revision = $18";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(a->id), TEXTZ(a->title), TEXTZ(a->description), I64(a->category),
                           I64(a->mode), TEXTZ(a->place), TEXTZ(a->link), I64(a->start_us), I64(a->end_us),
                           I64(a->registration_start_us), I64(a->registration_end_us), I64(a->capacity),
                           I64(a->no_waiting_list), I64(a->registration_required), I64(a->state), I64(a->closed_us),
                           I64(a->updated_us), I64(a->revision));
        a->revision++;
        return one_changed(r, changed);
}

#define LIST                                                                                                 \
        SELECT "WHERE (a.path, a.id) > ($1, $2) AND a.path < $3 AND ($4 = '' OR a.campaign = $4) "           \
               "AND ($5 = 0 OR a.state = $5) "

int activities_query(struct store_conn *db, struct str after_path, const char *after_id, struct str end,
                     const struct activity_filter *filter, int64_t limit, struct store_rows **ret_rows)
{
        static const char all[] = LIST "AND $6 = '' ORDER BY a.path, a.id LIMIT $7";
        static const char invited[] =
                LIST "AND a.organization IN (WITH RECURSIVE up (code, parent) AS ("
                     "SELECT code, parent FROM organization WHERE code = $6 "
                     "UNION ALL SELECT o.code, o.parent FROM organization o JOIN up ON o.code = up.parent) "
                     "SELECT code FROM up) ORDER BY a.path, a.id LIMIT $7";
        return store_query(db, filter->audience[0] ? invited : all, ret_rows, TEXT(after_path), TEXTZ(after_id),
                           TEXT(end), TEXTZ(filter->campaign), I64(filter->state), TEXTZ(filter->audience), I64(limit));
}

int activities_from_query(struct store_conn *db, const char *id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = SELECT_WITH("0, 0, 0, 0") "WHERE a.id >= $1 ORDER BY a.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(id), I64(limit));
}
