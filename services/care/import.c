/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of what this service imports, and how far it is.
 */
#include "import.h"

#include "handle.h"

static const struct import_fault_text faults[CARE_N_FAULTS] = {
        [CARE_FAULT_NAME_DIFFERS] = {"name-differs", "This ID number belongs to a person of another name.",
                                     "该身份证号已属于其他姓名的对象。"},
        [CARE_FAULT_NOT_ACTIVE] = {"recipient-not-active", "The person has left or died.", "该对象已迁出或死亡。"},
        [CARE_FAULT_RECIPIENT_UNKNOWN] = {"recipient-unknown", "Nobody with this ID number lives there.", "该组织没有此身份证号的对象。"},
        [CARE_FAULT_DUE_DATE] = {"due-date-out-of-range", "A visit is planned from today on, two years ahead at most.",
                                 "走访日期须自今日起两年以内。"},
        [CARE_FAULT_PAYMENT_UNKNOWN] = {"payment-unknown", "No payment of this batch has this number.", "本批次没有该编号的款项。"},
        [CARE_FAULT_AMOUNT_INVALID] = {"amount-invalid", "An amount is written as 1200.00.", "金额格式应为 1200.00。"},
        [CARE_FAULT_AMOUNT_DIFFERS] = {"amount-differs", "The payment's amount is another.", "金额与该笔款项不符。"},
        [CARE_FAULT_STATUS_INVALID] = {"status-invalid", "A status is paid, returned or unknown.", "状态须为成功、失败、未知之一。"},
        [CARE_FAULT_ANSWERED_OTHERWISE] = {"answered-otherwise", "The bank has said otherwise of it before.", "银行此前对该笔款项的答复与此不同。"},
        [CARE_FAULT_NOT_RESERVED] = {"not-reserved", "What was set aside for it was given back.", "该笔款项的预留资金已退回。"},
};

static const struct import_column policy_columns[POLICY_N_COLUMNS] = {
        {"id_number", "身份证号", false},
        {"name", "姓名", false},
        {"organization", "组织代码", true},
};

static const struct import_column answer_columns[ANSWER_N_COLUMNS] = {
        {"number", "编号", false},
        {"amount", "金额", false},
        {"status", "状态", false},
        {"reason", "原因", true},
};

static const struct import_column visit_columns[LISTED_N_COLUMNS] = {
        {"id_number", "身份证号", false},
        {"name", "姓名", false},
        {"due_date", "日期", false},
};

static const struct import_kind kinds[] = {
        [CARE_IMPORT_POLICIES] = {.number = 1,
                                  .most_bytes = 1ll << 30,
                                  .columns = policy_columns,
                                  .n_columns = POLICY_N_COLUMNS,
                                  .due = DUE_CARE_IMPORT,
                                  .prepare = import_policies_prepare,
                                  .take = import_policies_take},
        [CARE_IMPORT_ANSWERS] = {.number = 2,
                                 .most_bytes = 16ll << 20,
                                 .columns = answer_columns,
                                 .n_columns = ANSWER_N_COLUMNS,
                                 .due = DUE_CARE_IMPORT,
                                 .prepare = import_answers_prepare,
                                 .take = import_answers_take},
        [CARE_IMPORT_VISITS] = {.number = 3,
                                .most_bytes = 1ll << 30,
                                .columns = visit_columns,
                                .n_columns = LISTED_N_COLUMNS,
                                .due = DUE_CARE_IMPORT,
                                .prepare = import_visits_prepare,
                                .take = import_visits_take},
        {0},
};

static const char *const permissions[] = {
        [CARE_IMPORT_POLICIES] = "policy.write",
        [CARE_IMPORT_ANSWERS] = "payment.write",
        [CARE_IMPORT_VISITS] = "visit.write",
};

/* Whoever may begin such a one there. */
static int may_see(struct rpc_call *call, const struct import *import, bool *ret)
{
        struct organization o;
        int r = organization_load(rpc_db(call), rpc_arena(call), str_of(import->organization), &o);
        *ret = false;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(permissions); i++)
                *ret = *ret || (kinds[i].number == import->kind && rpc_allows(call, permissions[i], str_of(o.path)));
        return r == CARE_E_ABSENT ? 0 : r;
}

const struct imports care_imports = {kinds, faults, CARE_N_FAULTS, may_see};

int due_care_import(struct rpc_call *call, const char *id, struct str payload)
{
        (void)payload;
        return imports_step(call, &care_imports, id);
}

int handle_get_care_operation(struct rpc_call *call, const Nuanxin__Membership__V1__GetOperationRequest *request,
                              Nuanxin__Membership__V1__Operation *response)
{
        return imports_get_operation(call, &care_imports, request, response);
}

int handle_list_care_operation_errors(struct rpc_call *call, const Nuanxin__Membership__V1__ListOperationErrorsRequest *request,
                                      Nuanxin__Membership__V1__ListOperationErrorsResponse *response)
{
        return imports_list_errors(call, &care_imports, request, response);
}
