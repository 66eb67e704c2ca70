/* SPDX-License-Identifier: Apache-2.0
 *
 * A bump allocator over a list of blocks; the first block survives resets, so a steady load allocates nothing.
 */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN 16u

struct block {
        struct block *next;
        size_t size;
        size_t used;
        size_t pad_; /* keeps data 16-byte aligned */
        char data[];
};

struct arena {
        struct block *first;   /* kept across resets */
        struct block *current; /* where the next bytes come from; heads the list of extra blocks */
        size_t total;
};

static struct block *block_new(size_t size)
{
        struct block *b = malloc(sizeof(*b) + size);
        if (!b)
                abort();
        b->next = NULL;
        b->size = size;
        b->used = 0;
        return b;
}

struct arena *arena_new(size_t first_block)
{
        struct arena *a = mem_zalloc(sizeof(*a));
        a->first = a->current = block_new(first_block < 1024 ? 1024 : first_block);
        return a;
}

void arena_reset(struct arena *a)
{
        while (a->current != a->first) {
                struct block *b = a->current;
                a->current = b->next;
                free(b);
        }
        a->first->used = 0;
        a->total = 0;
}

struct arena *arena_free(struct arena *a)
{
        if (a) {
                arena_reset(a);
                free(a->first);
                free(a);
        }
        return NULL;
}

size_t arena_used(const struct arena *a)
{
        return a->total;
}

void *arena_alloc(struct arena *a, size_t size)
{
        if (size > SIZE_MAX / 2)
                abort();
        size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        if (a->current->size - a->current->used < size) {
                size_t want = a->first->size > size ? a->first->size : size;
                struct block *b = block_new(want);
                b->next = a->current;
                a->current = b;
        }
        void *p = a->current->data + a->current->used;
        a->current->used += size;
        a->total += size;
        return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
        return memset(arena_alloc(a, size), 0, size);
}

char *arena_strndup(struct arena *a, const char *p, size_t n)
{
        char *z = arena_alloc(a, n + 1);
        if (n)
                memcpy(z, p, n);
        z[n] = '\0';
        return z;
}

char *arena_strdup(struct arena *a, const char *z)
{
        return arena_strndup(a, z, strlen(z));
}

struct str arena_str(struct arena *a, struct str s)
{
        return (struct str){arena_strndup(a, s.p, s.n), s.n};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0)
                abort();
        char *z = arena_alloc(a, (size_t)n + 1);
        va_start(args, format);
        vsnprintf(z, (size_t)n + 1, format, args);
        va_end(args);
        return z;
}
