/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions and savepoints on PostgreSQL. Beginnings wait for the first statement, endings that nobody asks about
 * are not waited for.
 */
#include "common/store/postgresql.h"

#include <assert.h>

static const char *begin_of(const struct postgresql_conn *c)
{
        static const char serializable[] = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
        static const char committed[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
        static const char read[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        return !c->base.writer ? read : c->isolation == STORE_SERIALIZABLE ? serializable : committed;
}

int postgresql_enter(struct postgresql_conn *c)
{
        static const char savepoint[] = "SAVEPOINT request";
        int r = c->failed;
        if (r == 0 && c->transaction == TRANSACTION_NONE)
                return postgresql_connect(c);
        if (r == 0 && c->transaction == TRANSACTION_DUE) {
                r = postgresql_control(c, begin_of(c), PENDING_EXEC);
                if (r == 0)
                        c->transaction = TRANSACTION_OPEN;
        }
        if (r == 0 && c->savepoint_due) {
                c->savepoint_due = false;
                r = postgresql_control(c, savepoint, PENDING_SAVEPOINT);
        }
        return r;
}

void postgresql_set_isolation(struct store_conn *conn, enum store_isolation isolation)
{
        postgresql_of(conn)->isolation = isolation;
}

bool postgresql_in_transaction(const struct store_conn *conn)
{
        return ((const struct postgresql_conn *)conn)->transaction != TRANSACTION_NONE;
}

int postgresql_begin(struct store_conn *conn)
{
        struct postgresql_conn *c = postgresql_of(conn);
        assert(c->transaction == TRANSACTION_NONE);
        c->failed = 0;
        conn->in_savepoint = c->savepoint_due = conn->takes_time = false;
        postgresql_gather_reset(c);
        postgresql_look(c);
        int r = postgresql_connect(c);
        if (r == 0)
                c->transaction = TRANSACTION_DUE;
        return r;
}

void postgresql_abandon(struct postgresql_conn *c)
{
        static const char rollback[] = "ROLLBACK";
        int r = postgresql_unsynced(c) ? postgresql_sync(c) : 0; /* else a failure before it would skip it */
        if (r == 0)
                r = postgresql_control(c, rollback, PENDING_EXEC);
        if (r == 0)
                r = postgresql_sync(c);
        if (r == 0)
                postgresql_hush(c);
}

void postgresql_rollback(struct store_conn *conn)
{
        struct postgresql_conn *c = postgresql_of(conn);
        if (c->transaction == TRANSACTION_OPEN)
                postgresql_abandon(c);
        c->transaction = TRANSACTION_NONE;
        c->failed = 0;
        conn->in_savepoint = c->savepoint_due = conn->takes_time = false;
        postgresql_gather_reset(c);
}

/* It was ended before: why. */
static int ended(const struct postgresql_conn *c)
{
        return c->failed ? c->failed : -ECANCELED;
}

static int commit_open(struct postgresql_conn *c)
{
        static const char commit[] = "COMMIT";
        c->warned = c->committed = false;
        int r = c->failed;
        if (r == 0)
                r = postgresql_control(c, commit, PENDING_COMMIT);
        if (r == 0)
                r = postgresql_collect(c);
        if (r == 0 && c->warned)
                return postgresql_lost(c, "the commit stands here, but not surely on the standby");
        if (r == 0 && c->committed)
                c->transaction = TRANSACTION_NONE;
        return r == 0 && !c->committed ? -ECANCELED : r;
}

int postgresql_commit(struct store_conn *conn)
{
        struct postgresql_conn *c = postgresql_of(conn);
        assert(!conn->in_savepoint || c->transaction == TRANSACTION_NONE);
        int r = 0;
        if (c->transaction == TRANSACTION_NONE)
                r = ended(c);
        else if (c->transaction == TRANSACTION_OPEN)
                r = commit_open(c);
        postgresql_rollback(conn);
        return r;
}

/* --- savepoints -------------------------------------------------------------------------------------------- */

int postgresql_savepoint(struct store_conn *conn)
{
        struct postgresql_conn *c = postgresql_of(conn);
        assert(!conn->in_savepoint || c->transaction == TRANSACTION_NONE);
        if (c->transaction == TRANSACTION_NONE || c->failed)
                return ended(c);
        conn->in_savepoint = c->savepoint_due = true;
        c->savepoint_made = false;
        return 0;
}

int postgresql_savepoint_release(struct store_conn *conn)
{
        static const char release[] = "RELEASE request";
        struct postgresql_conn *c = postgresql_of(conn);
        if (c->transaction == TRANSACTION_NONE)
                return ended(c);
        assert(conn->in_savepoint);
        int r = c->failed;
        if (r == 0 && !c->savepoint_due) {
                r = postgresql_control(c, release, PENDING_EXEC);
                if (r == 0)
                        r = postgresql_collect(c);
        }
        if (r == 0)
                conn->in_savepoint = c->savepoint_due = false;
        return r;
}

int postgresql_savepoint_leave(struct store_conn *conn)
{
        static const char release[] = "RELEASE request";
        struct postgresql_conn *c = postgresql_of(conn);
        if (c->transaction == TRANSACTION_NONE || c->failed)
                return ended(c);
        assert(conn->in_savepoint);
        int r = c->savepoint_due ? 0 : postgresql_control(c, release, PENDING_EXEC);
        if (r != 0)
                return r;
        for (size_t i = c->pending_first; i < c->pending_end; i++)
                c->pending[i].left = true;
        conn->in_savepoint = c->savepoint_due = false;
        return 0;
}

/* What was put off may have failed, which ends with the savepoint, or have ended the transaction. */
int postgresql_savepoint_rollback(struct store_conn *conn)
{
        static const char rollback_to[] = "ROLLBACK TO request", release[] = "RELEASE request";
        struct postgresql_conn *c = postgresql_of(conn);
        if (c->transaction != TRANSACTION_NONE && postgresql_unsynced(c) && !c->savepoint_due) {
                int collected = postgresql_collect(c);
                (void)collected;
        }
        if (c->transaction == TRANSACTION_NONE)
                return ended(c);
        assert(conn->in_savepoint);
        int r = 0;
        if (!c->savepoint_due && !c->savepoint_made) { /* it failed before the savepoint was there */
                r = ended(c);
                postgresql_rollback(conn);
        } else if (!c->savepoint_due) {
                c->failed = 0;
                r = postgresql_control(c, rollback_to, PENDING_EXEC);
                if (r == 0)
                        r = postgresql_control(c, release, PENDING_EXEC);
        }
        conn->in_savepoint = c->savepoint_due = false;
        return r;
}
