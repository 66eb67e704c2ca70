/* SPDX-License-Identifier: Apache-2.0
 *
 * Methods: every rule given, routes that can be served, paths that lead somewhere.
 */
#include "check.h"

#include "name.h"

#include <ctype.h>

/* --- rules ------------------------------------------------------------------------------------------------ */

static bool permission_is_word(const char *p)
{
        return strcmp(p, "public") == 0 || strcmp(p, "signedIn") == 0 || strcmp(p, "service") == 0 ||
               strcmp(p, "operator") == 0;
}

/* For the bus only. */
static bool permission_is_inside(const char *p)
{
        return strcmp(p, "service") == 0 || strcmp(p, "operator") == 0;
}

static bool permission_is_named(const char *p)
{
        struct str rest = str_of(p), noun = str_cut(&rest, '.');
        if (noun.n == 0 || rest.n == 0 || !islower((unsigned char)noun.p[0]) || !islower((unsigned char)rest.p[0]))
                return false;
        for (const char *c = p; *c; c++)
                if (!isalnum((unsigned char)*c) && c != noun.p + noun.n)
                        return false;
        return true;
}

static void check_rule(const struct method *x, struct refusals *r)
{
        const Nuanxin__MethodRule *rule = x->rule;
        if (!rule->permission[0])
                refuse(r, x->place, "method %s: no permission", x->rpc);
        else if (!permission_is_word(rule->permission) && !permission_is_named(rule->permission))
                refuse(r, x->place, "method %s: permission \"%s\" is no noun.verb, public, signedIn, service or operator", x->rpc,
                       rule->permission);
        if (rule->rate == NUANXIN__RATE_CLASS__RATE_CLASS_UNSPECIFIED)
                refuse(r, x->place, "method %s: no rate class", x->rpc);
        if (rule->lane == NUANXIN__LANE__LANE_UNSPECIFIED)
                refuse(r, x->place, "method %s: no lane", x->rpc);
        const struct field *at = rule->at[0] ? message_find_path(x->input, rule->at) : NULL;
        if (rule->at[0] && (!at || at->pb->type != TYPE(STRING) || at->repeated))
                refuse(r, x->place, "method %s: at: \"%s\" is no string field of %s", x->rpc, rule->at, x->input->name);
        if (rule->at[0] && permission_is_word(rule->permission))
                refuse(r, x->place, "method %s: at needs a permission, not \"%s\"", x->rpc, rule->permission);
        if (x->pb->client_streaming || x->pb->server_streaming)
                refuse(r, x->place, "method %s: streams are refused", x->rpc);
}

/* Permission, rate class and HTTP rule must make sense together. */
static void check_reach(const struct method *x, struct refusals *r)
{
        bool inside = permission_is_inside(x->rule->permission);
        if (x->http && inside)
                refuse(r, x->place, "method %s: permission \"%s\" cannot be reached over HTTP", x->rpc, x->rule->permission);
        if (x->http && x->rule->rate == NUANXIN__RATE_CLASS__RATE_NONE)
                refuse(r, x->place, "method %s: RATE_NONE is for methods inside, not over HTTP", x->rpc);
        if (x->http && !x->service)
                refuse(r, x->place, "method %s: nuanxin.internal is not reached over HTTP", x->rpc);
        if (!x->http && !inside && x->rule->permission[0])
                refuse(r, x->place, "method %s: permission \"%s\" without an HTTP rule: nobody could call it", x->rpc,
                       x->rule->permission);
}

static void needs_field(const struct method *x, const struct message *message, const char *name, int type,
                        const char *why, struct refusals *r)
{
        const struct field *f = message_find_field(message, str_of(name));
        if (!f || (int)f->pb->type != type || f->repeated)
                refuse(r, x->place, "method %s: %s needs the field %s in %s", x->rpc, why, name, message->name);
}

static void check_effects(const struct method *x, struct refusals *r)
{
        if (x->rule->upload) {
                needs_field(x, x->input, "upload", TYPE(STRING), "upload", r);
                needs_field(x, x->input, "offset", TYPE(INT64), "upload", r);
                needs_field(x, x->input, "data", TYPE(BYTES), "upload", r);
                needs_field(x, x->input, "last", TYPE(BOOL), "upload", r);
        }
        if (x->rule->export) {
                needs_field(x, x->input, "page_token", TYPE(STRING), "export", r);
                needs_field(x, x->output, "next_page_token", TYPE(STRING), "export", r);
        }
        if (x->rule->event_stream) {
                needs_field(x, x->input, "cursor", TYPE(STRING), "event_stream", r);
                needs_field(x, x->input, "wait", TYPE(INT32), "event_stream", r);
                needs_field(x, x->output, "cursor", TYPE(STRING), "event_stream", r);
                needs_field(x, x->output, "events", TYPE(BYTES), "event_stream", r);
                const struct field *events = message_find_field(x->output, STR("events"));
                if (events && !events->rule->raw_json)
                        refuse(r, x->place, "method %s: event_stream needs raw_json of the field events in %s", x->rpc,
                               x->output->name);
                if (x->http && strcmp(x->http, "GET") != 0)
                        refuse(r, x->place, "method %s: event_stream is for GET", x->rpc);
        }
        if (x->rule->session == NUANXIN__SESSION_EFFECT__SESSION_OPEN) {
                needs_field(x, x->output, "principal", TYPE(MESSAGE), "SESSION_OPEN", r);
                needs_field(x, x->output, "token", TYPE(STRING), "SESSION_OPEN", r);
        }
}

/* --- routes ------------------------------------------------------------------------------------------------- */

static bool is_query_value(const struct field *f)
{
        return !f->map && (!f->message || message_is_wkt(f->message));
}

/* Does path have {name}, for this field or one below it? */
static bool path_names(const char *path, const char *field)
{
        size_t n = strlen(field);
        for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{'))
                if (strncmp(p + 1, field, n) == 0 && (p[1 + n] == '}' || p[1 + n] == '.'))
                        return true;
        return false;
}

/* Cuts the path into segments and checks every variable. A normal form (variables without names) goes to *out. */
static bool check_path(const struct method *x, struct buf *out, struct refusals *r)
{
        const char *p = x->path;
        bool good = p[0] == '/' && p[1] != 0;
        while (good && *p) {
                if (*p == '{') {
                        const char *end = strchr(p, '}');
                        if (!end || memchr(p, '=', (size_t)(end - p)) || p[-1] != '/' ||
                            (end[1] && end[1] != '/' && end[1] != ':')) {
                                good = false;
                                break;
                        }
                        const char *name = arena_strndup(r->arena, p + 1, (size_t)(end - p - 1));
                        const struct field *f = message_find_path(x->input, name);
                        if (!f || f->repeated || f->message)
                                refuse(r, x->place, "method %s: path variable {%s} is no plain field of %s", x->rpc, name,
                                       x->input->name);
                        buf_add_z(out, "{}");
                        p = end + 1;
                } else {
                        good = isalnum((unsigned char)*p) || strchr("/:-._", *p);
                        buf_add_char(out, *p++);
                }
        }
        if (!good || strstr(x->path, "//"))
                refuse(r, x->place, "method %s: path \"%s\" is none that the gateway serves: /v1/things/{thing}:verb", x->rpc,
                       x->path);
        return good;
}

static void check_body(const struct method *x, struct refusals *r)
{
        bool bodiless = strcmp(x->http, "GET") == 0 || strcmp(x->http, "DELETE") == 0;
        bool all = x->body && strcmp(x->body, "*") == 0;
        if (x->body && bodiless)
                refuse(r, x->place, "method %s: %s has no body", x->rpc, x->http);
        if (x->body && !all) {
                const struct field *f = message_find_field(x->input, str_of(x->body));
                bool data = f && x->rule->upload && f->pb->type == TYPE(BYTES);
                if (!f || f->repeated || (!f->message && !data))
                        refuse(r, x->place, "method %s: body \"%s\" is no message field of %s", x->rpc, x->body,
                               x->input->name);
        }
        for (size_t i = 0; !all && i < x->input->n_fields; i++) {
                const struct field *f = &x->input->fields[i];
                bool in_body = x->body && strcmp(x->body, f->name) == 0;
                if (!in_body && !is_query_value(f) && !f->rule->internal && !path_names(x->path, f->name))
                        refuse(r, x->place, "method %s: field %s is in neither path nor body, and no query parameter",
                               x->rpc, f->name);
        }
}

struct route {
        const char *key; /* "GET /v1/members/{}" */
        const struct method *method;
};

static void check_routes(const struct model *m, struct refusals *r)
{
        struct route *routes = ARENA_ARRAY(r->arena, struct route, m->n_methods + 1);
        size_t n = 0;
        for (size_t i = 0; i < m->n_methods; i++) {
                const struct method *x = &m->methods[i];
                struct buf key = {0};
                if (!x->http)
                        continue;
                buf_printf(&key, "%s ", x->http);
                if (check_path(x, &key, r))
                        check_body(x, r);
                struct route here = {arena_strndup(r->arena, key.p, key.n), x};
                buf_done(&key);
                for (size_t k = 0; k < n; k++)
                        if (strcmp(routes[k].key, here.key) == 0)
                                refuse(r, x->place, "method %s: %s %s is also the route of %s", x->rpc, x->http, x->path,
                                       routes[k].method->name);
                routes[n++] = here;
        }
}

void check_methods(const struct model *m, struct refusals *r)
{
        for (size_t i = 0; i < m->n_methods; i++) {
                const struct method *x = &m->methods[i];
                if (!x->has_rule) {
                        refuse(r, x->place, "method %s: no permission, rate class and lane: give it (nuanxin.method)",
                               x->rpc);
                        continue;
                }
                check_rule(x, r);
                check_reach(x, r);
                check_effects(x, r);
                for (size_t k = 0; k < i; k++)
                        if (strcmp(m->methods[k].package, x->package) == 0 && strcmp(m->methods[k].rpc, x->rpc) == 0)
                                refuse(r, x->place, "method %s: another service of %s has one of that name", x->rpc,
                                       x->package);
        }
        check_routes(m, r);
}
