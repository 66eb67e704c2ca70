/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole stores, in their parts: rows and sums, records, the backup's file, the catalogue, notes of changes, the note of a
 * store's use. (Copying through real processes: tests/scenario/test_backup.py, test_store_move.py.)
 */
#include "common/transfer/file.h"
#include "common/transfer/record.h"
#include "tests/support/check.h"

#include <sys/stat.h>
#include <unistd.h>

static const unsigned char sum_key[ROW_KEY_SIZE] = "sixteen bytes...";

static struct store_column columns[] = {{"data", STORE_BYTES}, {"id", STORE_TEXT}, {"n", STORE_I64}};
static const struct store_table table = {.name = "thing", .columns = columns, .n_columns = 3, .key = {1}, .n_key = 1};

static struct str encode(struct buf *out, const char *id, int64_t n)
{
        const struct store_value values[] = {n ? BYTES("\0\1", 2) : SQLNULL(), TEXTZ(id), I64(n)};
        out->n = 0;
        row_encode(out, values, 3);
        return buf_str(out);
}

static void rows_and_sums(void)
{
        struct buf a = {0}, b = {0};
        struct store_value values[3];
        struct row_sum one = {0}, other = {0};
        struct str rest = encode(&a, "x", -1);

        CHECK_INT(row_decode(&rest, &table, values), 0);
        CHECK(rest.n == 0 && values[2].i == -1 && str_is(values[1].s, "x") && values[0].s.n == 2);
        for (size_t cut = 0; cut < a.n; cut++) {
                rest = (struct str){a.p, cut};
                CHECK_INT(row_decode(&rest, &table, values), -EBADMSG);
        }
        row_sum_add(&one, sum_key, encode(&a, "x", 1));
        row_sum_add(&one, sum_key, encode(&b, "y", 0));
        row_sum_add(&other, sum_key, buf_str(&b));
        CHECK(!row_sum_equal(&one, &other));
        row_sum_add(&other, sum_key, encode(&b, "x", 2));
        CHECK(!row_sum_equal(&one, &other)); /* as many, but one is another */
        row_sum_take(&other, sum_key, buf_str(&b));
        row_sum_add(&other, sum_key, buf_str(&a));
        CHECK(row_sum_equal(&one, &other)); /* in another order, after a change */
        buf_done(&a);
        buf_done(&b);
}

static void put_all(struct buf *out, bool wrong_total)
{
        const struct record_head head = {.service = STR("membership"), .engine = STR("sqlite"), .epoch = STR("e"), .position = 7, .time_us = 9};
        const struct store_migration migration = {"membership/001", "CREATE …"};
        struct row_sum sum = {.sum = (unsigned __int128)5 << 70, .rows = 1};
        struct buf row = {0};
        record_put_head(out, &head);
        record_put_migration(out, &migration);
        record_put_table(out, &table);
        record_put_row(out, encode(&row, "x", 1));
        record_put_end(out, &sum);
        record_put_total(out, 1, wrong_total ? 2 : 1);
        buf_done(&row);
}

static int read_all(struct str rest, size_t *ret_n)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1024);
        struct record_reader reader = {.arena = arena};
        struct record record;
        int r = 0;
        *ret_n = 0;
        while (r == 0 && rest.n) {
                r = record_next(&reader, &rest, &record);
                *ret_n += r == 0;
                if (r == 0 && record.kind == RECORD_END)
                        CHECK(record.sum.sum == (unsigned __int128)5 << 70 && record.sum.rows == 1);
        }
        return r;
}

static void records(void)
{
        struct buf all = {0};
        size_t n;
        put_all(&all, false);
        CHECK_INT(read_all(buf_str(&all), &n), 0);
        CHECK_INT(n, 6);
        CHECK_INT(read_all((struct str){all.p, all.n - 1}, &n), -EBADMSG);
        all.p[0] = RECORD_ROW; /* not at the beginning */
        CHECK_INT(read_all(buf_str(&all), &n), -EBADMSG);
        all.n = 0;
        put_all(&all, true);
        CHECK_INT(read_all(buf_str(&all), &n), -EBADMSG);
        buf_done(&all);
}

static int read_file(const char *path, const struct keyring *keyring, struct buf *out)
{
        _cleanup_(backup_reader_freep) struct backup_reader *reader = NULL;
        const char *error;
        struct str block;
        int r = backup_reader_new(path, keyring, &reader, &error);
        out->n = 0;
        while (r == 0 && (r = backup_reader_next(reader, &block, &error)) == 1) {
                buf_add_str(out, block);
                r = 0;
        }
        return r;
}

static void a_file(void)
{
        _cleanup_(keyring_freep) struct keyring *keyring = NULL, *other = NULL;
        _cleanup_(backup_writer_freep) struct backup_writer *writer = NULL;
        struct buf text = {0}, found = {0};
        char folder[] = "/tmp/nuanxin-transfer-XXXXXX", path[128], keys[128], others[128];
        const char *error;
        int64_t bytes = 0;

        CHECK(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/b", folder);
        snprintf(keys, sizeof(keys), "%s/k", folder);
        snprintf(others, sizeof(others), "%s/o", folder);
        CHECK_INT(keyring_create(keys) || keyring_create(others), 0);
        CHECK_INT(keyring_load(keys, &keyring, &error), 0);
        CHECK_INT(keyring_load(others, &other, &error), 0);
        CHECK_INT(backup_writer_new(path, keyring, &writer, &error), 0);
        for (int i = 0; i < 200000; i++) {
                buf_printf(&text, "row %d;", i);
                buf_printf(backup_writer_buf(writer), "row %d;", i);
                CHECK_INT(backup_writer_flush(writer, &error), 0);
        }
        CHECK(access(path, F_OK) < 0); /* there only when it is whole */
        CHECK_INT(backup_writer_end(writer, &bytes, &error), 0);
        CHECK_INT(read_file(path, keyring, &found), 0);
        CHECK(str_eq(buf_str(&found), buf_str(&text)));
        CHECK((size_t)bytes < text.n / 2);
        CHECK_INT(read_file(path, other, &found), -EKEYREJECTED);
        writer = backup_writer_free(writer);
        CHECK_INT(backup_writer_new(path, keyring, &writer, &error), -EEXIST);
        for (int64_t cut = bytes - 1; cut > 0; cut -= bytes / 7) {
                CHECK_INT(truncate(path, cut), 0);
                CHECK_INT(read_file(path, keyring, &found), -EBADMSG);
        }
        buf_done(&text);
        buf_done(&found);
        char command[160];
        snprintf(command, sizeof(command), "rm -r %s", folder);
        CHECK_INT(system(command), 0);
}

static void addresses(void)
{
        static const char *const cases[][2] = {
                {"sqlite:var/store/a.db", "sqlite:var/store/a.db"},
                {"postgresql:///a", "postgresql:///a"},
                {"postgresql://u:secret@h:5432/a?host=%2Ftmp", "postgresql://u@h:5432/a?host=%2Ftmp"},
                {"postgresql://u:p@ss@h/a", "postgresql://u@h/a"},
                {"postgresql://h/a?user=u&password=secret", "postgresql://h/a?user=u"},
                {"postgresql://h/a?password=secret&user=u", "postgresql://h/a?user=u"},
        };
        char out[256];
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                store_address(out, cases[i][0]);
                CHECK_TEXT(out, cases[i][1]);
        }
}

/* --- over a SQLite store ------------------------------------------------------------------------------------------------ */

static const struct store_migration schema[] = {
        {"test/001", "CREATE TABLE person (id @text PRIMARY KEY, number @int UNIQUE, photo @bytes) @strict;"
                     "CREATE TABLE visit (person @text NOT NULL REFERENCES person (id), day @int NOT NULL, PRIMARY KEY (person, day)) @clustered;"},
};

struct world {
        char path[128], url[160];
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        struct arena *arena;
        struct store_tables tables;
};

static void open_world(struct world *w)
{
        const char *error = NULL;
        *w = (struct world){.arena = arena_new(4096)};
        snprintf(w->path, sizeof(w->path), "/tmp/nuanxin-transfer-%d.db", getpid());
        snprintf(w->url, sizeof(w->url), "sqlite:%s", w->path);
        CHECK_INT(store_open(w->url, NULL, &w->store, &error), 0);
        CHECK_INT(store_writer_acquire(w->store, "test", false, &w->writer, &error), 0);
        w->db = store_writer_conn(w->writer);
        CHECK_INT(store_migrate(w->db, schema, 1, &error), 0);
        CHECK_INT(store_tables_read(w->db, w->arena, true, &w->tables, &error), 0);
}

static void close_world(struct world *w)
{
        static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
        char name[160];
        store_writer_release(w->writer);
        store_close(w->store);
        arena_free(w->arena);
        for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
                snprintf(name, sizeof(name), "%s%s", w->path, ends[i]);
                unlink(name);
        }
}

static void run(struct world *w, const char *sql)
{
        int64_t changed;
        CHECK_INT(store_begin(w->db), 0);
        CHECK_INT(store_exec(w->db, sql, &changed), 0);
        CHECK_INT(store_commit(w->db), 0);
}

static void catalogue(void)
{
        struct world w;
        open_world(&w);
        CHECK_INT(w.tables.n, 2);
        const struct store_table *person = store_tables_find(&w.tables, STR("person")), *visit = store_tables_find(&w.tables, STR("visit"));
        CHECK(person && person->n_columns == 3 && person->n_key == 1 && person->key[0] == 0);
        CHECK(visit && visit->n_key == 2 && visit->key[0] == 1 && visit->key[1] == 0); /* columns stand by name: day, person */
        CHECK(person->columns[2].type == STORE_BYTES && person->columns[1].type == STORE_I64);
        CHECK_INT(store_is_empty(w.db), 0);
        CHECK_INT(store_wipe(w.db), 0);
        CHECK_INT(store_is_empty(w.db), 1);
        close_world(&w);
}

static size_t count_notes(struct world *w, int64_t after)
{
        struct store_rows *rows = NULL;
        size_t n = 0;
        CHECK_INT(store_notes(w->db, after, 1000, &rows), 0);
        while (store_next(rows) == 1)
                n++;
        store_rows_close(rows);
        return n;
}

static void notes(void)
{
        struct world w;
        int64_t head = 0;
        open_world(&w);
        run(&w, "INSERT INTO person (id, number) VALUES ('a', 1)");
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_follow_begin(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(count_notes(&w, 0), 0);
        run(&w, "INSERT INTO person (id, number) VALUES ('b', 2), ('c', 3)");
        CHECK_INT(count_notes(&w, 0), 2);
        run(&w, "UPDATE person SET number = 4 WHERE id = 'a'");
        CHECK_INT(count_notes(&w, 2), 1);
        run(&w, "UPDATE person SET id = 'd' WHERE id = 'a'"); /* both keys */
        CHECK_INT(count_notes(&w, 3), 2);
        run(&w, "INSERT INTO person (id, number) VALUES ('d', 4) ON CONFLICT (id) DO UPDATE SET number = 9");
        CHECK_INT(count_notes(&w, 5), 1);
        run(&w, "INSERT INTO visit (person, day) VALUES ('b', 5)");
        run(&w, "DELETE FROM visit");
        CHECK_INT(store_notes_head(w.db, &head), 0);
        CHECK_INT(head, 8);
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_follow_end(w.db), 0);
        CHECK_INT(store_commit(w.db), 0);
        run(&w, "DELETE FROM person"); /* as before */
        close_world(&w);
}

static void set_use(struct world *w, enum store_state state)
{
        struct store_use use = {.state = state, .id = "0192", .until_us = 5, .other = "postgresql:///a"};
        CHECK_INT(store_begin(w->db), 0);
        CHECK_INT(store_use_write(w->db, &use), 0);
        CHECK_INT(store_commit(w->db), 0);
}

static int acquire(const struct world *w, bool tool, const char **ret_error)
{
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        int r = store_open(w->url, &(struct store_options){.tool = tool}, &store, ret_error);
        if (r == 0)
                r = store_writer_acquire(store, "other", false, &writer, ret_error);
        store_writer_release(writer);
        store_close(store);
        return r;
}

static void use(void)
{
        static const struct {
                enum store_state state;
                int result;
        } cases[] = {{STORE_FILLING, STORE_E_FILLING}, {STORE_FILLED, STORE_E_FILLING}, {STORE_FOLLOWED, 0}, {STORE_HELD, 0},
                     {STORE_MOVED, STORE_E_MOVED}, {STORE_IN_USE, 0}};
        struct world w;
        struct store_use found;
        const char *error = NULL;
        open_world(&w);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                set_use(&w, cases[i].state);
                CHECK_INT(store_use_read(w.db, &found), 0);
                CHECK_INT(found.state, cases[i].state);
                w.writer = store_writer_release(w.writer);
                CHECK_INT(acquire(&w, false, &error), cases[i].result);
                CHECK(cases[i].result != STORE_E_MOVED || strstr(error, "--store=postgresql:///a"));
                CHECK_INT(acquire(&w, true, &error), 0);
                struct store *store = NULL;
                CHECK_INT(store_open(w.url, &(struct store_options){.tool = true}, &store, &error), 0);
                store_close(w.store);
                w.store = store;
                CHECK_INT(store_writer_acquire(w.store, "test", false, &w.writer, &error), 0);
                w.db = store_writer_conn(w.writer);
        }
        close_world(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a row is read as it was written, and sums follow changes in any order", rows_and_sums},
                {"a backup's records come in their order, whole, as many as it says", records},
                {"a backup's file is there when it is whole, opens with its keyring, and not if it was cut", a_file},
                {"an address is noted without its password", addresses},
                {"the catalogue tells tables, columns and keys; a store can be emptied", catalogue},
                {"every change of a row is noted by its key, also of a key", notes},
                {"a store that is being filled or was moved is refused to services, not to tools", use},
        };
        return crypto_init() < 0 ? 1 : CHECK_MAIN(cases);
}
