/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the consumers of this outbox have come, as their pulls say: heard by the read lane's threads, stored now and
 * then by the write lane.
 */
#include "common/rpc/server_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define READERS_MAX    64 /* more are not waited for */
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

void readers_note(struct readers *readers, const char *name, int64_t position, int64_t now_us)
{
        size_t i = 0;
        pthread_mutex_lock(&readers->lock);
        while (i < readers->n && strcmp(readers->items[i].name, name) != 0)
                i++;
        if (i < READERS_MAX) {
                struct reader *reader = &readers->items[i];
                bool fresh = i == readers->n;
                if (fresh) {
                        readers->n++;
                        snprintf(reader->name, sizeof(reader->name), "%s", name);
                }
                if (fresh || position != reader->position || now_us - reader->seen_us > STILL_THERE_US) {
                        reader->changed = true;
                        reader->position = position;
                        reader->seen_us = now_us;
                }
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
