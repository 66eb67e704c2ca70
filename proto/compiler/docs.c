/* SPDX-License-Identifier: Apache-2.0
 *
 * The page at /docs: the guide, then every method with its parameters, examples and problems, types, roles, events, in
 * one file that loads nothing from elsewhere and runs no script.
 */
#include "emit.h"

#include "http.h"
#include "reached.h"
#include "schema.h"
#include "shape.h"
#include "source.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- pieces ---------------------------------------------------------------------------------------------------- */

static void text(struct buf *out, const char *s)
{
        for (; *s; s++) {
                if (*s == '<')
                        buf_add_z(out, "&lt;");
                else if (*s == '>')
                        buf_add_z(out, "&gt;");
                else if (*s == '&')
                        buf_add_z(out, "&amp;");
                else if (*s == '"')
                        buf_add_z(out, "&quot;");
                else
                        buf_add_char(out, *s);
        }
}

static void element(struct buf *out, const char *tag, const char *s)
{
        buf_printf(out, "<%s>", tag);
        text(out, s);
        buf_printf(out, "</%s>", tag);
}

static void type_link(struct buf *out, const char *full)
{
        const char *last = strrchr(full, '.');
        buf_printf(out, "<a href=\"#%s\">", schema_name(full));
        text(out, last ? last + 1 : full);
        buf_add_z(out, "</a>");
}

static void type_of(struct buf *out, const struct field *f)
{
        const struct field *value = f->map ? &f->message->fields[1] : f;
        buf_add_z(out, f->map ? "map of " : f->repeated ? "list of " : "");
        if (value->enumeration)
                type_link(out, value->enumeration->name);
        else if (value->message && !message_is_wkt(value->message))
                type_link(out, value->message->name);
        else if (value->message)
                text(out, strrchr(value->message->name, '.') + 1);
        else
                text(out, value->rule->raw_json ? "list of events" : field_type_name(value));
}

static void tag(struct buf *out, const char *s)
{
        buf_add_z(out, "<span class=\"tag\">");
        text(out, s);
        buf_add_z(out, "</span>");
}

static void rules_of(struct buf *out, struct arena *a, const struct field *f)
{
        const Nuanxin__FieldRule *r = f->rule;
        if (r->required)
                buf_add_z(out, "<span class=\"tag required\">required</span>");
        if (r->output_only)
                tag(out, "read only");
        if (r->privacy)
                tag(out, r->privacy == NUANXIN__PRIVACY__SENSITIVE ? "SENSITIVE" : "PERSONAL");
        if (r->uuid)
                tag(out, "UUID");
        if (r->max_length && r->min_length)
                tag(out, arena_printf(a, "%u to %u long", r->min_length, r->max_length));
        else if (r->max_length)
                tag(out, arena_printf(a, "at most %u long", r->max_length));
        if (r->range && r->range->max < INT32_MAX)
                tag(out, arena_printf(a, "%" PRId64 " to %" PRId64, r->range->min, r->range->max));
        if (r->max_items)
                tag(out, arena_printf(a, "at most %u items", r->max_items));
        if (r->unique)
                tag(out, "all different");
        if (f->oneof)
                tag(out, arena_printf(a, "one of: %s", f->oneof));
        for (size_t i = 0; i < r->n_in; i++)
                tag(out, r->in[i]);
        if (r->raw_json)
                tag(out, "CloudEvents");
        if (r->pattern[0])
                element(out, "code", r->pattern);
}

static void row(struct buf *out, struct arena *a, const char *name, const char *where, const struct field *f)
{
        const char *comment = source_comment(a, f->place);
        buf_add_z(out, "<tr><td>");
        element(out, "code", name);
        if (where[0])
                buf_printf(out, " <span class=\"dim\">%s</span>", where);
        buf_add_z(out, "<td>");
        type_of(out, f);
        buf_add_z(out, "<td>");
        rules_of(out, a, f);
        if (comment[0]) {
                buf_add_z(out, "<div>");
                text(out, comment);
                buf_add_z(out, "</div>");
        }
        buf_add_char(out, '\n');
}

/* --- methods ------------------------------------------------------------------------------------------------------ */

static void request_rows(struct buf *out, struct arena *a, const struct method *x)
{
        struct field *f = NULL;
        for (size_t i = 0;; i++) {
                const char *name = http_path_variable(a, x, i, &f);
                if (!name)
                        break;
                row(out, a, name, "path", f);
        }
        for (size_t i = 0; i < x->input->n_fields; i++)
                if (http_carrier(x, &x->input->fields[i]) == CARRIER_QUERY)
                        row(out, a, x->input->fields[i].json, "query", &x->input->fields[i]);
        const struct field *whole = http_has_body(x) ? message_find_field(x->input, str_of(x->body)) : NULL;
        const struct message *body = whole ? whole->message : x->input;
        for (size_t i = 0; http_has_body(x) && i < body->n_fields; i++) {
                const struct field *g = &body->fields[i];
                if (whole ? !g->rule->output_only && !g->rule->internal : http_carrier(x, g) == CARRIER_BODY)
                        row(out, a, g->json, "body", g);
        }
}

static void code(struct buf *out, const char *title, struct buf *what)
{
        element(out, "h4", title);
        buf_add_z(out, "<pre tabindex=\"0\"><code>");
        text(out, buf_z(what));
        buf_add_z(out, "</code></pre>\n");
        buf_done(what);
}

static void curl(struct buf *out, struct arena *a, const struct method *x)
{
        struct buf body = {0}, line = {0};
        struct json j = {.out = &body, .lines = JSON_DEPTH_MAX, .indent = true};
        buf_printf(&line, "curl%s%s \"$NUANXIN%s\"", strcmp(x->http, "GET") ? " -X " : "", strcmp(x->http, "GET") ? x->http : "",
                   example_path(a, x));
        if (strcmp(x->rule->permission, "public") != 0)
                buf_add_z(&line, " \\\n  -H \"Authorization: Bearer $TOKEN\"");
        if (x->rule->event_stream)
                buf_add_z(&line, " \\\n  -N -H 'Accept: text/event-stream'");
        if (http_writes(x))
                buf_add_z(&line, " \\\n  -H \"Idempotency-Key: $(uuidgen)\"");
        if (x->rule->upload)
                buf_add_z(&line, " \\\n  -H 'Content-Type: text/csv' --data-binary @file.csv");
        if (example_body(&j, a, x))
                buf_printf(&line, " \\\n  -H 'Content-Type: application/json' \\\n  -d '%s'", buf_z(&body));
        code(out, "Request", &line);
        buf_done(&body);
}

static void example_answer(struct buf *out, struct arena *a, const struct method *x)
{
        struct buf body = {0};
        struct json j = {.out = &body, .lines = JSON_DEPTH_MAX, .indent = true};
        if (x->rule->event_stream)
                buf_add_z(&body, EXAMPLE_STREAM);
        else
                example_message(&j, a, x->output, true);
        code(out, "Answer", &body);
}

/* What any request can meet stands in the table of problems alone. */
static bool is_telling(const struct enum_value *v)
{
        return v->number >= 100 || v->number == NUANXIN__PROBLEM__PROBLEM_NOT_FOUND ||
               v->number == NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED ||
               v->number == NUANXIN__PROBLEM__PROBLEM_PAGE_TOKEN_INVALID;
}

static void problems(struct buf *out, const struct model *m, const struct method *x)
{
        const struct enum_value *values[64];
        size_t n = http_problems(m, x, values);
        buf_add_z(out, "<h4>Problems</h4><p>");
        for (size_t i = 0; i < n; i++) {
                const char *name = problem_name(m->arena, values[i]);
                if (is_telling(values[i]))
                        buf_printf(out, "<a href=\"#problem-%s\">%s</a> <span class=\"dim\">%u</span>, ", name, name,
                                   values[i]->problem->status);
        }
        buf_add_z(out, "<a class=\"dim\" href=\"#problems\">and what any request can meet</a></p>\n");
}

static void paragraph(struct buf *out, const char *s)
{
        if (s[0])
                element(out, "p", s);
}

static void method(struct buf *out, const struct model *m, const struct method *x)
{
        struct arena *a = m->arena;
        struct buf rows = {0};
        buf_printf(out, "<section class=\"method\" id=\"%s.%s\"><div><h3>", http_service(a, x), x->rpc);
        text(out, x->rpc);
        buf_printf(out, "</h3>\n<p class=\"route\"><span class=\"%s\">%s</span> ", x->http, x->http);
        text(out, x->path);
        buf_add_z(out, "</p>\n");
        paragraph(out, source_comment(a, x->place));
        paragraph(out, source_comment(a, x->input->place));
        buf_add_z(out, "<p><a href=\"#roles\">");
        tag(out, arena_printf(a, "permission: %s", x->rule->permission));
        buf_add_z(out, "</a>");
        if (x->rule->at[0])
                tag(out, arena_printf(a, "at: %s", x->rule->at));
        if (x->rule->upload)
                tag(out, "takes text/csv");
        if (x->rule->export)
                tag(out, "also text/csv and application/x-ndjson, all pages");
        if (x->rule->event_stream)
                tag(out, "text/event-stream, without end");
        if (http_takes_etag(x))
                tag(out, "If-Match");
        if (http_gives_etag(x) && !http_writes(x))
                tag(out, "If-None-Match");
        buf_add_z(out, "</p>\n");
        request_rows(&rows, a, x);
        if (rows.n)
                buf_printf(out, "<h4>Request</h4><table><tr><th>Name<th>Type<th>About\n%s</table>\n", buf_z(&rows));
        buf_done(&rows);
        buf_add_z(out, "<h4>Answer</h4><p>");
        type_link(out, x->output->name);
        buf_add_z(out, "</p>\n");
        problems(out, m, x);
        buf_add_z(out, "</div><div class=\"code\">\n");
        curl(out, a, x);
        example_answer(out, a, x);
        buf_add_z(out, "</div></section>\n");
}

/* --- types and problems ----------------------------------------------------------------------------------------------- */

static void marks(struct buf *out, struct arena *a, const Nuanxin__EventRule *event)
{
        buf_add_z(out, "<p>");
        tag(out, arena_printf(a, "topic: %s", event->topic));
        tag(out, arena_printf(a, "subject: %s", event->subject));
        if (event->person[0])
                tag(out, arena_printf(a, "about the person: %s (PERSONAL)", event->person));
        if (event->notice)
                tag(out, "notice");
        buf_add_z(out, "</p>\n");
}

static void message(struct buf *out, struct arena *a, const struct message *x)
{
        bool any = false;
        buf_printf(out, "<section class=\"type\" id=\"%s\"><h3>%s</h3>\n", schema_name(x->name), schema_name(x->name));
        element(out, "p", source_comment(a, x->place));
        if (x->event)
                marks(out, a, x->event);
        for (size_t i = 0; i < x->n_fields; i++) {
                if (x->fields[i].rule->internal)
                        continue;
                if (!any)
                        buf_add_z(out, "<table><tr><th>Name<th>Type<th>About\n");
                any = true;
                row(out, a, x->fields[i].json, "", &x->fields[i]);
        }
        buf_add_z(out, any ? "</table></section>\n" : "<p class=\"dim\">No fields.</p></section>\n");
}

static void enumeration(struct buf *out, struct arena *a, const struct enumeration *e)
{
        buf_printf(out, "<section class=\"type\" id=\"%s\"><h3>%s</h3>\n", schema_name(e->name), schema_name(e->name));
        element(out, "p", source_comment(a, e->place));
        buf_add_z(out, "<table><tr><th>Value<th>About\n");
        for (size_t i = 0; i < e->n_values; i++) {
                buf_add_z(out, "<tr><td>");
                element(out, "code", e->values[i].name);
                buf_add_z(out, "<td>");
                text(out, source_comment(a, e->values[i].place));
                buf_add_char(out, '\n');
        }
        buf_add_z(out, "</table></section>\n");
}

static void roles(struct buf *out, const struct model *m)
{
        const struct enumeration *e = model_enum(m, "nuanxin.type.Role");
        buf_add_z(out, "<h2 id=\"roles\">Roles and permissions</h2>\n<p class=\"prose\">A role is granted at an organisation and "
                       "holds there and for everything below it. A permission that ends in <code>.self</code> is about the "
                       "member whose session it is, or the members for whom an app backend acts. <code>signedIn</code> asks for "
                       "any session or key, <code>public</code> for none.</p>\n<table class=\"roles\"><tr><th>Role<th>About<th>Permissions\n");
        for (size_t i = 0; e && i < e->n_values; i++) {
                const Nuanxin__RoleRule *role = e->values[i].role;
                if (!role)
                        continue;
                buf_add_z(out, "<tr><td>");
                element(out, "code", e->values[i].name);
                buf_add_z(out, "<td>");
                text(out, source_comment(m->arena, e->values[i].place));
                buf_add_z(out, "<td>");
                for (size_t p = 0; p < role->n_permissions; p++)
                        tag(out, role->permissions[p]);
                buf_add_char(out, '\n');
        }
        buf_add_z(out, "</table>\n");
}

/* Is it shown with a method already? */
static bool is_request(const struct model *m, const struct message *x)
{
        for (size_t i = 0; i < m->n_methods; i++)
                if (m->methods[i].input == x)
                        return true;
        return false;
}

static bool is_shown_event(const struct message *x)
{
        return x->event && !x->event->internal;
}

/* What comes over HTTP or in an event: the rest is for the bus. */
static void reach(struct reached *r, const struct model *m)
{
        for (size_t i = 0; i < m->n_methods; i++) {
                if (!m->methods[i].http)
                        continue;
                reach_message(r, m->methods[i].input);
                reach_message(r, m->methods[i].output);
        }
        for (size_t i = 0; i < m->n_messages; i++)
                if (is_shown_event(m->messages[i]))
                        reach_message(r, m->messages[i]);
}

static void types(struct buf *out, const struct model *m)
{
        struct reached r = {0};
        reach(&r, m);
        buf_add_z(out, "<h2 id=\"types\">Types</h2>\n");
        for (size_t i = 0; i < m->n_messages; i++)
                if (reached_has(&r, m->messages[i]->name) && !m->messages[i]->map_entry && !m->messages[i]->event &&
                    !is_request(m, m->messages[i]))
                        message(out, m->arena, m->messages[i]);
        for (size_t i = 0; i < m->n_enums; i++)
                if (reached_has(&r, m->enums[i]->name))
                        enumeration(out, m->arena, m->enums[i]);
        reached_done(&r);
        buf_add_z(out, "<h2 id=\"events\">Events</h2>\n<p class=\"prose\">What an agency can read as it happens, in CloudEvents; "
                       "<a href=\"/asyncapi.json\">asyncapi.json</a> has them for programs. The type of an event is its full name, "
                       "nuanxin. in front. One about a person comes only while that person consents to a purpose of the agency's, "
                       "or for one that the law gives it; a notice asks to delete what is held of the person.</p>\n");
        for (size_t i = 0; i < m->n_messages; i++)
                if (is_shown_event(m->messages[i]))
                        message(out, m->arena, m->messages[i]);
}

static void all_problems(struct buf *out, const struct model *m)
{
        const struct enumeration *e = model_enum(m, "nuanxin.Problem");
        buf_add_z(out, "<h2 id=\"problems\">Problems</h2>\n<p>Every refusal is <code>application/problem+json</code> (RFC 9457), "
                       "with a type that never changes: <code>urn:nuanxin:problem:</code> and the name.</p>\n"
                       "<table><tr><th>Name<th>Status<th>What it says\n");
        for (size_t i = 0; i < e->n_values; i++) {
                const Nuanxin__ProblemRule *p = e->values[i].problem;
                if (!p)
                        continue;
                const char *name = problem_name(m->arena, &e->values[i]);
                buf_printf(out, "<tr id=\"problem-%s\"><td><code>%s</code><td>%u<td><b>", name, name, p->status);
                text(out, p->title);
                buf_add_z(out, "</b> ");
                text(out, p->title_zh);
                buf_add_z(out, "<div class=\"dim\">");
                text(out, problem_text(m->arena, p->detail));
                buf_add_z(out, "<br>");
                text(out, problem_text(m->arena, p->detail_zh));
                buf_add_z(out, "</div>\n");
        }
        buf_add_z(out, "</table>\n");
}

/* --- the page ------------------------------------------------------------------------------------------------------------ */

/* As the files say it: what belongs together stands together. */
static int by_place(const void *a, const void *b)
{
        const struct method *x = *(const struct method *const *)a, *y = *(const struct method *const *)b;
        int c = strcmp(x->place.file->name, y->place.file->name);
        for (size_t i = 0; i < x->place.n && c == 0; i++)
                c = (x->place.path[i] > y->place.path[i]) - (x->place.path[i] < y->place.path[i]);
        return c;
}

/* Calls each method over HTTP with whether it is the first of its service. */
static void each_method(struct buf *out, const struct model *m,
                        void (*write)(struct buf *out, const struct model *m, const struct method *x, bool first))
{
        const struct method **list = ARENA_ARRAY(m->arena, const struct method *, m->n_methods + 1);
        size_t n = 0;
        for (size_t i = 0; i < m->n_methods; i++)
                if (m->methods[i].http)
                        list[n++] = &m->methods[i];
        if (n)
                qsort(list, n, sizeof(*list), by_place);
        for (size_t i = 0; i < n; i++)
                write(out, m, list[i],
                      i == 0 || strcmp(http_service(m->arena, list[i]), http_service(m->arena, list[i - 1])) != 0);
}

static void navigation_line(struct buf *out, const struct model *m, const struct method *x, bool first)
{
        const char *service = http_service(m->arena, x);
        if (first)
                buf_printf(out, "</ul><h2><a href=\"#%s\">%s</a></h2><ul>\n", service, service);
        buf_printf(out, "<li><b class=\"%s\">%s</b> <a href=\"#%s.%s\">%s</a>\n", x->http,
                   strcmp(x->http, "DELETE") ? x->http : "DEL", service, x->rpc, x->rpc);
}

static void navigation(struct buf *out, const struct model *m)
{
        buf_add_z(out, "<nav><a class=\"home\" href=\"#top\">Nuanxin 暖心</a><input type=\"checkbox\" id=\"menu\" "
                       "aria-label=\"Contents\"><label for=\"menu\">Contents 目录</label><div>\n<h2>Guide 指南</h2><ul>"
                       "<li><a href=\"#start\">A first journey</a><li><a href=\"#requests\">Requests and answers</a>"
                       "<li><a href=\"#errors\">Errors</a><li><a href=\"#repeating\">Repeating safely</a>"
                       "<li><a href=\"#changing\">Changing</a><li><a href=\"#lists\">Lists and exports</a>"
                       "<li><a href=\"#limits\">Limits</a>\n");
        each_method(out, m, navigation_line);
        buf_add_z(out, "</ul><h2>Reference</h2><ul><li><a href=\"#roles\">Roles and permissions</a>"
                       "<li><a href=\"#problems\">Problems</a><li><a href=\"#types\">Types</a><li><a href=\"#events\">Events</a>"
                       "<li><a href=\"/openapi.json\">openapi.json</a>"
                       "<li><a href=\"/asyncapi.json\">asyncapi.json</a></ul></div></nav>\n");
}

static void method_section(struct buf *out, const struct model *m, const struct method *x, bool first)
{
        const char *service = http_service(m->arena, x);
        if (first)
                buf_printf(out, "<h2 id=\"%s\">%s</h2>\n", service, service);
        method(out, m, x);
}

void emit_docs(struct buf *out, const struct model *m, const char *hash, struct str style, struct str guide)
{
        buf_add_z(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                       "<title>Nuanxin API</title><link rel=\"icon\" href=\"data:,\"><style>\n");
        buf_add_str(out, style);
        buf_add_z(out, "</style></head>\n<body id=\"top\"><div class=\"page\">\n");
        navigation(out, m);
        buf_add_z(out, "<main><div class=\"prose\">\n");
        buf_add_str(out, guide);
        buf_printf(out, "<p class=\"dim\">Contract %.12s</p>\n</div>\n", hash);
        each_method(out, m, method_section);
        roles(out, m);
        all_problems(out, m);
        types(out, m);
        buf_add_z(out, "</main></div></body></html>\n");
}
