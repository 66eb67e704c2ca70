/* SPDX-License-Identifier: Apache-2.0
 *
 * The store on PostgreSQL: what both engines promise, and what there is only here: types, statements that are put off, others
 * who write at once, news. Needs NX_POSTGRES (tests/support/postgres.py).
 */
#include "tests/support/postgres_world.h"
#include "tests/support/store_cases.h"

static void test_addresses(void)
{
        const char *error = NULL;
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        CHECK_INT(store_open("postgresql://u:secret@h:port:x/d?nonsense=secret", NULL, &store, &error), -EINVAL);
        CHECK(error && !strstr(error, "secret"));
        CHECK_INT(store_open("postgresql://nobody:secret@127.0.0.1:1/d", NULL, &store, &error), 0);
        CHECK(store_is_shared(store));
        struct store_conn *reader;
        CHECK_INT(store_writer_acquire(store, "one", true, &writer, &error), STORE_E_UNAVAILABLE);
        CHECK(strstr(error, "127.0.0.1") && !strstr(error, "secret") && !strchr(error, '\n'));
        CHECK_INT(store_reader_open(store, &reader), STORE_E_UNAVAILABLE);
        store_close(store);
}

static void test_no_schema_yet(void)
{
        const char *error;
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        struct store_conn *reader = NULL;
        world_folder();
        CHECK_INT(store_open(world_url, NULL, &store, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), -EAGAIN);
        CHECK_INT(store_writer_acquire(store, "one", false, &writer, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), -EAGAIN);
        CHECK_INT(store_migrate(store_writer_conn(writer), world_schema, 1, &error), 0);
        CHECK_INT(store_reader_open(store, &reader), 0);
        store_conn_close(reader);
        store_writer_release(writer);
        store_close(store);
}

static void test_marks(void)
{
        static const char types[] = "SELECT string_agg(data_type || ' ' || coalesce(collation_name, '-'), ', ' ORDER BY ordinal_position)"
                                    " FROM information_schema.columns WHERE table_schema = 'world' AND table_name = 'person'";
        static const char names[] = "SELECT id FROM person ORDER BY id";
        static const struct store_migration only[] = {
                {"only/001", "CREATE TABLE a (x @int\n@postgresql , y BIGINT GENERATED ALWAYS AS IDENTITY\n) @strict;"
                             "INSERT INTO a (x) VALUES (5);"}};
        static const char y[] = "SELECT y FROM a";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        const char *error = "";
        CHECK_INT(store_query(w.reader, types, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_TEXT(store_text(rows, 0).p, "text C, bigint -, bytea -, text C");
        rows = store_rows_close(rows);
        CHECK_INT(store_migrate(w.db, only, 1, &error), 0);
        CHECK_TEXT(error, "");
        CHECK_INT(number(w.reader, y), 1);
        /* By their bytes, whatever the database's language. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(add_person(w.db, "B", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_query(w.reader, names, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK_TEXT(store_text(rows, 0).p, "B");
        store_rows_close(rows);
        world_done(&w);
}

static void test_types(void)
{
        static const char echo[] = "SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BYTEA)";
        static const char small[] = "SELECT 1, CAST(-2 AS SMALLINT), 1 = 1, 'x', NULL, count(*) FROM person";
        static const char numeric[] = "SELECT sum(age) FROM person";
        static const char two[] = "SELECT 1; SELECT 2", gap[] = "SELECT $1, $3", commented[] = "SELECT '$9', $1 -- $8";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        /* The same text with NULL first, then with each type. */
        for (int round = 0; round < 3; round++) {
                CHECK_INT(store_query(w.reader, echo, &rows, SQLNULL(), SQLNULL(), SQLNULL()), 0);
                CHECK_INT(store_next(rows), 1);
                CHECK(store_is_null(rows, 0) && store_is_null(rows, 1) && store_is_null(rows, 2));
                rows = store_rows_close(rows);
                CHECK_INT(store_query(w.reader, echo, &rows, I64(INT64_MIN), TEXTZ("é"), BYTES("\0\1", 2)), 0);
                CHECK_INT(store_next(rows), 1);
                CHECK(store_i64(rows, 0) == INT64_MIN);
                CHECK_TEXT(store_text(rows, 1).p, "é");
                CHECK(str_eq(store_bytes(rows, 2), str_bytes("\0\1", 2)));
                rows = store_rows_close(rows);
        }
        CHECK_INT(store_query(w.reader, small, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        CHECK(store_i64(rows, 0) == 1 && store_i64(rows, 1) == -2 && store_i64(rows, 2) == 1 && store_i64(rows, 5) == 0);
        CHECK_TEXT(store_text(rows, 3).p, "x");
        CHECK(store_is_null(rows, 4) && store_i64(rows, 4) == 0);
        rows = store_rows_close(rows);
        CHECK_INT(store_query(w.reader, numeric, &rows), 0);
        CHECK_INT(store_next(rows), -EINVAL);
        CHECK(strstr(store_last_error(w.reader), "CAST") != NULL);
        rows = store_rows_close(rows);
        CHECK_INT(store_query(w.reader, gap, &rows, I64(1), I64(2), I64(3)), -EINVAL);
        CHECK_INT(store_query(w.reader, echo, &rows, I64(1)), -EINVAL);
        CHECK_TEXT(store_last_error(w.reader), "wrong number of arguments");
        CHECK_INT(store_exec(w.reader, two, NULL), -EINVAL);
        CHECK_INT(store_exec(w.reader, commented, NULL, TEXTZ("x")), 0);
        world_done(&w);
}

static void test_what_is_put_off_is_told_later(void)
{
        struct world w = world_new();
        struct store_rows *rows = NULL;
        static const char select[] = "SELECT id FROM person";
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        /* By the next that wants an answer. */
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        CHECK_INT(store_query(w.db, select, &rows), 0);
        CHECK_INT(store_next(rows), -EEXIST);
        rows = store_rows_close(rows);
        CHECK_INT(add_person(w.db, "no", 1), STORE_E_CONSTRAINT); /* until somebody goes back */
        CHECK_INT(store_savepoint_release(w.db), STORE_E_CONSTRAINT);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        /* By the release. */
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        CHECK_INT(store_savepoint_release(w.db), STORE_E_CONSTRAINT);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        /* By nobody: it is undone. */
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        /* By the commit. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        CHECK_INT(store_commit(w.db), STORE_E_CONSTRAINT);
        CHECK(!store_in_transaction(w.db));
        /* Again by nobody. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "kept", 1), 0);
        store_rollback(w.db);
        CHECK_INT(store_begin(w.db), 0);
        for (int i = 0; i < 2000; i++) {
                char id[16];
                snprintf(id, sizeof(id), "%d", i);
                CHECK_INT(add_person(w.db, id, i), 0);
        }
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 2001);
        world_done(&w);
}

static void test_savepoints_that_are_left(void)
{
        struct world w = world_new();
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_savepoint_leave(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "b", 1), 0);
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(store_savepoint_leave(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_people(w.reader), 1);
        /* What goes wrong late is everybody's. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_savepoint_leave(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(try_person(w.db, "c", 1), -ECANCELED);
        CHECK(!store_in_transaction(w.db));
        CHECK(store_savepoint_rollback(w.db) != 0 && store_commit(w.db) != 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_savepoint_leave(w.db), 0);
        CHECK_INT(store_commit(w.db), -ECANCELED);
        CHECK_INT(count_people(w.reader), 1);
        world_done(&w);
}

static void test_errors_hold_no_data(void)
{
        static const char cast[] = "SELECT CAST($1 AS BIGINT) FROM person";
        struct world w = world_new();
        struct store_rows *rows = NULL;
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(try_person(w.db, "secret", 1), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(try_person(w.db, "secret", 1), STORE_E_CONSTRAINT);
        CHECK(!strstr(store_last_error(w.db), "secret"));
        CHECK_INT(store_savepoint_rollback(w.db), 0);
        CHECK_INT(store_query(w.db, cast, &rows, TEXTZ("secret")), 0);
        CHECK_INT(store_next(rows), -EINVAL);
        CHECK_TEXT(store_last_error(w.db), "refused (PostgreSQL 22P02)");
        rows = store_rows_close(rows);
        store_rollback(w.db);
        world_done(&w);
}

static void test_a_failed_read_fails_alone(void)
{
        static const char broken[] = "SELECT 1 / (1 - 1)";
        struct world w = world_new();
        CHECK_INT(store_begin(w.reader), 0);
        CHECK_INT(count_people(w.reader), 0);
        CHECK_INT(number(w.reader, broken), -1);
        CHECK_INT(count_people(w.reader), 0); /* the next handler of the batch */
        CHECK(store_in_transaction(w.reader));
        store_rollback(w.reader);
        world_done(&w);
}

/* What a read handler does: 1, or why not. */
static int read_age(struct store_conn *conn, const char *id, int64_t by, int64_t *ret_age)
{
        static const char sql[] = "SELECT age / $2 FROM person WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, sql, &rows, TEXTZ(id), I64(by));
        if (r == 0)
                r = store_next(rows);
        if (r == 1)
                *ret_age = store_i64(rows, 0);
        return r;
}

static void test_gathered_reads(void)
{
        static const char trips[] = "SELECT age FROM person WHERE id = 'a'";
        struct world w = world_new();
        int64_t age = 0;
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 10), 0);
        CHECK_INT(add_person(w.db, "b", 20), 0);
        CHECK_INT(store_commit(w.db), 0);
        for (int round = 0; round < 2; round++) {
                CHECK_INT(store_begin(w.reader), 0);
                CHECK_INT(store_gather(w.reader, true), 0);
                CHECK_INT(read_age(w.reader, "a", 1, &age), STORE_E_GATHERED);
                CHECK_INT(read_age(w.reader, "b", 1, &age), STORE_E_GATHERED);
                CHECK_INT(read_age(w.reader, "nobody", 1, &age), STORE_E_GATHERED);
                CHECK_INT(read_age(w.reader, "a", 1, &age), STORE_E_GATHERED);
                CHECK_INT(store_gather(w.reader, true), 0);
                CHECK_INT(read_age(w.reader, "b", 1, &age), 1);
                CHECK_INT(age, 20);
                CHECK_INT(read_age(w.reader, "a", 1, &age), 1);
                CHECK_INT(age, 10);
                CHECK_INT(read_age(w.reader, "nobody", 1, &age), 0);
                CHECK_INT(read_age(w.reader, "a", 2, &age), STORE_E_GATHERED); /* its second question */
                CHECK_INT(store_gather(w.reader, false), 0);
                CHECK_INT(read_age(w.reader, "a", 2, &age), 1);
                CHECK_INT(age, 5);
                CHECK_INT(read_age(w.reader, "a", 10, &age), 1); /* asked by itself */
                CHECK_INT(age, 1);
                /* One that fails takes those after it along, but not for long. */
                CHECK_INT(store_gather(w.reader, true), 0);
                CHECK_INT(read_age(w.reader, "b", 2, &age), STORE_E_GATHERED);
                CHECK_INT(read_age(w.reader, "b", 0, &age), STORE_E_GATHERED);
                CHECK_INT(read_age(w.reader, "b", 4, &age), STORE_E_GATHERED);
                CHECK_INT(store_gather(w.reader, false), 0);
                CHECK_INT(read_age(w.reader, "b", 2, &age), 1);
                CHECK_INT(age, 10);
                CHECK_INT(read_age(w.reader, "b", 0, &age), -EINVAL);
                CHECK_INT(read_age(w.reader, "b", 4, &age), 1);
                CHECK_INT(age, 5);
                store_rollback(w.reader);
        }
        /* What was put down and never brought is forgotten with its transaction. */
        CHECK_INT(store_begin(w.reader), 0);
        CHECK_INT(store_gather(w.reader, true), 0);
        CHECK_INT(read_age(w.reader, "b", 0, &age), STORE_E_GATHERED);
        store_rollback(w.reader);
        CHECK_INT(number(w.reader, trips), 10);
        CHECK_INT(store_begin(w.reader), 0);
        CHECK_INT(store_gather(w.reader, true), 0);
        for (int i = 1; i < 200; i++) { /* of more than it holds the rest is asked at once */
                int r = read_age(w.reader, "b", i, &age);
                CHECK(r == STORE_E_GATHERED || r == 1);
        }
        CHECK_INT(store_gather(w.reader, false), 0);
        for (int i = 1; i < 200; i++) {
                CHECK_INT(read_age(w.reader, "b", i, &age), 1);
                CHECK_INT(age, 20 / i);
        }
        store_rollback(w.reader);
        world_done(&w);
}

/* Rows of one request: "name name …" in their order, or why not. */
static int read_pets(struct store_conn *conn, const char *owner, const struct store_value other, char ret[64])
{
        static const char sql[] = "SELECT name, NULL, $1, $2 FROM pet -- of '$9\n"
                                  " WHERE owner = $1 AND (CAST($2 AS BYTEA) IS NULL OR name <> 'rex')";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, sql, &rows, TEXTZ(owner), other);
        ret[0] = '\0';
        while (r == 0 && (r = store_next(rows)) == 1) {
                CHECK(store_is_null(rows, 1) && str_is(store_text(rows, 2), owner));
                CHECK_INT(store_is_null(rows, 3), other.type == STORE_NULL);
                strcat(strcat(ret, store_text(rows, 0).p), " ");
                r = 0;
        }
        return r;
}

/* The same query of several goes as one statement, with arrays of their arguments. */
static void test_merged_reads(void)
{
        static const char insert[] = "INSERT INTO pet (name, owner) VALUES ($1, $2)";
        static const char *const owners[] = {"a", "b", "nobody", "c'$1", "a"};
        static const char *const wanted[] = {"rex tom ", "ada ", "", "kit ", "tom "};
        struct world w = world_new();
        char names[64];
        CHECK_INT(store_begin(w.db), 0);
        for (int i = 0; i < 4; i += i == 1 ? 2 : 1)
                CHECK_INT(add_person(w.db, owners[i], 1), 0);
        CHECK_INT(store_exec(w.db, insert, NULL, TEXTZ("rex"), TEXTZ("a")), 0);
        CHECK_INT(store_exec(w.db, insert, NULL, TEXTZ("ada"), TEXTZ("b")), 0);
        CHECK_INT(store_exec(w.db, insert, NULL, TEXTZ("tom"), TEXTZ("a")), 0);
        CHECK_INT(store_exec(w.db, insert, NULL, TEXTZ("kit"), TEXTZ("c'$1")), 0);
        CHECK_INT(store_commit(w.db), 0);
        for (int round = 0; round < 6; round++) {
                CHECK_INT(store_begin(w.reader), 0);
                for (int pass = 0; pass < 2; pass++) {
                        CHECK_INT(store_gather(w.reader, pass == 0), 0);
                        for (int i = 0; i < 5; i++) {
                                struct store_value other = i == 4 ? BYTES("x", 1) : SQLNULL();
                                int r = read_pets(w.reader, owners[i], other, names);
                                CHECK_INT(r, pass == 0 ? STORE_E_GATHERED : 0);
                                CHECK_TEXT(names, pass == 0 ? "" : wanted[i]);
                        }
                }
                store_rollback(w.reader);
        }
        world_done(&w);
}

static void test_two_writers(void)
{
        static const char older[] = "UPDATE person SET age = $2 WHERE id = $1", age[] = "SELECT age FROM person WHERE id = 'a'";
        struct world w = world_new();
        struct store_conn *other = extra(&w);
        int64_t changed;
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        /* Both have read it before one of them writes: the other must run again. */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_begin(other), 0);
        CHECK_INT(number(w.db, age), 1);
        CHECK_INT(number(other, age), 1);
        CHECK_INT(store_exec(other, older, &changed, TEXTZ("a"), I64(2)), 0);
        CHECK_INT(store_commit(other), 0);
        CHECK_INT(store_savepoint(w.db), 0);
        CHECK_INT(store_exec(w.db, older, &changed, TEXTZ("a"), I64(3)), STORE_E_RETRY);
        CHECK(!store_in_transaction(w.db));
        CHECK_INT(count_people(w.db), -1); /* a handler that runs on learns nothing */
        CHECK(store_savepoint_release(w.db) != 0 && store_commit(w.db) != 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(number(w.db, age), 2);
        CHECK_INT(store_commit(w.db), 0);
        /* Who waits for a lock does not wait for long. */
        CHECK_INT(store_begin(other), 0);
        CHECK_INT(store_exec(other, older, &changed, TEXTZ("a"), I64(4)), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec(w.db, older, &changed, TEXTZ("a"), I64(5)), STORE_E_RETRY);
        store_rollback(w.db);
        CHECK_INT(store_commit(other), 0);
        /* Others' commits are seen within READ COMMITTED. */
        store_set_isolation(w.db, STORE_READ_COMMITTED);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(number(w.db, age), 4);
        CHECK_INT(store_begin(other), 0);
        CHECK_INT(store_exec(other, older, &changed, TEXTZ("a"), I64(6)), 0);
        CHECK_INT(store_commit(other), 0);
        CHECK_INT(number(w.db, age), 6);
        CHECK_INT(store_commit(w.db), 0);
        store_conn_close(other);
        world_done(&w);
}

static void test_news(void)
{
        static const char notify[] = "SELECT pg_notify($1, $2)";
        char text[64] = "", sql[96];
        struct world w = world_new();
        CHECK_INT(store_listen(w.reader, "outbox"), 0);
        CHECK_INT(store_wait(w.reader, 1000, text), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec(w.db, notify, NULL, TEXTZ("outbox"), TEXTZ("7")), 0);
        CHECK_INT(store_exec(w.db, notify, NULL, TEXTZ("other"), TEXTZ("9")), 0);
        CHECK_INT(store_wait(w.reader, 1000, text), 0); /* not before the commit */
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_wait(w.reader, CLOCK_SECOND_US, text), 1);
        CHECK_TEXT(text, "7");
        CHECK_INT(store_wait(w.reader, 1000, text), 0);
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend_of(w.reader));
        world_sql(sql);
        CHECK_INT(store_wait(w.reader, CLOCK_SECOND_US, text), STORE_E_UNAVAILABLE);
        CHECK_INT(store_listen(w.reader, "outbox"), 0);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec(w.db, notify, NULL, TEXTZ("outbox"), TEXTZ("8")), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_wait(w.reader, CLOCK_SECOND_US, text), 1);
        CHECK_TEXT(text, "8");
        world_done(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"addresses, and no password in any message", test_addresses},
                {"a store without schema asks for patience", test_no_schema_yet},
                {"types of a schema; lines for this engine alone; texts compare by bytes", test_marks},
                {"types of arguments and columns", test_types},
                {"what goes wrong with a statement that was put off is told later", test_what_is_put_off_is_told_later},
                {"a savepoint that is left is not waited for", test_savepoints_that_are_left},
                {"errors hold no data", test_errors_hold_no_data},
                {"a read that fails fails alone", test_a_failed_read_fails_alone},
                {"queries of many in one round trip", test_gathered_reads},
                {"the same query of many as one statement", test_merged_reads},
                {"two who write at once: one runs again", test_two_writers},
                {"news reach who listens", test_news},
        };
        if (!world_postgres()) {
                printf("1..0 # SKIP NX_POSTGRES is not set: run it with tests/support/postgres.py --run\n");
                return 0;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        int failed = CHECK_MAIN(store_cases);
        return CHECK_MAIN(cases) | failed;
}
