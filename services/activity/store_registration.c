/* SPDX-License-Identifier: Apache-2.0
 *
 * Places and registrations in the store. Whoever changes who has a place locks the activity's seat row first (every
 * function on seats does), so that two of them follow one another on any engine.
 */
#include "store_internal.h"

/* --- places ---------------------------------------------------------------------------------------------------- */

#define SEAT "capacity, taken, waiting, last_position"

static void seat_read(const struct store_rows *rows, struct seat *ret)
{
        *ret = (struct seat){
                .capacity = store_i64(rows, 0),
                .taken = store_i64(rows, 1),
                .waiting = store_i64(rows, 2),
                .last_position = store_i64(rows, 3),
        };
}

int seat_insert(struct store_conn *db, const char *activity, int64_t capacity)
{
        static const char sql[] = "INSERT INTO seat (activity, " SEAT ") VALUES ($1, $2, 0, 0, 0)";
        return store_exec(db, sql, NULL, TEXTZ(activity), I64(capacity));
}

int seat_delete(struct store_conn *db, const char *activity)
{
        static const char sql[] = "DELETE FROM seat WHERE activity = $1";
        return store_exec(db, sql, NULL, TEXTZ(activity));
}

int seat_take(struct store_conn *db, const char *activity, struct seat *ret)
{
        static const char sql[] =
                "UPDATE seat SET taken = taken + CASE WHEN waiting = 0 AND taken < capacity THEN 1 ELSE 0 END, "
                "waiting = waiting + CASE WHEN waiting = 0 AND taken < capacity THEN 0 ELSE 1 END, "
                "last_position = last_position + 1 WHERE activity = $1 RETURNING " SEAT;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(activity)), rows);
        if (r == 0)
                seat_read(rows, ret);
        return r;
}

int seat_change(struct store_conn *db, const char *activity, int64_t taken, int64_t waiting, struct seat *ret)
{
        static const char sql[] = "UPDATE seat SET taken = taken + $2, waiting = waiting + $3 WHERE activity = $1 "
                                  "RETURNING " SEAT;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(activity), I64(taken), I64(waiting)), rows);
        if (r == 0)
                seat_read(rows, ret);
        return r;
}

int seat_resize(struct store_conn *db, const char *activity, int64_t capacity, struct seat *ret)
{
        static const char sql[] = "UPDATE seat SET capacity = $2 WHERE activity = $1 AND taken <= $2 RETURNING " SEAT;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(activity), I64(capacity)), rows);
        if (r == 0)
                seat_read(rows, ret);
        return r;
}

/* --- registrations --------------------------------------------------------------------------------------------- */

#define COLUMNS "id, activity, member, organization, state, code, position, created_us, changed_us"
#define SELECT                                                                                               \
        "SELECT r.id, r.activity, r.member, r.organization, r.state, "                                       \
        "CASE WHEN r.code = r.id THEN '' ELSE r.code END, r.position, r.created_us, "                         \
        "r.changed_us, t.id, o.path FROM registration r "                                                    \
        "LEFT JOIN attendance t ON t.activity = r.activity AND t.member = r.member "                          \
        "LEFT JOIN organization o ON o.code = r.organization "

void registration_read(const struct store_rows *rows, struct arena *arena, struct registration *ret)
{
        *ret = (struct registration){
                .id = store_text_dup(rows, 0, arena),
                .activity = store_text_dup(rows, 1, arena),
                .member = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .state = (int)store_i64(rows, 4),
                .code = store_text_dup(rows, 5, arena),
                .position = store_i64(rows, 6),
                .created_us = store_i64(rows, 7),
                .changed_us = store_i64(rows, 8),
                .attended = !store_is_null(rows, 9),
                .path = store_text_dup(rows, 10, arena),
        };
}

int registration_insert(struct store_conn *db, const struct registration *g)
{
        static const char sql[] = "INSERT INTO registration (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
                                  "ON CONFLICT DO NOTHING";
        int64_t inserted = 0;
        int r = store_exec(db, sql, &inserted, TEXTZ(g->id), TEXTZ(g->activity), TEXTZ(g->member),
                           TEXTZ(g->organization), I64(g->state), TEXTZ(g->code), I64(g->position), I64(g->created_us),
                           I64(g->changed_us));
        return r == 0 && !inserted ? ACTIVITY_E_ABSENT : r;
}

int registration_save(struct store_conn *db, const struct registration *g, int was)
{
        static const char sql[] = "UPDATE registration SET organization = $2, state = $3, position = $4, "
                                  "changed_us = $5 WHERE id = $1 AND state = $6";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(g->id), TEXTZ(g->organization), I64(g->state), I64(g->position),
                           I64(g->changed_us), I64(was));
        return one_changed(r, changed);
}

static int load(struct arena *arena, int r, struct store_rows *rows, struct registration *ret)
{
        r = first_row(r, rows);
        if (r == 0)
                registration_read(rows, arena, ret);
        return r;
}

int registration_load(struct store_conn *db, struct arena *arena, const char *activity, const char *id,
                      struct registration *ret)
{
        static const char sql[] = SELECT "WHERE r.id = $1 AND r.activity = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id), TEXTZ(activity));
        return load(arena, r, rows, ret);
}

int registration_of_member(struct store_conn *db, struct arena *arena, const char *activity, const char *member,
                           struct registration *ret)
{
        static const char sql[] = SELECT "WHERE r.activity = $1 AND r.member = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(activity), TEXTZ(member));
        return load(arena, r, rows, ret);
}

int registration_of_code(struct store_conn *db, struct arena *arena, const char *activity, const char *code,
                         struct registration *ret)
{
        static const char sql[] = SELECT "WHERE r.activity = $1 AND r.code = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(activity), TEXTZ(code));
        return load(arena, r, rows, ret);
}

int registration_promote(struct store_conn *db, struct arena *arena, const char *activity, int64_t now_us,
                         struct registration *ret)
{
        static const char sql[] =
                SELECT "WHERE r.activity = $1 AND r.state = 2 ORDER BY r.position LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(activity));
        r = load(arena, r, rows, ret);
        if (r != 0)
                return r;
        ret->state = 1;
        ret->changed_us = now_us;
        return registration_save(db, ret, 2);
}

int registrations_query(struct store_conn *db, const char *activity, int state, int64_t after_position,
                        const char *after_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = SELECT "WHERE r.activity = $1 AND ($2 = 0 OR r.state = $2) "
                                         "AND (r.position, r.id) > ($3, $4) ORDER BY r.position, r.id LIMIT $5";
        return store_query(db, sql, ret_rows, TEXTZ(activity), I64(state), I64(after_position), TEXTZ(after_id),
                           I64(limit));
}

int registrations_of_member_query(struct store_conn *db, const char *member, const char *before, int64_t limit,
                                  struct store_rows **ret_rows)
{
        static const char sql[] = SELECT "WHERE r.member = $1 AND ($2 = '' OR r.id < $2) ORDER BY r.id DESC LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(member), TEXTZ(before), I64(limit));
}

/* --- for others --------------------------------------------------------------------------------------------------- */

int registration_states_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT g.id, g.activity, a.campaign, g.member, g.organization, g.state FROM registration g "
                "CROSS JOIN activity a WHERE a.id = g.activity AND g.id > $1 ORDER BY g.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void registration_state_read(const struct store_rows *rows, struct arena *arena, struct registration_state *ret)
{
        *ret = (struct registration_state){
                .id = store_text_dup(rows, 0, arena),
                .activity = store_text_dup(rows, 1, arena),
                .campaign = store_text_dup(rows, 2, arena),
                .member = store_text_dup(rows, 3, arena),
                .organization = store_text_dup(rows, 4, arena),
                .state = (int)store_i64(rows, 5),
        };
}
