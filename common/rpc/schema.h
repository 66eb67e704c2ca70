/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables that every service's store has (answers, audit, outbox, cursors, due work): run before a service's own
 * migrations, by whoever becomes its writer.
 */
#pragma once

#include "common/store/store.h"

extern const struct store_migration rpc_migrations[];
extern const size_t rpc_n_migrations;
