/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases read: one, lists, with all that is sealed in them, decisions done again.
 */
#include "handle_case.h"

#include "nuanxin/internal/v1/bus.pb-c.h"
#include "work.h"

int handle_get_case(struct rpc_call *call, const GetCaseRequest *request, Case *response)
{
        struct scene s;
        int r = find_scene(call, request->case_id, &s);
        return r == 0 ? case_fill(&s, response) : r;
}

/* --- lists ----------------------------------------------------------------------------------------------------------- */

int handle_list_cases(struct rpc_call *call, const ListCasesRequest *request, ListCasesResponse *response)
{
        const char *more = arena_printf(rpc_arena(call), "%s %d", request->programme, (int)request->state);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct subtree_page page;
        struct care_case c = {0};
        int r = subtree_page_start(call, request->organization, more, request->page_size, request->page_token, &page);
        if (r != 0)
                return r;
        const struct case_filter filter = {page.path, request->programme, (int)request->state, page.after_path, page.after_id};
        r = cases_query(rpc_db(call), rpc_arena(call), &filter, page.size + 1, &rows);
        response->cases = ARENA_ARRAY(rpc_arena(call), Case *, (size_t)page.size);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if ((int64_t)response->n_cases == page.size) {
                        response->next_page_token = subtree_page_next(call, &page, c.path, c.id);
                        return 0;
                }
                case_read(rows, rpc_arena(call), &c);
                Case *one = message_new(rpc_arena(call), &care_v1_case_msg);
                case_fill_row(call, &c, one);
                response->cases[response->n_cases++] = one;
        }
        return r;
}

static bool is_member(const struct rpc_call *call)
{
        return rpc_principal(call)->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__MEMBER;
}

int handle_list_recipient_cases(struct rpc_call *call, const ListRecipientCasesRequest *request, ListCasesResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s %d", request->recipient, request->household)), key;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t size = rpc_page_size(request->page_size);
        struct recipient person;
        struct care_case c = {.id = ""};
        int r = recipient_load(rpc_db(call), arena, request->recipient, &person);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require_member(call, person.member[0] ? person.member : "-", str_of(person.path));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r != 0)
                return r;
        const char *below = arena_strndup(arena, key.p, key.n);
        if (request->household && !is_member(call)) /* what the others have is theirs */
                r = cases_of_household_query(rpc_db(call), person.household, below, size + 1, &rows);
        else
                r = cases_of_subject_query(rpc_db(call), person.id, below, size + 1, &rows);
        response->cases = ARENA_ARRAY(arena, Case *, (size_t)size);
        for (int64_t seen = 0; r == 0 && (r = store_next(rows)) == 1; seen++) {
                r = 0;
                if (seen == size) {
                        response->next_page_token = rpc_page_token(call, filter, str_of(c.id));
                        return 0;
                }
                case_read(rows, arena, &c);
                if (!is_member(call) && !rpc_allows(call, "case.read", str_of(c.path)))
                        continue;
                Case *one = message_new(arena, &care_v1_case_msg);
                case_fill_row(call, &c, one);
                response->cases[response->n_cases++] = one;
        }
        return r;
}

/* --- steps ----------------------------------------------------------------------------------------------------------- */

static int read_steps(struct scene *s, bool revealed, Step ***ret, size_t *ret_n)
{
        struct arena *arena = rpc_arena(s->call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = steps_query(rpc_db(s->call), s->c.id, STEPS_MAX, &rows);
        *ret = ARENA_ARRAY(arena, Step *, STEPS_MAX);
        while (r == 0 && *ret_n < STEPS_MAX && (r = store_next(rows)) == 1) {
                struct str reason = {0};
                struct step step;
                step_read(rows, arena, &step);
                r = revealed ? scene_open(s, "care_step", "reason", step_row(s, step.n), step.reason, &reason) : 0;
                if (r != 0 && r != CARE_E_ABSENT)
                        return r;
                r = 0;
                Step *one = message_new(arena, &care_v1_step_msg);
                one->n = (int32_t)step.n;
                one->stage = (char *)step.stage;
                one->action = (char *)step.action;
                one->by = (char *)step.actor;
                one->reason = arena_strndup(arena, reason.p, reason.n);
                one->time = rpc_timestamp(s->call, step.time_us);
                (*ret)[(*ret_n)++] = one;
        }
        return r;
}

int handle_list_steps(struct rpc_call *call, const ListStepsRequest *request, ListStepsResponse *response)
{
        struct scene s;
        int r = find_scene(call, request->case_id, &s);
        return r == 0 ? read_steps(&s, false, &response->steps, &response->n_steps) : r;
}

/* --- revealing ------------------------------------------------------------------------------------------------------- */

/* Who holds case.reveal there; or was let in for some time, and the audit says so, loudly. */
static int require_reveal(struct rpc_call *call, const struct scene *s, const char *purpose, bool *ret_lent)
{
        const char *reason;
        if (rpc_allows(call, "case.reveal", str_of(s->c.path)))
                return rpc_require(call, str_of(s->c.path));
        int r = access_load(rpc_db(call), rpc_arena(call), s->c.id, rpc_principal(call)->id, rpc_now(call), &reason);
        if (r == CARE_E_ABSENT)
                return rpc_require(call, str_of(s->c.path));
        *ret_lent = true;
        if (r == 0)
                r = rpc_require_somewhere(call);
        rpc_audit_purpose(call, arena_printf(rpc_arena(call), "TEMPORARY ACCESS (%s): %s", reason, purpose));
        return r;
}

static int reveal_decisions(struct scene *s, RevealedCase *out)
{
        struct arena *arena = rpc_arena(s->call);
        struct decision *all = ARENA_ARRAY(arena, struct decision, DECISIONS_MAX);
        size_t n = 0;
        int r = decisions_of_case(rpc_db(s->call), arena, s->c.id, all, &n);
        out->decisions = ARENA_ARRAY(arena, Decision *, n + 1);
        for (size_t i = n; r == 0 && i-- > 0;) {
                Decision *one = NULL;
                r = decision_open(s, &all[i], &one);
                if (r == CARE_E_ABSENT)
                        one = message_new(arena, &care_v1_decision_msg);
                else if (r != 0)
                        return r;
                one->id = (char *)all[i].id;
                one->programme = (char *)all[i].programme;
                one->version = all[i].version;
                one->time = rpc_timestamp(s->call, all[i].time_us);
                out->decisions[out->n_decisions++] = one;
                r = 0;
        }
        return r;
}

static int reveal_objections(struct scene *s, RevealedCase *out)
{
        struct arena *arena = rpc_arena(s->call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = objections_of_case(rpc_db(s->call), s->c.id, OBJECTIONS_MAX, &rows);
        out->objections = ARENA_ARRAY(arena, Objection *, OBJECTIONS_MAX);
        while (r == 0 && out->n_objections < OBJECTIONS_MAX && (r = store_next(rows)) == 1) {
                struct objection o;
                objection_read(rows, arena, &o);
                Objection *one = message_new(arena, &care_v1_objection_msg);
                r = objection_fill(s->call, &o, true, one);
                out->objections[out->n_objections++] = one;
        }
        return r;
}

int handle_reveal_case(struct rpc_call *call, const RevealCaseRequest *request, RevealedCase *response)
{
        struct scene s;
        bool lent = false;
        rpc_audit_purpose(call, request->purpose);
        int r = scene_load(call, request->case_id, &s);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = require_reveal(call, &s, request->purpose, &lent);
        rpc_audit_subject(call, request->case_id, r == 0 ? s.c.organization : "");
        if (r != 0)
                return r;
        response->value = message_new(rpc_arena(call), &care_v1_case_msg);
        r = case_fill(&s, response->value);
        if (r == 0)
                r = scene_content(&s);
        if (r == 0) {
                response->value->facts = s.content->facts;
                response->value->n_facts = s.content->n_facts;
                response->value->documents = s.content->documents;
                response->value->n_documents = s.content->n_documents;
        }
        if (r == 0 || r == CARE_E_ABSENT) /* erased: what is left */
                r = read_steps(&s, true, &response->steps, &response->n_steps);
        if (r == 0)
                r = reveal_decisions(&s, response);
        if (r == 0)
                r = work_reveal(&s, lent, response);
        return r == 0 ? reveal_objections(&s, response) : r;
}

/* --- replaying ------------------------------------------------------------------------------------------------------- */

static int read_decisions(struct rpc_call *call, const ReplayDecisionsRequest *request, struct decision *out, size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = decisions_after(rpc_db(call), request->after, request->limit, &rows);
        while (r == 0 && *ret_n < (size_t)request->limit && (r = store_next(rows)) == 1) {
                decision_read(rows, rpc_arena(call), &out[(*ret_n)++]);
                r = 0;
        }
        return r;
}

int handle_replay_decisions(struct rpc_call *call, const ReplayDecisionsRequest *request, ReplayDecisionsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        if (request->limit < 1)
                return rpc_invalid(call, "/limit", "required", "is required", "必填");
        struct decision *all = ARENA_ARRAY(arena, struct decision, (size_t)request->limit);
        size_t n = 0;
        int r = read_decisions(call, request, all, &n);
        response->different = ARENA_ARRAY(arena, char *, n + 1);
        for (size_t i = 0; r == 0 && i < n; i++) {
                bool same = true;
                r = decision_replay(call, &all[i], &same);
                bool erased = r == CARE_E_ABSENT; /* the person: its facts are gone */
                response->erased += erased;
                response->replayed += !erased;
                r = erased ? 0 : r;
                if (r == 0 && !erased && !same)
                        response->different[response->n_different++] = (char *)all[i].id;
        }
        if (n == (size_t)request->limit)
                response->last = (char *)all[n - 1].id;
        return r;
}
