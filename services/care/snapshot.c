/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service tells those who follow it late, or after it was restored: its present state as the events that could have led
 * to it. Programmes in force; of a case first that it was opened, then where it stands; what was decided and what became of that;
 * contacts, tasks, visits that took place, the ledger's rows; and who was erased, last, so that whoever kept something of them
 * loses it. Of who was erased nothing else is told.
 */
#include "snapshot.h"

#include "handle.h"
#include "store_snapshot.h"

/* The key behind all that is told of something is its id; behind the first event of several, the same with this at the end. */
#define FIRST_ONLY '+'

struct from {
        const char *id;
        bool first, all; /* whether these of it have been told */
};

static struct from from_key(struct rpc_call *call, const char *key)
{
        size_t n = strlen(key);
        bool half = n && key[n - 1] == FIRST_ONLY;
        return (struct from){.id = arena_strndup(rpc_arena(call), key, n - half), .first = n, .all = n && !half};
}

static struct from of_one(const struct from *from, const char *id)
{
        return strcmp(from->id, id) == 0 ? *from : (struct from){0};
}

static const char *first_key(struct rpc_call *call, const char *id)
{
        return arena_printf(rpc_arena(call), "%s%c", id, FIRST_ONLY);
}

/* --- programmes, who was erased --------------------------------------------------------------------------------------- */

static int page_programmes(struct rpc_call *call, const char *key, unsigned limit)
{
        struct told_programme p;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_programmes_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                ProgrammeActivated event = NUANXIN__CARE__V1__PROGRAMME_ACTIVATED__INIT;
                told_programme_read(rows, rpc_arena(call), &p);
                event.programme = (char *)p.id;
                event.version = (int32_t)p.version;
                event.organization = (char *)p.organization;
                r = rpc_snapshot_add(call, &care_v1_programme_activated_msg, &event, p.id, p.organization, p.id);
        }
        return r;
}

static int page_erased(struct rpc_call *call, const char *key, unsigned limit)
{
        struct told_recipient p;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_erased_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                RecipientErased event = NUANXIN__CARE__V1__RECIPIENT_ERASED__INIT;
                told_recipient_read(rows, rpc_arena(call), &p);
                event.recipient = (char *)p.id;
                event.organization = (char *)p.organization;
                r = rpc_snapshot_add(call, &care_v1_recipient_erased_msg, &event, p.id, p.organization, p.id);
        }
        return r;
}

/* --- cases ------------------------------------------------------------------------------------------------------------ */

static int tell_opened(struct rpc_call *call, const struct told_case *c)
{
        CaseOpened event = NUANXIN__CARE__V1__CASE_OPENED__INIT;
        event.case_id = (char *)c->id;
        event.programme = (char *)c->programme;
        event.version = (int32_t)c->version;
        event.organization = (char *)c->organization;
        event.person = (char *)c->person;
        return rpc_snapshot_add(call, &care_v1_case_opened_msg, &event, c->id, c->organization, first_key(call, c->id));
}

static int tell_moved(struct rpc_call *call, const struct told_case *c)
{
        CaseMoved event = NUANXIN__CARE__V1__CASE_MOVED__INIT;
        event.case_id = (char *)c->id;
        event.programme = (char *)c->programme;
        event.organization = (char *)c->organization;
        event.person = (char *)c->person;
        event.state = (Case__State)c->state;
        event.stage = (char *)c->stage;
        event.action = (char *)c->action;
        return rpc_snapshot_add(call, &care_v1_case_moved_msg, &event, c->id, c->organization, c->id);
}

static int page_cases(struct rpc_call *call, const char *key, unsigned limit)
{
        const struct from from = from_key(call, key);
        struct told_case c;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_cases_query(rpc_db(call), from.id, (int64_t)limit + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                told_case_read(rows, rpc_arena(call), &c);
                const struct from told = of_one(&from, c.id);
                r = told.first ? 0 : tell_opened(call, &c);
                if (r == 0 && !told.all)
                        r = tell_moved(call, &c);
        }
        return r;
}

static int tell_decided(struct rpc_call *call, const struct told_decision *d, const char *key)
{
        BenefitDecided event = NUANXIN__CARE__V1__BENEFIT_DECIDED__INIT;
        event.case_id = (char *)d->case_id;
        event.programme = (char *)d->programme;
        event.version = (int32_t)d->version;
        event.organization = (char *)d->organization;
        event.person = (char *)d->person;
        event.decision = (char *)d->id;
        event.amount = d->amount;
        event.unit = (char *)d->unit;
        return rpc_snapshot_add(call, &care_v1_benefit_decided_msg, &event, d->case_id, d->organization, key);
}

static int tell_given(struct rpc_call *call, const struct told_decision *d)
{
        BenefitPaid event = NUANXIN__CARE__V1__BENEFIT_PAID__INIT;
        event.case_id = (char *)d->case_id;
        event.programme = (char *)d->programme;
        event.organization = (char *)d->organization;
        event.person = (char *)d->person;
        event.amount = d->amount;
        event.unit = (char *)d->unit;
        return rpc_snapshot_add(call, &care_v1_benefit_paid_msg, &event, d->case_id, d->organization, d->id);
}

static int tell_returned(struct rpc_call *call, const struct told_decision *d)
{
        PaymentReturned event = NUANXIN__CARE__V1__PAYMENT_RETURNED__INIT;
        event.case_id = (char *)d->case_id;
        event.organization = (char *)d->organization;
        event.person = (char *)d->person;
        return rpc_snapshot_add(call, &care_v1_payment_returned_msg, &event, d->case_id, d->organization, d->id);
}

static int page_decisions(struct rpc_call *call, const char *key, unsigned limit)
{
        const struct from from = from_key(call, key);
        struct told_decision d;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_decisions_query(rpc_db(call), from.id, (int64_t)limit + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                told_decision_read(rows, rpc_arena(call), &d);
                const struct from told = of_one(&from, d.id);
                bool more = d.given || d.returned;
                r = told.first ? 0 : tell_decided(call, &d, more ? first_key(call, d.id) : d.id);
                if (r == 0 && more && !told.all)
                        r = d.given ? tell_given(call, &d) : tell_returned(call, &d);
        }
        return r;
}

static int page_contacts(struct rpc_call *call, const char *key, unsigned limit)
{
        struct arena *arena = rpc_arena(call);
        struct str role = str_of(key), case_id = str_cut(&role, '\n');
        struct told_contact c;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_contacts_query(rpc_db(call), arena_strndup(arena, case_id.p, case_id.n), arena_strndup(arena, role.p, role.n), limit,
                                    &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                ContactChanged event = NUANXIN__CARE__V1__CONTACT_CHANGED__INIT;
                told_contact_read(rows, arena, &c);
                event.case_id = (char *)c.case_id;
                event.role = (char *)c.role;
                event.organization = (char *)c.organization;
                event.person = (char *)c.person;
                event.account = (char *)c.account;
                r = rpc_snapshot_add(call, &care_v1_contact_changed_msg, &event, c.case_id, c.organization,
                                     arena_printf(arena, "%s\n%s", c.case_id, c.role));
        }
        return r;
}

/* --- work ------------------------------------------------------------------------------------------------------------- */

static int page_tasks(struct rpc_call *call, const char *key, unsigned limit)
{
        struct told_task t;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_tasks_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                TaskChanged event = NUANXIN__CARE__V1__TASK_CHANGED__INIT;
                told_task_read(rows, rpc_arena(call), &t);
                event.task = (char *)t.id;
                event.kind = (Task__Kind)t.kind;
                event.case_id = (char *)t.case_id;
                event.organization = (char *)t.organization;
                event.person = (char *)t.person;
                event.assignee = (char *)t.assignee;
                event.escalations = (int32_t)t.escalations;
                event.due_time = rpc_timestamp(call, t.due_us);
                event.done_time = rpc_timestamp(call, t.done_us);
                r = rpc_snapshot_add(call, &care_v1_task_changed_msg, &event, t.id, t.organization, t.id);
        }
        return r;
}

static int page_visits(struct rpc_call *call, const char *key, unsigned limit)
{
        struct told_visit v;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_visits_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                VisitRecorded event = NUANXIN__CARE__V1__VISIT_RECORDED__INIT;
                told_visit_read(rows, rpc_arena(call), &v);
                event.visit = (char *)v.id;
                event.case_id = (char *)v.case_id;
                event.organization = (char *)v.organization;
                event.person = (char *)v.person;
                event.way = (Visit__Way)v.way;
                event.outcome = (Visit__Outcome)v.outcome;
                event.occurred_time = rpc_timestamp(call, v.at_us);
                r = rpc_snapshot_add(call, &care_v1_visit_recorded_msg, &event, v.id, v.organization, v.id);
        }
        return r;
}

/* --- the ledger ------------------------------------------------------------------------------------------------------- */

/* Without leaves: those are for the chain, which begins at the rows themselves. */
static int page_transfers(struct rpc_call *call, const char *key, unsigned limit)
{
        struct told_transfer t;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = told_transfers_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                TransferRecorded event = NUANXIN__CARE__V1__TRANSFER_RECORDED__INIT;
                told_transfer_read(rows, rpc_arena(call), &t);
                event.transfer = (char *)t.id;
                event.organization = (char *)t.organization;
                event.fund = (char *)t.fund;
                event.purpose = (char *)t.purpose;
                event.kind = (int32_t)t.kind;
                event.debit = (char *)t.debit;
                event.credit = (char *)t.credit;
                event.amount = t.amount;
                event.of = (char *)t.of;
                r = rpc_snapshot_add(call, &care_v1_transfer_recorded_msg, &event, t.id, t.organization, t.id);
        }
        return r;
}

const struct rpc_snapshot care_snapshots[] = {
        {.topic = "programme", .page = page_programmes},
        {.topic = "case", .page = page_cases},
        {.topic = "decision", .page = page_decisions},
        {.topic = "contact", .page = page_contacts},
        {.topic = "task", .page = page_tasks},
        {.topic = "visit", .page = page_visits},
        {.topic = "ledger", .page = page_transfers},
        {.topic = "recipient", .page = page_erased},
        {0},
};
