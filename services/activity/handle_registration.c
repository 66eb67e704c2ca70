/* SPDX-License-Identifier: Apache-2.0
 *
 * Registrations: a place, a position in the waiting list, or neither any more.
 */
#include "handle.h"

#include <stdlib.h>

static void fill(struct rpc_call *call, Registration *out, const struct registration *g)
{
        out->id = (char *)g->id;
        out->activity = (char *)g->activity;
        out->member = (char *)g->member;
        out->organization = (char *)g->organization;
        out->state = g->state;
        if (g->code[0]) /* not of an erased member */
                out->code = arena_printf(rpc_arena(call), "%.4s-%s", g->code, g->code + 4);
        out->position = (int32_t)g->position;
        out->attended = g->attended;
        out->create_time = rpc_timestamp(call, g->created_us);
        out->update_time = rpc_timestamp(call, g->changed_us);
}

/* --- registering --------------------------------------------------------------------------------------------------- */

static int refuse(struct rpc_call *call, Nuanxin__Problem problem, const struct activity *a)
{
        char from[40], until[40];
        switch (problem) {
        case NUANXIN__PROBLEM__PROBLEM_ACTIVITY_NOT_OPEN:
                return rpc_refuse(call, problem, activity_state_name(a->state));
        case NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_CLOSED:
                return rpc_refuse(call, problem, campaign_state_name(a->campaign_state));
        default:
                clock_format_rfc3339(from,
                                     a->registration_start_us ? a->registration_start_us : a->created_us);
                clock_format_rfc3339(until, a->registration_end_us ? a->registration_end_us : a->end_us);
                return rpc_refuse(call, problem, from, until);
        }
}

/* Who is to take part, and may the caller say so? -> the member with an organisation that is known. */
static int find_participant(struct rpc_call *call, const char *given, const struct activity *a,
                            struct who *ret)
{
        const char *id = given[0] ? given : rpc_principal(call)->member;
        if (!id[0])
                return rpc_invalid(call, "/member", "required", "is required", "必填");
        int r = find_member(call, id, NUANXIN__PROBLEM__PROBLEM_MEMBER_UNKNOWN,
                            NUANXIN__PROBLEM__PROBLEM_MEMBER_NOT_TAKING_PART, ret);
        if (r == 0)
                r = require_member_or_staff(call, "registration.self", "registration.write", id,
                                            str_of(ret->path), str_of(a->path));
        if (r == 0 && ret->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                r = rpc_refuse(call, ret->problem, id);
        if (r == 0 && !ret->path[0])
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ORGANIZATION_UNKNOWN, ret->organization);
        return r;
}

static int decide(struct rpc_call *call, const struct activity *a)
{
        struct registration_facts facts = {
                .now_us = rpc_now(call),
                .activity_state = a->state,
                .campaign_state = a->campaign_state,
                .from_us = a->registration_start_us,
                .until_us = a->registration_end_us,
                .end_us = a->end_us,
        };
        Nuanxin__Problem problem = registration_decide(&facts);
        return problem == NUANXIN__PROBLEM__PROBLEM_NONE ? 0 : refuse(call, problem, a);
}

/* A place or, behind those who wait already, a position; a refusal gives it back. */
static int take_place(struct rpc_call *call, const struct activity *a, struct registration *g)
{
        struct seat seat;
        g->state = REGISTRATION_REGISTERED;
        g->position = 0;
        if (!a->capacity)
                return 0;
        int r = seat_take(rpc_db(call), a->id, &seat);
        if (r == 0 && seat.waiting && a->no_waiting_list)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_FULL,
                                  arena_printf(rpc_arena(call), "%lld", (long long)seat.capacity));
        if (r != 0)
                return r;
        g->state = seat.waiting ? REGISTRATION_WAITING : REGISTRATION_REGISTERED;
        g->position = seat.last_position;
        return 0;
}

/* Written before it is looked for: who looked first would, on PostgreSQL, meet all who register at the same time. Codes
 * are random, so two of an activity may be equal: then the next one. -EEXIST: the member has one already. */
static int insert(struct rpc_call *call, struct registration *g, struct registration *ret_was)
{
        for (int attempt = 0; attempt < 8; attempt++) {
                char code[REGISTRATION_CODE_SIZE];
                const char *random = rpc_new_id(call) + 24; /* the last part of a new id is random */
                registration_code_make(code, strtoull(random, NULL, 16));
                g->code = arena_strdup(rpc_arena(call), code);
                int r = registration_insert(rpc_db(call), g);
                if (r == ACTIVITY_E_ABSENT)
                        r = registration_of_member(rpc_db(call), rpc_arena(call), g->activity, g->member, ret_was);
                else
                        return r;
                if (r != ACTIVITY_E_ABSENT)
                        return r == 0 ? -EEXIST : r;
        }
        return STORE_E_RETRY;
}

/* Who cancelled takes part again. */
static int renew(struct rpc_call *call, struct registration *g, const struct registration *was)
{
        if (was->state != REGISTRATION_CANCELLED)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ALREADY_REGISTERED, was->id);
        g->id = was->id;
        g->code = was->code;
        g->created_us = was->created_us;
        return registration_save(rpc_db(call), g, REGISTRATION_CANCELLED);
}

static int emit_created(struct rpc_call *call, const struct activity *a, const struct registration *g)
{
        RegistrationCreated *event = message_new(rpc_arena(call), &activity_v1_registration_created_msg);
        event->registration = (char *)g->id;
        event->activity = (char *)a->id;
        event->campaign = (char *)a->campaign;
        event->member = (char *)g->member;
        event->organization = (char *)g->organization;
        event->state = g->state;
        return rpc_emit(call, &activity_v1_registration_created_msg, event, g->id, g->organization);
}

int handle_create_registration(struct rpc_call *call, const CreateRegistrationRequest *request,
                               Registration *response)
{
        struct activity a;
        struct registration g = {0}, was;
        struct who who;
        int r = find_activity(call, request->activity, &a);
        if (r == 0)
                r = find_participant(call, request->member, &a, &who);
        if (r == 0)
                r = decide(call, &a);
        if (r == 0)
                r = take_place(call, &a, &g);
        if (r != 0)
                return r;
        g.id = rpc_new_id(call);
        g.activity = a.id;
        g.member = who.member;
        g.organization = who.organization;
        g.created_us = g.changed_us = rpc_now(call);
        r = insert(call, &g, &was);
        if (r == -EEXIST)
                r = renew(call, &g, &was);
        if (r != 0)
                return r;
        fill(call, response, &g);
        rpc_audit_subject(call, g.id, g.organization);
        return emit_created(call, &a, &g);
}

/* --- cancelling ---------------------------------------------------------------------------------------------------- */

/* The registration goes, and with it a place or a position; who waits first gets the place. */
static int give_up(struct rpc_call *call, const struct activity *a, struct registration *g)
{
        int was = g->state, r;
        struct seat seat;
        g->state = REGISTRATION_CANCELLED;
        g->changed_us = rpc_now(call);
        r = registration_save(rpc_db(call), g, was);
        if (r == 0 && a->capacity)
                r = seat_change(rpc_db(call), a->id, was == REGISTRATION_REGISTERED ? -1 : 0,
                                was == REGISTRATION_WAITING ? -1 : 0, &seat);
        if (r == 0 && a->capacity && (a->state == ACTIVITY_OPEN || a->state == ACTIVITY_CLOSED))
                r = promote_waiting(call, a, &seat);
        if (r != 0)
                return r;
        RegistrationCancelled *event = message_new(rpc_arena(call), &activity_v1_registration_cancelled_msg);
        event->registration = (char *)g->id;
        event->activity = (char *)a->id;
        event->campaign = (char *)a->campaign;
        event->member = (char *)g->member;
        event->organization = (char *)g->organization;
        event->previous_state = was;
        return rpc_emit(call, &activity_v1_registration_cancelled_msg, event, g->id, g->organization);
}

static int find_registration(struct rpc_call *call, const struct activity *a, const char *id,
                             const char *permission, struct registration *ret)
{
        int r = registration_load(rpc_db(call), rpc_arena(call), a->id, id, ret);
        if (r == ACTIVITY_E_ABSENT)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        return r == 0 ? require_member_or_staff(call, "registration.self", permission, ret->member,
                                                str_of(ret->path), str_of(a->path))
                      : r;
}

int handle_cancel_registration(struct rpc_call *call, const CancelRegistrationRequest *request,
                               Registration *response)
{
        struct activity a;
        struct registration g;
        struct seat seat;
        int r = find_activity(call, request->activity, &a);
        if (r == 0 && a.capacity)
                r = seat_change(rpc_db(call), a.id, 0, 0,
                                &seat); /* locks it: the registration is read after */
        if (r == 0)
                r = find_registration(call, &a, request->registration, "registration.write", &g);
        if (r != 0)
                return r;
        rpc_audit_subject(call, g.id, g.organization);
        if (g.state != REGISTRATION_CANCELLED) {
                if (a.state == ACTIVITY_ENDED || rpc_now(call) >= a.end_us)
                        return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_REGISTRATION_TOO_LATE);
                r = give_up(call, &a, &g);
        }
        if (r == 0)
                fill(call, response, &g);
        return r;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

int handle_get_registration(struct rpc_call *call, const GetRegistrationRequest *request,
                            Registration *response)
{
        struct activity a;
        struct registration g;
        int r = find_activity(call, request->activity, &a);
        if (r == 0)
                r = find_registration(call, &a, request->registration, "registration.read", &g);
        if (r == 0)
                fill(call, response, &g);
        return r;
}

/* A page from a running query. by_position: what the next page's key holds before the id. */
static int page(struct rpc_call *call, struct store_rows *rows, int32_t asked, struct str filter,
                bool by_position, ListRegistrationsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        size_t size = (size_t)rpc_page_size(asked);
        struct registration g = {0};
        int r;
        response->registrations = ARENA_ARRAY(arena, Registration *, size);
        while ((r = store_next(rows)) == 1) {
                if (response->n_registrations == size) {
                        const char *key = g.id;
                        if (by_position)
                                key = arena_printf(arena, "%lld|%s", (long long)g.position, g.id);
                        response->next_page_token = rpc_page_token(call, filter, str_of(key));
                        return 0;
                }
                registration_read(rows, arena, &g);
                Registration *out = message_new(arena, &activity_v1_registration_msg);
                fill(call, out, &g);
                response->registrations[response->n_registrations++] = out;
        }
        return r;
}

int handle_list_registrations(struct rpc_call *call, const ListRegistrationsRequest *request,
                              ListRegistrationsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s|%d", request->activity, request->state)), key;
        int64_t position = -1;
        struct activity a;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = find_activity(call, request->activity, &a);
        if (r == 0)
                r = rpc_require(call, str_of(a.path));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0 && key.n)
                r = str_to_i64(str_cut(&key, '|'), 0, INT64_MAX, &position);
        if (r == 0)
                r = registrations_query(rpc_db(call), a.id, request->state, position,
                                        arena_strndup(arena, key.p, key.n),
                                        rpc_page_size(request->page_size) + 1, &rows);
        return r == 0 ? page(call, rows, request->page_size, filter, true, response) : r;
}

int handle_list_member_registrations(struct rpc_call *call, const ListMemberRegistrationsRequest *request,
                                     ListRegistrationsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(request->member), key;
        struct member member = {.path = ""};
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = member_load(rpc_db(call), arena, request->member, &member);
        if (r == 0 || r == ACTIVITY_E_ABSENT)
                r = require_member_or_staff(call, "registration.self", "registration.read", request->member,
                                            str_of(member.path), str_of(member.path));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r == 0)
                r = registrations_of_member_query(rpc_db(call), request->member,
                                                  arena_strndup(arena, key.p, key.n),
                                                  rpc_page_size(request->page_size) + 1, &rows);
        return r == 0 ? page(call, rows, request->page_size, filter, false, response) : r;
}
