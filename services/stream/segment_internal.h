/* SPDX-License-Identifier: Apache-2.0
 *
 * What segment.c, segment_take.c and segment_put.c share. All of it is under the lock: shared while rows are looked at and
 * copied, alone while anything is put in, changed or thrown out.
 */
#pragma once

#include "services/stream/segment.h"
#include "services/stream/segment_people.h"

#include <pthread.h>

#define BUCKETS 1024
#define RING    4096

struct row {
        uint32_t at, n;
        uint16_t type, place;
        struct person *person; /* NULL: nobody */
        struct word *purpose;  /* NULL: none */
        char id[37];
};

/* A text in the segment's bytes. */
struct place {
        uint32_t at, n;
};

struct segment {
        struct segment *next; /* in its bucket */
        const struct projection *projection;
        EventFormat format;
        uint64_t epoch;
        int64_t number;
        unsigned begin, end; /* rows that are here: contiguous */
        struct row rows[SEGMENT_EVENTS];
        struct buf bytes;
        struct place places[SEGMENT_EVENTS]; /* distinct, as far as neighbours go */
        unsigned n_places;
        size_t counted; /* in bytes of all */
        _Atomic int64_t used;
};

struct shared_projection {
        struct shared_projection *next;
        struct projection *projection;
        size_t users;
};

struct change {
        int64_t seq;
        bool erased;
        char person[65];
};

struct segments {
        pthread_rwlock_t lock;
        size_t max_bytes;
        _Atomic size_t bytes;
        struct segment *buckets[BUCKETS];
        struct people people;
        struct shared_projection *projections;
        _Atomic uint64_t epoch;
        _Atomic int64_t told;
        struct change ring[RING];
        size_t n_changes; /* so many were put there; the newest is at (n - 1) % RING */
        int64_t ring_from; /* what was before is not there */
        _Atomic int64_t clock; /* of uses */
};

/* segment.c */
struct segment **segment_bucket(struct segments *segments, const struct projection *projection, EventFormat format, int64_t number);
struct segment *segment_find(struct segments *segments, const struct segment_ask *ask); /* where ask->after + 1 belongs */
void segment_drop(struct segments *segments, struct segment *segment);
void segment_count(struct segments *segments, struct segment *segment, size_t bytes); /* it takes so many now */
/* The newest changes after as_of, the newest first: NULL at their end. Are all of them there? */
const struct change *segment_change_at(const struct segments *segments, size_t back, int64_t as_of);
bool segment_changes_reach(const struct segments *segments, int64_t as_of);
/* NULL: nobody of that name occurs, or it is about everybody. */
struct person *segment_mark(struct segments *segments, const char *name, bool erased);

static inline struct str segment_place(const struct segment *segment, unsigned place)
{
        return (struct str){segment->bytes.p + segment->places[place].at, segment->places[place].n};
}

/* segment_take.c */
enum segments_need segment_take(struct segments *segments, struct segment_ask *ask) MUST_USE;
