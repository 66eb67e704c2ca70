/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's chain in the store.
 */
#include "store_ledger.h"

#include <stdio.h>

static void read_sum(const struct store_rows *rows, int column, unsigned char out[CHAIN_SIZE])
{
        struct str sum = store_bytes(rows, column);
        memset(out, 0, CHAIN_SIZE);
        if (sum.n == CHAIN_SIZE)
                memcpy(out, sum.p, CHAIN_SIZE);
}

int ledger_end_load(struct store_conn *db, struct ledger_end *ret)
{
        static const char sql[] = "SELECT seq, head, epoch, begun FROM ledger_end WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        *ret = (struct ledger_end){0};
        if (r != 1)
                return r;
        ret->seq = store_i64(rows, 0);
        read_sum(rows, 1, ret->head);
        snprintf(ret->epoch, sizeof(ret->epoch), "%s", store_text(rows, 2).p);
        ret->begun = store_i64(rows, 3);
        return 0;
}

int ledger_end_save(struct store_conn *db, const struct ledger_end *end)
{
        static const char sql[] =
                "INSERT INTO ledger_end (id, seq, head, epoch, begun) VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET "
                "seq = excluded.seq, head = excluded.head, epoch = excluded.epoch, begun = excluded.begun";
        return store_exec(db, sql, NULL, I64(end->seq), BYTES(end->head, CHAIN_SIZE), TEXTZ(end->epoch), I64(end->begun));
}

int ledger_epoch_load(struct store_conn *db, char ret_epoch[40])
{
        static const char sql[] = "SELECT epoch FROM rpc_epoch WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? STORE_E_RETRY : r;
        snprintf(ret_epoch, 40, "%s", store_text(rows, 0).p);
        return 0;
}

int ledger_mark_load(struct store_conn *db, struct chain_mark *ret)
{
        static const char sql[] = "SELECT epoch, checkpoint, checkpoint_us FROM ledger_mark WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        *ret = (struct chain_mark){0};
        if (r != 1)
                return r;
        snprintf(ret->epoch, sizeof(ret->epoch), "%s", store_text(rows, 0).p);
        ret->checkpoint = store_i64(rows, 1);
        ret->checkpoint_us = store_i64(rows, 2);
        return 0;
}

int ledger_mark_save(struct store_conn *db, const struct chain_mark *mark)
{
        static const char sql[] = "INSERT INTO ledger_mark (id, epoch, checkpoint, checkpoint_us) VALUES (1, $1, $2, $3) "
                                  "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, checkpoint = excluded.checkpoint, "
                                  "checkpoint_us = excluded.checkpoint_us";
        return store_exec(db, sql, NULL, TEXTZ(mark->epoch), I64(mark->checkpoint), I64(mark->checkpoint_us));
}

int ledger_chain_insert(struct store_conn *db, const struct store_value *rows, size_t n)
{
        static const char sql[] = "INSERT INTO ledger_chain (seq, thing, id, leaf, head) VALUES ($1, $2, $3, $4, $5)";
        return store_exec_many(db, sql, rows, LEDGER_CHAIN_COLUMNS, n);
}

int ledger_head_at(struct store_conn *db, int64_t seq, unsigned char ret_head[CHAIN_SIZE])
{
        static const char sql[] = "SELECT head FROM ledger_chain WHERE seq = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        memset(ret_head, 0, CHAIN_SIZE);
        if (seq == 0)
                return 0;
        int r = store_query(db, sql, &rows, I64(seq));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? -ENODATA : r;
        read_sum(rows, 0, ret_head);
        return 0;
}

int ledger_unchained_query(struct store_conn *db, struct store_rows **ret_rows)
{
        static const char sql[] =
                "SELECT present.thing, present.id FROM (SELECT 1 AS thing, id, created_us FROM ledger_transfer UNION ALL "
                "SELECT 2, id, created_us FROM ledger_account UNION ALL SELECT 3, id, created_us FROM fund UNION ALL "
                "SELECT 4, id, created_us FROM fund_consent) AS present "
                "LEFT JOIN ledger_chain c ON c.id = present.id AND c.thing = present.thing WHERE c.seq IS NULL "
                "ORDER BY present.created_us, present.thing DESC, present.id";
        return store_query(db, sql, ret_rows);
}
