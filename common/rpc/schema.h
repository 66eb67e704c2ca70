/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables that every service's store has (answers, audit, outbox, cursors, due work): run before a service's own
 * migrations, by whoever becomes its writer.
 */
#pragma once

#include "common/store/store.h"

extern const struct store_migration rpc_migrations[];
extern const size_t rpc_n_migrations;

/* Both lists, this layer's and the service's own (ends with a zeroed entry), as store.h says of one. */
int rpc_migrate(struct store_conn *writer, const struct store_migration *service, const char **ret_error) MUST_USE;
int rpc_schema_fits(struct store_conn *conn, const struct store_migration *service, const char **ret_error) MUST_USE;

/* In the writer's transaction: the history that this store's events belong to (a UUIDv7), made by its first writer. */
#define RPC_EPOCH_SIZE 40
int rpc_epoch_load(struct store_conn *writer, int64_t now_us, char epoch[RPC_EPOCH_SIZE]) MUST_USE;

/* The store's first writer notes which keyring seals what is in it; everybody's must be the same. -EKEYREJECTED: it is another,
 * and the error says what to do. Not noted yet is no error. */
struct keyring;
int rpc_keyring_bind(struct store_conn *writer, const struct keyring *keyring, const char **ret_error) MUST_USE;
int rpc_keyring_fits(struct store_conn *conn, const struct keyring *keyring, const char **ret_error) MUST_USE;
