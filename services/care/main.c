/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-care: programmes, recipients, cases, the work that they make, insurance, and the money. This file is its manual
 * and tables.
 */
#include "common/service/service.h"
#include "handle.h"
#include "handle_recipient.h"

static const char about[] =
        "Serves those whom programmes are for: recipients, what they are granted and why, and the ledger that pays it.\n"
        "\n"
        "Needs a store of its own, the keyring (what is sensitive about a person is sealed under a key of their own, which\n"
        "the keyring wraps), and membership's events: it keeps the tree of organisations, members, their consents and what\n"
        "accounts may from them, and goes on without membership once it has them.\n"
        "\n"
        "Limits: a recipient has at most 100 flags.\n";

/* --- schema: a file a room --------------------------------------------------------------------------------------- */

STORE_SCHEMA(care_schema_001, "services/care/schema/001_core.sql");

static const struct store_migration migrations[] = {
        {"care/001_core", care_schema_001},
        {0},
};

/* --- requests ---------------------------------------------------------------------------------------------------- */

static const struct rpc_method methods[] = {
        /* recipients */
        CARE_V1_CREATE_RECIPIENT(handle_create_recipient),
        CARE_V1_GET_RECIPIENT(handle_get_recipient),
        CARE_V1_LIST_RECIPIENTS(handle_list_recipients),
        CARE_V1_UPDATE_RECIPIENT(handle_update_recipient),
        CARE_V1_REVEAL_RECIPIENT(handle_reveal_recipient),
        CARE_V1_ERASE_RECIPIENT(handle_erase_recipient),
        CARE_V1_ADD_FLAG(handle_add_flag),
        CARE_V1_LIFT_FLAG(handle_lift_flag),
        CARE_V1_LIST_FLAGS(handle_list_flags),
        {0},
};

static const struct rpc_service care = {
        .name = "care",
        .methods = methods,
        .migrations = migrations,
        .consumers = care_consumers,
        .organization_path = organization_path,
};

int main(int argc, char **argv)
{
        return service_main(&(struct service_spec){.rpc = &care, .about = about}, argc, argv);
}
