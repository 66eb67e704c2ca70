/* SPDX-License-Identifier: Apache-2.0
 *
 * What profile.c, position.c and agencies.c share.
 */
#pragma once

#include "services/stream/agencies.h"

#include <pthread.h>

#define NOTE_BUCKETS 256
#define SIGNED       256
#define SPARES       4

struct kept;
struct note;

/* A signature that was made. */
struct signed_batch {
        char epoch[LOG_EPOCH_SIZE];
        int64_t through;
        unsigned char head[CHAIN_SIZE], signature[SIGNATURE_SIZE];
};

struct agencies {
        struct segments *segments;
        pthread_mutex_t lock; /* of what follows */
        struct kept *profiles; /* the newest in front */
        size_t n_profiles;
        struct note *notes[NOTE_BUCKETS];
        struct signed_batch signatures[SIGNED]; /* by through */
        struct buf spares[SPARES];
        size_t n_spares;
};

void profiles_done(struct agencies *agencies);
void notes_done(struct agencies *agencies);
