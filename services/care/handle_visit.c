/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits planned, recorded, listed.
 */
#include "work.h"

#include <inttypes.h>

static int find_visited(struct rpc_call *call, const char *case_id, const char *recipient, struct visited *ret)
{
        int r = visited_load(call, case_id, recipient, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(ret->path));
        rpc_audit_subject(call, case_id[0] ? case_id : recipient, r == 0 ? ret->organization : "");
        return r;
}

/* --- planning --------------------------------------------------------------------------------------------------------------- */

int handle_plan_visit(struct rpc_call *call, const PlanVisitRequest *request, Visit *response)
{
        const Visit *asked = request->visit;
        struct visited *t = ARENA_NEW(rpc_arena(call), struct visited);
        struct visit v = {.occasion = asked->occasion, .way = (int)asked->way};
        bool is_new;
        int r = find_visited(call, asked->case_id, asked->recipient, t);
        if (r != 0)
                return r;
        if (t->closed_us)
                return rpc_refuse(call, PROBLEM(CASE_CLOSED));
        if (t->erased)
                return rpc_refuse(call, PROBLEM(RECIPIENT_ERASED));
        if (!asked->due_time || !visit_may_plan(rpc_timestamp_us(asked->due_time), rpc_now(call)))
                return rpc_invalid(call, "/dueTime", "range", "is required: from today on, two years ahead at most", "必填：自今日起两年以内。");
        v.at_us = rpc_timestamp_us(asked->due_time);
        r = visit_plan(t, &v, &is_new);
        if (r == 0)
                visit_fill(call, &v, response);
        return r;
}

/* --- recording -------------------------------------------------------------------------------------------------------------- */

static void refuse(VisitResult *out, Nuanxin__Problem problem)
{
        out->refusal = (char *)contract_problem_of(problem)->type;
}

static void echo(const Visit *asked, VisitResult *out)
{
        out->visit->case_id = asked->case_id;
        out->visit->recipient = asked->recipient;
        out->visit->device = asked->device;
        out->visit->nonce = asked->nonce;
}

static int take(struct visited *t, const Visit *asked, VisitResult *out)
{
        struct visit v = {
                .occasion = asked->occasion,
                .at_us = rpc_timestamp_us(asked->occurred_time),
                .way = (int)asked->way,
                .outcome = (int)asked->outcome,
                .device = asked->device,
                .nonce = asked->nonce,
        };
        bool is_new;
        int r = visit_take(t, &v, asked->note, &is_new);
        if (r == 0)
                visit_fill(t->call, &v, out->visit);
        return r;
}

static int record(struct rpc_call *call, const Visit *asked, VisitResult *out)
{
        struct visited *t = ARENA_NEW(rpc_arena(call), struct visited);
        struct visit before;
        int r = visited_load(call, asked->case_id, asked->recipient, t);
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        const struct visit_facts facts = {
                .in_scope = r == 0 && rpc_allows(call, "visit.write", str_of(t->path)),
                .erased = t->erased,
                .closed_us = t->closed_us,
                .way = (int)asked->way,
                .outcome = (int)asked->outcome,
                .occurred_us = asked->occurred_time ? rpc_timestamp_us(asked->occurred_time) : 0,
                .device = asked->device,
                .nonce = asked->nonce,
        };
        /* What was taken stays so, however late it is sent again. */
        r = CARE_E_ABSENT;
        if (facts.in_scope)
                r = visit_by_nonce(rpc_db(call), rpc_arena(call), t->subject, asked->device, asked->nonce, &before);
        if (r != CARE_E_ABSENT) {
                out->repeated = r == 0;
                if (r == 0)
                        visit_fill(call, &before, out->visit);
                return r;
        }
        Nuanxin__Problem problem = visit_decide(&facts, rpc_now(call));
        if (problem == PROBLEM(NONE))
                return take(t, asked, out);
        echo(asked, out);
        refuse(out, problem);
        return 0;
}

int handle_batch_record_visits(struct rpc_call *call, const BatchRecordVisitsRequest *request, BatchRecordVisitsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        int r = rpc_require_somewhere(call);
        response->results = ARENA_ARRAY(arena, VisitResult *, request->n_visits + 1);
        for (size_t i = 0; r == 0 && i < request->n_visits; i++) {
                VisitResult *out = message_new(arena, &care_v1_visit_result_msg);
                out->visit = message_new(arena, &care_v1_visit_msg);
                r = record(call, request->visits[i], out);
                response->results[response->n_results++] = out;
        }
        return r;
}

/* --- listing ---------------------------------------------------------------------------------------------------------------- */

int handle_list_visits(struct rpc_call *call, const ListVisitsRequest *request, ListVisitsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct visited *t = ARENA_NEW(arena, struct visited);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t size = rpc_page_size(request->page_size), before = INT64_MAX;
        struct visit v = {.id = ""};
        struct str key;
        int r = find_visited(call, request->case_id, request->recipient, t);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, str_of(t->subject), &key);
        if (r == 0 && key.n)
                r = str_to_i64(str_cut(&key, ' '), INT64_MIN, INT64_MAX, &before);
        if (r == 0)
                r = visits_query(rpc_db(call), t->subject, before, arena_strndup(arena, key.p, key.n), size + 1, &rows);
        if (r != 0)
                return r;
        response->visits = ARENA_ARRAY(arena, Visit *, (size_t)size);
        while ((r = store_next(rows)) == 1) {
                if ((int64_t)response->n_visits == size) {
                        response->next_page_token =
                                rpc_page_token(call, str_of(t->subject), str_of(arena_printf(arena, "%" PRId64 " %s", v.at_us, v.id)));
                        return 0;
                }
                visit_read(rows, arena, &v);
                Visit *one = message_new(arena, &care_v1_visit_msg);
                visit_fill(call, &v, one);
                response->visits[response->n_visits++] = one;
        }
        return r;
}
