/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store_*.c files share.
 */
#pragma once

#include "store.h"

/* store_query's result and its first row: 0 with a row, ACTIVITY_E_ABSENT without, or what failed.
 *   r = first_row(store_query(db, sql, &rows, …), rows); */
#define first_row(query_result, rows)                                                                        \
        ({                                                                                                   \
                int r_ = (query_result);                                                                     \
                if (r_ == 0) {                                                                               \
                        r_ = store_next(rows);                                                               \
                        r_ = r_ == 1 ? 0 : r_ == 0 ? ACTIVITY_E_ABSENT : r_;                                 \
                }                                                                                            \
                r_;                                                                                          \
        })

/* Of an UPDATE guarded by a revision: somebody else was faster. */
static inline int one_changed(int r, int64_t changed)
{
        return r == 0 && changed != 1 ? STORE_E_RETRY : r;
}
