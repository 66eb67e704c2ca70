/* SPDX-License-Identifier: Apache-2.0
 *
 * What who follows care late is told: everything once, in order, whatever the size of the pages; of who was erased, only that.
 */
// uses: services/care/snapshot.c services/care/store_snapshot.c services/care/store_recipient.c services/care/store_case.c
// uses: services/care/store_contact.c services/care/store_task.c services/care/store_work.c services/care/store_projection.c
// uses: services/care/rules_visit.c
#include "services/care/handle.h"
#include "services/care/snapshot.h"
#include "services/care/store_case.h"
#include "services/care/store_recipient.h"
#include "services/care/store_task.h"
#include "services/care/store_work.h"

#include "tests/support/rpc_world.h"

STORE_SCHEMA(test_care_core, "services/care/schema/001_core.sql");
STORE_SCHEMA(test_care_programme, "services/care/schema/002_programme.sql");
STORE_SCHEMA(test_care_ledger, "services/care/schema/003_ledger.sql");
STORE_SCHEMA(test_care_case, "services/care/schema/004_case.sql");
STORE_SCHEMA(test_care_payment, "services/care/schema/005_payment.sql");
STORE_SCHEMA(test_care_work, "services/care/schema/007_work.sql");

static const struct store_migration schema[] = {
        {"care/001_core", test_care_core}, {"care/002_programme", test_care_programme}, {"care/003_ledger", test_care_ledger},
        {"care/004_case", test_care_case}, {"care/005_payment", test_care_payment},     {"care/007_work", test_care_work},
        {0},
};
static const struct rpc_service service = {.name = "care", .migrations = schema, .snapshots = care_snapshots};

#define PLACE  "430102"
#define PATH   "/43/4301/430102/"
#define PEOPLE 30 /* every third is erased; each has a case, with two contacts, a decision, a task, a visit */
#define KEPT   20

/* --- what there is --------------------------------------------------------------------------------------------------- */

/* Ids in another order than numbers. */
static const char *id_of(struct world *w, const char *kind, unsigned i)
{
        return arena_printf(w->arena, "%s%08x-%04u", kind, i * 2654435761u, i);
}

static void put_case(struct world *w, struct store_conn *db, unsigned i)
{
        const char *person = id_of(w, "r", i), *id = id_of(w, "c", i);
        struct care_case c = {.id = id, .number = id, .programme = "aid", .version = 2, .recipient = person, .subject = person,
                              .organization = PLACE, .path = PATH, .state = 1, .stage = "county", .task = "", .opened_by = "o", .unit = "CNY",
                              .deciders = "", .steps = 2, .transfer_to = "", .previous = "", .created_us = 1, .revision = 1};
        CHECK_INT(case_insert(db, &c), 0);
        for (int n = 1; n <= 2; n++) {
                const struct step step = {.n = n, .stage = "village", .action = n == 1 ? "open" : "confirm", .actor = "o", .time_us = 1};
                const struct contact contact = {.role = n == 1 ? "county" : "village", .account = "a", .name = "", .phone = "", .since_us = 1};
                CHECK_INT(step_insert(db, id, &step), 0);
                CHECK_INT(contact_save(db, id, &contact), 0);
        }
        const struct decision d = {.id = id_of(w, "d", i), .case_id = id, .programme = "aid", .version = 2, .recipient = person, .actor = "o",
                                   .amount = 7, .state = i % 2 ? DECISION_GIVEN : DECISION_RESERVED, .pending = "", .uses = "",
                                   .sealed = str_of("x"), .time_us = 1};
        CHECK_INT(decision_insert(db, &d), 0);
}

static void put_person(struct world *w, struct store_conn *db, unsigned i)
{
        bool is_new, was, erased = i % 3 == 2;
        const char *person = id_of(w, "r", i), *id = id_of(w, "c", i);
        const struct recipient r = {.id = person, .organization = PLACE, .path = PATH, .member = i % 3 == 1 ? id_of(w, "m", i) : "", .state = 1,
                                    .household = "", .name = "", .id_number_masked = "", .phone_masked = "", .bank_account_masked = "",
                                    .erased_us = erased, .revision = 1};
        const struct care_task t = {.id = id_of(w, "t", i), .kind = 1, .case_id = id, .programme = "aid", .stage = "county",
                                    .organization = PLACE, .place_path = PATH, .person = person, .assignee = "", .due_us = 1000000};
        const struct visit v = {.id = id_of(w, "v", i), .subject = id, .case_id = id, .recipient = person, .organization = PLACE, .occasion = "",
                                .at_us = 1000000, .way = 1, .outcome = i % 2, .account = "", .device = "", .nonce = "", .task = ""};
        CHECK_INT(recipient_insert(db, &r), 0);
        put_case(w, db, i);
        CHECK_INT(contact_delete(db, id, "village", &was), 0);
        CHECK_INT(task_insert(db, w->arena, &t), 0);
        CHECK_INT(visit_insert(db, &v, &is_new), 0);
}

static struct world *world_of_all(void)
{
        struct world *w = world_make(NULL, &service);
        struct store_writer *writer = world_writer(w);
        struct store_conn *db = store_writer_conn(writer);
        CHECK_INT(store_begin(db), 0);
        for (unsigned i = 0; i < PEOPLE; i++)
                put_person(w, db, i);
        CHECK_INT(store_commit(db), 0);
        store_writer_release(writer);
        world_write(w);
        CHECK(world_until(w, "SELECT COUNT(*) FROM rpc_epoch", 1)); /* its writer has begun */
        return w;
}

/* --- what is told ---------------------------------------------------------------------------------------------------- */

struct told {
        Nuanxin__Internal__V1__OutboxEvent *items[200];
        size_t n;
};

static struct told *pull_all(struct world *w, const char *topic, unsigned limit)
{
        struct told *told = ARENA_NEW(w->arena, struct told);
        Ask ask = NUANXIN__INTERNAL__V1__PULL_SNAPSHOT_REQUEST__INIT;
        ask.topic = (char *)topic;
        ask.limit = limit;
        for (;;) {
                const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE, "stream");
                struct got *got = world_ask(w, &(struct question){.contract = &internal_v1_pull_snapshot, .input = &ask, .who = who});
                CHECK_INT(got->reply.problem, 0);
                Told *page = world_told(w, got);
                CHECK(page->n_events <= limit && strlen(page->next_key) <= 200);
                if (!page->next_key[0] || told->n + page->n_events > ARRAY_LEN(told->items)) {
                        CHECK_INT(page->n_events, 0);
                        return told;
                }
                memcpy(told->items + told->n, page->events, page->n_events * sizeof(page->events[0]));
                told->n += page->n_events;
                ask.key = page->next_key;
        }
}

static const struct {
        const char *topic;
        size_t n; /* of events */
} topics[] = {{"case", 2 * KEPT}, {"decision", KEPT + KEPT / 2}, {"contact", 2 * KEPT}, {"task", KEPT},
              {"visit", KEPT / 2}, {"recipient", PEOPLE - KEPT}};

static void pages_join_whatever_their_size(void)
{
        static const unsigned limits[] = {1, 2, 3, 7};
        struct world *w = world_of_all();
        for (size_t t = 0; t < ARRAY_LEN(topics); t++) {
                struct told *whole = pull_all(w, topics[t].topic, 1000);
                CHECK_INT(whole->n, topics[t].n);
                for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
                        struct told *told = pull_all(w, topics[t].topic, limits[i]);
                        CHECK_INT(told->n, whole->n);
                        for (size_t k = 0; k < told->n && k < whole->n; k++) {
                                const Nuanxin__Internal__V1__OutboxEvent *a = told->items[k], *b = whole->items[k];
                                CHECK_TEXT(a->type, b->type);
                                CHECK_TEXT(a->subject, b->subject);
                                CHECK(a->data.len == b->data.len && memcmp(a->data.data, b->data.data, a->data.len) == 0);
                        }
                }
        }
        world_done(w);
}

static const void *data_of(struct world *w, const Nuanxin__Internal__V1__OutboxEvent *e)
{
        ProtobufCMessage *data = NULL;
        world_must(message_unpack(w->arena, contract_message_by_name(str_of(e->type)), (const char *)e->data.data, e->data.len, &data),
                   "event", e->type);
        return data;
}

static void cases_as_they_are_now(void)
{
        struct world *w = world_of_all();
        struct told *told = pull_all(w, "case", 1000), *contacts = pull_all(w, "contact", 1000);
        for (size_t i = 0; i + 1 < told->n; i += 2) {
                const CaseOpened *opened = data_of(w, told->items[i]);
                const CaseMoved *moved = data_of(w, told->items[i + 1]);
                unsigned number = (unsigned)atoi(strrchr(opened->case_id, '-') + 1);
                CHECK(number % 3 != 2);
                CHECK_TEXT(opened->person, number % 3 ? id_of(w, "m", number) : id_of(w, "r", number));
                CHECK_TEXT(moved->case_id, opened->case_id);
                CHECK_TEXT(moved->action, "confirm");
                CHECK_TEXT(moved->stage, "county");
        }
        for (size_t i = 0; i + 1 < contacts->n; i += 2) {
                CHECK_TEXT(((const ContactChanged *)data_of(w, contacts->items[i]))->account, "a");
                CHECK_TEXT(((const ContactChanged *)data_of(w, contacts->items[i + 1]))->account, ""); /* gone: it is told, too */
        }
        world_done(w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"pages of any size give the same, and nothing of who was erased", pages_join_whatever_their_size},
                {"of a case first that it was opened, then where it stands; of a contact who is gone that the role is empty", cases_as_they_are_now},
        };
        return CHECK_MAIN(cases);
}
