/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a log is what it was: rows are given in their order, with what was signed of them; what does not fit is named. No
 * I/O: the caller reads.
 */
#pragma once

#include "common/chain/chain.h"

enum chain_fault {
        CHAIN_MISSING,    /* rows seq to through are not there */
        CHAIN_ALTERED,    /* the event, or its salt, is not the one that was taken in */
        CHAIN_LEAF,       /* the leaf was altered, the event was not */
        CHAIN_MOVED,      /* the row holds the event of sequence `other` */
        CHAIN_BROKEN,     /* the head does not follow from the row before */
        CHAIN_MISFILED,   /* the row says it is about another person than its event */
        CHAIN_MISDATED,   /* the row says it was taken in at another time than its event */
        CHAIN_ERASED,     /* erased because of `other`, which is no notice of an erasure */
        CHAIN_NOT_THEIRS, /* erased because of `other`, a notice about somebody else; or it was no such row */
        CHAIN_REWRITTEN,  /* follows, but not to what was signed here: something since the row `other` was made anew */
        CHAIN_START,      /* what stood up to seq is gone, and no cut was signed there */
        CHAIN_CUT_OFF,    /* signed up to `through`, but the log ends at seq */
        CHAIN_END,        /* the store says that it ends at `other`, with another head or row */
        CHAIN_FORGED,     /* the checkpoint at seq is not signed by this key */
        CHAIN_FOREIGN,    /* none of `count` checkpoints is */
        CHAIN_UNSIGNED,   /* no checkpoint in `name` stands at any of the rows seq to through, which are not new */
        CHAIN_TAKEN_BACK, /* `count` checkpoints of the epoch `name`, from seq to through, are void: a later one says that it
                             began at `other`. Only who restored a backup knows whether that is true */
        CHAIN_NEWER,      /* checkpoints of a newer epoch than the store's: it is an old copy */
};

struct chain_finding {
        enum chain_fault fault;
        int64_t seq, through, other, count;
        const char *name; /* or NULL */
};
/* A line for a person. what: stands in the chain: "event". */
#define CHAIN_FINDING_MAX 600
void chain_finding_text(const struct chain_finding *finding, const char *what, char out[CHAIN_FINDING_MAX]);

struct chain_row {
        int64_t seq;
        struct str event, salt; /* event {NULL, 0}: erased; then the salt is what() of it */
        struct str leaf, head;
        int64_t erased_by;      /* 0: it is whole */
        int64_t event_seq;      /* as the event itself says; -1: it cannot be read */
        int64_t taken_us;
        struct str person;      /* of an event: as chain.h has it; erased: whom the notice is about, {NULL, 0} if it is none */
        bool misfiled, misdated, is_notice;
        bool bare;              /* the leaf is what() alone: rows of nobody, of which none is ever erased */
};

/* What the store says of itself. */
struct chain_store {
        const char *epoch;
        int64_t begun; /* after which row that began */
        int64_t latest;
        unsigned char head[CHAIN_SIZE]; /* at latest */
        const char *folder; /* where the checkpoints stand, for findings */
        int64_t now_us;
        bool restored;      /* whoever asks vouches for the restores: what they took back is no finding */
};

struct chain_check;
typedef void (*chain_found_fn)(void *arg, const struct chain_finding *finding);

struct chain_check *chain_check_new(const struct chain_store *store, const unsigned char public[SIGNING_PUBLIC_SIZE],
                                    chain_found_fn found, void *arg);
struct chain_check *chain_check_free(struct chain_check *check);
DEFINE_CLEANUP(struct chain_check *, chain_check_free)

/* The next row is the one behind `after`. Before the first row, and again if the log was cut while it was read (then with the
 * checkpoints as they are now). points: as checkpoints_read gives them; kept by the caller until the next start or the end. */
void chain_check_start(struct chain_check *check, int64_t after, const struct checkpoint *points, size_t n);
void chain_check_row(struct chain_check *check, const struct chain_row *row);
/* After the last row. */
void chain_check_end(struct chain_check *check);

struct chain_counts {
        int64_t rows, erased, checkpoints; /* that fit */
        int64_t findings;
        int64_t void_points; /* of epochs before a restore, for rows that it took away; those of what is no longer kept apart */
};
const struct chain_counts *chain_check_counts(const struct chain_check *check);
