/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures in the store: at an organisation stands what is counted there and below, by the tree as it was then. As in
 * store_payment.h.
 */
#pragma once

#include "store.h"

enum figure_what { FIGURE_OPENED = 1, FIGURE_GRANTED, FIGURE_REFUSED, FIGURE_PAID };
#define FIGURES 4

struct figure {
        const char *organization;
        int64_t cases[FIGURES]; /* by enum figure_what - 1 */
        int64_t amount;
};

/* A case counts once in a year in each: *ret_new is false if that was so before. */
int figure_case_insert(struct store_conn *db, const char *case_id, int year, enum figure_what what, bool *ret_new) MUST_USE;
#define FIGURE_COLUMNS 8 /* programme, year, organisation, the four, amount: what is added */
int figures_add(struct store_conn *db, const struct store_value *rows, size_t n) MUST_USE;
/* All zero where nothing is counted. */
int figure_load(struct store_conn *db, struct arena *arena, const char *programme, int year, const char *organization,
                struct figure *ret) MUST_USE;
/* Of those right below, by their codes. figure_read after each store_next. */
int figures_query(struct store_conn *db, const char *programme, int year, const char *parent, int64_t limit,
                  struct store_rows **ret_rows) MUST_USE;
void figure_read(const struct store_rows *rows, struct arena *arena, struct figure *ret);

int figures_clear(struct store_conn *db) MUST_USE;
/* All that is to be counted, as cases, decisions and payments tell it: what, case, programme, organisation, time, amount in fen. */
int figures_all_query(struct store_conn *db, struct store_rows **ret_rows) MUST_USE;
