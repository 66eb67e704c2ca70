/* SPDX-License-Identifier: Apache-2.0
 *
 * Organisations in SQL. A subtree is a range of paths, so it is read in one pass of the index.
 */
#include "services/membership/store.h"

#define COLUMNS "code, parent, kind, name, path, valid_from, valid_to, version"

static const char sql_get[] = "SELECT " COLUMNS " FROM organization WHERE code = $1";
static const char sql_insert[] =
        "INSERT INTO organization (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT DO NOTHING";
static const char sql_update[] = "UPDATE organization SET parent = $2, kind = $3, name = $4, path = $5,"
                                 " valid_from = $6, valid_to = $7, version = version + 1 WHERE code = $1";
/* What all lists have: a range of paths, a kind or 0, a page's size, a time or 0. */
#define FILTER                                                                                               \
        " path > $1 AND path < $2 AND ($3 = 0 OR kind = $3) AND ($5 = 0 OR"                                  \
        " (COALESCE(valid_from, $5) <= $5 AND COALESCE(valid_to, $5 + 1) > $5))"
#define IN_ORDER " ORDER BY path LIMIT $4"
static const char sql_range[] = "SELECT " COLUMNS " FROM organization WHERE" FILTER IN_ORDER;
static const char sql_children[] =
        "SELECT " COLUMNS " FROM organization WHERE parent = $6 AND" FILTER IN_ORDER;
static const char sql_search[] = "SELECT " COLUMNS " FROM organization WHERE" FILTER
                                 " AND ($6 = '' OR parent = $6)"
                                 " AND (LOWER(name) LIKE $7 ESCAPE '\\' OR LOWER(code) LIKE $8 ESCAPE '\\')" IN_ORDER;

struct organization *organization_list_add(struct organization_list *list, struct arena *arena)
{
        if (list->n == list->room) {
                size_t room = list->room ? list->room * 2 : 64;
                struct organization *items = ARENA_ARRAY(arena, struct organization, room);
                if (list->n)
                        memcpy(items, list->items, list->n * sizeof(*items));
                list->items = items;
                list->room = room;
        }
        struct organization *o = &list->items[list->n++];
        *o = (struct organization){0};
        return o;
}

static void read_organization(const struct store_rows *rows, struct arena *arena, struct organization *o)
{
        *o = (struct organization){
                .code = store_text_dup(rows, 0, arena),
                .parent = store_text_dup(rows, 1, arena),
                .kind = (Organization__Kind)store_i64(rows, 2),
                .name = store_text_dup(rows, 3, arena),
                .path = store_text_dup(rows, 4, arena),
                .valid_from = store_i64(rows, 5),
                .valid_to = store_i64(rows, 6),
                .version = store_i64(rows, 7),
        };
}

int organization_get(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql_get, &rows, TEXT(code));
        if (r != 0 || (r = store_next(rows)) != 1)
                return r == 0 ? -ENOENT : r;
        read_organization(rows, arena, ret);
        return 0;
}

static struct store_value time_or_null(int64_t us)
{
        return us ? I64(us) : SQLNULL();
}

static struct store_value parent_or_null(const struct organization *o)
{
        return TEXT_OR_NULL(str_of(o->parent));
}

int organization_insert(struct store_conn *db, const struct organization *o)
{
        int64_t changed = 0;
        int r = store_exec(db, sql_insert, &changed, TEXTZ(o->code), parent_or_null(o), I64(o->kind),
                           TEXTZ(o->name), TEXTZ(o->path), time_or_null(o->valid_from),
                           time_or_null(o->valid_to), I64(o->version));
        return r == 0 && changed == 0 ? STORE_E_CONSTRAINT : r;
}

int organization_update(struct store_conn *db, const struct organization *o)
{
        return store_exec(db, sql_update, NULL, TEXTZ(o->code), parent_or_null(o), I64(o->kind),
                          TEXTZ(o->name), TEXTZ(o->path), time_or_null(o->valid_from),
                          time_or_null(o->valid_to));
}

static int read_list(struct store_rows *rows, struct arena *arena, struct organization_list *list)
{
        int r;
        while ((r = store_next(rows)) == 1)
                read_organization(rows, arena, organization_list_add(list, arena));
        return r;
}

/* A LIKE pattern, in small letters, in which the text stands for itself. */
static char *like_pattern(struct arena *arena, const char *before, const char *text)
{
        char *pattern = arena_alloc(arena, strlen(before) + strlen(text) * 2 + 2),
             *p = stpcpy(pattern, before);
        for (; *text; text++) {
                if (*text == '%' || *text == '_' || *text == '\\')
                        *p++ = '\\';
                *p++ = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        }
        *p++ = '%';
        *p = 0;
        return pattern;
}

int organization_list(struct store_conn *db, struct arena *arena, const struct organization_filter *filter,
                      int64_t limit, struct organization_list *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct store_value after = TEXTZ(filter->after), end = TEXTZ(filter->end), kind = I64(filter->kind);
        struct store_value most = I64(limit), valid_at = I64(filter->valid_at), parent = TEXTZ(filter->parent);
        int r;
        if (filter->q[0])
                r = store_query(db, sql_search, &rows, after, end, kind, most, valid_at, parent,
                                TEXTZ(like_pattern(arena, "%", filter->q)),
                                TEXTZ(like_pattern(arena, "", filter->q)));
        else if (filter->parent[0])
                r = store_query(db, sql_children, &rows, after, end, kind, most, valid_at, parent);
        else
                r = store_query(db, sql_range, &rows, after, end, kind, most, valid_at);
        return r == 0 ? read_list(rows, arena, ret) : r;
}

int organization_subtree(struct store_conn *db, struct arena *arena, const char *path,
                         struct organization_list *ret)
{
        static const char sql[] =
            "SELECT " COLUMNS " FROM organization WHERE path >= $1 AND path < $2 ORDER BY path";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(path), TEXTZ(path_end(arena, str_of(path))));
        return r == 0 ? read_list(rows, arena, ret) : r;
}
