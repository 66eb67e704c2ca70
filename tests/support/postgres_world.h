/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the store on PostgreSQL look at.
 */
#pragma once

#include "tests/support/store_world.h"

static inline int64_t number(struct store_conn *conn, const char *sql)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (store_query(conn, sql, &rows) != 0 || store_next(rows) != 1)
                return -1;
        return store_i64(rows, 0);
}

static inline int backend_of(struct store_conn *conn)
{
        static const char sql[] = "SELECT pg_backend_pid()";
        return (int)number(conn, sql);
}

static inline struct store_conn *extra(struct world *w)
{
        struct store_conn *conn = NULL;
        CHECK_INT(store_writer_extra(w->writer, &conn), 0);
        return conn;
}
