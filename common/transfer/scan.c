/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a whole backup.
 */
#include "common/transfer/scan.h"
#include "common/transfer/end.h"

#define TABLES_MOST     512
#define MIGRATIONS_MOST 1024

struct scanning {
        struct scan *scan;
        struct record_reader records;
        struct row_sum sum; /* of the table in hand, as it was read */
        bool total;
};

static int wrong(const struct scan *scan, const char *what, const char **ret_error)
{
        return transfer_fail(ret_error, -EBADMSG, "%s is not whole: %s", scan->file, what);
}

static int note(struct scanning *g, const struct record *record, const char **ret_error)
{
        struct scan *scan = g->scan;
        switch (record->kind) {
        case RECORD_HEAD:
                scan->head = record->head;
                scan->head.service = arena_str(scan->arena, record->head.service);
                scan->head.engine = arena_str(scan->arena, record->head.engine);
                scan->head.epoch = arena_str(scan->arena, record->head.epoch);
                return 0;
        case RECORD_MIGRATION:
                if (scan->n_migrations == MIGRATIONS_MOST)
                        return wrong(scan, "too many migrations", ret_error);
                scan->migrations[scan->n_migrations++] = record->migration;
                return 0;
        case RECORD_TABLE:
                if (scan->tables.n == TABLES_MOST)
                        return wrong(scan, "too many tables", ret_error);
                if (store_tables_find(&scan->tables, str_of(record->table->name)))
                        return wrong(scan, "a table stands in it twice", ret_error);
                scan->tables.items[scan->tables.n] = *record->table;
                scan->sums[scan->tables.n++] = g->sum = (struct row_sum){0};
                return 0;
        case RECORD_ROW:
                if (scan->verify)
                        row_sum_add(&g->sum, scan->head.sum_key, record->encoded);
                return 0;
        case RECORD_END:
                scan->sums[scan->tables.n - 1] = record->sum;
                if (scan->verify && !row_sum_equal(&g->sum, &record->sum))
                        return transfer_fail(ret_error, -EBADMSG, "%s: table %s has other rows than it says", scan->file, record->table->name);
                return 0;
        case RECORD_TOTAL:
                g->total = true;
                return 0;
        }
        return 0;
}

static int take_block(struct scanning *g, struct str block, const char **ret_error)
{
        struct record record;
        int r = 0;
        while (r == 0 && block.n) {
                if (g->total || record_next(&g->records, &block, &record) < 0)
                        return wrong(g->scan, "it holds something that is no record", ret_error);
                r = note(g, &record, ret_error);
                if (r == 0 && g->scan->take)
                        r = g->scan->take(g->scan->arg, &record, ret_error);
        }
        return r;
}

void scan_report(const struct scan *scan, struct transfer_report *ret_report)
{
        *ret_report = (struct transfer_report){.engine = scan->head.engine.p, .epoch = scan->head.epoch.p,
                                               .position = scan->head.position, .time_us = scan->head.time_us, .bytes = scan->bytes};
        report_service(ret_report, scan->arena, scan->migrations, scan->n_migrations);
        report_tables(ret_report, scan->arena, &scan->tables, scan->sums);
}

int scan_run(struct scan *scan, const char **ret_error)
{
        _cleanup_(backup_reader_freep) struct backup_reader *file = NULL;
        struct scanning g = {.scan = scan, .records = {.arena = scan->arena}};
        struct str block;

        scan->migrations = ARENA_ARRAY(scan->arena, struct store_migration, MIGRATIONS_MOST);
        scan->tables = (struct store_tables){.items = ARENA_ARRAY(scan->arena, struct store_table, TABLES_MOST)};
        scan->sums = ARENA_ARRAY(scan->arena, struct row_sum, TABLES_MOST);
        scan->n_migrations = 0;
        int r = backup_reader_new(scan->file, scan->keyring, &file, ret_error);
        while (r == 0 && (r = backup_reader_next(file, &block, ret_error)) == 1) {
                r = take_block(&g, block, ret_error);
                int64_t done = backup_reader_done(file, &scan->bytes);
                progress_say(scan->progress, scan->doing, done, scan->bytes);
        }
        return r == 0 && !g.total ? wrong(scan, "its end is missing", ret_error) : r;
}
