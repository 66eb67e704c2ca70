/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a whole backup, record by record, with what must hold of it. Inside of common/transfer.
 */
#pragma once

#include "common/transfer/file.h"
#include "common/transfer/record.h"
#include "common/transfer/transfer.h"

struct scan {
        const char *file;
        const struct keyring *keyring;
        struct arena *arena;
        bool verify; /* add up every row */
        const struct transfer_progress *progress;
        const char *doing;
        /* Each record that was found to hold, or NULL. Not 0 ends the scan; *ret_error is then set. */
        int (*take)(void *arg, const struct record *record, const char **ret_error);
        void *arg;
        /* What it finds. */
        struct record_head head;
        struct store_migration *migrations;
        size_t n_migrations;
        struct store_tables tables;
        struct row_sum *sums; /* as the file says */
        int64_t bytes;
};
int scan_run(struct scan *scan, const char **ret_error) MUST_USE;
void scan_report(const struct scan *scan, struct transfer_report *ret_report);
