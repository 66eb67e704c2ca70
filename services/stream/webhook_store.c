/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints, their secrets and their deliveries in the store.
 */
#include "webhook.h"

#define COLUMNS                                                                                              \
        "id, agency, url, types, state, reason, position, hand, attempts, next_us, allowed_us, allowed_rate, " \
        "redrive_next, redrive_through, dead, deliveries, created_us, updated_us, revision"

/* --- endpoints ---------------------------------------------------------------------------------------------------- */

void endpoint_read(const struct store_rows *rows, struct arena *arena, struct endpoint *ret)
{
        *ret = (struct endpoint){
                .id = store_text_dup(rows, 0, arena),
                .agency = store_text_dup(rows, 1, arena),
                .url = store_text_dup(rows, 2, arena),
                .types = store_text_dup(rows, 3, arena),
                .state = (int)store_i64(rows, 4),
                .reason = store_text_dup(rows, 5, arena),
                .position = store_i64(rows, 6),
                .hand = store_i64(rows, 7),
                .attempts = store_i64(rows, 8),
                .next_us = store_i64(rows, 9),
                .allowed_us = store_i64(rows, 10),
                .allowed_rate = store_i64(rows, 11),
                .redrive_next = store_i64(rows, 12),
                .redrive_through = store_i64(rows, 13),
                .dead = store_text_dup(rows, 14, arena),
                .deliveries = store_i64(rows, 15),
                .created_us = store_i64(rows, 16),
                .updated_us = store_i64(rows, 17),
                .revision = store_i64(rows, 18),
        };
}

int endpoint_load(struct store_conn *db, struct arena *arena, const char *id, struct endpoint *ret)
{
        static const char sql[] = "SELECT " COLUMNS " FROM webhook_endpoint WHERE id = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(id));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? WEBHOOK_E_ABSENT : r;
        endpoint_read(rows, arena, ret);
        return 0;
}

int endpoint_insert(struct store_conn *db, const struct endpoint *e)
{
        static const char sql[] = "INSERT INTO webhook_endpoint (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
                                  "$11, $12, $13, $14, $15, $16, $17, $18, $19)";
        return store_exec(db, sql, NULL, TEXTZ(e->id), TEXTZ(e->agency), TEXTZ(e->url), TEXTZ(e->types), I64(e->state),
                          TEXTZ(e->reason), I64(e->position), I64(e->hand), I64(e->attempts), I64(e->next_us),
                          I64(e->allowed_us), I64(e->allowed_rate), I64(e->redrive_next), I64(e->redrive_through),
                          TEXTZ(e->dead), I64(e->deliveries), I64(e->created_us), I64(e->updated_us), I64(e->revision));
}

int endpoint_save(struct store_conn *db, struct endpoint *e)
{
        static const char sql[] =
                "UPDATE webhook_endpoint SET state = $3, reason = $4, position = $5, hand = $6, attempts = $7, next_us = $8, "
                "allowed_us = $9, allowed_rate = $10, redrive_next = $11, redrive_through = $12, dead = $13, deliveries = $14, "
                "updated_us = $15, revision = revision + 1 WHERE id = $1 AND revision = $2";
        int64_t changed = 0;
        int r = store_exec(db, sql, &changed, TEXTZ(e->id), I64(e->revision), I64(e->state), TEXTZ(e->reason),
                           I64(e->position), I64(e->hand), I64(e->attempts), I64(e->next_us), I64(e->allowed_us),
                           I64(e->allowed_rate), I64(e->redrive_next), I64(e->redrive_through), TEXTZ(e->dead),
                           I64(e->deliveries), I64(e->updated_us));
        e->revision++;
        return r == 0 && changed != 1 ? STORE_E_RETRY : r;
}

int endpoint_pass(struct store_conn *db, const char *id, int64_t revision, int64_t position)
{
        static const char sql[] = "UPDATE webhook_endpoint SET position = $3 WHERE id = $1 AND revision = $2 AND position < $3";
        return store_exec(db, sql, NULL, TEXTZ(id), I64(revision), I64(position));
}

int endpoint_delete(struct store_conn *db, const char *id)
{
        static const char deliveries[] = "DELETE FROM webhook_delivery WHERE endpoint = $1";
        static const char secrets[] = "DELETE FROM webhook_secret WHERE endpoint = $1";
        static const char endpoint[] = "DELETE FROM webhook_endpoint WHERE id = $1";
        int64_t changed = 0;
        int r = store_exec(db, deliveries, NULL, TEXTZ(id));
        if (r == 0)
                r = store_exec(db, secrets, NULL, TEXTZ(id));
        if (r == 0)
                r = store_exec(db, endpoint, &changed, TEXTZ(id));
        return r == 0 && changed != 1 ? WEBHOOK_E_ABSENT : r;
}

int endpoints_query(struct store_conn *db, const char *agency, const char *after_id, int64_t limit, struct store_rows **ret_rows)
{
        static const char all[] = "SELECT " COLUMNS " FROM webhook_endpoint WHERE id > $1 ORDER BY id LIMIT $2";
        static const char of_agency[] =
                "SELECT " COLUMNS " FROM webhook_endpoint WHERE agency = $3 AND id > $1 ORDER BY id LIMIT $2";
        if (!agency[0])
                return store_query(db, all, ret_rows, TEXTZ(after_id), I64(limit));
        return store_query(db, of_agency, ret_rows, TEXTZ(after_id), I64(limit), TEXTZ(agency));
}

int endpoints_count(struct store_conn *db, const char *agency, int64_t *ret_agency, int64_t *ret_all)
{
        static const char sql[] = "SELECT COUNT(*), COUNT(CASE WHEN agency = $1 THEN 1 END) FROM webhook_endpoint";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(agency));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret_all = store_i64(rows, 0);
        *ret_agency = store_i64(rows, 1);
        return 0;
}

/* --- secrets ------------------------------------------------------------------------------------------------------- */

/* A sealed secret opens only where it stands. */
static const char *context_of(struct arena *arena, const char *endpoint, const char *id)
{
        return arena_printf(arena, "webhook_secret %s %s", endpoint, id);
}

int secret_add(struct store_conn *db, struct arena *arena, const struct keyring *keyring, const char *endpoint, const char *id,
               const struct webhook_secret *secret, int64_t now_us, int64_t old_expires_us)
{
        static const char sweep[] = "DELETE FROM webhook_secret WHERE endpoint = $1 AND expires_us <> 0 AND expires_us <= $2";
        static const char old[] = "UPDATE webhook_secret SET expires_us = $2 WHERE endpoint = $1 AND expires_us = 0";
        static const char add[] = "INSERT INTO webhook_secret (endpoint, id, sealed, created_us, expires_us) "
                                  "VALUES ($1, $2, $3, $4, 0)";
        struct str sealed = keyring_seal(arena, keyring, context_of(arena, endpoint, id), str_bytes(secret, sizeof(*secret)));
        int r = store_exec(db, sweep, NULL, TEXTZ(endpoint), I64(now_us));
        if (r == 0)
                r = store_exec(db, old, NULL, TEXTZ(endpoint), I64(old_expires_us));
        if (r == 0)
                r = store_exec(db, add, NULL, TEXTZ(endpoint), TEXTZ(id), BYTES(sealed.p, sealed.n), I64(now_us));
        return r;
}

static int open_secret(const struct store_rows *rows, struct arena *arena, const struct keyring *keyring, const char *endpoint,
                       struct webhook_secret *ret)
{
        struct str plain;
        int r = keyring_open(arena, keyring, context_of(arena, endpoint, store_text_dup(rows, 0, arena)), store_bytes(rows, 1),
                             &plain);
        if (r == 0 && plain.n != sizeof(*ret))
                r = -EKEYREJECTED;
        if (r == 0)
                memcpy(ret, plain.p, sizeof(*ret));
        return r;
}

int secrets_load(struct store_conn *db, struct arena *arena, const struct keyring *keyring, const char *endpoint, int64_t now_us,
                 struct webhook_secret ret[WEBHOOK_SECRETS], size_t *ret_n)
{
        static const char sql[] = "SELECT id, sealed FROM webhook_secret WHERE endpoint = $1 AND (expires_us = 0 OR expires_us > $2) "
                                  "ORDER BY id DESC LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t n = 0;
        int r = store_query(db, sql, &rows, TEXTZ(endpoint), I64(now_us), I64(WEBHOOK_SECRETS));
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = open_secret(rows, arena, keyring, endpoint, &ret[n]);
                n += r == 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

/* --- deliveries ------------------------------------------------------------------------------------------------------ */

static int keep_short(struct store_conn *db, const char *endpoint, const struct delivery *d)
{
        static const char sql[] = "DELETE FROM webhook_delivery WHERE endpoint = $1 AND id <= $2 AND dead = 0";
        static const char dead[] = "DELETE FROM webhook_delivery WHERE endpoint = $1 AND dead = 1 AND id <= "
                                   "(SELECT id FROM webhook_delivery WHERE endpoint = $1 AND dead = 1 ORDER BY id DESC "
                                   "LIMIT 1 OFFSET $2)";
        int r = store_exec(db, sql, NULL, TEXTZ(endpoint), I64(d->id - WEBHOOK_LOG_MOST));
        return r == 0 && d->dead ? store_exec(db, dead, NULL, TEXTZ(endpoint), I64(WEBHOOK_LOG_MOST)) : r;
}

int delivery_insert(struct store_conn *db, const char *endpoint, const struct delivery *d)
{
        static const char sql[] = "INSERT INTO webhook_delivery (endpoint, id, seq, event, attempt, time_us, status, error, "
                                  "took_us, dead) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        int r = store_exec(db, sql, NULL, TEXTZ(endpoint), I64(d->id), I64(d->seq), TEXTZ(d->event), I64(d->attempt),
                           I64(d->time_us), I64(d->status), TEXTZ(d->error), I64(d->took_us), I64(d->dead));
        return r == 0 ? keep_short(db, endpoint, d) : r;
}

int deliveries_query(struct store_conn *db, const char *endpoint, bool dead_only, int64_t before, int64_t limit,
                     struct store_rows **ret_rows)
{
        static const char all[] = "SELECT id, seq, event, attempt, time_us, status, error, took_us, dead FROM webhook_delivery "
                                  "WHERE endpoint = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        static const char dead[] = "SELECT id, seq, event, attempt, time_us, status, error, took_us, dead FROM webhook_delivery "
                                   "WHERE endpoint = $1 AND id < $2 AND dead = 1 ORDER BY id DESC LIMIT $3";
        return store_query(db, dead_only ? dead : all, ret_rows, TEXTZ(endpoint), I64(before), I64(limit));
}

void delivery_read(const struct store_rows *rows, struct arena *arena, struct delivery *ret)
{
        *ret = (struct delivery){
                .id = store_i64(rows, 0),
                .seq = store_i64(rows, 1),
                .event = store_text_dup(rows, 2, arena),
                .attempt = store_i64(rows, 3),
                .time_us = store_i64(rows, 4),
                .status = store_i64(rows, 5),
                .error = store_text_dup(rows, 6, arena),
                .took_us = store_i64(rows, 7),
                .dead = store_i64(rows, 8) != 0,
        };
}
