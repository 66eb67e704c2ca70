/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the consumers of this outbox have come, as their pulls say: heard by the read lane's threads, stored now and
 * then by the write lane.
 */
#include "common/rpc/server_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define READERS_MAX    64 /* beyond that, who was silent longest is known by the store's row alone */
#define STILL_THERE_US (10 * CLOCK_MINUTE_US) /* how often one that has not moved is stored again */

struct reader {
        char name[65];
        int64_t position, seen_us;
        bool changed;
};

struct readers {
        pthread_mutex_t lock;
        struct reader items[READERS_MAX];
        size_t n;
};

struct readers *readers_new(void)
{
        struct readers *readers = mem_zalloc(sizeof(*readers));
        pthread_mutex_init(&readers->lock, NULL);
        return readers;
}

struct readers *readers_free(struct readers *readers)
{
        if (readers)
                pthread_mutex_destroy(&readers->lock);
        free(readers);
        return NULL;
}

/* Under the lock: its place, maybe a new one, then without a name. */
static struct reader *find(struct readers *readers, const char *name)
{
        struct reader *oldest = &readers->items[0];
        for (size_t i = 0; i < readers->n; i++) {
                if (strcmp(readers->items[i].name, name) == 0)
                        return &readers->items[i];
                if (readers->items[i].seen_us < oldest->seen_us)
                        oldest = &readers->items[i];
        }
        if (readers->n < READERS_MAX)
                oldest = &readers->items[readers->n++];
        *oldest = (struct reader){0};
        return oldest;
}

void readers_note(struct readers *readers, const char *name, int64_t position, int64_t now_us)
{
        pthread_mutex_lock(&readers->lock);
        struct reader *reader = find(readers, name);
        if (!reader->name[0] || position != reader->position || now_us - reader->seen_us > STILL_THERE_US) {
                snprintf(reader->name, sizeof(reader->name), "%s", name);
                reader->changed = true;
                reader->position = position;
                reader->seen_us = now_us;
        }
        pthread_mutex_unlock(&readers->lock);
}

int readers_save(struct readers *readers, readers_save_fn save, void *arg)
{
        for (size_t i = 0; i < READERS_MAX; i++) {
                pthread_mutex_lock(&readers->lock);
                struct reader copy = readers->items[i];
                readers->items[i].changed = false;
                pthread_mutex_unlock(&readers->lock);
                int r = copy.changed ? save(arg, copy.name, copy.position, copy.seen_us) : 0;
                if (r != 0)
                        return r;
        }
        return 0;
}
