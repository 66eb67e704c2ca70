/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendered events in memory: their life, and what has changed since they were put in. See segment.h.
 *
 * What was put in by a transaction that had not seen the newest changes gets those changes once more, from a ring of the
 * last ones.
 */
#include "services/stream/segment_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* --- life ------------------------------------------------------------------------------------------------------------- */

struct segments *segments_new(size_t max_bytes)
{
        struct segments *s = mem_zalloc(sizeof(*s));
        pthread_rwlockattr_t attributes;
        pthread_rwlockattr_init(&attributes);
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(&s->lock, &attributes);
        pthread_rwlockattr_destroy(&attributes);
        s->max_bytes = max_bytes;
        return s;
}

size_t segments_bytes(const struct segments *s)
{
        return atomic_load_explicit(&s->bytes, memory_order_relaxed);
}

struct segment **segment_bucket(struct segments *s, const struct projection *projection, EventFormat format, int64_t number)
{
        uint64_t hash = (uint64_t)number * 2 + (uint64_t)format + ((uint64_t)(uintptr_t)projection >> 4) * 31;
        return &s->buckets[hash % BUCKETS];
}

struct segment *segment_find(struct segments *s, const struct segment_ask *ask)
{
        int64_t number = ask->after / SEGMENT_EVENTS;
        struct segment *g = *segment_bucket(s, ask->projection, ask->format, number);
        while (g && (g->number != number || g->projection != ask->projection || g->format != ask->format || g->epoch != ask->epoch))
                g = g->next;
        return g;
}

void segment_count(struct segments *s, struct segment *g, size_t bytes)
{
        atomic_store_explicit(&s->bytes, segments_bytes(s) + bytes - g->counted, memory_order_relaxed);
        g->counted = bytes;
}

/* Rows from the end on have been let go already. */
static void row_done(struct segments *s, struct row *row)
{
        if (row->person)
                people_release(&s->people, row->person);
        if (row->purpose)
                word_release(&s->people, row->purpose);
}

void segment_drop(struct segments *s, struct segment *g)
{
        struct segment **at = segment_bucket(s, g->projection, g->format, g->number);
        while (*at != g)
                at = &(*at)->next;
        *at = g->next;
        segment_count(s, g, 0);
        for (unsigned i = g->begin; i < g->end; i++)
                row_done(s, &g->rows[i]);
        explicit_bzero(g->bytes.p, g->bytes.n); /* maybe of somebody who has been erased */
        buf_done(&g->bytes);
        free(g);
}

typedef bool (*segment_test)(const struct segment *segment, const void *arg);

static void drop_those(struct segments *s, segment_test test, const void *arg)
{
        for (size_t i = 0; i < BUCKETS; i++)
                for (struct segment *g = s->buckets[i], *next; g; g = next) {
                        next = g->next;
                        if (test(g, arg))
                                segment_drop(s, g);
                }
}

static bool is_any(const struct segment *g, const void *arg)
{
        (void)arg;
        return g;
}

struct segments *segments_free(struct segments *s)
{
        if (!s)
                return NULL;
        drop_those(s, is_any, NULL);
        while (s->projections) {
                struct shared_projection *p = s->projections;
                s->projections = p->next;
                projection_free(p->projection);
                free(p);
        }
        people_done(&s->people);
        pthread_rwlock_destroy(&s->lock);
        free(s);
        return NULL;
}

/* --- projections -------------------------------------------------------------------------------------------------------- */

const struct projection *segments_projection(struct segments *s, Nuanxin__Privacy most, struct view_list withheld)
{
        struct projection *fresh = projection_new(most, withheld);
        pthread_rwlock_wrlock(&s->lock);
        struct shared_projection *p = s->projections;
        while (p && !str_eq(projection_name(p->projection), projection_name(fresh)))
                p = p->next;
        if (!p) {
                p = mem_zalloc(sizeof(*p));
                p->projection = TAKE(fresh);
                p->next = s->projections;
                s->projections = p;
        }
        p->users++;
        pthread_rwlock_unlock(&s->lock);
        projection_free(fresh);
        return p->projection;
}

static bool is_of_projection(const struct segment *g, const void *arg)
{
        return g->projection == arg;
}

void segments_projection_release(struct segments *s, const struct projection *projection)
{
        struct shared_projection *gone = NULL;
        if (!projection)
                return;
        pthread_rwlock_wrlock(&s->lock);
        for (struct shared_projection **at = &s->projections; *at; at = &(*at)->next) {
                if ((*at)->projection != projection)
                        continue;
                if (--(*at)->users == 0) {
                        gone = *at;
                        *at = gone->next;
                        drop_those(s, is_of_projection, projection);
                }
                break;
        }
        pthread_rwlock_unlock(&s->lock);
        if (gone)
                projection_free(gone->projection);
        free(gone);
}

/* --- changes -------------------------------------------------------------------------------------------------------------- */

int64_t segments_told(const struct segments *s)
{
        return atomic_load(&s->told);
}

static bool has_person(const struct segment *g, const void *arg)
{
        for (unsigned i = g->begin; i < g->end; i++)
                if (g->rows[i].person == arg)
                        return true;
        return false;
}

struct person *segment_mark(struct segments *s, const char *name, bool erased)
{
        struct person *person = name[0] ? people_find(&s->people, name) : NULL;
        if (!name[0])
                people_unknown(&s->people);
        if (person) {
                person->known = false;
                person->erased = person->erased || erased;
        }
        return person;
}

static void apply(struct segments *s, const struct segment_change *change)
{
        struct person *person = segment_mark(s, change->person, change->erased);
        if (!person || !change->erased)
                return;
        person->is.users++; /* until no segment is left that has it */
        drop_those(s, has_person, person);
        people_release(&s->people, person);
}

static void remember(struct segments *s, const struct segment_change *change)
{
        struct change *c = &s->ring[s->n_changes++ % RING];
        c->seq = change->seq;
        c->erased = change->erased;
        snprintf(c->person, sizeof(c->person), "%s", change->person);
}

void segments_tell(struct segments *s, uint64_t epoch, const struct segment_change *changes, size_t n, int64_t through)
{
        pthread_rwlock_wrlock(&s->lock);
        bool ours = atomic_load(&s->epoch) == epoch;
        int64_t told = segments_told(s);
        for (size_t i = 0; ours && i < n; i++) {
                if (changes[i].seq <= told) /* another thread has told it */
                        continue;
                apply(s, &changes[i]);
                remember(s, &changes[i]);
        }
        if (ours && through > told)
                atomic_store(&s->told, through);
        pthread_rwlock_unlock(&s->lock);
}

static void forget(struct segments *s, int64_t through)
{
        drop_those(s, is_any, NULL);
        s->n_changes = 0;
        s->ring_from = through;
        atomic_store(&s->told, through);
}

void segments_forget(struct segments *s, uint64_t epoch, int64_t through)
{
        pthread_rwlock_wrlock(&s->lock);
        if (atomic_load(&s->epoch) == epoch && through > segments_told(s))
                forget(s, through);
        pthread_rwlock_unlock(&s->lock);
}

uint64_t segments_epoch_of(const char *digits)
{
        uint64_t epoch = 0;
        memcpy(&epoch, digits, strnlen(digits, sizeof(epoch)));
        return epoch;
}

void segments_enter(struct segments *s, uint64_t epoch)
{
        if (atomic_load(&s->epoch) == epoch)
                return;
        pthread_rwlock_wrlock(&s->lock);
        if (atomic_exchange(&s->epoch, epoch) != epoch)
                forget(s, 0);
        pthread_rwlock_unlock(&s->lock);
}

const struct change *segment_change_at(const struct segments *s, size_t back, int64_t as_of)
{
        if (back >= RING || back >= s->n_changes)
                return NULL;
        const struct change *c = &s->ring[(s->n_changes - 1 - back) % RING];
        return c->seq > as_of ? c : NULL;
}

bool segment_changes_reach(const struct segments *s, int64_t as_of)
{
        return as_of >= s->ring_from && (s->n_changes <= RING || s->ring[s->n_changes % RING].seq <= as_of);
}
