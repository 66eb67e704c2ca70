/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete subscriber in C: holds every event in SQLite, once, whatever crashes. For what an event does and the cursor that
 * acknowledges it are one transaction. It begins with the snapshot, which ends with the cursor of the log.
 *   subscriber ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]
 * KEY_FILE, whose first line is registered: (umask 077; /usr/bin/python3 -c 'import zmq; print(*map(bytes.decode, zmq.curve_keypair()), sep="\n")' >agency.key)
 * Build: cc -I/usr/local/include/nuanxin subscriber.c -lnuanxin-subscriber -lzmq -lprotobuf-c -lsqlite3 -o subscriber */
#include "subscriber.h"
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#define IS_NOTICE "new.type IN ('nuanxin.membership.v1.MemberErased', 'nuanxin.membership.v1.ConsentWithdrawn') AND new.subject <> ''"
/* A cursor past a notice is the receipt for it: with the notice goes what is held of that person. */
static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
        "CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT PRIMARY KEY, type TEXT, subject TEXT, data BLOB);"
        "CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT); INSERT OR IGNORE INTO position VALUES (1, 'snapshot');"
        "CREATE TEMP TRIGGER delete_person BEFORE INSERT ON main.event WHEN " IS_NOTICE
        "  BEGIN DELETE FROM event WHERE subject = new.subject OR instr(data, CAST(new.subject AS BLOB)); END;";
static sqlite3 *db;
static sqlite3_stmt *insert, *update, *position;

static int keep(const struct nuanxin_batch *batch)
{
        int r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (const struct nuanxin_event *e = batch->events; r == SQLITE_OK && e < batch->events + batch->n_events; e++) {
                sqlite3_bind_int64(insert, 1, e->sequence);
                for (int k = 0; k < 3; k++)
                        sqlite3_bind_text(insert, k + 2, (const char *[]){e->id, e->type, e->subject}[k], -1, SQLITE_STATIC);
                sqlite3_bind_blob(insert, 5, e->data, (int)e->data_size, SQLITE_STATIC);
                r = sqlite3_step(insert) == SQLITE_DONE ? sqlite3_reset(insert) : SQLITE_ERROR;
        }
        sqlite3_bind_text(update, 1, batch->cursor, -1, SQLITE_STATIC);
        bool moved = r == SQLITE_OK && sqlite3_step(update) == SQLITE_DONE && sqlite3_reset(update) == SQLITE_OK;
        return moved ? sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) : SQLITE_ERROR;
}

int main(int argc, char **argv)
{
        struct nuanxin_subscriber *subscriber;
        struct nuanxin_batch batch;
        if (argc < 5)
                return fprintf(stderr, "usage: subscriber ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]\n"), 2;
        int r = nuanxin_subscriber_new(argv[1], argv[2], argv[3], (const char **)argv + 5, &subscriber);
        if (r < 0)
                return fprintf(stderr, "no key in %s, or EDGE_PUBLIC_KEY or ENDPOINT is none: %s\n", argv[3], strerror(-r)), 2;
        if (sqlite3_open(argv[4], &db) || sqlite3_exec(db, schema, NULL, NULL, NULL) ||
            sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?)", -1, &insert, NULL) ||
            sqlite3_prepare_v2(db, "UPDATE position SET cursor = ?", -1, &update, NULL) ||
            sqlite3_prepare_v2(db, "SELECT cursor FROM position", -1, &position, NULL) || sqlite3_step(position) != SQLITE_ROW)
                return fprintf(stderr, "%s: %s\n", argv[4], sqlite3_errmsg(db)), 1;
        nuanxin_subscriber_resume(subscriber, (const char *)sqlite3_column_text(position, 0));
        sqlite3_reset(position);
        while ((r = nuanxin_next(subscriber, &batch)) != NUANXIN_E_REFUSED)
                if (r != 0)
                        fprintf(stderr, "no edge answers: trying again. Address right? EDGE_PUBLIC_KEY the edge's? Our public key registered?\n");
                else if (keep(&batch) != SQLITE_OK)
                        return fprintf(stderr, "%s\n", sqlite3_errmsg(db)), 1;
        return fprintf(stderr, "%s\n", nuanxin_refused(subscriber)->detail), 1;
}
