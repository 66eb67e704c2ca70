/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a programme's document hold together? Names that are used exist, types fit, every stage is reached and leads to an end,
 * and what money needs is there. What it comes to is in rules_programme.c.
 */
#include "rules_programme.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TYPE(name)     NUANXIN__CARE__V1__FIELD__TYPE__##name
#define OPERATOR(name) NUANXIN__CARE__V1__CONDITION__OPERATOR__##name
#define MEASURE(name)  NUANXIN__CARE__V1__CAP__MEASURE__##name
#define PERIOD(name)   NUANXIN__CARE__V1__CAP__PERIOD__##name
#define PART(name)     NUANXIN__CARE__V1__TERM__PART_##name
#define BY(name)       NUANXIN__CARE__V1__ACTION__BY__##name
#define EFFECT(name)   NUANXIN__CARE__V1__ACTION__EFFECT__##name
#define KIND(name)     NUANXIN__CARE__V1__STAGE__KIND__##name

/* One look at one document. */
struct look {
        struct arena *arena;
        const ProgrammeDocument *d;
        struct faults *faults;
};

/* The place is a format with what follows. */
static void say(struct look *l, const char *rule, const char *detail, const char *detail_zh, const char *place, ...) PRINTF(5, 6);

static void say(struct look *l, const char *rule, const char *detail, const char *detail_zh, const char *place, ...)
{
        char text[160];
        va_list args;
        va_start(args, place);
        vsnprintf(text, sizeof(text), place, args);
        va_end(args);
        if (l->faults->n < ARRAY_LEN(l->faults->items))
                l->faults->items[l->faults->n++] = (struct fault){arena_strdup(l->arena, text), rule, detail, detail_zh};
}

static void say_twice(struct look *l, const char *list, size_t i, const char *key)
{
        say(l, "unique", "is there twice", "重复", "%s/%zu/%s", list, i, key);
}

/* --- what a document has, by name ----------------------------------------------------------------------------- */

bool is_closing(const char *to)
{
        static const char *const ends[] = {"refused", "ended", "withdrawn", "done"};
        for (size_t i = 0; i < ARRAY_LEN(ends); i++)
                if (strcmp(ends[i], to) == 0)
                        return true;
        return false;
}

static size_t stage_index(const ProgrammeDocument *d, const char *code)
{
        size_t i = 0;
        while (i < d->n_stages && strcmp(d->stages[i]->code, code) != 0)
                i++;
        return i;
}

const Stage *document_stage(const ProgrammeDocument *d, const char *code)
{
        size_t i = stage_index(d, code);
        return i < d->n_stages ? d->stages[i] : NULL;
}

const Action *stage_action(const Stage *stage, const char *code)
{
        for (size_t i = 0; i < stage->n_actions; i++)
                if (strcmp(stage->actions[i]->code, code) == 0)
                        return stage->actions[i];
        return NULL;
}

bool action_has(const Action *action, int effect)
{
        for (size_t i = 0; i < action->n_effects; i++)
                if ((int)action->effects[i] == effect)
                        return true;
        return false;
}

static const Field *find_field(Field *const *fields, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(fields[i]->name, name) == 0)
                        return fields[i];
        return NULL;
}

static bool is_known(const char *name)
{
        for (size_t i = 0; i < N_KNOWN_FACT; i++)
                if (strcmp(known_fact_names[i], name) == 0)
                        return true;
        return false;
}

/* Of a field, or of what the service knows; 0: there is no such fact. */
static int fact_type(Field *const *fields, size_t n, const char *name)
{
        const Field *field = find_field(fields, n, name);
        if (field)
                return (int)field->type;
        if (!is_known(name))
                return 0;
        if (strcmp(name, known_fact_names[KNOWN_PERSON_SPECIAL]) == 0 || strcmp(name, known_fact_names[KNOWN_POLICY_ACTIVE]) == 0)
                return TYPE(BOOL);
        return TYPE(INTEGER);
}

/* --- fields --------------------------------------------------------------------------------------------------- */

static void check_choices(struct look *l, const char *list, size_t i, const Field *f)
{
        if (((int)f->type == TYPE(CHOICE)) != (f->n_choices > 0))
                say(l, "required", "a CHOICE has choices, and nothing else has", "CHOICE 须有选项，其他类型不得有选项", "%s/%zu/choices", list, i);
        for (size_t k = 0; k < f->n_choices; k++)
                for (size_t j = 0; j < k; j++)
                        if (strcmp(f->choices[j]->value, f->choices[k]->value) == 0)
                                say(l, "unique", "is there twice", "重复", "%s/%zu/choices/%zu/value", list, i, k);
}

static void check_fields(struct look *l, const char *list, Field *const *fields, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const Field *f = fields[i];
                bool number = (int)f->type == TYPE(INTEGER) || (int)f->type == TYPE(MONEY);
                if (find_field(fields, i, f->name))
                        say_twice(l, list, i, "name");
                check_choices(l, list, i, f);
                if ((f->least && !number) || (f->most && !number && (int)f->type != TYPE(TEXT)))
                        say(l, "range", "only an INTEGER or a MONEY has least and most, a TEXT has most", "仅 INTEGER、MONEY 有上下限，TEXT 有上限",
                            "%s/%zu/most", list, i);
                else if (f->most < f->least || (number && (f->most > AMOUNT_MOST || f->least < -AMOUNT_MOST)))
                        say(l, "range", "most is below least, or beyond 1000000000000", "上限低于下限，或超出 1000000000000", "%s/%zu/most", list, i);
                else if ((int)f->type == TYPE(TEXT) && (f->most < 0 || f->most > 2000))
                        say(l, "range", "a TEXT has at most 2000 characters", "TEXT 最多 2000 个字符", "%s/%zu/most", list, i);
        }
}

/* --- conditions ----------------------------------------------------------------------------------------------- */

static bool value_fits(Field *const *fields, size_t n, const char *fact, const char *value)
{
        const Field *field = find_field(fields, n, fact);
        int64_t number;
        day_t day;
        switch (fact_type(fields, n, fact)) {
        case TYPE(INTEGER):
        case TYPE(MONEY):
                return str_to_i64(str_of(value), -AMOUNT_MOST, AMOUNT_MOST, &number) == 0;
        case TYPE(DATE):
                return day_parse(str_of(value), &day) == 0;
        case TYPE(BOOL):
                return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
        case TYPE(CHOICE):
                for (size_t i = 0; i < field->n_choices; i++)
                        if (strcmp(field->choices[i]->value, value) == 0)
                                return true;
                return false;
        default:
                return value[0] != '\0';
        }
}

static void check_condition(struct look *l, const char *list, size_t i, const Condition *c, Field *const *fields, size_t n)
{
        int type = fact_type(fields, n, c->fact);
        bool ordered = type == TYPE(INTEGER) || type == TYPE(MONEY) || type == TYPE(DATE);
        if (!type) {
                say(l, "unknown", "there is no such fact", "没有该填报项", "%s/%zu/fact", list, i);
                return;
        }
        if (((int)c->operator_ == OPERATOR(AT_LEAST) || (int)c->operator_ == OPERATOR(AT_MOST)) && !ordered)
                say(l, "type", "only numbers and dates are less or more", "仅数字和日期可以比较大小", "%s/%zu/operator", list, i);
        if (c->n_values < 1 || ((int)c->operator_ != OPERATOR(ONE_OF) && c->n_values > 1))
                say(l, "required", "has one value; ONE_OF has one or more", "应有一个值，ONE_OF 可有多个", "%s/%zu/values", list, i);
        for (size_t v = 0; v < c->n_values; v++)
                if (!value_fits(fields, n, c->fact, c->values[v]))
                        say(l, "type", "does not fit the fact's type", "与填报项类型不符", "%s/%zu/values/%zu", list, i, v);
}

/* A policy is looked up once a decision, so one document asks about one day. */
static void check_policy_day(struct look *l, size_t i, const char **on)
{
        const Condition *c = l->d->conditions[i];
        bool policy = strcmp(c->fact, known_fact_names[KNOWN_POLICY_ACTIVE]) == 0;
        if (!policy && c->on[0])
                say(l, "unknown", "only policy.active is of a day", "仅 policy.active 可指定日期", "/conditions/%zu/on", i);
        if (!policy)
                return;
        if (c->on[0] && fact_type(l->d->fields, l->d->n_fields, c->on) != TYPE(DATE))
                say(l, "type", "must name a field that is a DATE", "应为 DATE 类型的填报项", "/conditions/%zu/on", i);
        else if (*on && strcmp(*on, c->on) != 0)
                say(l, "unique", "all conditions on policy.active name one day", "policy.active 的各条件须指定同一日期", "/conditions/%zu/on", i);
        *on = c->on;
}

static void check_conditions(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        const char *on = NULL;
        for (size_t i = 0; i < d->n_conditions; i++) {
                const Condition *c = d->conditions[i];
                for (size_t k = 0; k < i; k++)
                        if (strcmp(d->conditions[k]->code, c->code) == 0)
                                say_twice(l, "/conditions", i, "code");
                if (strcmp(c->code, NOTHING_DUE) == 0 || strcmp(c->code, TOO_MUCH) == 0)
                        say(l, "unique", "is a code of the service's own", "为系统保留代码", "/conditions/%zu/code", i);
                check_condition(l, "/conditions", i, c, d->fields, d->n_fields);
                check_policy_day(l, i, &on);
                if (d->for_organization && is_known(c->fact))
                        say(l, "unknown", "a case about an organisation has no person", "以组织为对象的个案没有个人信息", "/conditions/%zu/fact", i);
        }
}

/* --- caps and terms ------------------------------------------------------------------------------------------- */

static bool counts_in_terms(const ProgrammeDocument *d, const char *fact)
{
        for (size_t i = 0; i < d->n_terms; i++) {
                const Term *t = d->terms[i];
                if (t->part_case == PART(PER_UNIT) && strcmp(t->per_unit->fact, fact) == 0)
                        return true;
                if (t->part_case == PART(INTEREST) && strcmp(t->interest->days, fact) == 0)
                        return true;
        }
        return false;
}

static void check_cap_fact(struct look *l, size_t i, const Cap *cap)
{
        const ProgrammeDocument *d = l->d;
        bool units = (int)cap->measure == MEASURE(UNITS), cut = cap->beyond == NUANXIN__CARE__V1__CAP__BEYOND__CUT;
        if (units && fact_type(d->fields, d->n_fields, cap->fact) != TYPE(INTEGER))
                say(l, "type", "UNITS are of a fact that is an INTEGER", "UNITS 须指定 INTEGER 类型的填报项", "/caps/%zu/fact", i);
        else if (!units && cap->fact[0])
                say(l, "unknown", "only UNITS are of a fact", "仅 UNITS 须指定填报项", "/caps/%zu/fact", i);
        else if (units && cut && !counts_in_terms(d, cap->fact))
                say(l, "unknown", "no term counts this fact, so nothing could be cut", "没有按该填报项计算的公式，无从核减", "/caps/%zu/beyond", i);
        if (cut && (int)cap->measure == MEASURE(TIMES))
                say(l, "range", "TIMES cannot be cut", "TIMES 不能核减", "/caps/%zu/beyond", i);
        if ((int)cap->measure == MEASURE(AMOUNT) && !d->n_terms)
                say(l, "required", "there are no terms, so there is no amount", "没有公式，没有金额", "/caps/%zu/measure", i);
}

static void check_cap_period(struct look *l, size_t i, const Cap *cap)
{
        bool year = (int)cap->period == PERIOD(YEAR), ever = (int)cap->period == PERIOD(EVER);
        if (cap->year_start[0] && (!year || !is_year_start(cap->year_start)))
                say(l, "range", "a day of the year, MM-DD, and only of a YEAR", "应为 YEAR 周期的起始月日 MM-DD", "/caps/%zu/yearStart", i);
        if (cap->on[0] && (ever || fact_type(l->d->fields, l->d->n_fields, cap->on) != TYPE(DATE)))
                say(l, "type", "must name a field that is a DATE, and only of a YEAR or MONTH", "应为 DATE 类型的填报项，仅用于 YEAR 或 MONTH", "/caps/%zu/on", i);
}

static void check_caps(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        for (size_t i = 0; i < d->n_caps; i++) {
                const Cap *cap = d->caps[i];
                bool taken = strcmp(cap->code, NOTHING_DUE) == 0 || strcmp(cap->code, TOO_MUCH) == 0;
                for (size_t k = 0; k < i; k++)
                        taken = taken || strcmp(d->caps[k]->code, cap->code) == 0;
                for (size_t k = 0; k < d->n_conditions; k++)
                        taken = taken || strcmp(d->conditions[k]->code, cap->code) == 0;
                if (taken)
                        say(l, "unique", "is taken by a condition, another cap or the service", "代码已被条件、其他上限或系统占用", "/caps/%zu/code", i);
                if (cap->most < 1)
                        say(l, "required", "must be at least 1", "至少为 1", "/caps/%zu/most", i);
                if (cap->household && d->for_organization)
                        say(l, "unknown", "a case about an organisation has no household", "以组织为对象的个案没有家庭", "/caps/%zu/household", i);
                check_cap_fact(l, i, cap);
                check_cap_period(l, i, cap);
        }
}

void document_check_caps(struct arena *arena, const ProgrammeDocument *document, const ProgrammeDocument *earlier, struct faults *faults)
{
        struct look l = {arena, document, faults};
        for (size_t i = 0; i < document->n_caps; i++)
                for (size_t k = 0; k < earlier->n_caps; k++) {
                        const Cap *now = document->caps[i], *then = earlier->caps[k];
                        if (strcmp(now->code, then->code) != 0)
                                continue;
                        if (now->measure != then->measure || strcmp(now->fact, then->fact) != 0 || now->period != then->period ||
                            strcmp(now->year_start, then->year_start) != 0 || now->household != then->household)
                                say(&l, "immutable", "a cap of this code measured something else in an earlier version: give it another code",
                                    "早前版本中同代码上限的计量方式不同，请更换代码", "/caps/%zu/code", i);
                }
}

static void want_fact(struct look *l, size_t i, const char *key, const char *fact, int type)
{
        if (fact_type(l->d->fields, l->d->n_fields, fact) != type)
                say(l, "type", type == TYPE(MONEY) ? "must name a field that is a MONEY" : "must name a fact that is an INTEGER",
                    type == TYPE(MONEY) ? "应为 MONEY 类型的填报项" : "应为 INTEGER 类型的填报项", "/terms/%zu/%s", i, key);
}

static void want_above_0(struct look *l, size_t i, const char *key, int64_t value)
{
        if (value < 1)
                say(l, "required", "must be at least 1", "至少为 1", "/terms/%zu/%s", i, key);
}

static void check_part(struct look *l, size_t i, const Term *t)
{
        switch ((int)t->part_case) {
        case PART(PER_UNIT):
                want_fact(l, i, "perUnit/fact", t->per_unit->fact, TYPE(INTEGER));
                want_above_0(l, i, "perUnit/amount", t->per_unit->amount);
                break;
        case PART(FIXED):
                want_above_0(l, i, "fixed/amount", t->fixed->amount);
                break;
        case PART(SHARE):
                want_fact(l, i, "share/fact", t->share->fact, TYPE(MONEY));
                want_above_0(l, i, "share/basisPoints", t->share->basis_points);
                break;
        case PART(INTEREST):
                want_fact(l, i, "interest/principal", t->interest->principal, TYPE(MONEY));
                want_fact(l, i, "interest/basisPoints", t->interest->basis_points, TYPE(INTEGER));
                want_fact(l, i, "interest/days", t->interest->days, TYPE(INTEGER));
                want_above_0(l, i, "interest/mostBasisPoints", t->interest->most_basis_points);
                break;
        default:
                say(l, "oneof", "one of perUnit, fixed, share and interest", "应为 perUnit、fixed、share、interest 之一", "/terms/%zu", i);
        }
}

static void check_terms(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        bool goods = d->unit[0] && strcmp(d->unit, "CNY") != 0;
        for (size_t i = 0; i < d->n_terms; i++) {
                const Term *t = d->terms[i];
                check_part(l, i, t);
                if (goods && (t->part_case == PART(SHARE) || t->part_case == PART(INTEREST)))
                        say(l, "type", "goods are not a share of money", "实物不能按金额比例计算", "/terms/%zu", i);
                if (t->when[0] && !fact_type(d->fields, d->n_fields, t->when))
                        say(l, "unknown", "there is no such fact", "没有该填报项", "/terms/%zu/when", i);
                else if (t->when[0] && !value_fits(d->fields, d->n_fields, t->when, t->is[0] ? t->is : "true"))
                        say(l, "type", "does not fit the fact's type", "与填报项类型不符", "/terms/%zu/is", i);
                else if (!t->when[0] && t->is[0])
                        say(l, "required", "says which value, but not of which fact", "指定了值，但未指定填报项", "/terms/%zu/when", i);
        }
        if (d->n_terms && !d->purpose[0])
                say(l, "required", "terms are paid from a purpose", "有公式须指定资金用途", "/purpose");
}

/* --- stages --------------------------------------------------------------------------------------------------- */

static bool goes_by_itself(const Stage *s)
{
        return (int)s->kind == KIND(NOTICE) || (int)s->kind == KIND(PAYMENT);
}

static void check_stage(struct look *l, size_t i)
{
        const Stage *s = l->d->stages[i];
        if (is_closing(s->code) || strcmp(s->code, "returned") == 0)
                say(l, "unique", "is the name of an end", "与结案状态重名", "/stages/%zu/code", i);
        if (stage_index(l->d, s->code) < i)
                say_twice(l, "/stages", i, "code");
        if (!s->n_actions)
                say(l, "required", "nothing can be done here", "该环节没有操作", "/stages/%zu/actions", i);
        if (goes_by_itself(s) && s->n_actions > 1)
                say(l, "maxItems", "a NOTICE or PAYMENT has one action, which it takes by itself", "公示和发放环节只有一个自动操作", "/stages/%zu/actions", i);
        if ((int)s->kind == KIND(NOTICE) && s->days < 1)
                say(l, "required", "a NOTICE lasts at least a day", "公示至少一天", "/stages/%zu/days", i);
        if (s->working_days && !s->days)
                say(l, "required", "how many working days?", "须填写工作日天数", "/stages/%zu/days", i);
        if ((int)s->kind != KIND(PAYMENT) && !s->level)
                say(l, "required", "says on whose worklist it is", "须指定办理层级", "/stages/%zu/level", i);
}

static void check_target(struct look *l, size_t i, size_t k, const Action *a)
{
        const Stage *to = document_stage(l->d, a->to);
        bool pays = action_has(a, EFFECT(PAY)), to_payment = to && (int)to->kind == KIND(PAYMENT);
        if (!to && !is_closing(a->to) && strcmp(a->to, "returned") != 0)
                say(l, "unknown", "there is no such stage, nor such an end", "没有该环节或结案状态", "/stages/%zu/actions/%zu/to", i, k);
        else if (pays && !to_payment)
                say(l, "unknown", "PAY leads to a PAYMENT stage, which waits for the bank", "PAY 须转入 PAYMENT 环节", "/stages/%zu/actions/%zu/to", i, k);
        else if (to_payment && !pays)
                say(l, "required", "nothing is put up for this PAYMENT: the effect PAY is missing", "转入 PAYMENT 环节须有 PAY", "/stages/%zu/actions/%zu/effects", i, k);
}

static void check_by(struct look *l, size_t i, size_t k, const Action *a)
{
        const Stage *s = l->d->stages[i];
        if (goes_by_itself(s) && (a->reason || a->n_fields || action_has(a, EFFECT(DECIDE)) || action_has(a, EFFECT(RATE))))
                say(l, "unknown", "is taken by nobody: it can neither ask nor decide", "自动操作不能填报、说明理由或审批", "/stages/%zu/actions/%zu", i, k);
        if (action_has(a, EFFECT(DECIDE)) && (int)a->by != BY(OFFICER))
                say(l, "in", "an OFFICER decides", "审批须由 OFFICER 办理", "/stages/%zu/actions/%zu/by", i, k);
        if (action_has(a, EFFECT(RATE)) && (int)a->by != BY(RECIPIENT))
                say(l, "in", "the RECIPIENT rates", "评价须由 RECIPIENT 办理", "/stages/%zu/actions/%zu/by", i, k);
        if ((int)a->by == BY(CONTACT) && !l->d->n_contacts)
                say(l, "in", "the programme has no contacts", "该项目没有联系人", "/stages/%zu/actions/%zu/by", i, k);
        if ((int)a->by == BY(RECIPIENT) && l->d->for_organization)
                say(l, "in", "a case about an organisation has no person", "以组织为对象的个案没有受益人", "/stages/%zu/actions/%zu/by", i, k);
}

static void check_actions(struct look *l, size_t i)
{
        static const char *const own[] = {"resubmit", "withdraw", "reopen"};
        const Stage *s = l->d->stages[i];
        for (size_t k = 0; k < s->n_actions; k++) {
                const Action *a = s->actions[k];
                bool taken = stage_action(s, a->code) != a;
                for (size_t o = 0; o < ARRAY_LEN(own); o++)
                        taken = taken || strcmp(own[o], a->code) == 0;
                if (taken)
                        say(l, "unique", "is taken by another action or the service", "代码已被其他操作或系统占用", "/stages/%zu/actions/%zu/code", i, k);
                check_target(l, i, k, a);
                check_by(l, i, k, a);
                for (size_t f = 0; f < a->n_fields; f++)
                        if (!find_field(l->d->fields, l->d->n_fields, a->fields[f]))
                                say(l, "unknown", "there is no such field", "没有该填报项", "/stages/%zu/actions/%zu/fields/%zu", i, k, f);
        }
}

/* --- ways ----------------------------------------------------------------------------------------------------- */

/* The stages to which a case can come; with undecided without any DECIDE on the way. A bit each, from the first on. */
static uint64_t reached(const ProgrammeDocument *d, bool undecided)
{
        uint64_t set = d->n_stages ? 1 : 0, before = 0;
        while (set != before) {
                before = set;
                for (size_t i = 0; i < d->n_stages; i++)
                        for (size_t k = 0; k < d->stages[i]->n_actions && set >> i & 1; k++) {
                                const Action *a = d->stages[i]->actions[k];
                                size_t to = stage_index(d, a->to);
                                if (to < d->n_stages && !(undecided && action_has(a, EFFECT(DECIDE))))
                                        set |= UINT64_C(1) << to;
                        }
        }
        return set;
}

/* Those from which a case can come to an end. */
static uint64_t ending(const ProgrammeDocument *d)
{
        uint64_t set = 0, before = 1;
        while (set != before) {
                before = set;
                for (size_t i = 0; i < d->n_stages; i++)
                        for (size_t k = 0; k < d->stages[i]->n_actions; k++) {
                                const char *to = d->stages[i]->actions[k]->to;
                                size_t next = strcmp(to, "returned") == 0 ? 0 : stage_index(d, to); /* resubmitted, it begins anew */
                                if (is_closing(to) || (next < d->n_stages && set >> next & 1))
                                        set |= UINT64_C(1) << i;
                        }
        }
        return set;
}

static bool takes(const ProgrammeDocument *d, int effect)
{
        for (size_t i = 0; i < d->n_stages; i++)
                for (size_t k = 0; k < d->stages[i]->n_actions; k++)
                        if (action_has(d->stages[i]->actions[k], effect))
                                return true;
        return false;
}

static void check_undecided(struct look *l, size_t i)
{
        for (size_t k = 0; k < l->d->stages[i]->n_actions; k++) {
                const Action *a = l->d->stages[i]->actions[k];
                bool spends = action_has(a, EFFECT(PAY)) || action_has(a, EFFECT(DELIVER));
                if (spends && !action_has(a, EFFECT(DECIDE)))
                        say(l, "required", "a case can come here undecided, with nothing to pay or deliver", "可能未经审批即到此环节，没有可发放的金额",
                            "/stages/%zu/actions/%zu/effects", i, k);
        }
}

static void check_ways(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        uint64_t all = reached(d, false), undecided = reached(d, true), ends = ending(d);
        if (!d->n_stages)
                say(l, "required", "a case needs a stage to begin at", "至少须有一个环节", "/stages");
        for (size_t i = 0; i < d->n_stages; i++) {
                if (!(all >> i & 1))
                        say(l, "unreachable", "no case can come here from the first stage", "从第一个环节无法到达", "/stages/%zu", i);
                else if (!(ends >> i & 1))
                        say(l, "unreachable", "from here no case comes to an end", "从该环节无法结案", "/stages/%zu", i);
                if (undecided >> i & 1)
                        check_undecided(l, i);
        }
}

static void check_money(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        bool pays = takes(d, EFFECT(PAY)), delivers = takes(d, EFFECT(DELIVER)), goods = d->unit[0] && strcmp(d->unit, "CNY") != 0;
        if (d->n_terms && !takes(d, EFFECT(DECIDE)))
                say(l, "required", "no action has DECIDE, so the terms are never applied", "没有审批操作（DECIDE），公式无从适用", "/terms");
        if (d->n_terms && !pays && !delivers)
                say(l, "required", "no action has PAY or DELIVER, so what is granted never arrives", "没有 PAY 或 DELIVER，无法发放", "/terms");
        if (!d->n_terms && (pays || delivers))
                say(l, "required", "there is nothing to pay or deliver without terms", "没有公式，没有可发放的金额", "/terms");
        if (goods && pays)
                say(l, "in", "goods are delivered, not paid", "实物和服务用 DELIVER，不用 PAY", "/unit");
}

/* --- contacts, documents, assessments ------------------------------------------------------------------------- */

static void check_care(struct look *l)
{
        const ProgrammeDocument *d = l->d;
        bool lasts = false;
        for (size_t i = 0; i < d->n_stages; i++)
                lasts = lasts || (int)d->stages[i]->kind == KIND(CARE);
        if (d->n_contacts && !lasts)
                say(l, "required", "contacts are of CARE stages, and there is none", "没有 CARE 环节，不需要联系人", "/contacts");
        if (d->visit_days && !lasts)
                say(l, "required", "visits fall due at CARE stages, and there is none", "没有 CARE 环节，不产生走访任务", "/visitDays");
        if (d->n_contacts && d->for_organization)
                say(l, "unknown", "a case about an organisation has no contacts", "以组织为对象的个案没有联系人", "/contacts");
        if (d->person_optional && d->for_organization)
                say(l, "unknown", "a case about an organisation has no person anyway", "以组织为对象的个案本无个人", "/personOptional");
        for (size_t i = 0; i < d->n_contacts; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(d->contacts[k]->role, d->contacts[i]->role) == 0)
                                say_twice(l, "/contacts", i, "role");
        for (size_t i = 0; i < d->n_documents; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(d->documents[k]->kind, d->documents[i]->kind) == 0)
                                say_twice(l, "/documents", i, "kind");
}

static void check_assessment(struct look *l, size_t i)
{
        const AssessmentForm *form = l->d->assessments[i];
        const char *fields = arena_printf(l->arena, "/assessments/%zu/fields", i);
        const char *monitors = arena_printf(l->arena, "/assessments/%zu/monitors", i);
        for (size_t k = 0; k < i; k++)
                if (strcmp(l->d->assessments[k]->code, form->code) == 0)
                        say_twice(l, "/assessments", i, "code");
        if (!form->n_fields)
                say(l, "required", "a form asks for something", "评估表须有填报项", "%s", fields);
        check_fields(l, fields, form->fields, form->n_fields);
        for (size_t m = 0; m < form->n_monitors; m++) {
                const Condition *c = form->monitors[m];
                for (size_t k = 0; k < m; k++)
                        if (strcmp(form->monitors[k]->code, c->code) == 0)
                                say_twice(l, monitors, m, "code");
                if (!find_field(form->fields, form->n_fields, c->fact))
                        say(l, "unknown", "must name a field of the form", "应为本评估表的填报项", "%s/%zu/fact", monitors, m);
                else
                        check_condition(l, monitors, m, c, form->fields, form->n_fields);
                if (c->on[0])
                        say(l, "unknown", "only policy.active is of a day", "仅 policy.active 可指定日期", "%s/%zu/on", monitors, m);
        }
}

void document_check(struct arena *arena, const ProgrammeDocument *document, struct faults *faults)
{
        struct look l = {arena, document, faults};
        check_fields(&l, "/fields", document->fields, document->n_fields);
        check_conditions(&l);
        check_caps(&l);
        check_terms(&l);
        for (size_t i = 0; i < document->n_stages; i++) {
                check_stage(&l, i);
                check_actions(&l, i);
        }
        check_ways(&l);
        check_money(&l);
        check_care(&l);
        for (size_t i = 0; i < document->n_assessments; i++)
                check_assessment(&l, i);
}
