/* SPDX-License-Identifier: Apache-2.0
 *
 * The row that says who leads, on a shared store. Each function is for an open transaction (READ COMMITTED), and returns 1
 * for yes, 0 for no, or what the store said.
 */
#pragma once

#include "common/store/store.h"

struct lease {
        char holder[128]; /* unique to this life of the process */
        int64_t term;     /* of the last time it was taken */
};

/* Takes it if nobody's runs. Never waits for a transaction of its holder, but when it has run out. */
int lease_take(struct store_conn *db, struct lease *lease, int64_t life_us) MUST_USE;
int lease_renew(struct store_conn *db, const struct lease *lease, int64_t life_us) MUST_USE;
/* Is it still ours? Until this transaction ends nobody can take it: what it changes is done as the holder or not at all. */
int lease_hold(struct store_conn *db, const struct lease *lease) MUST_USE;
/* It runs out at once. */
/* 1: nobody takes, keeps or uses the lease until the transaction ends, whose it may be. 0: there was none yet. */
int lease_block(struct store_conn *db) MUST_USE;
int lease_give(struct store_conn *db, const struct lease *lease) MUST_USE;
