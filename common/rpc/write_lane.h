/* SPDX-License-Identifier: Apache-2.0
 *
 * The write lane: the threads that own the store's writing connections, and what they write beside the handlers' own rows.
 * One thread on SQLite; several on a shared store, where they take from one queue. The functions of a lane run on its
 * thread, in its transaction, unless said otherwise. Results are the store's (0, negative, or STORE_E_*): what is not 0
 * means that the transaction must be given up.
 */
#pragma once

#include "common/rpc/server_internal.h"
#include "common/store/whole.h"

struct leader;
struct listener;

/* One thread, or the leader's own work, with one connection. */
struct write_lane {
        struct rpc_server *server;
        struct write_lanes *all;
        unsigned index;
        struct store_conn *db; /* NULL until connected (shared) */
        pthread_t thread;
        bool shared;
        bool loaded;
        /* Numbers given in this transaction are taken back with it. On a shared store they only count (numbers.c). */
        int64_t outbox_next, audit_next;
        int64_t news;        /* what this transaction tells of the service's own position; 0: nothing */
        int64_t due_next_us; /* the earliest due row, or earlier; INT64_MAX: none */
        bool dirty;          /* committed something since the last checkpoint */
        bool wakes;          /* this transaction has news for the worker, if it is not undone */
        int64_t beat_us, swept_us, ticked_us;
        int64_t busy_us; /* last with work; 0: has rested since */
        struct store_use use; /* SQLite: what a move asked; taken back with the transaction */
        struct buf sweep_key; /* where the sweep of answers goes on; */
        int64_t sweep_front_us, sweep_us; /* among the gateway's keys; and when the last one was */
        int64_t answers_since_sweep;
        uint32_t commit_us; /* the last commit's duration */
        int64_t written;     /* SQLite: rows, when it was last looked */
        unsigned careful;    /* SQLite: so many batches give each request a savepoint */
        struct arena *arena; /* for the lane's own work */

        /* Shared stores only. */
        struct call_list held;     /* taken, and not yet done with: the store was not reached */
        int64_t attempt_us;        /* how long the last attempt took to fail; 0: the store is there */
        int64_t backoff_us, due_looked_us;
        bool alone;                /* one request in this transaction */
        bool outcome_unknown;      /* of the last transaction: the connection was lost while it was committed */
        _Atomic int64_t moved_us;  /* when the thread last came round, for the watchdog */
};

/* All of a process. */
struct write_lanes {
        struct rpc_server *server;
        struct store_writer *writer;
        struct leader *leader;     /* NULL on SQLite: who writes leads */
        struct listener *listener; /* likewise: who writes knows */
        pthread_mutex_t turn; /* shared: held by the lane that writes, while they take turns after a conflict */
        _Atomic int64_t contended_until_us;
        struct metric *batch_size, *replays, *reruns, *retried, *unreached;
        size_t n;
        struct write_lane items[];
};

/* write_lane.c: takes the writer over, in threads of its own. The loop's thread. */
struct write_lanes *write_lanes_new(struct rpc_server *server, struct store_writer *writer);
struct write_lanes *write_lanes_free(struct write_lanes *lanes); /* after lane_stop; joins; takes NULL */
/* A lane without a thread, for work of the caller's own. */
void write_lane_init(struct write_lane *lane, struct write_lanes *all);
void write_lane_done(struct write_lane *lane);
/* Is this result the transaction's end rather than one request's failure? */
bool write_lane_lost(const struct write_lane *lane, int result);
/* One transaction of the lane's own: begin, run, commit; undone and its numbers taken back if anything fails. */
int write_lane_transaction(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg);
/* Shared: likewise, but kept apart from others only by what it locks itself. */
int write_lane_loosely(struct write_lane *lane, int (*run)(struct write_lane *lane, void *arg), void *arg);
/* The process must not write, ever again: ends it if that is what the result says. */
void write_lane_check_deposed(int result);
/* Any thread: for how long the thread that stands still longest has not come round. Shared stores. */
int64_t write_lanes_still_us(const struct write_lanes *lanes);

/* batch.c */
#define WRITE_RETRY_MS 1000 /* what those who are told to come again wait */
int batch_write_all(struct write_lane *lane, void *calls) MUST_USE; /* the requests of a call_list, in the open transaction */
/* Could there be a stored answer? Only the gateway's own first attempt is surely the first with its key; for it the
 * answer's insertion tells. */
bool batch_may_be_repeated(const struct rpc_call *call);
void batch_give_up(struct write_lane *lane, struct rpc_call *call, int error); /* its outcome: unavailable */
void batch_note_commit(const struct write_lane *lane, struct call_list *calls);
/* Answers what must not run any more; room_us: how long before its deadline a request is given up. */
void batch_sort_out(struct call_list *calls, int64_t room_us, struct call_list *run, struct call_list *done);
void batch_run(struct write_lane *lane, struct call_list *calls); /* SQLite: all of it, to its end */

/* shared_lane.c */
void *shared_lane_main(void *lane);

/* answers.c */
int answer_find(struct write_lane *lane, struct rpc_call *call, bool *ret_found) MUST_USE; /* found: the outcome is set */
int answer_keep(struct write_lane *lane, struct rpc_call *call, bool *ret_was_there) MUST_USE;
/* Does not wait: whether it was there is told later, as STORE_E_CONSTRAINT. */
int answer_add(struct write_lane *lane, struct rpc_call *call) MUST_USE;
int answer_sweep(struct write_lane *lane, void *arg) MUST_USE; /* one bounded bit */

/* audit.c */
int audit_write(struct write_lane *lane, struct rpc_call *call) MUST_USE;
const char *audit_actor(struct arena *arena, const Principal *principal);

/* numbers.c; rpc_emit is there too */
struct audit_row {
        int64_t time_us;
        const char *principal, *client, *method, *subject, *organization, *outcome, *purpose;
        struct str trace;
};
struct numbered {
        int64_t n, head, oldest_us; /* head and the oldest's time are 0 if n is */
};
int numbers_load(struct write_lane *lane) MUST_USE; /* not shared: goes on from what is there */
int numbers_audited(struct write_lane *lane, int64_t *ret_newest) MUST_USE; /* 0: no audit row */
int numbers_audit(struct write_lane *lane, const struct audit_row *row) MUST_USE;
/* Shared, and the lease is held in this transaction: moves up to limit arrivals to the outbox. */
int numbers_give(struct write_lane *lane, int64_t limit, struct numbered *ret) MUST_USE;
/* Shared, for who makes something anew from all rows: every event whose effect this transaction sees has a position when
 * it ends, up to *ret_head, and nobody else gives any meanwhile. */
int numbers_settle(struct write_lane *lane, int64_t *ret_head) MUST_USE;
int numbers_waiting(struct write_lane *lane, int64_t *ret_n) MUST_USE; /* up to 100,000 */

/* outbox.c */
int outbox_load_epoch(struct write_lane *lane) MUST_USE;
int outbox_save_readers(struct write_lane *lane, void *arg) MUST_USE; /* what readers_note heard */
/* One bounded bit, and what readers_note heard; head: int64_t, the newest position. */
int outbox_trim(struct write_lane *lane, void *head) MUST_USE;

/* due.c */
int due_load(struct write_lane *lane) MUST_USE;
void due_run(struct write_lane *lane); /* what is due now, a bounded number, in transactions of its own */

/* tick.c: rpc_service's tick, if there is one; ret_wrote: bool. */
int tick_run(struct write_lane *lane, void *ret_wrote) MUST_USE;
