/* SPDX-License-Identifier: Apache-2.0
 *
 * A process's options: one table gives the command line, the environment and --help.
 *
 * An option --read-threads may also come from NUANXIN_READ_THREADS (the command line wins). Unknown options,
 * missing values and values out of range are one clear line that names the option.
 */
#pragma once

#include "common/base/str.h"

enum config_kind {
        CONFIG_TEXT, /* const char ** */
        CONFIG_INT,  /* int64_t *, within [min, max] */
        CONFIG_FLAG, /* bool *: --name, or NAME=1 in the environment */
        CONFIG_LIST, /* struct config_list *: may be given many times; the environment's is cut at commas */
};

#define CONFIG_LIST_MAX 32
struct config_list {
        const char *items[CONFIG_LIST_MAX];
        size_t n;
};

struct config_option {
        const char *name;  /* "read-threads"; a table ends with a NULL name */
        const char *value; /* what stands for the value in --help: "N", "PATH"; NULL for a flag */
        const char *help;  /* one line, saying the default and unit */
        enum config_kind kind;
        void *target; /* written only when the option is given: set the default beforehand */
        int64_t min, max;
};

#define CONFIG_E_HELP 1 /* --help was asked for and printed */

/* Reads the environment, then argv. Up to four tables may be chained (a service's own after the shared).
 * Operands (what is no option) are allowed only when operands is not NULL, which then receives them.
 * 0; CONFIG_E_HELP; or -EINVAL after a line on standard error that says what to mend. Targets keep pointers
 * into argv and the environment. usage: the first line of --help; about: the manual below it. */
int config_parse(const char *usage, const char *about, const struct config_option *const tables[], size_t n_tables,
                 int argc, char **argv, struct config_list *operands) MUST_USE;
