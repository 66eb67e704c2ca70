/* SPDX-License-Identifier: Apache-2.0
 *
 * What PostgreSQL's errors mean to the store, and what of their text may stand in a log.
 */
#include "common/store/postgresql.h"

#include <stdio.h>

/* By the beginning of the SQLSTATE; the longest one that fits comes first. */
static const struct {
        const char *state;
        int meaning;
} meanings[] = {
        {"40003", STORE_E_UNAVAILABLE}, /* completion unknown */
        {"40", STORE_E_RETRY},          /* serialization failure, deadlock */
        {"55P03", STORE_E_RETRY},       /* lock_timeout */
        {"57014", STORE_E_RETRY},       /* cancelled by somebody */
        {"0A000", STORE_E_RETRY},       /* a plan from before a migration, or a server that became a standby */
        {"26000", STORE_E_RETRY},       /* a prepared statement that somebody dropped */
        {"08P01", -EINVAL},
        {"08", STORE_E_UNAVAILABLE},
        {"57P", STORE_E_UNAVAILABLE},   /* shutting down, starting, dropped */
        {"25P03", STORE_E_UNAVAILABLE}, /* idle in transaction for too long */
        {"25006", STORE_E_UNAVAILABLE}, /* read-only: a standby */
        {"25P02", -ECANCELED},
        {"23", STORE_E_CONSTRAINT},
        {"53100", -ENOSPC},
        {"53200", -ENOMEM},
        {"53", STORE_E_UNAVAILABLE}, /* too many connections */
        {"42501", -EACCES},
        {"54", -E2BIG},
        {"58", -EIO},
        {"XX001", -EUCLEAN},
        {"XX002", -EUCLEAN},
        {"XX", -EIO},
};

static int meaning_of(const char *state)
{
        for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
                if (str_starts(str_of(state), str_of(meanings[i].state)))
                        return meanings[i].meaning;
        return -EINVAL;
}

/* The words of classes 22 and 23 may hold data. */
static void keep_text(struct postgresql_conn *c, const PGresult *result, const char *state)
{
        const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
        bool tells = state[0] == '2' && (state[1] == '2' || state[1] == '3');
        if (tells && constraint)
                snprintf(c->base.error, sizeof(c->base.error), "constraint %s (PostgreSQL %s)", constraint, state);
        else if (tells)
                snprintf(c->base.error, sizeof(c->base.error), "refused (PostgreSQL %s)", state);
        else
                snprintf(c->base.error, sizeof(c->base.error), "%s (PostgreSQL %s)", words ? words : "?", state);
}

int postgresql_error(struct postgresql_conn *c, const PGresult *result, bool *ret_drop)
{
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        *ret_drop = true;
        if (!state)
                return STORE_E_UNAVAILABLE; /* libpq's own: the connection */
        int r = meaning_of(state);
        keep_text(c, result, state);
        if (strcmp(state, "25006") == 0 && (c->transaction != TRANSACTION_OPEN || !c->base.writer))
                r = c->base.writer ? -ECANCELED : -EROFS; /* ours: nothing changes there */
        if (r == STORE_E_RETRY && !c->base.writer)
                r = STORE_E_UNAVAILABLE; /* it reads again, on another connection */
        *ret_drop = r == STORE_E_UNAVAILABLE || strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0;
        return r;
}
