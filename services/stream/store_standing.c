/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds of persons, and the notices about them, in SQL.
 */
#include "services/stream/store_agency.h"

/* --- what holds ------------------------------------------------------------------------------------------------------- */

/* The limits are literals: they say to PostgreSQL's planner that the rows are few. */
#define OF_PERSONS(rows)                                                                                                \
        "SELECT s.person, s.purpose FROM (SELECT DISTINCT person FROM (" rows ") AS few WHERE person IS NOT NULL) AS p "  \
        "CROSS JOIN standing s WHERE s.person_hash = p.person"

static int standing_read(int r, struct store_rows *rows, struct arena *arena, struct standing **ret, size_t *ret_n)
{
        struct standing *found = NULL;
        size_t n = 0, room = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                if (n == room) {
                        room = room ? 2 * room : 64;
                        struct standing *more = ARENA_ARRAY(arena, struct standing, room);
                        if (n)
                                memcpy(more, found, n * sizeof(*found));
                        found = more;
                }
                found[n].person = store_text_dup(rows, 0, arena);
                found[n++].purpose = store_text_dup(rows, 1, arena);
                r = 0;
        }
        if (r != 0)
                return r;
        *ret = found;
        *ret_n = n;
        return 0;
}

int standing_load(struct store_conn *db, struct arena *arena, enum standing_of of, int64_t after, int64_t through,
                  struct standing **ret, size_t *ret_n)
{
        static const char log[] = OF_PERSONS("SELECT person FROM log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT 512");
        static const char state[] = OF_PERSONS("SELECT person FROM log_state WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT 1000");
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = of == STANDING_OF_LOG ? store_query(db, log, &rows, I64(after), I64(through))
                                      : store_query(db, state, &rows, I64(after), I64(through));
        return standing_read(r, rows, arena, ret, ret_n);
}

static int64_t hash_of(const char *person)
{
        return log_person_hash(str_of(person));
}

int standing_set(struct store_conn *db, const char *person, const char *purpose, int64_t seq)
{
        static const char sql[] = "INSERT INTO standing (person_hash, person, purpose, seq) VALUES ($1, $2, $3, $4) "
                                  "ON CONFLICT (person_hash, person, purpose) DO UPDATE SET seq = excluded.seq";
        return store_exec(db, sql, NULL, I64(hash_of(person)), TEXTZ(person), TEXTZ(purpose), I64(seq));
}

int standing_clear(struct store_conn *db, const char *person, const char *purpose)
{
        static const char sql[] = "DELETE FROM standing WHERE person_hash = $1 AND person = $2 AND ($3 = '' OR purpose = $3)";
        return store_exec(db, sql, NULL, I64(hash_of(person)), TEXTZ(person), TEXTZ(purpose));
}

int standing_clear_all(struct store_conn *db)
{
        static const char sql[] = "DELETE FROM standing WHERE purpose <> ''";
        return store_exec(db, sql, NULL);
}

/* --- what has changed ------------------------------------------------------------------------------------------------------ */

int standing_change_add(struct store_conn *db, const struct standing_change *change)
{
        static const char sql[] = "INSERT INTO standing_change (seq, person, erased) VALUES ($1, $2, $3)";
        return store_exec(db, sql, NULL, I64(change->seq), TEXTZ(change->person), I64(change->erased));
}

int standing_changes_load(struct store_conn *db, struct arena *arena, int64_t after, int64_t limit, struct standing_change **ret,
                          size_t *ret_n)
{
        static const char sql[] = "SELECT seq, person, erased FROM standing_change WHERE seq > $1 ORDER BY seq LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct standing_change *found = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, I64(after), I64(limit));
        while (r == 0 && (r = store_next(rows)) == 1) {
                if (!found)
                        found = ARENA_ARRAY(arena, struct standing_change, (size_t)limit);
                found[n++] = (struct standing_change){store_i64(rows, 0), store_text_dup(rows, 1, arena), store_i64(rows, 2)};
                r = 0;
        }
        if (r != 0)
                return r;
        *ret = found;
        *ret_n = n;
        return 0;
}

int standing_changes_trim(struct store_conn *db, int64_t through, int64_t *ret_n)
{
        static const char sql[] = "DELETE FROM standing_change WHERE seq <= $1";
        return store_exec(db, sql, ret_n, I64(through));
}

/* --- notices ----------------------------------------------------------------------------------------------------------------- */

int notice_insert(struct store_conn *db, const struct notice *notice)
{
        static const char sql[] = "INSERT INTO notice (seq, type, purpose, places) VALUES ($1, $2, $3, $4)";
        return store_exec(db, sql, NULL, I64(notice->seq), TEXTZ(notice->type), TEXTZ(notice->purpose), TEXT(notice->places));
}

int notice_delete(struct store_conn *db, int64_t seq)
{
        static const char sql[] = "DELETE FROM notice WHERE seq = $1";
        return store_exec(db, sql, NULL, I64(seq));
}

int notices_load(struct store_conn *db, struct arena *arena, int64_t after, int64_t through, int64_t limit, struct notice **ret,
                 size_t *ret_n)
{
        static const char sql[] = "SELECT seq, type, purpose, places FROM notice WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct notice *found = ARENA_ARRAY(arena, struct notice, (size_t)limit);
        size_t n = 0;
        int r = store_query(db, sql, &rows, I64(after), I64(through), I64(limit));
        while (r == 0 && (r = store_next(rows)) == 1) {
                found[n].seq = store_i64(rows, 0);
                found[n].type = store_text_dup(rows, 1, arena);
                found[n].purpose = store_text_dup(rows, 2, arena);
                found[n++].places = arena_str(arena, store_text(rows, 3));
                r = 0;
        }
        if (r != 0)
                return r;
        *ret = found;
        *ret_n = n;
        return 0;
}
