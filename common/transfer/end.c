/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, preparing and describing the ends of a copying.
 */
#include "common/transfer/end.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_US (5 * CLOCK_SECOND_US)

static const struct store_options tool = {.cache_kib = 16384, .tool = true};

void end_close(struct end *end)
{
        if (end->writer)
                end->writer = store_writer_release(end->writer);
        else
                store_conn_close(end->conn);
        end->conn = NULL;
        end->store = store_close(end->store);
}

/* What an operator forgets most; to a server that speaks another language than English nothing is added. */
static const char *what_helps(const char *words)
{
        if (strstr(words, "database") && strstr(words, "does not exist"))
                return ". Make it first: createdb -T template0 --locale=C -O ROLE DATABASE";
        if (strstr(words, "permission denied"))
                return ". Name the role that owns the database, or make this one its owner: ALTER DATABASE … OWNER TO …";
        return "";
}

int end_fail(const struct end *end, int r, const char *what, const char **ret_error)
{
        const char *why = end->conn && store_last_error(end->conn)[0] ? store_last_error(end->conn) : strerror(r < 0 ? -r : EIO);
        return transfer_fail(ret_error, r, "can't %s %s: %s%s", what, end->address, why, what_helps(why));
}

/* --- the source -------------------------------------------------------------------------------------------------------- */

int end_open_source(struct end *end, const char *url, const char **ret_error)
{
        const char *error = NULL;
        store_address(end->address, url);
        if (strncmp(url, "sqlite:", 7) == 0 && access(url + 7, R_OK) < 0)
                return transfer_fail(ret_error, -errno, "there is no store to read at %s: %s", url, strerror(errno));
        int r = store_open(url, &tool, &end->store, &error);
        if (r != 0)
                return transfer_fail(ret_error, r, "%s", error);
        r = store_reader_open(end->store, &end->conn);
        if (r == -EAGAIN)
                return transfer_fail(ret_error, r, "%s has no schema: no service has ever used it", end->address);
        if (r != 0) {
                error = store_reader_error()[0] ? store_reader_error() : strerror(r < 0 ? -r : EIO);
                return transfer_fail(ret_error, r, "can't open %s: %s%s", end->address, error, what_helps(error));
        }
        return 0;
}

static int read_text(struct end *end, struct arena *arena, const char *sql, const char **ret_text, int64_t *ret_number)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(end->conn, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r == 1 && ret_text)
                *ret_text = store_text_dup(rows, 0, arena);
        if (r == 1 && ret_number)
                *ret_number = store_i64(rows, 0);
        return r == 1 ? 0 : r;
}

void report_service(struct transfer_report *report, struct arena *arena, const struct store_migration *migrations, size_t n)
{
        const char **names = ARENA_ARRAY(arena, const char *, n);
        for (size_t i = 0; i < n; i++) {
                const char *slash = strchr(migrations[i].name, '/');
                names[i] = migrations[i].name;
                if (slash && strncmp(migrations[i].name, "rpc/", 4) != 0)
                        report->service = arena_strndup(arena, migrations[i].name, (size_t)(slash - migrations[i].name));
        }
        if (!report->service)
                report->service = "";
        report->migrations = names;
        report->n_migrations = n;
}

int end_describe(struct end *end, struct arena *arena, struct transfer_report *report, const struct store_migration **ret_migrations,
                 const char **ret_error)
{
        static const char epoch[] = "SELECT epoch FROM rpc_epoch WHERE id = 1";
        static const char head[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox";
        struct store_migration *migrations;
        size_t n;

        int r = store_migrations_read(end->conn, arena, &migrations, &n);
        if (r != 0)
                return end_fail(end, r, "read the record of migrations of", ret_error);
        report_service(report, arena, migrations, n);
        report->engine = store_is_shared(end->store) ? "postgresql" : "sqlite";
        report->epoch = "";
        r = read_text(end, arena, epoch, &report->epoch, NULL);
        if (r == 0)
                r = read_text(end, arena, head, NULL, &report->position);
        if (r != 0)
                return end_fail(end, r, "read the outbox of", ret_error);
        *ret_migrations = migrations;
        return 0;
}

/* --- the target -------------------------------------------------------------------------------------------------------- */

/* The server may take a moment to see that a command that was killed is gone. */
static int lock(struct end *end)
{
        const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
        int64_t until = clock_monotonic_us() + LOCK_WAIT_US;
        int r;
        while ((r = store_fill_lock(end->conn)) == STORE_E_LOCKED && clock_monotonic_us() < until)
                nanosleep(&pause, NULL);
        return r;
}

int end_open_target(struct end *end, const char *url, const char **ret_error)
{
        const char *error = NULL;
        store_address(end->address, url);
        int r = store_open(url, &tool, &end->store, &error);
        if (r != 0)
                return transfer_fail(ret_error, r, "%s", error);
        r = store_writer_acquire(end->store, "nuanxin", false, &end->writer, &error);
        if (r == STORE_E_LOCKED)
                return transfer_fail(ret_error, r, "a service uses %s: stop it first", end->address);
        if (r != 0) {
                error = error ? error : strerror(r < 0 ? -r : EIO);
                return transfer_fail(ret_error, r, "can't open %s: %s%s", end->address, error, what_helps(error));
        }
        end->conn = store_writer_conn(end->writer);
        store_set_isolation(end->conn, STORE_READ_COMMITTED);
        r = lock(end);
        if (r == STORE_E_LOCKED)
                return transfer_fail(ret_error, r, "another command is filling %s: let it end, or end it", end->address);
        return r == 0 ? 0 : end_fail(end, r, "lock", ret_error);
}

int end_note(struct end *end, enum store_state state, const char *id, const char *other, const char **ret_error)
{
        struct store_use use = {.state = state};
        snprintf(use.id, sizeof(use.id), "%s", id);
        store_address(use.other, other);
        int r = store_begin(end->conn);
        if (r == 0)
                r = store_use_write(end->conn, &use);
        if (r == 0)
                r = store_commit(end->conn);
        store_rollback(end->conn);
        return r == 0 ? 0 : end_fail(end, r, "note what is being done with", ret_error);
}

/* Was something there before the note? Whoever looks for the note after making tables sees it. */
static int check_empty(struct end *end, const char **ret_error)
{
        const char *ignored;
        int r = store_is_empty(end->conn);
        if (r == 1)
                return 0;
        if (r != 0)
                return end_fail(end, r, "look into", ret_error);
        r = end_note(end, STORE_IN_USE, "", "", &ignored);
        if (r != 0)
                return end_fail(end, r, "write to", ret_error);
        return transfer_fail(ret_error, -ENOTEMPTY, "%s is not empty, and nothing in it is overwritten: give an empty one%s", end->address,
                             store_is_shared(end->store) ? " (createdb, or another schema by options=-csearch_path%3Dname)" :
                                                           " (a path where there is no file yet)");
}

int end_claim(struct end *end, const char *id, const char *other, const char **ret_error)
{
        struct store_use use;
        int r = store_use_read(end->conn, &use);
        if (r != 0)
                return end_fail(end, r, "look into", ret_error);
        if (use.state == STORE_MOVED || use.state == STORE_FOLLOWED || use.state == STORE_HELD)
                return transfer_fail(ret_error, -ENOTEMPTY, "%s is not empty: it was moved, or is being moved, to %s", end->address, use.other);
        bool unfinished = use.state != STORE_IN_USE;
        if (!unfinished && (r = store_is_empty(end->conn)) == 0)
                return check_empty(end, ret_error);
        if (r < 0 || r > 1)
                return end_fail(end, r, "look into", ret_error);
        r = end_note(end, STORE_FILLING, id, other, ret_error);
        if (r == 0 && unfinished && (r = store_wipe(end->conn)) != 0)
                r = end_fail(end, r, "clear what an earlier copying left in", ret_error);
        return r == 0 ? check_empty(end, ret_error) : r;
}

int end_prepare(struct end *end, struct arena *arena, const struct store_migration *migrations, size_t n, const char **ret_error)
{
        const char *error = NULL;
        int r = store_migrations_run(end->conn, migrations, n, &error);
        if (r != 0)
                return transfer_fail(ret_error, r, "can't make the tables in %s: %s", end->address, error ? error : "");
        r = store_tables_read(end->conn, arena, false, &end->tables, &error);
        if (r != 0)
                return transfer_fail(ret_error, r, "%s: %s", end->address, error);
        r = store_fill_begin(end->conn);
        return r == 0 ? 0 : end_fail(end, r, "prepare", ret_error);
}

bool tables_match(const struct store_table *a, const struct store_table *b)
{
        if (a->n_columns != b->n_columns || a->n_key != b->n_key || memcmp(a->key, b->key, sizeof(a->key)) != 0)
                return false;
        for (size_t i = 0; i < a->n_columns; i++)
                if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || a->columns[i].type != b->columns[i].type)
                        return false;
        return true;
}

int end_put(struct end *end, const struct page *page, const char **ret_error)
{
        int r = page->n ? store_table_put(end->conn, page->table, page->values, page->n) : 0;
        return r == 0 ? 0 : end_fail(end, r, "write to", ret_error);
}

/* --- reports ------------------------------------------------------------------------------------------------------------ */

void report_tables(struct transfer_report *report, struct arena *arena, const struct store_tables *tables, const struct row_sum *sums)
{
        struct transfer_table *list = ARENA_ARRAY(arena, struct transfer_table, tables->n);
        report->rows = 0;
        for (size_t i = 0; i < tables->n; i++) {
                list[i].name = tables->items[i].name;
                list[i].rows = sums[i].rows;
                row_sum_text(list[i].sum, &sums[i]);
                report->rows += sums[i].rows;
        }
        report->tables = list;
        report->n_tables = tables->n;
}

void progress_say(const struct transfer_progress *progress, const char *what, int64_t done, int64_t total)
{
        if (progress && progress->show)
                progress->show(progress->arg, what, done, total);
}
