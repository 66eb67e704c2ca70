/* SPDX-License-Identifier: Apache-2.0
 *
 * The statements that a connection keeps, found by the address of their text: the same for both engines.
 */
#include "common/store/internal.h"

#include <stdlib.h>

/* Does this text stand where the program's constants do, so that its address says which it is? (Symbols of the linker.) */
static bool is_constant(const char *sql)
{
        extern const char __executable_start[], __data_start[];
        return sql >= __executable_start && sql < __data_start;
}

/* Constants stand at fixed addresses; their low bits carry little. */
static size_t slot_of(const struct statements *kept, const char *sql)
{
        size_t slot = (size_t)(((uint64_t)(uintptr_t)sql * 0x9E3779B97F4A7C15ull) >> 32) % STATEMENTS_SLOTS;
        while (kept->slots[slot] && kept->slots[slot]->sql != sql)
                slot = (slot + 1) % STATEMENTS_SLOTS;
        return slot;
}

int statement_find(struct store_conn *conn, const char *sql, struct store_rows **ret_rows)
{
        struct store_rows *rows = conn->statements.slots[slot_of(&conn->statements, sql)];
        if (!rows)
                return 0;
        if (rows->open)
                return conn_misuse(conn, "the same statement is still open");
        *ret_rows = rows;
        return 1;
}

bool statement_keeps(const struct store_conn *conn, const char *sql)
{
        return conn->statements.n < STATEMENTS_MAX && (conn->tool || is_constant(sql));
}

void statement_add(struct store_conn *conn, struct store_rows *rows)
{
        if (!rows->cached)
                return;
        conn->statements.slots[slot_of(&conn->statements, rows->sql)] = rows;
        conn->statements.n++;
}

struct store_rows *statement_free(struct store_rows *rows)
{
        if (rows) {
                rows->engine->rows_free(rows);
                free(rows);
        }
        return NULL;
}

void statements_done(struct store_conn *conn)
{
        for (size_t i = 0; i < STATEMENTS_SLOTS; i++)
                conn->statements.slots[i] = statement_free(conn->statements.slots[i]);
        conn->statements.n = 0;
}
