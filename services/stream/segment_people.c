/* SPDX-License-Identifier: Apache-2.0
 *
 * Who occurs in the segments. See segment_people.h.
 */
#include "segment_people.h"

#include <stdlib.h>

/* --- tables by name ----------------------------------------------------------------------------------------------------- */

static struct named *named_find(const struct named_table *t, struct str name)
{
        uint64_t hash = str_hash(name);
        struct named *n = t->n_buckets ? t->buckets[hash % t->n_buckets] : NULL;
        while (n && (n->hash != hash || !str_eq(n->name, name)))
                n = n->next;
        return n;
}

static void named_grow(struct named_table *t)
{
        size_t n_buckets = t->n_buckets ? 2 * t->n_buckets : 64;
        struct named **buckets = mem_zalloc(n_buckets * sizeof(*buckets));
        for (size_t i = 0; i < t->n_buckets; i++)
                for (struct named *n = t->buckets[i], *next; n; n = next) {
                        next = n->next;
                        n->next = buckets[n->hash % n_buckets];
                        buckets[n->hash % n_buckets] = n;
                }
        free(t->buckets);
        t->buckets = buckets;
        t->n_buckets = n_buckets;
}

/* size: of the whole entry, which begins with a struct named. */
static struct named *named_hold(struct named_table *t, struct str name, size_t size)
{
        struct named *n = named_find(t, name);
        if (!n) {
                if (t->n >= t->n_buckets)
                        named_grow(t);
                n = mem_zalloc(size + name.n + 1);
                char *copied = (char *)n + size;
                memcpy(copied, name.p, name.n);
                n->name = (struct str){copied, name.n};
                n->hash = str_hash(name);
                n->next = t->buckets[n->hash % t->n_buckets];
                t->buckets[n->hash % t->n_buckets] = n;
                t->n++;
        }
        n->users++;
        return n;
}

/* True: nobody uses it any more, and it is out of the table; the caller frees it. */
static bool named_release(struct named_table *t, struct named *n)
{
        if (--n->users)
                return false;
        struct named **at = &t->buckets[n->hash % t->n_buckets];
        while (*at != n)
                at = &(*at)->next;
        *at = n->next;
        t->n--;
        return true;
}

/* --- purposes ------------------------------------------------------------------------------------------------------------- */

struct word *word_find(const struct people *people, const char *name)
{
        return (struct word *)named_find(&people->words, str_of(name));
}

struct word *word_hold(struct people *people, const char *name)
{
        return (struct word *)named_hold(&people->words, str_of(name), sizeof(struct word));
}

void word_release(struct people *people, struct word *word)
{
        if (named_release(&people->words, &word->is))
                free(word);
}

/* --- persons --------------------------------------------------------------------------------------------------------------- */

struct person *people_find(const struct people *people, const char *name)
{
        return (struct person *)named_find(&people->persons, str_of(name));
}

struct person *people_hold(struct people *people, const char *name)
{
        return (struct person *)named_hold(&people->persons, str_of(name), sizeof(struct person));
}

void people_release(struct people *people, struct person *person)
{
        if (!named_release(&people->persons, &person->is))
                return;
        person_forget(people, person);
        free(person);
}

void people_unknown(struct people *people)
{
        for (size_t i = 0; i < people->persons.n_buckets; i++)
                for (struct named *n = people->persons.buckets[i]; n; n = n->next)
                        ((struct person *)n)->known = false;
}

void people_done(struct people *people)
{
        free(people->persons.buckets);
        free(people->words.buckets);
        *people = (struct people){0};
}

void person_forget(struct people *people, struct person *person)
{
        for (unsigned i = 0; i < person->n_purposes; i++)
                word_release(people, person->purposes[i]);
        free(person->purposes);
        person->purposes = NULL;
        person->n_purposes = 0;
}

void person_consents(struct people *people, struct person *person, const char *purpose)
{
        person->purposes = mem_realloc(person->purposes, (person->n_purposes + 1) * sizeof(struct word *));
        person->purposes[person->n_purposes++] = word_hold(people, purpose);
}
