/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of what membership imports, and how far it is.
 */
#include "services/membership/import.h"

#include "services/membership/rules.h"

static const struct import_fault_text faults[ROW_N_FAULTS] = {
        [ROW_CODE] = {"code-invalid", "A code has 2 to 32 digits or letters.",
                "代码须为 2 至 32 位数字或字母。"},
        [ROW_KIND] = {"level-invalid", "The level is province, city, county, township or village.",
                "级别须为省、市、县、乡、村之一。"},
        [ROW_PARENT_UNKNOWN] = {"parent-unknown", "The parent is neither in the file nor there already.",
                "上级组织不在文件中，也不存在。"},
        [ROW_LEVEL] = {"level-mismatch", "The level must be below the parent's.",
                "级别须低于上级。"},
        [ROW_DUPLICATE] = {"duplicate", "Another row has this code and says otherwise.",
                "文件中有相同代码但内容不同的行。"},
        [ROW_DIFFERS] = {"differs", "It is there with another parent or level; move it instead.",
                "该组织已存在且上级或级别不同，请使用移动操作。"},
        [ROW_MEMBER_EXISTS] = {"member-exists", "This ID number belongs to a member elsewhere or by another name.",
                "该身份证号已属于其他组织或其他姓名的会员。"},
};

static const struct import_column organization_columns[ORGANIZATION_N_COLUMNS] = {
        {"code", "代码", false},
        {"parent_code", "上级代码", false},
        {"level", "级别", false},
        {"name", "名称", false},
};
static const struct import_column member_columns[MEMBER_N_COLUMNS] = {
        {"organization", "组织代码", false}, {"name", "姓名", false},         {"id_number", "身份证号", false},
        {"phone", "手机号", true},           {"join_date", "入会日期", true},
};

static const struct import_kind kinds[] = {
        [IMPORT_ORGANIZATIONS] = {.number = 1,
                                  .most_bytes = 16 << 20,
                                  .columns = organization_columns,
                                  .n_columns = ORGANIZATION_N_COLUMNS},
        [IMPORT_MEMBERS] = {.number = 2,
                            .most_bytes = 1ll << 30,
                            .columns = member_columns,
                            .n_columns = MEMBER_N_COLUMNS,
                            .due = DUE_IMPORT_MEMBERS,
                            .prepare = import_members_prepare,
                            .take = import_members_take},
        {0},
};

/* Whoever keeps members where it runs. */
static int may_see(struct rpc_call *call, const struct import *import, bool *ret)
{
        struct organization o;
        int r = import->organization[0]
                        ? organization_get(rpc_db(call), rpc_arena(call), str_of(import->organization), &o)
                        : -ENOENT;
        *ret = r == 0 && rpc_allows(call, "member.write", str_of(o.path));
        return r == -ENOENT ? 0 : r;
}

const struct imports membership_imports = {kinds, faults, ROW_N_FAULTS, may_see};

int import_members_step(struct rpc_call *call, const char *id, struct str payload)
{
        (void)payload;
        return imports_step(call, &membership_imports, id);
}

int handle_get_operation(struct rpc_call *call, const GetOperationRequest *request, Operation *response)
{
        return imports_get_operation(call, &membership_imports, request, response);
}

int handle_list_operation_errors(struct rpc_call *call, const ListOperationErrorsRequest *request,
                                 ListOperationErrorsResponse *response)
{
        return imports_list_errors(call, &membership_imports, request, response);
}
