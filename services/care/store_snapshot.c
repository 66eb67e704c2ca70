/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told to those who follow late, in SQL.
 */
#include "store_snapshot.h"

/* Whom events about a case, or a visit, are about: as recipient_person. */
#define PERSON      "COALESCE(NULLIF(r.member, ''), r.id, '')"
#define NOT_ERASED  "(r.id IS NULL OR r.erased_us = 0)"
#define CASE_PERSON "JOIN care_case c ON c.id = d.case_id LEFT JOIN recipient r ON r.id = c.recipient "

static const char *text(const struct store_rows *rows, int column, struct arena *arena)
{
        return store_text_dup(rows, column, arena);
}

/* --- programmes, who was erased --------------------------------------------------------------------------------------- */

int told_programmes_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT id, organization, current_version FROM programme WHERE id > $1 AND current_version > 0 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void told_programme_read(const struct store_rows *rows, struct arena *arena, struct told_programme *ret)
{
        *ret = (struct told_programme){text(rows, 0, arena), text(rows, 1, arena), store_i64(rows, 2)};
}

int told_erased_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT id, organization FROM recipient WHERE id > $1 AND erased_us > 0 ORDER BY id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void told_recipient_read(const struct store_rows *rows, struct arena *arena, struct told_recipient *ret)
{
        *ret = (struct told_recipient){text(rows, 0, arena), text(rows, 1, arena)};
}

/* --- cases ------------------------------------------------------------------------------------------------------------ */

int told_cases_query(struct store_conn *db, const char *from, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT c.id, c.programme, c.organization, " PERSON ", c.stage, s.action, c.version, c.state FROM care_case c "
                "JOIN care_step s ON s.case_id = c.id AND s.n = c.steps LEFT JOIN recipient r ON r.id = c.recipient "
                "WHERE c.id >= $1 AND " NOT_ERASED " ORDER BY c.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(from), I64(limit));
}

void told_case_read(const struct store_rows *rows, struct arena *arena, struct told_case *ret)
{
        *ret = (struct told_case){.id = text(rows, 0, arena), .programme = text(rows, 1, arena), .organization = text(rows, 2, arena),
                                  .person = text(rows, 3, arena), .stage = text(rows, 4, arena), .action = text(rows, 5, arena),
                                  .version = store_i64(rows, 6), .state = store_i64(rows, 7)};
}

int told_decisions_query(struct store_conn *db, const char *from, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT d.id, d.case_id, d.programme, c.organization, " PERSON ", c.unit, d.version, d.amount, d.state, "
                "(SELECT MAX(p.state) FROM care_payment p WHERE p.case_id = d.case_id AND p.decision = d.id) "
                "FROM care_decision d " CASE_PERSON "WHERE d.id >= $1 AND " NOT_ERASED " ORDER BY d.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(from), I64(limit));
}

void told_decision_read(const struct store_rows *rows, struct arena *arena, struct told_decision *ret)
{
        enum { GIVEN = 2, RETURNED = 4 }; /* of a decision; of a payment */
        *ret = (struct told_decision){.id = text(rows, 0, arena), .case_id = text(rows, 1, arena), .programme = text(rows, 2, arena),
                                      .organization = text(rows, 3, arena), .person = text(rows, 4, arena), .unit = text(rows, 5, arena),
                                      .version = store_i64(rows, 6), .amount = store_i64(rows, 7), .given = store_i64(rows, 8) == GIVEN,
                                      .returned = !store_is_null(rows, 9) && store_i64(rows, 9) == RETURNED};
}

int told_contacts_query(struct store_conn *db, const char *after_case, const char *after_role, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT d.case_id, d.role, d.account, c.organization, " PERSON " FROM care_contact d " CASE_PERSON
                                  "WHERE (d.case_id, d.role) > ($1, $2) AND " NOT_ERASED " ORDER BY d.case_id, d.role LIMIT $3";
        return store_query(db, sql, ret_rows, TEXTZ(after_case), TEXTZ(after_role), I64(limit));
}

void told_contact_read(const struct store_rows *rows, struct arena *arena, struct told_contact *ret)
{
        *ret = (struct told_contact){text(rows, 0, arena), text(rows, 1, arena), text(rows, 2, arena), text(rows, 3, arena),
                                     text(rows, 4, arena)};
}

/* --- work ------------------------------------------------------------------------------------------------------------- */

int told_tasks_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT t.id, t.case_id, t.organization, t.person, t.assignee, t.kind, t.escalations, t.due_us, t.done_us FROM care_task t "
                "LEFT JOIN care_case c ON c.id = t.case_id LEFT JOIN recipient r ON r.id = c.recipient "
                "WHERE t.id > $1 AND " NOT_ERASED " ORDER BY t.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void told_task_read(const struct store_rows *rows, struct arena *arena, struct told_task *ret)
{
        *ret = (struct told_task){text(rows, 0, arena), text(rows, 1, arena), text(rows, 2, arena), text(rows, 3, arena),
                                  text(rows, 4, arena), store_i64(rows, 5), store_i64(rows, 6), store_i64(rows, 7),
                                  store_i64(rows, 8)};
}

int told_visits_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT v.id, v.case_id, v.organization, " PERSON ", v.way, v.outcome, v.at_us FROM care_visit v "
                                  "LEFT JOIN recipient r ON r.id = v.recipient WHERE v.id > $1 AND v.outcome > 0 AND " NOT_ERASED
                                  " ORDER BY v.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void told_visit_read(const struct store_rows *rows, struct arena *arena, struct told_visit *ret)
{
        *ret = (struct told_visit){text(rows, 0, arena), text(rows, 1, arena), text(rows, 2, arena), text(rows, 3, arena),
                                   store_i64(rows, 4), store_i64(rows, 5), store_i64(rows, 6)};
}

/* --- the ledger ------------------------------------------------------------------------------------------------------- */

int told_transfers_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT t.id, a.organization, a.fund, a.purpose, t.debit, t.credit, t.of_id, t.kind, t.amount "
                                  "FROM ledger_transfer t JOIN ledger_account a ON a.id = t.debit WHERE t.id > $1 ORDER BY t.id LIMIT $2";
        return store_query(db, sql, ret_rows, TEXTZ(after), I64(limit));
}

void told_transfer_read(const struct store_rows *rows, struct arena *arena, struct told_transfer *ret)
{
        *ret = (struct told_transfer){text(rows, 0, arena), text(rows, 1, arena), text(rows, 2, arena), text(rows, 3, arena),
                                      text(rows, 4, arena), text(rows, 5, arena), text(rows, 6, arena), store_i64(rows, 7),
                                      store_i64(rows, 8)};
}
