/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks in SQL.
 */
#include "store_task.h"

#define COLUMNS                                                                                                             \
        "t.id, t.kind, t.case_id, t.programme, t.stage, t.organization, t.place_path, t.person, t.assignee, t.escalations, " \
        "t.created_us, t.due_us, t.done_us, t.note"
#define NO_LIMIT INT64_C(9000000000000000000)
#define PLACES   5 /* organisations above each other, at most */
#define PLACE_COLUMNS 10

int64_t task_order(const struct care_task *t)
{
        return t->due_us ? t->due_us : NO_LIMIT;
}

void task_read(const struct store_rows *rows, struct arena *arena, struct care_task *ret)
{
        *ret = (struct care_task){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .case_id = store_text_dup(rows, 2, arena),
                .programme = store_text_dup(rows, 3, arena),
                .stage = store_text_dup(rows, 4, arena),
                .organization = store_text_dup(rows, 5, arena),
                .place_path = store_text_dup(rows, 6, arena),
                .person = store_text_dup(rows, 7, arena),
                .assignee = store_text_dup(rows, 8, arena),
                .escalations = store_i64(rows, 9),
                .created_us = store_i64(rows, 10),
                .due_us = store_i64(rows, 11),
                .done_us = store_i64(rows, 12),
                .note = arena_str(arena, store_bytes(rows, 13)),
        };
}

/* The codes of a path. */
static size_t places_of(const char *path, struct str out[PLACES])
{
        struct str rest = str_of(path);
        size_t n = 0;
        while (rest.n && n < PLACES) {
                struct str code = str_cut(&rest, '/');
                if (code.n)
                        out[n++] = code;
        }
        return n;
}

static int insert_places(struct store_conn *db, struct arena *arena, const struct care_task *t)
{
        static const char place[] = "INSERT INTO care_task_place (place, due_us, task, kind, case_id, programme, stage, organization, "
                                    "assignee, escalations, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)";
        struct str codes[PLACES];
        size_t n = places_of(t->place_path, codes);
        struct store_value *rows = ARENA_ARRAY(arena, struct store_value, PLACE_COLUMNS * (n + 1));
        for (size_t i = 0; i < n; i++) {
                const struct store_value row[PLACE_COLUMNS] = {
                        TEXT(codes[i]),     I64(task_order(t)), TEXTZ(t->id),           I64(t->kind),       TEXTZ(t->case_id),
                        TEXTZ(t->programme), TEXTZ(t->stage),    TEXTZ(t->organization), TEXTZ(t->assignee), I64(t->created_us),
                };
                memcpy(rows + PLACE_COLUMNS * i, row, sizeof(row));
        }
        return store_exec_many(db, place, rows, PLACE_COLUMNS, n);
}

int task_insert(struct store_conn *db, struct arena *arena, const struct care_task *t)
{
        static const char sql[] =
                "INSERT INTO care_task (id, kind, case_id, programme, stage, organization, place_path, person, assignee, escalations, "
                "created_us, due_us, done_us, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, 0, NULL)";
        int r = store_exec(db, sql, NULL, TEXTZ(t->id), I64(t->kind), TEXTZ(t->case_id), TEXTZ(t->programme), TEXTZ(t->stage),
                           TEXTZ(t->organization), TEXTZ(t->place_path), TEXTZ(t->person), TEXTZ(t->assignee), I64(t->created_us),
                           I64(t->due_us));
        return r == 0 ? insert_places(db, arena, t) : r;
}

int task_load(struct store_conn *db, struct arena *arena, const char *id, struct care_task *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_task t WHERE t.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                task_read(rows, arena, ret);
        return r;
}

int task_save(struct store_conn *db, const struct care_task *t)
{
        static const char sql[] =
                "UPDATE care_task SET organization = $2, assignee = $3, escalations = $4 WHERE id = $1 AND done_us < 1";
        static const char place[] = "UPDATE care_task_place SET organization = $3, assignee = $4, escalations = $5 "
                                    "WHERE place IN ($6, $7, $8, $9, $10) AND due_us = $1 AND task = $2";
        struct str codes[PLACES] = {0};
        int64_t changed = 0;
        places_of(t->place_path, codes);
        int r = store_exec(db, sql, &changed, TEXTZ(t->id), TEXTZ(t->organization), TEXTZ(t->assignee), I64(t->escalations));
        r = one_changed(r, changed);
        if (r == 0)
                r = store_exec(db, place, NULL, I64(task_order(t)), TEXTZ(t->id), TEXTZ(t->organization), TEXTZ(t->assignee),
                               I64(t->escalations), TEXT(codes[0]), TEXT(codes[1]), TEXT(codes[2]), TEXT(codes[3]), TEXT(codes[4]));
        return r;
}

static int delete_places(struct store_conn *db, const struct care_task *t)
{
        static const char place[] = "DELETE FROM care_task_place WHERE place IN ($3, $4, $5, $6, $7) AND due_us = $1 AND task = $2";
        struct str codes[PLACES] = {0};
        places_of(t->place_path, codes);
        return store_exec(db, place, NULL, I64(task_order(t)), TEXTZ(t->id), TEXT(codes[0]), TEXT(codes[1]), TEXT(codes[2]),
                          TEXT(codes[3]), TEXT(codes[4]));
}

int task_finish(struct store_conn *db, const struct care_task *t)
{
        /* "< 1": by its id, never by the index of open ones. */
        static const char sql[] = "UPDATE care_task SET done_us = $2, note = $3 WHERE id = $1 AND done_us < 1";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(t->id), I64(t->done_us), t->note.n ? BYTES(t->note.p, t->note.n) : SQLNULL());
        r = one_changed(r, changed);
        return r == 0 ? delete_places(db, t) : r;
}

int task_move(struct store_conn *db, struct arena *arena, struct care_task *t, const char *place_path)
{
        static const char sql[] = "UPDATE care_task SET place_path = $2 WHERE id = $1 AND done_us < 1";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(t->id), TEXTZ(place_path));
        r = one_changed(r, changed);
        if (r == 0)
                r = delete_places(db, t);
        t->place_path = place_path;
        if (r == 0)
                r = insert_places(db, arena, t);
        return r == 0 ? task_save(db, t) : r;
}

int tasks_at_query(struct store_conn *db, const char *place, int64_t after_due_us, const char *after_id, int64_t limit,
                   struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_task_place p JOIN care_task t ON t.id = p.task "
                                  "WHERE p.place = $1 AND (p.due_us, p.task) > ($2, $3) ORDER BY p.due_us, p.task LIMIT $4";
        return store_query(db, sql, ret_rows, TEXTZ(place), I64(after_due_us), TEXTZ(after_id), I64(limit));
}

int tasks_of_case(struct store_conn *db, struct arena *arena, const char *case_id, int kind, const char *stage,
                  struct care_task out[CASE_TASKS_MAX], size_t *ret_n)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_task t WHERE t.case_id = $1 AND ($2 = 0 OR t.kind = $2) AND t.done_us = 0 "
                                  "AND ($3 = '' OR t.stage = $3) ORDER BY t.kind LIMIT $4";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(case_id), I64(kind), TEXTZ(stage ? stage : ""), I64(CASE_TASKS_MAX));
        while (r == 0 && n < CASE_TASKS_MAX && (r = store_next(rows)) == 1) {
                task_read(rows, arena, &out[n++]);
                r = 0;
        }
        *ret_n = n;
        return r;
}

int tasks_query(struct store_conn *db, const char *place, int64_t after_due_us, const char *after_id, int64_t before_us, int64_t limit,
                struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT task, kind, case_id, programme, stage, organization, assignee, escalations, created_us, due_us FROM care_task_place "
                "WHERE place = $1 AND (due_us, task) > ($2, $3) AND due_us < $4 ORDER BY due_us, task LIMIT $5";
        return store_query(db, sql, ret_rows, TEXTZ(place), I64(after_due_us), TEXTZ(after_id), I64(before_us), I64(limit));
}

void task_read_place(const struct store_rows *rows, struct arena *arena, struct care_task *ret)
{
        int64_t due = store_i64(rows, 9);
        *ret = (struct care_task){
                .id = store_text_dup(rows, 0, arena),
                .kind = (int)store_i64(rows, 1),
                .case_id = store_text_dup(rows, 2, arena),
                .programme = store_text_dup(rows, 3, arena),
                .stage = store_text_dup(rows, 4, arena),
                .organization = store_text_dup(rows, 5, arena),
                .assignee = store_text_dup(rows, 6, arena),
                .escalations = store_i64(rows, 7),
                .created_us = store_i64(rows, 8),
                .due_us = due == NO_LIMIT ? 0 : due,
        };
}
