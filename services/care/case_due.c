/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to cases by itself: notices end, tasks go up, what is reserved runs out, cases of who is gone end.
 */
#include "handle_case.h"

#include "payment.h"

#define RUN_OUT_AGAIN_DAYS 7  /* while the bank has the money */
#define END_AT_ONCE        20 /* cases of one person, in one transaction */

static int64_t earlier(int64_t a, int64_t b)
{
        return !a || (b && b < a) ? b : a;
}

int64_t scene_due_us(const struct scene *s)
{
        return s->c.closed_us ? 0 : earlier(s->c.due_us, s->c.reserved ? s->c.reserve_us : 0);
}

static int set_due(struct scene *s, int64_t at)
{
        if (!at)
                return s->due_before_us ? rpc_due_cancel(s->call, DUE_CASE, s->c.id) : 0;
        return at == s->due_before_us ? 0 : rpc_due_add(s->call, DUE_CASE, s->c.id, at, (struct str){0});
}

int scene_set_due(struct scene *s)
{
        int64_t at = scene_due_us(s);
        int r = set_due(s, at);
        s->due_before_us = at;
        return r;
}

/* --- a case's own ---------------------------------------------------------------------------------------------------- */

static bool is_noticed(const struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        return stage && stage->kind == STAGE_NOTICE;
}

static int run_out(struct scene *s)
{
        int64_t left, with_bank;
        int r = payments_left(s->call, s->c.id, &left, &with_bank);
        if (r == 0 && !with_bank)
                return scene_end(s, CASE_ENDED, "run-out", "");
        s->c.reserve_us = rpc_now(s->call) + RUN_OUT_AGAIN_DAYS * CLOCK_DAY_US;
        if (r == 0)
                r = scene_set_due(s);
        return r == 0 ? case_save(rpc_db(s->call), &s->c) : r;
}

static int overdue(struct scene *s)
{
        int64_t next = 0, reserve = s->c.reserved ? s->c.reserve_us : 0;
        struct care_task t;
        int r = s->c.task[0] ? task_load(rpc_db(s->call), rpc_arena(s->call), s->c.task, &t) : CARE_E_ABSENT;
        if (r == 0 && !t.done_us)
                r = task_escalate(s->call, &t, &next);
        if (r == CARE_E_ABSENT)
                r = 0;
        next = earlier(next, reserve);
        if (r != 0 || !next)
                return r;
        if (next <= rpc_now(s->call))
                next = rpc_now(s->call) + 1; /* another row: this one goes when this is done */
        return rpc_due_add(s->call, DUE_CASE, s->c.id, next, (struct str){0});
}

int due_case(struct rpc_call *call, const char *key, struct str payload)
{
        struct scene s;
        int64_t now = rpc_now(call);
        (void)payload;
        int r = scene_load(call, key, &s);
        if (r == CARE_E_ABSENT || (r == 0 && s.c.closed_us))
                return 0;
        s.itself = true;
        s.due_before_us = 0; /* the row that brought us here goes */
        if (r == 0 && s.c.reserved && s.c.reserve_us && s.c.reserve_us <= now)
                return run_out(&s);
        if (r == 0 && is_noticed(&s) && s.c.due_us && s.c.due_us <= now)
                return scene_go_on(&s);
        return r == 0 ? overdue(&s) : r;
}

/* --- who is gone ----------------------------------------------------------------------------------------------------- */

static bool is_being_paid(const struct scene *s)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        return stage && stage->kind == STAGE_PAYMENT;
}

/* Whom nobody can pay any more does not wait to be paid; what the bank has, it answers. */
static int end_gone(struct scene *s)
{
        int64_t left, with_bank = 0;
        int r = is_being_paid(s) && s->r.erased_us ? payments_left(s->call, s->c.id, &left, &with_bank) : 0;
        if (r != 0 || with_bank || (is_being_paid(s) && !s->r.erased_us))
                return r;
        return scene_end(s, CASE_ENDED, "gone", "");
}

int cases_end_of(struct rpc_call *call, const char *recipient)
{
        return rpc_due_add(call, DUE_GONE, recipient, rpc_now(call), (struct str){0});
}

int due_gone(struct rpc_call *call, const char *key, struct str payload)
{
        const char *after = arena_strndup(rpc_arena(call), payload.p, payload.n);
        struct recipient person;
        struct care_case c;
        int r = recipient_load(rpc_db(call), rpc_arena(call), key, &person);
        if (r == CARE_E_ABSENT || (r == 0 && person.state == RECIPIENT_ACTIVE))
                return 0; /* a mistake, and put right */
        for (int i = 0; r == 0 && i < END_AT_ONCE; i++) {
                struct scene s;
                r = case_next_open(rpc_db(call), rpc_arena(call), key, after, &c);
                if (r == 0)
                        r = scene_start(call, &c, &s);
                if (r != 0)
                        return r == CARE_E_ABSENT ? visits_end(call, key) : r;
                s.itself = true;
                after = c.id;
                r = end_gone(&s);
        }
        return r == 0 ? rpc_due_add(call, DUE_GONE, key, rpc_now(call) + 1, str_of(after)) : r;
}
