/* SPDX-License-Identifier: Apache-2.0
 *
 * What was sent and not yet answered, in its order, and taking the answers.
 */
#include "common/store/postgresql.h"
#include "common/base/clock.h"

#include <assert.h>
#include <stdlib.h>

void postgresql_pend(struct postgresql_conn *c, struct pending pending)
{
        if (c->pending_end == c->pending_max && c->pending_first) {
                c->pending_end -= c->pending_first;
                memmove(c->pending, c->pending + c->pending_first, c->pending_end * sizeof(*c->pending));
                c->pending_first = 0;
        }
        if (c->pending_end == c->pending_max) {
                c->pending_max = c->pending_max ? c->pending_max * 2 : 32;
                c->pending = realloc(c->pending, c->pending_max * sizeof(*c->pending));
                if (!c->pending)
                        abort();
        }
        c->pending[c->pending_end++] = pending;
}

void postgresql_forget_answer(struct postgresql_conn *c, const struct postgresql_answer *answer)
{
        for (size_t i = c->pending_first; i < c->pending_end; i++) {
                struct pending *p = &c->pending[i];
                if (p->answer != answer)
                        continue;
                p->answer = NULL;
                /* And of its preparation, just before it. */
                for (size_t j = c->transaction == TRANSACTION_NONE ? i + 1 : 0; j-- > c->pending_first;)
                        if (j == i || c->pending[j].kind == PENDING_PREPARE)
                                c->pending[j].quiet = true;
                        else
                                break;
        }
}

void postgresql_forget_rows(struct postgresql_conn *c, const struct postgresql_rows *rows)
{
        for (size_t i = c->pending_first; i < c->pending_end; i++)
                if (c->pending[i].rows == rows)
                        c->pending[i].rows = NULL;
}

void postgresql_hush(struct postgresql_conn *c)
{
        for (size_t i = c->pending_first; i < c->pending_end; i++)
                c->pending[i].quiet = true;
}

bool postgresql_unsynced(const struct postgresql_conn *c)
{
        return c->pending_first != c->pending_end && c->pending[c->pending_end - 1].kind != PENDING_SYNC;
}

int postgresql_sync(struct postgresql_conn *c)
{
        if (!PQpipelineSync(c->pg))
                return postgresql_lost(c, NULL);
        postgresql_pend(c, (struct pending){.kind = PENDING_SYNC});
        return 0;
}

static void take_changed(const struct pending *p, PGresult *result)
{
        if (p->ret_changed)
                *p->ret_changed = strncmp(PQcmdStatus(result), "SELECT", 6) == 0 ? 0 : atoll(PQcmdTuples(result));
}

static int take_success(struct postgresql_conn *c, const struct pending *p, PGresult **result)
{
        switch (p->kind) {
        case PENDING_EXEC:
                take_changed(p, *result);
                return 0;
        case PENDING_QUERY:
                return p->answer ? postgresql_answer_take(c, p->answer, TAKE(*result)) : 0;
        case PENDING_SAVEPOINT:
                c->savepoint_made = true;
                return 0;
        case PENDING_COMMIT:
                c->committed = strcmp(PQcmdStatus(*result), "COMMIT") == 0;
                return 0;
        default:
                return 0;
        }
}

/* One of the statements' results. The first failure is the one that counts: what follows it up to the Sync was skipped. */
static int take_result(struct postgresql_conn *c, const struct pending *p, PGresult *result)
{
        ExecStatusType status = PQresultStatus(result);
        bool drop = false;
        int r = 0;
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
                r = take_success(c, p, &result);
        else if (status == PGRES_PIPELINE_ABORTED)
                r = c->failed ? c->failed : -ECANCELED;
        else
                r = postgresql_error(c, result, &drop);
        PQclear(result);
        if (r == 0)
                return 0;
        if (p->left && r != STORE_E_RETRY && r != STORE_E_UNAVAILABLE)
                r = -ECANCELED;
        if (p->rows)
                p->rows->connection = 0;
        if (p->answer)
                p->answer->error = status == PGRES_PIPELINE_ABORTED && c->gather ? STORE_E_GATHERED : r;
        if (!p->quiet && !c->failed)
                c->failed = r;
        return drop ? STORE_E_UNAVAILABLE : 0;
}

/* The answer to the oldest that is pending: libpq has it, or patience waits for it. */
static int take_one(struct postgresql_conn *c)
{
        struct pending p = c->pending[c->pending_first];
        PGresult *result = PQgetResult(c->pg);
        if (!result) /* the end of the one before it */
                return c->ends++ ? STORE_E_UNAVAILABLE : 0;
        c->ends = 0;
        if (++c->pending_first == c->pending_end)
                c->pending_first = c->pending_end = 0;
        if (p.kind == PENDING_SYNC) {
                bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
                PQclear(result);
                return synced ? 0 : STORE_E_UNAVAILABLE;
        }
        return take_result(c, &p, result);
}

/* The connection must not be used on; what the transaction failed with before stays. */
static int give_up(struct postgresql_conn *c)
{
        int failed = c->failed;
        postgresql_lost(c, PQstatus(c->pg) == CONNECTION_OK ? "" : NULL);
        if (failed)
                c->failed = failed;
        return failed ? failed : STORE_E_UNAVAILABLE;
}

void postgresql_take_ready(struct postgresql_conn *c)
{
        while (c->pg && c->pending_first != c->pending_end && !PQisBusy(c->pg))
                if (take_one(c) != 0)
                        give_up(c);
}

int postgresql_collect(struct postgresql_conn *c)
{
        bool outside = c->transaction == TRANSACTION_NONE;
        int r = postgresql_unsynced(c) ? postgresql_sync(c) : 0;
        while (r == 0 && c->pending_first != c->pending_end) {
                r = postgresql_wait_ready(c, c->base.takes_time ? PATIENCE_SCRIPT_US : c->base.writer ? PATIENCE_US : PATIENCE_READ_US);
                if (r == 0 && take_one(c) != 0)
                        r = give_up(c);
        }
        if (r == 0)
                r = c->failed;
        if (r == 0)
                return 0;
        if (c->transaction == TRANSACTION_OPEN && (!c->base.writer || r == STORE_E_RETRY || r == -ECANCELED)) {
                postgresql_abandon(c);
                c->transaction = c->base.writer ? TRANSACTION_NONE : TRANSACTION_DUE;
        }
        if (outside || !c->base.writer)
                c->failed = c->transaction == TRANSACTION_NONE && !outside ? c->failed : 0;
        return r;
}
