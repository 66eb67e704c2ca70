/* SPDX-License-Identifier: Apache-2.0
 *
 * Consents in SQL. A member has few: everything of one is a short range of the primary key.
 */
#include "services/membership/store.h"

#define COLUMNS "member, purpose, giving, version, given, ended"

static void read_consent(const struct store_rows *rows, struct arena *arena, struct consent *c)
{
        *c = (struct consent){
                .member = store_text_dup(rows, 0, arena),
                .purpose = store_text_dup(rows, 1, arena),
                .giving = store_i64(rows, 2),
                .version = store_text_dup(rows, 3, arena),
                .given = store_i64(rows, 4),
                .ended = store_i64(rows, 5),
        };
}

static struct consent *list_add(struct consent_list *list, struct arena *arena)
{
        if (list->n == list->room) {
                size_t room = list->room ? list->room * 2 : 16;
                struct consent *items = ARENA_ARRAY(arena, struct consent, room);
                if (list->n)
                        memcpy(items, list->items, list->n * sizeof(*items));
                list->items = items;
                list->room = room;
        }
        return &list->items[list->n++];
}

static int read_list(struct store_rows *rows, struct arena *arena, struct consent_list *list)
{
        int r;
        while ((r = store_next(rows)) == 1)
                read_consent(rows, arena, list_add(list, arena));
        return r;
}

int consent_list(struct store_conn *db, struct arena *arena, const char *member, struct consent_list *ret)
{
        static const char sql[] =
            "SELECT " COLUMNS " FROM consent WHERE member = $1 ORDER BY purpose, giving";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(member));
        return r == 0 ? read_list(rows, arena, ret) : r;
}

int consent_last(struct store_conn *db, struct arena *arena, const char *member, const char *purpose,
                 struct consent *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM consent WHERE member = $1 AND purpose = $2"
                                  " ORDER BY giving DESC LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(member), TEXTZ(purpose));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_consent(rows, arena, ret);
        return 0;
}

int consent_count(struct store_conn *db, const char *member, int64_t *ret)
{
        static const char sql[] = "SELECT COUNT(*) FROM consent WHERE member = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(member));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -EUCLEAN : r;
        *ret = store_i64(rows, 0);
        return 0;
}

int consent_insert(struct store_conn *db, const struct consent *c)
{
        static const char sql[] = "INSERT INTO consent (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, NULL)"
                                  " ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->member), TEXTZ(c->purpose), I64(c->giving),
                           TEXTZ(c->version), I64(c->given));
        return r == 0 && changed == 0 ? STORE_E_RETRY : r; /* somebody was faster: look again what holds */
}

int consent_end(struct store_conn *db, const struct consent *c)
{
        static const char sql[] = "UPDATE consent SET ended = $4 WHERE member = $1 AND purpose = $2"
                                  " AND giving = $3 AND ended IS NULL";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(c->member), TEXTZ(c->purpose), I64(c->giving),
                           I64(c->ended));
        return r == 0 && changed == 0 ? STORE_E_RETRY : r;
}

int consent_erase(struct store_conn *db, const char *member, int64_t *ret_erased)
{
        static const char sql[] = "DELETE FROM consent WHERE member = $1";
        return store_exec(db, sql, ret_erased, TEXTZ(member));
}

int consent_states(struct store_conn *db, struct arena *arena, const char *after_member,
                   const char *after_purpose, int64_t limit, struct consent_state_list *ret)
{
        static const char sql[] =
            "SELECT c.member, c.purpose, c.giving, c.version, c.given, c.ended, m.organization"
            " FROM consent c CROSS JOIN member m WHERE m.id = c.member AND (c.member, c.purpose) > ($1, $2)"
            " AND c.giving = (SELECT MAX(l.giving) FROM consent l WHERE l.member = c.member AND l.purpose = c.purpose)"
            " ORDER BY c.member, c.purpose LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(after_member), TEXTZ(after_purpose), I64(limit));
        ret->items = ARENA_ARRAY(arena, struct consent_state, (size_t)limit);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct consent_state *state = &ret->items[ret->n++];
                read_consent(rows, arena, &state->consent);
                state->organization = store_text_dup(rows, 6, arena);
                r = 0;
        }
        return r;
}
