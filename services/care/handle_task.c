/* SPDX-License-Identifier: Apache-2.0
 *
 * Worklists, and whose a task is; cases handed from one organisation to another, and opened to an account for some time.
 */
#include "handle_case.h"

#include <inttypes.h>

/* --- worklists ------------------------------------------------------------------------------------------------------- */

static void fill_task(struct rpc_call *call, const struct care_task *t, Task *out)
{
        out->id = (char *)t->id;
        out->kind = (Task__Kind)t->kind;
        out->case_id = (char *)t->case_id;
        out->programme = (char *)t->programme;
        out->stage = (char *)t->stage;
        out->organization = (char *)t->organization;
        out->assignee = (char *)t->assignee;
        out->escalations = (int32_t)t->escalations;
        out->create_time = rpc_timestamp(call, t->created_us);
        out->due_time = rpc_timestamp(call, t->due_us);
        out->done_time = rpc_timestamp(call, t->done_us);
}

int handle_list_tasks(struct rpc_call *call, const ListTasksRequest *request, ListTasksResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s %d", request->organization, request->overdue)), key;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t size = rpc_page_size(request->page_size), after = INT64_MIN;
        struct care_task t = {.id = ""};
        int r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0 && key.n)
                r = str_to_i64(str_cut(&key, ' '), INT64_MIN, INT64_MAX, &after);
        if (r == 0)
                r = tasks_query(rpc_db(call), request->organization, after, arena_strndup(arena, key.p, key.n),
                                request->overdue ? rpc_now(call) : INT64_MAX, size + 1, &rows);
        if (r != 0)
                return r;
        response->tasks = ARENA_ARRAY(arena, Task *, (size_t)size);
        while ((r = store_next(rows)) == 1) {
                if ((int64_t)response->n_tasks == size) {
                        response->next_page_token =
                                rpc_page_token(call, filter, str_of(arena_printf(arena, "%" PRId64 " %s", task_order(&t), t.id)));
                        return 0;
                }
                task_read_place(rows, arena, &t);
                Task *one = message_new(arena, &care_v1_task_msg);
                fill_task(call, &t, one);
                response->tasks[response->n_tasks++] = one;
        }
        return r;
}

static int find_task(struct rpc_call *call, const char *id, struct care_task *ret)
{
        int r = task_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(ret->place_path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        if (r == 0 && ret->done_us)
                return rpc_refuse(call, PROBLEM(TASK_DONE));
        return r;
}

int handle_assign_task(struct rpc_call *call, const AssignTaskRequest *request, Task *response)
{
        struct care_task t;
        bool may = false;
        int r = find_task(call, request->task, &t);
        if (r == 0 && request->account[0])
                r = account_may(call, request->account, "task.write", str_of(t.place_path), &may);
        if (r == 0 && request->account[0] && !may)
                return rpc_invalid(call, "/account", "unknown", "is no account that may do it there", "该账号在此组织没有办理任务的权限");
        if (r == 0) {
                t.assignee = request->account;
                r = task_save(rpc_db(call), &t);
        }
        if (r == 0)
                r = task_tell(call, &t);
        if (r == 0)
                fill_task(call, &t, response);
        return r;
}

static int seal_note(struct rpc_call *call, struct care_task *t, const char *note)
{
        struct scene s;
        if (!note[0])
                return 0;
        int r = scene_load(call, t->case_id, &s);
        if (r == 0)
                r = scene_seal(&s, "care_task", "note", t->id, str_of(note), &t->note);
        return r == CARE_E_ABSENT ? 0 : r; /* of an erased person nothing is noted */
}

int handle_complete_task(struct rpc_call *call, const CompleteTaskRequest *request, Task *response)
{
        struct care_task t;
        int r = find_task(call, request->task, &t);
        if (r == 0 && t.kind != TASK_MONITOR)
                return rpc_refuse(call, PROBLEM(TASK_NOT_BY_HAND));
        if (r == 0)
                r = seal_note(call, &t, request->note);
        if (r == 0)
                r = task_close(call, &t);
        if (r == 0)
                fill_task(call, &t, response);
        return r;
}

/* --- handing over ---------------------------------------------------------------------------------------------------- */

static int note_step(struct scene *s, const char *action, const char *reason)
{
        struct step step = {.n = ++s->c.steps, .stage = s->c.stage, .action = action, .actor = s->actor, .time_us = rpc_now(s->call)};
        int r = reason[0] ? scene_seal(s, "care_step", "reason", step_row(s, step.n), str_of(reason), &step.reason) : 0;
        if (r == 0 || r == CARE_E_ABSENT)
                r = step_insert(rpc_db(s->call), s->c.id, &step);
        return r == 0 ? case_save(rpc_db(s->call), &s->c) : r;
}

int handle_transfer_case(struct rpc_call *call, const TransferCaseRequest *request, Case *response)
{
        struct organization o, of;
        struct scene s;
        int r = find_kept_scene(call, request->case_id, &s);
        if (r == 0 && s.c.closed_us)
                return rpc_refuse(call, PROBLEM(CASE_CLOSED));
        if (r == 0)
                r = find_valid_organization(call, request->organization, &o);
        if (r == 0)
                r = find_organization(call, s.document->organization, &of);
        if (r == 0 && (!str_starts(str_of(o.path), str_of(of.path)) || strcmp(o.code, s.c.organization) == 0))
                return rpc_invalid(call, "/organization", "in", "is not another organisation within the programme's", "须为项目范围内的其他组织");
        if (r == 0)
                r = tasks_close(call, s.c.id, TASK_TRANSFER, NULL); /* who was asked before */
        if (r != 0)
                return r;
        struct care_task task = {
                .kind = TASK_TRANSFER, .case_id = s.c.id, .programme = s.c.programme, .stage = s.c.stage, .place_path = o.path,
                .person = s.person, .assignee = "", .due_us = rpc_now(call) + TRANSFER_DAYS * CLOCK_DAY_US,
        };
        s.c.transfer_to = o.code;
        r = task_open(call, &task);
        if (r == 0)
                r = note_step(&s, "transfer", request->reason);
        return r == 0 ? case_fill(&s, response) : r;
}

/* What somebody else is to do in it: whoever is asked there now. The stage's own, and visits, are opened anew. */
static int take_tasks(struct scene *s)
{
        struct care_task *tasks = ARENA_ARRAY(rpc_arena(s->call), struct care_task, CASE_TASKS_MAX);
        size_t n = 0;
        int r = contacts_check_case(s);
        if (r == 0)
                r = tasks_of_case(rpc_db(s->call), rpc_arena(s->call), s->c.id, 0, NULL, tasks, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const ContactRule *rule = tasks[i].kind == TASK_CONTACT ? document_contact(s->document, tasks[i].stage) : NULL;
                struct str place = path_at_level(str_of(s->c.path), rule ? (int)rule->level : 0);
                if (rule || tasks[i].kind == TASK_MONITOR || tasks[i].kind == TASK_PAYMENT)
                        r = task_take_to(s->call, &tasks[i], arena_strndup(rpc_arena(s->call), place.p, place.n));
        }
        return r;
}

/* It is the other's now, and so is what is to be done in it. */
static int take_over(struct scene *s, const struct organization *to)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        const char *other;
        struct care_task t;
        int r = CARE_E_ABSENT;
        s->c.organization = to->code;
        s->c.path = to->path;
        if (!s->has_person && s->c.subject[0]) { /* it is about the organisation: that may have one */
                s->c.subject = to->code;
                r = s->c.single ? case_open_of(rpc_db(s->call), rpc_arena(s->call), s->c.programme, to->code, &other) : r;
        }
        if (r != CARE_E_ABSENT)
                return r == 0 ? refuse_second(s, other) : r;
        r = case_save_owner(rpc_db(s->call), &s->c);
        if (r == 0) /* whom the one before let in, the one now lets in anew or not */
                r = accesses_delete(rpc_db(s->call), s->c.id);
        if (r == 0)
                r = visits_move(s);
        if (r == 0)
                r = take_tasks(s);
        if (r != 0 || !s->c.task[0])
                return r;
        r = task_load(rpc_db(s->call), rpc_arena(s->call), s->c.task, &t);
        if (r == 0 && !t.done_us)
                r = task_close(s->call, &t);
        struct str place = path_at_level(str_of(to->path), stage ? (int)stage->level : 0);
        t.place_path = arena_strndup(rpc_arena(s->call), place.p, place.n);
        t.assignee = "";
        t.note = (struct str){0};
        if (r == 0)
                r = task_open(s->call, &t);
        s->c.task = t.id;
        return r;
}

int handle_answer_transfer(struct rpc_call *call, const AnswerTransferRequest *request, Case *response)
{
        struct organization to;
        struct scene s;
        int r = scene_load(call, request->case_id, &s);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0 && !s.c.transfer_to[0]) {
                r = rpc_require(call, str_of(s.c.path));
                return r == 0 ? rpc_refuse(call, PROBLEM(TRANSFER_NOT_ASKED)) : r;
        }
        if (r == 0)
                r = find_organization(call, s.c.transfer_to, &to);
        if (r == 0)
                r = rpc_require(call, str_of(to.path));
        rpc_audit_subject(call, s.c.id, r == 0 ? s.c.transfer_to : "");
        if (r == 0 && !request->accepted && !request->reason[0])
                return rpc_refuse(call, PROBLEM(REASON_MISSING));
        if (r == 0)
                r = tasks_close(call, s.c.id, TASK_TRANSFER, NULL);
        s.c.transfer_to = "";
        if (r == 0 && request->accepted)
                r = take_over(&s, &to);
        if (r == 0)
                r = note_step(&s, request->accepted ? "taken" : "not-taken", request->reason);
        return r == 0 ? case_fill(&s, response) : r;
}

/* --- access for some time -------------------------------------------------------------------------------------------- */

int handle_end_case_access(struct rpc_call *call, const EndCaseAccessRequest *request, CaseAccess *response)
{
        struct scene s;
        bool was = false;
        int r = find_kept_scene(call, request->case_id, &s);
        if (r == 0)
                r = access_delete(rpc_db(call), s.c.id, request->account, &was);
        if (r != 0)
                return r;
        if (was)
                rpc_audit_purpose(call, arena_printf(rpc_arena(call), "TEMPORARY ACCESS for %s ended", request->account));
        response->case_id = (char *)s.c.id;
        response->account = request->account;
        response->expire_time = rpc_timestamp(call, rpc_now(call));
        return 0;
}

int handle_grant_case_access(struct rpc_call *call, const GrantCaseAccessRequest *request, CaseAccess *response)
{
        struct account account;
        struct scene s;
        int r = find_kept_scene(call, request->case_id, &s);
        if (r == 0 && request->hours < 1)
                return rpc_invalid(call, "/hours", "required", "is required: 1 to 720", "必填：1至720小时");
        if (r == 0)
                r = account_load(rpc_db(call), rpc_arena(call), request->account, &account);
        if (r == CARE_E_ABSENT || (r == 0 && account.disabled))
                return rpc_invalid(call, "/account", "unknown", "is no account that is in use", "账号不存在或已停用");
        if (r != 0)
                return r;
        int64_t until = rpc_now(call) + request->hours * CLOCK_HOUR_US;
        r = access_save(rpc_db(call), s.c.id, request->account, rpc_principal(call)->id, request->reason, until);
        rpc_audit_purpose(call, arena_printf(rpc_arena(call), "TEMPORARY ACCESS for %s, %d h: %s", request->account, request->hours, request->reason));
        response->case_id = (char *)s.c.id;
        response->account = request->account;
        response->expire_time = rpc_timestamp(call, until);
        return r;
}
