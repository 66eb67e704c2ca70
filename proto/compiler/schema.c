/* SPDX-License-Identifier: Apache-2.0
 *
 * Types and rules of the contract as JSON Schema. What JSON cannot hold as a number (64 bits) is a string. And the one
 * schema that is not of the contract: CloudEvents' envelope.
 */
#include "schema.h"

#include "source.h"

const char *schema_name(const char *full)
{
        return str_starts(str_of(full), STR("nuanxin.")) ? full + strlen("nuanxin.") : full;
}

static void member_ref(struct json *j, struct arena *arena, const char *full)
{
        json_member(j, "$ref", arena_printf(arena, "#/components/schemas/%s", schema_name(full)));
}

void schema_ref(struct json *j, struct arena *arena, const char *full)
{
        json_open(j, '{');
        member_ref(j, arena, full);
        json_close(j, '}');
}

/* A POSIX bracket expression from p (at its '[') in the dialect of JSON Schema; returns what follows it. */
static const char *bracket_write(struct buf *out, const char *p)
{
        static const struct {
                const char *posix, *ecma;
        } classes[] = {{"[:space:]", "\\s"},      {"[:digit:]", "0-9"},      {"[:alpha:]", "A-Za-z"},   {"[:alnum:]", "A-Za-z0-9"},
                       {"[:upper:]", "A-Z"},       {"[:lower:]", "a-z"},      {"[:xdigit:]", "0-9A-Fa-f"}, {"[:blank:]", " \\t"},
                       {"[:cntrl:]", "\\x00-\\x1f\\x7f"}, {"[:print:]", " -~"}, {"[:graph:]", "!-~"},
                       {"[:punct:]", "!-/:-@\\[-`{-~"}};
        buf_add_char(out, *p++);
        if (*p == '^')
                buf_add_char(out, *p++);
        const char *from = p;
        while (*p && (*p != ']' || p == from)) {
                size_t i = 0;
                while (i < ARRAY_LEN(classes) && !str_starts(str_of(p), str_of(classes[i].posix)))
                        i++;
                if (i < ARRAY_LEN(classes)) {
                        buf_add_z(out, classes[i].ecma);
                        p += strlen(classes[i].posix);
                        continue;
                }
                if (*p == '\\' || *p == '[' || *p == ']')
                        buf_add_char(out, '\\');
                buf_add_char(out, *p++);
        }
        if (*p)
                buf_add_char(out, *p++);
        return p;
}

/* An extended POSIX expression in the dialect of JSON Schema: they differ inside brackets. */
static const char *pattern_of(struct arena *arena, const char *posix)
{
        struct buf out = {0};
        buf_add_z(&out, "^(");
        for (const char *p = posix; *p;) {
                if (*p == '[') {
                        p = bracket_write(&out, p);
                        continue;
                }
                if (*p == '\\' && p[1])
                        buf_add_char(&out, *p++);
                buf_add_char(&out, *p++);
        }
        buf_add_z(&out, ")$");
        const char *z = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return z;
}

static void text_rules(struct json *j, struct arena *arena, const Nuanxin__FieldRule *r)
{
        json_member(j, "type", "string");
        if (r->min_length)
                json_member_integer(j, "minLength", r->min_length);
        if (r->max_length)
                json_member_integer(j, "maxLength", r->max_length);
        if (r->pattern[0])
                json_member(j, "pattern", pattern_of(arena, r->pattern));
        if (r->uuid)
                json_member(j, "format", "uuid");
        if (r->n_in) {
                json_open_member(j, "enum", '[');
                for (size_t i = 0; i < r->n_in; i++)
                        json_text(j, r->in[i]);
                json_close(j, ']');
        }
}

static void integer_rules(struct json *j, const struct field *f, const char *format, int64_t least, int64_t most)
{
        const Nuanxin__IntRange *range = f->rule->range;
        json_member(j, "type", "integer");
        json_member(j, "format", format);
        if (range && range->min > least)
                json_member_integer(j, "minimum", range->min);
        if (range && range->max < most)
                json_member_integer(j, "maximum", range->max);
}

static void wide_rules(struct json *j, const struct field *f, bool is_signed)
{
        json_member(j, "type", "string");
        json_member(j, "format", is_signed ? "int64" : "uint64");
        json_member(j, "pattern", is_signed ? "^-?[0-9]{1,19}$" : "^[0-9]{1,20}$");
        if (f->rule->range) {
                json_member_integer(j, "x-nuanxin-minimum", f->rule->range->min);
                json_member_integer(j, "x-nuanxin-maximum", f->rule->range->max);
        }
}

static void message_type(struct json *j, struct arena *arena, const struct field *f)
{
        const char *name = f->message->name;
        if (strcmp(name, "google.protobuf.Timestamp") == 0) {
                json_member(j, "type", "string");
                json_member(j, "format", "date-time");
        } else if (strcmp(name, "google.protobuf.Duration") == 0) {
                json_member(j, "type", "string");
                json_member(j, "pattern", "^-?[0-9]+(\\.[0-9]{1,9})?s$");
        } else if (strcmp(name, "google.protobuf.FieldMask") == 0) {
                json_member(j, "type", "string");
                json_member(j, "pattern", "^[A-Za-z0-9.,]*$");
        } else if (message_is_wkt(f->message)) {
                json_member(j, "type", "object");
        } else {
                member_ref(j, arena, name);
        }
}

static void events_type(struct json *j, struct arena *arena)
{
        json_member(j, "type", "array");
        json_open_member(j, "items", '{');
        member_ref(j, arena, SCHEMA_CLOUD_EVENT);
        json_close(j, '}');
}

/* The members that say what one value is. */
static void value_type(struct json *j, struct arena *arena, const struct field *f)
{
        switch (f->pb->type) {
        case TYPE(STRING):
                text_rules(j, arena, f->rule);
                break;
        case TYPE(BYTES):
                if (f->rule->raw_json) {
                        events_type(j, arena);
                        break;
                }
                json_member(j, "type", "string");
                json_member(j, "contentEncoding", "base64");
                if (f->rule->max_length)
                        json_member_integer(j, "maxLength", ((int64_t)f->rule->max_length + 2) / 3 * 4);
                break;
        case TYPE(BOOL):
                json_member(j, "type", "boolean");
                break;
        case TYPE(DOUBLE):
        case TYPE(FLOAT):
                json_member(j, "type", "number");
                break;
        case TYPE(ENUM):
                member_ref(j, arena, f->enumeration->name);
                break;
        case TYPE(MESSAGE):
                message_type(j, arena, f);
                break;
        case TYPE(INT64):
        case TYPE(SINT64):
        case TYPE(SFIXED64):
                wide_rules(j, f, true);
                break;
        case TYPE(UINT64):
        case TYPE(FIXED64):
                wide_rules(j, f, false);
                break;
        case TYPE(UINT32):
        case TYPE(FIXED32):
                integer_rules(j, f, "uint32", 0, UINT32_MAX);
                break;
        default:
                integer_rules(j, f, "int32", INT32_MIN, INT32_MAX);
        }
}

static void list_type(struct json *j, struct arena *arena, const struct field *f)
{
        json_member(j, "type", f->map ? "object" : "array");
        json_open_member(j, f->map ? "additionalProperties" : "items", '{');
        value_type(j, arena, f->map ? &f->message->fields[1] : f);
        json_close(j, '}');
        if (f->rule->max_items)
                json_member_integer(j, f->map ? "maxProperties" : "maxItems", f->rule->max_items);
        if (f->rule->required)
                json_member_integer(j, f->map ? "minProperties" : "minItems", 1);
        if (f->rule->unique)
                json_member_bool(j, "uniqueItems", true);
}

static void write_field(struct json *j, struct arena *arena, const struct field *f, unsigned privacy, bool read_only)
{
        static const char *const classes[] = {NULL, "PERSONAL", "SENSITIVE"};
        const char *comment = source_comment(arena, f->place);
        json_open(j, '{');
        if (f->repeated)
                list_type(j, arena, f);
        else
                value_type(j, arena, f);
        if (comment[0])
                json_member(j, "description", comment);
        if (read_only)
                json_member_bool(j, "readOnly", true);
        if (privacy > 0 && privacy < ARRAY_LEN(classes))
                json_member(j, "x-nuanxin-privacy", classes[privacy]);
        json_close(j, '}');
}

void schema_field(struct json *j, struct arena *arena, const struct field *f)
{
        write_field(j, arena, f, f->rule->privacy, f->rule->output_only);
}

void schema_message(struct json *j, struct arena *arena, const struct message *x, const struct method *method,
                    bool (*wanted)(const struct method *method, const struct field *field))
{
        const char *comment = source_comment(arena, x->place);
        bool required = false;
        json_open(j, '{');
        json_member(j, "type", "object");
        if (comment[0] && !wanted)
                json_member(j, "description", comment);
        json_open_member(j, "properties", '{');
        for (size_t i = 0; i < x->n_fields; i++) {
                if (wanted ? !wanted(method, &x->fields[i]) : x->fields[i].rule->internal)
                        continue;
                json_key(j, x->fields[i].json);
                schema_field(j, arena, &x->fields[i]);
                required |= x->fields[i].rule->required;
        }
        json_close(j, '}');
        if (required) {
                json_open_member(j, "required", '[');
                for (size_t i = 0; i < x->n_fields; i++)
                        if (x->fields[i].rule->required && (!wanted || wanted(method, &x->fields[i])))
                                json_text(j, x->fields[i].json);
                json_close(j, ']');
        }
        if (wanted) /* a request refuses what it does not know; an answer may grow */
                json_member_bool(j, "additionalProperties", false);
        json_close(j, '}');
}

void schema_event_data(struct json *j, struct arena *arena, const struct message *x)
{
        const char *comment = source_comment(arena, x->place);
        json_open(j, '{');
        json_member(j, "type", "object");
        if (comment[0])
                json_member(j, "description", comment);
        json_open_member(j, "properties", '{');
        for (size_t i = 0; i < x->n_fields; i++) {
                const struct field *f = &x->fields[i];
                bool person = x->event && strcmp(x->event->person, f->name) == 0;
                if (f->rule->internal)
                        continue;
                json_key(j, f->json);
                write_field(j, arena, f, person ? NUANXIN__PRIVACY__PERSONAL : f->rule->privacy, false);
        }
        json_close(j, '}');
        json_close(j, '}');
}

static void attribute(struct json *j, const char *name, const char *format, const char *pattern, const char *about)
{
        json_open_member(j, name, '{');
        json_member(j, "type", "string");
        if (format)
                json_member(j, "format", format);
        if (pattern)
                json_member(j, "pattern", pattern);
        json_member(j, "description", about);
        json_close(j, '}');
}

void schema_cloud_event(struct json *j)
{
        static const char *const required[] = {"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema",
                                               "sequence", "data"};
        json_open(j, '{');
        json_member(j, "type", "object");
        json_member(j, "description", "CloudEvents 1.0 in its JSON format; /asyncapi.json has the types.");
        json_open_member(j, "properties", '{');
        attribute(j, "specversion", NULL, "^1\\.0$", "1.0");
        attribute(j, "id", "uuid", NULL, "The event's own; with the source it names it once and for all.");
        attribute(j, "source", "uri-reference", "^urn:nuanxin:[a-z]+$", "The service that told of it.");
        attribute(j, "type", NULL, "^nuanxin\\.[a-z]+\\.v[0-9]+\\.[A-Za-z]+$", "What happened.");
        attribute(j, "subject", NULL, NULL, "The id of what it happened to. Of a person only to who may see that.");
        attribute(j, "time", "date-time", NULL, "When.");
        attribute(j, "datacontenttype", NULL, "^application/json$", "application/json");
        attribute(j, "dataschema", "uri", "^urn:nuanxin:schema:", "The type's schema; it changes with its version only.");
        attribute(j, "sequence", NULL, "^[0-9]{19}$", "Its place in the log: of two the later is the greater, as text too.");
        json_open_member(j, "data", '{');
        json_member(j, "type", "object");
        json_member(j, "description", "After the type's schema; without the fields that the agreement leaves out.");
        json_member_bool(j, "additionalProperties", true);
        json_close(j, '}');
        json_close(j, '}');
        json_open_member(j, "required", '[');
        for (size_t i = 0; i < ARRAY_LEN(required); i++)
                json_text(j, required[i]);
        json_close(j, ']');
        json_close(j, '}');
}

void schema_enum(struct json *j, struct arena *arena, const struct enumeration *e)
{
        struct buf about = {0};
        buf_add_z(&about, source_comment(arena, e->place));
        json_open(j, '{');
        json_member(j, "type", "string");
        json_open_member(j, "enum", '[');
        for (size_t i = 0; i < e->n_values; i++) {
                const char *comment = source_comment(arena, e->values[i].place);
                json_text(j, e->values[i].name);
                if (comment[0])
                        buf_printf(&about, "%s- `%s`: %s", about.n ? "\n" : "", e->values[i].name, comment);
        }
        json_close(j, ']');
        if (about.n)
                json_member(j, "description", buf_z(&about));
        json_close(j, '}');
        buf_done(&about);
}
