/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-membership: organisations, members, consents, accounts, sessions' rights, clients. This file is its manual
 * and tables.
 */
#include "common/service/service.h"
#include "services/membership/count.h"
#include "services/membership/import.h"

static const char about[] =
        "Owns the tree of organisations, the members and what they consent to, the accounts and API clients, and says who a\n"
        "session is.\n"
        "Counts over subtrees follow the service's own events. Imports go on after a restart where they were.\n"
        "\n"
        "Limits: an organisation file 16 MiB, a member file 1 GiB, chunks 256 KiB, a row 16 KiB.\n";

STORE_SCHEMA(membership_schema_001, "services/membership/schema/001_core.sql");
STORE_SCHEMA(membership_schema_002, "services/membership/schema/002_state_since.sql");
STORE_SCHEMA(membership_schema_003, "services/membership/schema/003_consent.sql");

static const struct store_migration migrations[] = {
        {"membership/001_core", membership_schema_001},
        {"membership/002_state_since", membership_schema_002},
        {"membership/003_consent", membership_schema_003},
        IMPORTS_MIGRATIONS("membership"),
        {0},
};

static const struct rpc_method methods[] = {
        MEMBERSHIP_V1_GET_ORGANIZATION(handle_get_organization),
        MEMBERSHIP_V1_LIST_ORGANIZATIONS(handle_list_organizations),
        MEMBERSHIP_V1_CREATE_ORGANIZATION(handle_create_organization),
        MEMBERSHIP_V1_UPDATE_ORGANIZATION(handle_update_organization),
        MEMBERSHIP_V1_MOVE_ORGANIZATION(handle_move_organization),
        MEMBERSHIP_V1_GET_ORGANIZATION_COUNTS(handle_get_organization_counts),
        MEMBERSHIP_V1_IMPORT_ORGANIZATIONS(handle_import_organizations),

        MEMBERSHIP_V1_APPLY_MEMBER(handle_apply_member),
        MEMBERSHIP_V1_APPROVE_MEMBER(handle_approve_member),
        MEMBERSHIP_V1_SUSPEND_MEMBER(handle_suspend_member),
        MEMBERSHIP_V1_RESUME_MEMBER(handle_resume_member),
        MEMBERSHIP_V1_END_MEMBER(handle_end_member),
        MEMBERSHIP_V1_MARK_MEMBER_DECEASED(handle_mark_member_deceased),
        MEMBERSHIP_V1_GET_MEMBER(handle_get_member),
        MEMBERSHIP_V1_LIST_MEMBERS(handle_list_members),
        MEMBERSHIP_V1_UPDATE_MEMBER(handle_update_member),
        MEMBERSHIP_V1_REVEAL_MEMBER(handle_reveal_member),
        MEMBERSHIP_V1_EXPORT_MEMBER_DATA(handle_export_member_data),
        MEMBERSHIP_V1_ERASE_MEMBER(handle_erase_member),
        MEMBERSHIP_V1_FIND_MEMBERS(handle_find_members),
        MEMBERSHIP_V1_GET_MEMBER_CARD(handle_get_member_card),
        MEMBERSHIP_V1_IMPORT_MEMBERS(handle_import_members),

        MEMBERSHIP_V1_GET_OPERATION(handle_get_operation),
        MEMBERSHIP_V1_LIST_OPERATION_ERRORS(handle_list_operation_errors),

        MEMBERSHIP_V1_GIVE_CONSENT(handle_give_consent),
        MEMBERSHIP_V1_WITHDRAW_CONSENT(handle_withdraw_consent),
        MEMBERSHIP_V1_LIST_CONSENTS(handle_list_consents),

        MEMBERSHIP_V1_CREATE_ACCOUNT_PREPARED(prepare_create_account, handle_create_account),
        MEMBERSHIP_V1_GET_ACCOUNT(handle_get_account),
        MEMBERSHIP_V1_LIST_ACCOUNTS(handle_list_accounts),
        MEMBERSHIP_V1_SET_ACCOUNT_GRANTS(handle_set_account_grants),
        MEMBERSHIP_V1_SET_ACCOUNT_PASSWORD_PREPARED(prepare_set_account_password, handle_set_account_password),
        MEMBERSHIP_V1_DISABLE_ACCOUNT(handle_disable_account),
        MEMBERSHIP_V1_ENABLE_ACCOUNT(handle_enable_account),
        MEMBERSHIP_V1_REVOKE_ACCOUNT_SESSIONS(handle_revoke_account_sessions),
        MEMBERSHIP_V1_CREATE_SESSION_PREPARED(prepare_create_session, handle_create_session),
        MEMBERSHIP_V1_DELETE_SESSION(handle_delete_session),
        MEMBERSHIP_V1_EXCHANGE_SESSION(handle_exchange_session),

        MEMBERSHIP_V1_CREATE_CLIENT(handle_create_client),
        MEMBERSHIP_V1_LIST_CLIENTS(handle_list_clients),
        MEMBERSHIP_V1_ROTATE_CLIENT_KEY(handle_rotate_client_key),
        MEMBERSHIP_V1_DISABLE_CLIENT(handle_disable_client),
        MEMBERSHIP_V1_ENABLE_CLIENT(handle_enable_client),
        MEMBERSHIP_V1_AUTHENTICATE_CLIENT(handle_authenticate_client),
        {0},
};

static const struct rpc_consumer consumers[] = {
        {.source = "membership", .name = "membership.counts", .apply = count_apply, .reset = count_reset},
        {0},
};

static const struct rpc_snapshot snapshots[] = {
        {.topic = "organization", .page = snapshot_organizations},
        {.topic = "member", .page = snapshot_members},
        {.topic = "erasure", .page = snapshot_erasures},
        {.topic = "consent", .page = snapshot_consents},
        {.topic = "account", .page = snapshot_accounts},
        {0},
};

static const struct rpc_due_kind due[] = {
        {.kind = DUE_IMPORT_MEMBERS, .run = import_members_step},
        IMPORTS_DUE,
        {.kind = DUE_FORGET_CONSENTS, .run = due_forget_consents},
        {0},
};

static const struct rpc_service service = {
        .name = "membership",
        .methods = methods,
        .migrations = migrations,
        .consumers = consumers,
        .snapshots = snapshots,
        .due = due,
        .organization_path = organization_path,
};

int main(int argc, char **argv)
{
        return service_main(&(struct service_spec){.rpc = &service, .about = about}, argc, argv);
}
