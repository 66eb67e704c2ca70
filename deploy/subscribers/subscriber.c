/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete subscriber in C: keeps every event in SQLite, once, whatever crashes in between. For what an event does and
 * the cursor that acknowledges it are one transaction, and after a crash the fetch begins where the last one ended.
 *
 *   subscriber ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]
 *
 * KEY_FILE: python3 -c 'import zmq; print(*(k.decode() for k in zmq.curve_keypair()), sep="\n")' >agency.key
 * Its first line, the public key, is what the association registers. Build (common/subscriber is the library):
 *   cc -I/usr/local/include/nuanxin subscriber.c -lnuanxin-subscriber -lzmq -lprotobuf-c -lsqlite3 -o subscriber */
#include "subscriber.h"
#include <sqlite3.h>
#include <stdio.h>

static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT, type TEXT, subject TEXT, data BLOB);"
                             "CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);"
                             "INSERT OR IGNORE INTO position VALUES (1, '')";
static sqlite3 *db;
static sqlite3_stmt *insert, *update, *position;

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
        if (r == SQLITE_OK && sqlite3_step(update) == SQLITE_DONE && sqlite3_reset(update) == SQLITE_OK)
                return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        return SQLITE_ERROR;
}

int main(int argc, char **argv)
{
        struct nuanxin_subscriber *subscriber;
        struct nuanxin_batch batch;
        if (argc < 5 || nuanxin_subscriber_new(argv[1], argv[2], argv[3], (const char **)argv + 5, &subscriber) < 0 ||
            sqlite3_open(argv[4], &db) || sqlite3_exec(db, schema, NULL, NULL, NULL) ||
            sqlite3_prepare_v2(db, "INSERT INTO event VALUES (?, ?, ?, ?, ?)", -1, &insert, NULL) ||
            sqlite3_prepare_v2(db, "UPDATE position SET cursor = ?", -1, &update, NULL) ||
            sqlite3_prepare_v2(db, "SELECT cursor FROM position", -1, &position, NULL) || sqlite3_step(position) != SQLITE_ROW)
                return fprintf(stderr, "usage: subscriber ENDPOINT[,…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]\n"), 2;
        nuanxin_subscriber_resume(subscriber, (const char *)sqlite3_column_text(position, 0));
        sqlite3_reset(position);
        for (int r; (r = nuanxin_next(subscriber, &batch)) != NUANXIN_E_REFUSED;) {
                if (r != 0)
                        fprintf(stderr, "no edge answers: trying again\n");
                else if (keep(&batch) != SQLITE_OK)
                        return fprintf(stderr, "%s\n", sqlite3_errmsg(db)), 1;
        }
        return fprintf(stderr, "%s\n", nuanxin_refused(subscriber)->detail), 1;
}
