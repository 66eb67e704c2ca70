/* SPDX-License-Identifier: Apache-2.0
 *
 * Who writes: on SQLite one instance holds the writer's lock for life, the others stand by, serve reads, and take
 * over the moment it goes. A standby that sees the writer's heartbeat stand still ends that process. On a shared store
 * all write, as soon as the database is there.
 */
#pragma once

#include "common/loop/loop.h"
#include "common/store/store.h"

struct takeover;
struct takeover_options {
        struct loop *loop;
        struct store *store;
        const char *instance;
        const struct store_migration *migrations; /* ends with a zeroed entry */
        const struct keyring *keyring; /* must be the store's; NULL: whichever */
        const struct clock *clock;
        /* On the loop's thread: this process has the lock, and the schema is up to date. The writer is the callee's. epoch:
         * of the store, lent. */
        void (*on_writer)(void *arg, struct store_writer *writer, const char *epoch);
        /* On the loop's thread: the schema is there, so reads can be served (also without being the writer). */
        void (*on_schema)(void *arg);
        /* On the loop's thread: the store is out of use, its data is elsewhere: a line for a person says where. */
        void (*on_moved)(void *arg, const char *where);
        void *arg;
};
/* Tries at once, so that the only instance is the writer when this returns (on_writer was called); else, and on a shared
 * store, waits in a thread of its own. */
int takeover_new(const struct takeover_options *options, struct takeover **ret_takeover) MUST_USE;
/* Is the store being filled by a copy, whose end this process waits for? */
bool takeover_filling(const struct takeover *takeover);
struct takeover *takeover_free(struct takeover *takeover);
