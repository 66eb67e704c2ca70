/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that writes batches through the store for ever and says on standard output what it was told is
 * durable; and one that reads what is there. Driven by tests/fault/run.
 *
 *   store_worker write PATH NAME SEED [no-sync]   lines: "ack NAME-N ROWS", "full NAME-N", "busy", "deposed"
 *   store_worker check PATH                       lines: "has NAME-N ROWS", "integrity TEXT"
 */
#include "common/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROWS_MAX    32
#define PAYLOAD_MAX 6000

static const struct store_migration schema[] = {
        {"fault/001", "CREATE TABLE entry (seq @int PRIMARY KEY, batch @text NOT NULL, payload @bytes NOT NULL) @strict;"
                      "CREATE INDEX entry_by_batch ON entry (batch);"
                      "CREATE TABLE total (id @int PRIMARY KEY, n @int NOT NULL) @strict;"
                      "INSERT INTO total VALUES (1, 0);"},
};

static void say(const char *line)
{
        size_t n = strlen(line);
        if (write(STDOUT_FILENO, line, n) != (ssize_t)n)
                exit(0); /* nobody listens any more */
}

/* What row seq must hold: a page's worth or a few bytes, the same whenever it is computed. */
static struct str payload_of(int64_t seq, unsigned char out[PAYLOAD_MAX])
{
        uint64_t x = (uint64_t)seq * 0x9E3779B97F4A7C15ull + 1;
        size_t n = 8 + (seq % 5 ? x % 200 : x % (PAYLOAD_MAX - 8));
        for (size_t i = 0; i < n; i++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                out[i] = (unsigned char)x;
        }
        return str_bytes(out, n);
}

static int64_t read_i64(struct store_conn *db, const char *sql)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (store_query(db, sql, &rows) != 0 || store_next(rows) != 1)
                return -1;
        return store_i64(rows, 0);
}

static int write_batch(struct store_conn *db, const char *batch, int64_t seq, int rows)
{
        static const char insert[] = "INSERT INTO entry (seq, batch, payload) VALUES ($1, $2, $3)";
        static const char count[] = "UPDATE total SET n = n + $1 WHERE id = 1";
        unsigned char payload[PAYLOAD_MAX];
        int r = store_begin(db);
        for (int i = 0; i < rows && r == 0; i++) {
                struct str p = payload_of(seq + i, payload);
                r = store_exec(db, insert, NULL, I64(seq + i), TEXTZ(batch), BYTES(p.p, p.n));
        }
        if (r == 0)
                r = store_exec(db, count, NULL, I64(rows));
        if (r == 0)
                r = store_commit(db);
        store_rollback(db);
        return r;
}

static int write_for_ever(struct store_conn *db, const char *name, unsigned seed)
{
        static const char next[] = "SELECT coalesce(max(seq), 0) + 1 FROM entry";
        int64_t seq = read_i64(db, next);
        char line[128], batch[64];
        int r = 0;
        for (int n = 0;; n++) {
                int rows = 1 + rand_r(&seed) % ROWS_MAX;
                snprintf(batch, sizeof(batch), "%s-%u-%d", name, seed, n);
                r = write_batch(db, batch, seq, rows);
                if (r == STORE_E_DEPOSED) {
                        say("deposed\n");
                        return 3;
                }
                if (r == -ENOSPC) {
                        snprintf(line, sizeof(line), "full %s\n", batch);
                        say(line);
                        continue;
                }
                if (r != 0)
                        return fprintf(stderr, "write: %d %s\n", r, store_last_error(db)), 1;
                snprintf(line, sizeof(line), "ack %s %d\n", batch, rows);
                say(line);
                seq += rows;
                if (rand_r(&seed) % 16 == 0 && (r = store_checkpoint(db)) != 0 && r != STORE_E_DEPOSED && r != -ENOSPC)
                        return fprintf(stderr, "checkpoint: %d %s\n", r, store_last_error(db)), 1;
        }
}

static int check(struct store_conn *db)
{
        static const char batches[] = "SELECT batch, count(*) FROM entry GROUP BY batch";
        static const char entries[] = "SELECT seq, payload FROM entry ORDER BY seq";
        static const char total[] = "SELECT n FROM total", count[] = "SELECT count(*) FROM entry";
        static const char integrity[] = "PRAGMA integrity_check";
        struct store_rows *rows = NULL;
        unsigned char payload[PAYLOAD_MAX];
        int r = store_query(db, integrity, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                printf("integrity %s\n", store_text(rows, 0).p);
                r = 0;
        }
        rows = store_rows_close(rows);
        if (r == 0)
                r = store_query(db, entries, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                if (!str_eq(store_bytes(rows, 1), payload_of(store_i64(rows, 0), payload)))
                        printf("integrity row %lld is damaged\n", (long long)store_i64(rows, 0));
                r = 0;
        }
        rows = store_rows_close(rows);
        if (r == 0)
                r = store_query(db, batches, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                printf("has %s %lld\n", store_text(rows, 0).p, (long long)store_i64(rows, 1));
                r = 0;
        }
        store_rows_close(rows);
        if (r != 0)
                return fprintf(stderr, "check: %d %s\n", r, store_last_error(db)), 1;
        if (read_i64(db, total) != read_i64(db, count))
                printf("integrity the total differs from its rows\n");
        return 0;
}

int main(int argc, char **argv)
{
        struct store_options options = {0};
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        const char *error = "";
        char url[4200];
        bool writes = argc >= 5 && strcmp(argv[1], "write") == 0;

        if (!writes && (argc != 3 || strcmp(argv[1], "check") != 0))
                return fprintf(stderr, "usage: store_worker write PATH NAME SEED [no-sync] | check PATH\n"), 2;
        snprintf(url, sizeof(url), "sqlite:%s", argv[2]);
        options.unsafe_no_sync = argc > 5;
        int r = store_open(url, &options, &store, &error);
        while (r == 0 && (r = store_writer_acquire(store, writes ? argv[3] : "check", true, &writer, &error)) == -EBUSY) {
                say("busy\n");
                r = 0;
        }
        if (r == 0)
                r = store_migrate(store_writer_conn(writer), schema, ARRAY_LEN(schema), &error);
        if (r == -ENOSPC)
                say("full start\n");
        if (r != 0)
                return fprintf(stderr, "%d %s\n", r, error), 1;
        r = writes ? write_for_ever(store_writer_conn(writer), argv[3], (unsigned)atoi(argv[4]))
                   : check(store_writer_conn(writer));
        fflush(stdout);
        store_writer_release(writer);
        store_close(store);
        return r;
}
