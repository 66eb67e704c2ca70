/* SPDX-License-Identifier: Apache-2.0
 *
 * The write lane: one thread that owns the store's writer, and what it writes beside the handlers' own rows. All
 * functions run on that thread, in its transaction, unless said otherwise. Results are the store's (0, negative, or
 * STORE_E_*): what is not 0 means that the transaction must be given up.
 */
#pragma once

#include "common/rpc/server_internal.h"

struct write_lane {
        struct rpc_server *server;
        struct store_writer *writer;
        struct store_conn *db;
        pthread_t thread;
        bool loaded;
        /* Numbers given in this transaction are taken back with it. */
        int64_t outbox_next, audit_next;
        int64_t due_next_us; /* the earliest due row, or earlier; INT64_MAX: none */
        bool dirty;          /* committed something since the last checkpoint */
        int64_t beat_us, swept_us;
        int64_t busy_us; /* last with work; 0: has rested since */
        struct buf sweep_key; /* where the sweep of answers goes on */
        int64_t answers_since_sweep;
        uint32_t commit_us; /* the last commit's duration */
        struct arena *arena; /* for the lane's own work */
        struct metric *batch_size, *replays, *reruns, *head;
};

/* write_lane.c: takes the writer over in a thread of its own. The loop's thread. */
struct write_lane *write_lane_new(struct rpc_server *server, struct store_writer *writer);
struct write_lane *write_lane_free(struct write_lane *lane); /* after lane_stop; joins */
/* Is this result the transaction's end rather than one request's failure? */
bool write_lane_lost(const struct write_lane *lane, int result);
/* One transaction of the lane's own: begin, run, commit; undone and its numbers taken back if anything fails. */
int write_lane_transaction(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg);
/* The process must not write, ever again: ends it if that is what the result says. */
void write_lane_check_deposed(int result);

/* answers.c */
int answer_find(struct write_lane *lane, struct rpc_call *call, bool *ret_found) MUST_USE; /* found: the outcome is set */
int answer_keep(struct write_lane *lane, struct rpc_call *call, bool *ret_was_there) MUST_USE;
int answer_sweep(struct write_lane *lane, void *arg) MUST_USE; /* one bounded bit */

/* audit.c */
int audit_write(struct write_lane *lane, struct rpc_call *call) MUST_USE;
int audit_load(struct write_lane *lane) MUST_USE;
const char *audit_actor(struct arena *arena, const Principal *principal);

/* outbox.c */
int outbox_load(struct write_lane *lane) MUST_USE;
int outbox_trim(struct write_lane *lane, void *arg) MUST_USE; /* one bounded bit, and what readers_note heard */

/* due.c */
int due_load(struct write_lane *lane) MUST_USE;
void due_run(struct write_lane *lane); /* what is due now, a bounded number, in a transaction of its own */
