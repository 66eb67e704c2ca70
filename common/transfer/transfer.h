/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole stores: backed up to a file, restored from one, and moved from SQLite to PostgreSQL while the service goes on.
 * For the operator's command; what it copies it reads back and compares. Nothing here knows a service's tables: they
 * are those of its migrations, which stand in the store. All run for long, on the caller's thread.
 */
#pragma once

#include "common/crypto/crypto.h"
#include "common/store/store.h"

struct transfer_table {
        const char *name;
        int64_t rows;
        char sum[33]; /* 128 bits in hexadecimal, under a key of this copying */
};
struct transfer_report {
        const char *service, *engine; /* "sqlite" or "postgresql": of the store that was copied */
        const char *epoch;            /* of the outbox */
        int64_t position;             /* of its newest event */
        int64_t time_us;              /* when it was so */
        const char *const *migrations;
        size_t n_migrations;
        const struct transfer_table *tables;
        size_t n_tables;
        int64_t rows, bytes; /* bytes: of the backup's file */
        int64_t took_us, pause_us;
        int64_t rounds, changes; /* of a move: what was caught up with */
        bool finished_only;      /* of a move: an earlier one had been broken off behind the switch */
};

/* How far it is: done of total (0: unknown), for a person to see. Called often. */
struct transfer_progress {
        void (*show)(void *arg, const char *what, int64_t done, int64_t total);
        void *arg;
};

/* All of these: 0, or a negative errno or STORE_E_* with a line for a person in *ret_error. What the report holds stands
 * in the arena. */

/* One snapshot, while the service runs or not; the file (0600) is there only when it is whole, synced, and was read back. */
int backup_make(const char *store_url, const char *file, const struct keyring *keyring, const struct transfer_progress *progress,
                struct arena *arena, struct transfer_report *ret_report, const char **ret_error) MUST_USE;
/* Reads all of it; verify: and adds up every row. */
int backup_look(const char *file, const struct keyring *keyring, bool verify, const struct transfer_progress *progress,
                struct arena *arena, struct transfer_report *ret_report, const char **ret_error) MUST_USE;
/* Into an empty store of either engine, which no service uses meanwhile. Its outbox begins a new epoch (in the report), so
 * that consumers begin with a snapshot. Broken off it leaves a store that services refuse and a second run clears. */
int backup_restore(const char *file, const char *store_url, const struct keyring *keyring, const struct transfer_progress *progress,
                   struct arena *arena, struct transfer_report *ret_report, const char **ret_error) MUST_USE;

/* --- moving ------------------------------------------------------------------------------------------------------------- */

/* What the source's service is asked to do (common/rpc/use.h), by whoever can reach it. */
enum move_step {
        MOVE_FOLLOW, /* note changes from now on; again: goes on doing so */
        MOVE_HOLD,   /* write no more, for 2 s at most */
        MOVE_RESUME, /* write again, and go on noting */
        MOVE_LEAVE,  /* never write again: the data is elsewhere */
        MOVE_END,    /* as before: the move was given up */
};
struct move_peer {
        int (*step)(void *arg, const char *service, enum move_step step, const char *id, const char *other, const char **ret_error);
        /* The source's standbys serve no more reads either; those that do not answer soon find out by themselves. */
        void (*part)(void *arg, const char *service);
        void *arg;
};
struct move_options {
        const char *source, *target;
        int64_t instances; /* so many must wait on the target before the switch */
        const struct move_peer *peer;
        const struct transfer_progress *progress;
};
int store_move(const struct move_options *options, struct arena *arena, struct transfer_report *ret_report,
               const char **ret_error) MUST_USE;
