/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of this layer, assembled from schema/.
 */
#include "common/rpc/schema.h"

STORE_SCHEMA(rpc_schema_001, "common/rpc/schema/001_rpc.sql");
STORE_SCHEMA(rpc_schema_002, "common/rpc/schema/002_shared.sql");

const struct store_migration rpc_migrations[] = {
        {"rpc/001_rpc", rpc_schema_001},
        {"rpc/002_shared", rpc_schema_002},
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
