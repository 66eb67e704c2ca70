/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports: one page in hand at a time.
 */
#include "services/gateway/export.h"

#include "common/contract/message.h"
#include "common/json/transcode.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "services/gateway/answer.h"
#include "services/gateway/decode.h"

#include <assert.h>
#include <stdlib.h>

#define PAGE_ITEMS 1000

struct export {
        bool csv;
        bool begun; /* the head has left: a failure can only cut */
        struct arena *arena; /* of the page in hand */
        struct buf token;    /* of the page to come */
        const struct contract_field *items;
        const ProtobufCFieldDescriptor *items_pb, *token_pb;
};

bool export_wanted(struct request *r)
{
        struct str accept = r->headers.values[HEADER_ACCEPT];
        bool csv = http_accepts(accept, "text/csv");
        if (!csv && !http_accepts(accept, "application/x-ndjson"))
                return false;
        r->export = mem_zalloc(sizeof(*r->export));
        r->export->csv = csv;
        r->export->arena = arena_new(64 * 1024);
        return true;
}

struct export *export_free(struct export *e)
{
        if (e) {
                arena_free(e->arena);
                buf_done(&e->token);
                free(e);
        }
        return NULL;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

/* A spreadsheet computes what begins so, on the machine of whoever opens it; a ' before makes it text. */
static bool is_formula(struct str text)
{
        return text.n && text.p[0] && strchr("=+-@\t\r", text.p[0]);
}

void export_cell(struct buf *out, struct str text)
{
        bool quote = false;
        for (size_t i = 0; i < text.n && !quote; i++)
                quote = text.p[i] == '"' || text.p[i] == ',' || text.p[i] == '\n' || text.p[i] == '\r';
        if (quote)
                buf_add_char(out, '"');
        if (is_formula(text))
                buf_add_char(out, '\'');
        for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] == '"')
                        buf_add_char(out, '"');
                buf_add_char(out, text.p[i]);
        }
        if (quote)
                buf_add_char(out, '"');
}

static bool is_column(const struct contract_message *type, unsigned i)
{
        const ProtobufCFieldDescriptor *f = &type->pb->fields[i];
        if (type->fields[i].internal || f->label == PROTOBUF_C_LABEL_REPEATED || f->type == PROTOBUF_C_TYPE_BYTES)
                return false;
        return f->type != PROTOBUF_C_TYPE_MESSAGE || type->fields[i].message->wkt == CONTRACT_WKT_TIMESTAMP;
}

static void write_cell(struct buf *out, const ProtobufCFieldDescriptor *f, const void *message)
{
        const void *at = (const char *)message + f->offset;
        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
                export_cell(out, str_of(*(char *const *)at));
                break;
        case PROTOBUF_C_TYPE_BOOL:
                buf_add_z(out, *(const protobuf_c_boolean *)at ? "true" : "false");
                break;
        case PROTOBUF_C_TYPE_ENUM: {
                const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
                if (v)
                        buf_add_z(out, v->name);
                break;
        }
        case PROTOBUF_C_TYPE_MESSAGE: {
                const Google__Protobuf__Timestamp *t = *(Google__Protobuf__Timestamp *const *)at;
                char text[40];
                if (t)
                        buf_add(out, text, clock_format_rfc3339(text, t->seconds * CLOCK_SECOND_US + t->nanos / 1000));
                break;
        }
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                buf_printf(out, "%u", *(const uint32_t *)at);
                break;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
                break;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                buf_printf(out, "%lld", (long long)*(const int64_t *)at);
                break;
        case PROTOBUF_C_TYPE_FLOAT:
                buf_printf(out, "%.9g", (double)*(const float *)at);
                break;
        case PROTOBUF_C_TYPE_DOUBLE:
                buf_printf(out, "%.17g", *(const double *)at);
                break;
        default:
                buf_printf(out, "%d", *(const int32_t *)at);
                break;
        }
}

/* A message within a row brings its own columns: counts.attended. */
static bool is_group(const struct contract_message *type, unsigned i)
{
        const ProtobufCFieldDescriptor *f = &type->pb->fields[i];
        return f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED && !type->fields[i].internal &&
               type->fields[i].message->wkt == CONTRACT_WKT_NONE;
}

/* Each with a comma after it. */
static void write_names(struct buf *out, struct arena *arena, const struct contract_message *type, const char *prefix)
{
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *f = &type->fields[i];
                if (is_group(type, i))
                        write_names(out, arena, f->message, arena_printf(arena, "%s%s.", prefix, f->json_name));
                else if (is_column(type, i))
                        buf_printf(out, "%s%s,", prefix, f->json_name);
        }
}

/* Likewise; without a message, as many empty ones. */
static void write_cells(struct buf *out, const struct contract_message *type, const void *message)
{
        for (unsigned i = 0; i < type->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &type->pb->fields[i];
                if (is_group(type, i)) {
                        write_cells(out, type->fields[i].message,
                                    message ? *(void *const *)((const char *)message + f->offset) : NULL);
                } else if (is_column(type, i)) {
                        if (message)
                                write_cell(out, f, message);
                        buf_add_char(out, ',');
                }
        }
}

static void row_end(struct buf *out)
{
        out->n--; /* the last comma */
        buf_add_z(out, "\r\n");
}

static void write_page(struct buf *out, const struct export *e, void *page)
{
        size_t n = *(size_t *)((char *)page + e->items_pb->quantifier_offset);
        ProtobufCMessage **items = *(ProtobufCMessage ***)decode_member(e->items_pb, page);
        if (e->csv && !e->begun) {
                write_names(out, e->arena, e->items->message, "");
                row_end(out);
        }
        for (size_t i = 0; i < n; i++) {
                if (e->csv) {
                        write_cells(out, e->items->message, items[i]);
                        row_end(out);
                } else {
                        transcode_to_json(out, e->items->message, items[i]);
                        buf_add_char(out, '\n');
                }
        }
}

/* --- pages ----------------------------------------------------------------------------------------------------------- */

static void on_page(void *arg, const struct rpc_result *result);

static void end(struct request *r, bool complete)
{
        struct http_request *http = r->http;
        request_done(r, complete ? 200 : 599);
        http_answer_end(http, complete);
}

static void ask_page(struct request *r)
{
        arena_reset(r->export->arena);
        request_call(r, message_pack(r->export->arena, r->message), (struct str){NULL, 0}, false, on_page);
}

static void on_more(void *user)
{
        struct request *r = user;
        if (r->pending)
                return;
        if (!request_may_call(r)) {
                end(r, false);
                return;
        }
        *(char **)decode_member(decode_field(r->route->method->input, "page_token"), r->message) =
                (char *)buf_z(&r->export->token);
        ask_page(r);
}

static void begin(struct request *r, struct str first)
{
        struct head h = {0};
        head_add(&h, "Content-Type", r->export->csv ? STR("text/csv; charset=utf-8; header=present")
                                                    : STR("application/x-ndjson"));
        head_add(&h, "Cache-Control", STR("no-store"));
        head_vary(&h, "Accept");
        head_common(&h, r);
        const struct http_answer answer = {.status = 200, .fields = h.fields, .n_fields = h.n, .body = first};
        r->export->begun = true;
        http_answer_begin(r->http, &answer, on_more, r);
}

static void on_page(void *arg, const struct rpc_result *result)
{
        struct request *r = arg;
        struct export *e = r->export;
        struct buf *out = &r->worker->json;
        ProtobufCMessage *page;

        if (e->begun && (result->error || result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)) {
                r->pending = NULL;
                end(r, false);
                return;
        }
        if (request_call_failed(r, result))
                return;
        if (message_unpack(e->arena, r->route->method->output, result->payload.p, result->payload.n, &page) < 0) {
                if (e->begun)
                        end(r, false);
                else
                        answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_INTERNAL, NULL);
                return;
        }
        e->token.n = 0;
        buf_add_z(&e->token, *(char **)decode_member(e->token_pb, page));
        bool last = e->token.n == 0 || r->http->method == HTTP_HEAD;
        out->n = 0;
        write_page(out, e, page);
        if (e->begun)
                http_answer_piece(r->http, buf_str(out));
        else
                begin(r, buf_str(out));
        if (last)
                end(r, true);
}

void export_start(struct request *r)
{
        struct export *e = r->export;
        const struct contract_message *input = r->route->method->input, *output = r->route->method->output;
        const ProtobufCFieldDescriptor *size = decode_field(input, "page_size");

        r->state = REQUEST_STREAMING;
        for (unsigned i = 0; i < output->n_fields && !e->items; i++)
                if (output->pb->fields[i].label == PROTOBUF_C_LABEL_REPEATED && output->fields[i].message) {
                        e->items = &output->fields[i];
                        e->items_pb = &output->pb->fields[i];
                }
        e->token_pb = decode_field(output, "next_page_token");
        assert(e->items && e->token_pb && size && decode_field(input, "page_token")); /* the compiler's matter */
        *(int32_t *)decode_member(size, r->message) = PAGE_ITEMS;
        ask_page(r);
}
