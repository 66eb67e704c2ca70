/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhook endpoints in the store: what is saved, who was first, which secrets sign, and a delivery log that stays short.
 */
// uses: services/stream/webhook_store.c
#include "services/stream/webhook.h"

#include "tests/support/store_world.h"

#define NOW INT64_C(1795000000000000)

STORE_SCHEMA(webhook_schema, "services/stream/schema/003_webhook.sql");
static const struct store_migration migrations[] = {{"stream/003_webhook", webhook_schema}};

struct fixture {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        struct arena *arena;
        struct keyring *keyring;
};

static struct fixture begin(void)
{
        struct fixture f = {.arena = arena_new(65536)};
        const char *error = "";
        char path[128];
        world_folder();
        snprintf(path, sizeof(path), "%s/keys", world_root);
        if (store_open(world_url, NULL, &f.store, &error) != 0 ||
            store_writer_acquire(f.store, "one", false, &f.writer, &error) != 0 ||
            store_migrate(store_writer_conn(f.writer), migrations, 1, &error) != 0 || keyring_create(path) != 0 ||
            keyring_load(path, &f.keyring, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        f.db = store_writer_conn(f.writer);
        CHECK_INT(store_begin(f.db), 0);
        return f;
}

static void end(struct fixture *f)
{
        store_rollback(f->db);
        store_writer_release(f->writer);
        store_close(f->store);
        keyring_free(f->keyring);
        arena_free(f->arena);
        char path[128];
        snprintf(path, sizeof(path), "%s/keys/keyring", world_root);
        CHECK_INT(unlink(path), 0);
        path[strlen(path) - strlen("/keyring")] = '\0';
        CHECK_INT(rmdir(path), 0);
        world_remove_folder();
}

static struct endpoint make(struct fixture *f, const char *id, const char *agency)
{
        struct endpoint e = {.id = id, .agency = agency, .url = "https://example.org/", .types = "a.B c.*", .state = WEBHOOK_ACTIVE,
                             .reason = "", .dead = "", .position = 7, .created_us = NOW, .updated_us = NOW, .revision = 1};
        CHECK_INT(endpoint_insert(f->db, &e), 0);
        return e;
}

static int64_t count(struct fixture *f, const char *sql)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        CHECK_INT(store_query(f->db, sql, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        return store_i64(rows, 0);
}

/* --- endpoints --------------------------------------------------------------------------------------------------- */

static void what_is_saved_is_loaded(void)
{
        struct fixture f = begin();
        struct endpoint e = make(&f, "e1", "a"), got;
        CHECK_INT(endpoint_load(f.db, f.arena, "e2", &got), WEBHOOK_E_ABSENT);
        CHECK_INT(endpoint_load(f.db, f.arena, "e1", &got), 0);
        CHECK_TEXT(got.url, e.url);
        CHECK_TEXT(got.types, "a.B c.*");
        CHECK_INT(got.position, 7);

        got = (struct endpoint){.id = "e1", .agency = "a", .url = e.url, .types = e.types, .state = WEBHOOK_PAUSED, .reason = "why",
                                .position = 11, .hand = 12, .attempts = 13, .next_us = 14, .allowed_us = 15, .allowed_rate = 16,
                                .redrive_next = 17, .redrive_through = 18, .dead = "19 20", .deliveries = 21, .created_us = NOW,
                                .updated_us = 22, .revision = 1};
        CHECK_INT(endpoint_save(f.db, &got), 0);
        CHECK_INT(got.revision, 2);
        struct endpoint again;
        CHECK_INT(endpoint_load(f.db, f.arena, "e1", &again), 0);
        CHECK_INT(again.state, WEBHOOK_PAUSED);
        CHECK_TEXT(again.reason, "why");
        CHECK_TEXT(again.dead, "19 20");
        const int64_t numbers[] = {again.position, again.hand, again.attempts, again.next_us, again.allowed_us, again.allowed_rate};
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
                CHECK_INT(numbers[i], 11 + (int64_t)i);
        CHECK_INT(again.redrive_next, 17);
        CHECK_INT(again.redrive_through, 18);
        CHECK_INT(again.deliveries, 21);
        CHECK_INT(again.updated_us, 22);
        CHECK_INT(again.revision, 2);
        end(&f);
}

static void who_comes_second_begins_again(void)
{
        struct fixture f = begin();
        struct endpoint first = make(&f, "e1", "a"), second = first;
        CHECK_INT(endpoint_save(f.db, &first), 0);
        CHECK_INT(endpoint_save(f.db, &second), STORE_E_RETRY);
        CHECK_INT(endpoint_pass(f.db, "e1", 1, 100), 0); /* of before the change: no effect */
        CHECK_INT(count(&f, "SELECT position FROM webhook_endpoint"), 7);
        CHECK_INT(endpoint_pass(f.db, "e1", 2, 100), 0);
        CHECK_INT(endpoint_pass(f.db, "e1", 2, 50), 0); /* never back */
        CHECK_INT(count(&f, "SELECT position FROM webhook_endpoint"), 100);
        end(&f);
}

static void they_are_counted_listed_and_forgotten(void)
{
        struct fixture f = begin();
        struct webhook_secret secret;
        int64_t of_agency, all;
        make(&f, "e1", "a");
        make(&f, "e2", "b");
        make(&f, "e3", "a");
        CHECK_INT(endpoints_count(f.db, "a", &of_agency, &all), 0);
        CHECK_INT(of_agency, 2);
        CHECK_INT(all, 3);
        struct store_rows *rows = NULL;
        CHECK_INT(endpoints_query(f.db, "a", "e1", 10, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        struct endpoint e;
        endpoint_read(rows, f.arena, &e);
        CHECK_TEXT(e.id, "e3");
        CHECK_INT(store_next(rows), 0);
        store_rows_close(rows);

        webhook_secret_new(&secret);
        for (int i = 1; i <= 3; i += 2) {
                const char *id = i == 1 ? "e1" : "e3";
                const struct delivery d = {.id = 1, .event = "", .error = ""};
                CHECK_INT(secret_add(f.db, f.arena, f.keyring, id, "s", &secret, NOW, NOW), 0);
                CHECK_INT(delivery_insert(f.db, id, &d), 0);
        }
        CHECK_INT(endpoint_delete(f.db, "e1"), 0);
        CHECK_INT(endpoint_delete(f.db, "e1"), WEBHOOK_E_ABSENT);
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_endpoint"), 2);
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_secret"), 1);
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_delivery"), 1);
        end(&f);
}

/* --- secrets ------------------------------------------------------------------------------------------------------- */

static void the_one_before_signs_until_it_expires(void)
{
        struct fixture f = begin();
        struct webhook_secret first, second, third, got[WEBHOOK_SECRETS];
        size_t n = 0;
        webhook_secret_new(&first);
        webhook_secret_new(&second);
        webhook_secret_new(&third);
        CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", "s1", &first, NOW, NOW + 100), 0);
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW, got, &n), 0);
        CHECK_INT(n, 1);
        CHECK(memcmp(&got[0], &first, sizeof(first)) == 0);
        CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", "s2", &second, NOW, NOW + 100), 0);
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW + 99, got, &n), 0);
        CHECK_INT(n, 2);
        CHECK(memcmp(&got[0], &second, sizeof(first)) == 0);
        CHECK(memcmp(&got[1], &first, sizeof(first)) == 0);
        CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", "s3", &third, NOW + 50, NOW + 150), 0); /* the first's end stays */
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW + 99, got, &n), 0);
        CHECK_INT(n, 3);
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW + 100, got, &n), 0);
        CHECK_INT(n, 2);
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW + 150, got, &n), 0);
        CHECK_INT(n, 1);
        CHECK(memcmp(&got[0], &third, sizeof(third)) == 0);
        CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", "s4", &first, NOW + 200, NOW + 300), 0); /* what expired is gone */
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_secret"), 2);
        end(&f);
}

static void a_sealed_secret_opens_only_where_it_stands(void)
{
        struct fixture f = begin();
        struct webhook_secret secret, got[WEBHOOK_SECRETS];
        size_t n = 77;
        webhook_secret_new(&secret);
        CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", "s", &secret, NOW, NOW), 0);
        CHECK_INT(store_exec(f.db, "UPDATE webhook_secret SET endpoint = 'other'", NULL), 0);
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "other", NOW, got, &n), -EKEYREJECTED);
        CHECK_INT(n, 77);
        end(&f);
}

static void only_so_many_sign_at_once(void)
{
        struct fixture f = begin();
        struct webhook_secret secret, got[WEBHOOK_SECRETS];
        size_t n = 0;
        for (char id[] = "a"; id[0] <= 'z'; id[0]++) {
                webhook_secret_new(&secret);
                CHECK_INT(secret_add(f.db, f.arena, f.keyring, "e", id, &secret, NOW, NOW + 100), 0);
        }
        CHECK_INT(secrets_load(f.db, f.arena, f.keyring, "e", NOW, got, &n), 0);
        CHECK_INT(n, WEBHOOK_SECRETS);
        CHECK(memcmp(&got[0], &secret, sizeof(secret)) == 0);
        end(&f);
}

/* --- deliveries ------------------------------------------------------------------------------------------------------ */

static void the_log_keeps_the_newest_and_the_newest_dead(void)
{
        struct fixture f = begin();
        CHECK_INT(delivery_insert(f.db, "other", &(struct delivery){.id = 1, .event = "", .error = ""}), 0);
        for (int64_t id = 1; id <= 5000 && !check_failed; id++) {
                const struct delivery d = {.id = id, .seq = id, .event = "x", .error = "", .dead = id % 4 == 0};
                CHECK_INT(delivery_insert(f.db, "e", &d), 0);
        }
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_delivery WHERE endpoint = 'other'"), 1);
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_delivery WHERE endpoint = 'e' AND dead = 0"), 750);
        CHECK_INT(count(&f, "SELECT MIN(id) FROM webhook_delivery WHERE endpoint = 'e' AND dead = 0"), 4001);
        CHECK_INT(count(&f, "SELECT COUNT(*) FROM webhook_delivery WHERE endpoint = 'e' AND dead = 1"), WEBHOOK_LOG_MOST);
        CHECK_INT(count(&f, "SELECT MIN(id) FROM webhook_delivery WHERE endpoint = 'e' AND dead = 1"), 1004);
        end(&f);
}

static void deliveries_are_listed_newest_first(void)
{
        struct fixture f = begin();
        struct store_rows *rows = NULL;
        struct delivery d;
        for (int64_t id = 1; id <= 10; id++) {
                const struct delivery made = {.id = id, .seq = 100 + id, .event = "x", .attempt = 2, .time_us = NOW, .status = 503,
                                              .error = "it refused", .took_us = 1500, .dead = id == 3};
                CHECK_INT(delivery_insert(f.db, "e", &made), 0);
        }
        CHECK_INT(deliveries_query(f.db, "e", false, INT64_MAX, 2, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        delivery_read(rows, f.arena, &d);
        CHECK_INT(d.id, 10);
        CHECK_INT(d.seq, 110);
        CHECK_INT(d.attempt, 2);
        CHECK_INT(d.status, 503);
        CHECK_INT(d.took_us, 1500);
        CHECK_TEXT(d.error, "it refused");
        CHECK(!d.dead);
        store_rows_close(rows);
        CHECK_INT(deliveries_query(f.db, "e", true, 10, 10, &rows), 0);
        CHECK_INT(store_next(rows), 1);
        delivery_read(rows, f.arena, &d);
        CHECK_INT(d.id, 3);
        CHECK(d.dead);
        CHECK_INT(store_next(rows), 0);
        store_rows_close(rows);
        end(&f);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"what is saved is loaded", what_is_saved_is_loaded},
                {"who comes second begins again", who_comes_second_begins_again},
                {"endpoints are counted, listed, and forgotten with all that is theirs", they_are_counted_listed_and_forgotten},
                {"the secret before signs until it expires", the_one_before_signs_until_it_expires},
                {"a sealed secret opens only where it stands", a_sealed_secret_opens_only_where_it_stands},
                {"only so many secrets sign at once, the newest", only_so_many_sign_at_once},
                {"the delivery log keeps the newest, and the newest dead letters", the_log_keeps_the_newest_and_the_newest_dead},
                {"deliveries are listed newest first", deliveries_are_listed_newest_first},
        };
        if (crypto_init() < 0)
                return 1;
        return CHECK_MAIN(cases);
}
