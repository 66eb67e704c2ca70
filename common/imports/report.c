/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of an import: the texts of faults, how far it is, and what it refused.
 */
#include "common/imports/internal.h"

#include <inttypes.h>

#define ERRORS_SHOWN 20
#define LISTED_MAX   1000
#define MAX_REPORT   10000 /* refused rows that are kept; all are counted */

static const struct import_fault_text faults[IMPORT_N_FAULTS] = {
        [IMPORT_TOO_LONG] = {"row-too-long", "The row is too long; is a quote not closed?",
                "该行过长，可能有未闭合的引号。"},
        [IMPORT_TOO_MANY_FIELDS] = {"too-many-fields", "The row has too many fields.",
                "该行字段过多。"},
        [IMPORT_QUOTE] = {"quote", "A quote stands where none may stand.",
                "引号位置有误。"},
        [IMPORT_ENCODING] = {"encoding", "The row is neither UTF-8 nor GB18030.",
                "该行既非 UTF-8 也非 GB18030 编码。"},
        [IMPORT_COLUMN_MISSING] = {"column-missing", "The header lacks this column.",
                "表头缺少该列。"},
        [IMPORT_NAME] = {"name-invalid", "The name is empty, too long or has invalid characters.",
                "名称为空、过长或含有无效字符。"},
        [IMPORT_OUT_OF_SCOPE] = {"out-of-scope", "It is outside your organisation.",
                "超出您的组织范围。"},
        [IMPORT_ORGANIZATION_UNKNOWN] = {"organization-unknown", "There is no such organisation.",
                "组织不存在。"},
        [IMPORT_ID_NUMBER] = {"id-number-invalid", "Its length, date of birth or check digit is wrong.",
                "身份证号长度、出生日期或校验码有误。"},
        [IMPORT_PHONE] = {"phone-invalid", "It is no mobile number of the mainland.",
                "不是有效的中国大陆手机号。"},
        [IMPORT_DATE] = {"date-invalid", "A date is written as 2026-05-29.",
                "日期格式应为 2026-05-29。"},
        [IMPORT_EMPTY_FILE] = {"empty", "The file has no rows.",
                "文件没有内容。"},
        [IMPORT_ORGANIZATION_NOT_VALID] = {"organization-not-valid", "The organisation has not begun or has ended: it takes nothing new.",
                "组织尚未生效或已失效，不能新增内容。"},
        [IMPORT_PERSON_TWICE] = {"person-twice", "An earlier row has this ID number with another name or organisation.",
                "文件中前面的行已有该身份证号，但姓名或组织不同。"},
};

static const struct import_fault_text *text_of(const struct imports *imports, int fault)
{
        if (fault > 0 && fault < imports->n_faults && imports->faults[fault].code)
                return &imports->faults[fault];
        return &faults[fault > 0 && fault < IMPORT_N_FAULTS && faults[fault].code ? fault : IMPORT_QUOTE];
}

int import_refuse(struct rpc_call *call, struct import *import, const struct import_kind *kind, int64_t row, int fault,
                  size_t column)
{
        struct import_error error = {
                .row = row,
                .fault = fault,
                .column = (char *)(column < kind->n_columns ? kind->columns[column].name : ""),
        };
        import->refused++;
        return import->refused > MAX_REPORT ? 0 : import_error_add(rpc_db(call), import->id, &error);
}

int import_refuse_row(struct import_step *step, const struct csv_row *row, int fault, size_t column)
{
        return import_refuse(step->call, step->import, step->kind, row->number, fault, column);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static OperationError **errors_new(struct rpc_call *call, const struct imports *imports, const struct import_error *errors, size_t n)
{
        struct arena *arena = rpc_arena(call);
        OperationError **list = ARENA_ARRAY(arena, OperationError *, n);
        for (size_t i = 0; i < n; i++) {
                const struct import_fault_text *text = text_of(imports, errors[i].fault);
                list[i] = message_new(arena, &membership_v1_operation_error_msg);
                list[i]->row = (int32_t)errors[i].row;
                list[i]->column = errors[i].column;
                list[i]->code = (char *)text->code;
                list[i]->detail = (char *)text->text;
                list[i]->detail_zh = (char *)text->text_zh;
        }
        return list;
}

int import_fill(struct rpc_call *call, const struct imports *imports, const struct import *import, Operation *response)
{
        struct import_error errors[ERRORS_SHOWN];
        size_t n = 0;
        int r = import_error_list(rpc_db(call), rpc_arena(call), import->id, 0, ERRORS_SHOWN, errors, &n);
        response->id = import->id;
        response->state = (Operation__State)import->state;
        response->validate_only = import->validate_only;
        response->rows_total = (int32_t)(import->ended || !import->total ? import->total : import->total - 1);
        response->rows_accepted = (int32_t)import->accepted;
        response->rows_unchanged = (int32_t)import->unchanged;
        response->rows_refused = (int32_t)import->refused;
        response->rows_done = response->rows_accepted + response->rows_unchanged + response->rows_refused;
        response->bytes_received = (int32_t)import->size;
        response->create_time = rpc_timestamp(call, import->created);
        response->end_time = rpc_timestamp(call, import->ended);
        response->n_errors = n;
        response->errors = errors_new(call, imports, errors, n);
        return r;
}

/* Whoever started it sees it, the operator, and whom the service lets. */
static int find_import(struct rpc_call *call, const struct imports *imports, const char *id, struct import *ret)
{
        bool may = rpc_principal(call)->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR;
        int r = import_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r != 0)
                return r == -ENOENT ? rpc_refuse(call, PROBLEM(NOT_FOUND)) : r;
        rpc_require_nothing(call);
        may = may || strcmp(ret->owner, import_owner(call)) == 0;
        if (!may)
                r = imports->may_see(call, ret, &may);
        return r == 0 && !may ? rpc_refuse(call, PROBLEM(NOT_FOUND)) : r;
}

int imports_get_operation(struct rpc_call *call, const struct imports *imports, const GetOperationRequest *request,
                          Operation *response)
{
        struct import import;
        int r = find_import(call, imports, request->operation, &import);
        return r == 0 ? import_fill(call, imports, &import, response) : r;
}

int imports_list_errors(struct rpc_call *call, const struct imports *imports, const ListOperationErrorsRequest *request,
                        ListOperationErrorsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct import import;
        struct import_error *errors = ARENA_ARRAY(arena, struct import_error, LISTED_MAX + 1);
        struct str key, what = str_of(request->operation);
        int64_t after = 0, size = rpc_page_size(request->page_size);
        size_t n = 0;
        int r = find_import(call, imports, request->operation, &import);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, what, &key);
        if (r == 0 && key.n && str_to_i64(key, 0, INT64_MAX, &after) != 0)
                return rpc_refuse(call, PROBLEM(PAGE_TOKEN_INVALID));
        if (r == 0)
                r = import_error_list(rpc_db(call), arena, import.id, after, (size_t)size + 1, errors, &n);
        if (r != 0)
                return r;
        if (n > (size_t)size) {
                n = (size_t)size;
                char *last = arena_printf(arena, "%" PRId64, errors[n - 1].row);
                response->next_page_token = rpc_page_token(call, what, str_of(last));
        }
        response->n_errors = n;
        response->errors = errors_new(call, imports, errors, n);
        return 0;
}
