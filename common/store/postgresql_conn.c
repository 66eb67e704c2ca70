/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to PostgreSQL: how it is made and set up, how it is waited for, and how it is given up. A server that is
 * frozen or cut off never holds a thread for longer than a bound.
 */
#include "common/store/postgresql.h"
#include "common/base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Both kinds. Nothing changes but in a transaction that says so. The plans are those of SQLite: by the indexes, made once.
 * The message is a no-op that is made durable, on a synchronous standby too: a primary that crashed and came back may show
 * commits that are not there yet, and would lose them with the next failover. */
#define SET_UP                                                                                               \
        "SET default_transaction_read_only = on; SET default_transaction_isolation = 'read committed';"      \
        "SET client_min_messages = warning; SET jit = off; SET enable_seqscan = off;"                        \
        "SET plan_cache_mode = force_generic_plan; SET client_connection_check_interval = '2s';"             \
        "SELECT set_config('synchronous_commit', 'on', false)"                                               \
        " WHERE current_setting('synchronous_commit') <> 'remote_apply';"                                    \
        "SELECT pg_logical_emit_message(true, 'nuanxin', '');"

/* A frozen client must not hold its locks for long, nor its snapshot. Locks are waited for briefly: who waits has
 * others waiting behind it, and the lane tries again. */
static const char set_up_writer[] = SET_UP "SET lock_timeout = 100; SET idle_in_transaction_session_timeout = '5s'";
static const char set_up_reader[] = SET_UP "SET lock_timeout = 3000; SET idle_in_transaction_session_timeout = '30s'";

struct postgresql_conn *postgresql_conn_new(struct store *store, struct store_writer *writer)
{
        struct postgresql_conn *c = mem_zalloc(sizeof(*c));
        c->base.engine = &postgresql_engine;
        c->base.writer = writer;
        c->store = (struct postgresql_store *)store;
        return c;
}

static void disconnect(struct postgresql_conn *c)
{
        for (size_t i = c->pending_first; i < c->pending_end; i++) {
                struct pending *p = &c->pending[i];
                if (p->answer)
                        p->answer->error = STORE_E_UNAVAILABLE;
        }
        c->pending_first = c->pending_end = 0;
        PQfinish(c->pg);
        c->pg = NULL;
}

struct store_conn *postgresql_conn_close(struct store_conn *conn)
{
        struct postgresql_conn *c = postgresql_of(conn);
        disconnect(c);
        postgresql_gather_free(c);
        statements_done(conn);
        free(c->pending);
        free(c);
        return NULL;
}

/* Its words become a quoted field of a line of the log. */
static void keep_words(struct postgresql_conn *c, const char *words)
{
        snprintf(c->base.error, sizeof(c->base.error), "%s", words);
        for (char *p = c->base.error; *p; p++)
                if ((unsigned char)*p < ' ')
                        *p = p[1] ? ' ' : '\0';
                else if (*p == '"')
                        *p = '\'';
}

int postgresql_lost(struct postgresql_conn *c, const char *why)
{
        if (why && why[0])
                keep_words(c, why);
        else if (!why && c->pg && PQerrorMessage(c->pg)[0])
                keep_words(c, PQerrorMessage(c->pg));
        disconnect(c);
        if (c->transaction != TRANSACTION_NONE)
                c->failed = STORE_E_UNAVAILABLE;
        c->transaction = TRANSACTION_NONE;
        c->base.in_savepoint = false;
        return STORE_E_UNAVAILABLE;
}

/* --- waiting --------------------------------------------------------------------------------------------- */

int postgresql_wait_input(struct postgresql_conn *c, int64_t timeout_us)
{
        int unsent = PQflush(c->pg);
        if (unsent < 0)
                return postgresql_lost(c, NULL);
        struct pollfd fd = {.fd = PQsocket(c->pg), .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
        int n = poll(&fd, 1, timeout_us > 0 ? (int)((timeout_us + 999) / 1000) : 0);
        if (n < 0 && errno != EINTR)
                return postgresql_lost(c, "poll failed");
        if (n <= 0 || !(fd.revents & ~POLLOUT))
                return 0;
        return PQconsumeInput(c->pg) ? 1 : postgresql_lost(c, NULL);
}

int postgresql_wait_ready(struct postgresql_conn *c, int64_t patience_us)
{
        int64_t until_us = 0;
        while (PQisBusy(c->pg)) {
                int64_t now_us = clock_monotonic_us();
                if (!until_us)
                        until_us = now_us + patience_us;
                else if (now_us >= until_us)
                        return postgresql_lost(c, "the server does not answer");
                int r = postgresql_wait_input(c, until_us - now_us);
                if (r > 1)
                        return r;
                if (r == 1)
                        until_us = 0;
        }
        return 0;
}

/* --- connecting ------------------------------------------------------------------------------------------ */

/* Silent, but for the two that say that a COMMIT no longer waits for the standby. */
static void on_notice(void *arg, const PGresult *result)
{
        struct postgresql_conn *c = arg;
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (state && (strcmp(state, "01000") == 0 || strcmp(state, "57P01") == 0))
                c->warned = true;
}

static int set_up(struct postgresql_conn *c)
{
        int r = 0;
        PGresult *result;
        c->warned = false;
        PQsetNoticeReceiver(c->pg, on_notice, c);
        if (PQsetnonblocking(c->pg, 1) < 0 || !PQsendQuery(c->pg, c->base.writer ? set_up_writer : set_up_reader))
                return postgresql_lost(c, NULL);
        do {
                int waited = postgresql_wait_ready(c, PATIENCE_US);
                if (waited != 0)
                        return waited;
                result = PQgetResult(c->pg);
                if (result && PQresultStatus(result) == PGRES_FATAL_ERROR && r == 0) {
                        keep_words(c, PQresultErrorMessage(result));
                        r = STORE_E_UNAVAILABLE;
                }
                PQclear(result);
        } while (result);
        if (c->warned) {
                keep_words(c, "what stands here is not surely on the standby");
                r = STORE_E_UNAVAILABLE;
        }
        if (r != 0 || !PQenterPipelineMode(c->pg)) {
                disconnect(c);
                return STORE_E_UNAVAILABLE;
        }
        return 0;
}

int postgresql_connect(struct postgresql_conn *c)
{
        if (c->pg)
                return 0;
        /* connect_timeout bounds it, for each of the hosts. */
        c->pg = PQconnectdbParams(c->store->keywords, c->store->values, 0);
        if (!c->pg)
                abort();
        if (PQstatus(c->pg) != CONNECTION_OK) {
                keep_words(c, PQerrorMessage(c->pg));
                disconnect(c);
                return STORE_E_UNAVAILABLE;
        }
        c->connection++;
        c->names = 0;
        return set_up(c);
}

void postgresql_look(struct postgresql_conn *c)
{
        char byte;
        while (c->pg) {
                ssize_t n = recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0 || !PQconsumeInput(c->pg)) {
                        disconnect(c);
                        return;
                }
                postgresql_take_ready(c);
        }
}
