/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete subscriber in C: keeps every event in SQLite, once, whatever crashes in between. For what an event does and
 * the cursor that acknowledges it are one transaction, and after a crash the fetch begins where the last one ended.
 *
 *   subscriber ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]
 *
 * KEY_FILE: python3 -c 'import zmq; print(*(k.decode() for k in zmq.curve_keypair()), sep="\n")' >agency.key
 * Its first line, the public key, is what the association registers.
 */
#include "common/subscriber/subscriber.h"

#include <sqlite3.h>
#include <stdio.h>

static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT, type TEXT, subject TEXT, data BLOB);"
                             "CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);"
                             "INSERT OR IGNORE INTO position VALUES (1, '')";
static sqlite3 *db;
static sqlite3_stmt *insert, *update;

static int keep(const struct nuanxin_batch *batch)
{
        int r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (size_t i = 0; r == SQLITE_OK && i < batch->n_events; i++) {
                const struct nuanxin_event *e = &batch->events[i];
                sqlite3_bind_int64(insert, 1, e->sequence);
                sqlite3_bind_text(insert, 2, e->id, -1, SQLITE_STATIC);
                sqlite3_bind_text(insert, 3, e->type, -1, SQLITE_STATIC);
                sqlite3_bind_text(insert, 4, e->subject, -1, SQLITE_STATIC);
                sqlite3_bind_blob(insert, 5, e->data, (int)e->data_size, SQLITE_STATIC);
                r = sqlite3_step(insert) == SQLITE_DONE ? sqlite3_reset(insert) : SQLITE_ERROR;
        }
        sqlite3_bind_text(update, 1, batch->cursor, -1, SQLITE_STATIC);
        if (r != SQLITE_OK || sqlite3_step(update) != SQLITE_DONE || sqlite3_reset(update))
                return 1;
        return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
}

static int read_cursor(void *cursor, int n, char **values, char **names)
{
        (void)n, (void)names;
        return snprintf(cursor, NUANXIN_CURSOR_SIZE, "%s", values[0]) < 0;
}

int main(int argc, char **argv)
{
        char cursor[NUANXIN_CURSOR_SIZE];
        struct nuanxin_subscriber *subscriber;
        struct nuanxin_batch batch;
        int r = argc < 5 ? -1 : nuanxin_subscriber_new(&(struct nuanxin_options){argv[1], argv[2], argv[3], (const char **)argv + 5, 500, 10}, &subscriber);
        if (r < 0 || sqlite3_open(argv[4], &db) || sqlite3_exec(db, schema, 0, 0, 0) ||
            sqlite3_prepare_v2(db, "INSERT INTO event VALUES (?, ?, ?, ?, ?)", -1, &insert, 0) ||
            sqlite3_prepare_v2(db, "UPDATE position SET cursor = ?", -1, &update, 0) ||
            sqlite3_exec(db, "SELECT cursor FROM position", read_cursor, cursor, 0))
                return fprintf(stderr, "usage: subscriber ENDPOINT[,…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]\n"), 2;
        while ((r = nuanxin_next(subscriber, cursor, &batch)) != NUANXIN_E_REFUSED) {
                if (r == 0 && keep(&batch) != 0)
                        return fprintf(stderr, "%s\n", sqlite3_errmsg(db)), 1;
                if (r == 0)
                        snprintf(cursor, sizeof(cursor), "%s", batch.cursor);
                else
                        fprintf(stderr, "no edge answers: trying again\n");
        }
        return fprintf(stderr, "%s\n", nuanxin_refused(subscriber)->detail), 1;
}
