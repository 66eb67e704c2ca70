/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendered events in memory: shared, bounded, and never older than what whoever asks has seen; first by hand, then with
 * many transactions of different ages against a log that goes on.
 */
// uses: services/stream/view.c services/stream/projection.c services/stream/render.c services/stream/segment.c
// uses: services/stream/segment_people.c services/stream/segment_put.c services/stream/segment_take.c
#include "services/stream/segment.h"
#include "tests/support/check.h"

#include "contract/activity_v1.h"
#include "contract/membership_v1.h"

#define MIB   (1024 * 1024)
#define EPOCH 1

/* --- a log of the test's own ----------------------------------------------------------------------------------------------- */

#define EVENTS_MAX 4000
enum what { CHECKIN, GIVEN, WITHDRAWN, ERASED, OPENED };

struct entry {
        enum what what;
        int person; /* of CHECKIN to ERASED */
};
static struct entry entries[EVENTS_MAX + 1];
static int64_t newest;
static struct arena *arena;

#define PERSONS 40
static char names[PERSONS][4];
static const struct contract_message *const types[] = {
        [CHECKIN] = &activity_v1_checkin_recorded_msg, [GIVEN] = &membership_v1_consent_given_msg,
        [WITHDRAWN] = &membership_v1_consent_withdrawn_msg, [ERASED] = &membership_v1_member_erased_msg,
        [OPENED] = &activity_v1_campaign_opened_msg,
};

static void happens(enum what what, int person)
{
        entries[++newest] = (struct entry){what, person};
}

static bool erased_at(int person, int64_t version)
{
        for (int64_t i = 1; i <= version; i++)
                if (entries[i].what == ERASED && entries[i].person == person)
                        return true;
        return false;
}

static bool consents_at(int person, int64_t version)
{
        bool consents = false;
        for (int64_t i = 1; i <= version; i++)
                if (entries[i].person == person && entries[i].what >= GIVEN && entries[i].what <= ERASED)
                        consents = entries[i].what == GIVEN;
        return consents;
}

static void begin_log(void)
{
        memset(entries, 0, sizeof(entries));
        newest = 0;
}

/* --- a transaction on it ------------------------------------------------------------------------------------------------------ */

static struct segments *segments;
static size_t loads, learnt;

static void tell(int64_t version)
{
        int64_t told = segments_told(segments);
        struct segment_change changes[EVENTS_MAX];
        size_t n = 0;
        for (int64_t i = told + 1; i <= version; i++)
                if (entries[i].what >= GIVEN && entries[i].what <= ERASED)
                        changes[n++] = (struct segment_change){i, names[entries[i].person], entries[i].what == ERASED};
        segments_tell(segments, EPOCH, changes, n, version);
}

static struct segment_consents consents_of(int64_t first, int64_t last, int64_t version)
{
        struct segment_consent *items = ARENA_ARRAY(arena, struct segment_consent, PERSONS);
        struct segment_consents c = {.items = items, .first = first, .last = last, .as_of = version};
        for (int p = 0; p < PERSONS; p++)
                if (consents_at(p, version))
                        items[c.n++] = (struct segment_consent){names[p], "care"};
        return c;
}

static enum segments_need load(struct segment_ask *ask, int64_t version, int64_t most)
{
        static struct segment_row rows[SEGMENT_EVENTS];
        int64_t first = ask->after + 1, last = segment_end(first) < version ? segment_end(first) : version;
        last = last - first >= most ? first + most - 1 : last;
        for (int64_t i = first; i <= last; i++) {
                const struct entry *e = &entries[i];
                bool person = e->what != OPENED, gone = person && erased_at(e->person, version);
                struct segment_row *row = &rows[i - first];
                *row = (struct segment_row){
                        .type = view_type_index(types[e->what]),
                        .id = arena_printf(arena, "id%lld", (long long)i),
                        .person = person ? names[e->person] : "",
                        .purpose = e->what == GIVEN || e->what == WITHDRAWN ? "care" : "",
                        .places = i % 2 ? STR("/43/4301/") : STR("/43/4302/"),
                        .erased = gone,
                };
                if (!gone || e->what == ERASED)
                        row->bytes = str_of(arena_printf(arena, "e%lld", (long long)i));
        }
        const struct segment_consents consents = consents_of(first, last, version);
        loads++;
        return segments_load(segments, ask, rows, (size_t)(last - first + 1), &consents);
}

static enum segments_need learn(struct segment_ask *ask, int64_t version)
{
        int64_t first = ask->after + 1, last = segment_end(first) < version ? segment_end(first) : version;
        const struct segment_consents consents = consents_of(first, last, version);
        learnt++;
        return segments_learn(segments, ask, &consents);
}

/* All that the ask wants, from a transaction that sees the log up to `version`. */
static const char *fetch(struct segment_ask *ask, int64_t version, int64_t most)
{
        ask->latest = version;
        ask->out.n = 0;
        enum segments_need need = segments_take(segments, ask);
        for (int rounds = 0; need != SEGMENTS_ENOUGH; rounds++) {
                need = need == SEGMENTS_EVENTS ? load(ask, version, most) : learn(ask, version);
                if (rounds == 1000) {
                        printf("# it does not come to an end\n");
                        exit(1);
                }
        }
        return arena_strndup(arena, ask->out.p, ask->out.n);
}

/* --- agencies ------------------------------------------------------------------------------------------------------------------- */

static const char *const everywhere[] = {"43"}, *const half[] = {"4301"}, *const care[] = {"care"}, *const other[] = {"other"};
static const char *const all_types[] = {"nuanxin.*"};
static const struct view_profile consented = {.organizations = {everywhere, 1}, .purposes = {care, 1}};
static const struct view_profile statutory = {.organizations = {everywhere, 1}, .statutory = {care, 1}};
static const struct view_profile stranger = {.organizations = {everywhere, 1}, .purposes = {other, 1}};
static const struct view_profile local = {.organizations = {half, 1}, .statutory = {care, 1}};
static const struct projection *projection;

static struct segment_ask ask_of(const struct view_profile *profile)
{
        struct view_types allowed = view_types_of(arena, (struct view_list){all_types, 1});
        return (struct segment_ask){.projection = projection,
                                    .format = NUANXIN__STREAM__V1__EVENT_FORMAT__JSON,
                                    .profile = profile,
                                    .epoch = EPOCH,
                                    .allowed = allowed,
                                    .wanted = allowed,
                                    .max_events = 1000,
                                    .max_bytes = MIB,
                                    .max_rows = 4096};
}

static const char *see(const struct view_profile *profile, int64_t after, int64_t version)
{
        struct segment_ask ask = ask_of(profile);
        ask.after = after;
        tell(version);
        const char *text = fetch(&ask, version, SEGMENT_EVENTS);
        CHECK_INT(ask.after, version);
        buf_done(&ask.out);
        return text;
}

static void set_up(size_t max_bytes)
{
        begin_log();
        segments = segments_new(max_bytes);
        segments_enter(segments, EPOCH);
        projection = segments_projection(segments, NUANXIN__PRIVACY__PERSONAL, (struct view_list){NULL, 0});
        loads = learnt = 0;
}

static void tear_down(void)
{
        segments_projection_release(segments, projection);
        CHECK_INT(segments_bytes(segments), 0);
        segments = segments_free(segments);
        arena_reset(arena);
}

/* --- by hand ---------------------------------------------------------------------------------------------------------------------- */

static void agencies_share_what_is_rendered(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 0);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        happens(OPENED, 0);
        CHECK_TEXT(see(&consented, 0, 4), "e2,e3,e4");
        CHECK_INT(loads, 1);
        CHECK_TEXT(see(&statutory, 0, 4), "e1,e2,e3,e4");
        CHECK_TEXT(see(&stranger, 0, 4), "e4");
        CHECK_TEXT(see(&local, 0, 4), "e1,e3");
        CHECK_TEXT(see(&consented, 2, 4), "e3,e4");
        CHECK_INT(loads, 1);
        CHECK_INT(learnt, 0);
        tear_down();
}

static void bounds_are_kept(void)
{
        set_up(64 * MIB);
        for (int i = 0; i < 700; i++)
                happens(OPENED, 0);
        struct segment_event items[10];
        struct segment_ask ask = ask_of(&statutory);
        ask.max_events = 3;
        ask.after = 510;
        ask.events = items;
        CHECK_TEXT(fetch(&ask, 700, 1000), "e511,e512,e513");
        CHECK_INT(ask.after, 513);
        CHECK_INT(items[2].seq, 513);
        CHECK_TEXT(items[2].id, "id513");
        CHECK(memcmp(ask.out.p + items[1].at, "e512", items[1].n) == 0 && items[1].n == 4);
        ask = (struct segment_ask){.out = ask.out};
        buf_done(&ask.out);

        ask = ask_of(&statutory);
        ask.max_bytes = 13;
        CHECK_TEXT(fetch(&ask, 700, 1000), "e1,e2,e3,e4"); /* 11, and no 12 more */
        CHECK_INT(ask.after, 4);
        buf_done(&ask.out);
        ask = ask_of(&statutory);
        ask.max_bytes = 1;
        ask.after = 600;
        CHECK_TEXT(fetch(&ask, 700, 1000), "e601"); /* one, however large */
        buf_done(&ask.out);

        ask = ask_of(&stranger);
        ask.wanted = view_types_of(arena, (struct view_list){NULL, 0});
        ask.max_rows = 600;
        CHECK_TEXT(fetch(&ask, 700, 1000), "");
        CHECK_INT(ask.after, 600);
        buf_done(&ask.out);
        ask = ask_of(&statutory);
        ask.after = 700;
        CHECK_TEXT(fetch(&ask, 700, 1000), "");
        CHECK_INT(ask.after, 700);
        buf_done(&ask.out);
        tear_down();
}

static void notices_pass_what_is_wanted(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 0);
        happens(GIVEN, 0);
        happens(WITHDRAWN, 0);
        happens(OPENED, 0);
        struct segment_ask ask = ask_of(&consented);
        static const char *const opened[] = {"nuanxin.activity.v1.CampaignOpened"};
        ask.wanted = view_types_of(arena, (struct view_list){opened, 1});
        CHECK_TEXT(fetch(&ask, 4, 1000), "e3,e4");
        buf_done(&ask.out);
        ask = ask_of(&stranger); /* a purpose that is not its */
        CHECK_TEXT(fetch(&ask, 4, 1000), "e4");
        buf_done(&ask.out);
        tear_down();
}

static void a_withdrawal_hides_at_once(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        CHECK_TEXT(see(&consented, 0, 2), "e1,e2");
        happens(WITHDRAWN, 1);
        CHECK_TEXT(see(&consented, 0, 3), "e3");
        happens(GIVEN, 1);
        CHECK_TEXT(see(&consented, 0, 4), "e1,e2,e3,e4");
        CHECK_TEXT(see(&statutory, 0, 4), "e1,e2,e3,e4");
        CHECK_INT(loads, 3); /* what is rendered stays, and grows */
        CHECK(learnt > 0);
        tear_down();
}

/* Who began before the withdrawal may still answer so; what it loads must not serve who began after. */
static void an_old_transaction_leaves_nothing_old_behind(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        happens(WITHDRAWN, 1);
        tell(3);
        struct segment_ask old = ask_of(&consented);
        CHECK_TEXT(fetch(&old, 2, 1000), "e1,e2");
        buf_done(&old.out);
        CHECK_TEXT(see(&consented, 0, 3), "e3");
        old = ask_of(&consented);
        CHECK_TEXT(fetch(&old, 2, 1000), ""); /* it has the newer answer now */
        buf_done(&old.out);
        tear_down();
}

static void an_erasure_takes_the_bytes_away(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(CHECKIN, 2);
        CHECK_TEXT(see(&statutory, 0, 2), "e1,e2");
        CHECK(segments_bytes(segments) > 0);
        happens(ERASED, 1);
        tell(3);
        CHECK_INT(segments_bytes(segments), 0);
        struct segment_ask old = ask_of(&statutory);
        CHECK_TEXT(fetch(&old, 2, 1000), "e2"); /* not even for who had not seen it */
        buf_done(&old.out);
        CHECK_TEXT(see(&statutory, 0, 3), "e2,e3");
        CHECK_TEXT(see(&consented, 0, 3), "e3");
        happens(ERASED, 1); /* as a source says it that begins anew */
        tell(4);
        old = ask_of(&statutory);
        CHECK_TEXT(fetch(&old, 3, 1000), "e2,e3"); /* the notice stays */
        buf_done(&old.out);
        CHECK_TEXT(see(&consented, 0, 4), "e3,e4");
        tear_down();
}

static void what_came_before_all_known_changes_does_not_stay(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        for (int i = 0; i < 2; i++)
                happens(OPENED, 0);
        tell(2);
        segments_forget(segments, EPOCH, 4); /* so much has happened that nobody told all of it */
        struct segment_ask old = ask_of(&consented);
        CHECK_TEXT(fetch(&old, 2, 1000), "e1,e2");
        CHECK_INT(segments_bytes(segments), 0);
        buf_done(&old.out);
        tear_down();

        set_up(64 * MIB); /* nor what is older than the ring of changes */
        struct segment_change changes[5000];
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        tell(2);
        for (int i = 0; i < 5000; i++)
                changes[i] = (struct segment_change){3 + i, i ? "somebody" : names[1], i == 0};
        segments_tell(segments, EPOCH, changes, 5000, 5002);
        old = ask_of(&statutory);
        CHECK_TEXT(fetch(&old, 2, 1000), "e1,e2");
        CHECK_INT(segments_bytes(segments), 0);
        buf_done(&old.out);
        tear_down();
}

static void consents_may_all_be_forgotten(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        happens(OPENED, 0);
        CHECK_TEXT(see(&consented, 0, 2), "e1,e2");
        const struct segment_change all = {.seq = 3, .person = ""};
        segments_tell(segments, EPOCH, &all, 1, 3);
        struct segment_ask ask = ask_of(&consented);
        ask.latest = 3;
        CHECK_INT(segments_take(segments, &ask), SEGMENTS_CONSENTS);
        const struct segment_consents none = {.first = 1, .last = 3, .as_of = 3};
        CHECK_INT(segments_learn(segments, &ask, &none), SEGMENTS_EVENTS);
        CHECK_INT(ask.after, 2);
        CHECK_INT(ask.n_events, 0);
        buf_done(&ask.out);
        tear_down();
}

static void memory_is_bounded(void)
{
        set_up(200 * 1024);
        for (int i = 0; i < 4000; i++)
                happens(OPENED, 0);
        for (int round = 0; round < 3; round++) {
                struct segment_ask ask = ask_of(&statutory);
                ask.max_events = 10000;
                CHECK(strlen(fetch(&ask, 4000, SEGMENT_EVENTS)) > 4000);
                CHECK(segments_bytes(segments) <= 200 * 1024);
                buf_done(&ask.out);
        }
        CHECK(loads > 8); /* not all of it fits */
        tear_down();
}

static void a_tail_grows_in_place(void)
{
        set_up(64 * MIB);
        happens(OPENED, 0);
        CHECK_TEXT(see(&statutory, 0, 1), "e1");
        for (int i = 2; i <= 600; i++) {
                happens(OPENED, 0);
                CHECK_TEXT(see(&statutory, i - 1, i), arena_printf(arena, "e%d", i));
        }
        CHECK_INT(loads, 600);
        CHECK(strlen(see(&statutory, 0, 600)) > 2000);
        CHECK_INT(loads, 600);
        tear_down();
}

static void what_begins_in_the_middle_is_filled_up(void)
{
        set_up(64 * MIB);
        for (int i = 0; i < 20; i++)
                happens(OPENED, 0);
        CHECK_TEXT(see(&statutory, 18, 20), "e19,e20");
        CHECK(strncmp(see(&statutory, 0, 20), "e1,e2,", 6) == 0);
        struct segment_ask ask = ask_of(&statutory); /* bit by bit */
        ask.after = 5;
        CHECK(strncmp(fetch(&ask, 20, 3), "e6,e7,", 6) == 0);
        CHECK_INT(ask.n_events, 15);
        buf_done(&ask.out);
        tear_down();
}

static void projections_keep_apart(void)
{
        set_up(64 * MIB);
        happens(OPENED, 0);
        const struct projection *same = segments_projection(segments, NUANXIN__PRIVACY__PERSONAL, (struct view_list){NULL, 0});
        const struct projection *public = segments_projection(segments, NUANXIN__PRIVACY__PUBLIC, (struct view_list){NULL, 0});
        CHECK(same == projection && public != projection);
        CHECK_TEXT(see(&statutory, 0, 1), "e1");
        struct segment_ask ask = ask_of(&statutory);
        ask.projection = public;
        CHECK_TEXT(fetch(&ask, 1, 10), "e1");
        CHECK_INT(loads, 2);
        buf_done(&ask.out);
        size_t before = segments_bytes(segments);
        segments_projection_release(segments, public);
        CHECK(segments_bytes(segments) < before);
        segments_projection_release(segments, same);
        CHECK_TEXT(see(&statutory, 0, 1), "e1");
        CHECK_INT(loads, 2);
        tear_down();
}

/* A restore, under the feet of who has just asked. */
static void another_log_has_nothing_of_the_one_before(void)
{
        set_up(64 * MIB);
        happens(CHECKIN, 1);
        happens(GIVEN, 1);
        CHECK_TEXT(see(&consented, 0, 2), "e1,e2");
        segments_enter(segments, 2);
        CHECK_INT(segments_bytes(segments), 0);
        CHECK_INT(segments_told(segments), 0);
        struct segment_ask old = ask_of(&consented);
        CHECK_TEXT(fetch(&old, 2, 10), "e1,e2"); /* who is still in the old one */
        tell(2);
        CHECK_INT(segments_told(segments), 0);
        CHECK_INT(segments_bytes(segments), 0);
        buf_done(&old.out);
        begin_log(); /* the new one: the same person, without consent */
        happens(OPENED, 1);
        happens(CHECKIN, 1);
        struct segment_ask new = ask_of(&consented);
        new.epoch = 2;
        CHECK_TEXT(fetch(&new, 2, 10), "e1");
        buf_done(&new.out);
        tear_down();
}

/* --- many ages at once -------------------------------------------------------------------------------------------------------------- */

static unsigned pick(unsigned n) /* xorshift64: the same in every run */
{
        static uint64_t random = 88172645463325252u;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return (unsigned)(random % n);
}

/* May this answer have been right at some moment between the transaction's and the newest that was told? */
static bool could_be(bool shown, const struct entry *e, bool by_law, int64_t version, int64_t told)
{
        for (int64_t v = version; v <= told; v++) {
                bool may = !erased_at(e->person, v) && (by_law || consents_at(e->person, v) || e->what == WITHDRAWN);
                if (e->what == OPENED || e->what == ERASED)
                        may = true;
                if (may == shown)
                        return true;
        }
        return false;
}

static void check_answer(const struct segment_ask *ask, int64_t from, int64_t version, bool by_law)
{
        int64_t told = segments_told(segments) > version ? segments_told(segments) : version;
        size_t k = 0;
        for (int64_t i = from + 1; i <= ask->after; i++) {
                bool shown = k < ask->n_events && ask->events[k].seq == i;
                k += shown;
                if (!could_be(shown, &entries[i], by_law, version, told)) {
                        printf("# event %lld (%d of %s) is %s to who sees %lld while %lld was told\n", (long long)i, (int)entries[i].what,
                               names[entries[i].person], shown ? "shown" : "hidden",
                               (long long)version, (long long)told);
                        check_failed = true;
                }
        }
        CHECK_INT(k, ask->n_events);
}

static void no_answer_is_older_than_its_transaction(void)
{
        static struct segment_event items[2000];
        set_up(300 * 1024); /* so small that segments go and come */
        for (int i = 0; i < 40; i++)
                happens(CHECKIN, (int)pick(PERSONS));
        for (int round = 0; round < 4000; round++) {
                if (pick(3) && newest < 1500) {
                        unsigned what = pick(400);
                        happens(what < 200 ? CHECKIN : what < 290 ? GIVEN : what < 370 ? WITHDRAWN : what < 395 ? OPENED : ERASED,
                                (int)pick(PERSONS));
                }
                int64_t version = newest - (int64_t)pick(2) * pick(12);
                bool by_law = pick(2);
                struct segment_ask ask = ask_of(by_law ? &statutory : &consented);
                int64_t from = version < 600 ? (int64_t)pick((unsigned)version) : version - (int64_t)pick(600);
                ask.after = from;
                ask.events = items;
                ask.max_events = 1 + pick(1000);
                if (segments_told(segments) < version)
                        tell(version);
                fetch(&ask, version, 1 + pick(SEGMENT_EVENTS));
                check_answer(&ask, from, version, by_law);
                buf_done(&ask.out);
                arena_reset(arena);
                if (check_failed)
                        break;
        }
        printf("# %lld events, %zu loads, consents asked for %zu times\n", (long long)newest, loads, learnt);
        CHECK(newest > 1000 && loads > 100 && learnt > 100);
        tear_down();
}

int main(void)
{
        static const struct check_case cases[] = {
                {"agencies share what is rendered, and each sees its own of it", agencies_share_what_is_rendered},
                {"events, bytes and rows are bounded", bounds_are_kept},
                {"notices come though their types are not asked for", notices_pass_what_is_wanted},
                {"a withdrawal hides at once, and a new consent shows again", a_withdrawal_hides_at_once},
                {"a transaction that is older leaves nothing old behind", an_old_transaction_leaves_nothing_old_behind},
                {"an erasure takes the bytes out of memory", an_erasure_takes_the_bytes_away},
                {"what is older than all known changes does not stay", what_came_before_all_known_changes_does_not_stay},
                {"all consents may be forgotten at once", consents_may_all_be_forgotten},
                {"memory is bounded", memory_is_bounded},
                {"the end of the log grows in place", a_tail_grows_in_place},
                {"a segment that begins in the middle is filled up", what_begins_in_the_middle_is_filled_up},
                {"projections are shared while they are equal, and kept apart", projections_keep_apart},
                {"another log has nothing of the one before", another_log_has_nothing_of_the_one_before},
                {"whatever is loaded, told and dropped meanwhile, no answer is older than its transaction", no_answer_is_older_than_its_transaction},
        };
        arena = arena_new(65536);
        for (int i = 0; i < PERSONS; i++)
                snprintf(names[i], sizeof(names[i]), "p%d", i);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
