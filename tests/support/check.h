/* SPDX-License-Identifier: Apache-2.0
 *
 * Unit tests: a table of named cases, one line of TAP each ("ok 1 - name"), non-zero exit if any failed.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool check_failed;

#define CHECK(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                             \
                        check_failed = true;                                                                 \
                }                                                                                            \
        } while (0)

#define CHECK_INT(got, want)                                                                                 \
        do {                                                                                                 \
                long long got_ = (long long)(got), want_ = (long long)(want);                                \
                if (got_ != want_) {                                                                         \
                        printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, want_);    \
                        check_failed = true;                                                                 \
                }                                                                                            \
        } while (0)

#define CHECK_TEXT(got, want)                                                                                \
        do {                                                                                                 \
                const char *got_ = (got), *want_ = (want);                                                   \
                if (!got_ || strcmp(got_, want_) != 0) {                                                     \
                        printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #got,              \
                               got_ ? got_ : "(null)", want_);                                               \
                        check_failed = true;                                                                 \
                }                                                                                            \
        } while (0)

struct check_case {
        const char *name; /* the behaviour, as a sentence */
        void (*run)(void);
};

static inline int check_main(const struct check_case *cases, size_t n)
{
        int failures = 0;
        for (size_t i = 0; i < n; i++) {
                check_failed = false;
                cases[i].run();
                printf("%s %zu - %s\n", check_failed ? "not ok" : "ok", i + 1, cases[i].name);
                failures += check_failed;
        }
        printf("1..%zu\n", n);
        return failures ? 1 : 0;
}

#define CHECK_MAIN(cases) check_main((cases), sizeof(cases) / sizeof((cases)[0]))
