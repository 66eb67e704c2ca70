/* SPDX-License-Identifier: Apache-2.0
 *
 * What was missing in memory: rows, and to what persons consent. Nothing that has changed since it was read may stay as it
 * was read.
 */
#include "services/stream/segment_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define NEIGHBOURS 8

static unsigned place_of(struct segment *g, struct str places)
{
        unsigned first = g->n_places > NEIGHBOURS ? g->n_places - NEIGHBOURS : 0;
        for (unsigned i = first; i < g->n_places; i++)
                if (str_eq(segment_place(g, i), places))
                        return i;
        g->places[g->n_places] = (struct place){(uint32_t)g->bytes.n, (uint32_t)places.n};
        buf_add_str(&g->bytes, places);
        return g->n_places++;
}

/* By a change that whoever loaded it had not seen; the notices of erasures stay. */
static bool erased_since(const struct segments *s, const struct segment_row *row, int64_t as_of)
{
        const char *person = row->person;
        const struct change *c;
        if (contract_messages[row->type]->notice && !row->purpose[0])
                return false;
        for (size_t i = 0; person[0] && (c = segment_change_at(s, i, as_of)); i++)
                if (c->erased && strcmp(c->person, person) == 0)
                        return true;
        return false;
}

static void put(struct segments *s, struct segment *g, const struct segment_row *from, int64_t as_of)
{
        struct row *row = &g->rows[g->end++];
        *row = (struct row){.at = (uint32_t)g->bytes.n};
        if (!from->bytes.n || erased_since(s, from, as_of))
                return;
        row->place = (uint16_t)place_of(g, from->places);
        row->at = (uint32_t)g->bytes.n;
        row->n = (uint32_t)from->bytes.n;
        row->type = (uint16_t)from->type;
        snprintf(row->id, sizeof(row->id), "%s", from->id);
        buf_add_str(&g->bytes, from->bytes);
        if (from->person[0]) {
                row->person = people_hold(&s->people, from->person);
                row->person->erased = row->person->erased || from->erased;
        }
        if (from->purpose[0])
                row->purpose = word_hold(&s->people, from->purpose);
}

static struct segment *oldest_but(struct segments *s, const struct segment *not)
{
        struct segment *oldest = NULL;
        for (size_t i = 0; i < BUCKETS; i++)
                for (struct segment *g = s->buckets[i]; g; g = g->next)
                        if (g != not && (!oldest || atomic_load_explicit(&g->used, memory_order_relaxed) <
                                                            atomic_load_explicit(&oldest->used, memory_order_relaxed)))
                                oldest = g;
        return oldest;
}

/* Where rows from ask->after + 1 on can be put: a segment that ends there, or a new one. */
static struct segment *segment_for(struct segments *s, const struct segment_ask *ask)
{
        int64_t number = ask->after / SEGMENT_EVENTS;
        unsigned at = (unsigned)(ask->after % SEGMENT_EVENTS);
        struct segment *g = segment_find(s, ask);
        if (g && at >= g->begin && at <= g->end)
                return g;
        if (g)
                segment_drop(s, g);
        g = mem_zalloc(sizeof(*g));
        g->projection = ask->projection;
        g->format = ask->format;
        g->epoch = ask->epoch;
        g->number = number;
        g->begin = g->end = at;
        struct segment **bucket = segment_bucket(s, ask->projection, ask->format, number);
        g->next = *bucket;
        *bucket = g;
        return g;
}

/* Whoever is known already is known as of a change that was told, or later. */
static void learn(struct segments *s, const struct segment *g, const struct segment_consents *consents)
{
        for (unsigned i = g->begin; i < g->end; i++) {
                struct person *person = g->rows[i].person;
                int64_t seq = g->number * SEGMENT_EVENTS + i + 1;
                if (person && !person->known && seq >= consents->first && seq <= consents->last) {
                        person_forget(&s->people, person);
                        person->known = person->fresh = true;
                }
        }
        for (size_t i = 0; i < consents->n; i++) {
                struct person *person = people_find(&s->people, consents->items[i].person);
                if (person && person->fresh)
                        person_consents(&s->people, person, consents->items[i].purpose);
        }
        for (unsigned i = g->begin; i < g->end; i++)
                if (g->rows[i].person)
                        g->rows[i].person->fresh = false;
}

/* What the transaction that found this out had not yet seen. False: that is not known any more, so the segment must not
 * stay. */
static bool catch_up(struct segments *s, const struct segment *g, int64_t as_of)
{
        const struct change *c;
        bool whole = g->epoch == atomic_load(&s->epoch) && segment_changes_reach(s, as_of);
        for (size_t i = 0; whole && (c = segment_change_at(s, i, as_of)); i++)
                (void)segment_mark(s, c->person, c->erased);
        for (unsigned i = g->begin; !whole && i < g->end; i++)
                if (g->rows[i].person)
                        g->rows[i].person->known = false;
        return whole;
}

/* Then it is put in; whatever happens to it later, who loaded it has its answer now. */
static enum segments_need settle(struct segments *s, struct segment *g, struct segment_ask *ask,
                                 const struct segment_consents *consents)
{
        ask->own = *consents;
        learn(s, g, consents);
        bool stays = catch_up(s, g, consents->as_of);
        enum segments_need need = segment_take(s, ask);
        if (!stays)
                segment_drop(s, g);
        return need;
}

/* It grows no more. */
static void fit(struct buf *b)
{
        if (b->n && b->n < b->cap)
                b->p = mem_realloc(b->p, b->cap = b->n);
}

enum segments_need segments_load(struct segments *s, struct segment_ask *ask, const struct segment_row *rows, size_t n,
                                 const struct segment_consents *consents)
{
        pthread_rwlock_wrlock(&s->lock);
        struct segment *g = segment_for(s, ask);
        unsigned at = (unsigned)(ask->after % SEGMENT_EVENTS);
        for (size_t i = g->end - at; i < n && g->end < SEGMENT_EVENTS; i++)
                put(s, g, &rows[i], consents->as_of);
        if (g->end == SEGMENT_EVENTS)
                fit(&g->bytes);
        segment_count(s, g, sizeof(*g) + g->bytes.cap);
        for (struct segment *old; segments_bytes(s) > s->max_bytes && (old = oldest_but(s, g));)
                segment_drop(s, old);
        enum segments_need need = settle(s, g, ask, consents);
        pthread_rwlock_unlock(&s->lock);
        return need;
}

enum segments_need segments_learn(struct segments *s, struct segment_ask *ask, const struct segment_consents *consents)
{
        pthread_rwlock_wrlock(&s->lock);
        struct segment *g = segment_find(s, ask);
        ask->own = *consents;
        enum segments_need need = g ? settle(s, g, ask, consents) : segment_take(s, ask);
        pthread_rwlock_unlock(&s->lock);
        return need;
}
