/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQL of the log and of the organisations' paths, behind plain structs; what readers of the log use of it is in log.h.
 * Functions run inside the caller's transaction; texts that they hand out live in the given arena. Results: 0;
 * STREAM_E_ABSENT where said; STORE_E_RETRY and negative errors are for the caller's caller.
 */
#pragma once

#include "services/stream/log.h"

#define STREAM_E_ABSENT 900 /* there is no such row */

extern const struct store_migration stream_migrations[];

/* store_query's result and its first row: 0 with a row, STREAM_E_ABSENT without, or what failed.
 *   r = first_row(store_query(db, sql, &rows, …), rows); */
#define first_row(query_result, rows)                                                                        \
        ({                                                                                                   \
                int r_ = (query_result);                                                                     \
                if (r_ == 0) {                                                                               \
                        r_ = store_next(rows);                                                               \
                        r_ = r_ == 1 ? 0 : r_ == 0 ? STREAM_E_ABSENT : r_;                                   \
                }                                                                                            \
                r_;                                                                                          \
        })

/* --- organisations (store_organization.c) ------------------------------------------------------------------------- */

int organization_save(struct store_conn *db, const char *code, const char *path) MUST_USE;
int organization_path_load(struct store_conn *db, struct arena *arena, struct str code, const char **ret_path) MUST_USE; /* or ABSENT */

/* --- writing the log (store_log.c) ---------------------------------------------------------------------------------- */

/* Of a packed event of n bytes: what it is reckoned to take. */
int64_t log_event_bytes(size_t n);
/* By what the events of a person are found; there may be others of the same. */
int64_t log_person_hash(struct str person);

struct log_end {
        int64_t seq, bytes, begun;
        unsigned char head[CHAIN_SIZE];
        char epoch[40]; /* of the last event */
};
/* On a shared store nobody else takes events in until this transaction ends: call it before anything else in it. */
int log_end_lock(struct rpc_call *call) MUST_USE;
int log_end_load(struct store_conn *db, struct log_end *ret) MUST_USE; /* all zero before the first event */
int log_end_save(struct store_conn *db, const struct log_end *end) MUST_USE;
int log_epoch_load(struct store_conn *db, char ret_epoch[40]) MUST_USE; /* the store's own */

/* Rows of the table, LOG_COLUMNS values each. */
#define LOG_COLUMNS 7 /* seq, person, taken_us, event, salt, leaf, head */
int log_insert(struct store_conn *db, const struct store_value *rows, size_t n) MUST_USE;

struct log_mark {
        int64_t cut, freed, checkpoint, checkpoint_us;
        unsigned char cut_head[CHAIN_SIZE];
        char epoch[40]; /* of the checkpoint */
};
int log_mark_load(struct store_conn *db, struct log_mark *ret) MUST_USE;
int log_mark_save(struct store_conn *db, const struct log_mark *mark) MUST_USE;

/* A row as it stands, for those who cut, erase and check. */
struct log_raw {
        int64_t seq, taken_us, erased_by;
        struct str event, salt; /* event {NULL, 0}: erased */
        unsigned char head[CHAIN_SIZE];
};
int log_read_raw(struct store_conn *db, struct arena *arena, int64_t after, size_t limit, struct log_raw **ret_rows,
                 size_t *ret_n) MUST_USE;
int log_delete_through(struct store_conn *db, int64_t seq) MUST_USE;

/* The events of a person (or of another with the same hash), after `after` and before `before`, in their order. */
typedef int read_person_fn(struct store_conn *db, struct arena *arena, int64_t person, int64_t after, int64_t before, size_t limit,
                           struct log_raw **ret_rows, size_t *ret_n) MUST_USE;
read_person_fn log_read_person;
int log_erase(struct store_conn *db, const struct log_raw *row, int64_t by) MUST_USE; /* the row as it stands, whole */

/* The state. subject: with what the type tells apart besides. */
int state_put(struct store_conn *db, const char *type, const char *subject, int64_t seq, int64_t person, struct str event) MUST_USE;
read_person_fn state_read_person;
int state_delete(struct store_conn *db, int64_t seq) MUST_USE;
