/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease's SQL. Times are the database's own, so that the clocks of the instances have no part in it.
 */
#include "common/rpc/lease.h"

#define NOW "(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000)::BIGINT"

static int one_row(struct store_rows *rows, int64_t *ret)
{
        int r = store_next(rows);
        if (r == 1 && ret)
                *ret = store_i64(rows, 0);
        return r;
}

/* Nobody asks for a lease that lasts so much longer: it was given before the database's clock was set back. Whoever holds it
 * after all finds another term. */
#define ASTRAY NOW " + 2 * $2"

/* Looks first: only a lease that has run out is worth a lock. */
int lease_take(struct store_conn *db, struct lease *lease, int64_t life_us)
{
        static const char look[] = "SELECT 1 FROM rpc_lease WHERE name = $1 AND until_us > " NOW " AND until_us <= " ASTRAY;
        static const char take[] =
                "INSERT INTO rpc_lease (name, holder, term, until_us) VALUES ('leader', $1, 1, " NOW " + $2) "
                "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = rpc_lease.term + 1, "
                "until_us = " NOW " + $2 WHERE rpc_lease.until_us <= " NOW " OR rpc_lease.until_us > " ASTRAY " RETURNING term";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, look, &rows, TEXT(STR("leader")), I64(life_us));
        if (r == 0)
                r = one_row(rows, NULL);
        if (r != 0)
                return r == 1 ? 0 : r;
        rows = store_rows_close(rows);
        r = store_query(db, take, &rows, TEXTZ(lease->holder), I64(life_us));
        return r == 0 ? one_row(rows, &lease->term) : r;
}

int lease_renew(struct store_conn *db, const struct lease *lease, int64_t life_us)
{
        static const char sql[] = "UPDATE rpc_lease SET until_us = " NOW " + $3 "
                                  "WHERE name = 'leader' AND holder = $1 AND term = $2 AND until_us > 0";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(lease->holder), I64(lease->term), I64(life_us));
        return r == 0 ? changed == 1 : r;
}

int lease_hold(struct store_conn *db, const struct lease *lease)
{
        static const char sql[] =
                "SELECT term FROM rpc_lease WHERE name = 'leader' AND holder = $1 AND term = $2 FOR NO KEY UPDATE";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(lease->holder), I64(lease->term));
        return r == 0 ? one_row(rows, NULL) : r;
}

int lease_block(struct store_conn *db)
{
        static const char sql[] = "SELECT term FROM rpc_lease WHERE name = 'leader' FOR NO KEY UPDATE";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        return r == 0 ? one_row(rows, NULL) : r;
}

int lease_give(struct store_conn *db, const struct lease *lease)
{
        static const char sql[] = "UPDATE rpc_lease SET until_us = 0 WHERE name = 'leader' AND holder = $1 AND term = $2";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(lease->holder), I64(lease->term));
        return r == 0 ? changed == 1 : r;
}
