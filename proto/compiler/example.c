/* SPDX-License-Identifier: Apache-2.0
 *
 * Examples made from the contract: plausible values that keep its rules where a form is known.
 */
#include "http.h"

#include "shape.h"

#include <inttypes.h>

#define EXAMPLE_UUID "01976a5e-7c00-7000-8000-0123456789ab"

/* By the part of a name: what the contract gives no example for. */
static const char *text_example(struct arena *arena, const struct field *f)
{
        static const struct {
                const char *part, *value;
        } known[] = {{"organization", "430102"}, {"phone", "13800138000"}, {"id_number", "43010219900307721X"},
                     {"password", "correct horse battery"}, {"login", "clerk"}, {"page_token", ""}, {"refusal", ""},
                     {"purpose", "回访"}, {"code", "430102"}, {"url", "https://example.org"},
                     {"link", "https://example.org"}, {"etag", "3"}, {"_date", "2026-05-29"}, {"name", "王小明"}};
        if (f->rule->n_in)
                return f->rule->in[0];
        if (f->rule->uuid)
                return EXAMPLE_UUID;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (strstr(f->name, known[i].part))
                        return known[i].value;
        uint32_t most = f->rule->max_length;
        return arena_printf(arena, "%.*s", most && most < 3 ? (int)most : 3, "abc");
}

static const char *enum_example(const struct field *f)
{
        for (size_t i = 0; i < f->enumeration->n_values; i++)
                if (f->enumeration->values[i].number != 0)
                        return f->enumeration->values[i].name;
        return f->enumeration->values[0].name;
}

static int64_t number_example(const struct field *f)
{
        const Nuanxin__IntRange *range = f->rule->range;
        int64_t given;
        if (str_to_i64(str_of(f->rule->example), INT64_MIN, INT64_MAX, &given) == 0)
                return given;
        if (strcmp(f->name, "page_size") == 0)
                return 50;
        if (!range)
                return 1;
        return range->min > 1 ? range->min : range->max < 1 ? range->max : 1;
}

static const char *wkt_example(const struct field *f)
{
        if (strcmp(f->message->name, "google.protobuf.Timestamp") == 0)
                return "2026-05-29T08:00:00Z";
        if (strcmp(f->message->name, "google.protobuf.Duration") == 0)
                return "90s";
        return "title";
}

static const char *bool_example(const struct field *f)
{
        return strcmp(f->rule->example, "false") == 0 ? "false" : "true";
}

static bool is_64_bit(const struct field *f)
{
        return strstr(field_type_name(f), "64") != NULL;
}

const char *example_text(struct arena *arena, const struct field *f)
{
        if (f->rule->example[0])
                return f->rule->example;
        switch (f->pb->type) {
        case TYPE(STRING):
                return text_example(arena, f);
        case TYPE(BYTES):
                return "AAEC";
        case TYPE(BOOL):
                return bool_example(f);
        case TYPE(ENUM):
                return enum_example(f);
        case TYPE(MESSAGE):
                return wkt_example(f);
        default:
                return arena_printf(arena, "%" PRId64, number_example(f));
        }
}

void example_event(struct json *j, struct arena *arena, const char *type, const char *subject,
                   const struct message *data)
{
        struct str rest = str_of(type);
        str_cut(&rest, '.');
        struct str service = str_cut(&rest, '.');
        json_open(j, '{');
        json_member(j, "specversion", "1.0");
        json_member(j, "id", "01976a5e-7c00-7000-8000-000000000042");
        json_member(j, "source", arena_printf(arena, "urn:nuanxin:%.*s", (int)service.n, service.p));
        json_member(j, "type", type);
        json_member(j, "subject", subject);
        json_member(j, "time", "2026-05-29T08:00:00Z");
        json_member(j, "datacontenttype", "application/json");
        json_member(j, "dataschema", arena_printf(arena, "urn:nuanxin:schema:%s", type));
        json_member(j, "sequence", "0000000000000000042");
        json_key(j, "data");
        if (data) {
                example_message(j, arena, data, true);
        } else {
                json_open(j, '{');
                json_close(j, '}');
        }
        json_close(j, '}');
}

/* Which events they are, the contract of a method does not say. */
static void events_example(struct json *j, struct arena *arena)
{
        json_open(j, '[');
        example_event(j, arena, "nuanxin.activity.v1.ActivityEnded", EXAMPLE_UUID, NULL);
        json_close(j, ']');
}

static void example_value(struct json *j, struct arena *arena, const struct field *f, bool answer)
{
        if (f->message && (!message_is_wkt(f->message) || strcmp(f->message->name, "google.protobuf.Empty") == 0))
                example_message(j, arena, f->message, answer);
        else if (f->rule->raw_json)
                events_example(j, arena);
        else if (f->pb->type == TYPE(BOOL))
                json_bool(j, bool_example(f)[0] == 't');
        else if (f->pb->type == TYPE(STRING) || f->pb->type == TYPE(BYTES) || f->message || f->enumeration || is_64_bit(f))
                json_text(j, example_text(arena, f));
        else
                json_integer(j, number_example(f));
}

static void example_field(struct json *j, struct arena *arena, const struct field *f, bool answer)
{
        json_key(j, f->json);
        if (f->map) {
                json_open(j, '{');
                json_key(j, example_text(arena, &f->message->fields[0]));
                example_value(j, arena, &f->message->fields[1], answer);
                json_close(j, '}');
        } else if (f->repeated) {
                json_open(j, '[');
                example_value(j, arena, f, answer);
                json_close(j, ']');
        } else {
                example_value(j, arena, f, answer);
        }
}

/* One member of each oneof is enough. */
static bool is_later_choice(const struct message *x, const struct field *f)
{
        for (const struct field *other = x->fields; f->oneof && other < f; other++)
                if (other->oneof && strcmp(other->oneof, f->oneof) == 0)
                        return true;
        return false;
}

void example_message(struct json *j, struct arena *arena, const struct message *x, bool answer)
{
        json_open(j, '{');
        for (size_t i = 0; i < x->n_fields; i++) {
                const struct field *f = &x->fields[i];
                if (!f->rule->internal && (answer || !f->rule->output_only) && !is_later_choice(x, f))
                        example_field(j, arena, f, answer);
        }
        json_close(j, '}');
}

bool example_body(struct json *j, struct arena *arena, const struct method *x)
{
        if (!http_has_body(x))
                return false;
        const struct field *body = strcmp(x->body, "*") == 0 ? NULL : message_find_field(x->input, str_of(x->body));
        if (body) {
                example_message(j, arena, body->message, false);
                return true;
        }
        json_open(j, '{');
        for (size_t i = 0; i < x->input->n_fields; i++) {
                const struct field *f = &x->input->fields[i];
                if (http_carrier(x, f) == CARRIER_BODY && !is_later_choice(x->input, f))
                        example_field(j, arena, f, false);
        }
        json_close(j, '}');
        return true;
}

const char *example_path(struct arena *arena, const struct method *x)
{
        struct buf path = {0};
        size_t n = 0;
        for (const char *p = x->path; *p;) {
                if (*p != '{') {
                        buf_add_char(&path, *p++);
                        continue;
                }
                struct field *f = NULL;
                if (http_path_variable(arena, x, n++, &f) && f)
                        buf_add_z(&path, example_text(arena, f));
                p = strchr(p, '}') + 1;
        }
        char mark = '?';
        for (size_t i = 0; i < x->input->n_fields; i++) {
                const struct field *f = &x->input->fields[i];
                if (http_carrier(x, f) != CARRIER_QUERY || !f->rule->required)
                        continue;
                buf_printf(&path, "%c%s=%s", mark, f->json, example_text(arena, f));
                mark = '&';
        }
        const char *z = arena_strndup(arena, path.p, path.n);
        buf_done(&path);
        return z;
}
