/* SPDX-License-Identifier: Apache-2.0
 *
 * The page at /docs: every method with its parameters, an example and its problems, in one file that loads nothing
 * from elsewhere and runs no script.
 */
#include "emit.h"

#include "http.h"
#include "schema.h"
#include "shape.h"
#include "source.h"

#include <inttypes.h>
#include <stdlib.h>

static const char style[] =
        ":root{color-scheme:light dark;--bg:#fff;--fg:#1d2329;--dim:#5d6873;--line:#dde2e7;--soft:#f5f7f9;--code:#f0f3f5;"
        "--link:#9a3412;--get:#166534;--post:#1d4ed8;--patch:#92400e;--delete:#b91c1c}"
        "@media(prefers-color-scheme:dark){:root{--bg:#14181c;--fg:#e4e8ec;--dim:#9aa5b0;--line:#2d353d;--soft:#1a2026;"
        "--code:#20272e;--link:#fdba74;--get:#4ade80;--post:#93c5fd;--patch:#fcd34d;--delete:#fca5a5}}"
        "*{box-sizing:border-box}html{scroll-padding-top:1rem}"
        "body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,\"Noto Sans CJK SC\",\"PingFang SC\","
        "\"Microsoft YaHei\",sans-serif}"
        "a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}"
        "code,pre{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace}code{background:var(--code);padding:.1em .3em;"
        "border-radius:3px;overflow-wrap:anywhere}"
        "pre{background:var(--code);padding:.8rem 1rem;border-radius:6px;overflow-x:auto;white-space:pre-wrap;"
        "overflow-wrap:anywhere}pre code{padding:0;background:none}"
        ".page{display:grid;grid-template-columns:19rem minmax(0,1fr);max-width:80rem;margin:auto}"
        "nav{position:sticky;top:0;align-self:start;height:100vh;overflow-y:auto;padding:1.5rem 1rem;border-right:1px solid "
        "var(--line);font-size:14px}nav h2{font-size:14px;margin:1.2rem 0 .3rem}nav ul{list-style:none;margin:0;padding:0}"
        "nav li{padding:.1rem 0;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}"
        "main{padding:1.5rem 2rem 6rem}h1{font-size:1.7rem;margin:.2rem 0 1rem}h2{font-size:1.35rem;margin:3rem 0 .6rem;"
        "padding-bottom:.3rem;border-bottom:1px solid var(--line)}h3{font-size:1.08rem;margin:2.6rem 0 .4rem}"
        "h4{font-size:.85rem;margin:1.1rem 0 .3rem;color:var(--dim);font-weight:600}"
        "table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;vertical-align:top;padding:.4rem "
        ".6rem .4rem 0;border-top:1px solid var(--line)}th{color:var(--dim);font-weight:600;border-top:0}"
        "td:first-child code{overflow-wrap:normal}.dim{color:var(--dim)}.route{font:600 15px ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}"
        ".GET{color:var(--get)}.POST,.PUT{color:var(--post)}.PATCH{color:var(--patch)}.DELETE{color:var(--delete)}"
        ".tag{display:inline-block;border:1px solid var(--line);border-radius:4px;padding:0 .4em;font-size:12px;"
        "color:var(--dim);margin-right:.3em;white-space:nowrap}"
        "@media(max-width:60rem){.page{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid "
        "var(--line);max-height:45vh}nav ul{columns:2}main{padding:1rem}}"
        "@media(max-width:40rem){table,tbody,tr,td{display:block}th{display:none}tr{padding:.5rem 0;border-top:1px solid "
        "var(--line)}tr:first-child{padding:0;border:0}td{border:0;padding:.1rem 0}}"
        "@media print{nav{display:none}.page{display:block}}";

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
                text(out, field_type_name(value));
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
                tag(out, "required");
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
        if (r->range)
                tag(out, arena_printf(a, "%" PRId64 " to %" PRId64, r->range->min, r->range->max));
        if (r->max_items)
                tag(out, arena_printf(a, "at most %u items", r->max_items));
        if (r->unique)
                tag(out, "all different");
        if (f->oneof)
                tag(out, arena_printf(a, "one of: %s", f->oneof));
        for (size_t i = 0; i < r->n_in; i++)
                tag(out, r->in[i]);
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
        static const char *const where[] = {[CARRIER_PATH] = "path", [CARRIER_QUERY] = "query", [CARRIER_BODY] = "body"};
        struct field *f = NULL;
        for (size_t i = 0;; i++) {
                const char *name = http_path_variable(a, x, i, &f);
                if (!name)
                        break;
                row(out, a, name, "path", f);
        }
        for (enum carrier c = CARRIER_QUERY; c <= CARRIER_BODY; c++)
                for (size_t i = 0; i < x->input->n_fields; i++) {
                        const struct field *g = &x->input->fields[i];
                        bool whole = c == CARRIER_BODY && x->body && strcmp(x->body, g->name) == 0;
                        if (http_carrier(x, g) == c)
                                row(out, a, whole ? "(the body)" : g->json, whole ? "" : where[c], g);
                }
}

static void curl(struct buf *out, struct arena *a, const struct method *x)
{
        struct buf body = {0}, line = {0};
        struct json j = {.out = &body, .lines = JSON_DEPTH_MAX, .indent = true};
        buf_add_z(&line, "curl");
        if (strcmp(x->http, "GET") != 0)
                buf_printf(&line, " -X %s", x->http);
        if (strcmp(x->rule->permission, "public") != 0)
                buf_add_z(&line, " -H \"Authorization: Bearer $TOKEN\"");
        if (http_writes(x))
                buf_add_z(&line, " -H \"Idempotency-Key: $(uuidgen)\"");
        if (x->rule->upload)
                buf_add_z(&line, " -H 'Content-Type: text/csv' --data-binary @file.csv");
        if (example_body(&j, a, x))
                buf_printf(&line, " -H 'Content-Type: application/json' \\\n  -d '%s'", buf_z(&body));
        buf_printf(&line, " \\\n  \"$NUANXIN%s\"", example_path(a, x));
        buf_add_z(out, "<h4>Example</h4><pre><code>");
        text(out, buf_z(&line));
        buf_add_z(out, "</code></pre>\n");
        buf_done(&body);
        buf_done(&line);
}

static void problems(struct buf *out, const struct model *m, const struct method *x)
{
        const struct enum_value *values[64];
        size_t n = http_problems(m, x, values);
        buf_add_z(out, "<h4>Problems</h4><p>");
        for (size_t i = 0; i < n; i++) {
                const char *name = problem_name(m->arena, values[i]);
                buf_printf(out, "%s<a href=\"#problem-%s\">%s</a> <span class=\"dim\">%u</span>", i ? ", " : "", name, name,
                           values[i]->problem->status);
        }
        buf_add_z(out, "</p>\n");
}

static void method(struct buf *out, const struct model *m, const struct method *x)
{
        struct arena *a = m->arena;
        struct buf rows = {0};
        buf_printf(out, "<section id=\"%s.%s\"><h3>", http_service(a, x), x->rpc);
        text(out, x->rpc);
        buf_printf(out, "</h3>\n<p class=\"route\"><span class=\"%s\">%s</span> ", x->http, x->http);
        text(out, x->path);
        buf_add_z(out, "</p>\n");
        element(out, "p", source_comment(a, x->place));
        buf_add_z(out, "<p>");
        tag(out, arena_printf(a, "permission: %s", x->rule->permission));
        if (x->rule->at[0])
                tag(out, arena_printf(a, "at: %s", x->rule->at));
        if (x->rule->upload)
                tag(out, "takes text/csv");
        if (x->rule->export)
                tag(out, "also text/csv and application/x-ndjson, all pages");
        if (http_takes_etag(x))
                tag(out, "If-Match");
        buf_add_z(out, "</p>\n");
        request_rows(&rows, a, x);
        if (rows.n)
                buf_printf(out, "<h4>Request</h4><table><tr><th>Name<th>Type<th>About\n%s</table>\n", buf_z(&rows));
        buf_done(&rows);
        buf_add_z(out, "<h4>Answer</h4><p>");
        type_link(out, x->output->name);
        buf_add_z(out, "</p>\n");
        curl(out, a, x);
        problems(out, m, x);
        buf_add_z(out, "</section>\n");
}

/* --- types and problems ----------------------------------------------------------------------------------------------- */

static void message(struct buf *out, struct arena *a, const struct message *x)
{
        bool any = false;
        buf_printf(out, "<section id=\"%s\"><h3>%s</h3>\n", schema_name(x->name), schema_name(x->name));
        element(out, "p", source_comment(a, x->place));
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
        buf_printf(out, "<section id=\"%s\"><h3>%s</h3>\n", schema_name(e->name), schema_name(e->name));
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

static bool is_public(const char *package)
{
        return package_is_ours(package) && !str_starts(str_of(package), STR("nuanxin.internal."));
}

/* Is it shown with a method already? */
static bool is_request(const struct model *m, const struct message *x)
{
        for (size_t i = 0; i < m->n_methods; i++)
                if (m->methods[i].input == x)
                        return true;
        return false;
}

static void types(struct buf *out, const struct model *m)
{
        buf_add_z(out, "<h2 id=\"types\">Types</h2>\n");
        for (size_t i = 0; i < m->n_messages; i++)
                if (is_public(m->messages[i]->place.file->package) && !m->messages[i]->map_entry &&
                    !m->messages[i]->event && !is_request(m, m->messages[i]))
                        message(out, m->arena, m->messages[i]);
        for (size_t i = 0; i < m->n_enums; i++)
                if (is_public(m->enums[i]->place.file->package))
                        enumeration(out, m->arena, m->enums[i]);
        buf_add_z(out, "<h2 id=\"events\">Events</h2>\n<p>What other systems may subscribe to. The type of an event is its full "
                       "name, nuanxin. in front.</p>\n");
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i]->event)
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
                text(out, p->detail);
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
        buf_printf(out, "<li><a href=\"#%s.%s\">%s</a>\n", service, x->rpc, x->rpc);
}

static void navigation(struct buf *out, const struct model *m)
{
        buf_add_z(out, "<nav><ul><li><a href=\"#top\"><b>Nuanxin 暖心</b></a>\n");
        each_method(out, m, navigation_line);
        buf_add_z(out, "</ul><h2>More</h2><ul><li><a href=\"#types\">Types</a><li><a href=\"#events\">Events</a><li>"
                       "<a href=\"#problems\">Problems</a><li><a href=\"/openapi.json\">openapi.json</a></ul></nav>\n");
}

static void method_section(struct buf *out, const struct model *m, const struct method *x, bool first)
{
        const char *service = http_service(m->arena, x);
        if (first)
                buf_printf(out, "<h2 id=\"%s\">%s</h2>\n", service, service);
        method(out, m, x);
}

void emit_docs(struct buf *out, const struct model *m, const char *hash)
{
        buf_printf(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                        "<title>Nuanxin API</title><link rel=\"icon\" href=\"data:,\"><style>%s</style></head>\n"
                        "<body id=\"top\"><div class=\"page\">\n", style);
        navigation(out, m);
        buf_printf(out, "<main><h1>Nuanxin 暖心: the HTTP interface</h1>\n"
                        "<p>JSON in and out: lowerCamelCase names, times after RFC 3339, 64-bit numbers as strings. Fields "
                        "that are not known, or given twice, are refused with a JSON Pointer to each. A write takes an "
                        "<code>Idempotency-Key</code>: repeating it with the same key gives the first answer again and never "
                        "a second effect. A list has <code>pageSize</code> (50 if not given, at most 1000) and "
                        "<code>pageToken</code>.</p>\n"
                        "<p>The examples use two variables: <code>NUANXIN=http://127.0.0.1:8080</code>, and "
                        "<code>TOKEN</code>, which is the token of a session (<a href=\"#Membership.CreateSession\">"
                        "CreateSession</a>) or an app backend's API key.</p>\n"
                        "<p class=\"dim\">Contract %.12s, also as <a href=\"/openapi.json\">openapi.json</a>.</p>\n", hash);
        each_method(out, m, method_section);
        types(out, m);
        all_problems(out, m);
        buf_add_z(out, "</main></div></body></html>\n");
}
