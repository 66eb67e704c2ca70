/* SPDX-License-Identifier: Apache-2.0
 *
 * Check-ins in the store: the hot path. A scan by card costs one look-up and one statement here.
 */
#include "store_internal.h"

int scan_context_load(struct store_conn *db, struct arena *arena, const char *activity, const char *member,
                      const char *organization, struct scan_context *ret)
{
        static const char sql[] =
                "SELECT a.campaign, a.path, c.state, a.state, a.mode, c.closed_us, a.start_us, a.end_us, a.closed_us, "
                "a.registration_required, o.code, r.state, r.changed_us, m.active = 0, m.since_us "
                "FROM activity a JOIN campaign c ON c.id = a.campaign LEFT JOIN organization o ON o.code = $3 "
                "LEFT JOIN member m ON m.id = $2 "
                "LEFT JOIN registration r ON a.registration_required = 1 AND r.activity = $1 AND r.member = $2 "
                "WHERE a.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(activity), TEXTZ(member), TEXTZ(organization)), rows);
        if (r != 0)
                return r;
        *ret = (struct scan_context){
                .campaign = store_text_dup(rows, 0, arena),
                .path = store_text_dup(rows, 1, arena),
                .campaign_state = (int)store_i64(rows, 2),
                .activity_state = (int)store_i64(rows, 3),
                .mode = (int)store_i64(rows, 4),
                .campaign_closed_us = store_i64(rows, 5),
                .start_us = store_i64(rows, 6),
                .end_us = store_i64(rows, 7),
                .closed_us = store_i64(rows, 8),
                .registration_required = store_i64(rows, 9),
                .organization_known = !store_is_null(rows, 10),
                .registration = (int)store_i64(rows, 11),
                .registration_changed_us = store_i64(rows, 12),
                .inactive = store_i64(rows, 13),
                .inactive_us = store_i64(rows, 14),
        };
        return 0;
}

#define COLUMNS                                                                                              \
        "activity, member, id, organization, way, device, nonce, occurred_us, created_us, previous_organization, " \
        "previous_way"

void attendance_read(const struct store_rows *rows, struct arena *arena, struct attendance *ret)
{
        *ret = (struct attendance){
                .activity = store_text_dup(rows, 0, arena),
                .member = store_text_dup(rows, 1, arena),
                .id = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .way = (int)store_i64(rows, 4),
                .device = store_text_dup(rows, 5, arena),
                .nonce = store_text_dup(rows, 6, arena),
                .occurred_us = store_i64(rows, 7),
                .created_us = store_i64(rows, 8),
                .previous_organization = store_text_dup(rows, 9, arena),
                .previous_way = (int)store_i64(rows, 10),
                .refusal = (int)store_i64(rows, 11),
        };
}

static int attendance_load(struct store_conn *db, struct arena *arena, struct attendance *attendance)
{
        static const char sql[] = "SELECT " COLUMNS ", 0 FROM attendance WHERE activity = $1 AND member = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(attendance->activity), TEXTZ(attendance->member)), rows);
        if (r == 0)
                attendance_read(rows, arena, attendance);
        return r;
}

int attendance_record(struct store_conn *db, struct arena *arena, struct attendance *t,
                      enum attendance_outcome *ret_outcome)
{
        static const char sql[] =
                "INSERT INTO attendance (" COLUMNS ", amended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, 0) "
                "ON CONFLICT (activity, member) DO UPDATE SET previous_organization = attendance.organization, "
                "previous_way = attendance.way, amended = attendance.amended + 1, organization = excluded.organization, "
                "way = excluded.way, device = excluded.device, nonce = excluded.nonce, "
                "occurred_us = excluded.occurred_us, created_us = excluded.created_us "
                "WHERE (excluded.occurred_us, excluded.nonce, excluded.device, excluded.organization, excluded.way) < "
                "(attendance.occurred_us, attendance.nonce, attendance.device, attendance.organization, attendance.way) "
                "RETURNING " COLUMNS ", 0, amended";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(t->activity), TEXTZ(t->member), TEXTZ(t->id),
                                      TEXTZ(t->organization), I64(t->way), TEXTZ(t->device), TEXTZ(t->nonce),
                                      I64(t->occurred_us), I64(t->created_us)),
                          rows);
        if (r == ACTIVITY_E_ABSENT) {
                r = attendance_load(db, arena, t);
                if (r == 0)
                        *ret_outcome = ATTENDANCE_REPEATED;
                return r;
        }
        if (r != 0)
                return r;
        *ret_outcome = store_i64(rows, 12) ? ATTENDANCE_AMENDED : ATTENDANCE_RECORDED;
        if (*ret_outcome == ATTENDANCE_AMENDED)
                attendance_read(rows, arena, t);
        return 0;
}

int refused_scan_record(struct store_conn *db, const struct attendance *t, int reason)
{
        static const char sql[] =
                "INSERT INTO refused_scan (activity, member, id, organization, way, device, nonce, occurred_us, "
                "created_us, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
        return store_exec(db, sql, NULL, TEXTZ(t->activity), TEXTZ(t->member), TEXTZ(t->id), TEXTZ(t->organization),
                          I64(t->way), TEXTZ(t->device), TEXTZ(t->nonce), I64(t->occurred_us), I64(t->created_us),
                          I64(reason));
}

int attendances_query(struct store_conn *db, const char *activity, const char *after_member, int64_t limit,
                      struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS ", 0 FROM attendance WHERE activity = $1 AND member > $2 "
                                  "ORDER BY member LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(activity), TEXTZ(after_member), I64(limit));
}

int refused_scans_query(struct store_conn *db, const char *activity, const char *after_id, int64_t limit,
                        struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT activity, member, id, organization, way, device, nonce, occurred_us, created_us, '', 0, reason "
                "FROM refused_scan WHERE activity = $1 AND id > $2 ORDER BY id LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(activity), TEXTZ(after_id), I64(limit));
}

int attendance_states_query(struct store_conn *db, const char *after_activity, const char *after_member, int64_t limit,
                            struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT t.id, t.activity, a.campaign, t.member, t.organization, t.way, t.occurred_us FROM attendance t "
                "CROSS JOIN activity a WHERE a.id = t.activity AND (t.activity, t.member) > ($1, $2) "
                "ORDER BY t.activity, t.member LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(after_activity), TEXTZ(after_member), I64(limit));
}

void attendance_state_read(const struct store_rows *rows, struct arena *arena, struct attendance_state *ret)
{
        *ret = (struct attendance_state){
                .id = store_text_dup(rows, 0, arena),
                .activity = store_text_dup(rows, 1, arena),
                .campaign = store_text_dup(rows, 2, arena),
                .member = store_text_dup(rows, 3, arena),
                .organization = store_text_dup(rows, 4, arena),
                .way = (int)store_i64(rows, 5),
                .occurred_us = store_i64(rows, 6),
        };
}
