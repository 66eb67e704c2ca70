/* SPDX-License-Identifier: Apache-2.0
 *
 * The store on a PostgreSQL that ends connections, crashes or freezes, and many who migrate it at once. Needs NX_POSTGRES
 * (tests/support/postgres.py).
 */
#include "tests/support/postgres_world.h"

#include <signal.h>
#include <sys/wait.h>

static int parent_of(int pid)
{
        char name[64], text[512];
        int parent = -1;
        snprintf(name, sizeof(name), "/proc/%d/stat", pid);
        FILE *f = fopen(name, "r");
        if (f && fgets(text, sizeof(text), f) && strrchr(text, ')'))
                sscanf(strrchr(text, ')'), ") %*c %d", &parent);
        if (f)
                fclose(f);
        return parent;
}

/* The next transaction works, within ten seconds. */
static bool comes_back(struct store_conn *db, const char *id)
{
        int64_t until_us = clock_monotonic_us() + 10 * CLOCK_SECOND_US;
        while (clock_monotonic_us() < until_us) {
                int r = store_begin(db);
                if (r == 0)
                        r = add_person(db, id, 1);
                if (r == 0)
                        r = store_commit(db);
                store_rollback(db);
                if (r == 0)
                        return true;
                CHECK(r == STORE_E_UNAVAILABLE || r == STORE_E_RETRY);
                usleep(20000);
        }
        return false;
}

static void test_ended_connections(void)
{
        char sql[96];
        struct world w = world_new();
        /* At rest: the next begin sees to it. */
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend_of(w.db));
        world_sql(sql);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        /* In a transaction: it is told, and nothing runs on. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(try_person(w.db, "b", 1), 0);
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend_of(w.db));
        world_sql(sql);
        CHECK_INT(try_person(w.db, "c", 1), STORE_E_UNAVAILABLE);
        CHECK(!store_in_transaction(w.db));
        CHECK_INT(try_person(w.db, "d", 1), STORE_E_UNAVAILABLE);
        store_rollback(w.db);
        /* While it commits: nobody knows. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(try_person(w.db, "e", 1), 0);
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend_of(w.db));
        world_sql(sql);
        CHECK_INT(store_commit(w.db), STORE_E_UNAVAILABLE);
        CHECK(comes_back(w.db, "f"));
        /* A reader, in and out of a transaction. */
        CHECK_INT(store_begin(w.reader), 0);
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend_of(w.reader));
        world_sql(sql);
        CHECK_INT(count_people(w.reader), -1);
        store_rollback(w.reader);
        CHECK_INT(count_people(w.reader), 2);
        world_done(&w);
}

/* A statement whose columns a migration has changed is prepared anew, on a new connection. */
static void test_a_plan_that_no_longer_fits(void)
{
        static const char all[] = "SELECT * FROM person WHERE id = $1", alter[] = "ALTER TABLE person ADD COLUMN more BIGINT";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        for (int i = 0; i < 3; i++) {
                CHECK_INT(store_begin(w.reader), 0);
                CHECK_INT(store_begin(w.db), 0);
                CHECK_INT(store_query(w.reader, all, &rows, TEXTZ("a")), 0);
                CHECK_INT(store_next(rows), i == 1 ? STORE_E_UNAVAILABLE : 0);
                rows = store_rows_close(rows);
                CHECK_INT(store_query(w.db, all, &rows, TEXTZ("a")), 0);
                CHECK_INT(store_next(rows), i == 1 ? STORE_E_RETRY : 0);
                rows = store_rows_close(rows);
                store_rollback(w.reader);
                store_rollback(w.db);
                if (i > 0)
                        continue;
                CHECK_INT(store_begin(w.db), 0);
                CHECK_INT(store_exec(w.db, alter, NULL), 0);
                CHECK_INT(store_commit(w.db), 0);
        }
        world_done(&w);
}

static void test_a_crash_of_the_server(void)
{
        struct world w = world_new();
        struct store_conn *other = extra(&w);
        CHECK(comes_back(w.db, "before"));
        int pid = backend_of(other);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(try_person(w.db, "lost", 1), 0);
        CHECK_INT(kill(pid, SIGKILL), 0); /* the server begins anew, with its log */
        int r = 0;
        for (int i = 0; i < 1000 && r == 0; i++) {
                r = store_savepoint(w.db);
                if (r == 0)
                        r = store_savepoint_rollback(w.db);
                if (r == 0)
                        r = count_people(w.db) < 0 ? STORE_E_UNAVAILABLE : 0;
                usleep(10000);
        }
        CHECK_INT(r, STORE_E_UNAVAILABLE);
        store_rollback(w.db);
        CHECK(comes_back(w.db, "after"));
        CHECK(comes_back(other, "too"));
        CHECK_INT(count_people(w.db), 3);
        store_conn_close(other);
        world_done(&w);
}

static void test_a_frozen_server(void)
{
        struct world w = world_new();
        struct store_conn *reader;
        int backend = backend_of(w.db), server = parent_of(backend);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(try_person(w.db, "a", 1), 0);
        CHECK_INT(kill(backend, SIGSTOP), 0);
        int64_t since_us = clock_monotonic_us();
        CHECK_INT(store_commit(w.db), STORE_E_UNAVAILABLE);
        int64_t took_us = clock_monotonic_us() - since_us;
        CHECK(took_us > CLOCK_SECOND_US && took_us < 8 * CLOCK_SECOND_US);
        CHECK_INT(kill(server, SIGSTOP), 0);
        since_us = clock_monotonic_us();
        CHECK_INT(store_begin(w.db), STORE_E_UNAVAILABLE);
        CHECK_INT(store_reader_open(w.store, &reader), STORE_E_UNAVAILABLE);
        CHECK(clock_monotonic_us() - since_us < 8 * CLOCK_SECOND_US);
        CHECK_INT(kill(server, SIGCONT), 0);
        CHECK_INT(kill(backend, SIGCONT), 0);
        CHECK(comes_back(w.db, "b"));
        world_done(&w);
}

static void test_migrations_of_many(void)
{
        enum { N = 6 };
        static const char count[] = "SELECT count(*) FROM store_migration";
        pid_t pids[N];
        world_folder();
        fflush(stdout);
        for (int i = 0; i < N; i++) {
                pids[i] = fork();
                if (pids[i])
                        continue;
                const char *error = "";
                struct store *store;
                struct store_writer *writer;
                int r = store_open(world_url, NULL, &store, &error);
                if (r == 0)
                        r = store_writer_acquire(store, "one", false, &writer, &error);
                if (r == 0)
                        r = store_migrate(store_writer_conn(writer), world_schema, ARRAY_LEN(world_schema), &error);
                if (r != 0)
                        printf("# %d %s\n", r, error);
                fflush(stdout);
                _exit(r != 0);
        }
        for (int i = 0; i < N; i++) {
                int status = -1;
                CHECK(waitpid(pids[i], &status, 0) == pids[i]);
                CHECK_INT(status, 0);
        }
        const char *error;
        struct store *store;
        struct store_conn *reader;
        CHECK_INT(store_open(world_url, NULL, &store, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), 0);
        CHECK_INT(number(reader, count), 2);
        store_conn_close(reader);
        store_close(store);
}

/* It makes room for those who serve, and has its turn between them. */
static void test_a_migration_among_readers(void)
{
        static const struct store_migration more[] = {{"more/001", "ALTER TABLE person ADD COLUMN more @int;"}};
        static const char select[] = "SELECT more FROM person";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        const char *error = "";
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                struct store *store;
                struct store_conn *reader;
                int r = store_open(world_url, NULL, &store, &error);
                if (r == 0)
                        r = store_reader_open(store, &reader);
                for (int i = 0; i < 4 && r == 0; i++) { /* snapshots that stand for longer than anybody waits for a lock */
                        r = store_begin(reader);
                        if (r == 0)
                                r = count_people(reader) == 0 ? 0 : -EIO;
                        usleep(700 * 1000);
                        store_rollback(reader);
                        if (r == 0)
                                r = count_people(reader) == 0 ? 0 : -EIO;
                        usleep(60 * 1000);
                }
                _exit(r != 0);
        }
        usleep(100 * 1000);
        CHECK_INT(store_migrate(w.db, more, 1, &error), 0);
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, 0);
        CHECK_INT(store_query(w.reader, select, &rows), 0);
        CHECK_INT(store_next(rows), 0);
        store_rows_close(rows);
        world_done(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"connections that are ended: told, and made anew", test_ended_connections},
                {"a plan that no longer fits is made anew", test_a_plan_that_no_longer_fits},
                {"a server that crashes and comes back", test_a_crash_of_the_server},
                {"a frozen server holds nobody", test_a_frozen_server},
                {"many migrate at once", test_migrations_of_many},
                {"a migration takes its turn among readers", test_a_migration_among_readers},
        };
        if (!world_postgres()) {
                printf("1..0 # SKIP NX_POSTGRES is not set: run it with tests/support/postgres.py --run\n");
                return 0;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        return CHECK_MAIN(cases);
}
