/* SPDX-License-Identifier: Apache-2.0
 *
 * A store for a unit test: a fresh folder (or with NX_POSTGRES an empty schema in that database), a small schema of
 * tables, its writer and a reader.
 */
#pragma once

#include "common/base/clock.h"
#include "common/store/store.h"
#include "tests/support/check.h"

#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

static char world_root[64], world_path[96], world_url[400];

static inline const char *world_postgres(void)
{
        return getenv("NX_POSTGRES");
}

/* As somebody else at the database. */
static inline void world_sql(const char *sql)
{
        PGconn *pg = PQconnectdb(world_postgres());
        PGresult *result = PQexec(pg, sql);
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
                printf("Bail out! %s: %s\n", sql, PQerrorMessage(pg));
                exit(1);
        }
        PQclear(result);
        PQfinish(pg);
}

static const struct store_migration world_schema[] = {
        {"test/001", "-- @nothing in a comment, nor in 'quotes'\n"
                     "CREATE TABLE person (id @text PRIMARY KEY, age @int NOT NULL CHECK (age >= 0), photo @bytes,"
                     " note @text DEFAULT 'a@b') @strict;\n"
                     "CREATE TABLE pet (name @text NOT NULL, owner @text REFERENCES person (id)) @strict;"},
        {"test/002", "CREATE INDEX person_by_age ON person (age);"},
};
static const char insert_person[] = "INSERT INTO person (id, age, photo) VALUES ($1, $2, $3)";

static inline const char *world_file(const char *suffix)
{
        static char name[128];
        snprintf(name, sizeof(name), "%s%s", world_path, suffix);
        return name;
}

static inline void world_unlink(const char *suffix)
{
        unlink(world_file(suffix));
}

static inline int64_t world_size(const char *suffix)
{
        struct stat st;
        return stat(world_file(suffix), &st) == 0 ? st.st_size : -1;
}

static inline void world_folder(void)
{
        if (world_postgres()) {
                world_sql("SET client_min_messages = error; DROP SCHEMA IF EXISTS world CASCADE; CREATE SCHEMA world");
                snprintf(world_url, sizeof(world_url), "%s&options=-csearch_path%%3Dworld", world_postgres());
                return;
        }
        snprintf(world_root, sizeof(world_root), "/tmp/nuanxin-store-XXXXXX");
        if (!mkdtemp(world_root))
                abort();
        snprintf(world_path, sizeof(world_path), "%s/test.db", world_root);
        snprintf(world_url, sizeof(world_url), "sqlite:%s", world_path);
}

static inline void world_remove_folder(void)
{
        if (world_postgres())
                return;
        static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".link"};
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
                world_unlink(suffixes[i]);
        CHECK_INT(rmdir(world_root), 0);
}

struct world {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db, *reader;
};

static inline struct world world_new(void)
{
        struct world w = {0};
        const char *error = "";
        world_folder();
        if (store_open(world_url, NULL, &w.store, &error) != 0 ||
            store_writer_acquire(w.store, "one", false, &w.writer, &error) != 0 ||
            store_migrate(store_writer_conn(w.writer), world_schema, ARRAY_LEN(world_schema), &error) != 0 ||
            store_reader_open(w.store, &w.reader) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        w.db = store_writer_conn(w.writer);
        return w;
}

static inline void world_done(struct world *w)
{
        store_conn_close(w->reader);
        store_writer_release(w->writer);
        store_close(w->store);
        world_remove_folder();
}

static inline int64_t count_people(struct store_conn *conn)
{
        static const char select[] = "SELECT count(*) FROM person";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        if (store_query(conn, select, &rows) != 0 || store_next(rows) != 1)
                return -1;
        return store_i64(rows, 0);
}

static inline int add_person(struct store_conn *db, const char *id, int64_t age)
{
        return store_exec(db, insert_person, NULL, TEXTZ(id), I64(age), SQLNULL());
}

/* One who wants to learn of it at once gives a place for the number of changed rows. */
static inline int try_person(struct store_conn *db, const char *id, int64_t age)
{
        int64_t changed;
        return store_exec(db, insert_person, &changed, TEXTZ(id), I64(age), SQLNULL());
}
