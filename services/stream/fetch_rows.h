/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the log, or of the state behind it, made ready to be shown: rendered, with what decides about each. For fetch.c.
 */
#pragma once

#include "services/stream/agencies.h"

#define FETCH_E_FULL 921 /* a page is full */

/* What holds of the persons of some rows. */
struct fetch_standing {
        struct segment_consents consents;
        const char **erased;
        size_t n_erased;
};
int fetch_standing_load(struct store_conn *db, struct arena *arena, enum standing_of of, int64_t after, int64_t through,
                        struct fetch_standing *ret) MUST_USE;
bool fetch_standing_consents(const struct fetch_standing *standing, const char *person, struct view_list purposes);

struct fetch_rows {
        /* Given. */
        struct store_conn *db;
        const struct projection *projection;
        EventFormat format;
        const struct fetch_standing *standing; /* to be filled between reading and rendering */
        /* Made. */
        struct arena *arena;
        struct log_row *log;
        struct segment_row *rendered;
        size_t n;
        struct buf bytes;
};
/* At least one, of those after `after` up to `through`; fewer than all if they are large. */
int fetch_rows_read(struct fetch_rows *rows, int64_t after, int64_t through) MUST_USE;
int fetch_rows_read_state(struct fetch_rows *rows, int64_t after, size_t limit) MUST_USE; /* maybe none */
int fetch_rows_render(struct fetch_rows *rows) MUST_USE;
void fetch_rows_done(struct fetch_rows *rows);
