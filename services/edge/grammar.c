/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing the frames. A batch's events are put in as they came: neither form is taken apart here.
 */
#include "services/edge/grammar.h"

#include "common/json/transcode.h"

#include <stdio.h>

#define FETCH_MAX_TEXT "65536"

/* --- in ------------------------------------------------------------------------------------------------------------ */

static int refuse(struct grammar_refusal *refusal, Nuanxin__Problem problem, const char *detail)
{
        *refusal = (struct grammar_refusal){.problem = problem, .args = {detail}};
        return -EBADMSG;
}

static int refuse_violations(struct grammar_refusal *refusal, const struct violations *violations)
{
        *refusal = (struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT,
                                            .violations = violations->items, .n_violations = violations->n};
        return -EBADMSG;
}

static int read_json(struct arena *arena, struct str text, struct grammar_fetch *ret, struct grammar_refusal *refusal)
{
        struct violations *violations = ARENA_NEW(arena, struct violations);
        ProtobufCMessage *message = NULL;
        int r = transcode_from_json(arena, &stream_v1_fetch_msg, text, violations, &message);
        if (message)
                ret->fetch = (const Fetch *)message;
        if (r == TRANSCODE_E_SYNTAX)
                return refuse(refusal, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                              violations->n ? arena_printf(arena, "The fetch is no JSON: %s.", violations->items[0].detail) :
                                              "The fetch is no JSON.");
        return r ? refuse_violations(refusal, violations) : 0;
}

static int read_packed(struct arena *arena, struct str bytes, struct grammar_fetch *ret, struct grammar_refusal *refusal)
{
        ProtobufCMessage *message;
        if (message_unpack(arena, &stream_v1_fetch_msg, bytes.p, bytes.n, &message) < 0)
                return refuse(refusal, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                              "The fetch is neither JSON nor a packed nuanxin.stream.v1.Fetch.");
        ret->fetch = (const Fetch *)message;
        return 0;
}

/* What asks for the snapshot goes to it: "snapshot", "snapshot:PAGE". */
static void find_snapshot(struct grammar_fetch *ret)
{
        struct str cursor = str_of(ret->fetch->cursor);
        if (!str_starts(cursor, STR(GRAMMAR_SNAPSHOT)))
                return;
        const char *rest = cursor.p + strlen(GRAMMAR_SNAPSHOT);
        ret->snapshot = !rest[0] || rest[0] == ':';
        ret->page = rest[0] == ':' ? rest + 1 : "";
}

static int check(struct arena *arena, struct grammar_fetch *ret, struct grammar_refusal *refusal)
{
        struct violations *violations = ARENA_NEW(arena, struct violations);
        message_validate(arena, &stream_v1_fetch_msg, (void *)(uintptr_t)ret->fetch, violations);
        if (violations->n)
                return refuse_violations(refusal, violations);
        find_snapshot(ret);
        return 0;
}

static int read_words(const struct str *parts, size_t n, struct grammar_refusal *refusal)
{
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += parts[i].n;
        if (bytes > GRAMMAR_FETCH_MAX)
                return refuse(refusal, NUANXIN__PROBLEM__PROBLEM_FETCH_TOO_LARGE, FETCH_MAX_TEXT);
        if (n != 2 || !str_is(parts[0], "FETCH"))
                return refuse(refusal, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                              "Send two frames: FETCH, and a Fetch as JSON or packed.");
        return 0;
}

int grammar_read(struct arena *arena, const struct str *parts, size_t n, struct grammar_fetch *ret_fetch,
                 struct grammar_refusal *ret_refusal)
{
        *ret_fetch = (struct grammar_fetch){.fetch = message_new(arena, &stream_v1_fetch_msg), .page = ""};
        if (n && !parts[0].n) {
                ret_fetch->form.delimited = true;
                parts++;
                n--;
        }
        ret_fetch->form.json = n && parts[n - 1].n && parts[n - 1].p[0] == '{';
        int r = read_words(parts, n, ret_refusal);
        if (r == 0)
                r = ret_fetch->form.json ? read_json(arena, parts[1], ret_fetch, ret_refusal) :
                                           read_packed(arena, parts[1], ret_fetch, ret_refusal);
        return r ? r : check(arena, ret_fetch, ret_refusal);
}

/* --- out ----------------------------------------------------------------------------------------------------------- */

size_t grammar_head(struct grammar_form form, const char *word, struct str out[2])
{
        size_t n = 0;
        if (form.delimited)
                out[n++] = STR("");
        out[n++] = str_of(word);
        return n;
}

/* Every field but the last, events: that object is left open for it. */
static void write_json_open(struct buf *out, const Batch *batch)
{
        const struct contract_message *type = &stream_v1_batch_msg;
        buf_add_char(out, '{');
        for (unsigned i = 0; i + 1 < type->n_fields; i++) {
                buf_add_str(out, type->fields[i].json_key);
                transcode_field_to_json(out, type, i, batch);
                buf_add_char(out, ',');
        }
        buf_add_str(out, type->fields[type->n_fields - 1].json_key);
}

static bool take_varint(struct str *in, uint64_t *ret_value)
{
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
                uint8_t byte = (uint8_t)in->p[0];
                *in = (struct str){in->p + 1, in->n - 1};
                value |= (uint64_t)(byte & 0x7f) << shift;
                if (byte < 0x80) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

/* A field's number and kind, and the bytes of its value. */
static bool take_field(struct str *in, uint64_t *ret_tag, struct str *ret_value)
{
        uint64_t n;
        if (!take_varint(in, ret_tag))
                return false;
        struct str value = *in;
        switch (*ret_tag & 7) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
                if (!take_varint(in, &n))
                        return false;
                n = value.n - in->n;
                break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
                n = 8;
                break;
        case PROTOBUF_C_WIRE_TYPE_32BIT:
                n = 4;
                break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
                if (!take_varint(&value, &n))
                        return false;
                break;
        default:
                return false;
        }
        if (n > value.n)
                return false;
        *ret_value = (struct str){value.p, (size_t)n};
        *in = (struct str){value.p + n, value.n - (size_t)n};
        return true;
}

int grammar_cut_events(struct str packed, uint32_t field, struct buf *rest, struct str *ret_events)
{
        *ret_events = (struct str){0};
        while (packed.n) {
                uint64_t tag;
                struct str value, whole = packed;
                if (!take_field(&packed, &tag, &value))
                        return -EBADMSG;
                if (tag == (field << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
                        *ret_events = value;
                else
                        buf_add(rest, whole.p, whole.n - packed.n);
        }
        return 0;
}

static void add_varint(struct buf *out, uint64_t value)
{
        for (; value >= 0x80; value >>= 7)
                buf_add_char(out, (char)(value | 0x80));
        buf_add_char(out, (char)value);
}

void grammar_write_batch(struct buf *out, struct grammar_form form, const Batch *batch, struct str events)
{
        const ProtobufCFieldDescriptor *last = &stream_v1_batch_msg.pb->fields[stream_v1_batch_msg.n_fields - 1];
        Batch head = *batch;
        head.events = NULL;
        buf_reserve(out, events.n + 1024);
        if (form.json) {
                write_json_open(out, &head);
                buf_add_str(out, events.n ? events : STR("[]"));
                buf_add_char(out, '}');
                return;
        }
        message_pack_buf(out, &head);
        add_varint(out, last->id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
        add_varint(out, events.n);
        buf_add_str(out, events);
}

/* The problem's own words, then each violation's. */
static void write_detail(struct buf *out, const struct contract_problem *problem, const struct grammar_refusal *refusal, bool zh)
{
        contract_problem_fill(out, zh ? problem->detail_zh : problem->detail, refusal->args);
        for (size_t i = 0; i < refusal->n_violations; i++) {
                const struct violation *v = &refusal->violations[i];
                buf_printf(out, "%s%s: %s", i ? "; " : " ", v->pointer, zh && v->detail_zh && v->detail_zh[0] ? v->detail_zh : v->detail);
        }
}

void grammar_write_refusal(struct buf *out, const struct grammar_fetch *to, const struct grammar_refusal *refusal)
{
        const struct contract_problem *problem = contract_problem_of(refusal->problem);
        bool zh = strcmp(to->fetch->language, "zh") == 0;
        Refused said = NUANXIN__STREAM__V1__REFUSED__INIT;
        struct buf detail = {0};
        write_detail(&detail, problem, refusal, zh);
        said.id = to->fetch->id;
        said.type = (char *)(uintptr_t)problem->type;
        said.title = (char *)(uintptr_t)(zh ? problem->title_zh : problem->title);
        said.detail = (char *)(uintptr_t)buf_z(&detail);
        said.status = (int32_t)problem->status;
        said.retry_after_ms = refusal->retry_after_ms;
        if (to->form.json)
                transcode_to_json(out, &stream_v1_refused_msg, &said);
        else
                message_pack_buf(out, &said);
        buf_done(&detail);
}

char *grammar_page_cursor(struct arena *arena, const char *page)
{
        return arena_printf(arena, GRAMMAR_SNAPSHOT ":%s", page);
}
