/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's documented behaviour on SQLite: what holds on both engines, and what only here. Who may write is in
 * store_writer_test.c; power cuts and failing disks are in tests/fault.
 */
#include "tests/support/store_cases.h"

static void test_parameters_by_number(void)
{
        static const char mixed[] = "SELECT $2, $1, $2", gap[] = "SELECT $1, $3", question[] = "SELECT ?";
        static const char two[] = "SELECT 1; SELECT 2", trailing[] = "SELECT 1; \n", quoted[] = "SELECT \"text\"";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        CHECK_INT(store_query(w.reader, mixed, &rows, I64(10), I64(20)), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_INT(store_i64(rows, 0), 20);
        CHECK_INT(store_i64(rows, 1), 10);
        CHECK_INT(store_i64(rows, 2), 20);
        store_rows_close(rows);
        CHECK_INT(store_query(w.reader, mixed, &rows, I64(1)), -EINVAL);
        CHECK_TEXT(store_last_error(w.reader), "wrong number of arguments");
        CHECK_INT(store_query(w.reader, gap, &rows, I64(1), I64(2), I64(3)), -EINVAL);
        CHECK_INT(store_query(w.reader, question, &rows, I64(1)), -EINVAL);
        CHECK_INT(store_query(w.reader, two, &rows), -EINVAL);
        CHECK_INT(store_query(w.reader, quoted, &rows), -EINVAL);
        CHECK_INT(store_exec(w.reader, trailing, NULL), 0);
        world_done(&w);
}

static void test_a_constraint_needs_no_savepoint(void)
{
        struct world w = world_new();
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(add_person(w.db, "a", 1), STORE_E_CONSTRAINT);
        CHECK_INT(add_person(w.db, "b", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 2);
        world_done(&w);
}

static void test_a_full_database_ends_the_transaction(void)
{
        static const char limit[] = "PRAGMA max_page_count = 40";
        struct world w = world_new();
        static char big[20000];
        CHECK_INT(store_exec(w.db, limit, NULL), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "first", 1), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        int r = 0;
        for (int i = 0; i < 40 && r == 0; i++) {
                char id[16];
                snprintf(id, sizeof(id), "p%d", i);
                r = store_exec(w.db, insert_person, NULL, TEXTZ(id), I64(i), BYTES(big, sizeof(big)));
        }
        CHECK_INT(r, -ENOSPC);
        /* The engine undid all of it, also what stood before the savepoint; running on changes nothing. */
        CHECK(!store_in_transaction(w.db));
        CHECK_INT(add_person(w.db, "late", 1), -ECANCELED);
        CHECK_INT(store_savepoint_rollback(w.db), -ECANCELED);
        CHECK_INT(store_savepoint(w.db), -ECANCELED);
        CHECK_INT(store_commit(w.db), -ECANCELED);
        store_rollback(w.db);
        CHECK_INT(count_people(w.reader), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "after", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 1);
        world_done(&w);
}

static void test_readers_read_without_a_writer(void)
{
        struct world w = world_new();
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        w.reader = store_conn_close(w.reader);
        w.writer = store_writer_release(w.writer);
        CHECK_INT(store_reader_open(w.store, &w.reader), 0);
        CHECK_INT(count_people(w.reader), 1);
        w.reader = store_conn_close(w.reader);
        /* Even if somebody tidied up the files beside the database. */
        world_unlink("-wal");
        world_unlink("-shm");
        CHECK_INT(store_reader_open(w.store, &w.reader), 0);
        CHECK_INT(count_people(w.reader), 1);
        world_done(&w);
}

static void test_no_schema_yet(void)
{
        const char *error;
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        struct store_conn *reader = NULL;
        struct stat st;
        world_folder();
        CHECK_INT(store_open(world_url, NULL, &store, &error), 0);
        CHECK_INT(stat(world_path, &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
        CHECK_INT(store_reader_open(store, &reader), -EAGAIN);
        CHECK_INT(store_writer_acquire(store, "one", false, &writer, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), -EAGAIN);
        CHECK_INT(store_migrate(store_writer_conn(writer), world_schema, 1, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), 0);
        store_conn_close(reader);
        store_writer_release(writer);
        store_close(store);
        world_remove_folder();
}

static void test_addresses(void)
{
        const char *error = NULL;
        struct store *store = NULL;
        CHECK_INT(store_open("mysql://x", NULL, &store, &error), -EINVAL);
        CHECK(error && strstr(error, "sqlite:PATH"));
        CHECK_INT(store_open("sqlite:", NULL, &store, &error), -EINVAL);
        CHECK_INT(store_open("sqlite:/nowhere/at/all.db", NULL, &store, &error), -ENOENT);
        CHECK(strstr(error, "/nowhere/at/all.db") != NULL);
        CHECK_INT(store_open("sqlite:/tmp", NULL, &store, &error), -EINVAL);
        CHECK(strstr(error, "regular file") != NULL);
}

static void test_the_log_stays_short(void)
{
        struct world w = world_new();
        static char photo[3000];
        for (int batch = 0; batch < 60; batch++) {
                CHECK_INT(store_begin(w.db), 0);
                for (int i = 0; i < 200; i++) {
                        char id[24];
                        snprintf(id, sizeof(id), "%d-%d", batch, i);
                        CHECK_INT(store_exec(w.db, insert_person, NULL, TEXTZ(id), I64(i),
                                             BYTES(photo, sizeof(photo))), 0);
                }
                CHECK_INT(store_commit(w.db), 0);
                CHECK_INT(count_people(w.reader), (batch + 1) * 200);
        }
        CHECK(world_size("-wal") < 16 << 20); /* of 48 MB that were written */
        world_done(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"parameters are bound by their numbers", test_parameters_by_number},
                {"a constraint refuses without a savepoint too", test_a_constraint_needs_no_savepoint},
                {"a full database ends the transaction, wholly", test_a_full_database_ends_the_transaction},
                {"readers read without a writer", test_readers_read_without_a_writer},
                {"a store without schema asks for patience", test_no_schema_yet},
                {"what is wrong with an address is said", test_addresses},
                {"the log stays short under steady writing", test_the_log_stays_short},
        };
        int failed = CHECK_MAIN(store_cases);
        return CHECK_MAIN(cases) | failed;
}
