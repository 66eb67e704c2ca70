/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shared store has beside transactions: news between processes, and schema files, which one process at a time
 * runs.
 */
#include "common/store/postgresql.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <unistd.h>

/* Of the database's advisory locks, which are numbers. */
#define MIGRATION_LOCK 0x6e75616e78696e01 /* "nuanxin", 1 */
#define LOCK_LOOK_US   (50 * 1000)

int postgresql_listen(struct store_conn *conn, const char *channel)
{
        char sql[96];
        snprintf(sql, sizeof(sql), "LISTEN \"%.63s\"", channel);
        return postgresql_in_transaction(conn) || strchr(channel, '"') ? -EINVAL : postgresql_exec(conn, sql, NULL, NULL, 0);
}

/* One: what else has come is there at the next wait. */
static bool take_news(struct postgresql_conn *c, char ret_text[64])
{
        PGnotify *news = PQnotifies(c->pg);
        if (news)
                snprintf(ret_text, 64, "%s", news->extra);
        PQfreemem(news);
        return news;
}

int postgresql_wait(struct store_conn *conn, int64_t timeout_us, char ret_text[64])
{
        struct postgresql_conn *c = postgresql_of(conn);
        int64_t until_us = clock_monotonic_us() + timeout_us;
        for (;;) {
                postgresql_take_ready(c); /* an answer that nobody waited for stands before the news */
                if (!c->pg)
                        return STORE_E_UNAVAILABLE;
                if (take_news(c, ret_text))
                        return 1;
                int64_t left_us = until_us - clock_monotonic_us();
                int r = postgresql_wait_input(c, left_us);
                if (r > 1)
                        return r;
                if (r == 0 && left_us <= 0)
                        return 0;
        }
}

/* --- schema files ------------------------------------------------------------------------------------------ */

/* libpq takes many statements in one text only outside its pipeline mode. */
static int run_script(struct postgresql_conn *c, const char *sql)
{
        PGresult *result;
        int failed = 0;
        if (!PQexitPipelineMode(c->pg) || !PQsendQuery(c->pg, sql))
                return postgresql_lost(c, NULL);
        do {
                bool drop = false;
                int r = postgresql_wait_ready(c, PATIENCE_SCRIPT_US);
                if (r != 0)
                        return r;
                result = PQgetResult(c->pg);
                ExecStatusType status = PQresultStatus(result);
                if (result && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
                        failed = postgresql_error(c, result, &drop);
                PQclear(result);
                if (drop)
                        return postgresql_lost(c, "");
        } while (result);
        if (!PQenterPipelineMode(c->pg))
                return postgresql_lost(c, NULL);
        return failed;
}

int postgresql_script(struct store_conn *conn, const char *sql)
{
        struct postgresql_conn *c = postgresql_of(conn);
        int r = postgresql_enter(c);
        if (r == 0)
                r = postgresql_collect(c);
        if (r == 0 && (r = run_script(c, sql)) != 0 && !c->failed)
                c->failed = r;
        return r;
}

int postgresql_migration_lock(struct store_conn *conn, int64_t until_us)
{
        static const char sql[] = "SELECT pg_try_advisory_lock($1)";
        for (;;) {
                _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
                int r = store_query(conn, sql, &rows, I64(MIGRATION_LOCK));
                if (r == 0)
                        r = store_next(rows);
                if (r != 1)
                        return r;
                if (store_i64(rows, 0))
                        return 0;
                if (clock_monotonic_us() >= until_us) {
                        r = conn_misuse(conn, "another process has held the lock for too long");
                        return r < 0 ? STORE_E_RETRY : r;
                }
                usleep(LOCK_LOOK_US);
        }
}

/* If the connection was lost, the lock went with it. */
void postgresql_migration_unlock(struct store_conn *conn)
{
        static const char sql[] = "SELECT pg_advisory_unlock($1)";
        if (postgresql_of(conn)->pg) {
                int r = store_exec(conn, sql, NULL, I64(MIGRATION_LOCK));
                (void)r;
        }
}
