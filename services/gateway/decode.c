/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling the request message: body first, then the path's variables, then the query; checked at the end.
 */
#include "services/gateway/decode.h"

#include "common/json/transcode.h"
#include "google/protobuf/field_mask.pb-c.h"

#define QUERY_PARAMETERS_MAX 64

void *decode_member(const ProtobufCFieldDescriptor *field, void *message)
{
        return (char *)message + field->offset;
}

const ProtobufCFieldDescriptor *decode_field(const struct contract_message *type, const char *name)
{
        for (unsigned i = 0; i < type->n_fields; i++)
                if (strcmp(type->fields[i].name, name) == 0)
                        return &type->pb->fields[i];
        return NULL;
}

static int set_text(struct arena *arena, const struct route *route, ProtobufCMessage *message, struct str path,
                    struct str value, struct violations *violations)
{
        int r = transcode_set_text(arena, route->method->input, message, path, value, violations);
        return r == TRANSCODE_E_SYNTAX ? TRANSCODE_E_VIOLATIONS : r;
}

/* --- query ----------------------------------------------------------------------------------------------------------- */

static void unknown_parameter(struct arena *arena, struct violations *violations, struct str name, const char *rule)
{
        bool twice = strcmp(rule, "duplicateKey") == 0;
        violation_add(violations, arena_printf(arena, "/%.*s", (int)name.n, name.p), rule,
                      twice ? "is given twice" : "no such parameter",
                      twice ? "该参数只能出现一次。" : "没有该查询参数。");
}

/* Fields that a query can't set: the body's, the path's, and an upload's own. */
static bool is_taken(const struct route *route, const struct contract_field *field)
{
        static const char *const chunk[] = {"upload", "offset", "data", "last"};
        if (field == route->body || field->internal || field->output_only)
                return true;
        for (size_t i = 0; i < route->n_variables; i++)
                if (str_is(route->variables[i], field->name))
                        return true;
        for (size_t i = 0; route->method->upload && i < ARRAY_LEN(chunk); i++)
                if (strcmp(field->name, chunk[i]) == 0)
                        return true;
        return false;
}

static int read_query(const struct http_request *request, const struct route *route, ProtobufCMessage *message,
                      struct violations *violations)
{
        const struct contract_message *type = route->method->input;
        struct str query = request->query, seen[QUERY_PARAMETERS_MAX];
        size_t n = 0;
        while (query.n) {
                struct str value = str_cut(&query, '&'), name, text;
                if (value.n == 0)
                        continue;
                name = str_cut(&value, '=');
                if (http_decode(request->arena, name, true, &name) < 0 ||
                    http_decode(request->arena, value, true, &text) < 0 || n == QUERY_PARAMETERS_MAX)
                        return DECODE_E_MALFORMED;
                struct str rest = name;
                const struct contract_field *field = message_field(type, str_cut(&rest, '.'));
                if (!field || is_taken(route, field) || route->body_whole) {
                        unknown_parameter(request->arena, violations, name, "unknownField");
                        continue;
                }
                bool repeated = type->pb->fields[field - type->fields].label == PROTOBUF_C_LABEL_REPEATED;
                for (size_t i = 0; i < n && !repeated; i++)
                        if (str_eq(seen[i], name)) {
                                unknown_parameter(request->arena, violations, name, "duplicateKey");
                                name.n = 0;
                        }
                if (name.n == 0)
                        continue;
                seen[n++] = name;
                int r = set_text(request->arena, route, message, name, text, violations);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Takes back what a body said of a path's variable: the path wins. */
static void clear_text(const struct contract_message *type, void *message, struct str path)
{
        while (message && path.n) {
                const struct contract_field *field = message_field(type, str_cut(&path, '.'));
                const ProtobufCFieldDescriptor *pb = field ? &type->pb->fields[field - type->fields] : NULL;
                if (pb && pb->type == PROTOBUF_C_TYPE_MESSAGE) {
                        message = *(void **)decode_member(pb, message);
                        type = field->message;
                } else if (pb && pb->type == PROTOBUF_C_TYPE_STRING) {
                        *(char **)decode_member(pb, message) = (char *)protobuf_c_empty_string;
                        return;
                } else {
                        return;
                }
        }
}

int decode_parameters(const struct http_request *request, const struct route *route, const struct route_match *match,
                      ProtobufCMessage *message, struct violations *violations)
{
        for (size_t i = 0; i < match->n_values; i++) {
                clear_text(route->method->input, message, route->variables[i]);
                int r = set_text(request->arena, route, message, route->variables[i], match->values[i], violations);
                if (r < 0)
                        return r;
        }
        return read_query(request, route, message, violations);
}

/* --- body ------------------------------------------------------------------------------------------------------------ */

/* DECODE_E_VIOLATIONS comes with what could be read, or NULL. */
static int read_body(const struct http_request *request, const struct route *route, struct violations *violations,
                     ProtobufCMessage **ret_message)
{
        const struct contract_message *input = route->method->input;
        ProtobufCMessage *message = NULL, *part = NULL;
        int r = 0;

        if (!route->has_body || request->body.n == 0) {
                *ret_message = message_new(request->arena, input);
                return 0;
        }
        if (route->body_whole) {
                r = transcode_from_json(request->arena, input, request->body, violations, &message);
        } else {
                message = message_new(request->arena, input);
                r = transcode_from_json(request->arena, route->body->message, request->body, violations, &part);
                *(ProtobufCMessage **)decode_member(route->body_pb, message) = part;
                if (!part)
                        message = NULL;
        }
        *ret_message = message;
        return r <= 0 ? r : DECODE_E_VIOLATIONS;
}

/* What the checks say of the body's field is said of the body. */
static const char *point_into_body(const struct route *route, const char *pointer)
{
        size_t n = route->body ? strlen(route->body->json_name) : 0;
        if (n && pointer[0] == '/' && strncmp(pointer + 1, route->body->json_name, n) == 0 && strchr("/", pointer[n + 1]))
                return pointer + n + 1;
        return pointer;
}

/* Is the place, or one above or below it, among the first n? */
static bool is_said(const struct violations *violations, size_t n, const char *pointer)
{
        for (size_t i = 0; i < n; i++) {
                const char *p = violations->items[i].pointer, *q = pointer;
                while (*p && *p == *q)
                        p++, q++;
                if (strchr("/", *p) && strchr("/", *q))
                        return true;
        }
        return false;
}

/* What could not be read is said once: that it is missing, too, helps nobody. */
static void check_rules(const struct http_request *request, const struct route *route, ProtobufCMessage *message,
                        struct violations *violations)
{
        struct violations broken = {0};
        size_t unread = violations->n;
        message_validate(request->arena, route->method->input, message, &broken);
        for (size_t i = 0; i < broken.n; i++) {
                struct violation v = broken.items[i];
                v.pointer = point_into_body(route, v.pointer);
                if (!is_said(violations, unread, v.pointer))
                        violation_add(violations, v.pointer, v.rule, v.detail, v.detail_zh);
        }
}

/* A partial update without a mask changes what its body has (RFC 7396): without this, `false` and "" would look as if
 * they had not been given. */
static void fill_update_mask(const struct http_request *request, const struct route *route, ProtobufCMessage *message)
{
        const ProtobufCFieldDescriptor *field = decode_field(route->method->input, "update_mask");
        if (route->method->http != CONTRACT_PATCH || !field || !route->body)
                return;
        Google__Protobuf__FieldMask **mask = decode_member(field, message);
        if (*mask)
                return;
        *mask = arena_alloc(request->arena, sizeof(**mask));
        google__protobuf__field_mask__init(*mask);
        transcode_given_fields(request->arena, route->body->message, request->body, &(*mask)->paths, &(*mask)->n_paths);
}

int decode_request(const struct http_request *request, const struct route *route, const struct route_match *match,
                   struct violations *violations, ProtobufCMessage **ret_message)
{
        ProtobufCMessage *message = NULL;
        int r = read_body(request, route, violations, &message);
        if (r < 0 || !message)
                return r;
        r = decode_parameters(request, route, match, message, violations);
        if (r)
                return r;
        fill_update_mask(request, route, message);
        check_rules(request, route, message, violations);
        if (violations->n)
                return DECODE_E_VIOLATIONS;
        *ret_message = message;
        return 0;
}
