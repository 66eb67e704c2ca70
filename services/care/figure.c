/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases and money of a programme in a year: counted, and told without what is too few.
 */
#include "figure.h"

#include "common/people/people.h"
#include "handle.h"
#include "rules_payment.h"
#include "rules_place.h"
#include "store_figure.h"

#include <stdlib.h>

#define AT_ONCE 1000 /* when all is counted anew */

/* --- counting ------------------------------------------------------------------------------------------------------------ */

/* One thing to count; then what is added to one row. */
struct counted {
        enum figure_what what;
        const char *case_id, *programme, *organization;
        int year;
        int64_t amount;
};
struct delta {
        const char *programme;
        int year;
        struct figure add;
};
struct tally {
        struct rpc_call *call;
        struct arena *arena;
        struct delta *items;
        size_t n, room;
};

static int year_of(int64_t us)
{
        char date[DATE_SIZE];
        date_of(us, date);
        return (int)strtol(date, NULL, 10);
}

static struct delta *delta_new(struct tally *t)
{
        if (t->n == t->room) {
                size_t room = t->room ? 2 * t->room : 64;
                struct delta *items = ARENA_ARRAY(t->arena, struct delta, room);
                if (t->n)
                        memcpy(items, t->items, t->n * sizeof(*items));
                t->items = items;
                t->room = room;
        }
        return &t->items[t->n++];
}

/* Once a case and year; a sum each time. It counts at all that the organisation lies in. */
static int count(struct tally *t, const struct counted *c)
{
        struct organization o;
        struct str code, path;
        bool is_new;
        int r = organization_load(rpc_db(t->call), t->arena, str_of(c->organization), &o);
        if (r != 0)
                return r == CARE_E_ABSENT ? 0 : r;
        r = figure_case_insert(rpc_db(t->call), c->case_id, c->year, c->what, &is_new);
        if (r != 0 || (!is_new && !c->amount))
                return r;
        for (int level = 1; path_level(str_of(o.path), level, &code, &path); level++) {
                struct delta *d = delta_new(t);
                *d = (struct delta){.programme = c->programme, .year = c->year};
                d->add.organization = arena_strndup(t->arena, code.p, code.n);
                d->add.cases[c->what - 1] = is_new;
                d->add.amount = c->amount;
        }
        return 0;
}

static int compare(const void *a, const void *b)
{
        const struct delta *x = a, *y = b;
        int c = strcmp(x->programme, y->programme);
        if (!c)
                c = strcmp(x->add.organization, y->add.organization);
        return c ? c : (x->year > y->year) - (x->year < y->year);
}

/* One row each, in one order. */
static void merge(struct tally *t)
{
        size_t n = 0;
        if (!t->n)
                return;
        qsort(t->items, t->n, sizeof(t->items[0]), compare);
        for (size_t i = 1; i < t->n; i++) {
                struct delta *into = &t->items[n], *from = &t->items[i];
                if (compare(into, from) != 0) {
                        t->items[++n] = *from;
                        continue;
                }
                for (int k = 0; k < FIGURES; k++)
                        into->add.cases[k] += from->add.cases[k];
                into->add.amount += from->add.amount;
        }
        t->n = n + 1;
}

static int finish(struct tally *t)
{
        merge(t);
        struct store_value *values = ARENA_ARRAY(t->arena, struct store_value, FIGURE_COLUMNS * (t->n + 1));
        for (size_t i = 0; i < t->n; i++) {
                const struct delta *d = &t->items[i];
                struct store_value *v = values + FIGURE_COLUMNS * i;
                v[0] = TEXTZ(d->programme);
                v[1] = I64(d->year);
                v[2] = TEXTZ(d->add.organization);
                for (int k = 0; k < FIGURES; k++)
                        v[3 + k] = I64(d->add.cases[k]);
                v[3 + FIGURES] = I64(d->add.amount);
        }
        return t->n ? figures_add(rpc_db(t->call), values, t->n) : 0;
}

/* --- the consumer -------------------------------------------------------------------------------------------------------- */

/* false: it counts nothing. */
static bool read_event(const struct contract_message *type, const ProtobufCMessage *message, struct counted *ret)
{
        if (type == &care_v1_case_opened_msg) {
                const CaseOpened *e = (const CaseOpened *)message;
                *ret = (struct counted){FIGURE_OPENED, e->case_id, e->programme, e->organization, 0, 0};
                return true;
        }
        if (type == &care_v1_benefit_decided_msg) {
                const BenefitDecided *e = (const BenefitDecided *)message;
                *ret = (struct counted){FIGURE_GRANTED, e->case_id, e->programme, e->organization, 0, 0};
                return true;
        }
        if (type == &care_v1_case_moved_msg) {
                const CaseMoved *e = (const CaseMoved *)message;
                *ret = (struct counted){FIGURE_REFUSED, e->case_id, e->programme, e->organization, 0, 0};
                return e->state == NUANXIN__CARE__V1__CASE__STATE__REFUSED;
        }
        const BenefitPaid *e = (const BenefitPaid *)message;
        *ret = (struct counted){FIGURE_PAID, e->case_id, e->programme, e->organization, 0, strcmp(e->unit, "CNY") == 0 ? e->amount : 0};
        return true;
}

static bool is_ours(const struct contract_message *type)
{
        return type == &care_v1_case_opened_msg || type == &care_v1_benefit_decided_msg || type == &care_v1_case_moved_msg ||
               type == &care_v1_benefit_paid_msg;
}

int figures_apply(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        struct tally tally = {.call = call, .arena = rpc_arena(call)};
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct rpc_event *e = &events[i];
                ProtobufCMessage *message;
                struct counted c;
                if (!is_ours(e->contract))
                        continue;
                r = message_unpack(rpc_arena(call), e->contract, e->data.p, e->data.n, &message);
                if (r != 0 || !read_event(e->contract, message, &c))
                        continue;
                c.year = year_of(e->time_us);
                r = count(&tally, &c);
        }
        return r == 0 ? finish(&tally) : r;
}

static void counted_read(const struct store_rows *rows, struct arena *arena, struct counted *ret)
{
        *ret = (struct counted){
                .what = (enum figure_what)store_i64(rows, 0),
                .case_id = store_text_dup(rows, 1, arena),
                .programme = store_text_dup(rows, 2, arena),
                .organization = store_text_dup(rows, 3, arena),
                .year = year_of(store_i64(rows, 4)),
                .amount = store_i64(rows, 5),
        };
}

/* From the cases themselves, some at a time. */
int figures_reset(struct rpc_call *call)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct tally tally = {.call = call, .arena = arena};
        int64_t n = 0;
        store_take_time(rpc_db(call));
        int r = figures_clear(rpc_db(call));
        if (r == 0)
                r = figures_all_query(rpc_db(call), &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct counted c;
                counted_read(rows, arena, &c);
                r = count(&tally, &c);
                if (r == 0 && ++n % AT_ONCE == 0) {
                        r = finish(&tally);
                        arena_reset(arena);
                        tally = (struct tally){.call = call, .arena = arena};
                }
        }
        return r == 0 ? finish(&tally) : r;
}

/* --- telling ------------------------------------------------------------------------------------------------------------- */

#define BELOW_MOST 1000

/* An organisation, and those right below it. */
struct place {
        struct figure all, *below;
        size_t n;
        bool untold[FIGURES];           /* what of `all` is not said */
        bool (*hidden)[FIGURES];        /* and of each below */
};

static int load_place(struct rpc_call *call, const GetCareFiguresRequest *request, const char *code, struct place *p)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        p->n = 0;
        p->below = ARENA_ARRAY(arena, struct figure, BELOW_MOST);
        p->hidden = arena_zalloc(arena, BELOW_MOST * sizeof(p->hidden[0]));
        int r = figure_load(rpc_db(call), arena, request->programme, request->year, code, &p->all);
        if (r == 0)
                r = figures_query(rpc_db(call), request->programme, request->year, code, BELOW_MOST, &rows);
        while (r == 0 && p->n < BELOW_MOST && (r = store_next(rows)) == 1) {
                figure_read(rows, arena, &p->below[p->n++]);
                r = 0;
        }
        return r == CARE_E_ABSENT ? -EUCLEAN : r;
}

/* What it has itself is a cell as well: it is what is left of the sum. (What was counted elsewhere before an organisation moved
 * makes it less than nothing: none.) untold comes in as what the organisation above may not say of it. */
static void hide(struct rpc_call *call, struct place *p)
{
        int64_t *cells = ARENA_ARRAY(rpc_arena(call), int64_t, p->n + 1);
        bool *hidden = ARENA_ARRAY(rpc_arena(call), bool, p->n + 1);
        for (int k = 0; k < FIGURES; k++) {
                cells[0] = p->all.cases[k];
                for (size_t i = 0; i < p->n; i++) {
                        cells[i + 1] = p->below[i].cases[k];
                        cells[0] -= cells[i + 1];
                }
                cells[0] = cells[0] < 0 ? 0 : cells[0];
                p->untold[k] = !figures_hide(cells, p->n + 1, p->untold[k], hidden);
                for (size_t i = 0; i < p->n; i++)
                        p->hidden[i][k] = hidden[i + 1];
        }
}

static void step_down(struct place *p, struct str code)
{
        for (int k = 0; k < FIGURES; k++)
                p->untold[k] = true; /* unless it is found */
        for (size_t i = 0; i < p->n; i++)
                if (str_is(code, p->below[i].organization))
                        memcpy(p->untold, p->hidden[i], sizeof(p->untold));
}

/* Who asks today and tomorrow sees what one more case has changed. So whoever may not see the cases is told of a year that still
 * runs in steps that no single one shows in; and no money, which changes by what one person got. */
static bool tells_in_steps(struct rpc_call *call, const GetCareFiguresRequest *request, struct str path)
{
        return request->year >= year_of(rpc_now(call)) && !rpc_allows(call, "case.read", path);
}

static void step(struct figure *figure, bool untold[FIGURES])
{
        for (int k = 0; k < FIGURES; k++)
                figure->cases[k] -= figure->cases[k] % FIGURE_LEAST;
        untold[FIGURE_PAID - 1] = true;
}

/* The answer's messages are of two types with the same fields. */
#define FILL(call, out, figure, untold)                                                                     \
        do {                                                                                                 \
                static const char *const names_[FIGURES] = {"opened", "granted", "refused", "amount"};       \
                (out)->organization = (char *)(figure)->organization;                                        \
                (out)->opened = (untold)[FIGURE_OPENED - 1] ? 0 : (figure)->cases[FIGURE_OPENED - 1];        \
                (out)->granted = (untold)[FIGURE_GRANTED - 1] ? 0 : (figure)->cases[FIGURE_GRANTED - 1];     \
                (out)->refused = (untold)[FIGURE_REFUSED - 1] ? 0 : (figure)->cases[FIGURE_REFUSED - 1];     \
                (out)->amount = (untold)[FIGURE_PAID - 1] ? 0 : (figure)->amount;                            \
                (out)->suppressed = ARENA_ARRAY(rpc_arena(call), char *, FIGURES);                           \
                for (int k_ = 0; k_ < FIGURES; k_++)                                                         \
                        if ((untold)[k_])                                                                    \
                                (out)->suppressed[(out)->n_suppressed++] = (char *)names_[k_];               \
        } while (0)

/* From the top of the tree on: what is not said of an organisation there must not come out further below. */
int handle_get_care_figures(struct rpc_call *call, const GetCareFiguresRequest *request, CareFigures *response)
{
        struct place place = {0};
        struct organization o;
        struct str code, path;
        int r = find_organization(call, request->organization, &o);
        for (int level = 1; r == 0 && path_level(str_of(o.path), level, &code, &path); level++) {
                if (level > 1)
                        step_down(&place, code);
                r = load_place(call, request, arena_strndup(rpc_arena(call), code.p, code.n), &place);
                if (r == 0)
                        hide(call, &place);
        }
        if (r != 0)
                return r;
        bool in_steps = tells_in_steps(call, request, str_of(o.path));
        if (in_steps)
                step(&place.all, place.untold);
        for (size_t i = 0; in_steps && i < place.n; i++)
                step(&place.below[i], place.hidden[i]);
        FILL(call, response, &place.all, place.untold);
        response->below = ARENA_ARRAY(rpc_arena(call), CareFiguresPart *, place.n);
        for (size_t i = 0; i < place.n; i++) {
                CareFiguresPart *part = message_new(rpc_arena(call), &care_v1_care_figures_part_msg);
                FILL(call, part, &place.below[i], place.hidden[i]);
                response->below[response->n_below++] = part;
        }
        return 0;
}
