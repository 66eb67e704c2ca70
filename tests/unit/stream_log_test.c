/* SPDX-License-Identifier: Apache-2.0
 *
 * What readers of the log rest on: cursors that are told apart, rows without gaps within their bounds, where the log begins
 * and ends, and the state of what it no longer keeps.
 */
// uses: services/stream/log.c services/stream/store_log.c
#include "services/stream/store.h"

#include "common/rpc/schema.h"
#include "tests/support/store_world.h"

STORE_SCHEMA(test_stream_schema, "services/stream/schema/001_log.sql");

static const struct store_migration migrations[] = {{"stream/001_log", test_stream_schema}, {0}};

struct fixture {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        struct arena *arena;
        int64_t n;
};

static void must(int r, const char *error)
{
        if (r == 0)
                return;
        printf("Bail out! %d %s\n", r, error);
        exit(1);
}

static struct fixture fixture_new(void)
{
        struct fixture f = {.arena = arena_new(65536)};
        const char *error = "";
        char epoch[RPC_EPOCH_SIZE];
        world_folder();
        must(store_open(world_url, NULL, &f.store, &error), error);
        must(store_writer_acquire(f.store, "one", false, &f.writer, &error), error);
        f.db = store_writer_conn(f.writer);
        must(rpc_migrate(f.db, migrations, &error), error);
        must(store_begin(f.db), "begin");
        must(rpc_epoch_load(f.db, 1790000000000000, epoch), "epoch");
        return f;
}

static void fixture_done(struct fixture *f)
{
        store_rollback(f->db);
        store_writer_release(f->writer);
        store_close(f->store);
        arena_free(f->arena);
        world_remove_folder();
}

/* Rows that say which they are, of about `size` bytes each. */
static void add_rows(struct fixture *f, int64_t n, size_t size)
{
        struct log_end end;
        CHECK_INT(log_end_load(f->db, &end), 0);
        for (int64_t i = 0; i < n; i++) {
                unsigned char head[CHAIN_SIZE] = {0}, leaf[CHAIN_SIZE] = {0};
                StoredEvent event = NUANXIN__STREAM__V1__STORED_EVENT__INIT;
                event.seq = ++end.seq;
                event.type = (char *)(end.seq % 2 ? "nuanxin.membership.v1.MemberErased" : "nuanxin.future.v1.Thing");
                event.subject = arena_printf(f->arena, "s%lld", (long long)end.seq);
                event.data = (ProtobufCBinaryData){.len = size, .data = arena_zalloc(f->arena, size + 1)};
                struct str packed = message_pack(f->arena, &event);
                head[0] = (unsigned char)end.seq;
                const struct store_value values[LOG_COLUMNS] = {
                        I64(end.seq), I64(7), I64(1000 + end.seq), BYTES(packed.p, packed.n), BYTES("salt", 4),
                        BYTES(leaf, CHAIN_SIZE), BYTES(head, CHAIN_SIZE)};
                CHECK_INT(log_insert(f->db, values, 1), 0);
                end.bytes += log_event_bytes(packed.n);
                memcpy(end.head, head, CHAIN_SIZE);
        }
        CHECK_INT(log_end_save(f->db, &end), 0);
}

static struct log_row *rows;
static size_t n_rows;

static void take(struct fixture *f, int64_t after, int64_t through, size_t limit, size_t bytes)
{
        CHECK_INT(log_read(f->db, f->arena, after, through, limit, bytes, &rows, &n_rows), 0);
}

/* --- cursors ---------------------------------------------------------------------------------------------------------- */

static void test_cursors(void)
{
        const struct log_position position = {.epoch = "1f2e3d4c", .oldest = 10, .latest = 20};
        static const struct {
                const char *text;
                int r;
                int64_t after;
        } cases[] = {
                {"", 0, 9},
                {"1f2e3d4c:9", 0, 9},
                {"1f2e3d4c:20", 0, 20},
                {"1f2e3d4c:15", 0, 15},
                {"1f2e3d4c:8", LOG_E_GONE, 0},
                {"1f2e3d4c:0", LOG_E_GONE, 0},
                {"1f2e3d4d:15", LOG_E_GONE, 0},
                {"1f2e3d4d:999", LOG_E_GONE, 0},
                {"1f2e3d4c:21", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:9223372036854775807", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:9223372036854775808", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:-1", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:+15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c: 15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:15 ", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c", LOG_E_UNKNOWN, 0},
                {":15", LOG_E_UNKNOWN, 0},
                {"15", LOG_E_UNKNOWN, 0},
                {"1F2E3D4C:15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4:15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c5:15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4g:15", LOG_E_UNKNOWN, 0},
                {"1f2e3d4c:15:15", LOG_E_UNKNOWN, 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                int64_t after = -1;
                int r = log_cursor_read(&position, str_of(cases[i].text), &after);
                if (r != cases[i].r || (r == 0 && after != cases[i].after))
                        printf("# %s: %d, %lld\n", cases[i].text, r, (long long)after);
                CHECK(r == cases[i].r && (r != 0 || after == cases[i].after));
        }
        char text[LOG_CURSOR_SIZE];
        log_cursor_write(&position, INT64_MAX, text);
        CHECK_TEXT(text, "1f2e3d4c:9223372036854775807");
}

/* The digits that a cursor has of it differ, also if two restores were within the same second. */
static void test_epoch_digits(void)
{
        char one[ID_TEXT_SIZE], other[ID_TEXT_SIZE], a[LOG_EPOCH_SIZE], b[LOG_EPOCH_SIZE];
        id_new(one, 1790000000000000);
        id_new(other, 1790000000000000);
        log_epoch_digits(str_of(one), a);
        log_epoch_digits(str_of(other), b);
        CHECK(strcmp(a, b) != 0);
        CHECK_INT(strlen(a), LOG_EPOCH_SIZE - 1);
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

static void test_reading(void)
{
        struct fixture f = fixture_new();
        add_rows(&f, 20, 100);
        take(&f, 0, 20, 100, SIZE_MAX);
        CHECK_INT(n_rows, 20);
        for (size_t i = 0; i < n_rows; i++) {
                CHECK_INT(rows[i].seq, i + 1);
                CHECK_INT(rows[i].event->seq, i + 1);
                CHECK_INT(rows[i].head[0], i + 1);
                CHECK_INT(rows[i].event->data.len, 100);
                CHECK_INT(!!rows[i].contract, rows[i].seq % 2);
        }
        take(&f, 5, 8, 100, SIZE_MAX);
        CHECK_INT(n_rows, 3);
        CHECK_INT(rows[0].seq, 6);
        take(&f, 5, 20, 4, SIZE_MAX);
        CHECK_INT(n_rows, 4);
        CHECK_INT(rows[3].seq, 9);
        take(&f, 0, 20, 100, 1); /* at least one */
        CHECK_INT(n_rows, 1);
        take(&f, 0, 20, 100, 500); /* no more once they have that */
        CHECK(n_rows >= 3 && n_rows <= 5);
        take(&f, 20, 20, 100, SIZE_MAX);
        CHECK_INT(n_rows, 0);
        take(&f, 20, 50, 100, SIZE_MAX);
        CHECK_INT(n_rows, 0);
        take(&f, 8, 5, 100, SIZE_MAX);
        CHECK_INT(n_rows, 0);
        fixture_done(&f);
}

static void test_erased(void)
{
        struct fixture f = fixture_new();
        struct log_raw *raw;
        unsigned char what[CHAIN_SIZE];
        size_t n;
        add_rows(&f, 4, 10);
        CHECK_INT(log_read_raw(f.db, f.arena, 1, 1, &raw, &n), 0);
        chain_what(what, raw[0].salt, raw[0].event);
        CHECK_INT(log_erase(f.db, &raw[0], 4), 0);
        take(&f, 0, 4, 10, SIZE_MAX);
        CHECK_INT(n_rows, 4);
        CHECK(!rows[1].event && !rows[1].contract);
        CHECK_INT(rows[1].erased_by, 4);
        CHECK_INT(rows[1].head[0], 2);
        CHECK(rows[2].event && !rows[2].erased_by);
        CHECK_INT(log_read_raw(f.db, f.arena, 0, 10, &raw, &n), 0);
        CHECK(n == 4 && !raw[1].event.p && raw[0].salt.n == 4);
        CHECK(raw[1].salt.n == CHAIN_SIZE && memcmp(raw[1].salt.p, what, CHAIN_SIZE) == 0); /* what the leaf is made of stays */
        CHECK_INT(log_read_person(f.db, f.arena, 7, 0, 4, 10, &raw, &n), 0);
        CHECK(n == 2 && raw[0].seq == 1 && raw[1].seq == 3); /* what is erased is about nobody, and 4 is not before 4 */
        fixture_done(&f);
}

static void add_row(struct fixture *f, int64_t seq, int64_t person)
{
        static const unsigned char sum[CHAIN_SIZE];
        const struct store_value values[LOG_COLUMNS] = {I64(seq), person ? I64(person) : SQLNULL(), I64(1), BYTES("event", 5), BYTES("salt", 4),
                                                        BYTES(sum, CHAIN_SIZE), BYTES(sum, CHAIN_SIZE)};
        CHECK_INT(log_insert(f->db, values, 1), 0);
}

/* Whose index is in parts. */
static void test_person(void)
{
        static const struct { int64_t after, before; size_t limit; const char *found; } cases[] = {
                {0, INT64_MAX, 10, "8191 8192 16383 16384 100000 "}, {0, INT64_MAX, 3, "8191 8192 16383 "},
                {8191, INT64_MAX, 2, "8192 16383 "},                  {8191, 16384, 10, "8192 16383 "},
                {16384, 99999, 10, ""},                               {99999, 100001, 10, "100000 "},
                {100000, INT64_MAX, 10, ""},                          {8190, 8192, 10, "8191 "},
        };
        struct fixture f = fixture_new();
        struct log_raw *raw;
        size_t n = 1;
        CHECK_INT(log_read_person(f.db, f.arena, 7, 0, INT64_MAX, 10, &raw, &n), 0);
        CHECK_INT(n, 0);
        for (int64_t seq = 8190; seq < 8194; seq++) {
                add_row(&f, seq, seq == 8191 || seq == 8192 ? 7 : seq == 8190 ? 8 : 0);
                add_row(&f, seq + 8192, seq == 8191 || seq == 8192 ? 7 : 9);
        }
        add_row(&f, 100000, 7);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct buf found = {0};
                CHECK_INT(log_read_person(f.db, f.arena, 7, cases[i].after, cases[i].before, cases[i].limit, &raw, &n), 0);
                for (size_t k = 0; k < n; k++)
                        buf_printf(&found, "%lld ", (long long)raw[k].seq);
                CHECK_TEXT(arena_strndup(f.arena, found.n ? found.p : "", found.n), cases[i].found);
                buf_done(&found);
        }
        fixture_done(&f);
}

/* --- where it begins and ends ------------------------------------------------------------------------------------------- */

static void test_position(void)
{
        struct fixture f = fixture_new();
        struct log_position position;
        unsigned char head[CHAIN_SIZE];
        int64_t latest = -1, after = -1;
        CHECK_INT(log_position(f.db, &position), 0);
        CHECK(position.oldest == 1 && position.latest == 0 && !position.bytes && !position.oldest_us && strlen(position.epoch) == 8);
        CHECK_INT(log_cursor_read(&position, STR(""), &after), 0);
        CHECK_INT(after, 0);
        CHECK_INT(log_latest(f.db, &latest), 0);
        CHECK_INT(latest, 0);
        add_rows(&f, 20, 10);
        CHECK_INT(log_position(f.db, &position), 0);
        CHECK(position.oldest == 1 && position.latest == 20 && position.head[0] == 20 && position.oldest_us == 1001);
        struct log_mark mark = {.cut = 12, .cut_head = {12}, .freed = 100, .checkpoint = 15, .checkpoint_us = 5};
        int64_t bytes = position.bytes;
        CHECK_INT(log_mark_save(f.db, &mark), 0);
        CHECK_INT(log_delete_through(f.db, 12), 0);
        CHECK_INT(log_position(f.db, &position), 0);
        CHECK(position.oldest == 13 && position.latest == 20 && position.oldest_us == 1013 && position.bytes == bytes - 100);
        CHECK(position.checkpoint == 15 && position.checkpoint_us == 5);
        CHECK_INT(log_head_at(f.db, 12, head), 0);
        CHECK_INT(head[0], 12);
        CHECK_INT(log_head_at(f.db, 13, head), 0);
        CHECK_INT(head[0], 13);
        CHECK_INT(log_head_at(f.db, 11, head), -ENODATA);
        mark.cut = 20;
        mark.cut_head[0] = 20;
        CHECK_INT(log_mark_save(f.db, &mark), 0);
        CHECK_INT(log_delete_through(f.db, 20), 0);
        CHECK_INT(log_position(f.db, &position), 0);
        CHECK(position.oldest == 21 && position.latest == 20 && !position.oldest_us && position.head[0] == 20);
        CHECK_INT(log_head_at(f.db, 20, head), 0);
        CHECK_INT(head[0], 20);
        fixture_done(&f);
}

/* --- the state ------------------------------------------------------------------------------------------------------------ */

static void put_state(struct fixture *f, const char *subject, int64_t seq)
{
        StoredEvent event = NUANXIN__STREAM__V1__STORED_EVENT__INIT;
        event.seq = seq;
        event.type = (char *)"nuanxin.membership.v1.MemberErased";
        event.subject = (char *)subject;
        CHECK_INT(state_put(f->db, event.type, subject, seq, 7, message_pack(f->arena, &event)), 0);
}

static void test_state(void)
{
        struct fixture f = fixture_new();
        put_state(&f, "a", 1);
        put_state(&f, "b", 2);
        put_state(&f, "c", 3);
        CHECK_INT(log_state_read(f.db, f.arena, 0, 2, SIZE_MAX, &rows, &n_rows), 0);
        CHECK(n_rows == 2 && rows[0].seq == 1 && rows[1].seq == 2);
        put_state(&f, "a", 4); /* while somebody pages: it comes again */
        CHECK_INT(log_state_read(f.db, f.arena, 2, 10, SIZE_MAX, &rows, &n_rows), 0);
        CHECK(n_rows == 2 && rows[0].seq == 3 && rows[1].seq == 4);
        CHECK_TEXT(rows[1].event->subject, "a");
        CHECK_INT(log_state_read(f.db, f.arena, 0, 10, SIZE_MAX, &rows, &n_rows), 0);
        CHECK(n_rows == 3 && rows[0].seq == 2);
        struct log_raw *raw;
        size_t n;
        CHECK_INT(state_read_person(f.db, f.arena, 7, 2, 4, 10, &raw, &n), 0);
        CHECK(n == 1 && raw[0].seq == 3);
        CHECK_INT(state_delete(f.db, 3), 0);
        CHECK_INT(log_state_read(f.db, f.arena, 0, 10, SIZE_MAX, &rows, &n_rows), 0);
        CHECK_INT(n_rows, 2);
        fixture_done(&f);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a cursor is read, or told to be gone or unknown", test_cursors},
                {"two epochs have two names in cursors", test_epoch_digits},
                {"rows are read in order, within each bound", test_reading},
                {"an erased row keeps its place and its head", test_erased},
                {"a person's events are found in every part of the log", test_person},
                {"where the log begins and ends, empty, full and cut", test_position},
                {"the state has each subject once, by the newest, in the log's order", test_state},
        };
        return CHECK_MAIN(cases);
}
