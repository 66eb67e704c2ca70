/* SPDX-License-Identifier: Apache-2.0
 *
 * What the activity service's store promises: an attendance that does not depend on the order of uploads, counts that
 * equal a recount however the tree moves, places that are never given twice.
 */
// uses: services/activity/store_campaign.c services/activity/store_activity.c
// uses: services/activity/store_registration.c services/activity/store_checkin.c
// uses: services/activity/store_count.c services/activity/store_projection.c
#include "services/activity/store.h"

#include "tests/support/store_world.h"

#define ONLINE 4
#define WAITING 2

struct fixture {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        struct arena *arena;
        uint64_t random;
};

static struct fixture fixture_new(void)
{
        struct fixture f = {.arena = arena_new(65536), .random = 88172645463325252u};
        const char *error = "";
        world_folder();
        if (store_open(world_url, NULL, &f.store, &error) != 0 ||
            store_writer_acquire(f.store, "one", false, &f.writer, &error) != 0 ||
            store_migrate(store_writer_conn(f.writer), activity_migrations, 1, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        f.db = store_writer_conn(f.writer);
        CHECK_INT(store_begin(f.db), 0);
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

static unsigned pick(struct fixture *f, unsigned n) /* xorshift64: the same in every run */
{
        f->random ^= f->random << 13;
        f->random ^= f->random >> 7;
        f->random ^= f->random << 17;
        return (unsigned)(f->random % n);
}

static void run(struct fixture *f, const char *sql)
{
        CHECK_INT(store_exec(f->db, sql, NULL), 0);
}

/* The rows of a query as text, for comparing. */
static const char *dump(struct fixture *f, const char *sql, int columns)
{
        struct buf out = {0};
        struct store_rows *rows = NULL;
        CHECK_INT(store_query(f->db, sql, &rows), 0);
        while (store_next(rows) == 1) {
                for (int i = 0; i < columns; i++) {
                        buf_add_str(&out, store_text(rows, i));
                        buf_add_char(&out, i + 1 < columns ? '|' : '\n');
                }
        }
        store_rows_close(rows);
        const char *text = arena_strdup(f->arena, buf_z(&out));
        buf_done(&out);
        return text;
}

static const char *id(struct fixture *f, const char *kind, unsigned n)
{
        return arena_printf(f->arena, "%s-%03u", kind, n);
}

/* --- attendances ----------------------------------------------------------------------------------------------- */

#define SCANS  60
#define PEOPLE 7

static struct attendance random_scan(struct fixture *f, unsigned i)
{
        return (struct attendance){
                .id = id(f, "scan", i),
                .activity = "a",
                .member = id(f, "member", pick(f, PEOPLE)),
                .organization = id(f, "village", pick(f, 3)),
                .way = 1 + (int)pick(f, 4),
                .device = id(f, "device", pick(f, 2)),
                .nonce = id(f, "nonce", pick(f, 4)),
                .occurred_us = 1000 + pick(f, 4), /* many ties */
                .created_us = 5000,
        };
}

static void shuffle(struct fixture *f, struct attendance *scans, size_t n)
{
        for (size_t i = n - 1; i > 0; i--) {
                size_t k = pick(f, (unsigned)i + 1);
                struct attendance swap = scans[i];
                scans[i] = scans[k];
                scans[k] = swap;
        }
}

static int add_count(struct fixture *f, const char *organization, int64_t on_site, int64_t online)
{
        const struct store_value count[] = {TEXTZ("c"), TEXTZ(organization), I64(on_site), I64(online)};
        return campaign_count_add(f->db, count, 1);
}

/* Uploads all of them, and follows the counts by the outcomes as the consumer does. */
static const char *upload(struct fixture *f, const struct attendance *scans, size_t n)
{
        static const char attendances[] = "SELECT member, organization, way, device, nonce, occurred_us, created_us "
                                          "FROM attendance ORDER BY member";
        static const char counts[] = "SELECT campaign, organization, on_site, online FROM campaign_count "
                                     "WHERE on_site <> 0 OR online <> 0 ORDER BY campaign, organization";
        run(f, "DELETE FROM attendance");
        run(f, "DELETE FROM campaign_count");
        for (size_t i = 0; i < n; i++) {
                struct attendance t = scans[i];
                enum attendance_outcome outcome;
                CHECK_INT(attendance_record(f->db, f->arena, &t, &outcome), 0);
                if (outcome == ATTENDANCE_AMENDED)
                        CHECK_INT(add_count(f, t.previous_organization, -(t.previous_way != ONLINE), -(t.previous_way == ONLINE)), 0);
                if (outcome != ATTENDANCE_REPEATED)
                        CHECK_INT(add_count(f, t.organization, t.way != ONLINE, t.way == ONLINE), 0);
                CHECK_TEXT(t.member, scans[i].member);
                CHECK(t.occurred_us <= scans[i].occurred_us);
        }
        return arena_printf(f->arena, "%s%s", dump(f, attendances, 7), dump(f, counts, 4));
}

static void offline_uploads_in_any_order_end_in_one_state(void)
{
        struct fixture f = fixture_new();
        struct attendance scans[SCANS];
        for (int set = 0; set < 20; set++) {
                for (unsigned i = 0; i < SCANS; i++)
                        scans[i] = random_scan(&f, i);
                const char *first = upload(&f, scans, SCANS);
                for (int order = 0; order < 20; order++) {
                        shuffle(&f, scans, SCANS);
                        CHECK_TEXT(upload(&f, scans, SCANS), first);
                }
        }
        fixture_done(&f);
}

static void a_scan_uploaded_again_changes_nothing(void)
{
        struct fixture f = fixture_new();
        struct attendance scans[2 * SCANS];
        for (unsigned i = 0; i < SCANS; i++)
                scans[i] = scans[SCANS + i] = random_scan(&f, i);
        CHECK_TEXT(upload(&f, scans, 2 * SCANS), upload(&f, scans, SCANS));
        fixture_done(&f);
}

static void refused_scans_are_kept_once_in_any_order(void)
{
        static const char sql[] = "SELECT member, way, device, nonce, occurred_us, reason FROM refused_scan "
                                  "ORDER BY member, way, device, nonce, occurred_us, reason";
        struct fixture f = fixture_new();
        struct attendance scans[2 * SCANS];
        const char *first = NULL;
        for (unsigned i = 0; i < SCANS; i++) {
                scans[i] = scans[SCANS + i] = random_scan(&f, i);
                scans[SCANS + i].id = id(&f, "again", i);
        }
        for (int order = 0; order < 10; order++) {
                run(&f, "DELETE FROM refused_scan");
                shuffle(&f, scans, 2 * SCANS);
                for (size_t i = 0; i < 2 * SCANS; i++)
                        CHECK_INT(refused_scan_record(f.db, &scans[i], 230 + scans[i].way), 0);
                const char *now = dump(&f, sql, 6);
                if (!first)
                        first = now;
                CHECK_TEXT(now, first);
        }
        fixture_done(&f);
}

/* --- counts and the tree ------------------------------------------------------------------------------------------ */

#define TOP    "43"
#define CITIES 3
#define TOWNS  6
#define VILLAGES 18

static void place(struct fixture *f, const char *code, const char *parent, const char *parent_path)
{
        struct organization o = {code, parent, arena_printf(f->arena, "%s%s/", parent_path, code), code, 0, 0};
        CHECK_INT(organization_save(f->db, f->arena, &o), 0);
}

static void make_activity(struct fixture *f, int64_t capacity)
{
        struct campaign c = {.id = "c", .organization = TOP, .path = "/43/", .title = "t", .description = ""};
        struct activity a = {.id = "a", .campaign = "c", .organization = TOP, .path = "/43/", .title = "t",
                             .description = "", .place = "", .link = "", .capacity = capacity};
        CHECK_INT(campaign_insert(f->db, &c), 0);
        CHECK_INT(activity_insert(f->db, &a), 0);
}

static void attend(struct fixture *f, const char *member, const char *village, int way)
{
        struct attendance t = {.id = member, .activity = "a", .member = member, .organization = village, .way = way,
                               .device = "", .nonce = "", .occurred_us = 1, .created_us = 1};
        enum attendance_outcome outcome;
        const char *codes[ORGANIZATION_MAX_DEPTH];
        size_t n = 0;
        CHECK_INT(attendance_record(f->db, f->arena, &t, &outcome), 0);
        CHECK_INT(outcome, ATTENDANCE_RECORDED);
        CHECK_INT(organization_ancestors(f->db, f->arena, village, codes, &n), 0);
        CHECK_INT(n, 4);
        CHECK_TEXT(codes[0], village);
        CHECK_TEXT(codes[3], TOP);
        for (size_t i = 0; i < n; i++)
                CHECK_INT(add_count(f, codes[i], way != ONLINE, way == ONLINE), 0);
        const struct store_value count[] = {TEXTZ("a"), I64(0), I64(0), I64(way != ONLINE), I64(way == ONLINE)};
        CHECK_INT(activity_count_add(f->db, count, 1), 0);
}

static void counts_equal_a_recount_however_the_tree_moves(void)
{
        static const char sql[] = "SELECT campaign, organization, on_site, online FROM campaign_count "
                                  "WHERE on_site <> 0 OR online <> 0 UNION ALL SELECT activity, '', on_site, online "
                                  "FROM activity_count ORDER BY 1, 2";
        struct fixture f = fixture_new();
        place(&f, TOP, "", "/");
        for (unsigned i = 0; i < CITIES; i++)
                place(&f, id(&f, "city", i), TOP, "/43/");
        for (unsigned i = 0; i < TOWNS; i++)
                place(&f, id(&f, "town", i), id(&f, "city", i % CITIES), "/43/x/");
        for (unsigned i = 0; i < VILLAGES; i++)
                place(&f, id(&f, "village", i), id(&f, "town", i % TOWNS), "/43/x/y/");
        make_activity(&f, 0);
        for (unsigned step = 0; step < 300; step++) {
                unsigned what = pick(&f, 6);
                if (what == 0)
                        place(&f, id(&f, "town", pick(&f, TOWNS)), id(&f, "city", pick(&f, CITIES)), "/43/z/");
                else if (what == 1)
                        place(&f, id(&f, "village", pick(&f, VILLAGES)), id(&f, "town", pick(&f, TOWNS)), "/43/z/y/");
                else
                        attend(&f, id(&f, "member", step), id(&f, "village", pick(&f, VILLAGES)), 1 + (int)pick(&f, 4));
        }
        const char *followed = dump(&f, sql, 4);
        CHECK_INT(counts_rebuild(f.db), 0);
        CHECK_TEXT(followed, dump(&f, sql, 4));
        CHECK(strlen(followed) > 100);
        fixture_done(&f);
}

static void a_moved_organisation_takes_its_activities_along(void)
{
        struct fixture f = fixture_new();
        struct activity a;
        make_activity(&f, 0);
        place(&f, TOP, "", "/");
        place(&f, TOP, "0", "/0/");
        CHECK_INT(activity_load(f.db, f.arena, "a", &a), 0);
        CHECK_TEXT(a.path, "/0/43/");
        fixture_done(&f);
}

static void the_end_of_a_path_bounds_its_subtree(void)
{
        struct fixture f = fixture_new();
        CHECK(str_is(path_end(f.arena, STR("/43/")), "/430"));
        CHECK(strcmp("/43/4301/", "/430") < 0 && strcmp("/430/", "/430") > 0);
        fixture_done(&f);
}

/* --- places ------------------------------------------------------------------------------------------------------ */

static void places_go_to_those_who_came_first(void)
{
        struct fixture f = fixture_new();
        struct seat seat;
        struct registration g;
        make_activity(&f, 2);
        for (unsigned i = 1; i <= 5; i++) {
                CHECK_INT(seat_take(f.db, "a", &seat), 0);
                CHECK_INT(seat.last_position, i);
                CHECK_INT(seat.waiting, i > 2 ? i - 2 : 0);
                g = (struct registration){id(&f, "r", i), "a", id(&f, "m", i), "v", seat.waiting ? WAITING : 1,
                                          id(&f, "code", i), i, 1, 1, false, ""};
                CHECK_INT(registration_insert(f.db, &g), 0);
                CHECK_INT(registration_insert(f.db, &g), ACTIVITY_E_ABSENT);
        }
        CHECK_INT(seat_resize(f.db, "a", 1, &seat), ACTIVITY_E_ABSENT);
        CHECK_INT(seat_change(f.db, "a", -1, 0, &seat), 0);
        CHECK_INT(seat_take(f.db, "a", &seat), 0); /* a place is free, but others wait for it */
        CHECK_INT(seat.taken, 1);
        CHECK_INT(seat.waiting, 4);
        for (unsigned i = 3; i <= 5; i++) {
                CHECK_INT(registration_promote(f.db, f.arena, "a", 9, &g), 0);
                CHECK_TEXT(g.id, id(&f, "r", i));
                CHECK_INT(g.state, 1);
        }
        CHECK_INT(registration_promote(f.db, f.arena, "a", 9, &g), ACTIVITY_E_ABSENT);
        CHECK_INT(seat_change(f.db, "a", 2, 0, &seat), -EEXIST); /* never more than there are */
        fixture_done(&f);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"offline uploads in any order end in one state", offline_uploads_in_any_order_end_in_one_state},
                {"a scan uploaded again changes nothing", a_scan_uploaded_again_changes_nothing},
                {"refused scans are kept once in any order", refused_scans_are_kept_once_in_any_order},
                {"counts equal a recount however the tree moves", counts_equal_a_recount_however_the_tree_moves},
                {"a moved organisation takes its activities along", a_moved_organisation_takes_its_activities_along},
                {"the end of a path bounds its subtree", the_end_of_a_path_bounds_its_subtree},
                {"places go to those who came first", places_go_to_those_who_came_first},
        };
        return CHECK_MAIN(cases);
}
