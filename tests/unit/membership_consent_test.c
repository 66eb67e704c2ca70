/* SPDX-License-Identifier: Apache-2.0
 *
 * Consents beyond what a scenario reaches: as many as are kept, the state of all of them page by page, and a long outbox
 * in which those of an erased person are forgotten.
 */
// uses: services/membership/handle_consent.c services/membership/answer.c services/membership/store_consent.c
// uses: services/membership/store_member.c services/membership/store_organization.c services/membership/rules.c
#include "services/membership/handle.h"

#include "tests/support/rpc_world.h"

#define MEMBERS 300
#define KEPT    1000
#define STATE(name) NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name

STORE_SCHEMA(test_schema_001, "services/membership/schema/001_core.sql");
STORE_SCHEMA(test_schema_002, "services/membership/schema/002_state_since.sql");
STORE_SCHEMA(test_schema_003, "services/membership/schema/003_consent.sql");

static const struct store_migration schema[] = {{"membership/001_core", test_schema_001},
                                                {"membership/002_state_since", test_schema_002},
                                                {"membership/003_consent", test_schema_003},
                                                {0}};
static const struct rpc_method methods[] = {MEMBERSHIP_V1_GIVE_CONSENT(handle_give_consent),
                                            MEMBERSHIP_V1_WITHDRAW_CONSENT(handle_withdraw_consent),
                                            MEMBERSHIP_V1_LIST_CONSENTS(handle_list_consents),
                                            {0}};
static const struct rpc_snapshot snapshots[] = {{.topic = "consent", .page = snapshot_consents}, {0}};
static const struct rpc_due_kind due[] = {{DUE_FORGET_CONSENTS, due_forget_consents}, {0}};
static const struct rpc_service service = {
        .name = "membership", .methods = methods, .migrations = schema, .snapshots = snapshots, .due = due};

/* --- what there is ---------------------------------------------------------------------------------------------- */

/* Ids in another order than numbers. */
static char *id_of(struct world *w, unsigned i)
{
        return arena_printf(w->arena, "%08x-0000-7000-8000-%012u", i * 2654435761u, i);
}

static void put_member(struct world *w, struct store_conn *db, unsigned i)
{
        char *none = arena_strdup(w->arena, "");
        struct member m = {.id = id_of(w, i),
                           .organization = arena_strdup(w->arena, i % 2 ? "4301" : "4302"),
                           .state = STATE(ACTIVE),
                           .name = none,
                           .number = arena_printf(w->arena, "%016u", i),
                           .id_number_masked = none,
                           .phone_masked = none,
                           .join_date = none,
                           .version = 1,
                           .generation = 1};
        CHECK_INT(member_insert(db, &m), 0);
}

static void put_consents(struct world *w, struct store_conn *db, unsigned member, const char *purpose, int n, bool holds)
{
        for (int giving = 1; giving <= n; giving++) {
                struct consent c = {.member = id_of(w, member),
                                    .purpose = arena_strdup(w->arena, purpose),
                                    .version = arena_printf(w->arena, "v%d", giving),
                                    .giving = giving,
                                    .given = 1000000 * giving,
                                    .ended = 1000000 * giving + 500000};
                CHECK_INT(consent_insert(db, &c), 0);
                if (giving < n || !holds)
                        CHECK_INT(consent_end(db, &c), 0);
        }
}

/* Before anybody serves from it. */
static struct world *world_of(void (*fill)(struct world *w, struct store_conn *db))
{
        struct world *w = world_make(NULL, &service);
        struct store_writer *writer = world_writer(w);
        struct store_conn *db = store_writer_conn(writer);
        CHECK_INT(store_begin(db), 0);
        static const char *const codes[] = {"4301", "4302"};
        for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
                struct organization o = {.code = arena_strdup(w->arena, codes[i]),
                                         .parent = arena_strdup(w->arena, ""),
                                         .name = arena_strdup(w->arena, codes[i]),
                                         .path = arena_printf(w->arena, "/%s/", codes[i]),
                                         .kind = 2,
                                         .version = 1};
                CHECK_INT(organization_insert(db, &o), 0);
        }
        fill(w, db);
        CHECK_INT(store_commit(db), 0);
        store_writer_release(writer);
        world_write(w);
        CHECK(world_until(w, "SELECT COUNT(*) FROM rpc_epoch", 1)); /* its writer has begun */
        return w;
}

/* --- the state of all ------------------------------------------------------------------------------------------- */

/* Member i has i % 4 purposes; of each the last giving holds, or does not. */
static void put_many(struct world *w, struct store_conn *db)
{
        static const char *const purposes[] = {"accident-insurance", "hospital-care", "scholarship"};
        for (unsigned i = 0; i < MEMBERS; i++) {
                put_member(w, db, i);
                for (unsigned p = 0; p < i % 4; p++)
                        put_consents(w, db, i, purposes[p], 1 + (int)(i % 3), (i + p) % 2);
        }
}

struct told {
        Nuanxin__Internal__V1__OutboxEvent *items[MEMBERS * 3];
        size_t n;
};

static struct told *pull_all(struct world *w, unsigned limit)
{
        struct told *told = ARENA_NEW(w->arena, struct told);
        Ask ask = NUANXIN__INTERNAL__V1__PULL_SNAPSHOT_REQUEST__INIT;
        ask.topic = (char *)"consent";
        ask.limit = limit;
        for (;;) {
                const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE, "stream");
                struct got *got =
                        world_ask(w, &(struct question){.contract = &internal_v1_pull_snapshot, .input = &ask, .who = who});
                CHECK_INT(got->reply.problem, 0);
                Told *page = world_told(w, got);
                CHECK(page->n_events <= limit && strlen(page->next_key) <= 200);
                if (!page->next_key[0] || told->n + page->n_events > ARRAY_LEN(told->items))
                        return told;
                memcpy(told->items + told->n, page->events, page->n_events * sizeof(page->events[0]));
                told->n += page->n_events;
                ask.key = page->next_key;
        }
}

static void *data_of(struct world *w, const Nuanxin__Internal__V1__OutboxEvent *e)
{
        ProtobufCMessage *data = NULL;
        world_must(message_unpack(w->arena, contract_message_by_name(str_of(e->type)), (const char *)e->data.data, e->data.len,
                                  &data), "event", e->type);
        return data;
}

static void last_of_each_purpose(void)
{
        static const unsigned limits[] = {1, 2, 7};
        struct world *w = world_of(put_many);
        struct told *whole = pull_all(w, 1000);
        const char *last = "";
        CHECK_INT(whole->n, MEMBERS / 4 * (1 + 2 + 3));
        for (size_t i = 0; i < whole->n; i++) {
                const Nuanxin__Internal__V1__OutboxEvent *e = whole->items[i];
                unsigned member = (unsigned)atoi(strrchr(e->subject, '-') + 1);
                ConsentGiven *given = data_of(w, e); /* ConsentWithdrawn begins likewise */
                unsigned purpose = given->purpose[0] == 'a' ? 0 : given->purpose[0] == 'h' ? 1 : 2;
                bool holds = (member + purpose) % 2;
                CHECK_TEXT(strrchr(e->type, '.') + 1, holds ? "ConsentGiven" : "ConsentWithdrawn");
                CHECK_TEXT(given->member, e->subject);
                CHECK_TEXT(given->organization, member % 2 ? "4301" : "4302");
                CHECK_TEXT(e->organization, given->organization);
                if (holds)
                        CHECK_TEXT(given->version, arena_printf(w->arena, "v%u", 1 + member % 3));
                const char *place = arena_printf(w->arena, "%s %s", given->member, given->purpose);
                CHECK(strcmp(place, last) > 0);
                last = place;
        }
        for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
                struct told *paged = pull_all(w, limits[i]);
                CHECK_INT(paged->n, whole->n);
                for (size_t k = 0; k < paged->n && k < whole->n; k++)
                        CHECK(paged->items[k]->data.len == whole->items[k]->data.len &&
                              memcmp(paged->items[k]->data.data, whole->items[k]->data.data, whole->items[k]->data.len) == 0);
        }
        world_done(w);
}

/* --- as many as are kept ------------------------------------------------------------------------------------------ */

static void put_most(struct world *w, struct store_conn *db)
{
        put_member(w, db, 1);
        put_consents(w, db, 1, "hospital-care", KEPT, true);
}

static int give(struct world *w, const char *purpose, const char *version)
{
        GiveConsentRequest ask = NUANXIN__MEMBERSHIP__V1__GIVE_CONSENT_REQUEST__INIT;
        Consent consent = NUANXIN__MEMBERSHIP__V1__CONSENT__INIT;
        const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR, "root");
        consent.purpose = (char *)purpose;
        consent.version = (char *)version;
        ask.member = id_of(w, 1);
        ask.consent = &consent;
        return (int)world_ask(w, &(struct question){.contract = &membership_v1_give_consent, .input = &ask, .who = who})
                ->reply.problem;
}

static void as_many_as_are_kept(void)
{
        struct world *w = world_of(put_most);
        const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR, "root");
        CHECK_INT(give(w, "hospital-care", "v1000"), 0); /* holds already */
        CHECK_INT(give(w, "hospital-care", "v1001"), NUANXIN__PROBLEM__PROBLEM_CONSENT_LIMIT);
        CHECK_INT(give(w, "another", "v1"), NUANXIN__PROBLEM__PROBLEM_CONSENT_LIMIT);
        ListConsentsRequest list = NUANXIN__MEMBERSHIP__V1__LIST_CONSENTS_REQUEST__INIT;
        list.member = id_of(w, 1);
        struct got *got = world_ask(w, &(struct question){.contract = &membership_v1_list_consents, .input = &list, .who = who});
        CHECK_INT(got->reply.problem, 0); /* the answer keeps the contract's bounds */
        WithdrawConsentRequest all = NUANXIN__MEMBERSHIP__V1__WITHDRAW_CONSENT_REQUEST__INIT;
        all.member = id_of(w, 1);
        got = world_ask(w, &(struct question){.contract = &membership_v1_withdraw_consent, .input = &all, .who = who});
        CHECK_INT(got->reply.problem, 0);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM consent WHERE ended IS NULL"), 0);
        CHECK_INT(give(w, "hospital-care", "v1000"), NUANXIN__PROBLEM__PROBLEM_CONSENT_LIMIT);
        world_done(w);
}

/* --- a long outbox ------------------------------------------------------------------------------------------------ */

#define EVENTS 25000

/* An outbox that was trimmed, with 50 consent events of one person and 50 of another spread over it; and the work of
 * forgetting the one's. */
static void put_events(struct world *w, struct store_conn *db)
{
        static const char sql[] =
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
                "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) "
                "SELECT 700000 + i, CAST(i AS TEXT), CASE WHEN i % 250 = 0 THEN $2 ELSE $3 END, "
                "CASE WHEN i % 500 = 0 THEN $4 ELSE $5 END, '4301', $6, $7 FROM n";
        static const char work[] = "INSERT INTO rpc_due (kind, key, at_us, payload, attempts) VALUES ($1, $2, 0, $3, 0)";
        CHECK_INT(store_exec(db, sql, NULL, I64(EVENTS), TEXTZ(membership_v1_consent_given_msg.name),
                             TEXTZ(membership_v1_member_state_changed_msg.name), TEXTZ(id_of(w, 1)), TEXTZ(id_of(w, 2)),
                             I64(clock_now_us(&w->clock)), BYTES("secret", 6)), 0);
        CHECK_INT(store_exec(db, work, NULL, TEXTZ(DUE_FORGET_CONSENTS), TEXTZ(id_of(w, 1)), BYTES("", 0)), 0);
}

static int64_t count(struct world *w, const char *type, unsigned member)
{
        return world_number(w, arena_printf(w->arena, "SELECT COUNT(*) FROM rpc_outbox WHERE type LIKE '%%.%s' AND subject = '%s'",
                                            type, id_of(w, member)));
}

static void forgetting(void)
{
        struct world *w = world_of(put_events);
        CHECK(world_until(w, "SELECT COUNT(*) FROM rpc_due", 0));
        CHECK_INT(count(w, "ConsentGiven", 1), 0);
        CHECK_INT(count(w, "EventForgotten", 1), EVENTS / 500);
        CHECK_INT(count(w, "ConsentGiven", 2), EVENTS / 500);
        CHECK_INT(count(w, "EventForgotten", 2), 0);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_outbox"), EVENTS);
        world_done(w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"the snapshot tells of each member and purpose what was said last, in pages of any size", last_of_each_purpose},
                {"a thousand consents of a member are kept, and no more are taken; withdrawing goes on", as_many_as_are_kept},
                {"in a long outbox the events of one person are forgotten, each in its place", forgetting},
        };
        return CHECK_MAIN(cases);
}
