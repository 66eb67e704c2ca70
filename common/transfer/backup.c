/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: made from one snapshot of a store, and looked through.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/transfer/end.h"
#include "common/transfer/scan.h"

#include <unistd.h>

#define TRIES 5

/* --- making ------------------------------------------------------------------------------------------------------------ */

struct making {
        struct end source;
        struct backup_writer *file;
        struct page page;
        struct record_head head;
        struct buf encoded;
        int writer_pid; /* who wrote the source when the snapshot began; 0: unknown */
        const struct transfer_progress *progress;
        int64_t done, total;
};

/* SQLite's writer; 0 if nobody writes. */
static int writer_of(const struct end *source)
{
        int pid = 0;
        int64_t still;
        return store_is_shared(source->store) || store_writer_observe(source->store, &pid, &still) != 0 ? 0 : pid;
}

static int put_page(struct making *m, struct row_sum *sum, const char **ret_error)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < m->page.n; i++) {
                m->encoded.n = 0;
                row_encode(&m->encoded, page_row(&m->page, i), m->page.table->n_columns);
                row_sum_add(sum, m->head.sum_key, buf_str(&m->encoded));
                record_put_row(backup_writer_buf(m->file), buf_str(&m->encoded));
                r = backup_writer_flush(m->file, ret_error);
        }
        m->done += (int64_t)m->page.n;
        progress_say(m->progress, "backing up", m->done, m->total);
        return r;
}

/* -EAGAIN: another instance takes over as the writer, and must not wait for our snapshot. */
static int put_table(struct making *m, const struct store_table *table, struct row_sum *sum, const char **ret_error)
{
        struct place place = {0};
        int r = 0;
        record_put_table(backup_writer_buf(m->file), table);
        while (r == 0 && !place.ended) {
                r = page_read(&m->page, m->source.conn, table, &place);
                if (r != 0)
                        return end_fail(&m->source, r, "read from", ret_error);
                r = put_page(m, sum, ret_error);
                int writer = m->writer_pid ? writer_of(&m->source) : 0;
                if (r == 0 && writer && writer != m->writer_pid)
                        return transfer_fail(ret_error, -EAGAIN, "other instances of the service kept taking over as its writer");
        }
        if (r == 0)
                record_put_end(backup_writer_buf(m->file), sum);
        return r;
}

/* A backup that one keyring opens, of data that another sealed, would be of no use without both. */
static int check_keyring(struct making *m, const struct keyring *keyring, const char **ret_error)
{
        static const char sql[] = "SELECT mark FROM rpc_keyring WHERE id = 1";
        unsigned char mark[BLIND_INDEX_SIZE];
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (!store_tables_find(&m->source.tables, STR("rpc_keyring"))) /* an older build's */
                return 0;
        int r = store_query(m->source.conn, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        keyring_mark(keyring, mark);
        if (r == 1 && !str_eq(store_bytes(rows, 0), (struct str){(const char *)mark, sizeof(mark)}))
                return transfer_fail(ret_error, -EKEYREJECTED, "%s was sealed with another keyring: give --keys the folder of that one",
                                     m->source.address);
        return r < 0 || r > 1 ? end_fail(&m->source, r, "read from", ret_error) : 0;
}

static int put_all(struct making *m, const struct keyring *keyring, struct arena *arena, struct transfer_report *report,
                   const char **ret_error)
{
        const struct store_migration *migrations;
        const struct store_tables *tables = &m->source.tables;
        int r = end_describe(&m->source, arena, report, &migrations, ret_error);
        if (r == 0 && (r = store_tables_read(m->source.conn, arena, true, &m->source.tables, ret_error)) != 0)
                return r;
        if (r == 0)
                r = check_keyring(m, keyring, ret_error);
        if (r != 0)
                return r;
        m->head.service = str_of(report->service);
        m->head.engine = str_of(report->engine);
        m->head.epoch = str_of(report->epoch);
        m->head.position = report->position;
        m->head.time_us = report->time_us;
        record_put_head(backup_writer_buf(m->file), &m->head);
        for (size_t i = 0; i < report->n_migrations; i++)
                record_put_migration(backup_writer_buf(m->file), &migrations[i]);
        m->done = m->total = 0;
        for (size_t i = 0; i < tables->n; i++)
                m->total += tables->items[i].rows;
        struct row_sum *sums = ARENA_ARRAY(arena, struct row_sum, tables->n);
        for (size_t i = 0; r == 0 && i < tables->n; i++)
                r = put_table(m, &tables->items[i], &sums[i], ret_error);
        if (r == 0) {
                report_tables(report, arena, tables, sums);
                record_put_total(backup_writer_buf(m->file), (int64_t)tables->n, report->rows);
        }
        return r;
}

/* One snapshot, one file. */
static int make_once(struct making *m, const char *path, const struct keyring *keyring, struct arena *arena,
                     struct transfer_report *report, const char **ret_error)
{
        struct clock clock = {0};
        int r = backup_writer_new(path, keyring, &m->file, ret_error);
        if (r != 0)
                return r;
        *report = (struct transfer_report){.time_us = clock_now_us(&clock)};
        id_random(m->head.sum_key, sizeof(m->head.sum_key));
        m->writer_pid = writer_of(&m->source);
        r = store_begin(m->source.conn);
        if (r != 0)
                r = end_fail(&m->source, r, "read from", ret_error);
        else
                r = put_all(m, keyring, arena, report, ret_error);
        store_rollback(m->source.conn);
        if (r == 0)
                r = backup_writer_end(m->file, &report->bytes, ret_error);
        m->file = backup_writer_free(m->file);
        return r;
}

/* The file must say, when it is read, what was put into it. */
static int read_back(const char *path, const struct keyring *keyring, const struct transfer_progress *progress, struct arena *arena,
                     const struct transfer_report *report, const char **ret_error)
{
        struct transfer_report found;
        int r = backup_look(path, keyring, true, progress, arena, &found, ret_error);
        if (r == 0 && (found.n_tables != report->n_tables || found.rows != report->rows))
                r = transfer_fail(ret_error, -EBADMSG, "%s was read back with other tables than were put into it", path);
        for (size_t i = 0; r == 0 && i < report->n_tables; i++)
                if (strcmp(found.tables[i].sum, report->tables[i].sum) != 0)
                        r = transfer_fail(ret_error, -EBADMSG, "%s was read back with other rows of %s than were put into it", path,
                                          report->tables[i].name);
        if (r == -EBADMSG)
                unlink(path);
        return r;
}

int backup_make(const char *store_url, const char *file, const struct keyring *keyring, const struct transfer_progress *progress,
                struct arena *arena, struct transfer_report *ret_report, const char **ret_error)
{
        struct making m = {.progress = progress};
        int64_t began = clock_monotonic_us();
        int r = end_open_source(&m.source, store_url, ret_error);
        struct store_use use = {0};
        if (r == 0 && (r = store_use_read(m.source.conn, &use)) != 0)
                r = end_fail(&m.source, r, "read from", ret_error);
        if (r == 0)
                r = store_use_check(&use, ret_error);
        page_init(&m.page);
        if (r == 0) {
                r = -EAGAIN;
                for (int i = 0; i < TRIES && r == -EAGAIN; i++)
                        r = make_once(&m, file, keyring, arena, ret_report, ret_error);
        }
        if (r == 0)
                r = read_back(file, keyring, progress, arena, ret_report, ret_error);
        if (r == 0)
                ret_report->took_us = clock_monotonic_us() - began;
        page_done(&m.page);
        buf_done(&m.encoded);
        end_close(&m.source);
        return r;
}

/* --- looking ------------------------------------------------------------------------------------------------------------ */

int backup_look(const char *file, const struct keyring *keyring, bool verify, const struct transfer_progress *progress,
                struct arena *arena, struct transfer_report *ret_report, const char **ret_error)
{
        int64_t began = clock_monotonic_us();
        struct scan scan = {.file = file, .keyring = keyring, .arena = arena, .verify = verify, .progress = progress,
                            .doing = verify ? "verifying" : "reading"};
        int r = scan_run(&scan, ret_error);
        if (r != 0)
                return r;
        scan_report(&scan, ret_report);
        ret_report->took_us = clock_monotonic_us() - began;
        return 0;
}
