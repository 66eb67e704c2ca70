/* SPDX-License-Identifier: Apache-2.0
 *
 * What membership's store promises: pages of members that join without a gap, whichever way they are looked for; what is
 * erased is gone; a file that is checked knows whom it has named.
 */
// uses: services/membership/store_member.c services/membership/store_organization.c
// uses: services/membership/rules.c
#include "common/imports/imports.h"
#include "services/membership/store.h"

#include "tests/support/store_world.h"

#define STATE(name) NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name
#define PEOPLE      4000
#define VILLAGES    37

STORE_SCHEMA(test_membership_schema, "services/membership/schema/001_core.sql");
STORE_SCHEMA(test_membership_state_since, "services/membership/schema/002_state_since.sql");

struct fixture {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        struct arena *arena;
};

static struct organization organization_make(struct fixture *f, const char *parent, const char *code)
{
        return (struct organization){
                .code = arena_strdup(f->arena, code),
                .parent = arena_strdup(f->arena, parent),
                .name = arena_strdup(f->arena, code),
                .path = *parent ? arena_printf(f->arena, "/%s/%s/", parent, code) : arena_printf(f->arena, "/%s/", code),
                .kind = *parent ? 5 : 1,
                .version = 1,
        };
}

static const struct store_migration schema[] = {{"membership/001_core", test_membership_schema},
                                                {"membership/002_state_since", test_membership_state_since},
                                                IMPORTS_MIGRATIONS("membership")};
#define OLDER 2 /* so many of them have run where a build before common/imports has been */

static struct fixture fixture_of(size_t n_migrations)
{
        struct fixture f = {.arena = arena_new(1 << 20)};
        const char *error = "";
        world_folder();
        if (store_open(world_url, NULL, &f.store, &error) != 0 ||
            store_writer_acquire(f.store, "one", false, &f.writer, &error) != 0 ||
            store_migrate(store_writer_conn(f.writer), schema, n_migrations, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        f.db = store_writer_conn(f.writer);
        return f;
}

static struct fixture fixture_new(void)
{
        struct fixture f = fixture_of(ARRAY_LEN(schema));
        CHECK_INT(store_begin(f.db), 0);
        struct organization top = organization_make(&f, "", "43");
        CHECK_INT(organization_insert(f.db, &top), 0);
        for (int i = 0; i < VILLAGES; i++) {
                struct organization o = organization_make(&f, "43", arena_printf(f.arena, "43%02d", i));
                CHECK_INT(organization_insert(f.db, &o), 0);
        }
        return f;
}

static void fixture_done(struct fixture *f)
{
        store_rollback(f->db);
        store_writer_release(f->writer);
        store_close(f->store);
        arena_free(f->arena);
        world_remove_folder();
}

static struct member member_make(struct fixture *f, unsigned i, Member__State state)
{
        /* Ids in another order than villages. */
        return (struct member){
                .id = arena_printf(f->arena, "%08x-%04u", i * 2654435761u, i),
                .organization = arena_printf(f->arena, "43%02u", i * 7 % VILLAGES),
                .state = state,
                .name = arena_printf(f->arena, "name %u", i),
                .number = arena_printf(f->arena, "%016u", i),
                .id_number_masked = arena_strdup(f->arena, "4****************X"),
                .phone_masked = arena_strdup(f->arena, "138****5678"),
                .join_date = arena_strdup(f->arena, "2026-01-01"),
                .created = i,
                .updated = i,
                .version = 1,
                .generation = 1,
        };
}

static size_t count_pages(struct fixture *f, const char *path, Member__State state, int64_t size)
{
        struct member_filter filter = {.path = str_of(path), .state = state, .after_path = "", .after_id = ""};
        size_t n = 0;
        for (;;) {
                struct member_list page = {0};
                CHECK_INT(member_list(f->db, f->arena, &filter, size, &page), 0);
                for (size_t i = 0; i < page.n; i++) {
                        const struct member *m = &page.items[i];
                        int c = strcmp(m->path, filter.after_path);
                        bool later = c > 0 || (c == 0 && ((int)m->state > filter.after_state ||
                                                         ((int)m->state == filter.after_state &&
                                                          strcmp(m->id, filter.after_id) > 0)));
                        CHECK(later && (!state || m->state == state) && path_is_within(str_of(m->path), str_of(path)));
                        filter.after_path = m->path;
                        filter.after_id = m->id;
                        filter.after_state = m->state;
                }
                n += page.n;
                if ((int64_t)page.n < size)
                        return n;
        }
}

static void test_pages(void)
{
        struct fixture f = fixture_new();
        /* Of each state another number: so few that they are sorted, and more than that. */
        static const size_t upto[] = {0, 40, 1600, 1610, PEOPLE, PEOPLE};
        Member__State state = STATE(APPLIED);
        for (unsigned i = 0; i < PEOPLE; i++) {
                while (i >= upto[state])
                        state++;
                struct member m = member_make(&f, i, state);
                CHECK_INT(member_insert(f.db, &m), 0);
        }
        static const int64_t sizes[] = {1, 7, 1000, PEOPLE + 1};
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
                CHECK_INT(count_pages(&f, "/43/", 0, sizes[s]), PEOPLE);
                for (state = STATE(APPLIED); state <= STATE(DECEASED); state++)
                        CHECK_INT(count_pages(&f, "/43/", state, sizes[s]), upto[state] - upto[state - 1]);
        }
        for (state = STATE(APPLIED); state <= STATE(DECEASED); state++) {
                size_t sum = 0;
                for (int i = 0; i < VILLAGES; i++)
                        sum += count_pages(&f, arena_printf(f.arena, "/43/43%02d/", i), state, 5);
                CHECK_INT(sum, upto[state] - upto[state - 1]);
        }
        fixture_done(&f);
}

static void test_erasing(void)
{
        struct fixture f = fixture_new();
        const char bytes[] = "0123456789abcdef";
        struct str some = str_bytes(bytes, 16);
        struct member m = member_make(&f, 1, STATE(ENDED)), other = member_make(&f, 2, STATE(ENDED)), got;
        struct member_secret secret = {some, some, some, some, some}, kept;
        struct member_list erased = {0};
        CHECK_INT(member_insert(f.db, &m), 0);
        CHECK_INT(member_insert(f.db, &other), 0);
        CHECK_INT(member_secret_insert(f.db, m.id, &secret), 0);
        m.erased = 77;
        CHECK_INT(member_erase(f.db, &m), 0);
        CHECK_INT(member_get(f.db, f.arena, m.id, &got), 0);
        CHECK_TEXT(got.organization, m.organization);
        CHECK_INT(got.state, STATE(ENDED));
        CHECK_INT(got.version, m.version);
        CHECK(got.erased == 77 && got.updated == 77);
        CHECK(!got.name[0] && !got.number[0] && !got.id_number_masked[0] && !got.phone_masked[0] && !got.join_date[0]);
        CHECK_INT(member_secret_get(f.db, f.arena, m.id, &kept), -ENOENT);
        CHECK_INT(member_erasures(f.db, f.arena, "", 10, &erased), 0);
        CHECK(erased.n == 1 && strcmp(erased.items[0].id, m.id) == 0);
        CHECK_INT(member_get(f.db, f.arena, other.id, &got), 0);
        CHECK(got.name[0] && !got.erased);
        fixture_done(&f);
}

static void test_seen(void)
{
        struct fixture f = fixture_new();
        enum import_seen seen;
        int64_t dropped = 0;
        CHECK_INT(import_see(f.db, "a", STR("person"), STR("says"), &seen), 0);
        CHECK_INT(seen, SEEN_NEVER);
        CHECK_INT(import_see(f.db, "a", STR("person"), STR("says"), &seen), 0);
        CHECK_INT(seen, SEEN_ALIKE);
        CHECK_INT(import_see(f.db, "a", STR("person"), STR("other"), &seen), 0);
        CHECK_INT(seen, SEEN_OTHERWISE);
        CHECK_INT(import_see(f.db, "b", STR("person"), STR("other"), &seen), 0);
        CHECK_INT(seen, SEEN_NEVER);
        CHECK_INT(import_see(f.db, "a", STR("second"), STR("says"), &seen), 0);
        CHECK_INT(import_seen_drop(f.db, "a", 1, &dropped), 0);
        CHECK_INT(dropped, 1);
        CHECK_INT(import_seen_drop(f.db, "a", 10, &dropped), 0);
        CHECK_INT(dropped, 1);
        CHECK_INT(import_see(f.db, "b", STR("person"), STR("other"), &seen), 0);
        CHECK_INT(seen, SEEN_ALIKE);
        fixture_done(&f);
}

static void test_older_import(void)
{
        static const char old[] =
                "INSERT INTO import (id, kind, owner, organization, validate_only, state, size, utf8, header, next_offset, next_row, "
                "total, accepted, unchanged, refused, created, ended) "
                "VALUES ($1, 2, '1:a', '43', 0, 2, 900, 0, '0,1,2,-1,3', 400, 7, 20, 5, 1, 0, 1000, NULL)";
        static const char old_piece[] = "INSERT INTO import_piece (import, start, size, data) VALUES ($1, 300, 600, $2)";
        struct fixture f = fixture_of(OLDER);
        const char *error = "";
        struct import_piece piece;
        struct import got;
        CHECK_INT(store_begin(f.db), 0);
        CHECK_INT(store_exec(f.db, old, NULL, TEXTZ("one")), 0);
        CHECK_INT(store_exec(f.db, old_piece, NULL, TEXTZ("one"), BYTES("sealed", 6)), 0);
        CHECK_INT(store_commit(f.db), 0);
        CHECK_INT(store_migrate(f.db, schema, ARRAY_LEN(schema), &error), 0);
        CHECK_INT(store_begin(f.db), 0);
        CHECK_INT(import_get(f.db, f.arena, "one", &got), 0);
        CHECK(strcmp(got.about, "") == 0 && strcmp(got.header, "0,1,2,-1,3") == 0 && got.next_row == 7 && got.next_offset == 400);
        CHECK(got.kind == 2 && got.accepted == 5 && got.unchanged == 1);
        CHECK_INT(import_piece_at(f.db, f.arena, "one", got.next_offset, &piece), 0);
        CHECK(piece.start == 300 && str_is(piece.data, "sealed"));
        /* An older build beside this one goes on writing as it does. */
        CHECK_INT(store_exec(f.db, old, NULL, TEXTZ("two")), 0);
        CHECK_INT(import_get(f.db, f.arena, "two", &got), 0);
        fixture_done(&f);
}

static const struct check_case cases[] = {
        {"pages of members join without a gap or a double, of all states and of each, many or few", test_pages},
        {"who is erased leaves id, organisation and state", test_erasing},
        {"a file knows whom it has named, and what it said of them", test_seen},
        {"an import that an older build began is there as it was, and an older build beside goes on", test_older_import},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
