/* SPDX-License-Identifier: Apache-2.0
 *
 * What is being done with a store as a whole: the note of its use, filling an empty one, and following the changes of
 * one that is in use. SQL only; it differs by engine where catalogues and references do.
 */
#include "common/store/internal.h"
#include "common/store/whole.h"

#include <stdio.h>

/* Advisory locks of PostgreSQL. */
#define WAITING_CLASS "1853386081"
#define FILLING_CLASS "1853386082"

#define TRIES 20

/* --- the note ---------------------------------------------------------------------------------------------------------- */

static const char *const words[] = {"in use", "filling", "filled", "followed", "held", "moved"};

static int has_note(struct store_conn *conn)
{
        static const char sqlite[] = "SELECT 1 FROM sqlite_master WHERE name = 'store_use'";
        static const char postgresql[] = "SELECT 1 WHERE to_regclass('store_use') IS NOT NULL";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, conn->engine->shared ? postgresql : sqlite, &rows);
        return r == 0 ? store_next(rows) : r;
}

int store_use_read(struct store_conn *conn, struct store_use *ret)
{
        static const char sql[] = "SELECT state, copying, until_us, other FROM store_use WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = has_note(conn);
        *ret = (struct store_use){0};
        if (r != 1)
                return r;
        r = store_query(conn, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (str_is(store_text(rows, 0), words[i]))
                        ret->state = (enum store_state)i;
        snprintf(ret->id, sizeof(ret->id), "%s", store_text(rows, 1).p);
        ret->until_us = store_i64(rows, 2);
        snprintf(ret->other, sizeof(ret->other), "%s", store_text(rows, 3).p);
        return 0;
}

int store_use_write(struct store_conn *writer, const struct store_use *use)
{
        static const char create[] = "CREATE TABLE IF NOT EXISTS store_use (id BIGINT PRIMARY KEY CHECK (id = 1), state TEXT NOT "
                                     "NULL, copying TEXT NOT NULL, until_us BIGINT NOT NULL, other TEXT NOT NULL)";
        static const char drop[] = "DROP TABLE IF EXISTS store_use";
        static const char sql[] = "INSERT INTO store_use (id, state, copying, until_us, other) VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) "
                                  "DO UPDATE SET state = excluded.state, copying = excluded.copying, until_us = excluded.until_us, "
                                  "other = excluded.other";
        int64_t changed;
        if (use->state == STORE_IN_USE)
                return store_exec(writer, drop, &changed);
        int r = store_exec(writer, create, &changed);
        if (r == 0)
                r = store_exec(writer, sql, &changed, TEXTZ(words[use->state]), TEXTZ(use->id), I64(use->until_us), TEXTZ(use->other));
        return r;
}

int store_use_check(const struct store_use *use, const char **ret_error)
{
        if (use->state == STORE_MOVED)
                return store_fail(ret_error, STORE_E_MOVED, "its data was moved to %s: give --store=%s", use->other, use->other);
        if (use->state == STORE_FILLING || use->state == STORE_FILLED)
                return store_fail(ret_error, STORE_E_FILLING, "the database is being filled from %s; if that was broken off, run it again",
                                  use->other);
        return 0;
}

void store_address(char out[256], const char *url)
{
        const char *at = NULL, *start = strstr(url, "://"), *end;
        start = start ? start + 3 : url;
        end = start + strcspn(start, "/?");
        for (const char *p = start; p < end; p++)
                if (*p == '@')
                        at = p;
        const char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
        if (colon)
                snprintf(out, 256, "%.*s%s", (int)(colon - url), url, at);
        else
                snprintf(out, 256, "%s", url);
        char *password = strstr(out, "password=");
        if (password) { /* as a parameter: what follows it goes too */
                char *rest = strchr(password, '&');
                if (rest)
                        memmove(password, rest + 1, strlen(rest));
                else
                        password[-1] = '\0';
        }
}

/* --- who waits for it ---------------------------------------------------------------------------------------------------- */

int store_waiter_open(struct store *store, struct store_conn **ret_conn)
{
        static const char sql[] = "SELECT CAST(pg_advisory_lock_shared(" WAITING_CLASS ", hashtext(current_schema())) AS TEXT)";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        int r = store->engine->reader_open(store, &conn);
        if (r == 0 && store->engine->shared) {
                r = store_query(conn, sql, &rows);
                if (r == 0)
                        r = store_next(rows);
                rows = store_rows_close(rows);
                r = r == 1 ? 0 : r == 0 ? -EIO : r;
        }
        if (r == 0)
                *ret_conn = TAKE(conn);
        return r;
}

static int one_number(struct store_conn *conn, const char *sql, int64_t *ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(conn, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? -EIO : r;
        *ret = store_i64(rows, 0);
        return 0;
}

int store_waiting(struct store_conn *conn, int64_t *ret_n)
{
        static const char sql[] =
                "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' AND "
                "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = " WAITING_CLASS
                " AND objid = CAST(hashtext(current_schema()) & 4294967295 AS oid)";
        *ret_n = 0;
        return conn->engine->shared ? one_number(conn, sql, ret_n) : 0;
}

/* --- filling ------------------------------------------------------------------------------------------------------------- */

/* In a transaction of its own; again, if only something passing (a vacuum) was in the way. */
static int run(struct store_conn *writer, const char *script)
{
        int r = STORE_E_RETRY;
        for (int i = 0; i < TRIES && r == STORE_E_RETRY; i++) {
                r = store_begin(writer);
                if (r == 0)
                        r = writer->engine->script(writer, script);
                if (r == 0)
                        r = store_commit(writer);
                store_rollback(writer);
        }
        return r;
}

int store_fill_lock(struct store_conn *writer)
{
        static const char sql[] = "SELECT CASE WHEN current_schema() IS NULL THEN -1 ELSE CAST(CAST(pg_try_advisory_lock(" FILLING_CLASS
                                  ", hashtext(current_schema())) AS int) AS BIGINT) END";
        /* A vacuum may be in the way for longer than a service would wait. */
        static const char patience[] = "SET lock_timeout = '4s'; SET idle_in_transaction_session_timeout = '1min'";
        int64_t had = 1;
        int r = writer->engine->shared ? run(writer, patience) : 0;
        if (r == 0 && writer->engine->shared)
                r = one_number(writer, sql, &had);
        if (r == 0 && had < 0) {
                snprintf(writer->error, sizeof(writer->error),
                         "there is no schema of its search_path that the role may use: CREATE SCHEMA … AUTHORIZATION …");
                return -EACCES;
        }
        return r == 0 && !had ? STORE_E_LOCKED : r;
}

int store_is_empty(struct store_conn *conn)
{
        static const char sqlite[] = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                                     "AND name NOT IN ('writer_epoch', 'store_use')";
        static const char postgresql[] = "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relname <> 'store_use' "
                                         "AND relnamespace = to_regnamespace(quote_ident(current_schema()))";
        int64_t n;
        int r = one_number(conn, conn->engine->shared ? postgresql : sqlite, &n);
        return r == 0 ? n == 0 : r;
}

static int wipe_sqlite(struct store_conn *writer)
{
        static const char sql[] = "SELECT 'DROP TABLE \"' || name || '\"' FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
                                  "'sqlite%' AND name NOT IN ('writer_epoch', 'store_use') LIMIT 1";
        char drop[300];
        int r;
        do {
                _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
                r = store_query(writer, sql, &rows);
                if (r == 0 && (r = store_next(rows)) == 1)
                        snprintf(drop, sizeof(drop), "%s", store_text(rows, 0).p);
                rows = store_rows_close(rows);
                if (r != 1)
                        return r;
                r = run(writer, drop);
        } while (r == 0);
        return r;
}

int store_wipe(struct store_conn *writer)
{
        static const char postgresql[] =
                "DO $do$ DECLARE t record; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'store_use' AND "
                "relnamespace = to_regnamespace(quote_ident(current_schema())) LOOP EXECUTE format('DROP TABLE %I CASCADE', t.relname); "
                "END LOOP; END $do$";
        static const char unchecked[] = "PRAGMA foreign_keys = OFF";
        if (writer->engine->shared)
                return run(writer, postgresql);
        int r = writer->engine->script(writer, unchecked);
        return r == 0 ? wipe_sqlite(writer) : r;
}

/* On PostgreSQL references are taken away, and noted; on SQLite the connection does not look at them. */
int store_fill_begin(struct store_conn *writer)
{
        static const char postgresql[] =
                "CREATE TABLE store_reference AS SELECT c.conrelid::regclass::text AS tab, c.conname::text AS name, "
                "pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = "
                "to_regnamespace(quote_ident(current_schema()));"
                "DO $do$ DECLARE c record; BEGIN FOR c IN SELECT * FROM store_reference LOOP "
                "EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.tab, c.name); END LOOP; END $do$";
        static const char sqlite[] = "PRAGMA foreign_keys = OFF";
        return writer->engine->shared ? run(writer, postgresql) : writer->engine->script(writer, sqlite);
}

int store_fill_settle(struct store_conn *writer)
{
        static const char analyze[] = "ANALYZE";
        return writer->engine->shared ? run(writer, analyze) : 0;
}

int store_fill_end(struct store_conn *writer)
{
        static const char postgresql[] =
                "DO $do$ DECLARE c record; top bigint; BEGIN FOR c IN SELECT * FROM store_reference LOOP "
                "EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', c.tab, c.name, c.definition); END LOOP; "
                "FOR c IN SELECT t.relname, a.attname, pg_get_serial_sequence(quote_ident(t.relname), a.attname) AS sequence FROM "
                "pg_attribute a JOIN pg_class t ON t.oid = a.attrelid WHERE t.relkind = 'r' AND t.relnamespace = "
                "to_regnamespace(quote_ident(current_schema())) AND a.attnum > 0 AND NOT a.attisdropped AND "
                "pg_get_serial_sequence(quote_ident(t.relname), a.attname) IS NOT NULL LOOP "
                "EXECUTE format('SELECT max(%I) FROM %I', c.attname, c.relname) INTO top; "
                "IF top IS NOT NULL THEN PERFORM setval(c.sequence, top); END IF; END LOOP; DROP TABLE store_reference; END $do$";
        return writer->engine->shared ? run(writer, postgresql) : 0;
}

int store_fill_check(struct store_conn *writer)
{
        static const char postgresql[] =
                "DO $do$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass::text AS tab, conname FROM pg_constraint WHERE "
                "contype = 'f' AND NOT convalidated AND connamespace = to_regnamespace(quote_ident(current_schema())) LOOP "
                "EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.tab, c.conname); END LOOP; END $do$";
        static const char sqlite[] = "SELECT COUNT(*) FROM pragma_foreign_key_check";
        int64_t n;
        if (!writer->engine->shared) {
                int r = one_number(writer, sqlite, &n);
                return r == 0 ? n == 0 : r;
        }
        int r = run(writer, postgresql);
        return r == 0 ? 1 : r == STORE_E_CONSTRAINT ? 0 : r;
}

/* --- following ----------------------------------------------------------------------------------------------------------- */

static void put_note(struct buf *out, const struct store_table *t, const char *row, bool if_moved)
{
        static const char *const parts[] = {"a", "b", "c", "d"};
        buf_add_z(out, "INSERT INTO store_change (tab");
        for (size_t i = 0; i < t->n_key; i++)
                buf_printf(out, ", %s", parts[i]);
        buf_printf(out, ") SELECT '%s'", t->name);
        for (size_t i = 0; i < t->n_key; i++)
                buf_printf(out, ", %s.\"%s\"", row, t->columns[t->key[i]].name);
        for (size_t i = 0; if_moved && i < t->n_key; i++)
                buf_printf(out, "%s old.\"%s\" IS NOT new.\"%s\"", i ? " OR" : " WHERE", t->columns[t->key[i]].name, t->columns[t->key[i]].name);
        buf_add_z(out, "; ");
}

static void put_triggers(struct buf *out, const struct store_table *t)
{
        static const char *const events[] = {"INSERT", "DELETE", "UPDATE"};
        for (size_t i = 0; i < ARRAY_LEN(events); i++) {
                buf_printf(out, "CREATE TRIGGER IF NOT EXISTS \"store_change_%s_%s\" AFTER %s ON \"%s\" BEGIN ", t->name, events[i], events[i],
                           t->name);
                put_note(out, t, i ? "old" : "new", false);
                if (i == 2)
                        put_note(out, t, "new", true);
                buf_add_z(out, "END; ");
        }
}

/* Triggers stand in the file, so whoever takes over as the writer notes changes too. */
int store_follow_begin(struct store_conn *writer)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(16384);
        struct store_tables tables;
        struct buf script = {0};
        if (writer->engine->shared)
                return conn_misuse(writer, "only SQLite's stores are followed");
        int r = store_tables_read(writer, arena, false, &tables, NULL);
        if (r != 0)
                return r;
        buf_add_z(&script, "CREATE TABLE IF NOT EXISTS store_change (position INTEGER PRIMARY KEY, tab TEXT NOT NULL, a ANY, b ANY, "
                           "c ANY, d ANY) STRICT; ");
        for (size_t i = 0; i < tables.n; i++)
                put_triggers(&script, &tables.items[i]);
        r = writer->engine->script(writer, buf_z(&script));
        buf_done(&script);
        return r;
}

int store_follow_end(struct store_conn *writer)
{
        static const char sql[] = "SELECT group_concat('DROP TRIGGER \"' || name || '\";', ' ') FROM sqlite_master "
                                  "WHERE type = 'trigger' AND name LIKE 'store\\_change\\_%' ESCAPE '\\'";
        static const char drop[] = "DROP TABLE IF EXISTS store_change";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        _cleanup_(mem_freep) char *script = NULL;
        int64_t changed;
        int r = store_query(writer, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r == 1 && !store_is_null(rows, 0))
                script = mem_strdup(store_text(rows, 0).p);
        rows = store_rows_close(rows);
        r = r == 1 ? 0 : r;
        if (r == 0 && script)
                r = writer->engine->script(writer, script);
        return r == 0 ? store_exec(writer, drop, &changed) : r;
}

int store_notes(struct store_conn *conn, int64_t after, int64_t limit, struct store_rows **ret_rows)
{
        static const char sql[] = "SELECT position, tab, a, b, c, d FROM store_change WHERE position > $1 ORDER BY position LIMIT $2";
        return store_query(conn, sql, ret_rows, I64(after), I64(limit));
}

struct store_note store_note_of(const struct store_rows *rows)
{
        return (struct store_note){store_i64(rows, 0), store_text(rows, 1)};
}

void store_note_key(const struct store_rows *rows, const struct store_table *t, struct store_value key[STORE_KEY_MOST])
{
        for (size_t i = 0; i < t->n_key; i++)
                key[i] = store_value_of(rows, 2 + (int)i, t->columns[t->key[i]].type);
}

int store_notes_head(struct store_conn *conn, int64_t *ret_position)
{
        static const char sql[] = "SELECT COALESCE(MAX(position), 0) FROM store_change";
        return one_number(conn, sql, ret_position);
}
