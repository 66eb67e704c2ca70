/* SPDX-License-Identifier: Apache-2.0
 *
 * stream webhook, stream redrive: the addresses that are sent an agency's events.
 */
#include "services/cli/cli.h"

const struct command commands_webhook[] = {
        {"stream webhook add", "AGENCY URL [CURSOR]", "an address that is sent its events, from a cursor or from now on; its secret is shown once", "CreateEndpoint", {"endpoint.agency", "endpoint.url", "cursor"}, NULL, NULL},
        {"stream webhook list", "[AGENCY]", "endpoints, and how far they are behind", "ListEndpoints", {"agency"}, "id agency url state behind reason", NULL},
        {"stream webhook show", "ENDPOINT", "one endpoint", "GetEndpoint", {"endpoint"}, NULL, NULL},
        {"stream webhook log", "ENDPOINT", "its deliveries, newest first; --set deadOnly=true: what can never be sent", "ListDeliveries", {"endpoint"}, "time seq attempt status tookMs dead error", NULL},
        {"stream webhook pause", "ENDPOINT", "sends nothing until it is resumed; its cursor stays", "PauseEndpoint", {"endpoint"}, NULL, NULL},
        {"stream webhook resume", "ENDPOINT [CURSOR]", "goes on where it stood, or from a cursor; at once, if it waits for a retry", "ResumeEndpoint", {"endpoint", "cursor"}, NULL, NULL},
        {"stream webhook rotate", "ENDPOINT", "a new secret; the one before signs for 24 hours more", "RotateEndpointSecret", {"endpoint"}, NULL, NULL},
        {"stream webhook delete", "ENDPOINT", "forgets it and its deliveries", "DeleteEndpoint", {"endpoint"}, NULL, NULL},
        {"stream redrive", "ENDPOINT FROM THROUGH", "sends events, by their sequences, once more", "RedriveEndpoint", {"endpoint", "from", "through"}, NULL, NULL},
        {0},
};
