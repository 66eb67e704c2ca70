/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service tells those who follow it late, or after it was restored: its present state as the events that could
 * have led to it. Of a campaign or an activity first what it is, then in which state; of a registration and an attendance
 * what it is now. Whoever knew another state has this one afterwards.
 */
#include "handle.h"

/* Rows read for one page: those with long texts may be cut by its bytes, and then were read for nothing. */
#define LONG_ROWS 200

static int64_t fewer(unsigned limit)
{
        return limit < LONG_ROWS ? limit : LONG_ROWS;
}

/* The key behind something's state is its id; behind what it is, the same with this at the end. */
#define VALUE_ONLY '+'

struct from {
        const char *id;
        bool value, state; /* whether these of it have been told */
};

static struct from from_key(struct rpc_call *call, const char *key)
{
        size_t n = strlen(key);
        bool half = n && key[n - 1] == VALUE_ONLY;
        return (struct from){.id = arena_strndup(rpc_arena(call), key, n - half), .value = n, .state = n && !half};
}

static const char *value_key(struct rpc_call *call, const char *id)
{
        return arena_printf(rpc_arena(call), "%s%c", id, VALUE_ONLY);
}

/* --- campaigns ----------------------------------------------------------------------------------------------------- */

static int tell_campaign(struct rpc_call *call, const struct campaign *c, const struct from *told)
{
        static const struct contract_message *const states[CAMPAIGN_N_STATE] = {
                [CAMPAIGN_OPEN] = &activity_v1_campaign_opened_msg,
                [CAMPAIGN_CLOSED] = &activity_v1_campaign_closed_msg,
        };
        const struct contract_message *state = c->state < CAMPAIGN_N_STATE ? states[c->state] : NULL;
        int r = 0;
        if (!told->value) {
                CampaignCreated *event = message_new(rpc_arena(call), &activity_v1_campaign_created_msg);
                event->campaign = (char *)c->id;
                event->organization = (char *)c->organization;
                event->value = message_new(rpc_arena(call), &activity_v1_campaign_msg);
                campaign_fill(call, event->value, c);
                r = rpc_snapshot_add(call, &activity_v1_campaign_created_msg, event, c->id, c->organization,
                                     state ? value_key(call, c->id) : c->id);
        }
        if (r != 0 || !state || told->state)
                return r;
        /* CampaignOpened and CampaignClosed have the same fields at the same places. */
        CampaignOpened *event = message_new(rpc_arena(call), state);
        event->campaign = (char *)c->id;
        event->organization = (char *)c->organization;
        return rpc_snapshot_add(call, state, event, c->id, c->organization, c->id);
}

static int page_campaigns(struct rpc_call *call, const char *key, unsigned limit)
{
        static const struct from nothing;
        const struct from from = from_key(call, key);
        struct campaign c;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = campaigns_from_query(rpc_db(call), from.id, fewer(limit) + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                campaign_read(rows, rpc_arena(call), &c);
                r = tell_campaign(call, &c, strcmp(c.id, from.id) == 0 ? &from : &nothing);
        }
        return r;
}

/* --- activities ---------------------------------------------------------------------------------------------------- */

static int tell_activity(struct rpc_call *call, const struct activity *a, const struct from *told)
{
        static const struct contract_message *const states[ACTIVITY_N_STATE] = {
                [ACTIVITY_OPEN] = &activity_v1_activity_opened_msg,
                [ACTIVITY_CLOSED] = &activity_v1_activity_closed_msg,
                [ACTIVITY_CANCELLED] = &activity_v1_activity_cancelled_msg,
                [ACTIVITY_ENDED] = &activity_v1_activity_ended_msg,
        };
        const struct contract_message *state = a->state < ACTIVITY_N_STATE ? states[a->state] : NULL;
        int r = 0;
        if (!told->value) {
                ActivityCreated *event = message_new(rpc_arena(call), &activity_v1_activity_created_msg);
                event->activity = (char *)a->id;
                event->organization = (char *)a->organization;
                event->value = message_new(rpc_arena(call), &activity_v1_activity_msg);
                activity_fill(call, event->value, a);
                r = rpc_snapshot_add(call, &activity_v1_activity_created_msg, event, a->id, a->organization,
                                     state ? value_key(call, a->id) : a->id);
        }
        if (r != 0 || !state || told->state)
                return r;
        /* An event of any of the four types begins with the same two fields; why it was cancelled is not kept. */
        ActivityOpened *event = message_new(rpc_arena(call), state);
        event->activity = (char *)a->id;
        event->organization = (char *)a->organization;
        return rpc_snapshot_add(call, state, event, a->id, a->organization, a->id);
}

static int page_activities(struct rpc_call *call, const char *key, unsigned limit)
{
        static const struct from nothing;
        const struct from from = from_key(call, key);
        struct activity a;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = activities_from_query(rpc_db(call), from.id, fewer(limit) + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                activity_read(rows, rpc_arena(call), &a);
                r = tell_activity(call, &a, strcmp(a.id, from.id) == 0 ? &from : &nothing);
        }
        return r;
}

/* --- registrations ------------------------------------------------------------------------------------------------- */

/* RegistrationCreated and RegistrationCancelled have the same fields at the same places, but the last: the state, or the
 * one before, which is not kept. */
static int page_registrations(struct rpc_call *call, const char *key, unsigned limit)
{
        struct registration_state g;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = registration_states_query(rpc_db(call), key, limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                registration_state_read(rows, rpc_arena(call), &g);
                bool over = g.state == REGISTRATION_CANCELLED;
                const struct contract_message *type =
                        over ? &activity_v1_registration_cancelled_msg : &activity_v1_registration_created_msg;
                RegistrationCreated *event = message_new(rpc_arena(call), type);
                event->registration = (char *)g.id;
                event->activity = (char *)g.activity;
                event->campaign = (char *)g.campaign;
                event->member = (char *)g.member;
                event->organization = (char *)g.organization;
                event->state = over ? REGISTRATION_NONE : g.state;
                r = rpc_snapshot_add(call, type, event, g.id, g.organization, g.id);
        }
        return r;
}

/* --- attendances --------------------------------------------------------------------------------------------------- */

/* Also of one that was amended: as it is now. */
static int page_checkins(struct rpc_call *call, const char *key, unsigned limit)
{
        struct arena *arena = rpc_arena(call);
        struct str member = str_of(key), activity = str_cut(&member, '\n');
        struct attendance_state t;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = attendance_states_query(rpc_db(call), arena_strndup(arena, activity.p, activity.n),
                                        arena_strndup(arena, member.p, member.n), limit, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                attendance_state_read(rows, arena, &t);
                CheckinRecorded *event = message_new(arena, &activity_v1_checkin_recorded_msg);
                event->checkin = (char *)t.id;
                event->activity = (char *)t.activity;
                event->campaign = (char *)t.campaign;
                event->member = (char *)t.member;
                event->organization = (char *)t.organization;
                event->way = t.way;
                event->occurred_time = rpc_timestamp(call, t.occurred_us);
                r = rpc_snapshot_add(call, &activity_v1_checkin_recorded_msg, event, t.id, t.organization,
                                     arena_printf(arena, "%s\n%s", t.activity, t.member));
        }
        return r;
}

const struct rpc_snapshot activity_snapshots[] = {
        {.topic = "campaign", .page = page_campaigns},
        {.topic = "activity", .page = page_activities},
        {.topic = "registration", .page = page_registrations},
        {.topic = "checkin", .page = page_checkins},
        {0},
};
