/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation that aborts when there is no memory: limits elsewhere keep that rare, and no code has to
 * handle it halfway.
 */
#include "common/base/err.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *mem_zalloc(size_t size)
{
        void *p = calloc(1, size ? size : 1);
        if (!p)
                abort();
        return p;
}

void *mem_realloc(void *old, size_t size)
{
        void *p = realloc(old, size ? size : 1);
        if (!p)
                abort();
        return p;
}

char *mem_strdup(const char *s)
{
        char *p = strdup(s);
        if (!p)
                abort();
        return p;
}

void mem_freep(void *pointer_to_pointer)
{
        free(*(void **)pointer_to_pointer);
}

void mem_rest(void)
{
        malloc_trim(0);
}

void mem_keep(int n)
{
        mallopt(M_MMAP_THRESHOLD, n / 4);
        mallopt(M_TRIM_THRESHOLD, n);
}

void mem_one_heap(void)
{
        mallopt(M_ARENA_MAX, 1);
}

char *mem_strndup(const char *s, size_t n)
{
        char *copy = mem_zalloc(n + 1);
        memcpy(copy, s, n);
        return copy;
}
