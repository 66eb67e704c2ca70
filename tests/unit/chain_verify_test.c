/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain over the log: whatever is altered, taken away, put in another order or made anew is found and named, once;
 * what the service itself does to a log (erasure, retention, a restore) is not.
 */
#include "common/chain/verify.h"

#include "common/base/clock.h"
#include "tests/support/check.h"

#include <unistd.h>

#define ROWS   40
#define APART  10 /* rows between checkpoints */
#define OLD    "01900000-0000-7000-8000-00000000aaaa"
#define YOUNG  "01900000-0000-7000-8000-00000000bbbb"
#define NOTICE 33 /* which of the rows is a notice of an erasure */

struct row {
        int64_t seq, event_seq, erased_by;
        char event[32], person[8], salt[CHAIN_SALT_SIZE];
        unsigned char what[CHAIN_SIZE]; /* of what is erased */
        unsigned char leaf[CHAIN_SIZE], head[CHAIN_SIZE];
        bool is_notice, misfiled, misdated;
        int64_t taken_us;
};

struct model {
        struct row rows[ROWS + 1];
        size_t n;
        struct chain_store store;
        struct checkpoint points[64];
        size_t n_points;
        struct signing_key key;
        int64_t cut;
        struct chain_finding found[64];
        size_t n_found;
        struct chain_counts counts;
};

/* --- a log ------------------------------------------------------------------------------------------------------------ */

static void make_leaf(struct row *row)
{
        unsigned char what[CHAIN_SIZE];
        chain_what(what, str_bytes(row->salt, CHAIN_SALT_SIZE), str_of(row->event));
        chain_leaf(row->leaf, str_of(row->is_notice ? "" : row->person), row->event_seq, what);
}

static void chain_from(struct model *m, size_t first)
{
        for (size_t i = first; i < m->n; i++) {
                struct row *row = &m->rows[i];
                if (row->event[0])
                        make_leaf(row);
                memset(row->head, 0, CHAIN_SIZE);
                if (i)
                        memcpy(row->head, m->rows[i - 1].head, CHAIN_SIZE);
                chain_next(row->head, row->leaf);
        }
        memcpy(m->store.head, m->rows[m->n - 1].head, CHAIN_SIZE);
}

static void sign(struct model *m, enum checkpoint_kind kind, const char *epoch, int64_t seq)
{
        struct checkpoint *c = &m->points[m->n_points++];
        *c = (struct checkpoint){.kind = kind, .seq = seq, .time_us = 1790000000 * CLOCK_SECOND_US + seq};
        snprintf(c->epoch, sizeof(c->epoch), "%s", epoch);
        if (seq)
                memcpy(c->head, m->rows[seq - 1].head, CHAIN_SIZE);
        checkpoint_sign(c, &m->key);
}

static struct model model_new(void)
{
        struct model m = {.n = ROWS, .store = {.epoch = OLD, .latest = ROWS, .folder = "/points", .now_us = 1790000100 * CLOCK_SECOND_US}};
        char folder[] = "/tmp/nuanxin-chain-XXXXXX", file[64];
        struct keyring *keyring = NULL;
        const char *error = "";
        if (!mkdtemp(folder) || keyring_create(folder) != 0 || keyring_load(folder, &keyring, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        signing_key_derive(keyring, CHAIN_KEY_PURPOSE, &m.key);
        keyring_free(keyring);
        snprintf(file, sizeof(file), "%s/keyring", folder);
        unlink(file);
        rmdir(folder);
        for (size_t i = 0; i < m.n; i++) {
                struct row *row = &m.rows[i];
                row->seq = row->event_seq = (int64_t)i + 1;
                snprintf(row->event, sizeof(row->event), "event %zu", i + 1);
                memset(row->salt, (int)i + 1, CHAIN_SALT_SIZE);
                row->is_notice = row->seq == NOTICE;
                row->taken_us = 1790000000 * CLOCK_SECOND_US;
                snprintf(row->person, sizeof(row->person), "%s", i % 3 && !row->is_notice ? "li" : "zhang");
        }
        chain_from(&m, 0);
        sign(&m, CHECKPOINT_BEGIN, OLD, 0);
        for (int64_t seq = APART; seq <= ROWS; seq += APART)
                sign(&m, CHECKPOINT_HEAD, OLD, seq);
        return m;
}

static void on_found(void *arg, const struct chain_finding *finding)
{
        struct model *m = arg;
        if (m->n_found < ARRAY_LEN(m->found))
                m->found[m->n_found++] = *finding;
}

/* As the caller looks it up. */
static struct str notice_person(const struct model *m, int64_t seq)
{
        for (size_t i = 0; i < m->n; i++)
                if (m->rows[i].seq == seq && m->rows[i].is_notice && m->rows[i].event[0])
                        return str_of(m->rows[i].person);
        return (struct str){0};
}

static void verify(struct model *m)
{
        _cleanup_(chain_check_freep) struct chain_check *check = chain_check_new(&m->store, m->key.public, on_found, m);
        m->n_found = 0;
        chain_check_start(check, m->cut, m->points, m->n_points);
        for (size_t i = 0; i < m->n; i++) {
                const struct row *row = &m->rows[i];
                struct chain_row given = {.seq = row->seq,
                                          .leaf = str_bytes(row->leaf, CHAIN_SIZE),
                                          .head = str_bytes(row->head, CHAIN_SIZE),
                                          .erased_by = row->erased_by,
                                          .misfiled = row->misfiled,
                                          .misdated = row->misdated,
                                          .taken_us = row->taken_us};
                if (!row->event[0]) {
                        given.salt = str_bytes(row->what, CHAIN_SIZE);
                        given.person = notice_person(m, row->erased_by);
                } else {
                        given.person = str_of(row->is_notice ? "" : row->person);
                        given.event = str_of(row->event);
                        given.salt = str_bytes(row->salt, CHAIN_SALT_SIZE);
                        given.event_seq = row->event_seq;
                        given.is_notice = row->is_notice;
                }
                if (row->seq > m->cut)
                        chain_check_row(check, &given);
        }
        chain_check_end(check);
        m->counts = *chain_check_counts(check);
}

static void drop_row(struct model *m, size_t at)
{
        memmove(m->rows + at, m->rows + at + 1, (m->n - at - 1) * sizeof(m->rows[0]));
        m->n--;
}

/* Exactly this one finding. */
static void check_found(const struct model *m, enum chain_fault fault, int64_t seq)
{
        char text[CHAIN_FINDING_MAX];
        bool right = m->n_found == 1 && m->found[0].fault == fault && m->found[0].seq == seq;
        CHECK(right);
        for (size_t i = 0; !right && i < m->n_found; i++) {
                chain_finding_text(&m->found[i], "event", text);
                printf("#   %s (fault %d)\n", text, (int)m->found[i].fault);
        }
}

static void erase(struct model *m, size_t at, int64_t by)
{
        struct row *row = &m->rows[at];
        chain_what(row->what, str_bytes(row->salt, CHAIN_SALT_SIZE), str_of(row->event));
        row->event[0] = '\0';
        m->rows[at].erased_by = by;
}

/* --- what the service does ---------------------------------------------------------------------------------------------- */

static void test_whole(void)
{
        struct model m = model_new();
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.rows, ROWS);
        CHECK_INT(m.counts.checkpoints, ROWS / APART);
}

static void test_erased(void)
{
        struct model m = model_new();
        for (size_t i = 0; i < NOTICE - 1; i += 3)
                erase(&m, i, NOTICE);
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.erased, 11);
}

static void test_cut(void)
{
        struct model m = model_new();
        sign(&m, CHECKPOINT_CUT, OLD, 17);
        m.cut = 17;
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.rows, ROWS - 17);
        CHECK_INT(m.counts.checkpoints, 3);
}

/* Signed to be cut, but the process died before it was. */
static void test_cut_not_done(void)
{
        struct model m = model_new();
        sign(&m, CHECKPOINT_CUT, OLD, 17);
        verify(&m);
        CHECK_INT(m.n_found, 0);
}

static void test_restored(void)
{
        struct model m = model_new();
        for (size_t i = 24; i < ROWS; i++)
                snprintf(m.rows[i].event, sizeof(m.rows[i].event), "other %zu", i);
        chain_from(&m, 24); /* the backup had 24 */
        m.store.epoch = YOUNG;
        m.store.begun = 24;
        sign(&m, CHECKPOINT_BEGIN, YOUNG, 24);
        sign(&m, CHECKPOINT_HEAD, YOUNG, ROWS);
        m.store.restored = true;
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.void_points, 2);
        CHECK_INT(m.counts.checkpoints, 4);
}

/* The epoch is the store's, and nothing was taken in since. */
static void test_restored_and_still(void)
{
        struct model m = model_new();
        m.n = 24;
        m.store = (struct chain_store){.epoch = YOUNG, .begun = 24, .latest = 24, .restored = true};
        memcpy(m.store.head, m.rows[23].head, CHAIN_SIZE);
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.void_points, 2);
}

/* Once nothing is kept of what it took away, nobody is asked about it. */
static void test_restored_and_cut(void)
{
        struct model m = model_new();
        m.store.epoch = YOUNG;
        m.store.begun = 14;
        sign(&m, CHECKPOINT_BEGIN, YOUNG, 14);
        sign(&m, CHECKPOINT_CUT, YOUNG, ROWS - 2);
        sign(&m, CHECKPOINT_HEAD, YOUNG, ROWS);
        m.cut = ROWS - 2;
        verify(&m);
        check_found(&m, CHAIN_TAKEN_BACK, ROWS); /* the last of them is of a row that is kept */
        sign(&m, CHECKPOINT_CUT, YOUNG, ROWS);
        m.cut = ROWS;
        verify(&m);
        CHECK_INT(m.n_found, 0);
        CHECK_INT(m.counts.void_points, 0);
}

/* --- what somebody else does -------------------------------------------------------------------------------------------- */

/* Made anew, and a restore is claimed: by the store alone, or signed, as the service does on such a store. */
static void test_restore_claimed(void)
{
        for (int signs = 0; signs < 2; signs++) {
                struct model m = model_new();
                m.rows[14].event[0] = 'E';
                chain_from(&m, 14);
                m.store.epoch = YOUNG;
                m.store.begun = 14;
                if (signs)
                        sign(&m, CHECKPOINT_BEGIN, YOUNG, 14);
                if (signs)
                        sign(&m, CHECKPOINT_HEAD, YOUNG, ROWS);
                verify(&m);
                check_found(&m, CHAIN_TAKEN_BACK, 20);
                CHECK(m.found[0].through == ROWS && m.found[0].other == 14 && m.found[0].count == 3);
                CHECK_INT(m.counts.void_points, 3);
                char text[CHAIN_FINDING_MAX];
                chain_finding_text(&m.found[0], "event", text);
                CHECK_TEXT(text, "3 checkpoints of epoch " OLD ", from event 20 to 40, were taken away by a restore to event 14: "
                                 "give --restored if you restored a backup then");
        }
}

/* A restore that nobody signed, in the folder. */
static void test_restore_forged(void)
{
        struct model m = model_new();
        m.rows[14].event[0] = 'E';
        chain_from(&m, 14);
        sign(&m, CHECKPOINT_BEGIN, YOUNG, 14);
        m.points[m.n_points - 1].signature[0] ^= 1;
        verify(&m);
        CHECK_INT(m.n_found, 2);
        CHECK(m.found[0].fault == CHAIN_FORGED && m.found[1].fault == CHAIN_REWRITTEN);
}

static void test_unsigned(void)
{
        struct model m = model_new();
        char text[CHAIN_FINDING_MAX];
        m.n_points = 0;
        verify(&m);
        check_found(&m, CHAIN_UNSIGNED, 1);
        chain_finding_text(&m.found[0], "event", text);
        CHECK_TEXT(text, "events 1 to 40: no checkpoint in /points was signed of any of them");
        sign(&m, CHECKPOINT_BEGIN, OLD, 0);
        verify(&m);
        check_found(&m, CHAIN_UNSIGNED, 1);
        m.store.now_us = m.rows[0].taken_us + CLOCK_SECOND_US; /* it was taken in this moment */
        verify(&m);
        CHECK_INT(m.n_found, 0);
        m.rows[20].taken_us += CLOCK_DAY_US; /* nor is it what is not yet */
        verify(&m);
        check_found(&m, CHAIN_UNSIGNED, 1);
        m = model_new();
        m.n_points = 0;
        sign(&m, CHECKPOINT_CUT, OLD, 17);
        m.cut = 17;
        verify(&m);
        check_found(&m, CHAIN_UNSIGNED, 18);
        m.store.now_us = m.rows[0].taken_us + 20 * CLOCK_SECOND_US; /* behind a signed cut it has longer */
        verify(&m);
        CHECK_INT(m.n_found, 0);
}

static void test_altered(void)
{
        for (size_t at = 0; at < ROWS; at++)
                for (size_t byte = 0; byte < 7; byte++) {
                        struct model m = model_new();
                        m.rows[at].event[byte] ^= 1;
                        verify(&m);
                        check_found(&m, CHAIN_ALTERED, m.rows[at].seq);
                }
}

static void test_altered_sums(void)
{
        for (size_t at = 0; at < ROWS; at++) {
                struct model m = model_new();
                m.rows[at].salt[at % CHAIN_SALT_SIZE] ^= 4;
                verify(&m);
                check_found(&m, CHAIN_ALTERED, m.rows[at].seq);
                m = model_new();
                m.rows[at].leaf[at % CHAIN_SIZE] ^= 4;
                verify(&m);
                check_found(&m, CHAIN_LEAF, m.rows[at].seq);
                m = model_new();
                m.rows[at].head[at % CHAIN_SIZE] ^= 4;
                verify(&m);
                check_found(&m, CHAIN_BROKEN, m.rows[at].seq);
        }
}

/* Event and leaf fit each other, the head was forgotten. */
static void test_altered_with_leaf(void)
{
        for (size_t at = 0; at < ROWS; at++) {
                struct model m = model_new();
                m.rows[at].event[0] = 'E';
                make_leaf(&m.rows[at]);
                verify(&m);
                check_found(&m, CHAIN_BROKEN, m.rows[at].seq);
        }
}

static void test_deleted(void)
{
        for (size_t at = 0; at < ROWS; at++)
                for (size_t n = 1; at + n < ROWS; n += 5) {
                        struct model m = model_new();
                        for (size_t i = 0; i < n; i++)
                                drop_row(&m, at);
                        verify(&m);
                        check_found(&m, CHAIN_MISSING, (int64_t)at + 1);
                        CHECK_INT(m.found[0].through, (int64_t)(at + n));
                }
}

static void swap_content(struct model *m, size_t a, size_t b)
{
        struct row kept = m->rows[a];
        m->rows[a] = m->rows[b];
        m->rows[b] = kept;
        m->rows[b].seq = m->rows[a].seq;
        m->rows[a].seq = kept.seq;
}

static void test_swapped(void)
{
        for (size_t a = 0; a < ROWS; a++)
                for (size_t b = a + 1; b < ROWS; b++) {
                        struct model m = model_new();
                        swap_content(&m, a, b);
                        verify(&m);
                        CHECK_INT(m.n_found, 2);
                        CHECK_INT(m.found[0].fault, CHAIN_MOVED);
                        CHECK_INT(m.found[0].seq, a + 1);
                        CHECK_INT(m.found[0].other, b + 1);
                        CHECK_INT(m.found[1].fault, CHAIN_MOVED);
                        CHECK_INT(m.found[1].seq, b + 1);
                        CHECK_INT(m.found[1].other, a + 1);
                }
}

/* Who can write the store can make the chain anew, but cannot sign. */
static void test_made_anew(void)
{
        for (size_t at = 0; at < ROWS; at++) {
                struct model m = model_new();
                m.rows[at].event[0] = 'E';
                chain_from(&m, at);
                verify(&m);
                check_found(&m, CHAIN_REWRITTEN, ((int64_t)at / APART + 1) * APART);
                CHECK_INT(m.found[0].other, (int64_t)at / APART * APART);
        }
}

static void test_made_anew_without_a_row(void)
{
        struct model m = model_new();
        drop_row(&m, 4);
        for (size_t i = 4; i < m.n; i++)
                m.rows[i].seq = m.rows[i].event_seq = (int64_t)i + 1;
        chain_from(&m, 4);
        m.store.latest = ROWS - 1;
        verify(&m);
        CHECK_INT(m.n_found, 2);
        CHECK_INT(m.found[0].fault, CHAIN_REWRITTEN);
        CHECK_INT(m.found[1].fault, CHAIN_CUT_OFF);
}

static void test_cut_off(void)
{
        struct model m = model_new();
        m.n = m.store.latest = 35;
        memcpy(m.store.head, m.rows[34].head, CHAIN_SIZE);
        verify(&m);
        check_found(&m, CHAIN_CUT_OFF, 35);
        CHECK_INT(m.found[0].through, ROWS);
        m.store.latest = ROWS;
        memcpy(m.store.head, m.rows[ROWS - 1].head, CHAIN_SIZE);
        verify(&m);
        check_found(&m, CHAIN_MISSING, 36);
}

/* The beginning was taken away at a checkpoint that is no cut. */
static void test_cut_by_another(void)
{
        struct model m = model_new();
        m.cut = 20;
        verify(&m);
        check_found(&m, CHAIN_START, 20);
}

static void test_forged(void)
{
        struct model m = model_new(), other = model_new();
        m.rows[4].event[0] = 'E';
        chain_from(&m, 4);
        m.n_points = 0;
        memcpy(m.key.secret, other.key.secret, sizeof(m.key.secret));
        for (int64_t seq = APART; seq <= ROWS; seq += APART)
                sign(&m, CHECKPOINT_HEAD, OLD, seq);
        verify(&m);
        check_found(&m, CHAIN_FOREIGN, 0); /* one line for all */
        CHECK_INT(m.found[0].count, 4);
        CHECK_INT(m.counts.checkpoints, 0);
        m.points[m.n_points++] = other.points[0];
        memcpy(m.key.public, other.key.public, sizeof(m.key.public));
        m.points[1].signature[3] ^= 1;
        verify(&m);
        CHECK_INT(m.found[0].fault, CHAIN_FORGED);
        CHECK_INT(m.found[0].seq, 20);
}

static void test_erased_by_another(void)
{
        struct model m = model_new();
        erase(&m, 4, 20); /* which is no notice */
        verify(&m);
        check_found(&m, CHAIN_ERASED, 20);
        m = model_new();
        erase(&m, 4, 3); /* before it */
        verify(&m);
        check_found(&m, CHAIN_ERASED, 5);
        m = model_new();
        erase(&m, 4, 0);
        verify(&m);
        check_found(&m, CHAIN_ERASED, 5);
        m = model_new();
        erase(&m, 4, ROWS + 1);
        verify(&m);
        check_found(&m, CHAIN_ERASED, 5);
}

/* Their own events are not what the notice is about, and a notice is about nobody: it stays. */
static void test_erased_of_another(void)
{
        for (size_t at = 0; at < NOTICE - 1; at++) {
                struct model m = model_new();
                erase(&m, at, NOTICE);
                verify(&m);
                if (at % 3)
                        check_found(&m, CHAIN_NOT_THEIRS, (int64_t)at + 1);
                else
                        CHECK_INT(m.n_found, 0);
                m.rows[at].what[5] ^= 1;
                verify(&m);
                check_found(&m, CHAIN_NOT_THEIRS, (int64_t)at + 1);
        }
        struct model m = model_new();
        m.rows[NOTICE + 1].is_notice = true; /* the same person's, given once more */
        snprintf(m.rows[NOTICE + 1].person, sizeof(m.rows[0].person), "zhang");
        chain_from(&m, 0);
        m.n_points = 0;
        for (int64_t seq = APART; seq <= ROWS; seq += APART)
                sign(&m, CHECKPOINT_HEAD, OLD, seq);
        verify(&m);
        CHECK_INT(m.n_found, 0);
        erase(&m, NOTICE - 1, NOTICE + 2);
        verify(&m);
        check_found(&m, CHAIN_NOT_THEIRS, NOTICE);
}

static void test_misdated(void)
{
        struct model m = model_new();
        m.rows[7].misdated = true; /* retention would take it for older */
        verify(&m);
        check_found(&m, CHAIN_MISDATED, 8);
}

static void test_misfiled(void)
{
        struct model m = model_new();
        m.rows[7].misfiled = true; /* an erasure would not find it */
        verify(&m);
        check_found(&m, CHAIN_MISFILED, 8);
}

/* An old copy of the store was put back without a new epoch. */
static void test_old_copy(void)
{
        struct model m = model_new();
        sign(&m, CHECKPOINT_BEGIN, YOUNG, 30);
        sign(&m, CHECKPOINT_HEAD, YOUNG, 38);
        verify(&m);
        CHECK(m.n_found > 0);
        CHECK_INT(m.found[0].fault, CHAIN_NEWER);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a log that nobody touched is whole, and every checkpoint fits", test_whole},
                {"erasure keeps the chain", test_erased},
                {"retention keeps the chain from its signed cut on", test_cut},
                {"a cut that was signed and not done is no fault", test_cut_not_done},
                {"after a restore the older epoch's checkpoints hold up to where the new one begins", test_restored},
                {"likewise before anything was taken in", test_restored_and_still},
                {"a restore is asked about until nothing is kept of what it took away", test_restored_and_cut},
                {"a restore that is only claimed is a finding, also if the service signed it", test_restore_claimed},
                {"a restore that nobody signed takes nothing away", test_restore_forged},
                {"a log of which nothing was signed is no proof of itself", test_unsigned},
                {"any altered byte of any event is found and named", test_altered},
                {"likewise of salts, leaves and heads", test_altered_sums},
                {"an event that was altered with its leaf does not follow", test_altered_with_leaf},
                {"deleted rows are named, whichever and however many", test_deleted},
                {"two rows that changed places are both named", test_swapped},
                {"a chain that was made anew does not fit what was signed", test_made_anew},
                {"likewise one that was made anew without a row", test_made_anew_without_a_row},
                {"a log whose end was taken away is shorter than what was signed", test_cut_off},
                {"a beginning that was taken away is no cut", test_cut_by_another},
                {"checkpoints under another key count for nothing", test_forged},
                {"what was erased without a notice is named", test_erased_by_another},
                {"what was erased by a notice about somebody else is named, and so is a notice that was", test_erased_of_another},
                {"an event that stands as taken in at another time is named", test_misdated},
                {"an event filed under another person is named", test_misfiled},
                {"an old copy of the store is told from a restore", test_old_copy},
        };
        return crypto_init() == 0 ? CHECK_MAIN(cases) : 1;
}
