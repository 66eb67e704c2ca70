/* SPDX-License-Identifier: Apache-2.0
 *
 * What hangs on a case, in SQL: contacts, access for a time, notices, objections.
 */
#include "store_case.h"

/* --- contacts -------------------------------------------------------------------------------------------------------- */

int contact_save(struct store_conn *db, const char *case_id, const struct contact *c)
{
        static const char sql[] =
                "INSERT INTO care_contact (case_id, role, account, name, phone, since_us) VALUES ($1, $2, $3, $4, $5, $6) "
                "ON CONFLICT (case_id, role) DO UPDATE SET account = excluded.account, name = excluded.name, phone = excluded.phone, "
                "since_us = excluded.since_us";
        return store_exec(db, sql, NULL, TEXTZ(case_id), TEXTZ(c->role), TEXTZ(c->account), TEXTZ(c->name),
                          TEXTZ(c->phone), I64(c->since_us));
}

int contact_delete(struct store_conn *db, const char *case_id, const char *role, bool *ret_was)
{
        static const char sql[] = "UPDATE care_contact SET account = '', name = '', phone = '' WHERE case_id = $1 AND role = $2 "
                                  "AND (account <> '' OR name <> '')";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(case_id), TEXTZ(role));
        *ret_was = changed > 0;
        return r;
}

int contacts_load(struct store_conn *db, struct arena *arena, const char *case_id, struct contact out[CONTACTS_MAX], size_t *ret_n)
{
        static const char sql[] = "SELECT role, account, name, phone, since_us FROM care_contact WHERE case_id = $1 "
                                  "AND (account <> '' OR name <> '') ORDER BY role LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(case_id), I64(CONTACTS_MAX));
        while (r == 0 && n < CONTACTS_MAX && (r = store_next(rows)) == 1) {
                out[n++] = (struct contact){
                        .role = store_text_dup(rows, 0, arena),
                        .account = store_text_dup(rows, 1, arena),
                        .name = store_text_dup(rows, 2, arena),
                        .phone = store_text_dup(rows, 3, arena),
                        .since_us = store_i64(rows, 4),
                };
                r = 0;
        }
        *ret_n = n;
        return r;
}

int contacts_of_account(struct store_conn *db, struct arena *arena, const char *account, const char *after, struct contact_place *out,
                        size_t room, size_t *ret_n)
{
        static const char sql[] = "SELECT case_id, role FROM care_contact WHERE account = $1 AND account <> '' AND case_id > $2 "
                                  "ORDER BY case_id LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(account), TEXTZ(after), I64((int64_t)room));
        while (r == 0 && n < room && (r = store_next(rows)) == 1) {
                out[n++] = (struct contact_place){store_text_dup(rows, 0, arena), store_text_dup(rows, 1, arena)};
                r = 0;
        }
        *ret_n = n;
        return r;
}

/* --- access ---------------------------------------------------------------------------------------------------------- */

int access_save(struct store_conn *db, const char *case_id, const char *account, const char *by, const char *reason, int64_t expire_us)
{
        static const char sql[] =
                "INSERT INTO care_access (case_id, account, granted_by, reason, expire_us) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (case_id, account) DO UPDATE SET granted_by = excluded.granted_by, reason = excluded.reason, "
                "expire_us = excluded.expire_us";
        return store_exec(db, sql, NULL, TEXTZ(case_id), TEXTZ(account), TEXTZ(by), TEXTZ(reason), I64(expire_us));
}

int access_load(struct store_conn *db, struct arena *arena, const char *case_id, const char *account, int64_t now_us,
                const char **ret_reason)
{
        static const char sql[] = "SELECT reason FROM care_access WHERE case_id = $1 AND account = $2 AND expire_us > $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(case_id), TEXTZ(account), I64(now_us)), rows);
        if (r == 0)
                *ret_reason = store_text_dup(rows, 0, arena);
        return r;
}

int access_delete(struct store_conn *db, const char *case_id, const char *account, bool *ret_was)
{
        static const char sql[] = "DELETE FROM care_access WHERE case_id = $1 AND account = $2";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(case_id), TEXTZ(account));
        *ret_was = changed == 1;
        return r;
}

int accesses_delete(struct store_conn *db, const char *case_id)
{
        static const char sql[] = "DELETE FROM care_access WHERE case_id = $1";
        return store_exec(db, sql, NULL, TEXTZ(case_id));
}

int cases_forget(struct store_conn *db, const char *recipient)
{
#define OF_CASES " WHERE case_id IN (SELECT id FROM care_case WHERE subject = $1)"
        static const char contacts[] = "UPDATE care_contact SET name = '', phone = ''" OF_CASES;
        static const char access[] = "DELETE FROM care_access" OF_CASES;
        static const char notices[] = "UPDATE care_notice SET name_masked = '*'" OF_CASES;
        static const char objections[] = "UPDATE care_objection SET sealed = $2, reason = NULL" OF_CASES;
#undef OF_CASES
        int r = store_exec(db, contacts, NULL, TEXTZ(recipient));
        if (r == 0)
                r = store_exec(db, access, NULL, TEXTZ(recipient));
        if (r == 0)
                r = store_exec(db, notices, NULL, TEXTZ(recipient));
        return r == 0 ? store_exec(db, objections, NULL, TEXTZ(recipient), BYTES("", 0)) : r;
}

/* --- notices --------------------------------------------------------------------------------------------------------- */

#define NOTICE_COLUMNS                                                                                                       \
        "id, case_id, programme, title, title_zh, organization, path, name_masked, amount, unit, start_us, end_us, stands, " \
        "stopped_us, left_days"

int notice_insert(struct store_conn *db, const struct notice *n)
{
        static const char sql[] = "INSERT INTO care_notice (" NOTICE_COLUMNS ") "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        return store_exec(db, sql, NULL, TEXTZ(n->id), TEXTZ(n->case_id), TEXTZ(n->programme), TEXTZ(n->title), TEXTZ(n->title_zh),
                          TEXTZ(n->organization), TEXTZ(n->path), TEXTZ(n->name_masked), I64(n->amount), TEXTZ(n->unit), I64(n->start_us),
                          I64(n->end_us), I64(n->stands), I64(n->stopped_us), I64(n->left_days));
}

void notice_read(const struct store_rows *rows, struct arena *arena, struct notice *ret)
{
        *ret = (struct notice){
                .id = store_text_dup(rows, 0, arena),
                .case_id = store_text_dup(rows, 1, arena),
                .programme = store_text_dup(rows, 2, arena),
                .title = store_text_dup(rows, 3, arena),
                .title_zh = store_text_dup(rows, 4, arena),
                .organization = store_text_dup(rows, 5, arena),
                .path = store_text_dup(rows, 6, arena),
                .name_masked = store_text_dup(rows, 7, arena),
                .amount = store_i64(rows, 8),
                .unit = store_text_dup(rows, 9, arena),
                .start_us = store_i64(rows, 10),
                .end_us = store_i64(rows, 11),
                .stands = store_i64(rows, 12),
                .stopped_us = store_i64(rows, 13),
                .left_days = store_i64(rows, 14),
        };
}

static int load_notice(struct store_conn *db, struct arena *arena, const char *sql, const char *by, struct notice *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(by)), rows);
        if (r == 0)
                notice_read(rows, arena, ret);
        return r;
}

int notice_load(struct store_conn *db, struct arena *arena, const char *id, struct notice *ret)
{
        static const char sql[] = "SELECT " NOTICE_COLUMNS " FROM care_notice WHERE id = $1";
        return load_notice(db, arena, sql, id, ret);
}

int notice_of_case(struct store_conn *db, struct arena *arena, const char *case_id, struct notice *ret)
{
        static const char sql[] = "SELECT " NOTICE_COLUMNS " FROM care_notice WHERE case_id = $1 ORDER BY id DESC LIMIT 1";
        return load_notice(db, arena, sql, case_id, ret);
}

int notice_save(struct store_conn *db, const struct notice *n)
{
        static const char sql[] = "UPDATE care_notice SET end_us = $2, stands = $3, stopped_us = $4, left_days = $5 WHERE id = $1";
        return store_exec(db, sql, NULL, TEXTZ(n->id), I64(n->end_us), I64(n->stands), I64(n->stopped_us), I64(n->left_days));
}

int notices_query(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                  const char *after_id, int64_t limit,
                  struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " NOTICE_COLUMNS " FROM care_notice WHERE stands = 1 AND path >= $1 AND path < $2 "
                                  "AND (path, id) > ($3, $4) ORDER BY path, id LIMIT $5";
        return store_query(db, sql, ret_rows, TEXT(path), TEXT(path_end(arena, path)), TEXTZ(after_path), TEXTZ(after_id), I64(limit));
}

/* --- objections ------------------------------------------------------------------------------------------------------ */

#define OBJECTION_COLUMNS "id, notice, case_id, sealed, upheld, created_us, settled_us, settled_by, reason"

int objection_insert(struct store_conn *db, const struct objection *o)
{
        static const char sql[] = "INSERT INTO care_objection (" OBJECTION_COLUMNS ") VALUES ($1, $2, $3, $4, 0, $5, 0, '', NULL)";
        return store_exec(db, sql, NULL, TEXTZ(o->id), TEXTZ(o->notice), TEXTZ(o->case_id), BYTES(o->sealed.p,
                          o->sealed.n), I64(o->created_us));
}

void objection_read(const struct store_rows *rows, struct arena *arena, struct objection *ret)
{
        *ret = (struct objection){
                .id = store_text_dup(rows, 0, arena),
                .notice = store_text_dup(rows, 1, arena),
                .case_id = store_text_dup(rows, 2, arena),
                .sealed = arena_str(arena, store_bytes(rows, 3)),
                .upheld = store_i64(rows, 4),
                .created_us = store_i64(rows, 5),
                .settled_us = store_i64(rows, 6),
                .settled_by = store_text_dup(rows, 7, arena),
                .reason = arena_str(arena, store_bytes(rows, 8)),
        };
}

int objection_load(struct store_conn *db, struct arena *arena, const char *id, struct objection *ret)
{
        static const char sql[] = "SELECT " OBJECTION_COLUMNS " FROM care_objection WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                objection_read(rows, arena, ret);
        return r;
}

int objection_settle(struct store_conn *db, const struct objection *o)
{
        static const char sql[] = "UPDATE care_objection SET upheld = $2, settled_us = $3, settled_by = $4, reason = $5 "
                                  "WHERE id = $1 AND settled_us = 0";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(o->id), I64(o->upheld), I64(o->settled_us), TEXTZ(o->settled_by),
                           BYTES(o->reason.p, o->reason.n));
        return one_changed(r, changed);
}

int objection_open(struct store_conn *db, struct arena *arena, const char *notice, const char **ret_id)
{
        static const char sql[] = "SELECT id FROM care_objection WHERE notice = $1 AND settled_us = 0 ORDER BY id LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(notice)), rows);
        if (r == 0)
                *ret_id = store_text_dup(rows, 0, arena);
        return r;
}

int objections_count(struct store_conn *db, const char *notice, int64_t *ret_open)
{
        static const char sql[] = "SELECT COUNT(*) FROM care_objection WHERE notice = $1 AND settled_us = 0";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(notice)), rows);
        if (r == 0)
                *ret_open = store_i64(rows, 0);
        return r;
}

int objections_of_case(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT " OBJECTION_COLUMNS " FROM care_objection WHERE case_id = $1 ORDER BY id DESC LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(case_id), I64(limit));
}
