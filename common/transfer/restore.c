/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup becomes a store again.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/transfer/end.h"
#include "common/transfer/scan.h"

#include <stdio.h>

#define BATCH_BYTES (4 * 1024 * 1024) /* a transaction's */
#define BATCH_ROWS  20000

struct restoring {
        struct end target;
        struct page page;
        const struct store_table *table; /* the target's */
        /* Events that a PostgreSQL store had not numbered yet, for a SQLite store, which has no place for them but the outbox. */
        struct page arrivals;
        struct store_table arrival;
        bool arriving;
        int64_t position; /* of the outbox */
};

static int put_batch(struct restoring *g, const char **ret_error)
{
        if (!g->page.n)
                return 0;
        int r = store_begin(g->target.conn);
        if (r != 0)
                return end_fail(&g->target, r, "write to", ret_error);
        r = end_put(&g->target, &g->page, ret_error);
        if (r == 0 && (r = store_commit(g->target.conn)) != 0)
                r = end_fail(&g->target, r, "write to", ret_error);
        store_rollback(g->target.conn);
        page_begin(&g->page, g->table);
        return r;
}

/* They become the outbox's next. Both tables' columns stand by name; only n and seq have another place. */
static int put_arrivals(struct restoring *g, const char **ret_error)
{
        struct store_value values[STORE_COLUMNS_MOST];
        const struct store_table *outbox = store_tables_find(&g->target.tables, STR("rpc_outbox"));
        int r = g->arrivals.n ? store_begin(g->target.conn) : 0;
        for (size_t i = 0; r == 0 && i < g->arrivals.n; i++) {
                const struct store_value *row = page_row(&g->arrivals, i);
                for (size_t c = 0, from = 0; c < outbox->n_columns; c++) {
                        if (c == outbox->key[0]) {
                                values[c] = I64(g->position + 1 + (int64_t)i);
                                continue;
                        }
                        from += from == g->arrival.key[0];
                        values[c] = row[from++];
                }
                r = store_table_put(g->target.conn, outbox, values, 1);
        }
        if (r == 0 && g->arrivals.n)
                r = store_commit(g->target.conn);
        store_rollback(g->target.conn);
        return r == 0 ? 0 : end_fail(&g->target, r, "write to", ret_error);
}

static bool is_arrival(const struct store_table *t)
{
        static const char *const columns[] = {"data", "id", "n", "organization", "subject", "time_us", "type"};
        bool is = strcmp(t->name, "rpc_arrival") == 0 && t->n_columns == ARRAY_LEN(columns) && t->n_key == 1 && t->key[0] == 2;
        for (size_t i = 0; is && i < ARRAY_LEN(columns); i++)
                is = strcmp(t->columns[i].name, columns[i]) == 0;
        return is;
}

static int begin_table(struct restoring *g, const struct store_table *table, const char **ret_error)
{
        g->table = store_tables_find(&g->target.tables, str_of(table->name));
        g->arriving = !g->table && is_arrival(table);
        if (g->arriving) {
                g->arrival = *table;
                page_begin(&g->arrivals, &g->arrival);
                return 0;
        }
        if (!g->table || !tables_match(g->table, table))
                return transfer_fail(ret_error, -EBADMSG, "the backup's table %s is not as its migrations make it", table->name);
        page_begin(&g->page, g->table);
        return 0;
}

static int take(void *arg, const struct record *record, const char **ret_error)
{
        struct restoring *g = arg;
        switch (record->kind) {
        case RECORD_TABLE:
                return begin_table(g, record->table, ret_error);
        case RECORD_ROW:
                if (g->arriving) {
                        page_add(&g->arrivals, record->values);
                        return 0;
                }
                page_add(&g->page, record->values);
                return g->page.bytes >= BATCH_BYTES || g->page.n >= BATCH_ROWS ? put_batch(g, ret_error) : 0;
        case RECORD_END:
                if (g->arriving)
                        return 0;
                return put_batch(g, ret_error);
        default:
                return 0;
        }
}

/* Reads all of the store back: every table must have the sum that the backup says. */
static int compare(struct restoring *g, const struct scan *scan, const struct transfer_progress *progress, const char **ret_error)
{
        int64_t done = 0, total = 0;
        for (size_t i = 0; i < scan->tables.n; i++)
                total += scan->sums[i].rows;
        for (size_t i = 0; i < scan->tables.n; i++) {
                const struct store_table *table = store_tables_find(&g->target.tables, str_of(scan->tables.items[i].name));
                struct row_sum sum = {0};
                struct place place = {0};
                if (!table) /* arrivals */
                        continue;
                while (!place.ended) {
                        int r = page_read(&g->page, g->target.conn, table, &place);
                        if (r != 0)
                                return end_fail(&g->target, r, "read from", ret_error);
                        page_sum(&g->page, scan->head.sum_key, &sum);
                        done += (int64_t)g->page.n;
                        progress_say(progress, "comparing", done, total);
                }
                if (!row_sum_equal(&sum, &scan->sums[i]))
                        return transfer_fail(ret_error, -EBADMSG, "table %s of %s was read back with other rows than the backup's",
                                             table->name, g->target.address);
        }
        return 0;
}

/* Consumers whose cursors are of the old history begin with a snapshot: what came after the backup is not in it. */
static int begin_epoch(struct restoring *g, char epoch[ID_TEXT_SIZE], const char **ret_error)
{
        static const char sql[] = "INSERT INTO rpc_epoch (id, epoch) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch";
        static const char forget[] = "DELETE FROM rpc_reader";
        struct clock clock = {0};
        int64_t changed;
        id_new(epoch, clock_now_us(&clock));
        int r = store_begin(g->target.conn);
        if (r == 0)
                r = store_exec(g->target.conn, sql, &changed, TEXTZ(epoch));
        if (r == 0)
                r = store_exec(g->target.conn, forget, &changed);
        if (r == 0)
                r = store_commit(g->target.conn);
        store_rollback(g->target.conn);
        return r == 0 ? 0 : end_fail(&g->target, r, "begin a new epoch in", ret_error);
}

static int fill(struct restoring *g, struct scan *scan, const char *id, const char **ret_error)
{
        const struct transfer_progress *progress = scan->progress;
        int r = end_claim(&g->target, id, scan->file, ret_error);
        if (r == 0)
                r = end_prepare(&g->target, scan->arena, scan->migrations, scan->n_migrations, ret_error);
        if (r != 0)
                return r;
        scan->verify = false; /* that was done */
        scan->doing = "restoring";
        scan->take = take;
        scan->arg = g;
        r = scan_run(scan, ret_error);
        if (r == 0 && (r = store_fill_settle(g->target.conn)) != 0)
                r = end_fail(&g->target, r, "analyse", ret_error);
        return r == 0 ? compare(g, scan, progress, ret_error) : r;
}

static int finish(struct restoring *g, struct transfer_report *report, struct arena *arena, const char **ret_error)
{
        char epoch[ID_TEXT_SIZE];
        int r = put_arrivals(g, ret_error);
        if (r == 0)
                r = begin_epoch(g, epoch, ret_error);
        if (r != 0)
                return r;
        report->epoch = arena_strdup(arena, epoch);
        r = store_fill_end(g->target.conn);
        if (r == 0)
                r = store_fill_check(g->target.conn);
        if (r == 0)
                return transfer_fail(ret_error, -EBADMSG, "rows of the backup refer to others that are not in it");
        if (r != 1)
                return end_fail(&g->target, r, "finish", ret_error);
        return end_note(&g->target, STORE_IN_USE, "", "", ret_error);
}

int backup_restore(const char *file, const char *store_url, const struct keyring *keyring, const struct transfer_progress *progress,
                   struct arena *arena, struct transfer_report *ret_report, const char **ret_error)
{
        struct restoring g = {0};
        struct scan scan = {.file = file, .keyring = keyring, .arena = arena, .progress = progress};
        int64_t began = clock_monotonic_us();
        char id[ID_TEXT_SIZE];
        struct clock clock = {0};

        /* First all of the file: what is damaged shall not begin. */
        scan.verify = true;
        scan.doing = "verifying";
        int r = scan_run(&scan, ret_error);
        if (r == 0)
                scan_report(&scan, ret_report);
        id_new(id, clock_now_us(&clock));
        page_init(&g.page);
        page_init(&g.arrivals);
        g.position = scan.head.position;
        if (r == 0)
                r = end_open_target(&g.target, store_url, ret_error);
        if (r == 0)
                r = fill(&g, &scan, id, ret_error);
        if (r == 0)
                r = finish(&g, ret_report, arena, ret_error);
        if (r == 0)
                ret_report->took_us = clock_monotonic_us() - began;
        page_done(&g.page);
        page_done(&g.arrivals);
        end_close(&g.target);
        return r;
}
