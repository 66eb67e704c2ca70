/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts in the store. A campaign's count at an organisation is the number of attendances whose member's organisation
 * is that one or below it, by the tree as it is now.
 */
#include "store_internal.h"

int activity_count_add(struct store_conn *db, const struct store_value *counts, size_t n)
{
        static const char sql[] =
                "INSERT INTO activity_count (activity, registered, waiting, on_site, online) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (activity) DO UPDATE SET registered = activity_count.registered + excluded.registered, "
                "waiting = activity_count.waiting + excluded.waiting, on_site = activity_count.on_site + excluded.on_site, "
                "online = activity_count.online + excluded.online";
        return store_exec_many(db, sql, counts, 5, n);
}

int campaign_count_add(struct store_conn *db, const struct store_value *counts, size_t n)
{
        static const char sql[] =
                "INSERT INTO campaign_count (campaign, organization, on_site, online) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (campaign, organization) DO UPDATE SET "
                "on_site = campaign_count.on_site + excluded.on_site, online = campaign_count.online + excluded.online";
        return store_exec_many(db, sql, counts, 4, n);
}

void organization_count_read(const struct store_rows *rows, struct arena *arena, struct organization_count *ret)
{
        *ret = (struct organization_count){
                .organization = store_text_dup(rows, 0, arena),
                .name = store_text_dup(rows, 1, arena),
                .on_site = store_i64(rows, 2),
                .online = store_i64(rows, 3),
        };
}

#define SELECT                                                                                               \
        "SELECT o.code, o.name, n.on_site, n.online FROM organization o "                                    \
        "LEFT JOIN campaign_count n ON n.campaign = $1 AND n.organization = o.code "

int campaign_count_load(struct store_conn *db, struct arena *arena, const char *campaign, const char *organization,
                        struct organization_count *ret)
{
        static const char sql[] = SELECT "WHERE o.code = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(campaign), TEXTZ(organization)), rows);
        if (r == 0)
                organization_count_read(rows, arena, ret);
        return r;
}

int campaign_counts_query(struct store_conn *db, const char *campaign, const char *parent, const char *after,
                          int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = SELECT "WHERE o.parent = $2 AND o.code > $3 ORDER BY o.code LIMIT $4";
        return store_query(db, sql, ret_rows, TEXTZ(campaign), TEXTZ(parent), TEXTZ(after), I64(limit));
}

/* Attendances by campaign and organisation, carried up the tree. */
static int campaign_counts_rebuild(struct store_conn *db)
{
        static const char clear[] = "DELETE FROM campaign_count";
        static const char fill[] =
                "INSERT INTO campaign_count (campaign, organization, on_site, online) "
                "WITH RECURSIVE up (campaign, organization, on_site, online, depth) AS ("
                "SELECT a.campaign, t.organization, SUM(CASE WHEN t.way = 4 THEN 0 ELSE 1 END), "
                "SUM(CASE WHEN t.way = 4 THEN 1 ELSE 0 END), 1 FROM attendance t JOIN activity a ON a.id = t.activity "
                "GROUP BY a.campaign, t.organization UNION ALL SELECT up.campaign, o.parent, up.on_site, up.online, up.depth + 1 FROM up "
                "JOIN organization o ON o.code = up.organization WHERE o.parent <> '' AND up.depth < $1) "
                "SELECT campaign, organization, SUM(on_site), SUM(online) FROM up GROUP BY campaign, organization";
        int r = store_exec(db, clear, NULL);
        return r == 0 ? store_exec(db, fill, NULL, I64(ORGANIZATION_MAX_DEPTH)) : r;
}

int counts_rebuild(struct store_conn *db)
{
        static const char clear[] = "DELETE FROM activity_count";
        static const char fill[] =
                "INSERT INTO activity_count (activity, registered, waiting, on_site, online) "
                "SELECT activity, SUM(registered), SUM(waiting), SUM(on_site), SUM(online) FROM ("
                "SELECT activity, CASE WHEN state = 1 THEN 1 ELSE 0 END AS registered, "
                "CASE WHEN state = 2 THEN 1 ELSE 0 END AS waiting, 0 AS on_site, 0 AS online FROM registration "
                "UNION ALL SELECT activity, 0, 0, CASE WHEN way = 4 THEN 0 ELSE 1 END, "
                "CASE WHEN way = 4 THEN 1 ELSE 0 END FROM attendance) AS one GROUP BY activity";
        store_take_time(db);
        int r = store_exec(db, clear, NULL);
        if (r == 0)
                r = store_exec(db, fill, NULL);
        return r == 0 ? campaign_counts_rebuild(db) : r;
}
