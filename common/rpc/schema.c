/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of this layer, assembled from schema/.
 */
#include "common/rpc/schema.h"
#include "common/base/id.h"
#include "common/crypto/crypto.h"

#include <stdio.h>
#include <string.h>

STORE_SCHEMA(rpc_schema_001, "common/rpc/schema/001_rpc.sql");
STORE_SCHEMA(rpc_schema_002, "common/rpc/schema/002_shared.sql");
STORE_SCHEMA(rpc_schema_003, "common/rpc/schema/003_keyring.sql");

const struct store_migration rpc_migrations[] = {
        {"rpc/001_rpc", rpc_schema_001},
        {"rpc/002_shared", rpc_schema_002},
        {"rpc/003_keyring", rpc_schema_003},
};
const size_t rpc_n_migrations = ARRAY_LEN(rpc_migrations);

static size_t length(const struct store_migration *list)
{
        size_t n = 0;
        while (list && list[n].name)
                n++;
        return n;
}

int rpc_migrate(struct store_conn *writer, const struct store_migration *service, const char **ret_error)
{
        int r = store_migrate(writer, rpc_migrations, rpc_n_migrations, ret_error);
        return r == 0 ? store_migrate(writer, service, length(service), ret_error) : r;
}

int rpc_schema_fits(struct store_conn *conn, const struct store_migration *service, const char **ret_error)
{
        int r = store_schema_fits(conn, rpc_migrations, rpc_n_migrations, ret_error);
        return r == 1 ? store_schema_fits(conn, service, length(service), ret_error) : r;
}

int rpc_epoch_load(struct store_conn *writer, int64_t now_us, char epoch[RPC_EPOCH_SIZE])
{
        static const char make[] = "INSERT INTO rpc_epoch (id, epoch) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        static const char sql[] = "SELECT epoch FROM rpc_epoch WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        char id[ID_TEXT_SIZE];

        id_new(id, now_us);
        int r = store_exec(writer, make, NULL, TEXTZ(id));
        if (r == 0)
                r = store_query(writer, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? STORE_E_RETRY : r; /* another has just made it: not in this snapshot */
        snprintf(epoch, RPC_EPOCH_SIZE, "%s", store_text(rows, 0).p);
        return 0;
}

int rpc_keyring_fits(struct store_conn *conn, const struct keyring *keyring, const char **ret_error)
{
        static const char sql[] = "SELECT mark FROM rpc_keyring WHERE id = 1";
        unsigned char ours[BLIND_INDEX_SIZE];
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;

        int r = store_query(conn, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        struct str mark = store_bytes(rows, 0);
        keyring_mark(keyring, ours);
        if (mark.n == sizeof(ours) && memcmp(mark.p, ours, sizeof(ours)) == 0)
                return 0;
        *ret_error = "what is in this store was sealed with another keyring: copy that one here (from another host, or its backup), or give --keys";
        return -EKEYREJECTED;
}

int rpc_keyring_bind(struct store_conn *writer, const struct keyring *keyring, const char **ret_error)
{
        static const char sql[] = "INSERT INTO rpc_keyring (id, mark) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        unsigned char mark[BLIND_INDEX_SIZE];

        keyring_mark(keyring, mark);
        int r = store_begin(writer);
        if (r == 0)
                r = store_exec(writer, sql, NULL, BYTES(mark, sizeof(mark)));
        if (r == 0)
                r = store_commit(writer);
        store_rollback(writer);
        return r == 0 ? rpc_keyring_fits(writer, keyring, ret_error) : r;
}
