/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries the changes of a store in use over to its copy, round by round, and follows the sums of what has been compared
 * on both sides. Inside of common/transfer.
 */
#pragma once

#include "common/transfer/end.h"

struct follow {
        struct end *source, *target;
        const struct store_table **target_tables; /* for each of the source's */
        unsigned char sum_key[ROW_KEY_SIZE];
        int64_t position; /* of the notes: those up to here are carried over */
        int64_t changes, rounds;
        /* Of the tables before `compared`, and of that one's rows up to the key `upto`: what is on each side. */
        struct row_sum *source_sums, *target_sums;
        size_t compared;
        bool begun; /* there is an upto */
        struct store_value upto[STORE_KEY_MOST];
        /* Of the round in hand. */
        struct arena *arena;
        struct keys *keys; /* for each table */
        struct page page;
        struct buf encoded;
};
void follow_init(struct follow *f, struct end *source, struct end *target, struct arena *arena);
void follow_done(struct follow *f);

/* Carries over what was noted after `position`: at most `most` notes, or all that the snapshot has (0). In the source's open
 * snapshot; a transaction on the target. A part leaves out rows that collide with what is still to be carried over; after
 * all the target is as the snapshot. *ret_n: how many notes. */
int follow_round(struct follow *f, int64_t most, int64_t *ret_n, const char **ret_error) MUST_USE;
