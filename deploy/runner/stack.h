/* SPDX-License-Identifier: Apache-2.0
 *
 * The stack as a whole: which processes, in which folder, from the first start to the last stop.
 */
#pragma once

#include "common/base/config.h"

struct stack_options {
        const char *http, *var, *data, *care, *clock_file;
        const char *redis; /* NULL: a private one */
        const char *store; /* with the word SERVICE in it; NULL: SQLite in var/store */
        const char *edge;  /* where agencies connect; NULL: 1000 ports above http */
        struct config_list instances;       /* "membership=2", at the start */
        struct config_list gateway_options, stream_options, edge_options; /* passed on */
        bool no_seed, samples;
};
/* Runs until SIGINT or SIGTERM. Negative after one clear line on standard error. */
int stack_run(const struct stack_options *options) MUST_USE;
