/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts, and what a document comes to with them (rules_programme.h). Whole numbers only: amounts in fen, rates in basis points.
 */
#include "rules_programme.h"

#include <inttypes.h>

#define TYPE(name)     NUANXIN__CARE__V1__FIELD__TYPE__##name
#define OPERATOR(name) NUANXIN__CARE__V1__CONDITION__OPERATOR__##name
#define MEASURE(name)  NUANXIN__CARE__V1__CAP__MEASURE__##name
#define PERIOD(name)   NUANXIN__CARE__V1__CAP__PERIOD__##name
#define PART(name)     NUANXIN__CARE__V1__TERM__PART_##name
#define CUT            NUANXIN__CARE__V1__CAP__BEYOND__CUT

typedef __int128 wide_t; /* a fact times an amount times a rate may be beyond 64 bits */

/* --- facts ---------------------------------------------------------------------------------------------------- */

const char *const known_fact_names[N_KNOWN_FACT] = {
        [KNOWN_PERSON_AGE] = "person.age",
        [KNOWN_PERSON_SPECIAL] = "person.special",
        [KNOWN_PERSON_HOUSEHOLD] = "person.household",
        [KNOWN_CASE_TIMES] = "case.times",
        [KNOWN_POLICY_ACTIVE] = "policy.active",
};

static int known_type(const char *name)
{
        for (int i = 0; i < N_KNOWN_FACT; i++)
                if (strcmp(known_fact_names[i], name) == 0)
                        return i == KNOWN_PERSON_SPECIAL || i == KNOWN_POLICY_ACTIVE ? TYPE(BOOL) : TYPE(INTEGER);
        return TYPE(TYPE_UNSPECIFIED);
}

static const Field *field_of(Field *const *fields, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(fields[i]->name, name) == 0)
                        return fields[i];
        return NULL;
}

static int type_of(Field *const *fields, size_t n, const char *name)
{
        const Field *field = field_of(fields, n, name);
        return field ? (int)field->type : known_type(name);
}

const char *fact_value(Fact *const *facts, size_t n_facts, const char *name)
{
        for (size_t i = n_facts; i > 0; i--)
                if (strcmp(facts[i - 1]->name, name) == 0)
                        return facts[i - 1]->value[0] ? facts[i - 1]->value : NULL;
        return NULL;
}

static void note_known(const char *fact, unsigned *set)
{
        for (unsigned i = 0; i < N_KNOWN_FACT; i++)
                if (strcmp(known_fact_names[i], fact) == 0)
                        *set |= 1u << i;
}

unsigned known_facts_of(const ProgrammeDocument *d, const char **ret_on)
{
        unsigned set = 0;
        const char *on = "";
        for (size_t i = 0; i < d->n_conditions; i++) {
                note_known(d->conditions[i]->fact, &set);
                if (d->conditions[i]->on[0])
                        on = d->conditions[i]->on;
        }
        for (size_t i = 0; i < d->n_caps; i++)
                note_known(d->caps[i]->fact, &set);
        for (size_t i = 0; i < d->n_terms; i++) {
                note_known(d->terms[i]->when, &set);
                if (d->terms[i]->part_case == PART(PER_UNIT))
                        note_known(d->terms[i]->per_unit->fact, &set);
        }
        if (ret_on)
                *ret_on = on;
        return set;
}

static bool is_asked_by_action(const ProgrammeDocument *d, const char *name)
{
        for (size_t s = 0; s < d->n_stages; s++)
                for (size_t a = 0; a < d->stages[s]->n_actions; a++)
                        for (size_t f = 0; f < d->stages[s]->actions[a]->n_fields; f++)
                                if (strcmp(d->stages[s]->actions[a]->fields[f], name) == 0)
                                        return true;
        return false;
}

const char *const *fields_at_opening(struct arena *arena, const ProgrammeDocument *d, size_t *ret_n)
{
        const char **names = ARENA_ARRAY(arena, const char *, d->n_fields + 1);
        *ret_n = 0;
        for (size_t i = 0; i < d->n_fields; i++)
                if (!is_asked_by_action(d, d->fields[i]->name))
                        names[(*ret_n)++] = d->fields[i]->name;
        return names;
}

/* --- do facts fit? -------------------------------------------------------------------------------------------- */

static void add_fault(struct faults *faults, const char *place, const char *rule, const char *detail, const char *detail_zh)
{
        if (faults->n < ARRAY_LEN(faults->items))
                faults->items[faults->n++] = (struct fault){place, rule, detail, detail_zh};
}

static void check_number(struct arena *arena, const Field *field, const char *value, const char *place, struct faults *faults)
{
        int64_t least = field->least, most = field->most, v;
        if (!least && !most) {
                least = field->type == TYPE(MONEY) ? 0 : -AMOUNT_MOST;
                most = AMOUNT_MOST;
        }
        int r = str_to_i64(str_of(value), least, most, &v);
        if (r == -EINVAL)
                add_fault(faults, place, "type", "must be a whole number", "应为整数");
        else if (r < 0)
                add_fault(faults, place, "range", arena_printf(arena, "must be from %" PRId64 " to %" PRId64, least, most),
                          arena_printf(arena, "应在 %" PRId64 " 至 %" PRId64 " 之间", least, most));
}

static void check_choice(struct arena *arena, const Field *field, const char *value, const char *place, struct faults *faults)
{
        struct buf values = {0};
        for (size_t i = 0; i < field->n_choices; i++) {
                if (strcmp(field->choices[i]->value, value) == 0) {
                        buf_done(&values);
                        return;
                }
                buf_printf(&values, "%s%s", i ? ", " : "", field->choices[i]->value);
        }
        add_fault(faults, place, "in", arena_printf(arena, "must be one of %s", buf_z(&values)),
                  arena_printf(arena, "应为以下之一：%s", buf_z(&values)));
        buf_done(&values);
}

static void check_value(struct arena *arena, const Field *field, const char *value, const char *place, struct faults *faults)
{
        unsigned most = field->most > 0 ? (unsigned)field->most : 200;
        day_t day;
        switch ((int)field->type) {
        case TYPE(INTEGER):
        case TYPE(MONEY):
                check_number(arena, field, value, place, faults);
                break;
        case TYPE(DATE):
                if (day_parse(str_of(value), &day) < 0)
                        add_fault(faults, place, "type", "must be a date such as 2026-05-29", "应为日期，如 2026-05-29");
                break;
        case TYPE(BOOL):
                if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
                        add_fault(faults, place, "type", "must be true or false", "应为 true 或 false");
                break;
        case TYPE(CHOICE):
                check_choice(arena, field, value, place, faults);
                break;
        default:
                if (str_code_points(str_of(value)) > most)
                        add_fault(faults, place, "maxLength", arena_printf(arena, "must have at most %u characters", most),
                                  arena_printf(arena, "最多 %u 个字符", most));
        }
}

static bool is_repeated(Fact *const *facts, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (strcmp(facts[k]->name, facts[i]->name) == 0)
                        return true;
        return false;
}

static void check_given(struct arena *arena, Field *const *fields, size_t n_fields, bool known, Fact *const *facts, size_t n_facts,
                        struct faults *faults)
{
        for (size_t i = 0; i < n_facts; i++) {
                const Field *field = field_of(fields, n_fields, facts[i]->name);
                Field of_ours = NUANXIN__CARE__V1__FIELD__INIT;
                if (!field && known && known_type(facts[i]->name) != TYPE(TYPE_UNSPECIFIED)) {
                        of_ours.type = (Nuanxin__Care__V1__Field__Type)known_type(facts[i]->name);
                        field = &of_ours;
                }
                if (!field)
                        add_fault(faults, arena_printf(arena, "/facts/%zu/name", i), "unknown", "there is no such field", "没有该填报项");
                else if (is_repeated(facts, i))
                        add_fault(faults, arena_printf(arena, "/facts/%zu/name", i), "unique", "is given twice", "重复填报");
                else if (facts[i]->value[0])
                        check_value(arena, field, facts[i]->value, arena_printf(arena, "/facts/%zu/value", i), faults);
        }
}

void facts_check(struct arena *arena, Field *const *fields, size_t n_fields, const char *const *asked, size_t n_asked,
                 Fact *const *facts, size_t n_facts, struct faults *faults)
{
        check_given(arena, fields, n_fields, false, facts, n_facts, faults);
        for (size_t i = 0; i < n_fields; i++) {
                bool is_asked = !asked;
                for (size_t k = 0; k < n_asked && !is_asked; k++)
                        is_asked = strcmp(asked[k], fields[i]->name) == 0;
                if (is_asked && fields[i]->required && !fact_value(facts, n_facts, fields[i]->name))
                        add_fault(faults, "/facts", "required", arena_printf(arena, "%s (%s) is required", fields[i]->name, fields[i]->title),
                                  arena_printf(arena, "%s（%s）必填", fields[i]->title_zh, fields[i]->name));
        }
}

void facts_check_all(struct arena *arena, const ProgrammeDocument *d, Fact *const *facts, size_t n_facts, struct faults *faults)
{
        check_given(arena, d->fields, d->n_fields, true, facts, n_facts, faults);
}

/* --- conditions ----------------------------------------------------------------------------------------------- */

/* Numbers, and dates as numbers; false: it is neither. */
static bool as_number(int type, const char *text, int64_t *ret)
{
        day_t day;
        if (type == TYPE(INTEGER) || type == TYPE(MONEY))
                return str_to_i64(str_of(text), INT64_MIN, INT64_MAX, ret) == 0;
        if (type != TYPE(DATE) || day_parse(str_of(text), &day) < 0)
                return false;
        *ret = day;
        return true;
}

static bool values_equal(int type, const char *a, const char *b)
{
        int64_t x, y;
        if (as_number(type, a, &x) && as_number(type, b, &y))
                return x == y; /* "07" is 7 */
        return strcmp(a, b) == 0;
}

bool condition_holds(const Condition *c, Field *const *fields, size_t n_fields, Fact *const *facts, size_t n_facts)
{
        const char *value = fact_value(facts, n_facts, c->fact);
        int type = type_of(fields, n_fields, c->fact);
        int64_t have, bound;
        if (!value || !c->n_values)
                return false;
        switch ((int)c->operator_) {
        case OPERATOR(AT_LEAST):
        case OPERATOR(AT_MOST):
                if (!as_number(type, value, &have) || !as_number(type, c->values[0], &bound))
                        return false;
                return (int)c->operator_ == OPERATOR(AT_LEAST) ? have >= bound : have <= bound;
        case OPERATOR(EQUALS):
                return values_equal(type, value, c->values[0]);
        case OPERATOR(ONE_OF):
                for (size_t i = 0; i < c->n_values; i++)
                        if (values_equal(type, value, c->values[i]))
                                return true;
                return false;
        default:
                return false;
        }
}

/* --- caps and terms ------------------------------------------------------------------------------------------- */

/* A decision while it is made. */
struct work {
        struct arena *arena;
        const ProgrammeDocument *d;
        Fact *const *facts;
        size_t n_facts;
        struct evaluation *out;
        struct {
                const char *fact;
                int64_t units;
        } cuts[8]; /* what is left of facts that caps cut */
        size_t n_cuts;
};

static day_t day_on(const char *on, Fact *const *facts, size_t n_facts, day_t today)
{
        const char *value = on[0] ? fact_value(facts, n_facts, on) : NULL;
        day_t day;
        return value && day_parse(str_of(value), &day) == 0 ? day : today;
}

static char *period_of(struct arena *arena, const Cap *cap, Fact *const *facts, size_t n_facts, day_t today)
{
        char *text = arena_strdup(arena, "0000-00-00");
        day_t day = day_on(cap->on, facts, n_facts, today);
        if ((int)cap->period == PERIOD(YEAR))
                day_put(text, year_start(day, cap->year_start));
        else if ((int)cap->period == PERIOD(MONTH))
                day_put(text, month_start(day));
        else
                text[0] = '\0';
        return text;
}

CapUse **uses_due(struct arena *arena, const ProgrammeDocument *d, Fact *const *facts, size_t n_facts, day_t today, size_t *ret_n)
{
        CapUse **uses = ARENA_ARRAY(arena, CapUse *, d->n_caps + 1);
        for (size_t i = 0; i < d->n_caps; i++) {
                uses[i] = ARENA_NEW(arena, CapUse);
                nuanxin__care__v1__cap_use__init(uses[i]);
                uses[i]->cap = d->caps[i]->code;
                uses[i]->period = period_of(arena, d->caps[i], facts, n_facts, today);
        }
        *ret_n = d->n_caps;
        return uses;
}

/* A number among the facts, as far as caps let it count; never below 0. */
static int64_t units_of(const struct work *w, const char *fact)
{
        const char *value = fact_value(w->facts, w->n_facts, fact);
        int64_t units;
        for (size_t i = 0; i < w->n_cuts; i++)
                if (strcmp(w->cuts[i].fact, fact) == 0)
                        return w->cuts[i].units;
        if (!value || str_to_i64(str_of(value), INT64_MIN, INT64_MAX, &units) < 0 || units < 0)
                return 0;
        return units < AMOUNT_MOST ? units : AMOUNT_MOST;
}

static void cut_to(struct work *w, const char *fact, int64_t units)
{
        for (size_t i = 0; i < w->n_cuts; i++)
                if (strcmp(w->cuts[i].fact, fact) == 0) {
                        w->cuts[i].units = units;
                        return;
                }
        if (w->n_cuts < ARRAY_LEN(w->cuts)) {
                w->cuts[w->n_cuts].fact = fact;
                w->cuts[w->n_cuts++].units = units;
        }
}

static struct failure *fail(struct work *w, const char *code, const char *title, const char *title_zh)
{
        struct evaluation *e = w->out;
        if (e->n_failures < ARRAY_LEN(e->failures))
                e->n_failures++;
        struct failure *f = &e->failures[e->n_failures - 1];
        *f = (struct failure){.code = code, .title = title, .title_zh = title_zh, .wanted = ""};
        return f;
}

static void fail_cap(struct work *w, const Cap *cap, int64_t before, int64_t asked)
{
        struct failure *f = fail(w, cap->code,
                                 arena_printf(w->arena, "%" PRId64 " of %" PRId64 " are used, and this asks for %" PRId64, before, cap->most, asked),
                                 arena_printf(w->arena, "上限 %" PRId64 "，已用 %" PRId64 "，本次申请 %" PRId64, cap->most, before, asked));
        f->cap = true;
        f->used = before;
        f->most = cap->most;
        f->asked = asked;
}

/* What this cap lets through of what is asked; 0 after a failure. */
static int64_t let_through(struct work *w, const Cap *cap, int64_t before, int64_t asked)
{
        int64_t left = before >= cap->most ? 0 : cap->most - (before > 0 ? before : 0);
        if (asked <= left)
                return asked;
        if ((int)cap->beyond == CUT && (int)cap->measure != MEASURE(TIMES) && left > 0)
                return left;
        fail_cap(w, cap, before, asked);
        return 0;
}

static wide_t nearest(wide_t numerator, wide_t denominator)
{
        return (2 * numerator + denominator) / (2 * denominator);
}

static wide_t interest(const struct work *w, const Nuanxin__Care__V1__Term__Interest *i)
{
        int64_t rate = units_of(w, i->basis_points);
        if (rate > i->most_basis_points)
                rate = i->most_basis_points;
        return nearest((wide_t)units_of(w, i->principal) * rate * units_of(w, i->days), (wide_t)10000 * 365);
}

static wide_t share(const struct work *w, const Nuanxin__Care__V1__Term__Share *s)
{
        wide_t part = nearest((wide_t)units_of(w, s->fact) * s->basis_points, 10000);
        return s->most && part > s->most ? s->most : part;
}

static wide_t term_amount(const struct work *w, const Term *term)
{
        if (term->when[0]) {
                const char *value = fact_value(w->facts, w->n_facts, term->when);
                int type = type_of(w->d->fields, w->d->n_fields, term->when);
                if (!value || !values_equal(type, value, term->is[0] ? term->is : "true"))
                        return 0;
        }
        switch ((int)term->part_case) {
        case PART(PER_UNIT):
                return (wide_t)units_of(w, term->per_unit->fact) * term->per_unit->amount;
        case PART(FIXED):
                return term->fixed->amount;
        case PART(SHARE):
                return share(w, term->share);
        case PART(INTEREST):
                return interest(w, term->interest);
        default:
                return 0;
        }
}

static int64_t amount_of_terms(struct work *w)
{
        wide_t amount = 0;
        for (size_t i = 0; i < w->d->n_terms; i++)
                amount += term_amount(w, w->d->terms[i]); /* eight of at most 10^28 */
        if (amount > AMOUNT_MOST) {
                fail(w, TOO_MUCH, "It comes to more than can be granted at once; check the figures.", "金额超出一次可批准的范围，请核对填报内容。")
                        ->wanted = arena_printf(w->arena, "amount AT_MOST %" PRId64, AMOUNT_MOST);
                return 0;
        }
        return (int64_t)amount;
}

/* --- what it comes to ----------------------------------------------------------------------------------------- */

static const char *wanted_by(struct arena *arena, const Condition *c)
{
        static const char *const names[] = {"", "AT_LEAST", "AT_MOST", "EQUALS", "ONE_OF"};
        struct buf out = {0};
        unsigned operator = (unsigned)c->operator_;
        buf_printf(&out, "%s %s", c->fact, operator < ARRAY_LEN(names) ? names[operator] : "");
        for (size_t i = 0; i < c->n_values; i++)
                buf_printf(&out, " %s", c->values[i]);
        const char *text = arena_strdup(arena, buf_z(&out));
        buf_done(&out);
        return text;
}

static void ask_conditions(struct work *w)
{
        const ProgrammeDocument *d = w->d;
        for (size_t i = 0; i < d->n_conditions; i++) {
                const Condition *c = d->conditions[i];
                if (!condition_holds(c, d->fields, d->n_fields, w->facts, w->n_facts))
                        fail(w, c->code, c->title, c->title_zh)->wanted = wanted_by(w->arena, c);
        }
}

/* First what is asked is cut, then what is left is counted: a later cap may cut the same fact further. */
static void ask_caps(struct work *w, CapUse **uses)
{
        const ProgrammeDocument *d = w->d;
        for (size_t i = 0; i < d->n_caps; i++) {
                const Cap *cap = d->caps[i];
                if ((int)cap->measure == MEASURE(TIMES))
                        (void)let_through(w, cap, uses[i]->before, 1);
                else if ((int)cap->measure == MEASURE(UNITS))
                        cut_to(w, cap->fact, let_through(w, cap, uses[i]->before, units_of(w, cap->fact)));
        }
}

static int64_t ask_amount_caps(struct work *w, CapUse **uses, int64_t amount)
{
        for (size_t i = 0; i < w->d->n_caps; i++)
                if ((int)w->d->caps[i]->measure == MEASURE(AMOUNT))
                        amount = let_through(w, w->d->caps[i], uses[i]->before, amount);
        return amount;
}

static void count_uses(const struct work *w, CapUse **uses, int64_t amount)
{
        for (size_t i = 0; i < w->d->n_caps; i++) {
                const Cap *cap = w->d->caps[i];
                uses[i]->used = (int)cap->measure == MEASURE(TIMES)   ? 1
                                : (int)cap->measure == MEASURE(UNITS) ? units_of(w, cap->fact)
                                                                      : amount;
        }
}

static char **codes_of(struct arena *arena, const struct evaluation *e)
{
        char **codes = ARENA_ARRAY(arena, char *, e->n_failures + 1);
        for (size_t i = 0; i < e->n_failures; i++)
                codes[i] = (char *)e->failures[i].code;
        return codes;
}

static int64_t used_before(CapUse *const *uses, size_t n_uses, const char *cap)
{
        for (size_t i = 0; i < n_uses; i++)
                if (strcmp(uses[i]->cap, cap) == 0)
                        return uses[i]->before;
        return 0;
}

void evaluate(struct arena *arena, const ProgrammeDocument *d, Fact *const *facts, size_t n_facts, CapUse *const *uses, size_t n_uses,
              day_t today, struct evaluation *ret)
{
        struct work w = {.arena = arena, .d = d, .facts = facts, .n_facts = n_facts, .out = ret};
        Outcome *outcome = ARENA_NEW(arena, Outcome);
        nuanxin__care__v1__outcome__init(outcome);
        ret->outcome = outcome;
        ret->n_failures = 0;
        outcome->uses = uses_due(arena, d, facts, n_facts, today, &outcome->n_uses);
        for (size_t i = 0; i < outcome->n_uses; i++)
                outcome->uses[i]->before = used_before(uses, n_uses, outcome->uses[i]->cap);

        ask_conditions(&w);
        size_t conditions_failed = ret->n_failures;
        ask_caps(&w, outcome->uses);
        bool cut_to_nothing = ret->n_failures > conditions_failed;
        int64_t amount = amount_of_terms(&w);
        if (d->n_terms && !amount && !cut_to_nothing && ret->n_failures == conditions_failed)
                fail(&w, NOTHING_DUE, "By these facts nothing is due.", "按填报内容计算，无可发放金额。")->wanted = "amount AT_LEAST 1";
        amount = ask_amount_caps(&w, outcome->uses, amount);

        outcome->eligible = !ret->n_failures;
        outcome->n_failed = ret->n_failures;
        outcome->failed = codes_of(arena, ret);
        if (!outcome->eligible)
                return;
        outcome->amount = amount;
        count_uses(&w, outcome->uses, amount);
}

bool outcome_equal(const Outcome *a, const Outcome *b)
{
        size_t n = nuanxin__care__v1__outcome__get_packed_size(a);
        if (n != nuanxin__care__v1__outcome__get_packed_size(b))
                return false;
        struct buf x = {0}, y = {0};
        buf_reserve(&x, n + 1);
        buf_reserve(&y, n + 1);
        nuanxin__care__v1__outcome__pack(a, (uint8_t *)x.p);
        nuanxin__care__v1__outcome__pack(b, (uint8_t *)y.p);
        bool same = memcmp(x.p, y.p, n) == 0;
        buf_done(&x);
        buf_done(&y);
        return same;
}
