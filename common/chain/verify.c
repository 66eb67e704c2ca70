/* SPDX-License-Identifier: Apache-2.0
 *
 * See verify.h. A fault is told once, where it is: what follows from it in the rows behind it is not. For that the check
 * knows, after each row, which heads the next one may follow from: the one that stands there and, if that was wrong, the one
 * that should; none, if it cannot know, and then the next row's own is taken on trust until a checkpoint says more.
 */
#include "common/chain/verify.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Until then a log may stand unsigned: a service signs within a second or two, whatever comes in meanwhile. Behind a signed
 * cut, with which something fits, it has a minute. */
#define NEW_US     (5 * CLOCK_SECOND_US)
#define NEW_CUT_US CLOCK_MINUTE_US
#define NEW_ROWS   50000

struct point {
        int64_t seq;
        const unsigned char *head;
};

struct chain_check {
        struct chain_store store;
        const unsigned char *public;
        chain_found_fn found;
        void *arg;
        struct chain_counts counts;
        struct point *points, *cuts; /* by sequence */
        size_t n_points, n_cuts, at;
        int64_t next;      /* the row to come */
        int64_t confirmed; /* up to there a checkpoint fits */
        bool rewritten;    /* the last one did not */
        bool begun;        /* what is said of the checkpoints is said */
        bool foreign, met; /* none is by this key; one stands at a row */
        bool after_cut;    /* a signed one */
        int64_t age_us;    /* of the row that is farthest from this moment */
        int64_t first;     /* row */
        unsigned char heads[2][CHAIN_SIZE];
        size_t n_heads;
        int64_t *notices; /* rows to come that must be notices, rising */
        size_t n_notices, room_notices;
};

static void tell_all(struct chain_check *c, const struct chain_finding *finding)
{
        c->counts.findings++;
        c->found(c->arg, finding);
}

static void tell(struct chain_check *c, enum chain_fault fault, int64_t seq, int64_t through, int64_t other)
{
        tell_all(c, &(struct chain_finding){.fault = fault, .seq = seq, .through = through, .other = other});
}

/* --- what was signed ------------------------------------------------------------------------------------------------- */

/* After a restore older epochs' checkpoints say nothing of the rows that it took away: the least beginning of a later
 * epoch; the store's own may not be signed yet. */
static int64_t valid_through(const struct chain_check *c, const struct checkpoint *points, size_t n, const struct checkpoint *of)
{
        int64_t through = INT64_MAX;
        for (size_t i = n; i > 0 && strcmp(points[i - 1].epoch, of->epoch) > 0; i--)
                if (points[i - 1].kind == CHECKPOINT_BEGIN && points[i - 1].seq < through &&
                    checkpoint_is_genuine(&points[i - 1], c->public))
                        through = points[i - 1].seq;
        if (strcmp(c->store.epoch, of->epoch) > 0 && c->store.begun < through)
                through = c->store.begun;
        return through;
}

static int by_seq(const void *a, const void *b)
{
        const struct point *x = a, *y = b;
        return (x->seq > y->seq) - (x->seq < y->seq);
}

static void sort_points(struct chain_check *c)
{
        if (c->n_points)
                qsort(c->points, c->n_points, sizeof(struct point), by_seq);
        if (c->n_cuts)
                qsort(c->cuts, c->n_cuts, sizeof(struct point), by_seq);
        c->at = 0;
}

/* Those by this key, in their order. What is not is told, in one line if that is all. */
static const struct checkpoint **genuine_points(struct chain_check *c, const struct checkpoint *points, size_t n, size_t *ret_n)
{
        const struct checkpoint **genuine = mem_zalloc((n + 1) * sizeof(genuine[0]));
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
                if (checkpoint_is_genuine(&points[i], c->public))
                        genuine[k++] = &points[i];
        c->foreign = n > 1 && !k;
        if (c->foreign && !c->begun)
                tell_all(c, &(struct chain_finding){.fault = CHAIN_FOREIGN, .count = (int64_t)n});
        for (size_t i = 0, g = 0; i < n && !c->foreign && !c->begun; i++)
                if (g < k && genuine[g] == &points[i])
                        g++;
                else
                        tell(c, CHAIN_FORGED, points[i].seq, 0, 0);
        *ret_n = k;
        return genuine;
}

/* The checkpoints of an epoch that a later one has made void; of rows that are still kept. */
static void take_back(struct chain_check *c, const struct chain_finding *taken)
{
        c->counts.void_points += taken->count;
        if (taken->count && !c->store.restored && !c->begun)
                tell_all(c, taken);
}

static void take_points(struct chain_check *c, int64_t after, const struct checkpoint *points, size_t n)
{
        struct chain_finding taken = {0};
        size_t n_genuine;
        const struct checkpoint **genuine = genuine_points(c, points, n, &n_genuine), *last = NULL;
        c->points = mem_realloc(c->points, (n + 1) * sizeof(struct point));
        c->cuts = mem_realloc(c->cuts, (n + 1) * sizeof(struct point));
        c->n_points = c->n_cuts = 0;
        c->counts.void_points = 0;
        for (size_t i = 0; i < n_genuine; last = genuine[i++]) {
                const struct checkpoint *p = genuine[i];
                if (!last || strcmp(last->epoch, p->epoch) != 0) {
                        if (strcmp(p->epoch, c->store.epoch) > 0 && !c->begun)
                                tell(c, CHAIN_NEWER, p->seq, 0, 0);
                        take_back(c, &taken);
                        taken = (struct chain_finding){
                                .fault = CHAIN_TAKEN_BACK, .name = p->epoch, .other = valid_through(c, points, n, p)};
                }
                if (p->seq > taken.other) {
                        taken.seq = taken.count ? taken.seq : p->seq;
                        taken.through = p->seq;
                        taken.count += p->seq > after;
                        continue;
                }
                c->points[c->n_points++] = (struct point){p->seq, p->head};
                if (p->kind == CHECKPOINT_CUT)
                        c->cuts[c->n_cuts++] = (struct point){p->seq, p->head};
        }
        take_back(c, &taken);
        free(genuine);
        sort_points(c);
        c->begun = true;
}

/* --- notices --------------------------------------------------------------------------------------------------------- */

static void expect_notice(struct chain_check *c, int64_t seq)
{
        size_t i = c->n_notices;
        while (i > 0 && c->notices[i - 1] > seq)
                i--;
        if (i > 0 && c->notices[i - 1] == seq)
                return;
        if (c->n_notices == c->room_notices) {
                c->room_notices = c->room_notices ? 2 * c->room_notices : 64;
                c->notices = mem_realloc(c->notices, c->room_notices * sizeof(c->notices[0]));
        }
        memmove(c->notices + i + 1, c->notices + i, (c->n_notices - i) * sizeof(c->notices[0]));
        c->notices[i] = seq;
        c->n_notices++;
}

/* Those expected up to this row; what was skipped is not asked about. */
static void meet_notice(struct chain_check *c, const struct chain_row *row)
{
        size_t n = 0;
        while (n < c->n_notices && c->notices[n] <= row->seq)
                n++;
        if (n && c->notices[n - 1] == row->seq && !row->is_notice)
                tell(c, CHAIN_ERASED, row->seq, row->seq, row->seq);
        if (n)
                memmove(c->notices, c->notices + n, (c->n_notices - n) * sizeof(c->notices[0]));
        c->n_notices -= n;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static bool is_sum(struct str s, const unsigned char sum[CHAIN_SIZE])
{
        return s.n == CHAIN_SIZE && memcmp(s.p, sum, CHAIN_SIZE) == 0;
}

static bool follows(const struct chain_check *c, const unsigned char leaf[CHAIN_SIZE], struct str head)
{
        for (size_t i = 0; i < c->n_heads; i++) {
                unsigned char next[CHAIN_SIZE];
                memcpy(next, c->heads[i], CHAIN_SIZE);
                chain_next(next, leaf);
                if (is_sum(head, next))
                        return true;
        }
        return false;
}

/* Only a notice about its own person may have emptied it. A notice itself is of nobody (chain.h): it stays. */
static void check_erased(struct chain_check *c, const struct chain_row *row)
{
        unsigned char leaf[CHAIN_SIZE];
        c->counts.erased++;
        if (row->erased_by <= row->seq || row->erased_by > c->store.latest) {
                tell(c, CHAIN_ERASED, row->seq, row->seq, row->erased_by);
                return;
        }
        expect_notice(c, row->erased_by);
        if (!row->person.p)
                return; /* it is told there */
        if (row->salt.n == CHAIN_SIZE)
                chain_leaf(leaf, row->person, row->seq, (const unsigned char *)row->salt.p);
        if (!row->person.n || row->salt.n != CHAIN_SIZE || !is_sum(row->leaf, leaf))
                tell(c, CHAIN_NOT_THEIRS, row->seq, row->seq, row->erased_by);
}

/* The event against the leaf: false: told. */
static bool check_event(struct chain_check *c, const struct chain_row *row, const unsigned char leaf[CHAIN_SIZE])
{
        if (!row->event.p) {
                check_erased(c, row);
                return true;
        }
        if (!is_sum(row->leaf, leaf))
                tell(c, follows(c, leaf, row->head) ? CHAIN_LEAF : CHAIN_ALTERED, row->seq, row->seq, 0);
        else if (row->event_seq != row->seq)
                tell(c, CHAIN_MOVED, row->seq, row->seq, row->event_seq);
        else
                return true;
        return false;
}

/* From which heads the next row may follow. */
static void link(struct chain_check *c, const struct chain_row *row, const unsigned char leaf[CHAIN_SIZE], bool sound)
{
        unsigned char should[CHAIN_SIZE];
        bool moved = row->event.p && row->event_seq != row->seq && is_sum(row->leaf, leaf);
        bool known = c->n_heads > 0;
        bool linked = known && ((row->leaf.n == CHAIN_SIZE && follows(c, (const unsigned char *)row->leaf.p, row->head)) ||
                                follows(c, leaf, row->head));
        if (known && !linked && sound)
                tell(c, CHAIN_BROKEN, row->seq, row->seq, 0);
        if (known)
                memcpy(should, c->heads[0], CHAIN_SIZE);
        c->n_heads = 0;
        if (moved || row->head.n != CHAIN_SIZE)
                return;
        memcpy(c->heads[c->n_heads++], row->head.p, CHAIN_SIZE);
        if (known && !linked) {
                chain_next(should, leaf);
                memcpy(c->heads[c->n_heads++], should, CHAIN_SIZE);
        }
}

static bool fits(struct chain_check *c, const struct point *point, struct str head)
{
        for (size_t i = 0; i < c->n_heads; i++)
                if (memcmp(c->heads[i], point->head, CHAIN_SIZE) == 0)
                        return true;
        return c->n_heads == 0 && is_sum(head, point->head);
}

/* What was signed at this row, or at rows that are not there. */
static void meet_points(struct chain_check *c, int64_t seq, struct str head, bool told)
{
        for (; c->at < c->n_points && c->points[c->at].seq <= seq; c->at++) {
                const struct point *point = &c->points[c->at];
                if (point->seq < seq)
                        continue;
                bool fit = fits(c, point, head);
                c->met = true;
                if (!fit && !told && !c->rewritten)
                        tell(c, CHAIN_REWRITTEN, seq, seq, c->confirmed);
                c->rewritten = !fit && (c->rewritten || !told); /* told once, until a later one fits */
                c->counts.checkpoints += fit;
                c->confirmed = fit ? seq : c->confirmed;
                memcpy(c->heads[0], point->head, CHAIN_SIZE);
                c->n_heads = 1;
                if (!fit && head.n == CHAIN_SIZE)
                        memcpy(c->heads[c->n_heads++], head.p, CHAIN_SIZE);
        }
}

/* As the row has it; what is erased has only that. */
static void leaf_of(const struct chain_row *row, unsigned char out[CHAIN_SIZE])
{
        unsigned char what[CHAIN_SIZE];
        if (row->event.p) {
                chain_what(row->bare ? out : what, row->salt, row->event);
                if (!row->bare)
                        chain_leaf(out, row->person, row->event_seq, what);
        } else if (row->leaf.n == CHAIN_SIZE) {
                memcpy(out, row->leaf.p, CHAIN_SIZE);
        }
}

void chain_check_row(struct chain_check *c, const struct chain_row *row)
{
        unsigned char leaf[CHAIN_SIZE] = {0};
        int64_t age_us = c->store.now_us - row->taken_us;
        c->first = c->counts.rows++ ? c->first : row->seq;
        age_us = age_us < 0 ? -age_us : age_us;
        c->age_us = age_us > c->age_us ? age_us : c->age_us;
        if (row->seq > c->next) {
                tell(c, CHAIN_MISSING, c->next, row->seq - 1, 0);
                c->n_heads = 0;
        }
        leaf_of(row, leaf);
        meet_notice(c, row);
        bool sound = check_event(c, row, leaf);
        if (row->misfiled && sound)
                tell(c, CHAIN_MISFILED, row->seq, row->seq, 0);
        if (row->misdated && sound)
                tell(c, CHAIN_MISDATED, row->seq, row->seq, 0);
        link(c, row, leaf, sound);
        meet_points(c, row->seq, row->head, !sound);
        c->next = row->seq + 1;
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

static const struct point *find_cut(const struct chain_check *c, int64_t seq)
{
        for (size_t i = 0; i < c->n_cuts; i++)
                if (c->cuts[i].seq == seq)
                        return &c->cuts[i];
        return NULL;
}

void chain_check_start(struct chain_check *c, int64_t after, const struct checkpoint *points, size_t n)
{
        static const unsigned char none[CHAIN_SIZE];
        take_points(c, after, points, n);
        const struct point *cut = find_cut(c, after);
        c->n_heads = after == 0 || cut;
        c->after_cut = cut;
        if (c->n_heads)
                memcpy(c->heads[0], cut ? cut->head : none, CHAIN_SIZE);
        else
                tell(c, CHAIN_START, after, after, 0);
        while (c->at < c->n_points && c->points[c->at].seq <= after)
                c->at++;
        c->next = after + 1;
        c->confirmed = after;
}

void chain_check_end(struct chain_check *c)
{
        bool fits_end = c->n_heads == 0;
        for (size_t i = 0; i < c->n_heads; i++)
                fits_end = fits_end || memcmp(c->heads[i], c->store.head, CHAIN_SIZE) == 0;
        if (c->next <= c->store.latest)
                tell(c, CHAIN_MISSING, c->next, c->store.latest, 0);
        else if (!fits_end)
                tell(c, CHAIN_END, c->next - 1, c->next - 1, c->store.latest);
        if (c->at < c->n_points && c->points[c->n_points - 1].seq > c->store.latest)
                tell(c, CHAIN_CUT_OFF, c->store.latest, c->points[c->n_points - 1].seq, 0);
        for (size_t i = 0; i < c->n_notices; i++)
                if (c->notices[i] >= c->next)
                        tell(c, CHAIN_ERASED, c->notices[i], c->notices[i], c->notices[i]);
        bool is_new = c->age_us <= (c->after_cut ? NEW_CUT_US : NEW_US) && c->counts.rows <= NEW_ROWS;
        if (!c->met && !c->foreign && c->counts.rows && !is_new)
                tell_all(c, &(struct chain_finding){
                                    .fault = CHAIN_UNSIGNED, .seq = c->first, .through = c->next - 1, .name = c->store.folder});
}

struct chain_check *chain_check_new(const struct chain_store *store, const unsigned char public[SIGNING_PUBLIC_SIZE],
                                    chain_found_fn found, void *arg)
{
        struct chain_check *c = mem_zalloc(sizeof(*c));
        c->store = *store;
        c->public = public;
        c->found = found;
        c->arg = arg;
        return c;
}

struct chain_check *chain_check_free(struct chain_check *c)
{
        if (!c)
                return NULL;
        free(c->points);
        free(c->cuts);
        free(c->notices);
        free(c);
        return NULL;
}

const struct chain_counts *chain_check_counts(const struct chain_check *c)
{
        return &c->counts;
}

#define SAY(...)                                          \
        do {                                              \
                snprintf(out, CHAIN_FINDING_MAX, __VA_ARGS__); \
                return;                                   \
        } while (0)

void chain_finding_text(const struct chain_finding *f, const char *what, char out[CHAIN_FINDING_MAX])
{
        const long long seq = f->seq, through = f->through, other = f->other;
        switch (f->fault) {
        case CHAIN_MISSING:
                if (seq == through)
                        SAY("%s %lld is missing", what, seq);
                SAY("%ss %lld to %lld are missing", what, seq, through);
        case CHAIN_ALTERED:
                SAY("%s %lld was altered", what, seq);
        case CHAIN_LEAF:
                SAY("%s %lld: its leaf was altered", what, seq);
        case CHAIN_MOVED:
                SAY("row %lld holds %s %lld: rows were put in another order", seq, what, other);
        case CHAIN_BROKEN:
                SAY("%s %lld does not follow from the one before it", what, seq);
        case CHAIN_MISFILED:
                SAY("%s %lld is filed under another person than it is about", what, seq);
        case CHAIN_MISDATED:
                SAY("%s %lld stands as taken in at another time than it was", what, seq);
        case CHAIN_ERASED:
                SAY("%s %lld: erasures rest on %lld, which is no notice of one", what, seq, other);
        case CHAIN_NOT_THEIRS:
                SAY("%s %lld was emptied because of the notice %lld, which is about somebody else", what, seq, other);
        case CHAIN_REWRITTEN:
                SAY("%s %lld: another head was signed here; %ss after %lld were made anew", what, seq, what, other);
        case CHAIN_START:
                SAY("what stood up to %s %lld is gone, and no cut was signed there", what, seq);
        case CHAIN_CUT_OFF:
                SAY("the log ends at %s %lld, but was signed up to %lld: those behind it are missing", what, seq, through);
        case CHAIN_END:
                SAY("the last row is %lld; the store says that the log ends at %lld, with another head", seq, other);
        case CHAIN_FORGED:
                SAY("the checkpoint at %s %lld was not signed by this key", what, seq);
        case CHAIN_FOREIGN:
                SAY("none of the %lld checkpoints was signed by this key", (long long)f->count);
        case CHAIN_UNSIGNED:
                SAY("%ss %lld to %lld: no checkpoint in %s was signed of any of them", what, seq, through, f->name ? f->name : "the folder");
        case CHAIN_TAKEN_BACK:
                SAY("%lld checkpoints of epoch %s, from %s %lld to %lld, were taken away by a restore to %s %lld: give --restored if "
                    "you restored a backup then", (long long)f->count, f->name ? f->name : "", what, seq, through, what, other);
        case CHAIN_NEWER:
                SAY("the checkpoint at %s %lld is of a newer epoch than the store, which is an old copy", what, seq);
        }
        SAY("%s %lld", what, seq);
}
