/* SPDX-License-Identifier: Apache-2.0
 *
 * Activities: making, reading, changing them, and their states.
 */
#include "handle.h"

#include <inttypes.h>

#define DUE_END "activity.end"

void activity_fill(struct rpc_call *call, Activity *out, const struct activity *a)
{
        ActivityCounts *counts = message_new(rpc_arena(call), &activity_v1_activity_counts_msg);
        counts->registered = (int32_t)a->registered;
        counts->waiting = (int32_t)a->waiting;
        counts->on_site = (int32_t)a->on_site;
        counts->online = (int32_t)a->online;
        counts->attended = (int32_t)(a->on_site + a->online);
        out->id = (char *)a->id;
        out->campaign = (char *)a->campaign;
        out->organization = (char *)a->organization;
        out->title = (char *)a->title;
        out->description = (char *)a->description;
        out->category = a->category;
        out->mode = a->mode;
        out->place = (char *)a->place;
        out->link = (char *)a->link;
        out->start_time = rpc_timestamp(call, a->start_us);
        out->end_time = rpc_timestamp(call, a->end_us);
        out->registration_start_time = rpc_timestamp(call, a->registration_start_us);
        out->registration_end_time = rpc_timestamp(call, a->registration_end_us);
        out->capacity = (int32_t)a->capacity;
        out->no_waiting_list = a->no_waiting_list;
        out->registration_required = a->registration_required;
        out->state = a->state;
        out->counts = counts;
        out->create_time = rpc_timestamp(call, a->created_us);
        out->update_time = rpc_timestamp(call, a->updated_us);
        /* The counts are part of what is read, so they are part of the tag; check_etag looks at the revision alone. */
        out->etag = arena_printf(rpc_arena(call), "%s-%" PRId64 "-%" PRId64 "-%" PRId64 "-%" PRId64,
                                 etag_of(call, a->revision), a->registered, a->waiting, a->on_site, a->online);
}

/* What the contract's rules cannot say, or not of an update. */
static int check_together(struct rpc_call *call, const struct activity *a)
{
        int r = 0;
        if (!a->title[0])
                r = rpc_invalid(call, "/title", "required", "is required", "必填");
        if (!a->category)
                r = rpc_invalid(call, "/category", "required", "is required", "必填");
        if (!a->mode)
                r = rpc_invalid(call, "/mode", "required", "is required", "必填");
        if (a->start_us >= a->end_us)
                r = rpc_invalid(call, "/endTime", "range", "must be after startTime", "须晚于 startTime");
        else if (a->end_us - a->start_us > ACTIVITY_LONGEST_US)
                r = rpc_invalid(call, "/endTime", "range", "must be at most 31 days after startTime",
                                "活动最长 31 天");
        if (a->registration_start_us >= a->end_us)
                r = rpc_invalid(call, "/registrationStartTime", "range", "must be before endTime",
                                "须早于 endTime");
        if (a->registration_end_us && a->registration_end_us <= a->registration_start_us)
                r = rpc_invalid(call, "/registrationEndTime", "range", "must be after registrationStartTime",
                                "须晚于 registrationStartTime");
        if (a->mode != MODE_ONLINE && !a->place[0])
                r = rpc_invalid(call, "/place", "required", "is required unless it is online only",
                                "非纯线上活动必填");
        if (a->mode != MODE_ON_SITE && !a->link[0])
                r = rpc_invalid(call, "/link", "required", "is required unless it is on site only",
                                "非纯线下活动必填");
        return r;
}

/* ActivityCreated and ActivityUpdated have the same fields at the same places. */
static int emit_value(struct rpc_call *call, const struct contract_message *type, Activity *value)
{
        ActivityUpdated *event = message_new(rpc_arena(call), type);
        event->activity = value->id;
        event->organization = value->organization;
        event->value = value;
        return rpc_emit(call, type, event, value->id, value->organization);
}

/* --- making -------------------------------------------------------------------------------------------------------- */

/* The campaign is one of the organiser's, or of an organisation above it, and is not over. */
static int check_campaign(struct rpc_call *call, const char *id, struct str organizer_path)
{
        struct campaign c;
        int r = campaign_load(rpc_db(call), rpc_arena(call), id, &c);
        if (r == ACTIVITY_E_ABSENT || (r == 0 && !path_is_within(organizer_path, str_of(c.path))))
                return rpc_about(call, "/campaign", rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_UNKNOWN, id));
        if (r == 0 && c.state == CAMPAIGN_CLOSED)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_CLOSED,
                                  campaign_state_name(c.state));
        return r;
}

int handle_create_activity(struct rpc_call *call, const CreateActivityRequest *request, Activity *response)
{
        const Activity *given = request->activity;
        struct str path;
        struct activity a = {
                .id = rpc_new_id(call),
                .campaign = given->campaign,
                .organization = given->organization,
                .title = given->title,
                .description = given->description,
                .category = (int)given->category,
                .mode = (int)given->mode,
                .place = given->place,
                .link = given->link,
                .start_us = rpc_timestamp_us(given->start_time),
                .end_us = rpc_timestamp_us(given->end_time),
                .registration_start_us = rpc_timestamp_us(given->registration_start_time),
                .registration_end_us = rpc_timestamp_us(given->registration_end_time),
                .capacity = given->capacity,
                .no_waiting_list = given->no_waiting_list,
                .registration_required = given->registration_required,
                .state = ACTIVITY_DRAFT,
                .created_us = rpc_now(call),
                .updated_us = rpc_now(call),
                .revision = 1,
        };
        int r = valid_organization_path(call, a.organization, &path);
        if (r == 0)
                r = check_together(call, &a);
        if (r == 0)
                r = check_campaign(call, a.campaign, path);
        if (r != 0)
                return r;
        a.path = path.p;
        r = activity_insert(rpc_db(call), &a);
        if (r != 0)
                return r;
        activity_fill(call, response, &a);
        rpc_audit_subject(call, a.id, a.organization);
        return emit_value(call, &activity_v1_activity_created_msg, response);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool is_hidden(struct rpc_call *call, const struct activity *a)
{
        return a->state == ACTIVITY_DRAFT && !rpc_allows(call, "activity.write", str_of(a->path));
}

int handle_get_activity(struct rpc_call *call, const GetActivityRequest *request, Activity *response)
{
        struct activity a;
        int r = rpc_require_somewhere(call);
        if (r == 0)
                r = find_activity_counted(call, request->activity, &a);
        if (r == 0 && is_hidden(call, &a))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        if (r == 0)
                activity_fill(call, response, &a);
        return r;
}

/* Where a page ends: the id, which has a fixed length, then the path. */
static struct str page_key(struct arena *arena, const struct activity *a)
{
        return str_of(arena_printf(arena, "%s%s", a->id, a->path));
}

static int page(struct rpc_call *call, const ListActivitiesRequest *request, struct str path, struct str key,
                struct str filter, ListActivitiesResponse *response)
{
        struct arena *arena = rpc_arena(call);
        size_t size = (size_t)rpc_page_size(request->page_size), id_size = ID_TEXT_SIZE - 1, bytes = 0, n_read = 0;
        const struct activity_filter wanted = {request->campaign, request->audience, (int)request->state};
        bool resumed = key.n > id_size;
        struct activity a = {
                .path = resumed ? arena_strndup(arena, key.p + id_size, key.n - id_size) : arena_strndup(arena, path.p, path.n),
                .id = resumed ? arena_strndup(arena, key.p, id_size) : "",
        };
        struct str last = {0};

        response->activities = ARENA_ARRAY(arena, Activity *, size);
        /* Again while some of what was read is hidden and there may be more. */
        do {
                _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
                int r = activities_query(rpc_db(call), str_of(a.path), a.id, path_end(arena, path), &wanted,
                                         (int64_t)size + 1, &rows);
                n_read = 0;
                while (r == 0 && (r = store_next(rows)) == 1) {
                        r = 0;
                        n_read++;
                        if (response->n_activities == size || bytes >= RPC_PAGE_BYTES) {
                                response->next_page_token = rpc_page_token(call, filter, last);
                                return 0;
                        }
                        activity_read(rows, arena, &a);
                        if (is_hidden(call, &a))
                                continue;
                        Activity *out = message_new(arena, &activity_v1_activity_msg);
                        activity_fill(call, out, &a);
                        response->activities[response->n_activities++] = out;
                        bytes += protobuf_c_message_get_packed_size(&out->base);
                        last = page_key(arena, &a);
                }
                if (r != 0)
                        return r;
        } while (n_read > size);
        return 0;
}

int handle_list_activities(struct rpc_call *call, const ListActivitiesRequest *request,
                           ListActivitiesResponse *response)
{
        struct str path = STR("/"), key, of_audience;
        struct str filter = str_of(arena_printf(rpc_arena(call), "%s|%s|%s|%d", request->organization, request->audience,
                                                request->campaign, request->state));
        int r = rpc_require_somewhere(call);
        if (r == 0 && request->organization[0])
                r = organization_path(call, str_of(request->organization), &path);
        if (r == 0 && request->audience[0])
                r = organization_path(call, str_of(request->audience), &of_audience); /* is there such a one? */
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        return r == 0 ? page(call, request, path, key, filter, response) : r;
}

/* --- changing ------------------------------------------------------------------------------------------------------ */

static int end_when_due(struct rpc_call *call, const struct activity *a)
{
        return rpc_due_add(call, DUE_END, a->id, a->end_us, (struct str){0});
}

static void apply(struct activity *a, const ActivityChanges *c, const Google__Protobuf__FieldMask *mask)
{
        if (is_changed(mask, "title", c->title[0]))
                a->title = c->title;
        if (is_changed(mask, "description", c->description[0]))
                a->description = c->description;
        if (is_changed(mask, "category", c->category))
                a->category = (int)c->category;
        if (is_changed(mask, "mode", c->mode))
                a->mode = (int)c->mode;
        if (is_changed(mask, "place", c->place[0]))
                a->place = c->place;
        if (is_changed(mask, "link", c->link[0]))
                a->link = c->link;
        if (is_changed(mask, "start_time", c->start_time))
                a->start_us = rpc_timestamp_us(c->start_time);
        if (is_changed(mask, "end_time", c->end_time))
                a->end_us = rpc_timestamp_us(c->end_time);
        if (is_changed(mask, "registration_start_time", c->registration_start_time))
                a->registration_start_us = rpc_timestamp_us(c->registration_start_time);
        if (is_changed(mask, "registration_end_time", c->registration_end_time))
                a->registration_end_us = rpc_timestamp_us(c->registration_end_time);
        if (is_changed(mask, "capacity", c->capacity))
                a->capacity = c->capacity;
        if (is_changed(mask, "no_waiting_list", c->no_waiting_list))
                a->no_waiting_list = c->no_waiting_list;
        if (is_changed(mask, "registration_required", c->registration_required))
                a->registration_required = c->registration_required;
}

/* Places of a draft come and go freely; later there are registrations, which only a limit that stays one can count. */
static int change_capacity(struct rpc_call *call, struct activity *a, int64_t was)
{
        struct seat seat;
        int r = 0;
        if (a->capacity == was)
                return 0;
        if (a->state == ACTIVITY_DRAFT) {
                if (was)
                        r = seat_delete(rpc_db(call), a->id);
                return r == 0 && a->capacity ? seat_insert(rpc_db(call), a->id, a->capacity) : r;
        }
        if (!was || !a->capacity)
                return rpc_invalid(call, "/capacity", "range",
                                   "limited and unlimited can be exchanged in a draft only",
                                   "仅草稿可在限额与不限额之间更改");
        r = seat_resize(rpc_db(call), a->id, a->capacity, &seat);
        if (r == ACTIVITY_E_ABSENT)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_CAPACITY_TAKEN,
                                  arena_printf(rpc_arena(call), "%lld", (long long)a->registered));
        if (r == 0)
                r = promote_waiting(call, a, &seat);
        if (r == 0) {
                a->registered = seat.taken;
                a->waiting = seat.waiting;
        }
        return r;
}

static bool is_over(const struct activity *a)
{
        return a->state == ACTIVITY_CANCELLED || a->state == ACTIVITY_ENDED;
}

int handle_update_activity(struct rpc_call *call, const UpdateActivityRequest *request, Activity *response)
{
        struct activity a;
        int r = find_activity_counted(call, request->activity, &a);
        if (r == 0)
                r = rpc_require(call, str_of(a.path));
        if (r == 0)
                r = check_etag(call, request->etag, a.revision);
        if (r == 0 && is_over(&a))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_STATE,
                               activity_state_name(a.state));
        if (r != 0)
                return r;
        int64_t capacity = a.capacity;
        apply(&a, request->changes, request->update_mask);
        a.updated_us = rpc_now(call);
        r = check_together(call, &a);
        if (r == 0)
                r = change_capacity(call, &a, capacity);
        if (r == 0)
                r = activity_save(rpc_db(call), &a);
        if (r == 0 && a.state != ACTIVITY_DRAFT)
                r = end_when_due(call, &a);
        if (r != 0)
                return r;
        activity_fill(call, response, &a);
        rpc_audit_subject(call, a.id, a.organization);
        return emit_value(call, &activity_v1_activity_updated_msg, response);
}

/* The one function that changes an activity's state. An event of any of the four types begins with the same two
 * fields. */
static int become(struct rpc_call *call, struct activity *a, int state,
                  const struct contract_message *event_type, const char *reason)
{
        if (!activity_may_become(a->state, state))
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_STATE,
                                  activity_state_name(a->state));
        a->state = state;
        a->updated_us = rpc_now(call);
        if (state == ACTIVITY_OPEN)
                a->closed_us = 0;
        else if (state != ACTIVITY_ENDED)
                a->closed_us = a->updated_us;
        int r = activity_save(rpc_db(call), a);
        if (r != 0)
                return r;
        rpc_audit_subject(call, a->id, a->organization);

        ActivityCancelled *event = message_new(rpc_arena(call), event_type);
        event->activity = (char *)a->id;
        event->organization = (char *)a->organization;
        if (reason)
                event->reason = (char *)reason;
        return rpc_emit(call, event_type, event, a->id, a->organization);
}

static int find_mine(struct rpc_call *call, const char *id, struct activity *ret)
{
        int r = find_activity_counted(call, id, ret);
        return r == 0 ? rpc_require(call, str_of(ret->path)) : r;
}

int handle_open_activity(struct rpc_call *call, const OpenActivityRequest *request, Activity *response)
{
        struct activity a;
        struct str path;
        int r = find_mine(call, request->activity, &a);
        if (r == 0)
                r = valid_organization_path(call, a.organization, &path);
        if (r == 0 && a.campaign_state != CAMPAIGN_OPEN)
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_CLOSED,
                               campaign_state_name(a.campaign_state));
        if (r == 0 && a.end_us <= rpc_now(call))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_STATE,
                               activity_state_name(ACTIVITY_ENDED));
        if (r == 0)
                r = become(call, &a, ACTIVITY_OPEN, &activity_v1_activity_opened_msg, NULL);
        if (r == 0)
                r = end_when_due(call, &a);
        if (r == 0)
                activity_fill(call, response, &a);
        return r;
}

int handle_close_activity(struct rpc_call *call, const CloseActivityRequest *request, Activity *response)
{
        struct activity a;
        int r = find_mine(call, request->activity, &a);
        if (r == 0)
                r = become(call, &a, ACTIVITY_CLOSED, &activity_v1_activity_closed_msg, NULL);
        if (r == 0)
                activity_fill(call, response, &a);
        return r;
}

int handle_cancel_activity(struct rpc_call *call, const CancelActivityRequest *request, Activity *response)
{
        struct activity a;
        int r = find_mine(call, request->activity, &a);
        if (r == 0)
                r = become(call, &a, ACTIVITY_CANCELLED, &activity_v1_activity_cancelled_msg,
                           request->reason);
        if (r == 0)
                r = rpc_due_cancel(call, DUE_END, a.id);
        if (r == 0)
                activity_fill(call, response, &a);
        return r;
}

/* Due work: the activity's end has come, unless it has moved or somebody was faster. */
int due_end_activity(struct rpc_call *call, const char *activity, struct str payload)
{
        (void)payload;
        struct activity a;
        int r = activity_load(rpc_db(call), rpc_arena(call), activity, &a);
        if (r == ACTIVITY_E_ABSENT)
                return 0;
        if (r != 0 || !activity_may_become(a.state, ACTIVITY_ENDED))
                return r;
        if (a.end_us > rpc_now(call))
                return end_when_due(call, &a);
        return become(call, &a, ACTIVITY_ENDED, &activity_v1_activity_ended_msg, NULL);
}
