/* SPDX-License-Identifier: Apache-2.0
 *
 * Campaigns: making, reading, changing, opening and closing them, and their counts.
 */
#include "handle.h"

void campaign_fill(struct rpc_call *call, Campaign *out, const struct campaign *c)
{
        out->id = (char *)c->id;
        out->organization = (char *)c->organization;
        out->title = (char *)c->title;
        out->description = (char *)c->description;
        out->start_time = rpc_timestamp(call, c->start_us);
        out->end_time = rpc_timestamp(call, c->end_us);
        out->state = c->state;
        out->create_time = rpc_timestamp(call, c->created_us);
        out->update_time = rpc_timestamp(call, c->updated_us);
        out->etag = etag_of(call, c->revision);
}

/* What the contract's rules cannot say, or not of an update. */
static int check_together(struct rpc_call *call, const struct campaign *c)
{
        int r = 0;
        if (!c->title[0])
                r = rpc_invalid(call, "/title", "required", "is required", "必填");
        if (c->start_us >= c->end_us)
                r = rpc_invalid(call, "/endTime", "range", "must be after startTime", "须晚于 startTime");
        return r;
}

/* CampaignCreated and CampaignUpdated have the same fields at the same places. */
static int emit_value(struct rpc_call *call, const struct contract_message *type, Campaign *value)
{
        CampaignUpdated *event = message_new(rpc_arena(call), type);
        event->campaign = value->id;
        event->organization = value->organization;
        event->value = value;
        return rpc_emit(call, type, event, value->id, value->organization);
}

int handle_create_campaign(struct rpc_call *call, const CreateCampaignRequest *request, Campaign *response)
{
        const Campaign *given = request->campaign;
        struct str path;
        struct campaign c = {
                .id = rpc_new_id(call),
                .organization = given->organization,
                .title = given->title,
                .description = given->description,
                .start_us = rpc_timestamp_us(given->start_time),
                .end_us = rpc_timestamp_us(given->end_time),
                .state = CAMPAIGN_DRAFT,
                .created_us = rpc_now(call),
                .updated_us = rpc_now(call),
                .revision = 1,
        };
        int r = valid_organization_path(call, c.organization, &path);
        if (r == 0)
                r = check_together(call, &c);
        if (r != 0)
                return r;
        c.path = path.p;
        r = campaign_insert(rpc_db(call), &c);
        if (r != 0)
                return r;
        campaign_fill(call, response, &c);
        rpc_audit_subject(call, c.id, c.organization);
        return emit_value(call, &activity_v1_campaign_created_msg, response);
}

int handle_get_campaign(struct rpc_call *call, const GetCampaignRequest *request, Campaign *response)
{
        struct campaign c;
        int r = rpc_require_somewhere(call);
        if (r == 0)
                r = find_campaign(call, request->campaign, &c);
        if (r == 0 && c.state == CAMPAIGN_DRAFT && !rpc_allows(call, "activity.write", str_of(c.path)))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        if (r == 0)
                campaign_fill(call, response, &c);
        return r;
}

int handle_list_campaigns(struct rpc_call *call, const ListCampaignsRequest *request,
                          ListCampaignsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str path = STR("/"), key;
        struct str filter = str_of(arena_printf(arena, "%s|%d", request->organization, request->state));
        int r = rpc_require_somewhere(call);
        if (r == 0 && request->organization[0])
                r = organization_path(call, str_of(request->organization), &path);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r != 0)
                return r;
        size_t size = (size_t)rpc_page_size(request->page_size), bytes = 0, n_read;
        struct campaign c = {.id = arena_strndup(arena, key.p, key.n)};
        response->campaigns = ARENA_ARRAY(arena, Campaign *, size);

        /* Again while some of what was read is hidden and there may be more. */
        do {
                _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
                r = campaigns_query(rpc_db(call), path, path_end(arena, path), request->state, c.id,
                                    (int64_t)size + 1, &rows);
                n_read = 0;
                while (r == 0 && (r = store_next(rows)) == 1) {
                        r = 0;
                        n_read++;
                        if (response->n_campaigns == size || bytes >= RPC_PAGE_BYTES) {
                                const Campaign *last = response->campaigns[response->n_campaigns - 1];
                                response->next_page_token = rpc_page_token(call, filter, str_of(last->id));
                                return 0;
                        }
                        campaign_read(rows, arena, &c);
                        if (c.state == CAMPAIGN_DRAFT && !rpc_allows(call, "activity.write", str_of(c.path)))
                                continue;
                        Campaign *out = message_new(arena, &activity_v1_campaign_msg);
                        campaign_fill(call, out, &c);
                        response->campaigns[response->n_campaigns++] = out;
                        bytes += protobuf_c_message_get_packed_size(&out->base);
                }
                if (r != 0)
                        return r;
        } while (n_read > size);
        return 0;
}

int handle_update_campaign(struct rpc_call *call, const UpdateCampaignRequest *request, Campaign *response)
{
        const Google__Protobuf__FieldMask *mask = request->update_mask;
        const CampaignChanges *changes = request->changes;
        struct campaign c;
        int r = find_campaign(call, request->campaign, &c);
        if (r == 0)
                r = rpc_require(call, str_of(c.path));
        if (r == 0)
                r = check_etag(call, request->etag, c.revision);
        if (r != 0)
                return r;
        if (is_changed(mask, "title", changes->title[0]))
                c.title = changes->title;
        if (is_changed(mask, "description", changes->description[0]))
                c.description = changes->description;
        if (is_changed(mask, "start_time", changes->start_time))
                c.start_us = rpc_timestamp_us(changes->start_time);
        if (is_changed(mask, "end_time", changes->end_time))
                c.end_us = rpc_timestamp_us(changes->end_time);
        c.updated_us = rpc_now(call);
        r = check_together(call, &c);
        if (r == 0)
                r = campaign_save(rpc_db(call), &c);
        if (r != 0)
                return r;
        campaign_fill(call, response, &c);
        rpc_audit_subject(call, c.id, c.organization);
        return emit_value(call, &activity_v1_campaign_updated_msg, response);
}

/* The one function that changes a campaign's state. */
static int become(struct rpc_call *call, const char *id, int state,
                  const struct contract_message *event_type, Campaign *response)
{
        struct campaign c;
        struct str path;
        int r = find_campaign(call, id, &c);
        if (r == 0)
                r = rpc_require(call, str_of(c.path));
        if (r == 0 && state == CAMPAIGN_OPEN)
                r = valid_organization_path(call, c.organization, &path);
        if (r == 0 && !campaign_may_become(c.state, state))
                r = rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_STATE,
                               campaign_state_name(c.state));
        if (r != 0)
                return r;
        c.state = state;
        c.updated_us = rpc_now(call);
        c.closed_us = state == CAMPAIGN_CLOSED ? c.updated_us : 0;
        r = campaign_save(rpc_db(call), &c);
        if (r != 0)
                return r;
        campaign_fill(call, response, &c);
        rpc_audit_subject(call, c.id, c.organization);

        /* CampaignOpened and CampaignClosed have the same fields at the same places. */
        CampaignOpened *event = message_new(rpc_arena(call), event_type);
        event->campaign = response->id;
        event->organization = response->organization;
        return rpc_emit(call, event_type, event, c.id, c.organization);
}

int handle_open_campaign(struct rpc_call *call, const OpenCampaignRequest *request, Campaign *response)
{
        return become(call, request->campaign, CAMPAIGN_OPEN, &activity_v1_campaign_opened_msg, response);
}

int handle_close_campaign(struct rpc_call *call, const CloseCampaignRequest *request, Campaign *response)
{
        return become(call, request->campaign, CAMPAIGN_CLOSED, &activity_v1_campaign_closed_msg, response);
}

/* --- counts ------------------------------------------------------------------------------------------------------ */

static OrganizationCount *count_message(struct rpc_call *call, const struct organization_count *count)
{
        OrganizationCount *out = message_new(rpc_arena(call), &activity_v1_organization_count_msg);
        out->organization = (char *)count->organization;
        out->name = (char *)count->name;
        out->on_site = (int32_t)count->on_site;
        out->online = (int32_t)count->online;
        out->attended = (int32_t)(count->on_site + count->online);
        return out;
}

int handle_get_campaign_counts(struct rpc_call *call, const GetCampaignCountsRequest *request,
                               CampaignCounts *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s|%s", request->campaign, request->organization)),
                   key;
        struct campaign c;
        struct organization_count count;
        int r = find_campaign(call, request->campaign, &c);
        if (r == 0)
                r = campaign_count_load(rpc_db(call), arena, c.id, request->organization, &count);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r != 0)
                return r;
        size_t size = (size_t)rpc_page_size(request->page_size);
        response->campaign = (char *)c.id;
        response->total = count_message(call, &count);
        response->children = ARENA_ARRAY(arena, OrganizationCount *, size);

        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        r = campaign_counts_query(rpc_db(call), c.id, request->organization,
                                  arena_strndup(arena, key.p, key.n), (int64_t)size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if (response->n_children == size) {
                        response->next_page_token = rpc_page_token(
                                call, filter, str_of(response->children[size - 1]->organization));
                        return 0;
                }
                organization_count_read(rows, arena, &count);
                response->children[response->n_children++] = count_message(call, &count);
        }
        return r;
}
