/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of this layer, assembled from schema/.
 */
#include "common/rpc/schema.h"

STORE_SCHEMA(rpc_schema_001, "common/rpc/schema/001_rpc.sql");

const struct store_migration rpc_migrations[] = {
        {"rpc/001_rpc", rpc_schema_001},
};
const size_t rpc_n_migrations = ARRAY_LEN(rpc_migrations);
