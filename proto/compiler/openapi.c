/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.json: the OpenAPI 3.1 document of everything that is reachable over HTTP.
 */
#include "emit.h"

#include "name.h"
#include "reached.h"
#include "schema.h"
#include "source.h"

#include <stdlib.h>

struct document {
        struct json j;
        struct arena *arena;
        const struct model *m;
        const struct method **methods; /* over HTTP, by path and verb */
        size_t n_methods;
        bool has_events; /* an answer holds some */
};

/* --- parameters ---------------------------------------------------------------------------------------------- */

static void parameter(struct document *d, const char *in, const char *name, const struct field *f, bool required)
{
        const char *comment = source_comment(d->arena, f->place);
        json_open(&d->j, '{');
        json_member(&d->j, "name", name);
        json_member(&d->j, "in", in);
        if (required)
                json_member_bool(&d->j, "required", true);
        if (comment[0])
                json_member(&d->j, "description", comment);
        json_key(&d->j, "schema");
        schema_field(&d->j, d->arena, f);
        json_close(&d->j, '}');
}

static void parameter_ref(struct document *d, const char *name)
{
        json_open(&d->j, '{');
        json_member(&d->j, "$ref", arena_printf(d->arena, "#/components/parameters/%s", name));
        json_close(&d->j, '}');
}

static void parameters(struct document *d, const struct method *x)
{
        struct field *f = NULL;
        json_open_member(&d->j, "parameters", '[');
        for (size_t i = 0;; i++) {
                const char *name = http_path_variable(d->arena, x, i, &f);
                if (!name)
                        break;
                parameter(d, "path", name, f, true);
        }
        for (size_t i = 0; i < x->input->n_fields; i++)
                if (http_carrier(x, &x->input->fields[i]) == CARRIER_QUERY)
                        parameter(d, "query", x->input->fields[i].json, &x->input->fields[i],
                                  x->input->fields[i].rule->required);
        if (http_writes(x))
                parameter_ref(d, "IdempotencyKey");
        if (http_takes_etag(x))
                parameter_ref(d, "IfMatch");
        if (!http_writes(x) && http_gives_etag(x))
                parameter_ref(d, "IfNoneMatch");
        if (x->rule->event_stream)
                parameter_ref(d, "LastEventId");
        parameter_ref(d, "AcceptLanguage");
        json_close(&d->j, ']');
}

/* --- bodies ---------------------------------------------------------------------------------------------------- */

static bool in_body(const struct method *x, const struct field *f)
{
        return http_carrier(x, f) == CARRIER_BODY;
}

static void csv_content(struct document *d, const char *media)
{
        json_open_member(&d->j, media, '{');
        json_open_member(&d->j, "schema", '{');
        json_member(&d->j, "type", "string");
        json_close(&d->j, '}');
        json_close(&d->j, '}');
}

static void request_body(struct document *d, const struct method *x)
{
        if (!x->body)
                return;
        json_open_member(&d->j, "requestBody", '{');
        json_member_bool(&d->j, "required", true);
        json_open_member(&d->j, "content", '{');
        if (x->rule->upload) {
                csv_content(d, "text/csv");
        } else {
                json_open_member(&d->j, "application/json", '{');
                json_key(&d->j, "schema");
                const struct field *body = message_find_field(x->input, str_of(x->body));
                if (body)
                        schema_ref(&d->j, d->arena, body->message->name);
                else
                        schema_message(&d->j, d->arena, x->input, x, in_body);
                json_key(&d->j, "example");
                example_body(&d->j, d->arena, x);
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
        json_close(&d->j, '}');
}

static void header_ref(struct document *d, const char *name)
{
        json_open_member(&d->j, name, '{');
        json_member(&d->j, "$ref", arena_printf(d->arena, "#/components/headers/%s", name));
        json_close(&d->j, '}');
}

static void json_content(struct document *d, const struct method *x)
{
        json_open_member(&d->j, "application/json", '{');
        json_key(&d->j, "schema");
        if (message_is_wkt(x->output)) {
                json_open(&d->j, '{');
                json_member(&d->j, "type", "object");
                json_close(&d->j, '}');
        } else {
                schema_ref(&d->j, d->arena, x->output->name);
                json_key(&d->j, "example");
                example_message(&d->j, d->arena, x->output, true);
        }
        json_close(&d->j, '}');
        if (x->rule->export) {
                csv_content(d, "text/csv");
                csv_content(d, "application/x-ndjson");
        }
}

/* It never ends by itself; each of its events has a CloudEvent as data. */
static void stream_content(struct document *d)
{
        json_open_member(&d->j, "text/event-stream", '{');
        json_open_member(&d->j, "schema", '{');
        json_member(&d->j, "type", "string");
        json_member(&d->j, "description", "Server-sent events: `id` is the cursor behind it, `data` a CloudEvent in JSON.");
        json_close(&d->j, '}');
        json_member(&d->j, "example", EXAMPLE_STREAM);
        json_close(&d->j, '}');
}

static void answer(struct document *d, const struct method *x)
{
        json_open_member(&d->j, "200", '{');
        const char *about = source_comment(d->arena, x->output->place);
        json_member(&d->j, "description", about[0] ? about : "Done.");
        json_open_member(&d->j, "headers", '{');
        if (http_gives_etag(x))
                header_ref(d, "ETag");
        header_ref(d, "RateLimit");
        header_ref(d, "RateLimit-Policy");
        header_ref(d, "X-Request-Id");
        json_close(&d->j, '}');
        json_open_member(&d->j, "content", '{');
        if (x->rule->event_stream)
                stream_content(d);
        else
                json_content(d, x);
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        if (http_gives_etag(x) && !http_writes(x)) {
                json_open_member(&d->j, "304", '{');
                json_member(&d->j, "description", "It is still what If-None-Match names.");
                json_open_member(&d->j, "headers", '{');
                header_ref(d, "ETag");
                json_close(&d->j, '}');
                json_close(&d->j, '}');
        }
}

/* --- problems ---------------------------------------------------------------------------------------------------- */

static int by_status(const void *a, const void *b)
{
        const struct enum_value *x = *(const struct enum_value *const *)a, *y = *(const struct enum_value *const *)b;
        int c = (x->problem->status > y->problem->status) - (x->problem->status < y->problem->status);
        return c ? c : (x->number > y->number) - (x->number < y->number);
}

/* values[from … to) share a status. */
static void problem_response(struct document *d, const struct enum_value **values, size_t from, size_t to)
{
        struct buf title = {0};
        for (size_t i = from; i < to; i++)
                buf_printf(&title, "%s%s", i > from ? "; " : "", values[i]->problem->title);
        json_open_member(&d->j, arena_printf(d->arena, "%u", values[from]->problem->status), '{');
        json_member(&d->j, "description", buf_z(&title));
        json_open_member(&d->j, "headers", '{');
        header_ref(d, "X-Request-Id");
        if (values[from]->problem->status == 401)
                header_ref(d, "WWW-Authenticate");
        if (values[from]->problem->status == 429 || values[from]->problem->status == 503)
                header_ref(d, "Retry-After");
        json_close(&d->j, '}');
        json_open_member(&d->j, "content", '{');
        json_open_member(&d->j, "application/problem+json", '{');
        json_key(&d->j, "schema");
        schema_ref(&d->j, d->arena, "Problem");
        json_open_member(&d->j, "examples", '{');
        for (size_t i = from; i < to; i++) {
                const char *name = problem_name(d->arena, values[i]);
                json_open_member(&d->j, name, '{');
                json_member(&d->j, "$ref", arena_printf(d->arena, "#/components/examples/%s", name));
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        buf_done(&title);
}

static void responses(struct document *d, const struct method *x)
{
        const struct enum_value *values[64];
        size_t n = http_problems(d->m, x, values), from = 0;
        qsort(values, n, sizeof(*values), by_status);
        json_open_member(&d->j, "responses", '{');
        answer(d, x);
        for (size_t i = 1; i <= n; i++)
                if (i == n || values[i]->problem->status != values[from]->problem->status) {
                        problem_response(d, values, from, i);
                        from = i;
                }
        json_open_member(&d->j, "default", '{');
        json_member(&d->j, "$ref", "#/components/responses/Problem");
        json_close(&d->j, '}');
        json_close(&d->j, '}');
}

/* --- operations ----------------------------------------------------------------------------------------------------- */

static void operation(struct document *d, const struct method *x)
{
        const char *comment = source_comment(d->arena, x->place), *service = http_service(d->arena, x);
        bool public = strcmp(x->rule->permission, "public") == 0;
        json_open_member(&d->j, name_snake(d->arena, x->http) /* "GET" → "get" */, '{');
        json_member(&d->j, "operationId", arena_printf(d->arena, "%s_%s", service, x->rpc));
        json_open_member(&d->j, "tags", '[');
        json_text(&d->j, service);
        json_close(&d->j, ']');
        json_member(&d->j, "summary", http_first_sentence(d->arena, comment[0] ? comment : x->rpc));
        const char *more = source_comment(d->arena, x->input->place);
        if (comment[0] || more[0])
                json_member(&d->j, "description", arena_printf(d->arena, "%s%s%s", comment, comment[0] && more[0] ? "\n\n" : "", more));
        json_member(&d->j, "x-nuanxin-permission", x->rule->permission);
        json_open_member(&d->j, "security", '[');
        if (!public) {
                json_open(&d->j, '{');
                json_open_member(&d->j, "bearer", '[');
                json_close(&d->j, ']');
                json_close(&d->j, '}');
        }
        json_close(&d->j, ']');
        parameters(d, x);
        request_body(d, x);
        responses(d, x);
        json_close(&d->j, '}');
}

static int by_path(const void *a, const void *b)
{
        const struct method *x = *(const struct method *const *)a, *y = *(const struct method *const *)b;
        int c = strcmp(x->path, y->path);
        return c ? c : strcmp(x->http, y->http);
}

static void paths(struct document *d)
{
        json_open_member(&d->j, "paths", '{');
        for (size_t i = 0; i < d->n_methods; i++) {
                bool first = i == 0 || strcmp(d->methods[i - 1]->path, d->methods[i]->path) != 0;
                bool last = i + 1 == d->n_methods || strcmp(d->methods[i + 1]->path, d->methods[i]->path) != 0;
                if (first)
                        json_open_member(&d->j, d->methods[i]->path, '{');
                operation(d, d->methods[i]);
                if (last)
                        json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
}

static void tags(struct document *d)
{
        json_open_member(&d->j, "tags", '[');
        for (size_t f = 0; f < d->m->set->n_file; f++) {
                const FileProto *file = d->m->set->file[f];
                for (size_t s = 0; s < file->n_service && package_is_ours(file->package); s++) {
                        struct place place = place_in((struct place){.file = file}, 6, (int32_t)s);
                        const char *name = file->service[s]->name, *comment = source_comment(d->arena, place);
                        bool used = false;
                        for (size_t i = 0; i < d->n_methods; i++)
                                used |= d->methods[i]->place.file == file && strcmp(http_service(d->arena, d->methods[i]), name) == 0;
                        if (!used)
                                continue;
                        json_open(&d->j, '{');
                        json_member(&d->j, "name", name);
                        if (comment[0])
                                json_member(&d->j, "description", comment);
                        json_close(&d->j, '}');
                }
        }
        json_close(&d->j, ']');
}

/* --- components ------------------------------------------------------------------------------------------------------- */

static void header_parameter(struct document *d, const char *key, const char *name, const char *about, int64_t max_length)
{
        json_open_member(&d->j, key, '{');
        json_member(&d->j, "name", name);
        json_member(&d->j, "in", "header");
        json_member(&d->j, "description", about);
        json_open_member(&d->j, "schema", '{');
        json_member(&d->j, "type", "string");
        json_member_integer(&d->j, "maxLength", max_length);
        json_close(&d->j, '}');
        json_close(&d->j, '}');
}

static void shared_parameters(struct document *d)
{
        json_open_member(&d->j, "parameters", '{');
        header_parameter(d, "IdempotencyKey", "Idempotency-Key",
                         "Any text that is new for each new request. Repeating a request with its key gives the first "
                         "answer again for 24 hours and never a second effect.", 128);
        header_parameter(d, "IfMatch", "If-Match", "The ETag that you read: the change is refused (412) if it is another by now.",
                         128);
        header_parameter(d, "IfNoneMatch", "If-None-Match", "The ETag that you have: 304 without a body if it is the same still.",
                         128);
        header_parameter(d, "LastEventId", "Last-Event-ID", "The `id` of the last event that came: goes before the parameter cursor.", 64);
        header_parameter(d, "AcceptLanguage", "Accept-Language", "zh or en: the language of titles and details of problems.", 64);
        json_close(&d->j, '}');
}

static void header(struct document *d, const char *name, const char *about)
{
        json_open_member(&d->j, name, '{');
        json_member(&d->j, "description", about);
        json_open_member(&d->j, "schema", '{');
        json_member(&d->j, "type", "string");
        json_close(&d->j, '}');
        json_close(&d->j, '}');
}

static void problem_property(struct document *d, const char *name, const char *type, const char *about)
{
        json_open_member(&d->j, name, '{');
        json_member(&d->j, "type", type);
        json_member(&d->j, "description", about);
        json_close(&d->j, '}');
}

static void problem_schema(struct document *d)
{
        static const char *const violation[][2] = {{"pointer", "JSON Pointer into the body that was sent, or /name of a path or query parameter"},
                                                   {"rule", "what is broken: required, maxLength, pattern, …, or the problem's own name"},
                                                   {"detail", "for a person"}};
        json_open_member(&d->j, "Problem", '{');
        json_member(&d->j, "type", "object");
        json_member(&d->j, "description", "Problem details (RFC 9457).");
        json_open_member(&d->j, "properties", '{');
        problem_property(d, "type", "string", "stable: urn:nuanxin:problem:…");
        problem_property(d, "title", "string", "in the language asked for");
        problem_property(d, "status", "integer", "the HTTP status");
        problem_property(d, "detail", "string", "what to do about it");
        problem_property(d, "traceId", "string", "for the operator; also the header X-Request-Id");
        json_open_member(&d->j, "violations", '{');
        json_member(&d->j, "type", "array");
        json_open_member(&d->j, "items", '{');
        json_member(&d->j, "type", "object");
        json_open_member(&d->j, "properties", '{');
        for (size_t i = 0; i < ARRAY_LEN(violation); i++)
                problem_property(d, violation[i][0], "string", violation[i][1]);
        json_close(&d->j, '}');
        json_open_member(&d->j, "required", '[');
        for (size_t i = 0; i < ARRAY_LEN(violation); i++)
                json_text(&d->j, violation[i][0]);
        json_close(&d->j, ']');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_open_member(&d->j, "required", '[');
        json_text(&d->j, "type");
        json_text(&d->j, "title");
        json_text(&d->j, "status");
        json_close(&d->j, ']');
        json_close(&d->j, '}');
}

/* What an answer or a body holds; each is written once. */
static void on_message(void *arg, const struct message *x)
{
        struct document *d = arg;
        json_key(&d->j, schema_name(x->name));
        schema_message(&d->j, d->arena, x, NULL, NULL);
        for (size_t i = 0; i < x->n_fields; i++)
                d->has_events |= x->fields[i].rule->raw_json;
}

static void on_enum(void *arg, const struct enumeration *e)
{
        struct document *d = arg;
        json_key(&d->j, schema_name(e->name));
        schema_enum(&d->j, d->arena, e);
}

static void schemas(struct document *d)
{
        struct reached r = {.on_message = on_message, .on_enum = on_enum, .arg = d};
        json_open_member(&d->j, "schemas", '{');
        problem_schema(d);
        for (size_t i = 0; i < d->n_methods; i++) {
                const struct method *x = d->methods[i];
                for (size_t f = 0; f < x->input->n_fields; f++)
                        if (http_carrier(x, &x->input->fields[f]) != CARRIER_HIDDEN)
                                reach_field(&r, &x->input->fields[f]);
                reach_message(&r, x->output);
        }
        if (d->has_events) {
                json_key(&d->j, SCHEMA_CLOUD_EVENT);
                schema_cloud_event(&d->j);
        }
        json_close(&d->j, '}');
        reached_done(&r);
}

static void violation_example(struct document *d)
{
        json_open_member(&d->j, "violations", '[');
        json_open(&d->j, '{');
        json_member(&d->j, "pointer", "/endTime");
        json_member(&d->j, "rule", "range");
        json_member(&d->j, "detail", "must be after startTime");
        json_close(&d->j, '}');
        json_close(&d->j, ']');
}

static void problem_examples(struct document *d)
{
        const struct enumeration *e = model_enum(d->m, "nuanxin.Problem");
        json_open_member(&d->j, "examples", '{');
        for (size_t i = 0; i < e->n_values; i++) {
                const Nuanxin__ProblemRule *p = e->values[i].problem;
                if (!p)
                        continue;
                json_open_member(&d->j, problem_name(d->arena, &e->values[i]), '{');
                json_member(&d->j, "summary", p->title_zh);
                json_open_member(&d->j, "value", '{');
                json_member(&d->j, "type", problem_type(d->arena, e->values[i].name));
                json_member(&d->j, "title", p->title);
                json_member_integer(&d->j, "status", p->status);
                json_member(&d->j, "detail", problem_text(d->arena, p->detail));
                json_member(&d->j, "traceId", "4bf92f3577b34da6a3ce929d0e0e4736");
                if (e->values[i].number == NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT)
                        violation_example(d);
                json_close(&d->j, '}');
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
}

static void components(struct document *d)
{
        json_open_member(&d->j, "components", '{');
        json_open_member(&d->j, "securitySchemes", '{');
        json_open_member(&d->j, "bearer", '{');
        json_member(&d->j, "type", "http");
        json_member(&d->j, "scheme", "bearer");
        json_member(&d->j, "description", "A session's token, or an app backend's API key.");
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        shared_parameters(d);
        json_open_member(&d->j, "headers", '{');
        header(d, "ETag", "Changes with every change of the resource.");
        header(d, "RateLimit", "What is left of the caller's limit, and in how many seconds all of it is back: \"read\";r=199;t=1");
        header(d, "RateLimit-Policy", "The caller's limit: \"read\";q=200;w=4");
        header(d, "Retry-After", "Seconds to wait before the request is sent again, with the same Idempotency-Key.");
        header(d, "WWW-Authenticate", "Bearer (RFC 6750).");
        header(d, "X-Request-Id", "The trace id, for the operator.");
        json_close(&d->j, '}');
        json_open_member(&d->j, "responses", '{');
        json_open_member(&d->j, "Problem", '{');
        json_member(&d->j, "description", "Any other problem: of the connection, the header or the route.");
        json_open_member(&d->j, "content", '{');
        json_open_member(&d->j, "application/problem+json", '{');
        json_key(&d->j, "schema");
        schema_ref(&d->j, d->arena, "Problem");
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        problem_examples(d);
        schemas(d);
        json_close(&d->j, '}');
}

void emit_openapi(struct buf *out, const struct model *m, const char *hash)
{
        struct document d = {.j = {.out = out, .lines = 3}, .arena = m->arena, .m = m};
        d.methods = ARENA_ARRAY(m->arena, const struct method *, m->n_methods + 1);
        for (size_t i = 0; i < m->n_methods; i++)
                if (m->methods[i].http)
                        d.methods[d.n_methods++] = &m->methods[i];
        if (d.n_methods)
                qsort(d.methods, d.n_methods, sizeof(*d.methods), by_path);
        json_open(&d.j, '{');
        json_member(&d.j, "openapi", "3.1.0");
        json_open_member(&d.j, "info", '{');
        json_member(&d.j, "title", "Nuanxin 暖心");
        json_member(&d.j, "version", "1");
        json_member(&d.j, "description",
                    "Members, organisations and activities of a five-level mass association. JSON after the proto3 mapping: "
                    "lowerCamelCase, times after RFC 3339, 64-bit numbers as strings; an answer has all fields of its type. "
                    "Unknown and repeated fields are refused. /docs has a guide.");
        json_member(&d.j, "x-nuanxin-contract", hash);
        json_close(&d.j, '}');
        json_open_member(&d.j, "servers", '[');
        json_open(&d.j, '{');
        json_member(&d.j, "url", "/");
        json_close(&d.j, '}');
        json_close(&d.j, ']');
        tags(&d);
        paths(&d);
        components(&d);
        json_close(&d.j, '}');
        buf_add_char(out, '\n');
}
