/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service keeps of membership's data: the tree of organisations, of each member the organisation and state and
 * what they consent to, of each account what it may.
 */
#include "store.h"

struct str path_end(struct arena *arena, struct str path)
{
        struct str end = arena_str(arena, path);
        ((char *)end.p)[end.n - 1] = '/' + 1;
        return end;
}

/* --- organisations --------------------------------------------------------------------------------------------- */

int organization_load(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret)
{
        static const char sql[] = "SELECT code, parent, kind, path, name, valid_from_us, valid_to_us "
                                  "FROM organization WHERE code = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXT(code)), rows);
        if (r == 0)
                *ret = (struct organization){
                        .code = store_text_dup(rows, 0, arena),
                        .parent = store_text_dup(rows, 1, arena),
                        .kind = (int)store_i64(rows, 2),
                        .path = store_text_dup(rows, 3, arena),
                        .name = store_text_dup(rows, 4, arena),
                        .valid_from_us = store_i64(rows, 5),
                        .valid_to_us = store_i64(rows, 6),
                };
        return r;
}

/* Tables whose rows have their organisation's path beside its code: $1 the code, $2 the new path. */
static const char *const followers[] = {
        "UPDATE recipient SET path = $2 WHERE organization = $1",
        "UPDATE ledger_account SET path = $2 WHERE organization = $1",
        "UPDATE care_payment SET path = $2 WHERE organization = $1",
        "UPDATE care_payment_batch SET path = $2 WHERE organization = $1",
        "UPDATE care_case SET path = $2 WHERE organization = $1",
        "UPDATE care_notice SET path = $2 WHERE organization = $1",
        "UPDATE policy_group SET path = $2 WHERE organization = $1",
};

int organization_save(struct store_conn *db, struct arena *arena, const struct organization *o)
{
        static const char sql[] =
                "INSERT INTO organization (code, parent, kind, path, name, valid_from_us, valid_to_us) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO UPDATE SET parent = excluded.parent, "
                "kind = excluded.kind, path = excluded.path, name = excluded.name, "
                "valid_from_us = excluded.valid_from_us, valid_to_us = excluded.valid_to_us";
        struct organization was;
        int r = organization_load(db, arena, str_of(o->code), &was);
        bool moved = r == 0 && strcmp(was.path, o->path) != 0;
        if (r == 0 || r == CARE_E_ABSENT)
                r = store_exec(db, sql, NULL, TEXTZ(o->code), TEXTZ(o->parent), I64(o->kind), TEXTZ(o->path),
                               TEXTZ(o->name), I64(o->valid_from_us), I64(o->valid_to_us));
        for (size_t i = 0; r == 0 && moved && i < ARRAY_LEN(followers); i++)
                r = store_exec(db, followers[i], NULL, TEXTZ(o->code), TEXTZ(o->path));
        return r;
}

/* --- members --------------------------------------------------------------------------------------------------- */

int member_load(struct store_conn *db, struct arena *arena, const char *id, struct member *ret)
{
        static const char sql[] = "SELECT m.organization, m.state, m.erased, o.path FROM member m "
                                  "LEFT JOIN organization o ON o.code = m.organization WHERE m.id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r == 0)
                *ret = (struct member){
                        .organization = store_text_dup(rows, 0, arena),
                        .state = (int)store_i64(rows, 1),
                        .erased = store_i64(rows, 2),
                        .path = store_text_dup(rows, 3, arena),
                };
        return r;
}

int member_save(struct store_conn *db, const char *id, const char *organization, int state)
{
        static const char sql[] =
                "INSERT INTO member (id, organization, state, erased) VALUES ($1, $2, $3, 0) "
                "ON CONFLICT (id) DO UPDATE SET organization = excluded.organization, state = excluded.state";
        return store_exec(db, sql, NULL, TEXTZ(id), TEXTZ(organization), I64(state));
}

int member_mark_erased(struct store_conn *db, const char *id, const char *organization)
{
        static const char sql[] = "INSERT INTO member (id, organization, state, erased) VALUES ($1, $2, 0, 1) "
                                  "ON CONFLICT (id) DO UPDATE SET erased = 1";
        static const char consents[] = "DELETE FROM consent WHERE member = $1";
        int r = store_exec(db, sql, NULL, TEXTZ(id), TEXTZ(organization));
        return r == 0 ? store_exec(db, consents, NULL, TEXTZ(id)) : r;
}

int members_forget(struct store_conn *db)
{
        static const char members[] = "DELETE FROM member";
        static const char consents[] = "DELETE FROM consent";
        static const char rights[] = "DELETE FROM account_right";
        static const char accounts[] = "DELETE FROM account";
        int r = store_exec(db, members, NULL);
        if (r == 0)
                r = store_exec(db, consents, NULL);
        if (r == 0)
                r = store_exec(db, rights, NULL);
        return r == 0 ? store_exec(db, accounts, NULL) : r;
}

/* --- consents -------------------------------------------------------------------------------------------------- */

int consent_save(struct store_conn *db, const char *member, const char *purpose, const char *version,
                 int64_t given_us)
{
        static const char sql[] =
                "INSERT INTO consent (member, purpose, version, given_us) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (member, purpose) DO UPDATE SET version = excluded.version, given_us = excluded.given_us";
        return store_exec(db, sql, NULL, TEXTZ(member), TEXTZ(purpose), TEXTZ(version), I64(given_us));
}

int consent_end(struct store_conn *db, const char *member, const char *purpose)
{
        static const char sql[] = "DELETE FROM consent WHERE member = $1 AND purpose = $2";
        return store_exec(db, sql, NULL, TEXTZ(member), TEXTZ(purpose));
}

int consent_holds(struct store_conn *db, const char *member, const char *purpose, bool *ret)
{
        static const char sql[] = "SELECT 1 FROM consent WHERE member = $1 AND purpose = $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(member), TEXTZ(purpose)), rows);
        if (r == 0 || r == CARE_E_ABSENT)
                *ret = r == 0;
        return r == CARE_E_ABSENT ? 0 : r;
}

/* --- accounts -------------------------------------------------------------------------------------------------- */

static int rights_load(struct store_conn *db, struct arena *arena, const char *id, struct account *ret)
{
        static const char sql[] =
                "SELECT role, organization FROM account_right WHERE account = $1 ORDER BY role, organization LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id), I64(RIGHTS_MAX));
        while (r == 0 && ret->n_rights < RIGHTS_MAX && (r = store_next(rows)) == 1) {
                ret->rights[ret->n_rights++] =
                        (struct right){.role = (int)store_i64(rows, 0), .organization = store_text_dup(rows, 1, arena)};
                r = 0;
        }
        return r;
}

int account_load(struct store_conn *db, struct arena *arena, const char *id, struct account *ret)
{
        static const char sql[] = "SELECT generation, disabled FROM account WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXTZ(id)), rows);
        if (r != 0)
                return r;
        *ret = (struct account){.generation = store_i64(rows, 0), .disabled = store_i64(rows, 1)};
        return rights_load(db, arena, id, ret);
}

int account_save(struct store_conn *db, const char *id, const struct account *a, bool *ret_newer)
{
        static const char sql[] =
                "INSERT INTO account (id, generation, disabled) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET "
                "generation = excluded.generation, disabled = excluded.disabled WHERE account.generation < excluded.generation";
        static const char clear[] = "DELETE FROM account_right WHERE account = $1";
        static const char insert[] = "INSERT INTO account_right (account, role, organization) VALUES ($1, $2, $3) "
                                     "ON CONFLICT DO NOTHING";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(id), I64(a->generation), I64(a->disabled));
        if (r == 0)
                *ret_newer = changed;
        if (r != 0 || !changed)
                return r;
        r = store_exec(db, clear, NULL, TEXTZ(id));
        for (size_t i = 0; r == 0 && i < a->n_rights; i++)
                r = store_exec(db, insert, NULL, TEXTZ(id), I64(a->rights[i].role), TEXTZ(a->rights[i].organization));
        return r;
}
