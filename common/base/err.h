/* SPDX-License-Identifier: Apache-2.0
 *
 * What every module shares about failing: the result convention and cleanup at end of scope.
 *
 * A function that can fail returns int: 0 is success; a negative errno is "this operation failed, pass it
 * on"; a positive MODULE_E_* is named in its module's header and handled by the caller. Outputs are named
 * ret_x, come last, and are written only on success. Out of memory aborts (see arena.h).
 */
#pragma once

#include <errno.h>
#include <stddef.h>

#define MUST_USE    __attribute__((warn_unused_result))
#define PRINTF(f,a) __attribute__((format(printf, f, a)))

/* _cleanup_(thing_freep) struct thing *t = NULL; frees t at end of scope, on every path. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Declares thing_freep() for a thing_free() that takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, free_fn)                                                                        \
        static inline void free_fn##p(type *p)                                                               \
        {                                                                                                    \
                if (*p)                                                                                      \
                        *p = free_fn(*p);                                                                    \
        }

/* Moves a pointer out of a cleanup variable: the caller owns it from here. */
#define TAKE(p)                                                                                              \
        ({                                                                                                   \
                __typeof__(p) taken_ = (p);                                                                  \
                (p) = NULL;                                                                                  \
                taken_;                                                                                      \
        })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Allocation that aborts on failure; free with free(). Zeroed. */
void *mem_zalloc(size_t size);
void *mem_realloc(void *old, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n); /* adds the NUL */
void mem_freep(void *pointer_to_pointer);
/* Gives what is free back to the system: for a thread that has been idle for a while. */
void mem_rest(void);
/* For a process that makes and frees hundreds of KiB all the time: what is free is kept for the next, up to n bytes of it,
 * until mem_rest. Else each is had from the system anew, page by page. */
void mem_keep(int n);
/* Before the first thread: one heap for all of them. Our threads share little, but few heaps stay small. */
void mem_one_heap(void);
