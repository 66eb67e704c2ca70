/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store says of insurance: persons count once a group, payouts by claim; the policy of a day; and the figures of 85,000
 * insured persons, of whom insurers paid out more than was paid in.
 */
// uses: services/care/store_policy.c services/care/store_projection.c services/care/rules_policy.c
#include "services/care/rules_policy.h"
#include "services/care/store_policy.h"

#include "tests/support/store_world.h"

STORE_SCHEMA(test_care_core, "services/care/schema/001_core.sql");
STORE_SCHEMA(test_care_policy, "services/care/schema/006_policy.sql");

#define INSURED 85000
#define PREMIUM 15000

static struct store *store;
static struct store_writer *writer;
static struct store_conn *db;
static struct arena *arena;

static void begin(void)
{
        static const struct store_migration schema[] = {{"care/001_core", test_care_core}, {"care/006_policy", test_care_policy}};
        const char *error = "";
        arena = arena_new(1 << 20);
        world_folder();
        if (store_open(world_url, NULL, &store, &error) != 0 || store_writer_acquire(store, "one", false, &writer, &error) != 0 ||
            store_migrate(store_writer_conn(writer), schema, ARRAY_LEN(schema), &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        db = store_writer_conn(writer);
        CHECK_INT(store_begin(db), 0);
}

static void end(void)
{
        store_rollback(db);
        store_writer_release(writer);
        store_close(store);
        arena_free(arena);
        world_remove_folder();
}

static void conclude(const char *id, const char *start, const char *last)
{
        const struct policy_group g = {.id = id, .organization = "4301", .path = "/43/4301/", .title = "t", .insurer = "i", .start_date = start,
                                       .end_date = last, .premium = PREMIUM, .purpose = "insurance"};
        CHECK_INT(policy_group_insert(db, &g), 0);
}

static bool insure(const char *id, const char *group, const char *recipient)
{
        bool is_new = false;
        CHECK_INT(policy_insert(db, &(struct policy){.id = id, .group = group, .recipient = recipient}, &is_new), 0);
        return is_new;
}

static int pay(const char *case_id, const char *reference, const char *policy, const char *group, int64_t amount)
{
        return payout_insert(db, &(struct payout){case_id, reference, policy, group, "2026-06-01", amount, 0});
}

static void test_days(void)
{
        struct policy_group g;
        struct policy p, list[POLICIES_MAX];
        bool insured = false;
        size_t n = 0;
        begin();
        conclude("g25", "2025-01-01", "2025-12-31");
        conclude("g26", "2026-01-01", "2026-12-31");
        conclude("half", "2026-07-01", "2027-06-30");
        CHECK_INT(policy_group_load(db, arena, "g26", &g), 0);
        CHECK(g.premium == PREMIUM && strcmp(g.organization, "4301") == 0 && strcmp(g.path, "/43/4301/") == 0);
        CHECK_INT(policy_group_load(db, arena, "none", &g), CARE_E_ABSENT);
        CHECK(insure("a", "g25", "she") && insure("b", "g26", "she") && insure("c", "half", "she") && !insure("d", "g26", "she"));
        CHECK_INT(policy_exists(db, "g26", "she", &insured), 0);
        CHECK(insured);
        CHECK_INT(policy_exists(db, "g26", "he", &insured), 0);
        CHECK(!insured);
        const char *const days[][2] = {{"2025-01-01", "a"}, {"2025-12-31", "a"}, {"2026-01-01", "b"}, {"2026-06-30", "b"},
                                       {"2026-07-01", "c"}, {"2027-06-30", "c"}};
        for (size_t i = 0; i < ARRAY_LEN(days); i++) {
                CHECK_INT(policy_on(db, arena, "she", days[i][0], &p), 0);
                CHECK(strcmp(p.id, days[i][1]) == 0);
        }
        CHECK_INT(policy_on(db, arena, "she", "2024-12-31", &p), CARE_E_ABSENT);
        CHECK_INT(policy_on(db, arena, "she", "2027-07-01", &p), CARE_E_ABSENT);
        CHECK_INT(policy_on(db, arena, "he", "2026-07-01", &p), CARE_E_ABSENT);
        CHECK_INT(policies_of(db, arena, "she", list, &n), 0);
        CHECK(n == 3 && strcmp(list[0].id, "c") == 0 && strcmp(list[2].id, "a") == 0 && strcmp(list[1].end_date, "2026-12-31") == 0);
        end();
}

static void test_figures(void)
{
        struct policy_figures figures;
        struct payout told;
        begin();
        conclude("province", "2026-01-01", "2026-12-31");
        conclude("other", "2026-01-01", "2026-12-31");
        for (int i = 0; i < INSURED; i++) {
                char id[16], recipient[16];
                snprintf(id, sizeof(id), "p%d", i);
                snprintf(recipient, sizeof(recipient), "r%d", i);
                insure(id, "province", recipient);
        }
        CHECK(insure("elsewhere", "other", "r0") && !insure("again", "province", "r0"));
        CHECK_INT(policy_figures_load(db, "province", &figures), 0);
        CHECK(figures.insured == INSURED && figures.claims == 0 && figures.payouts == 0);
        /* 3,200 claims, each paid in two parts: 13,872,000 yuan of 12,750,000. */
        for (int i = 0; i < 3200; i++) {
                char claim[16], policy[16];
                snprintf(claim, sizeof(claim), "c%d", i);
                snprintf(policy, sizeof(policy), "p%d", i);
                CHECK_INT(pay(claim, "1", policy, "province", 400000), 0);
                CHECK_INT(pay(claim, "2", policy, "province", 33500), 0);
        }
        CHECK_INT(pay("c0", "9", "elsewhere", "other", 77), 0);
        CHECK_INT(pay("c0", "1", "p0", "province", 400000), STORE_E_RETRY);
        CHECK_INT(payout_load(db, arena, "c0", "1", &told), 0);
        CHECK(told.amount == 400000 && strcmp(told.policy, "p0") == 0 && strcmp(told.group, "province") == 0);
        CHECK_INT(payout_load(db, arena, "c0", "3", &told), CARE_E_ABSENT);
        CHECK_INT(policy_figures_load(db, "province", &figures), 0);
        CHECK(figures.insured == INSURED && figures.claims == 3200 && figures.payouts == 1387200000);
        CHECK_INT(policy_loss_ratio(figures.insured * PREMIUM, figures.payouts), 10880);
        CHECK_INT(policy_figures_load(db, "other", &figures), 0);
        CHECK(figures.insured == 1 && figures.claims == 1 && figures.payouts == 77);
        end();
}

static const struct check_case cases[] = {
        {"who is insured on a day, by which policy, and once a group", test_days},
        {"85,000 persons at 150 yuan and what insurers paid them: 108.8 %", test_figures},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
