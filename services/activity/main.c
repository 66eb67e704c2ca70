/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-activity: the process that serves campaigns, activities, registrations and check-ins.
 */
#include "handle.h"

#include "common/service/service.h"

static const char about[] =
        "Serves campaigns, activities, registrations, check-ins and the attendance counts at every level.\n"
        "\n"
        "Needs a store of its own, the keyring (to verify member cards), and membership's events: it keeps the tree of\n"
        "organisations and each member's organisation from them, and goes on without membership once it has them.\n"
        "\n"
        "Limits: an activity lasts at most 31 days and has at most 1,000,000 places; a device may upload a scan 24 hours\n"
        "after it happened, 500 scans at once; check-in opens two hours before an activity's start.\n";

static const struct rpc_method methods[] = {
        ACTIVITY_V1_CREATE_CAMPAIGN(handle_create_campaign),
        ACTIVITY_V1_GET_CAMPAIGN(handle_get_campaign),
        ACTIVITY_V1_LIST_CAMPAIGNS(handle_list_campaigns),
        ACTIVITY_V1_UPDATE_CAMPAIGN(handle_update_campaign),
        ACTIVITY_V1_OPEN_CAMPAIGN(handle_open_campaign),
        ACTIVITY_V1_CLOSE_CAMPAIGN(handle_close_campaign),
        ACTIVITY_V1_GET_CAMPAIGN_COUNTS(handle_get_campaign_counts),
        ACTIVITY_V1_CREATE_ACTIVITY(handle_create_activity),
        ACTIVITY_V1_GET_ACTIVITY(handle_get_activity),
        ACTIVITY_V1_LIST_ACTIVITIES(handle_list_activities),
        ACTIVITY_V1_UPDATE_ACTIVITY(handle_update_activity),
        ACTIVITY_V1_OPEN_ACTIVITY(handle_open_activity),
        ACTIVITY_V1_CLOSE_ACTIVITY(handle_close_activity),
        ACTIVITY_V1_CANCEL_ACTIVITY(handle_cancel_activity),
        ACTIVITY_V1_CREATE_REGISTRATION(handle_create_registration),
        ACTIVITY_V1_GET_REGISTRATION(handle_get_registration),
        ACTIVITY_V1_LIST_REGISTRATIONS(handle_list_registrations),
        ACTIVITY_V1_LIST_MEMBER_REGISTRATIONS(handle_list_member_registrations),
        ACTIVITY_V1_CANCEL_REGISTRATION(handle_cancel_registration),
        ACTIVITY_V1_CREATE_CHECKIN_PREPARED(prepare_create_checkin, handle_create_checkin),
        ACTIVITY_V1_BATCH_CREATE_CHECKINS_PREPARED(prepare_batch_create_checkins, handle_batch_create_checkins),
        ACTIVITY_V1_LIST_CHECKINS(handle_list_checkins),
        {0},
};

static const struct rpc_due_kind due[] = {
        {"activity.end", due_end_activity},
        {"activity.promote", due_promote},
        {DUE_ERASE, due_erase},
        {0},
};

static const struct rpc_service activity = {
        .name = "activity",
        .methods = methods,
        .migrations = activity_migrations,
        .consumers = activity_consumers,
        .snapshots = activity_snapshots,
        .due = due,
        .organization_path = organization_path,
};

int main(int argc, char **argv)
{
        static const struct service_spec spec = {.rpc = &activity, .about = about};
        return service_main(&spec, argc, argv);
}
