/* SPDX-License-Identifier: Apache-2.0
 *
 * The log as its readers see it: rows in their order, how far it goes, cursors, the signature under a batch. Who may see
 * what of it is view.c's. Functions that take a connection read within the caller's transaction, on any connection;
 * what they hand out lives in the arena. Results: 0; STORE_E_RETRY and negative errors are passed on.
 */
#pragma once

#include "common/chain/chain.h"
#include "common/rpc/rpc.h"
#include "contract/stream_v1.h"

/* --- how far it goes --------------------------------------------------------------------------------------------- */

#define LOG_EPOCH_SIZE  9  /* eight hexadecimal digits and the NUL */
#define LOG_CURSOR_SIZE 32

struct log_position {
        char epoch[LOG_EPOCH_SIZE]; /* as cursors begin; another one after a restore */
        int64_t oldest;             /* the first that is kept; latest + 1: it is empty */
        int64_t latest;             /* 0: nothing was ever taken in */
        unsigned char head[CHAIN_SIZE]; /* of the chain at latest */
        int64_t bytes;              /* of all that is kept */
        int64_t oldest_us;          /* when the oldest was taken in; 0: it is empty */
        int64_t checkpoint, checkpoint_us; /* the newest that was signed */
};
/* One query. STORE_E_RETRY while the store had no writer yet. */
int log_position(struct store_conn *db, struct log_position *ret) MUST_USE;

#define LOG_E_GONE    910 /* another epoch, or older than what is kept: PROBLEM_CURSOR_GONE */
#define LOG_E_UNKNOWN 911 /* malformed, or newer than what there is: PROBLEM_CURSOR_UNKNOWN */
/* After which sequence to go on; "" is before the oldest. Pure. */
int log_cursor_read(const struct log_position *position, struct str cursor, int64_t *ret_after) MUST_USE;
void log_cursor_write(const struct log_position *position, int64_t seq, char out[LOG_CURSOR_SIZE]);
/* Of a store's epoch, a UUIDv7: its last digits, since the first are a time, which two restores may share. */
void log_epoch_digits(struct str epoch, char out[LOG_EPOCH_SIZE]);
int log_latest(struct store_conn *db, int64_t *ret) MUST_USE; /* rpc_service's news */
/* When the first event after seq was taken in; 0: there is none. */
int log_taken_after(struct store_conn *db, int64_t seq, int64_t *ret_us) MUST_USE;

/* A read waits for more than latest: return rpc_later_news(call, position.latest). */

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct log_row {
        int64_t seq;
        int64_t erased_by;         /* the sequence of the notice that erased it; then event is NULL. 0: it is whole */
        const StoredEvent *event;
        const struct contract_message *contract; /* of event->type; NULL: this build does not know it, nobody may see it */
        unsigned char head[CHAIN_SIZE];          /* of the chain here; of rows of the state not filled */
};

/* After `after`, up to and with `through`: at most `limit` rows, and no more once their events have `bytes`; at least
 * one if there is one. In order and without gaps, from after + 1 on, if that is not older than position.oldest. */
int log_read(struct store_conn *db, struct arena *arena, int64_t after, int64_t through, size_t limit, size_t bytes,
             struct log_row **ret_rows, size_t *ret_n) MUST_USE;
/* The chain's head at seq, from oldest - 1 on. */
int log_head_at(struct store_conn *db, int64_t seq, unsigned char ret_head[CHAIN_SIZE]) MUST_USE;

/* What the log no longer keeps: of each type and subject (and `part` of it) the newest event, ordered by its sequence;
 * after `after` as above. One that is replaced while somebody pages through comes again, later. When nothing is left,
 * position.oldest - 1, read in the same transaction, is where to go on in the log. */
int log_state_read(struct store_conn *db, struct arena *arena, int64_t after, size_t limit, size_t bytes,
                   struct log_row **ret_rows, size_t *ret_n) MUST_USE;

/* --- signatures ----------------------------------------------------------------------------------------------------- */

/* What this service keeps in memory (rpc_state). */
struct stream_state;
/* Under a batch: of the cursor's epoch, through, and the head there (chain_batch_text). About 30 µs: keep it. Any thread. */
void log_sign(struct rpc_call *call, const char epoch[LOG_EPOCH_SIZE], int64_t through, const unsigned char head[CHAIN_SIZE],
              unsigned char out[SIGNATURE_SIZE]);
