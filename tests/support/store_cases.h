/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store promises on both engines.
 */
#pragma once

#include "tests/support/store_world.h"

static inline void test_commit_and_rollback(void)
{
        struct world w = world_new();
        CHECK_INT(store_begin(w.db), 0);
        CHECK(store_in_transaction(w.db));
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(count_people(w.db), 1);
        CHECK_INT(count_people(w.reader), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK(!store_in_transaction(w.db));
        CHECK_INT(count_people(w.reader), 1);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "b", 1), 0);
        store_rollback(w.db);
        store_rollback(w.db); /* no effect outside */
        CHECK_INT(count_people(w.db), 1);
        world_done(&w);
}

static inline void test_values(void)
{
        static const char select[] = "SELECT id, age, photo, note FROM person WHERE id = $1";
        static const char nulls[] = "SELECT NULL, $1, $2";
        static const char photo[] = {0, 1, (char)0xff};
        struct world w = world_new();
        _cleanup_(arena_freep) struct arena *arena = arena_new(1024);
        const char *name = "买买提·吐尔逊𠮷";
        struct store_rows *rows = NULL;

        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec(w.db, insert_person, NULL, TEXTZ(name), I64(INT64_MAX), BYTES(photo, 3)), 0);
        CHECK_INT(store_exec(w.db, insert_person, NULL, TEXT(STR("")), I64(0), BYTES(NULL, 0)), 0);
        CHECK_INT(store_commit(w.db), 0);

        CHECK_INT(store_query(w.reader, select, &rows, TEXTZ(name)), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_TEXT(store_text(rows, 0).p, name);
        CHECK(store_i64(rows, 1) == INT64_MAX);
        CHECK(str_eq(store_bytes(rows, 2), str_bytes(photo, 3)));
        CHECK_TEXT(store_text_dup(rows, 3, arena), "a@b");
        CHECK_INT(store_next(rows), 0);
        store_rows_close(rows);

        /* Empty is not NULL, and NULL reads as nothing. */
        struct str empty = {NULL, 0};
        CHECK_INT(store_query(w.reader, select, &rows, TEXT(empty)), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK(!store_is_null(rows, 0) && !store_is_null(rows, 2));
        CHECK_INT(store_text(rows, 0).n, 0);
        CHECK_INT(store_bytes(rows, 2).n, 0);
        store_rows_close(rows);
        CHECK_INT(store_query(w.reader, nulls, &rows, TEXT_OR_NULL(STR("")), TEXT_OR_NULL(STR("x"))), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK(store_is_null(rows, 0) && store_is_null(rows, 1) && !store_is_null(rows, 2));
        CHECK_INT(store_i64(rows, 0), 0);
        CHECK(store_text(rows, 0).p == NULL && store_text(rows, 0).n == 0);
        CHECK_TEXT(store_text_dup(rows, 0, arena), "");
        store_rows_close(rows);
        world_done(&w);
}

static inline void test_arguments_outlive_the_call(void)
{
        static const char series[] = "SELECT v FROM (SELECT 1 AS v UNION ALL SELECT 2) AS t WHERE $1 = 'kept'";
        struct world w = world_new();
        char text[] = "kept";
        struct store_rows *rows = NULL;
        CHECK_INT(store_query(w.reader, series, &rows, TEXTZ(text)), 0);
        memset(text, 'x', 4);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_next(rows), 0);
        store_rows_close(rows);
        world_done(&w);
}

static inline void test_changed_rows_and_returning(void)
{
        static const char older[] = "UPDATE person SET age = age + 1", select[] = "SELECT count(*) FROM person";
        static const char upsert[] = "INSERT INTO person (id, age) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET "
                                     "age = excluded.age RETURNING age";
        static const char age_of_a[] = "SELECT age FROM person WHERE id = 'a'";
        struct world w = world_new();
        int64_t changed = -1;
        struct store_rows *rows = NULL;
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(add_person(w.db, "b", 2), 0);
        CHECK_INT(store_exec(w.db, older, &changed), 0);
        CHECK_INT(changed, 2);
        CHECK_INT(store_exec(w.db, select, &changed), 0);
        CHECK_INT(changed, 0);
        /* Closed after its first row, it still took effect. */
        CHECK_INT(store_query(w.db, upsert, &rows, TEXTZ("a"), I64(40)), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_i64(rows, 0), 40);
        store_rows_close(rows);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_query(w.reader, age_of_a, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_i64(rows, 0), 40);
        store_rows_close(rows);
        world_done(&w);
}

static inline void test_savepoints(void)
{
        struct world w = world_new();
        CHECK_INT(store_savepoint(w.db), -ECANCELED); /* only inside a transaction */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_savepoint_release(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "b", 1), 0);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "c", 1), 0);
        CHECK_INT(store_savepoint_release(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 2);
        world_done(&w);
}

static inline void test_no_write_outside_a_transaction(void)
{
        struct world w = world_new();
        CHECK_INT(add_person(w.db, "a", 1), -ECANCELED);
        CHECK_INT(store_commit(w.db), -ECANCELED);
        CHECK_INT(count_people(w.db), 0); /* reading is fine */
        CHECK_INT(add_person(w.reader, "a", 1), -EROFS);
        world_done(&w);
}

static inline void test_an_open_statement_is_not_run_again(void)
{
        static const char select[] = "SELECT count(*) FROM person";
        struct world w = world_new();
        struct store_rows *one = NULL, *two = NULL;
        CHECK_INT(store_query(w.reader, select, &one), 0);
        CHECK_INT(store_query(w.reader, select, &two), -EINVAL);
        CHECK_TEXT(store_last_error(w.reader), "the same statement is still open");
        store_rows_close(one);
        CHECK_INT(store_query(w.reader, select, &two), 0);
        store_rows_close(two);
        world_done(&w);
}

static inline void test_the_statement_cache_is_bounded(void)
{
        enum { N = 1500 };
        static char texts[N][24];
        struct world w = world_new();
        for (int i = 0; i < N; i++)
                snprintf(texts[i], sizeof(texts[i]), "SELECT %d, $1", i);
        for (int i = 0; i < 2 * N; i++) {
                struct store_rows *rows = NULL;
                CHECK_INT(store_query(w.reader, texts[i % N], &rows, I64(7)), 0);
                CHECK_INT(store_next(rows), 1);
                CHECK_INT(store_i64(rows, 0), i % N);
                CHECK_INT(store_i64(rows, 1), 7);
                store_rows_close(rows);
        }
        world_done(&w);
}

static inline void test_a_read_transaction_is_a_snapshot(void)
{
        struct world w = world_new();
        CHECK_INT(store_begin(w.reader), 0);
        CHECK_INT(count_people(w.reader), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_checkpoint(w.db), 0);
        CHECK_INT(count_people(w.reader), 0);
        CHECK_INT(store_commit(w.reader), 0);
        CHECK_INT(count_people(w.reader), 1);
        world_done(&w);
}

static inline void test_migrations(void)
{
        static const char sum[] = "SELECT CAST(sum(x) AS BIGINT) FROM a";
        struct world w = world_new();
        const char *error = NULL;
        struct store_migration list[4] = {world_schema[0], world_schema[1]};
        CHECK_INT(store_migrate(w.db, list, 2, &error), 0); /* nothing left to do */
        list[1].sql = "CREATE INDEX person_by_age ON person (age) -- changed\n;";
        CHECK_INT(store_migrate(w.db, list, 2, &error), -EUCLEAN);
        CHECK(strstr(error, "test/002") != NULL);
        list[1] = world_schema[1];
        list[2] = (struct store_migration){"test/003", "CREATE TABLE a (x @int); CREATE TABLE a (y @int);"};
        CHECK(store_migrate(w.db, list, 3, &error) != 0);
        CHECK(strstr(error, "test/003") && strstr(error, "already exists"));
        CHECK(!store_in_transaction(w.db));
        list[2].sql = "CREATE TABLE a (x @integer);";
        CHECK_INT(store_migrate(w.db, list, 3, &error), -EINVAL);
        CHECK(strstr(error, "@integer") != NULL);
        list[2].sql = "CREATE TABLE a (x @int);"; /* the failed one left nothing behind */
        list[3] = (struct store_migration){"test/004", "INSERT INTO a VALUES (7);"};
        CHECK_INT(store_migrate(w.db, list, 4, &error), 0);
        CHECK_INT(store_migrate(w.db, list, 4, &error), 0);
        struct store_rows *rows = NULL;
        CHECK_INT(store_query(w.reader, sum, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_i64(rows, 0), 7); /* once */
        store_rows_close(rows);
        world_done(&w);
}

static inline void test_contractions(void)
{
        struct world w = world_new();
        const char *error = NULL;
        bool ran = false;
        const struct store_migration list[] = {
                world_schema[0], world_schema[1], {"test/003", "CREATE TABLE a (x @int, y @int);"},
                {"test/004.contract", "ALTER TABLE a DROP COLUMN y;"}, {"test/005", "CREATE TABLE b (x @int);"}};
        CHECK_INT(store_schema_fits(w.reader, list, 2, &error), 1);
        CHECK_INT(store_schema_fits(w.reader, list, 5, &error), 0);
        CHECK_INT(store_migrate(w.db, list, 5, &error), 0); /* but the contraction */
        CHECK_INT(store_schema_fits(w.reader, list, 5, &error), 1);
        CHECK_INT(store_schema_fits(w.reader, list, 2, &error), 1); /* an older build */
        CHECK_INT(store_contract_pending(w.reader, &list[2]), 0);
        CHECK_INT(store_contract_pending(w.reader, &list[3]), 1);
        CHECK_INT(store_begin(w.db), 0);
        CHECK(store_contract(w.db, &list[2], &ran, &error) == 0 && !ran);
        CHECK(store_contract(w.db, &list[3], &ran, &error) == 0 && ran);
        CHECK(store_contract(w.db, &list[3], &ran, &error) == 0 && !ran);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_contract_pending(w.reader, &list[3]), 0);
        CHECK_INT(store_schema_fits(w.reader, list, 5, &error), 1);
        CHECK_INT(store_schema_fits(w.reader, list, 3, &error), STORE_E_OUTGROWN);
        CHECK(strstr(error, "test/004.contract") != NULL);
        CHECK_INT(store_migrate(w.db, list, 3, &error), STORE_E_OUTGROWN);
        const struct store_migration other[] = {{"other/001.contract", "CREATE TABLE c (x @int);"}};
        CHECK_INT(store_migrate(w.db, other, 1, &error), 0); /* new here: nobody older can be there */
        CHECK_INT(store_contract_pending(w.reader, &other[0]), 0);
        CHECK_INT(store_schema_fits(w.reader, list, 5, &error), 1);
        world_done(&w);
}

static inline void test_constraints_leave_the_transaction(void)
{
        static const char insert_pet[] = "INSERT INTO pet (name, owner) VALUES ($1, $2)";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        int64_t changed;
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(try_person(w.db, "a", 1), STORE_E_CONSTRAINT);
        CHECK(strstr(store_last_error(w.db), world_postgres() ? "person_pkey" : "person.id") != NULL);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(try_person(w.db, "b", -1), STORE_E_CONSTRAINT);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(store_exec(w.db, insert_person, &changed, TEXTZ("c"), SQLNULL(), SQLNULL()), STORE_E_CONSTRAINT);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(store_exec(w.db, insert_pet, &changed, TEXTZ("dog"), TEXTZ("nobody")), STORE_E_CONSTRAINT);
        CHECK(store_in_transaction(w.db));
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(store_query(w.db, insert_person, &rows, TEXTZ("a"), I64(1), SQLNULL()), 0);
        CHECK_INT(store_next(rows), -EEXIST);
        store_rows_close(rows);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "d", 4), 0); /* the statement is good for use again */
        CHECK_INT(store_savepoint_release(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 2);
        world_done(&w);
}

static inline void test_many_at_once(void)
{
        static const char upsert[] = "INSERT INTO person (id, age, photo) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE "
                                     "SET age = person.age + excluded.age";
        static const char sum[] = "SELECT CAST(SUM(age) AS BIGINT), COUNT(photo) FROM person";
        enum { N = 1203 };
        static struct store_value args[N][3];
        static char ids[N][16];
        struct world w = world_new();
        struct store_rows *rows = NULL;
        for (int i = 0; i < N; i++) {
                snprintf(ids[i], sizeof(ids[i]), "p%d'\\{,\"", i);
                args[i][0] = TEXTZ(ids[i]);
                args[i][1] = I64(i);
                args[i][2] = i % 2 ? BYTES("\0x", 2) : SQLNULL();
        }
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec_many(w.db, upsert, args[0], 3, 0), 0);
        CHECK_INT(store_exec_many(w.db, upsert, args[0], 3, N), 0);
        CHECK_INT(store_exec_many(w.db, upsert, args[0], 3, 2), 0);
        CHECK_INT(store_exec_many(w.db, upsert, args[1], 3, 1), 0);
        CHECK_INT(store_exec_many(w.db, upsert, args[0], 2, 1), -EINVAL);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_query(w.reader, sum, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_i64(rows, 0), N * (N - 1) / 2 + 1 + 1);
        CHECK_INT(store_i64(rows, 1), N / 2);
        store_rows_close(rows);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        args[7][1] = I64(-8);
        CHECK_INT(store_exec_many(w.db, upsert, args[0], 3, 9) == 0 && store_savepoint_release(w.db) == 0, 0);
        store_rollback(w.db);
        world_done(&w);
}

static const struct check_case store_cases[] = {
        {"a commit is seen, a rollback is not", test_commit_and_rollback},
        {"values come back as they went in", test_values},
        {"a query keeps its arguments", test_arguments_outlive_the_call},
        {"changed rows are counted, RETURNING returns", test_changed_rows_and_returning},
        {"many rows at once", test_many_at_once},
        {"a constraint refuses and the transaction goes on", test_constraints_leave_the_transaction},
        {"a savepoint undoes one request of a batch", test_savepoints},
        {"nothing is written outside a transaction, nor by a reader", test_no_write_outside_a_transaction},
        {"an open statement is not run again", test_an_open_statement_is_not_run_again},
        {"more statements than the cache holds still run", test_the_statement_cache_is_bounded},
        {"a read transaction is a snapshot", test_a_read_transaction_is_a_snapshot},
        {"migrations run once, in order, unchanged", test_migrations},
        {"contractions wait, and an older build refuses what they leave", test_contractions},
};
