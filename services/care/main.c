/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-care: programmes, recipients, cases, the work that they make, insurance, and the money. This file is its manual
 * and tables.
 */
#include "common/service/service.h"
#include "handle.h"
#include "handle_programme.h"
#include "handle_ledger.h"
#include "figure.h"
#include "handle_payment.h"
#include "handle_policy.h"
#include "handle_case.h"
#include "handle_recipient.h"
#include "import.h"
#include "ledger_chain.h"
#include "snapshot.h"
#include "state.h"
#include "work.h"

static const char about[] =
        "Serves those whom programmes are for: recipients, what they are granted and why, and the ledger that pays it.\n"
        "\n"
        "Needs a store of its own, the keyring (what is sensitive about a person is sealed under a key of their own, which\n"
        "the keyring wraps; it signs the ledger's chain), a folder outside the store for the ledger's checkpoints, best on\n"
        "another disk, and membership's events: it keeps the tree of organisations, members, their consents and what\n"
        "accounts may from them, and goes on without membership once it has them.\n"
        "\n"
        "Limits: a recipient has at most 100 flags; 100 transfers at once; a trace tells at most 1,000 parts;\n"
        "a list of persons 1 GiB, chunks 256 KiB, a row 16 KiB; a payment batch 5,000, the bank's answer 16 MiB.\n";

/* --- schema: a file a room --------------------------------------------------------------------------------------- */

STORE_SCHEMA(care_schema_001, "services/care/schema/001_core.sql");
STORE_SCHEMA(care_schema_002, "services/care/schema/002_programme.sql");
STORE_SCHEMA(care_schema_003, "services/care/schema/003_ledger.sql");
STORE_SCHEMA(care_schema_004, "services/care/schema/004_case.sql");
STORE_SCHEMA(care_schema_005, "services/care/schema/005_payment.sql");
STORE_SCHEMA(care_schema_006, "services/care/schema/006_policy.sql");
STORE_SCHEMA(care_schema_007, "services/care/schema/007_work.sql");

static const struct store_migration migrations[] = {
        {"care/001_core", care_schema_001},
        {"care/002_programme", care_schema_002},
        {"care/003_ledger", care_schema_003},
        {"care/004_case", care_schema_004},
        {"care/005_payment", care_schema_005},
        {"care/006_policy", care_schema_006},
        {"care/007_work", care_schema_007},
        IMPORTS_MIGRATIONS("care"),
        {0},
};

/* --- requests ---------------------------------------------------------------------------------------------------- */

static const struct rpc_method methods[] = {
        /* programmes and calendars */
        CARE_V1_CREATE_PROGRAMME_VERSION(handle_create_programme_version),
        CARE_V1_ACTIVATE_PROGRAMME_VERSION(handle_activate_programme_version),
        CARE_V1_GET_PROGRAMME(handle_get_programme),
        CARE_V1_LIST_PROGRAMMES(handle_list_programmes),
        CARE_V1_EVALUATE_PROGRAMME(handle_evaluate_programme),
        CARE_V1_SET_WORK_CALENDAR(handle_set_work_calendar),
        CARE_V1_GET_WORK_CALENDAR(handle_get_work_calendar),

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
        /* cases and tasks */
        CARE_V1_OPEN_CASE(handle_open_case),
        CARE_V1_GET_CASE(handle_get_case),
        CARE_V1_LIST_CASES(handle_list_cases),
        CARE_V1_LIST_RECIPIENT_CASES(handle_list_recipient_cases),
        CARE_V1_ACT_ON_CASE(handle_act_on_case),
        CARE_V1_REVEAL_CASE(handle_reveal_case),
        CARE_V1_LIST_STEPS(handle_list_steps),
        CARE_V1_SET_CONTACT(handle_set_contact),
        CARE_V1_END_CONTACT(handle_end_contact),
        CARE_V1_TRANSFER_CASE(handle_transfer_case),
        CARE_V1_ANSWER_TRANSFER(handle_answer_transfer),
        CARE_V1_GRANT_CASE_ACCESS(handle_grant_case_access),
        CARE_V1_END_CASE_ACCESS(handle_end_case_access),
        CARE_V1_LIST_NOTICES(handle_list_notices),
        CARE_V1_RAISE_OBJECTION(handle_raise_objection),
        CARE_V1_SETTLE_OBJECTION(handle_settle_objection),
        CARE_V1_REPLAY_DECISIONS(handle_replay_decisions),
        CARE_V1_LIST_TASKS(handle_list_tasks),
        CARE_V1_ASSIGN_TASK(handle_assign_task),
        CARE_V1_COMPLETE_TASK(handle_complete_task),

        /* visits and assessments */
        CARE_V1_PLAN_VISIT(handle_plan_visit),
        CARE_V1_BATCH_RECORD_VISITS(handle_batch_record_visits),
        CARE_V1_IMPORT_VISITS(handle_import_visits),
        CARE_V1_LIST_VISITS(handle_list_visits),
        CARE_V1_RECORD_ASSESSMENT(handle_record_assessment),

        /* the ledger */
        CARE_V1_CREATE_FUND(handle_create_fund),
        CARE_V1_GET_FUND(handle_get_fund),
        CARE_V1_RECORD_DONOR_CONSENT(handle_record_donor_consent),
        CARE_V1_OPEN_LEDGER_ACCOUNT(handle_open_ledger_account),
        CARE_V1_GET_LEDGER_ACCOUNT(handle_get_ledger_account),
        CARE_V1_LIST_LEDGER_ACCOUNTS(handle_list_ledger_accounts),
        CARE_V1_CREATE_TRANSFERS(handle_create_transfers),
        CARE_V1_LIST_TRANSFERS(handle_list_transfers),
        CARE_V1_TRACE_TRANSFER(handle_trace_transfer),
        CARE_V1_GET_RECEIPT(handle_get_receipt),
        CARE_V1_GET_LEDGER_STATE(handle_get_ledger_state),

        /* payments */
        CARE_V1_LIST_PAYMENTS(handle_list_payments),
        CARE_V1_CREATE_PAYMENT_BATCH(handle_create_payment_batch),
        CARE_V1_GET_PAYMENT_BATCH(handle_get_payment_batch),
        CARE_V1_LIST_BANK_ORDERS(handle_list_bank_orders),
        CARE_V1_IMPORT_BANK_ANSWERS(handle_import_bank_answers),
        CARE_V1_SETTLE_PAYMENT(handle_settle_payment),
        CARE_V1_LIST_DISCLOSURES(handle_list_disclosures),
        CARE_V1_GET_CARE_FIGURES(handle_get_care_figures),

        /* insurance, and lists that are imported */
        CARE_V1_CREATE_POLICY_GROUP(handle_create_policy_group),
        CARE_V1_GET_POLICY_GROUP(handle_get_policy_group),
        CARE_V1_LIST_POLICY_GROUPS(handle_list_policy_groups),
        CARE_V1_GET_POLICY_FIGURES(handle_get_policy_figures),
        CARE_V1_IMPORT_POLICIES(handle_import_policies),
        CARE_V1_LIST_POLICIES(handle_list_policies),
        CARE_V1_RECORD_PAYOUT(handle_record_payout),
        CARE_V1_GET_CARE_OPERATION(handle_get_care_operation),
        CARE_V1_LIST_CARE_OPERATION_ERRORS(handle_list_care_operation_errors),
        {0},
};

/* --- what falls due ---------------------------------------------------------------------------------------------- */

static const struct rpc_due_kind due[] = {
        {DUE_EXPIRE, due_expire},
        {DUE_LEDGER_CHECKPOINT, due_ledger_checkpoint},
        {DUE_CARE_IMPORT, due_care_import},
        IMPORTS_DUE,
        {DUE_CASE, due_case},
        {DUE_TASK, due_task},
        {DUE_CONTACTS, due_contacts},
        {DUE_GONE, due_gone},
        {DUE_MOVED, due_moved},
        {0},
};

static const struct rpc_service care = {
        .name = "care",
        .methods = methods,
        .migrations = migrations,
        .consumers = care_consumers,
        .snapshots = care_snapshots,
        .due = due,
        .organization_path = organization_path,
};

static struct care_options options = {.checkpoints = "var/ledger"};

static const struct config_option own_options[] = {
        {"checkpoints", "FOLDER", "signed checkpoints of the ledger, outside its store (default: var/ledger)", CONFIG_TEXT, &options.checkpoints, 0, 0},
        {0},
};

static int start(void **ret_state, const char **ret_error)
{
        (void)ret_error;
        *ret_state = care_state_new(&options);
        return 0;
}

static void stop(void *state)
{
        care_state_free(state);
}

int main(int argc, char **argv)
{
        static const struct service_spec spec = {.rpc = &care, .about = about, .options = own_options, .start = start, .stop = stop};
        return service_main(&spec, argc, argv);
}
