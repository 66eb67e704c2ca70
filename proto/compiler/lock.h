/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock file: what has been promised and must hold for ever within a version. One line a promise, sorted:
 *
 *     event   NAME = topic subject
 *     field   MESSAGE NUMBER = singular|repeated TYPE name jsonName [oneof=NAME] [required]
 *     message NAME = HASH…              shapes it has had, oldest first; the last is today's
 *     method  NAME = INPUT OUTPUT [GET /path [BODY]]
 *     value   ENUM NUMBER = NAME
 */
#pragma once

#include "emit.h"
#include "source.h"

struct lock {
        const char *path;
        struct promise *old, *now; /* sorted by key */
        size_t n_old, n_now;
        size_t additions; /* in the contract and not in the lock */
};

/* Compares the contract with the lock's text; adds a refusal for every promise that is broken. */
void lock_check(struct lock *ret_lock, const struct model *model, const char *path, struct str text,
                struct refusals *refusals);

/* The lock's text for today's contract, with the history of shapes. */
void lock_write(struct buf *out, const struct lock *lock);

/* The earlier shapes of every method's input, or output; memory in the model's arena. */
struct pasts lock_pasts(const struct model *model, const struct lock *lock, bool outputs);
