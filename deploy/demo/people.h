/* SPDX-License-Identifier: Apache-2.0
 *
 * Invented people with real-looking names and valid ID numbers, spread over real villages. The same number gives the
 * same person, so a second demo meets the same members.
 */
#pragma once

#include "common/base/arena.h"

struct division {
        char code[16], parent[16], name[80];
        int level;       /* 1 province … 5 village */
        int parent_index; /* -1 at the top */
        int64_t attended; /* what was acknowledged, here and below */
};
struct divisions {
        struct division *all; /* sorted by code */
        size_t n;
        size_t *villages; /* indexes */
        size_t n_villages;
};
/* Reads code,parent_code,level,name. -EBADMSG with the line on standard error if it is another file. */
int divisions_load(const char *path, struct divisions *ret) MUST_USE;
void divisions_done(struct divisions *divisions);
int divisions_find(const struct divisions *divisions, const char *code); /* index or -1 */

struct person {
        char name[32];
        char id_number[19]; /* GB 11643-1999, with its checksum */
        char phone[12];
        size_t village; /* index into divisions */
};
void person_make(const struct divisions *divisions, unsigned number, struct person *ret);
