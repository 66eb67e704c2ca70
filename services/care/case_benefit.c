/* SPDX-License-Identifier: Apache-2.0
 *
 * What a case gives: decided by its programme's rules, reserved, put up for payment, given, or given back.
 */
#include "case.h"

#include "handle_programme.h"
#include "ledger.h"
#include "payment.h"
#include "store_policy.h"

#include <inttypes.h>

#define RESERVE_DAYS 60 /* unless the document says */

/* --- facts ----------------------------------------------------------------------------------------------------------- */

struct fact_list {
        Fact **items;
        size_t n;
};

static void add_fact(struct scene *s, struct fact_list *list, enum known_fact known, const char *value)
{
        Fact *fact = message_new(rpc_arena(s->call), &care_v1_fact_msg);
        fact->name = (char *)known_fact_names[known];
        fact->value = (char *)value;
        list->items[list->n++] = fact;
}

static const char *number_text(struct scene *s, int64_t number)
{
        return arena_printf(rpc_arena(s->call), "%" PRId64, number);
}

/* on: the fact with the day; "": today. Without that day it is not known, and fulfils nothing. */
static int add_policy(struct scene *s, const char *on, struct fact_list *list)
{
        const char *day = on[0] ? fact_value(list->items, list->n, on) : today(s->call);
        struct policy policy;
        if (!s->has_person || !day || !day[0])
                return 0;
        int r = policy_on(rpc_db(s->call), rpc_arena(s->call), s->c.recipient, day, &policy);
        if (r == 0 || r == CARE_E_ABSENT)
                add_fact(s, list, KNOWN_POLICY_ACTIVE, r == 0 ? "true" : "false");
        return r == CARE_E_ABSENT ? 0 : r;
}

static int add_known(struct scene *s, unsigned known, const char *on, struct fact_list *list)
{
        const struct particulars *p = &s->particulars;
        int64_t n = 0;
        int r = 0;
        if (s->has_person && known & (1U << KNOWN_PERSON_AGE | 1U << KNOWN_PERSON_SPECIAL)) {
                r = scene_unlock(s);
                if (r == 0 && known & 1U << KNOWN_PERSON_AGE)
                        add_fact(s, list, KNOWN_PERSON_AGE, number_text(s, particulars_age(p, today(s->call))));
                if (r == 0 && known & 1U << KNOWN_PERSON_SPECIAL)
                        add_fact(s, list, KNOWN_PERSON_SPECIAL, p->special ? "true" : "false");
        }
        if (r == 0 && s->has_person && known & 1U << KNOWN_PERSON_HOUSEHOLD) {
                r = household_count(rpc_db(s->call), s->r.household, &n);
                add_fact(s, list, KNOWN_PERSON_HOUSEHOLD, number_text(s, n));
        }
        if (r == 0 && known & 1U << KNOWN_CASE_TIMES) {
                r = case_count_granted(rpc_db(s->call), s->c.subject, s->c.programme, &n);
                add_fact(s, list, KNOWN_CASE_TIMES, number_text(s, n));
        }
        if (r == 0 && known & 1U << KNOWN_POLICY_ACTIVE)
                r = add_policy(s, on, list);
        return r;
}

static int gather_facts(struct scene *s, struct fact_list *ret)
{
        const char *on = "";
        int r = scene_content(s);
        if (r != 0)
                return r;
        ret->items = ARENA_ARRAY(rpc_arena(s->call), Fact *, s->content->n_facts + N_KNOWN_FACT);
        for (ret->n = 0; ret->n < s->content->n_facts; ret->n++)
                ret->items[ret->n] = s->content->facts[ret->n];
        unsigned known = known_facts_of(s->document, &on);
        return add_known(s, known, on ? on : "", ret);
}

/* --- caps ------------------------------------------------------------------------------------------------------------ */

/* Whose uses a cap counts; "": nobody's, of a case about nobody. */
static const char *holder_of(const struct scene *s, const char *cap)
{
        for (size_t i = 0; s->has_person && i < s->document->n_caps; i++)
                if (s->document->caps[i]->household && strcmp(s->document->caps[i]->code, cap) == 0)
                        return s->r.household;
        return s->c.subject;
}

static int load_uses(struct scene *s, CapUse **uses, size_t n)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = cap_used(rpc_db(s->call), s->c.programme, holder_of(s, uses[i]->cap), uses[i]->cap, uses[i]->period, &uses[i]->before);
        return r;
}

/* Adds what the outcome uses, and writes it down, so that it can be given back. */
static int count_uses(struct scene *s, const Outcome *outcome, const char **ret_text)
{
        const char *text = "";
        int r = 0;
        for (size_t i = 0; r == 0 && i < outcome->n_uses; i++) {
                const CapUse *u = outcome->uses[i];
                const char *holder = holder_of(s, u->cap);
                if (!u->used || !holder[0])
                        continue;
                r = cap_add(rpc_db(s->call), s->c.programme, holder, u->cap, u->period, u->used);
                text = arena_printf(rpc_arena(s->call), "%s%s %s %s %" PRId64 "\n", text, holder, u->cap, u->period, u->used);
        }
        *ret_text = text;
        return r;
}

static int uncount_uses(struct scene *s, const struct decision *d)
{
        struct arena *arena = rpc_arena(s->call);
        struct str rest = str_of(d->uses);
        int r = 0;
        while (r == 0 && rest.n) {
                struct str line = str_cut(&rest, '\n');
                struct str holder = str_cut(&line, ' '), cap = str_cut(&line, ' '), period = str_cut(&line, ' ');
                int64_t used;
                r = str_to_i64(line, 0, INT64_MAX, &used);
                if (r == 0)
                        r = cap_add(rpc_db(s->call), d->programme, arena_strndup(arena, holder.p, holder.n),
                                    arena_strndup(arena, cap.p, cap.n), arena_strndup(arena, period.p, period.n), -used);
        }
        return r;
}

/* --- deciding -------------------------------------------------------------------------------------------------------- */

static const char *unit_of(const ProgrammeDocument *document)
{
        return document->unit[0] ? document->unit : "CNY";
}

static int payer_of(const struct scene *s, struct str *ret_path, const char **ret_code)
{
        int level = s->document->payer ? (int)s->document->payer : NUANXIN__CARE__V1__LEVEL__COUNTY;
        *ret_path = path_at_level(str_of(s->c.path), level);
        struct str code = path_code(*ret_path);
        *ret_code = arena_strndup(rpc_arena(s->call), code.p, code.n);
        return 0;
}

static int reserve(struct scene *s, struct decision *d)
{
        struct arena *arena = rpc_arena(s->call);
        struct ledger_row *rows;
        struct str path;
        const char *code;
        size_t n = 0;
        d->pending = "";
        if (d->amount <= 0)
                return 0;
        int r = payer_of(s, &path, &code);
        const struct ledger_need need = {
                .organization = code,
                .path = arena_strndup(arena, path.p, path.n),
                .purpose = s->document->purpose,
                .programme = s->c.programme,
                .unit = unit_of(s->document),
                .case_id = s->c.id,
                .actor = s->actor,
                .amount = d->amount,
        };
        if (r == 0)
                r = ledger_reserve(s->call, &need, &rows, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                d->pending = arena_printf(arena, "%s%s\n", d->pending, rows[i].id);
        int days = s->document->reserve_days ? s->document->reserve_days : RESERVE_DAYS;
        d->state = DECISION_RESERVED;
        s->c.reserved += d->amount;
        s->c.reserve_us = rpc_now(s->call) + days * CLOCK_DAY_US;
        return r;
}

static int tell_decided(struct scene *s, const struct decision *d)
{
        BenefitDecided event = NUANXIN__CARE__V1__BENEFIT_DECIDED__INIT;
        event.case_id = (char *)s->c.id;
        event.programme = (char *)s->c.programme;
        event.version = s->c.version;
        event.organization = (char *)s->c.organization;
        event.person = (char *)s->person;
        event.decision = (char *)d->id;
        event.amount = d->amount;
        event.unit = (char *)s->c.unit;
        return rpc_emit(s->call, &care_v1_benefit_decided_msg, &event, s->c.id, s->c.organization);
}

static int keep(struct scene *s, const struct fact_list *facts, Outcome *outcome, struct decision *d)
{
        Decision sealed = NUANXIN__CARE__V1__DECISION__INIT;
        sealed.programme = (char *)d->programme;
        sealed.version = d->version;
        sealed.time = rpc_timestamp(s->call, d->time_us);
        sealed.facts = facts->items;
        sealed.n_facts = facts->n;
        sealed.outcome = outcome;
        int r = scene_seal(s, "care_decision", "sealed", d->id, message_pack(rpc_arena(s->call), &sealed), &d->sealed);
        if (r == 0)
                r = decision_insert(rpc_db(s->call), d);
        return r == 0 ? tell_decided(s, d) : r;
}

int benefit_decide(struct scene *s, int level, bool pays)
{
        struct arena *arena = rpc_arena(s->call);
        day_t day = day_at(rpc_now(s->call));
        struct evaluation evaluation;
        struct fact_list facts;
        size_t n_uses;
        int r = gather_facts(s, &facts);
        if (r != 0)
                return r;
        CapUse **uses = uses_due(arena, s->document, facts.items, facts.n, day, &n_uses);
        r = load_uses(s, uses, n_uses);
        if (r != 0)
                return r;
        evaluate(arena, s->document, facts.items, facts.n, uses, n_uses, day, &evaluation);
        if (evaluation.n_failures)
                return refuse_evaluation(s->call, s->c.programme, s->c.version, &evaluation);
        struct decision *d = ARENA_NEW(arena, struct decision);
        *d = (struct decision){
                .id = rpc_new_id(s->call),
                .case_id = s->c.id,
                .programme = s->c.programme,
                .version = s->c.version,
                .recipient = s->c.recipient,
                .actor = s->actor,
                .amount = evaluation.outcome->amount,
                .day = day,
                .time_us = rpc_now(s->call),
        };
        r = reserve(s, d);
        if (r == 0)
                r = count_uses(s, evaluation.outcome, &d->uses);
        if (pays && d->state == DECISION_RESERVED)
                d->state = DECISION_PUT_UP;
        s->fresh = d;
        s->c.granted += d->amount;
        s->c.decided_level = level;
        return r == 0 ? keep(s, &facts, evaluation.outcome, d) : r;
}

/* --- what was decided ------------------------------------------------------------------------------------------------ */

/* Those of the case that are reserved and in this state. */
static int load_reserved(struct scene *s, int state, struct decision **ret, size_t *ret_n)
{
        struct decision *all = ARENA_ARRAY(rpc_arena(s->call), struct decision, DECISIONS_MAX);
        size_t n = 0, kept = 0;
        int r = s->c.reserved ? decisions_of_case(rpc_db(s->call), rpc_arena(s->call), s->c.id, all, &n) : 0;
        for (size_t i = 0; i < n; i++)
                if (all[i].state == state)
                        all[kept++] = all[i];
        *ret = all;
        *ret_n = kept;
        return r;
}

#define PENDING_MOST 64 /* accounts that one decision takes of */

static size_t pending_of(struct scene *s, const struct decision *d, const char *out[PENDING_MOST])
{
        struct str rest = str_of(d->pending);
        size_t n = 0;
        while (rest.n && n < PENDING_MOST) {
                struct str id = str_cut(&rest, '\n');
                if (id.n)
                        out[n++] = arena_strndup(rpc_arena(s->call), id.p, id.n);
        }
        return n;
}

/* It is reserved no more. */
static int leave_reserve(struct scene *s, const struct decision *d, int to)
{
        s->c.reserved -= d->amount;
        if (!s->c.reserved)
                s->c.reserve_us = 0;
        return decision_move(rpc_db(s->call), d->id, d->state, to);
}

static const char *actor_of(const struct scene *s)
{
        return s->itself ? "" : s->actor;
}

/* --- paying ---------------------------------------------------------------------------------------------------------- */

/* Who decided at any of its stages: none of them makes the batch. */
#define APPROVERS_MOST 40
static size_t approvers(struct scene *s, const char *out[APPROVERS_MOST])
{
        struct str rest = str_of(s->c.deciders);
        size_t n = 0;
        while (rest.n && n < APPROVERS_MOST) {
                struct str line = str_cut(&rest, '\n');
                (void)str_cut(&line, ' ');
                out[n++] = arena_strndup(rpc_arena(s->call), line.p, line.n);
        }
        return n;
}

static int put_up(struct scene *s, const struct decision *d, const char *const *who, size_t n_who)
{
        const char *pending[PENDING_MOST], *code, *id;
        size_t n = pending_of(s, d, pending);
        struct str path;
        payer_of(s, &path, &code);
        const struct payment_terms terms = {
                .case_id = s->c.id,
                .decision = d->id,
                .programme = s->c.programme,
                .recipient = s->c.recipient,
                .payee = s->has_person ? "" : s->c.organization,
                .organization = code,
                .path = arena_strndup(rpc_arena(s->call), path.p, path.n),
                .amount = d->amount,
                .pending = pending,
                .n_pending = n,
                .approvers = who,
                .n_approvers = n_who,
        };
        int r = d->state == DECISION_RESERVED ? decision_move(rpc_db(s->call), d->id, d->state, DECISION_PUT_UP) : 0;
        return r == 0 ? payment_put_up(s->call, &terms, &id) : r;
}

int benefit_put_up(struct scene *s)
{
        const char *who[APPROVERS_MOST];
        struct decision *reserved;
        size_t n, n_who = approvers(s, who);
        if (s->c.reserved && s->has_person && !s->r.bank_account_masked[0])
                return rpc_refuse(s->call, PROBLEM(BANK_ACCOUNT_MISSING));
        bool fresh = s->fresh && s->fresh->state == DECISION_PUT_UP;
        int r = fresh ? put_up(s, s->fresh, who, n_who) : 0;
        if (r != 0 || (fresh && s->c.reserved == s->fresh->amount))
                return r;
        r = load_reserved(s, DECISION_RESERVED, &reserved, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = put_up(s, &reserved[i], who, n_who);
        return r;
}

static int tell_paid(struct scene *s, int64_t amount)
{
        BenefitPaid event = NUANXIN__CARE__V1__BENEFIT_PAID__INIT;
        event.case_id = (char *)s->c.id;
        event.programme = (char *)s->c.programme;
        event.organization = (char *)s->c.organization;
        event.person = (char *)s->person;
        event.amount = amount;
        event.unit = (char *)s->c.unit;
        return rpc_emit(s->call, &care_v1_benefit_paid_msg, &event, s->c.id, s->c.organization);
}

/* Without a bank: goods, services, what is handed over. */
static int deliver(struct scene *s, const struct decision *d)
{
        const char *pending[PENDING_MOST];
        size_t n = pending_of(s, d, pending);
        int r = leave_reserve(s, d, DECISION_GIVEN);
        s->c.paid += d->amount;
        if (r == 0)
                r = ledger_settle(s->call, LEDGER_POST, pending, n, actor_of(s), "");
        if (r == 0)
                r = benefit_disclose(s->call, s->c.programme, s->c.recipient, s->has_person ? "" : s->c.organization, pending, n);
        return r == 0 ? tell_paid(s, d->amount) : r;
}

int benefit_deliver(struct scene *s)
{
        struct decision *reserved;
        size_t n;
        int r = load_reserved(s, DECISION_RESERVED, &reserved, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = deliver(s, &reserved[i]);
        return r;
}

/* --- giving back ----------------------------------------------------------------------------------------------------- */

static int take_back(struct scene *s, const struct decision *d)
{
        int r = leave_reserve(s, d, DECISION_RETURNED);
        s->c.granted -= d->amount;
        return r == 0 ? uncount_uses(s, d) : r;
}

static int release(struct scene *s, const struct decision *d)
{
        const char *pending[PENDING_MOST];
        size_t n = pending_of(s, d, pending);
        int r = take_back(s, d);
        return r == 0 ? ledger_settle(s->call, LEDGER_VOID, pending, n, actor_of(s), "") : r;
}

/* What is put up goes back with its payment; what the bank may have stays. */
static int withdraw_payments(struct scene *s)
{
        struct decision *up;
        int64_t left, with_bank;
        size_t n;
        int r = load_reserved(s, DECISION_PUT_UP, &up, &n);
        if (r != 0 || !n)
                return r;
        r = payments_left(s->call, s->c.id, &left, &with_bank);
        if (r != 0 || with_bank)
                return r;
        r = payments_withdraw(s->call, s->c.id, actor_of(s), "");
        for (size_t i = 0; r == 0 && i < n; i++)
                r = take_back(s, &up[i]);
        return r;
}

int benefit_release(struct scene *s)
{
        struct decision *reserved;
        size_t n;
        int r = load_reserved(s, DECISION_RESERVED, &reserved, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = release(s, &reserved[i]);
        return r == 0 ? withdraw_payments(s) : r;
}

/* --- for payments ---------------------------------------------------------------------------------------------------- */

static int load_for_payment(struct rpc_call *call, const char *decision, const char *actor, struct decision *d, struct scene *s)
{
        int r = decision_load(rpc_db(call), rpc_arena(call), decision, d);
        if (r == 0)
                r = scene_load(call, d->case_id, s);
        if (r == 0)
                s->actor = actor;
        return r == CARE_E_ABSENT ? -EUCLEAN : r;
}

static bool waits_for_payment(const struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        return stage && stage->kind == STAGE_PAYMENT && s->c.reserved == 0;
}

static int save(struct scene *s)
{
        int r = scene_set_due(s);
        return r == 0 ? case_save(rpc_db(s->call), &s->c) : r;
}

/* Whoever died or left while it was with the bank gets that, and nothing after it. */
static int go_on(struct scene *s)
{
        int r = scene_go_on(s);
        bool gone = s->has_person && s->r.state != RECIPIENT_ACTIVE && s->c.state == CASE_OPEN;
        return r == 0 && gone ? scene_end(s, CASE_ENDED, "gone", "") : r;
}

int benefit_paid(struct rpc_call *call, const char *decision, const char *actor)
{
        struct decision d;
        struct scene s;
        int r = load_for_payment(call, decision, actor, &d, &s);
        if (r == 0)
                r = leave_reserve(&s, &d, DECISION_GIVEN);
        s.c.paid += d.amount;
        if (r == 0)
                r = waits_for_payment(&s) ? go_on(&s) : save(&s);
        return r;
}

int benefit_given_up(struct rpc_call *call, const char *decision, const char *actor)
{
        struct decision d;
        struct scene s;
        int r = load_for_payment(call, decision, actor, &d, &s);
        if (r == 0)
                r = take_back(&s, &d);
        if (r != 0)
                return r;
        if (!waits_for_payment(&s))
                return save(&s);
        return s.c.paid ? go_on(&s) : scene_end(&s, CASE_ENDED, "given-up", "");
}

/* --- again ----------------------------------------------------------------------------------------------------------- */

int decision_open(struct scene *s, const struct decision *d, Decision **ret)
{
        struct str plain;
        int r = scene_open(s, "care_decision", "sealed", d->id, d->sealed, &plain);
        if (r == 0)
                r = message_unpack(rpc_arena(s->call), &care_v1_decision_msg, plain.p, plain.n, (ProtobufCMessage **)ret);
        return r;
}

/* What the row says is used of caps is what was decided: as many lines, each of the outcome's. Of a case about nobody there are none. */
static bool uses_fit(struct arena *arena, const struct decision *d, const Outcome *outcome)
{
        size_t lines = 0, wanted = 0;
        for (const char *p = d->uses; (p = strchr(p, '\n')); p++)
                lines++;
        for (size_t i = 0; i < outcome->n_uses; i++) {
                const CapUse *u = outcome->uses[i];
                if (!u->used)
                        continue;
                wanted++;
                if (lines && !strstr(d->uses, arena_printf(arena, " %s %s %" PRId64 "\n", u->cap, u->period, u->used)))
                        return false;
        }
        return lines == wanted || (!lines && !d->recipient[0]);
}

static int evaluate_again(struct scene *s, const struct decision *d, const Decision *kept, bool *ret_same)
{
        const Outcome *was = kept->outcome;
        struct evaluation evaluation;
        int64_t version;
        int r = find_programme(s->call, d->programme, d->version, &s->document, &version);
        if (r != 0)
                return r;
        evaluate(rpc_arena(s->call), s->document, kept->facts, kept->n_facts, was->uses, was->n_uses, d->day, &evaluation);
        *ret_same = outcome_equal(was, evaluation.outcome) && evaluation.outcome->amount == d->amount;
        return 0;
}

/* The row says of itself what was sealed with it. */
static bool row_fits(struct rpc_call *call, const struct decision *d, const Decision *kept)
{
        return kept->outcome && strcmp(kept->programme, d->programme) == 0 && kept->version == d->version &&
               rpc_timestamp_us(kept->time) == d->time_us && d->day == day_at(d->time_us) && uses_fit(rpc_arena(call), d, kept->outcome);
}

int decision_replay(struct rpc_call *call, const struct decision *d, bool *ret_same)
{
        struct scene s = {.call = call, .c = {.recipient = d->recipient}, .has_person = d->recipient[0], .person = "", .actor = ""};
        Decision *kept;
        *ret_same = false;
        int r = decision_open(&s, d, &kept);
        if (r == -EKEYREJECTED || r == -EBADMSG)
                return 0; /* not what was sealed there */
        return r == 0 && row_fits(call, d, kept) ? evaluate_again(&s, d, kept, ret_same) : r;
}
