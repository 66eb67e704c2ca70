/* SPDX-License-Identifier: Apache-2.0
 *
 * Members in SQL. What is read often is a look-up by primary key; lists go through the organisations of a
 * subtree in the order of their paths, and within each by state and id, which is one index; but those of a state that
 * few are in are read all and sorted.
 */
#include "services/membership/store.h"

#define COLUMNS                                                                                              \
        "m.id, m.organization, o.path, m.state, m.name, m.number, m.id_number_masked, m.phone_masked, "      \
        "m.join_date, m.created, m.updated, m.version, m.generation, m.erased"

static void read_member(const struct store_rows *rows, struct arena *arena, struct member *m)
{
        *m = (struct member){
                .id = store_text_dup(rows, 0, arena),
                .organization = store_text_dup(rows, 1, arena),
                .path = store_text_dup(rows, 2, arena),
                .state = (Member__State)store_i64(rows, 3),
                .name = store_text_dup(rows, 4, arena),
                .number = store_text_dup(rows, 5, arena),
                .id_number_masked = store_text_dup(rows, 6, arena),
                .phone_masked = store_text_dup(rows, 7, arena),
                .join_date = store_text_dup(rows, 8, arena),
                .created = store_i64(rows, 9),
                .updated = store_i64(rows, 10),
                .version = store_i64(rows, 11),
                .generation = store_i64(rows, 12),
                .erased = store_i64(rows, 13),
        };
}

static struct member *list_add(struct member_list *list, struct arena *arena)
{
        if (list->n == list->room) {
                size_t room = list->room ? list->room * 2 : 64;
                struct member *items = ARENA_ARRAY(arena, struct member, room);
                if (list->n)
                        memcpy(items, list->items, list->n * sizeof(*items));
                list->items = items;
                list->room = room;
        }
        return &list->items[list->n++];
}

static int read_list(struct store_rows *rows, struct arena *arena, struct member_list *list)
{
        int r;
        while ((r = store_next(rows)) == 1)
                read_member(rows, arena, list_add(list, arena));
        return r;
}

int member_get(struct store_conn *db, struct arena *arena, const char *id, struct member *ret)
{
        static const char sql[] =
            "SELECT " COLUMNS " FROM member m JOIN organization o ON o.code = m.organization"
            " WHERE m.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_member(rows, arena, ret);
        return 0;
}

int member_by_id_number(struct store_conn *db, struct arena *arena, struct str index, struct member *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM member_secret s JOIN member m ON m.id = s.member"
                                  " JOIN organization o ON o.code = m.organization"
                                  " WHERE s.id_number_index = $1 AND s.live = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, BYTES(index.p, index.n));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_member(rows, arena, ret);
        return 0;
}

int member_by_phone(struct store_conn *db, struct arena *arena, struct str index, int64_t limit,
                    struct member_list *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM member_secret s JOIN member m ON m.id = s.member"
                                  " JOIN organization o ON o.code = m.organization"
                                  " WHERE s.phone_index = $1 AND s.live = 1 ORDER BY m.id LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, BYTES(index.p, index.n), I64(limit));
        return r == 0 ? read_list(rows, arena, ret) : r;
}

static struct store_value text_or_null(const char *text)
{
        return TEXT_OR_NULL(str_of(text));
}

int member_insert(struct store_conn *db, const struct member *m)
{
        static const char sql[] =
            "INSERT INTO member (id, organization, state, name, number, id_number_masked,"
            " phone_masked, join_date, created, updated, version, generation, state_since)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
            " ON CONFLICT (number) DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(m->id), TEXTZ(m->organization), I64(m->state),
                           TEXTZ(m->name), text_or_null(m->number), TEXTZ(m->id_number_masked),
                           text_or_null(m->phone_masked), text_or_null(m->join_date), I64(m->created),
                           I64(m->updated), I64(m->version), I64(m->generation), I64(m->state_since));
        return r == 0 && changed == 0 ? STORE_E_CONSTRAINT : r;
}

int member_update(struct store_conn *db, struct member *m)
{
        static const char sql[] =
            "UPDATE member SET state = $2, name = $3, number = $4, phone_masked = $5,"
            " join_date = $6, updated = $7, generation = $8, state_since = $9, version = version + 1"
            " WHERE id = $1";
        int r = store_exec(db, sql, NULL, TEXTZ(m->id), I64(m->state), TEXTZ(m->name),
                           text_or_null(m->number), text_or_null(m->phone_masked), text_or_null(m->join_date),
                           I64(m->updated), I64(m->generation), I64(m->state_since));
        if (r == 0)
                m->version++;
        return r;
}

/* --- lists ---------------------------------------------------------------------------------------------- */

#define FEW 1000
#define IN_ORDER " ORDER BY o.path, m.state, m.id LIMIT $3"

static int read_states(struct store_conn *db, struct arena *arena, const char *sql, const char *after,
                       int64_t limit, struct member_list *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(after), I64(limit));
        while (r == 0 && (r = store_next(rows)) == 1) {
                *list_add(ret, arena) = (struct member){
                    .id = store_text_dup(rows, 0, arena),
                    .organization = store_text_dup(rows, 1, arena),
                    .state = (Member__State)store_i64(rows, 2),
                    .state_since = store_i64(rows, 3),
                };
                r = 0;
        }
        return r;
}

int member_states(struct store_conn *db, struct arena *arena, const char *after, int64_t limit,
                  struct member_list *ret)
{
        static const char sql[] =
            "SELECT id, organization, state, state_since FROM member WHERE id > $1 ORDER BY id LIMIT $2";
        return read_states(db, arena, sql, after, limit, ret);
}

int member_erasures(struct store_conn *db, struct arena *arena, const char *after, int64_t limit,
                    struct member_list *ret)
{
        static const char sql[] = "SELECT id, organization, state, state_since FROM member"
                                  " WHERE erased IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
        return read_states(db, arena, sql, after, limit, ret);
}

/* Those that the index of rare states has: SQL that says `state <> 2` may use it. */
static bool is_rare(Member__State state)
{
        return state && state != NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__ACTIVE;
}

/* What is left of the organisation in which the page before ended. */
static int list_rest(struct store_conn *db, struct arena *arena, const struct member_filter *f, int64_t limit,
                     struct member_list *ret)
{
        static const char sql[] =
            "SELECT " COLUMNS " FROM organization o JOIN member m ON m.organization = o.code"
            " WHERE o.path = $1 AND (m.state, m.id) > ($4, $2)" IN_ORDER;
        static const char sql_of_state[] =
            "SELECT " COLUMNS " FROM organization o JOIN member m ON m.organization = o.code"
            " WHERE o.path = $1 AND m.state = $4 AND m.id > $2" IN_ORDER;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, f->state ? sql_of_state : sql, &rows, TEXTZ(f->after_path),
                            TEXTZ(f->after_id), I64(limit), I64(f->after_state));
        return r == 0 ? read_list(rows, arena, ret) : r;
}

/* Those of the organisations that come after it. */
static int list_next(struct store_conn *db, struct arena *arena, const struct member_filter *f,
                     const char *from, int64_t limit, struct member_list *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM organization o CROSS JOIN member m"
                                  " WHERE m.organization = o.code AND o.path > $1 AND o.path < $2" IN_ORDER;
        static const char sql_of_state[] = "SELECT " COLUMNS " FROM organization o CROSS JOIN member m"
                                           " WHERE m.organization = o.code AND o.path > $1 AND o.path < $2"
                                           " AND m.state = $4" IN_ORDER;
        static const char sql_of_rare[] = "SELECT " COLUMNS " FROM organization o CROSS JOIN member m"
                                          " WHERE m.organization = o.code AND o.path > $1 AND o.path < $2"
                                          " AND m.state = $4 AND m.state <> 2" IN_ORDER;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct store_value end = TEXTZ(path_end(arena, f->path));
        int r;
        if (!f->state)
                r = store_query(db, sql, &rows, TEXTZ(from), end, I64(limit));
        else
                r = store_query(db, is_rare(f->state) ? sql_of_rare : sql_of_state, &rows, TEXTZ(from), end,
                                I64(limit), I64(f->state));
        return r == 0 ? read_list(rows, arena, ret) : r;
}

/* Are there so few in this state that it costs less to sort them all than to look into each organisation? */
static int count_few(struct store_conn *db, Member__State state, bool *ret_few)
{
        static const char sql[] =
            "SELECT COUNT(*) FROM (SELECT 1 FROM member WHERE state = $1 AND state <> 2 LIMIT $2) AS few";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, I64(state), I64(FEW + 1));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -EUCLEAN : r;
        *ret_few = store_i64(rows, 0) <= FEW;
        return 0;
}

static int list_few(struct store_conn *db, struct arena *arena, const struct member_filter *f, int64_t limit,
                    struct member_list *ret)
{
        _Static_assert(FEW == 1000, "the limit below, which tells PostgreSQL's planner how few there are at most");
        static const char sql[] = "SELECT " COLUMNS " FROM (SELECT * FROM member WHERE state = $4 AND state <> 2"
                                  " LIMIT 1000) AS m CROSS JOIN organization o WHERE o.code = m.organization"
                                  " AND o.path >= $1 AND o.path < $2 AND (o.path, m.id) > ($5, $6)" IN_ORDER;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXT(f->path), TEXTZ(path_end(arena, f->path)), I64(limit),
                            I64(f->state), TEXTZ(f->after_path), TEXTZ(f->after_id));
        return r == 0 ? read_list(rows, arena, ret) : r;
}

int member_list(struct store_conn *db, struct arena *arena, const struct member_filter *filter, int64_t limit,
                struct member_list *ret)
{
        const char *from = filter->after_path;
        bool few = false;
        int r = is_rare(filter->state) ? count_few(db, filter->state, &few) : 0;
        if (r != 0 || few)
                return r == 0 ? list_few(db, arena, filter, limit, ret) : r;
        if (from[0]) {
                r = list_rest(db, arena, filter, limit, ret);
                if (r != 0 || (int64_t)ret->n >= limit)
                        return r;
        } else {
                from = path_before(arena, filter->path);
        }
        return list_next(db, arena, filter, from, limit - (int64_t)ret->n, ret);
}

/* --- what is sealed ------------------------------------------------------------------------------------- */

static struct store_value bytes_or_null(struct str s)
{
        return s.n ? BYTES(s.p, s.n) : SQLNULL();
}

int member_secret_get(struct store_conn *db, struct arena *arena, const char *member,
                      struct member_secret *ret)
{
        static const char sql[] = "SELECT wrapped_key, id_number, phone FROM member_secret WHERE member = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(member));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        *ret = (struct member_secret){
                .wrapped_key = arena_str(arena, store_bytes(rows, 0)),
                .id_number = arena_str(arena, store_bytes(rows, 1)),
                .phone = arena_str(arena, store_bytes(rows, 2)),
        };
        return 0;
}

int member_secret_insert(struct store_conn *db, const char *member, const struct member_secret *s)
{
        static const char sql[] =
            "INSERT INTO member_secret (member, wrapped_key, id_number, phone, id_number_index,"
            " phone_index, live) VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(member), BYTES(s->wrapped_key.p, s->wrapped_key.n),
                           BYTES(s->id_number.p, s->id_number.n), bytes_or_null(s->phone),
                           BYTES(s->id_number_index.p, s->id_number_index.n), bytes_or_null(s->phone_index));
        return r == 0 && changed == 0 ? STORE_E_RETRY : r; /* somebody was faster: look again who has the ID number */
}

int member_secret_set_phone(struct store_conn *db, const char *member, const struct member_secret *s)
{
        static const char sql[] = "UPDATE member_secret SET phone = $2, phone_index = $3 WHERE member = $1";
        return store_exec(db, sql, NULL, TEXTZ(member), bytes_or_null(s->phone),
                          bytes_or_null(s->phone_index));
}

int member_secret_retire(struct store_conn *db, const char *member)
{
        static const char sql[] = "UPDATE member_secret SET live = 0 WHERE member = $1";
        return store_exec(db, sql, NULL, TEXTZ(member));
}

/* The store overwrites what is deleted. But a row that SQLite had moved when it split a page may have left a copy of its
 * name in that page's unused bytes, until they are written again: of 10,000 members who were approved one by one, 6. */
int member_erase(struct store_conn *db, struct member *m)
{
        static const char forget[] = "DELETE FROM member_secret WHERE member = $1";
        static const char sql[] = "UPDATE member SET name = '', number = NULL, id_number_masked = '',"
                                  " phone_masked = NULL, join_date = NULL, updated = $2, erased = $2,"
                                  " version = version + 1 WHERE id = $1";
        int r = store_exec(db, forget, NULL, TEXTZ(m->id));
        if (r == 0)
                r = store_exec(db, sql, NULL, TEXTZ(m->id), I64(m->erased));
        if (r == 0) {
                m->name = m->number = m->id_number_masked = m->phone_masked = m->join_date = (char *)"";
                m->updated = m->erased;
                m->version++;
        }
        return r;
}
