/* SPDX-License-Identifier: Apache-2.0
 *
 * What who follows activity late is told: everything once, in order, as it is now, in pages of any size and bounded bytes.
 */
// uses: services/activity/snapshot.c services/activity/handle_campaign.c services/activity/handle_activity.c
// uses: services/activity/shared.c services/activity/promote.c services/activity/rules.c
// uses: services/activity/store_campaign.c services/activity/store_activity.c services/activity/store_count.c
// uses: services/activity/store_registration.c services/activity/store_checkin.c services/activity/store_projection.c
#include "services/activity/handle.h"

#include "tests/support/rpc_world.h"

#define CAMPAIGNS     90
#define ACTIVITIES    120
#define REGISTRATIONS 400
#define ATTENDANCES   300
#define TEXT_MAX      12000 /* bytes: 4,000 Chinese characters */
#define PAGE_BYTES    (1024 * 1024 + 2 * TEXT_MAX)

static const struct rpc_service service = {
        .name = "activity", .migrations = activity_migrations, .snapshots = activity_snapshots};

/* --- what there is ---------------------------------------------------------------------------------------------- */

/* Ids in another order than numbers. */
static const char *id_of(struct world *w, const char *kind, unsigned i)
{
        return arena_printf(w->arena, "%s%08x-0000-7000-8000-%012u", kind, i * 2654435761u, i);
}

static const char *long_text(struct world *w)
{
        char *text = arena_alloc(w->arena, TEXT_MAX + 1);
        for (int i = 0; i < TEXT_MAX; i += 3)
                memcpy(text + i, "暖", 3);
        text[TEXT_MAX] = '\0';
        return text;
}

static void put_campaigns(struct world *w, struct store_conn *db)
{
        const char *text = long_text(w);
        for (unsigned i = 0; i < CAMPAIGNS; i++) {
                struct campaign c = {.id = id_of(w, "c", i),
                                     .organization = "4301",
                                     .path = "/43/4301/",
                                     .title = "5·29",
                                     .description = text,
                                     .start_us = 1,
                                     .end_us = 2,
                                     .state = (int)(1 + i % 3),
                                     .revision = 1};
                CHECK_INT(campaign_insert(db, &c), 0);
        }
}

static void put_activities(struct world *w, struct store_conn *db)
{
        for (unsigned i = 0; i < ACTIVITIES; i++) {
                struct activity a = {.id = id_of(w, "a", i),
                                     .campaign = id_of(w, "c", i % CAMPAIGNS),
                                     .organization = "430102",
                                     .path = "/43/4301/430102/",
                                     .title = "义诊",
                                     .description = "",
                                     .category = 1,
                                     .mode = 1,
                                     .place = "村部",
                                     .link = "",
                                     .state = (int)(1 + i % 5),
                                     .capacity = i % 2 ? 10 : 0,
                                     .revision = 1};
                CHECK_INT(activity_insert(db, &a), 0);
        }
}

static void put_people(struct world *w, struct store_conn *db)
{
        enum attendance_outcome outcome;
        for (unsigned i = 0; i < REGISTRATIONS; i++) {
                struct registration g = {.id = id_of(w, "r", i),
                                         .activity = id_of(w, "a", i % ACTIVITIES),
                                         .member = id_of(w, "m", i),
                                         .organization = "430102001001",
                                         .state = (int)(1 + i % 3),
                                         .code = id_of(w, "r", i)};
                CHECK_INT(registration_insert(db, &g), 0);
        }
        for (unsigned i = 0; i < ATTENDANCES; i++)
                for (int earlier = 0; earlier <= (int)(i % 2); earlier++) { /* half of them are amended */
                        struct attendance t = {.id = id_of(w, "t", i),
                                               .activity = id_of(w, "a", i % ACTIVITIES),
                                               .member = id_of(w, "m", i),
                                               .organization = "430102001001",
                                               .way = earlier ? WAY_ONLINE : WAY_CARD,
                                               .device = "",
                                               .nonce = "",
                                               .occurred_us = earlier ? 1000000 : 2000000};
                        CHECK_INT(attendance_record(db, w->arena, &t, &outcome), 0);
                }
}

static struct world *world_of_all(void)
{
        struct world *w = world_make(NULL, &service);
        struct store_writer *writer = world_writer(w);
        struct store_conn *db = store_writer_conn(writer);
        CHECK_INT(store_begin(db), 0);
        put_campaigns(w, db);
        put_activities(w, db);
        put_people(w, db);
        CHECK_INT(store_commit(db), 0);
        store_writer_release(writer);
        world_write(w);
        CHECK(world_until(w, "SELECT COUNT(*) FROM rpc_epoch", 1)); /* its writer has begun */
        return w;
}

/* --- what is told ----------------------------------------------------------------------------------------------- */

struct told {
        Nuanxin__Internal__V1__OutboxEvent *items[2000];
        size_t n, pages;
};

static struct told *pull_all(struct world *w, const char *topic, unsigned limit)
{
        struct told *told = ARENA_NEW(w->arena, struct told);
        Ask ask = NUANXIN__INTERNAL__V1__PULL_SNAPSHOT_REQUEST__INIT;
        ask.topic = (char *)topic;
        ask.limit = limit;
        for (;;) {
                const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE, "stream");
                struct got *got =
                        world_ask(w, &(struct question){.contract = &internal_v1_pull_snapshot, .input = &ask, .who = who});
                CHECK_INT(got->reply.problem, 0);
                CHECK(got->payload.n <= PAGE_BYTES);
                Told *page = world_told(w, got);
                CHECK(page->n_events <= limit && strlen(page->next_key) <= 200);
                if (!page->next_key[0] || told->n + page->n_events > ARRAY_LEN(told->items)) {
                        CHECK_INT(page->n_events, 0);
                        return told;
                }
                told->pages++;
                memcpy(told->items + told->n, page->events, page->n_events * sizeof(page->events[0]));
                told->n += page->n_events;
                ask.key = page->next_key;
        }
}

static void check_same(const struct told *a, const struct told *b)
{
        CHECK_INT(a->n, b->n);
        for (size_t i = 0; i < a->n && i < b->n; i++) {
                CHECK_TEXT(a->items[i]->type, b->items[i]->type);
                CHECK_TEXT(a->items[i]->subject, b->items[i]->subject);
                CHECK_TEXT(a->items[i]->organization, b->items[i]->organization);
                CHECK(a->items[i]->data.len == b->items[i]->data.len &&
                      memcmp(a->items[i]->data.data, b->items[i]->data.data, a->items[i]->data.len) == 0);
        }
}

static const char *const topics[] = {"campaign", "activity", "registration", "checkin"};

static void pages_join_whatever_their_size(void)
{
        static const unsigned limits[] = {1, 2, 3, 7};
        struct world *w = world_of_all();
        for (size_t t = 0; t < ARRAY_LEN(topics); t++) {
                struct told *whole = pull_all(w, topics[t], 1000);
                CHECK(whole->n > 0);
                for (size_t i = 0; i < ARRAY_LEN(limits); i++)
                        check_same(pull_all(w, topics[t], limits[i]), whole);
        }
        CHECK(pull_all(w, "campaign", 1000)->pages >= 2); /* long texts: by their bytes */
        world_done(w);
}

static void *data_of(struct world *w, const Nuanxin__Internal__V1__OutboxEvent *e)
{
        ProtobufCMessage *data = NULL;
        world_must(message_unpack(w->arena, contract_message_by_name(str_of(e->type)), (const char *)e->data.data, e->data.len,
                                  &data), "event", e->type);
        return data;
}

static bool is_type(const Nuanxin__Internal__V1__OutboxEvent *e, const char *name)
{
        return strcmp(strrchr(e->type, '.') + 1, name) == 0;
}

/* Of each thing its value, once, in the order of the ids; and behind it its state, if it has one. */
static void values_before_states(void)
{
        static const char *const campaign[] = {NULL, NULL, "CampaignOpened", "CampaignClosed"};
        static const char *const activity[] = {NULL, NULL, "ActivityOpened", "ActivityClosed", "ActivityCancelled", "ActivityEnded"};
        struct world *w = world_of_all();
        for (int t = 0; t < 2; t++) {
                struct told *told = pull_all(w, topics[t], 1000);
                size_t n = 0, created = 0;
                const char *last = "";
                while (n < told->n) {
                        const Nuanxin__Internal__V1__OutboxEvent *e = told->items[n++];
                        CHECK(is_type(e, t ? "ActivityCreated" : "CampaignCreated") && strcmp(e->subject, last) > 0);
                        int state = t ? (int)((ActivityCreated *)data_of(w, e))->value->state
                                      : (int)((CampaignCreated *)data_of(w, e))->value->state;
                        const char *then = t ? activity[state] : campaign[state];
                        CHECK_TEXT(e->organization, t ? "430102" : "4301");
                        if (then) {
                                CHECK(n < told->n && is_type(told->items[n], then));
                                CHECK_TEXT(told->items[n]->subject, e->subject);
                                n++;
                        }
                        last = e->subject;
                        created++;
                }
                CHECK_INT(created, t ? ACTIVITIES : CAMPAIGNS);
        }
        world_done(w);
}

static void persons_as_they_are_now(void)
{
        struct world *w = world_of_all();
        struct told *told = pull_all(w, "registration", 1000);
        CHECK_INT(told->n, REGISTRATIONS);
        for (size_t i = 0; i < told->n; i++) {
                const RegistrationCreated *g = data_of(w, told->items[i]);
                unsigned number = (unsigned)atoi(strrchr(g->registration, '-') + 1);
                bool over = 1 + number % 3 == REGISTRATION_CANCELLED;
                CHECK(is_type(told->items[i], over ? "RegistrationCancelled" : "RegistrationCreated"));
                CHECK_INT(g->state, over ? 0 : 1 + number % 3);
                CHECK_TEXT(g->member, id_of(w, "m", number));
                CHECK_TEXT(g->activity, id_of(w, "a", number % ACTIVITIES));
                CHECK_TEXT(g->campaign, id_of(w, "c", number % ACTIVITIES % CAMPAIGNS));
                CHECK_TEXT(told->items[i]->organization, "430102001001");
        }
        told = pull_all(w, "checkin", 1000);
        CHECK_INT(told->n, ATTENDANCES);
        for (size_t i = 0; i < told->n; i++) {
                const CheckinRecorded *t = data_of(w, told->items[i]);
                unsigned number = (unsigned)atoi(strrchr(t->checkin, '-') + 1);
                CHECK_TEXT(t->checkin, id_of(w, "t", number));
                CHECK_INT(t->way, number % 2 ? WAY_ONLINE : WAY_CARD);
                CHECK_INT(t->occurred_time->seconds, number % 2 ? 1 : 2);
                CHECK_TEXT(t->campaign, id_of(w, "c", number % ACTIVITIES % CAMPAIGNS));
        }
        world_done(w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"pages of any size give the same, within their bytes", pages_join_whatever_their_size},
                {"of campaigns and activities first what they are, then in which state", values_before_states},
                {"registrations and attendances are told as they are now", persons_as_they_are_now},
        };
        return CHECK_MAIN(cases);
}
