/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks: opened, closed, gone up a level when they are overdue.
 */
#include "case.h"

#define ESCALATE_DAYS 3 /* a level higher each time that so many days more have passed */

int task_tell(struct rpc_call *call, const struct care_task *t)
{
        TaskChanged event = NUANXIN__CARE__V1__TASK_CHANGED__INIT;
        event.task = (char *)t->id;
        event.kind = (Task__Kind)t->kind;
        event.case_id = (char *)t->case_id;
        event.organization = (char *)t->organization;
        event.person = (char *)t->person;
        event.assignee = (char *)t->assignee;
        event.escalations = (int32_t)t->escalations;
        event.due_time = rpc_timestamp(call, t->due_us);
        event.done_time = rpc_timestamp(call, t->done_us);
        return rpc_emit(call, &care_v1_task_changed_msg, &event, t->id, t->organization);
}

static const char *code_of(struct rpc_call *call, struct str path)
{
        struct str code = path_code(path);
        return arena_strndup(rpc_arena(call), code.p, code.n);
}

int task_open(struct rpc_call *call, struct care_task *t)
{
        t->id = rpc_new_id(call);
        t->organization = code_of(call, str_of(t->place_path));
        t->created_us = rpc_now(call);
        t->escalations = t->done_us = 0;
        int r = task_insert(rpc_db(call), rpc_arena(call), t);
        if (r == 0 && t->due_us && t->kind != TASK_STAGE)
                r = rpc_due_add(call, DUE_TASK, t->id, t->due_us, (struct str){0});
        return r == 0 ? task_tell(call, t) : r;
}

int task_close(struct rpc_call *call, struct care_task *t)
{
        t->done_us = rpc_now(call);
        int r = task_finish(rpc_db(call), t);
        if (r == 0 && t->due_us && t->kind != TASK_STAGE)
                r = rpc_due_cancel(call, DUE_TASK, t->id);
        return r == 0 ? task_tell(call, t) : r;
}

int tasks_close(struct rpc_call *call, const char *case_id, int kind, const char *stage)
{
        struct care_task *tasks = ARENA_ARRAY(rpc_arena(call), struct care_task, CASE_TASKS_MAX);
        size_t n = 0;
        int r = tasks_of_case(rpc_db(call), rpc_arena(call), case_id, kind, stage, tasks, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = task_close(call, &tasks[i]);
        return r;
}

/* As many levels up as it went where it was. */
int task_take_to(struct rpc_call *call, struct care_task *t, const char *place_path)
{
        const char *before = t->organization;
        if (strcmp(place_path, t->place_path) == 0)
                return 0;
        t->organization = code_of(call, path_at_level(str_of(place_path), path_depth(str_of(place_path)) - (int)t->escalations));
        int r = task_move(rpc_db(call), rpc_arena(call), t, place_path);
        return r == 0 && strcmp(before, t->organization) != 0 ? task_tell(call, t) : r;
}

/* --- overdue --------------------------------------------------------------------------------------------------------- */

/* The organisation above the one whose it is; false: there is none. */
static bool path_above(const struct care_task *t, struct str *ret)
{
        struct str path = str_of(t->place_path);
        int level = path_depth(path) - (int)t->escalations - 1;
        *ret = path_at_level(path, level);
        return level >= 1;
}

/* Each step is due so many days after the one before, though this should come late. */
static int64_t escalation_us(const struct care_task *t)
{
        struct str above;
        return t->due_us && path_above(t, &above) ? t->due_us + t->escalations * ESCALATE_DAYS * CLOCK_DAY_US : 0;
}

int task_escalate(struct rpc_call *call, struct care_task *t, int64_t *ret_next_us)
{
        struct str above;
        int64_t at = escalation_us(t);
        int r = 0;
        if (at && rpc_now(call) >= at && path_above(t, &above)) {
                t->organization = code_of(call, above);
                t->escalations++;
                r = task_save(rpc_db(call), t);
                if (r == 0)
                        r = task_tell(call, t);
        }
        *ret_next_us = escalation_us(t);
        return r;
}

int due_task(struct rpc_call *call, const char *key, struct str payload)
{
        struct care_task t;
        int64_t next = 0;
        (void)payload;
        int r = task_load(rpc_db(call), rpc_arena(call), key, &t);
        if (r == CARE_E_ABSENT || (r == 0 && t.done_us))
                return 0;
        if (r == 0)
                r = task_escalate(call, &t, &next);
        if (next && next <= rpc_now(call))
                next = rpc_now(call) + 1; /* another row: this one goes when this is done */
        return r == 0 && next ? rpc_due_add(call, DUE_TASK, t.id, next, (struct str){0}) : r;
}
