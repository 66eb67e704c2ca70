/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads arrive in chunks, each kept sealed as it is, and are read again row by row, from any row. The
 * report says of each refused row why.
 */
#include "services/membership/import.h"

#include "common/base/clock.h"

#include <inttypes.h>

#define STATE(name)  NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__##name
#define KEPT_US      (7 * CLOCK_DAY_US)
#define ERRORS_SHOWN 20
#define LISTED_MAX   1000

static const struct {
        const char *code, *text, *text_zh;
} faults[ROW_N_FAULTS] = {
        [ROW_TOO_LONG] = {"row-too-long", "The row is too long; is a quote not closed?",
                      "该行过长，可能有未闭合的引号。"},
        [ROW_TOO_MANY_FIELDS] = {"too-many-fields", "The row has too many fields.", "该行字段过多。"},
        [ROW_QUOTE] = {"quote", "A quote stands where none may stand.", "引号位置有误。"},
        [ROW_ENCODING] = {"encoding", "The row is neither UTF-8 nor GB18030.",
                      "该行既非 UTF-8 也非 GB18030 编码。"},
        [ROW_COLUMN_MISSING] = {"column-missing", "The header lacks this column.", "表头缺少该列。"},
        [ROW_CODE] = {"code-invalid", "A code has 2 to 32 digits or letters.", "代码须为 2 至 32 位数字或字母。"},
        [ROW_NAME] = {"name-invalid", "The name is empty, too long or has invalid characters.",
                  "名称为空、过长或含有无效字符。"},
        [ROW_KIND] = {"level-invalid", "The level is province, city, county, township or village.",
                  "级别须为省、市、县、乡、村之一。"},
        [ROW_PARENT_UNKNOWN] = {"parent-unknown", "The parent is neither in the file nor there already.",
                            "上级组织不在文件中，也不存在。"},
        [ROW_LEVEL] = {"level-mismatch", "The level must be below the parent's.", "级别须低于上级。"},
        [ROW_DUPLICATE] = {"duplicate", "Another row has this code and says otherwise.",
                       "文件中有相同代码但内容不同的行。"},
        [ROW_DIFFERS] = {"differs", "It is there with another parent or level; move it instead.",
                     "该组织已存在且上级或级别不同，请使用移动操作。"},
        [ROW_OUT_OF_SCOPE] = {"out-of-scope", "It is outside your organisation.", "超出您的组织范围。"},
        [ROW_ORGANIZATION_UNKNOWN] = {"organization-unknown", "There is no such organisation.", "组织不存在。"},
        [ROW_ID_NUMBER] = {"id-number-invalid", "Its length, date of birth or check digit is wrong.",
                       "身份证号长度、出生日期或校验码有误。"},
        [ROW_PHONE] = {"phone-invalid", "It is no mobile number of the mainland.", "不是有效的中国大陆手机号。"},
        [ROW_DATE] = {"date-invalid", "A date is written as 2026-05-29.", "日期格式应为 2026-05-29。"},
        [ROW_MEMBER_EXISTS] = {"member-exists",
                           "This ID number belongs to a member elsewhere or by another name.",
                           "该身份证号已属于其他组织或其他姓名的会员。"},
        [ROW_EMPTY_FILE] = {"empty", "The file has no rows.", "文件没有内容。"},
        [ROW_ORGANIZATION_NOT_VALID] = {"organization-not-valid",
                                    "The organisation has not begun or has ended: it takes nothing new.",
                                    "组织尚未生效或已失效，不能新增内容。"},
        [ROW_PERSON_TWICE] = {"person-twice",
                          "An earlier row has this ID number with another name or organisation.",
                          "文件中前面的行已有该身份证号，但姓名或组织不同。"},
};

enum row_fault import_fault_of(enum csv_fault fault)
{
        static const enum row_fault of[] = {[CSV_OK] = ROW_OK,
                                            [CSV_TOO_LONG] = ROW_TOO_LONG,
                                            [CSV_TOO_MANY_FIELDS] = ROW_TOO_MANY_FIELDS,
                                            [CSV_QUOTE] = ROW_QUOTE,
                                            [CSV_ENCODING] = ROW_ENCODING};
        return of[fault];
}

enum row_fault import_header_parse(const struct import_column *columns, size_t n, const struct csv_row *row,
                                   struct import_header *ret, size_t *ret_missing)
{
        for (size_t c = 0; c < n; c++) {
                ret->at[c] = -1;
                for (size_t f = 0; f < row->n && ret->at[c] < 0; f++) {
                        struct str title = str_trim(row->fields[f]);
                        if (str_case_eq(title, str_of(columns[c].name)) || str_is(title, columns[c].name_zh))
                                ret->at[c] = (int)f;
                }
                if (ret->at[c] < 0 && !columns[c].optional) {
                        *ret_missing = c;
                        return ROW_COLUMN_MISSING;
                }
        }
        return ROW_OK;
}

struct str import_field(const struct csv_row *row, const struct import_header *header, size_t column)
{
        int at = header->at[column];
        return at < 0 || (size_t)at >= row->n ? (struct str){0} : str_trim(row->fields[at]);
}

/* --- chunks in ------------------------------------------------------------------------------------------ */

static char *owner_of(struct rpc_call *call)
{
        const Principal *p = rpc_principal(call);
        return arena_printf(rpc_arena(call), "%d:%s", (int)p->kind, p->id);
}

static char *piece_context(struct arena *arena, const char *import, int64_t start)
{
        return arena_printf(arena, "import:%s:%" PRId64, import, start);
}

static int begin(struct rpc_call *call, const struct import_chunk *chunk, struct import *import)
{
        struct arena *arena = rpc_arena(call);
        *import = (struct import){
                .id = arena_strdup(arena, chunk->upload),
                .owner = owner_of(call),
                .organization = arena_strdup(arena, chunk->organization),
                .header = arena_strdup(arena, ""),
                .kind = chunk->kind,
                .state = STATE(UPLOADING),
                .validate_only = chunk->validate_only,
                .created = rpc_now(call),
        };
        int r = import_insert(rpc_db(call), import);
        return r == 0
                   ? rpc_due_add(call, "import-expire", import->id, rpc_now(call) + KEPT_US, (struct str){0})
                   : r;
}

static int64_t lines_in(struct str data)
{
        int64_t n = 0;
        for (const char *p = data.p, *end = p + data.n; data.n && (p = memchr(p, '\n', (size_t)(end - p)));
             p++)
                n++;
        return n;
}

static int append(struct rpc_call *call, const struct import_chunk *chunk, struct import *import)
{
        struct arena *arena = rpc_arena(call);
        int r = 0;
        if (chunk->data.n) {
                char *context = piece_context(arena, import->id, import->size);
                struct import_piece piece = {
                    .start = import->size,
                    .size = (int64_t)chunk->data.n,
                    .data = keyring_seal(arena, rpc_keyring(call), context, chunk->data),
                };
                r = import_piece_add(rpc_db(call), import->id, &piece);
        }
        import->size += (int64_t)chunk->data.n;
        import->utf8 = csv_utf8_scan(import->utf8, chunk->data);
        import->total += lines_in(chunk->data); /* about: until the rows are read */
        if (chunk->last)
                import->state = STATE(RUNNING);
        return r == 0 ? import_update(rpc_db(call), import) : r;
}

int import_receive(struct rpc_call *call, const struct import_chunk *chunk, struct import *ret_import,
                   bool *ret_complete)
{
        int r = import_get(rpc_db(call), rpc_arena(call), chunk->upload, ret_import);
        *ret_complete = false;
        if (r == -ENOENT && chunk->offset != 0)
                return rpc_refuse(call, PROBLEM(IMPORT_GAP), "0");
        if (r == -ENOENT)
                r = begin(call, chunk, ret_import);
        if (r != 0)
                return r;
        if (strcmp(ret_import->owner, owner_of(call)) != 0 || ret_import->kind != chunk->kind)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        int64_t end = chunk->offset + (int64_t)chunk->data.n;
        if (end > chunk->limit)
                return rpc_refuse(call, PROBLEM(IMPORT_TOO_LARGE),
                                  arena_printf(rpc_arena(call), "%" PRId64, chunk->limit));
        bool seen = chunk->data.n ? end <= ret_import->size : chunk->offset < ret_import->size;
        if (ret_import->state != STATE(UPLOADING) || (seen && !chunk->last))
                return 0;
        if (!seen && chunk->offset != ret_import->size)
                return rpc_refuse(call, PROBLEM(IMPORT_GAP),
                                  arena_printf(rpc_arena(call), "%" PRId64, ret_import->size));
        struct import_chunk rest = *chunk;
        if (seen)
                rest.data = (struct str){0};
        *ret_complete = chunk->last;
        return append(call, &rest, ret_import);
}

/* --- rows out ------------------------------------------------------------------------------------------- */

int import_read(struct rpc_call *call, const struct import *import, csv_row_fn on_row, void *arg)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(csv_freep) struct csv *csv = csv_new(import->utf8 == 0 ? CSV_UTF8 : CSV_GB18030,
                                                       import->next_row, import->next_offset, on_row, arg);
        int r = 0;
        for (int64_t offset = import->next_offset; offset < import->size && r == 0;) {
                struct import_piece piece;
                struct str plain;
                r = import_piece_at(rpc_db(call), arena, import->id, offset, &piece);
                if (r != 0)
                        return r == -ENOENT ? -EUCLEAN : r;
                r = keyring_open(arena, rpc_keyring(call), piece_context(arena, import->id, piece.start),
                                 piece.data, &plain);
                if (r != 0)
                        return r;
                size_t skip = (size_t)(offset - piece.start);
                r = csv_push(csv, str_bytes(plain.p + skip, plain.n - skip));
                offset = piece.start + piece.size;
        }
        return r == 0 ? csv_end(csv) : r;
}

int import_refuse(struct rpc_call *call, struct import *import, int64_t row, enum row_fault fault,
                  const char *column)
{
        struct import_error error = {.row = row, .fault = (int)fault, .column = (char *)column};
        import->refused++;
        return import->refused > IMPORT_MAX_REPORT ? 0 : import_error_add(rpc_db(call), import->id, &error);
}

int import_finish(struct rpc_call *call, struct import *import, Operation__State state)
{
        import->state = state;
        import->ended = rpc_now(call);
        import->total = import->accepted + import->unchanged + import->refused;
        if (state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__FAILED)
                import->accepted = 0; /* all or none: none */
        int r = import_pieces_drop(rpc_db(call), import->id, import->size);
        return r == 0 ? import_update(rpc_db(call), import) : r;
}

int import_expire(struct rpc_call *call, const char *id, struct str payload)
{
        (void)payload;
        return import_delete(rpc_db(call), id);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static OperationError **errors_new(struct rpc_call *call, const struct import_error *errors, size_t n)
{
        struct arena *arena = rpc_arena(call);
        OperationError **list = ARENA_ARRAY(arena, OperationError *, n);
        for (size_t i = 0; i < n; i++) {
                size_t fault = errors[i].fault > 0 && errors[i].fault < ROW_N_FAULTS ? (size_t)errors[i].fault
                                                                                     : ROW_QUOTE;
                list[i] = message_new(arena, &membership_v1_operation_error_msg);
                list[i]->row = (int32_t)errors[i].row;
                list[i]->column = errors[i].column;
                list[i]->code = (char *)faults[fault].code;
                list[i]->detail = (char *)faults[fault].text;
                list[i]->detail_zh = (char *)faults[fault].text_zh;
        }
        return list;
}

int import_fill(struct rpc_call *call, const struct import *import, Operation *response)
{
        struct import_error errors[ERRORS_SHOWN];
        size_t n = 0;
        int r = import_error_list(rpc_db(call), rpc_arena(call), import->id, 0, ERRORS_SHOWN, errors, &n);
        response->id = import->id;
        response->state = import->state;
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
        response->errors = errors_new(call, errors, n);
        return r;
}

/* Whoever started it sees it, the operator, and whoever keeps members where it runs. */
static int find_import(struct rpc_call *call, const char *id, struct import *ret)
{
        int r = import_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r != 0)
                return r == -ENOENT ? rpc_refuse(call, PROBLEM(NOT_FOUND)) : r;
        rpc_require_nothing(call);
        if (strcmp(ret->owner, owner_of(call)) == 0 ||
            rpc_principal(call)->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR)
                return 0;
        struct organization o;
        r = ret->organization[0]
                ? organization_get(rpc_db(call), rpc_arena(call), str_of(ret->organization), &o)
                : -ENOENT;
        if (r == 0 && rpc_allows(call, "member.write", str_of(o.path)))
                return 0;
        return r == 0 || r == -ENOENT ? rpc_refuse(call, PROBLEM(NOT_FOUND)) : r;
}

int handle_get_operation(struct rpc_call *call, const GetOperationRequest *request, Operation *response)
{
        struct import import;
        int r = find_import(call, request->operation, &import);
        return r == 0 ? import_fill(call, &import, response) : r;
}

int handle_list_operation_errors(struct rpc_call *call, const ListOperationErrorsRequest *request,
                                 ListOperationErrorsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct import import;
        struct import_error *errors = ARENA_ARRAY(arena, struct import_error, LISTED_MAX + 1);
        struct str key, what = str_of(request->operation);
        int64_t after = 0, size = rpc_page_size(request->page_size);
        size_t n = 0;
        int r = find_import(call, request->operation, &import);
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
        response->errors = errors_new(call, errors, n);
        return 0;
}
