/* SPDX-License-Identifier: Apache-2.0
 *
 * Who occurs in the segments, and to what they consent: entries that live while they are used. For segment.c only, under
 * its lock.
 */
#pragma once

#include "common/base/str.h"

/* What both have: by its name in a table. */
struct named {
        struct named *next; /* in its bucket */
        uint64_t hash;
        size_t users;
        struct str name; /* NUL-terminated */
};
struct named_table {
        struct named **buckets;
        size_t n_buckets, n;
};

/* A purpose. */
struct word {
        struct named is;
};

struct person {
        struct named is;
        bool known;  /* the purposes are those of now, as far as was told */
        bool erased;
        bool fresh;  /* while it is being learnt */
        unsigned n_purposes;
        struct word **purposes; /* to which the person consents */
};

struct people {
        struct named_table persons, words;
};
void people_done(struct people *people); /* when nobody uses any */

struct person *people_find(const struct people *people, const char *name); /* NULL: occurs nowhere */
struct person *people_hold(struct people *people, const char *name);       /* one more user; a new one is not known */
void people_release(struct people *people, struct person *person);
void people_unknown(struct people *people); /* of nobody are the purposes known any more */

void person_forget(struct people *people, struct person *person); /* its purposes */
void person_consents(struct people *people, struct person *person, const char *purpose);

struct word *word_find(const struct people *people, const char *name);
struct word *word_hold(struct people *people, const char *name);
void word_release(struct people *people, struct word *word);
