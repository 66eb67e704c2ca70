/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-stream: the process that keeps the log of all that happened, and serves it to agencies.
 */
#include "common/service/service.h"
#include "services/stream/agencies.h"
#include "services/stream/checkpoint.h"
#include "services/stream/handle.h"
#include "services/stream/intake.h"
#include "services/stream/keep.h"
#include "services/stream/state.h"

#include <unistd.h>

static const char about[] =
        "Follows every service's outbox, gives each event its place in one log, and serves it to agencies.\n"
        "\n"
        "Needs a store of its own, the keyring (it signs the log's chain), and a folder outside the store for checkpoints,\n"
        "best on another disk. At least once, in one total order per log, without gaps, and acknowledged means fsynced.\n"
        "\n"
        "Limits: an event of a type that this build does not know holds its source up for an hour; then nobody sees it.\n"
        "A fetch looks at most at 4,096 events and gives at most 1,000 of them, or 1 MiB. What agencies get is kept in memory as\n"
        "they get it, 64 MiB of it, so that those who read the same cost little more than one. Webhooks: 16 endpoints an agency,\n"
        "1,000 in all, each with a request of its own under way; 20,000 bytes a delivery.\n";

STORE_SCHEMA(stream_schema_001, "services/stream/schema/001_log.sql");
STORE_SCHEMA(stream_schema_002, "services/stream/schema/002_agency.sql");
STORE_SCHEMA(stream_schema_003, "services/stream/schema/003_webhook.sql");

const struct store_migration stream_migrations[] = {
        {"stream/001_log", stream_schema_001},
        {"stream/002_agency", stream_schema_002},
        {"stream/003_webhook", stream_schema_003},
        {0},
};

static const struct rpc_method methods[] = {
        STREAM_V1_FETCH_EVENTS(handle_fetch_events),
        STREAM_V1_STREAM_EVENTS(handle_stream_events),
        STREAM_V1_FETCH_SNAPSHOT(handle_fetch_snapshot),
        STREAM_V1_GET_LOG(handle_get_log),
        STREAM_V1_CREATE_AGENCY(handle_create_agency),
        STREAM_V1_GET_AGENCY(handle_get_agency),
        STREAM_V1_LIST_AGENCIES(handle_list_agencies),
        STREAM_V1_UPDATE_AGENCY(handle_update_agency),
        STREAM_V1_SUSPEND_AGENCY(handle_suspend_agency),
        STREAM_V1_RESUME_AGENCY(handle_resume_agency),
        STREAM_V1_CREATE_AGENCY_KEY(handle_create_agency_key),
        STREAM_V1_REVOKE_AGENCY_KEY(handle_revoke_agency_key),
        STREAM_V1_AUTHENTICATE_AGENCY(handle_authenticate_agency),
        STREAM_V1_NOTE_POSITIONS(handle_note_positions),
        STREAM_V1_LIST_EDGE_KEYS(handle_list_edge_keys),
        STREAM_V1_CREATE_ENDPOINT(handle_create_endpoint),
        STREAM_V1_GET_ENDPOINT(handle_get_endpoint),
        STREAM_V1_LIST_ENDPOINTS(handle_list_endpoints),
        STREAM_V1_ROTATE_ENDPOINT_SECRET(handle_rotate_endpoint_secret),
        STREAM_V1_PAUSE_ENDPOINT(handle_pause_endpoint),
        STREAM_V1_RESUME_ENDPOINT(handle_resume_endpoint),
        STREAM_V1_DELETE_ENDPOINT(handle_delete_endpoint),
        STREAM_V1_REDRIVE_ENDPOINT(handle_redrive_endpoint),
        STREAM_V1_LIST_DELIVERIES(handle_list_deliveries),
        {0},
};

static const struct rpc_due_kind due[] = {
        {DUE_CHECKPOINT, due_checkpoint},
        {DUE_KEEP, due_keep},
        {DUE_ERASE, due_erase},
        {0},
};

static const struct rpc_service stream = {
        .name = "stream",
        .methods = methods,
        .migrations = stream_migrations,
        .consumers = stream_consumers,
        .due = due,
        .worker = &webhook_worker,
        .news = log_latest,
        .tick = position_tick,
        .notes = &position_notes,
};

#define KEPT_BYTES (32 << 20) /* of memory: batches are made and sent all the time */

static struct stream_options options = {.checkpoints = "var/checkpoints", .keep_days = 30, .keep_mib = 10240, .segment_mib = 64};

static const struct config_option own_options[] = {
        {"checkpoints", "FOLDER", "signed checkpoints of the log, outside its store (default: var/checkpoints)", CONFIG_TEXT, &options.checkpoints, 0, 0},
        {"keep-days", "N", "how long the log keeps an event (default: 30)", CONFIG_INT, &options.keep_days, 1, 36500},
        {"edge-bus", "FOLDER", "a socket there for this host's edge alone: it may fetch on it, and no more (default: none)", CONFIG_TEXT, &options.edge_bus, 0, 0},
        {"keep-mib", "N", "and at most so much of it (default: 10240)", CONFIG_INT, &options.keep_mib, 1, 1 << 30},
        {"segment-mib", "N", "memory for events as agencies get them (default: 64)", CONFIG_INT, &options.segment_mib, 1, 1 << 20},
        {"webhook-origin", "NAME", "who sends, as webhooks are told before the first event (default: this host's name)", CONFIG_TEXT, &options.webhook.origin, 0, 0},
        {"webhook-authorities", "PATH", "certificates (PEM) to trust beside the system's where webhooks are sent", CONFIG_TEXT, &options.webhook.authorities, 0, 0},
        {"webhook-allow-loopback", NULL, "for tests: webhooks on this host, by http too", CONFIG_FLAG, &options.webhook.allow_loopback, 0, 0},
        {0},
};

static bool is_host_name(const char *name)
{
        return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(name);
}

static int start(void **ret_state, const char **ret_error)
{
        static char host[256];
        if (!options.webhook.origin && gethostname(host, sizeof(host) - 1) == 0)
                options.webhook.origin = host;
        if (options.webhook.authorities && access(options.webhook.authorities, R_OK) < 0) {
                *ret_error = "--webhook-authorities: the file can't be read";
                return -errno;
        }
        if (!is_host_name(options.webhook.origin)) {
                *ret_error = "--webhook-origin: give a name of the DNS";
                return -EINVAL;
        }
        mem_keep(KEPT_BYTES);
        *ret_state = stream_state_new(&options);
        return 0;
}

static void stop(void *state)
{
        stream_state_free(state);
}

int main(int argc, char **argv)
{
        static const struct service_spec spec = {.rpc = &stream, .about = about, .options = own_options, .start = start, .stop = stop,
                                                 .edge_bus = &options.edge_bus};
        return service_main(&spec, argc, argv);
}
