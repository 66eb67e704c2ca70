/* SPDX-License-Identifier: Apache-2.0
 *
 * This service's handlers, one a method, and what they share.
 */
#pragma once

#include "contract/activity_v1.h"

#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "rules.h"
#include "store.h"

int handle_create_campaign(struct rpc_call *call, const CreateCampaignRequest *request, Campaign *response);
int handle_get_campaign(struct rpc_call *call, const GetCampaignRequest *request, Campaign *response);
int handle_list_campaigns(struct rpc_call *call, const ListCampaignsRequest *request,
                          ListCampaignsResponse *response);
int handle_update_campaign(struct rpc_call *call, const UpdateCampaignRequest *request, Campaign *response);
int handle_open_campaign(struct rpc_call *call, const OpenCampaignRequest *request, Campaign *response);
int handle_close_campaign(struct rpc_call *call, const CloseCampaignRequest *request, Campaign *response);
int handle_get_campaign_counts(struct rpc_call *call, const GetCampaignCountsRequest *request,
                               CampaignCounts *response);

int handle_create_activity(struct rpc_call *call, const CreateActivityRequest *request, Activity *response);
int handle_get_activity(struct rpc_call *call, const GetActivityRequest *request, Activity *response);
int handle_list_activities(struct rpc_call *call, const ListActivitiesRequest *request,
                           ListActivitiesResponse *response);
int handle_update_activity(struct rpc_call *call, const UpdateActivityRequest *request, Activity *response);
int handle_open_activity(struct rpc_call *call, const OpenActivityRequest *request, Activity *response);
int handle_close_activity(struct rpc_call *call, const CloseActivityRequest *request, Activity *response);
int handle_cancel_activity(struct rpc_call *call, const CancelActivityRequest *request, Activity *response);
int due_end_activity(struct rpc_call *call, const char *activity, struct str payload);

int handle_create_registration(struct rpc_call *call, const CreateRegistrationRequest *request,
                               Registration *response);
int handle_get_registration(struct rpc_call *call, const GetRegistrationRequest *request,
                            Registration *response);
int handle_list_registrations(struct rpc_call *call, const ListRegistrationsRequest *request,
                              ListRegistrationsResponse *response);
int handle_list_member_registrations(struct rpc_call *call, const ListMemberRegistrationsRequest *request,
                                     ListRegistrationsResponse *response);
int handle_cancel_registration(struct rpc_call *call, const CancelRegistrationRequest *request,
                               Registration *response);
int due_promote(struct rpc_call *call, const char *activity, struct str payload);

int prepare_create_checkin(struct rpc_call *call, const CreateCheckinRequest *request);
int handle_create_checkin(struct rpc_call *call, const CreateCheckinRequest *request, Checkin *response);
int prepare_batch_create_checkins(struct rpc_call *call, const BatchCreateCheckinsRequest *request);
int handle_batch_create_checkins(struct rpc_call *call, const BatchCreateCheckinsRequest *request,
                                 BatchCreateCheckinsResponse *response);
int handle_list_checkins(struct rpc_call *call, const ListCheckinsRequest *request,
                         ListCheckinsResponse *response);

/* consume.c: what this service follows, and what of it goes on as due work. */
extern const struct rpc_consumer activity_consumers[];
#define DUE_ERASE "activity.erase"
int due_erase(struct rpc_call *call, const char *member, struct str payload);

/* snapshot.c: what this service tells those who follow it late. */
extern const struct rpc_snapshot activity_snapshots[];

/* promote.c: gives free places to who waits, in order, at most PROMOTE_AT_ONCE in this transaction; the rest falls due at
 * once. seat: as it is now. */
#define PROMOTE_AT_ONCE 500
int promote_waiting(struct rpc_call *call, const struct activity *activity, struct seat *seat) MUST_USE;

/* --- shared (shared.c) ------------------------------------------------------------------------------------------- */

/* rpc_service's organization_path. */
int organization_path(struct rpc_call *call, struct str code, struct str *ret_path);
/* Of an organisation that takes new campaigns and activities: it is valid now. */
int valid_organization_path(struct rpc_call *call, const char *code, struct str *ret_path) MUST_USE;

/* For what belongs to a member but happens at an activity: the member; the app backend that acts for its members (`self`,
 * a "<noun>.self"); or who holds the method's `permission` at the member's organisation or at the activity's. To the
 * first two MEMBER_UNKNOWN while nothing of the member has come here, as in the second after it was made. */
int require_member_or_staff(struct rpc_call *call, const char *self, const char *permission,
                            const char *member, struct str member_path, struct str activity_path) MUST_USE;

/* As clients are shown it (handle_campaign.c, handle_activity.c). */
void campaign_fill(struct rpc_call *call, Campaign *out, const struct campaign *campaign);
void activity_fill(struct rpc_call *call, Activity *out, const struct activity *activity);

/* A row by its id, or a refusal as 404. Asks for no permission. */
int find_campaign(struct rpc_call *call, const char *id, struct campaign *ret) MUST_USE;
int find_activity(struct rpc_call *call, const char *id, struct activity *ret) MUST_USE;
int find_activity_counted(struct rpc_call *call, const char *id, struct activity *ret) MUST_USE; /* for showing it */

/* The member's organisation, as the projection has it, and its path, "" if that is not known. problem: `unknown` or
 * `inactive`, else PROBLEM_NONE. */
struct who {
        const char *member, *organization, *path;
        Nuanxin__Problem problem;
};
int find_member(struct rpc_call *call, const char *id, Nuanxin__Problem unknown, Nuanxin__Problem inactive,
                struct who *ret) MUST_USE;

/* Refuses (412) unless etag is empty or the revision's; what stands behind a hyphen is not compared. */
int check_etag(struct rpc_call *call, const char *etag, int64_t revision) MUST_USE;
char *etag_of(struct rpc_call *call, int64_t revision);

/* Is the field to be changed: does the mask name it, or, without one, is it given? */
bool is_changed(const Google__Protobuf__FieldMask *mask, const char *field, bool given);
