/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases, their steps and decisions in SQL. Lists are a range of one index.
 */
#include "store_case.h"

#define COLUMNS                                                                                                                   \
        "id, number, programme, version, recipient, subject, organization, path, state, stage, stage_us, due_us, task, opened_by, " \
        "single, consent, unit, granted, reserved, paid, reserve_us, decided_level, steps, rating, transfer_to, previous, "         \
        "created_us, closed_us, revision, deciders"

/* --- cases ----------------------------------------------------------------------------------------------------------- */

void case_read(const struct store_rows *rows, struct arena *arena, struct care_case *ret)
{
        *ret = (struct care_case){
                .id = store_text_dup(rows, 0, arena),
                .number = store_text_dup(rows, 1, arena),
                .programme = store_text_dup(rows, 2, arena),
                .version = (int)store_i64(rows, 3),
                .recipient = store_text_dup(rows, 4, arena),
                .subject = store_text_dup(rows, 5, arena),
                .organization = store_text_dup(rows, 6, arena),
                .path = store_text_dup(rows, 7, arena),
                .state = (int)store_i64(rows, 8),
                .stage = store_text_dup(rows, 9, arena),
                .stage_us = store_i64(rows, 10),
                .due_us = store_i64(rows, 11),
                .task = store_text_dup(rows, 12, arena),
                .opened_by = store_text_dup(rows, 13, arena),
                .single = store_i64(rows, 14),
                .consent = store_i64(rows, 15),
                .unit = store_text_dup(rows, 16, arena),
                .granted = store_i64(rows, 17),
                .reserved = store_i64(rows, 18),
                .paid = store_i64(rows, 19),
                .reserve_us = store_i64(rows, 20),
                .decided_level = (int)store_i64(rows, 21),
                .steps = store_i64(rows, 22),
                .rating = (int)store_i64(rows, 23),
                .transfer_to = store_text_dup(rows, 24, arena),
                .previous = store_text_dup(rows, 25, arena),
                .created_us = store_i64(rows, 26),
                .closed_us = store_i64(rows, 27),
                .closed_before_us = store_i64(rows, 27),
                .revision = store_i64(rows, 28),
                .deciders = store_text_dup(rows, 29, arena),
        };
}

int case_insert(struct store_conn *db, const struct care_case *c)
{
        static const char sql[] =
                "INSERT INTO care_case (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
                "$17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->id), TEXTZ(c->number), TEXTZ(c->programme), I64(c->version), TEXTZ(c->recipient),
                           TEXTZ(c->subject), TEXTZ(c->organization), TEXTZ(c->path), I64(c->state), TEXTZ(c->stage), I64(c->stage_us),
                           I64(c->due_us), TEXTZ(c->task), TEXTZ(c->opened_by), I64(c->single), I64(c->consent), TEXTZ(c->unit),
                           I64(c->granted), I64(c->reserved), I64(c->paid), I64(c->reserve_us), I64(c->decided_level), I64(c->steps),
                           I64(c->rating), TEXTZ(c->transfer_to), TEXTZ(c->previous), I64(c->created_us), I64(c->closed_us),
                           I64(c->revision), TEXTZ(c->deciders));
        return r == 0 && changed != 1 ? CARE_E_ABSENT : r;
}

static int load_one(struct store_conn *db, struct arena *arena, const char *sql, const struct store_value *args, size_t n,
                    struct care_case *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query_values(db, sql, &rows, args, n), rows);
        if (r == 0)
                case_read(rows, arena, ret);
        return r;
}

int case_load(struct store_conn *db, struct arena *arena, const char *id, struct care_case *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_case WHERE id = $1";
        return load_one(db, arena, sql, STORE_ARGS(TEXTZ(id)), ret);
}

/* Whatever is in an index is written only where it changes: an index is written wherever its column is set. */
int case_save(struct store_conn *db, struct care_case *c)
{
        static const char sql[] =
                "UPDATE care_case SET state = $3, stage = $4, stage_us = $5, due_us = $6, task = $7, granted = $8, reserved = $9, "
                "paid = $10, reserve_us = $11, decided_level = $12, steps = $13, rating = $14, transfer_to = $15, deciders = $16, "
                "revision = $2 + 1 WHERE id = $1 AND revision = $2";
        static const char closed[] = "UPDATE care_case SET closed_us = $2 WHERE id = $1";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->id), I64(c->revision), I64(c->state), TEXTZ(c->stage), I64(c->stage_us),
                           I64(c->due_us), TEXTZ(c->task), I64(c->granted), I64(c->reserved), I64(c->paid), I64(c->reserve_us),
                           I64(c->decided_level), I64(c->steps), I64(c->rating), TEXTZ(c->transfer_to), TEXTZ(c->deciders));
        r = one_changed(r, changed);
        if (r == 0 && c->closed_us != c->closed_before_us)
                r = store_exec(db, closed, &changed, TEXTZ(c->id), I64(c->closed_us));
        if (r != 0)
                return r == STORE_E_CONSTRAINT ? STORE_E_RETRY : r; /* another was opened meanwhile: it is found when run again */
        c->closed_before_us = c->closed_us;
        c->revision++;
        return 0;
}

int case_save_owner(struct store_conn *db, const struct care_case *c)
{
        static const char sql[] = "UPDATE care_case SET organization = $2, path = $3, subject = $4 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(c->id), TEXTZ(c->organization), TEXTZ(c->path), TEXTZ(c->subject));
}

int case_open_of(struct store_conn *db, struct arena *arena, const char *programme, const char *subject, const char **ret_id)
{
        static const char sql[] =
                "SELECT id FROM care_case WHERE programme = $1 AND subject = $2 AND single = 1 AND closed_us = 0 AND subject <> ''";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(programme), TEXTZ(subject)), rows);
        if (r == 0)
                *ret_id = store_text_dup(rows, 0, arena);
        return r;
}

int case_next_open(struct store_conn *db, struct arena *arena, const char *subject, const char *after, struct care_case *ret)
{
        static const char sql[] =
                "SELECT " COLUMNS " FROM care_case WHERE subject = $1 AND id > $2 AND closed_us = 0 ORDER BY id LIMIT 1";
        return load_one(db, arena, sql, STORE_ARGS(TEXTZ(subject), TEXTZ(after)), ret);
}

int case_next_open_at(struct store_conn *db, struct arena *arena, const char *path, const char *after, struct care_case *ret)
{
        static const char sql[] =
                "SELECT " COLUMNS " FROM care_case WHERE path = $1 AND id > $2 AND closed_us = 0 ORDER BY id LIMIT 1";
        return load_one(db, arena, sql, STORE_ARGS(TEXTZ(path), TEXTZ(after)), ret);
}

int case_count_granted(struct store_conn *db, const char *subject, const char *programme, int64_t *ret)
{
        static const char sql[] = "SELECT COUNT(*) FROM care_case WHERE subject = $1 AND programme = $2 AND granted > 0";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(subject), TEXTZ(programme)), rows);
        if (r == 0)
                *ret = store_i64(rows, 0);
        return r;
}

int household_count(struct store_conn *db, const char *household, int64_t *ret)
{
        static const char sql[] = "SELECT COUNT(*) FROM recipient WHERE household = $1 AND state = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(household)), rows);
        if (r == 0)
                *ret = store_i64(rows, 0);
        return r;
}

int cases_query(struct store_conn *db, struct arena *arena, const struct case_filter *f, int64_t limit, struct store_rows **ret_rows)
{
        static const char all[] = "SELECT " COLUMNS " FROM care_case WHERE path >= $1 AND path < $2 AND (path, id) > ($3, $4) "
                                  "AND ($5 = 0 OR state = $5) ORDER BY path, id LIMIT $6";
        static const char one[] =
                "SELECT " COLUMNS " FROM care_case WHERE programme = $7 AND path >= $1 AND path < $2 AND (path, id) > ($3, $4) "
                "AND ($5 = 0 OR state = $5) ORDER BY path, id LIMIT $6";
        struct str end = path_end(arena, f->path);
        if (f->programme[0])
                return store_query(db, one, ret_rows, TEXT(f->path), TEXT(end), TEXTZ(f->after_path), TEXTZ(f->after_id), I64(f->state),
                                   I64(limit), TEXTZ(f->programme));
        return store_query(db, all, ret_rows, TEXT(f->path), TEXT(end), TEXTZ(f->after_path), TEXTZ(f->after_id),
                           I64(f->state), I64(limit));
}

#define NEWEST "~" /* after every id */

int cases_of_subject_query(struct store_conn *db, const char *subject, const char *below, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_case WHERE subject = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(subject), TEXTZ(below[0] ? below : NEWEST), I64(limit));
}

int cases_of_household_query(struct store_conn *db, const char *household, const char *below, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " COLUMNS " FROM care_case WHERE subject IN (SELECT id FROM recipient WHERE household = $1) "
                                  "AND id < $2 ORDER BY id DESC LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(household), TEXTZ(below[0] ? below : NEWEST), I64(limit));
}

int case_sealed_save(struct store_conn *db, const char *id, struct str sealed)
{
        static const char sql[] = "INSERT INTO care_case_sealed (case_id, sealed) VALUES ($1, $2) "
                                  "ON CONFLICT (case_id) DO UPDATE SET sealed = excluded.sealed";
        return store_exec(db, sql, NULL, TEXTZ(id), BYTES(sealed.p, sealed.n));
}

int case_sealed_load(struct store_conn *db, struct arena *arena, const char *id, struct str *ret)
{
        static const char sql[] = "SELECT sealed FROM care_case_sealed WHERE case_id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        *ret = r == 0 ? arena_str(arena, store_bytes(rows, 0)) : (struct str){0};
        return r == CARE_E_ABSENT ? 0 : r;
}

/* --- steps ----------------------------------------------------------------------------------------------------------- */

int step_insert(struct store_conn *db, const char *case_id, const struct step *s)
{
        static const char sql[] = "INSERT INTO care_step (case_id, n, stage, action, actor, officer, reason, time_us) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        return store_exec(db, sql, NULL, TEXTZ(case_id), I64(s->n), TEXTZ(s->stage), TEXTZ(s->action), TEXTZ(s->actor), I64(s->officer),
                          s->reason.n ? BYTES(s->reason.p, s->reason.n) : SQLNULL(), I64(s->time_us));
}

int steps_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT n, stage, action, actor, officer, reason, time_us FROM care_step WHERE case_id = $1 ORDER BY n LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(case_id), I64(limit));
}

void step_read(const struct store_rows *rows, struct arena *arena, struct step *ret)
{
        *ret = (struct step){
                .n = store_i64(rows, 0),
                .stage = store_text_dup(rows, 1, arena),
                .action = store_text_dup(rows, 2, arena),
                .actor = store_text_dup(rows, 3, arena),
                .officer = store_i64(rows, 4),
                .reason = arena_str(arena, store_bytes(rows, 5)),
                .time_us = store_i64(rows, 6),
        };
}

/* --- decisions ------------------------------------------------------------------------------------------------------- */

#define DECISION_COLUMNS "id, case_id, programme, version, recipient, actor, amount, state, pending, uses, day, sealed, time_us"

int decision_insert(struct store_conn *db, const struct decision *d)
{
        static const char sql[] = "INSERT INTO care_decision (" DECISION_COLUMNS ") "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        return store_exec(db, sql, NULL, TEXTZ(d->id), TEXTZ(d->case_id), TEXTZ(d->programme), I64(d->version), TEXTZ(d->recipient),
                          TEXTZ(d->actor), I64(d->amount), I64(d->state), TEXTZ(d->pending), TEXTZ(d->uses), I64(d->day),
                          BYTES(d->sealed.p, d->sealed.n), I64(d->time_us));
}

void decision_read(const struct store_rows *rows, struct arena *arena, struct decision *ret)
{
        *ret = (struct decision){
                .id = store_text_dup(rows, 0, arena),
                .case_id = store_text_dup(rows, 1, arena),
                .programme = store_text_dup(rows, 2, arena),
                .version = (int)store_i64(rows, 3),
                .recipient = store_text_dup(rows, 4, arena),
                .actor = store_text_dup(rows, 5, arena),
                .amount = store_i64(rows, 6),
                .state = (int)store_i64(rows, 7),
                .pending = store_text_dup(rows, 8, arena),
                .uses = store_text_dup(rows, 9, arena),
                .day = (int)store_i64(rows, 10),
                .sealed = arena_str(arena, store_bytes(rows, 11)),
                .time_us = store_i64(rows, 12),
        };
}

int decision_load(struct store_conn *db, struct arena *arena, const char *id, struct decision *ret)
{
        static const char sql[] = "SELECT " DECISION_COLUMNS " FROM care_decision WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                decision_read(rows, arena, ret);
        return r;
}

int decision_move(struct store_conn *db, const char *id, int from, int to)
{
        static const char sql[] = "UPDATE care_decision SET state = $3 WHERE id = $1 AND state = $2";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(id), I64(from), I64(to));
        return one_changed(r, changed);
}

int decisions_of_case(struct store_conn *db, struct arena *arena, const char *case_id, struct decision out[DECISIONS_MAX], size_t *ret_n)
{
        static const char sql[] = "SELECT " DECISION_COLUMNS " FROM care_decision WHERE case_id = $1 ORDER BY id DESC LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(case_id), I64(DECISIONS_MAX));
        while (r == 0 && n < DECISIONS_MAX && (r = store_next(rows)) == 1) {
                decision_read(rows, arena, &out[n++]);
                r = 0;
        }
        *ret_n = n;
        return r;
}

int decisions_after(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " DECISION_COLUMNS " FROM care_decision WHERE id > $1 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

int cap_used(struct store_conn *db, const char *programme, const char *holder, const char *cap, const char *period, int64_t *ret)
{
        static const char sql[] = "SELECT used FROM care_cap_use WHERE programme = $1 AND holder = $2 AND cap = $3 AND period = $4";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(programme), TEXTZ(holder), TEXTZ(cap), TEXTZ(period)), rows);
        *ret = r == 0 ? store_i64(rows, 0) : 0;
        return r == CARE_E_ABSENT ? 0 : r;
}

/* Decisions read what was used and add to it in one transaction, and those stand one after the other. */
int cap_add(struct store_conn *db, const char *programme, const char *holder, const char *cap, const char *period, int64_t used)
{
        static const char sql[] =
                "INSERT INTO care_cap_use (programme, holder, cap, period, used) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (programme, holder, cap, period) DO UPDATE SET used = care_cap_use.used + excluded.used";
        static const char back[] = "UPDATE care_cap_use SET used = used + $5 WHERE programme = $1 AND holder = $2 AND cap = $3 AND period = $4";
        return store_exec(db, used < 0 ? back : sql, NULL, TEXTZ(programme), TEXTZ(holder), TEXTZ(cap), TEXTZ(period), I64(used));
}
