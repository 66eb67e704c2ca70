/* SPDX-License-Identifier: Apache-2.0
 *
 * The route trie. A literal segment goes before a variable one; when its subtree has no match, the variable is
 * tried. Built once a thread from the contract's tables, so mistakes in it are bugs, not input.
 */
#include "services/gateway/route.h"

#include "common/http/http.h"

#include <assert.h>
#include <stdlib.h>

#define PATH_SEGMENTS_MAX 16

/* What stands at the end of a path: one per custom verb ("" for none). */
struct leaf {
        struct str verb;
        struct route *routes[ROUTE_HTTP_METHODS];
        struct leaf *next;
};

struct node {
        struct str segment;
        struct node *literals; /* children */
        struct node *variable; /* the child that takes any segment */
        struct node *next;     /* sibling */
        struct leaf *leaves;
};

struct route_table {
        struct arena *arena;
        struct node *root;
        struct route **routes;
        size_t n_routes;
};

/* --- what is worked out once a method -------------------------------------------------------------------------- */

static const char *label_of(const char *name)
{
        const char *dot = strrchr(name, '.');
        while (dot && dot > name && dot[-1] != '.')
                dot--;
        return dot ? dot : name;
}

static const ProtobufCFieldDescriptor *field_of(const struct contract_message *type, struct str name)
{
        for (unsigned i = 0; i < type->n_fields; i++)
                if (str_is(name, type->fields[i].name))
                        return &type->pb->fields[i];
        return NULL;
}

static const ProtobufCFieldDescriptor *tag_of(const struct contract_message *type)
{
        const ProtobufCFieldDescriptor *f = field_of(type, STR("etag"));
        return f && f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED ? f : NULL;
}

static const ProtobufCFieldDescriptor *plan_wait(const struct contract_method *m)
{
        const ProtobufCFieldDescriptor *f = m->lane == NUANXIN__LANE__READ ? field_of(m->input, STR("wait")) : NULL;
        return f && f->type == PROTOBUF_C_TYPE_INT32 && f->label != PROTOBUF_C_LABEL_REPEATED ? f : NULL;
}

static void plan_body(struct route *r)
{
        const struct contract_method *m = r->method;
        r->has_body = m->body != NULL;
        if (!m->body || m->upload) /* an upload's body is cut into chunks, not read as JSON */
                return;
        r->body_whole = strcmp(m->body, "*") == 0;
        if (r->body_whole)
                return;
        r->body_pb = field_of(m->input, str_of(m->body));
        assert(r->body_pb);
        r->body = &m->input->fields[r->body_pb - m->input->pb->fields];
        assert(r->body->message);
}

static void plan_route(struct route *r, const struct contract_method *method)
{
        r->method = method;
        r->label = label_of(method->name);
        plan_body(r);
        r->answer_tag = tag_of(method->output);
        r->request_tag = tag_of(method->input);
        if (r->request_tag)
                r->request_tag_max = method->input->fields[r->request_tag - method->input->pb->fields].max_length;
        r->wait = plan_wait(method);
        r->cursor = method->event_stream ? field_of(method->input, STR("cursor")) : NULL;
        assert(!method->event_stream || (r->wait && r->cursor)); /* the compiler's matter */
        const char *verb = strchr(method->permission, '.');
        r->always_check = verb && strcmp(verb, ".reveal") == 0;
}

/* --- building ---------------------------------------------------------------------------------------------------- */

static struct node *child_for(struct route_table *t, struct node *parent, struct str segment)
{
        bool variable = segment.n > 0 && segment.p[0] == '{';
        if (variable) {
                if (!parent->variable)
                        parent->variable = ARENA_NEW(t->arena, struct node);
                return parent->variable;
        }
        for (struct node *n = parent->literals; n; n = n->next)
                if (str_eq(n->segment, segment))
                        return n;
        struct node *n = ARENA_NEW(t->arena, struct node);
        n->segment = segment;
        n->next = parent->literals;
        parent->literals = n;
        return n;
}

static struct leaf *leaf_for(struct route_table *t, struct node *node, struct str verb)
{
        for (struct leaf *l = node->leaves; l; l = l->next)
                if (str_eq(l->verb, verb))
                        return l;
        struct leaf *l = ARENA_NEW(t->arena, struct leaf);
        l->verb = verb;
        l->next = node->leaves;
        node->leaves = l;
        return l;
}

static void add_route(struct route_table *t, const struct contract_method *method)
{
        struct route *r = ARENA_NEW(t->arena, struct route);
        plan_route(r, method);
        struct str path = str_of(method->path), verb = {NULL, 0};
        const char *colon = strrchr(method->path, ':');
        if (colon) {
                verb = str_of(colon + 1);
                path.n = (size_t)(colon - path.p);
        }
        assert(path.n > 1 && path.p[0] == '/');
        path = (struct str){path.p + 1, path.n - 1};
        struct node *node = t->root;
        while (path.n) {
                struct str segment = str_cut(&path, '/');
                node = child_for(t, node, segment);
                if (segment.p[0] == '{') {
                        assert(r->n_variables < ROUTE_VARIABLES_MAX && segment.p[segment.n - 1] == '}');
                        r->variables[r->n_variables++] = (struct str){segment.p + 1, segment.n - 2};
                }
        }
        struct leaf *leaf = leaf_for(t, node, verb);
        assert(!leaf->routes[method->http]);
        leaf->routes[method->http] = r;
        t->routes[t->n_routes++] = r;
}

struct route_table *route_table_new(const struct contract_method *const *methods, size_t n)
{
        struct route_table *t = mem_zalloc(sizeof(*t));
        t->arena = arena_new(16 * 1024);
        t->root = ARENA_NEW(t->arena, struct node);
        t->routes = ARENA_ARRAY(t->arena, struct route *, n + 1);
        for (size_t i = 0; i < n; i++)
                if (methods[i]->path)
                        add_route(t, methods[i]);
        return t;
}

struct route_table *route_table_free(struct route_table *t)
{
        if (t) {
                arena_free(t->arena);
                free(t);
        }
        return NULL;
}

struct route *route_at(const struct route_table *t, size_t i)
{
        return i < t->n_routes ? t->routes[i] : NULL;
}

/* --- finding ----------------------------------------------------------------------------------------------------- */

struct walk {
        struct str segments[PATH_SEGMENTS_MAX];
        size_t n;
        struct str verb;
        struct route_match *match;
};

static bool walk_node(struct walk *w, const struct node *node, size_t i, size_t n_values)
{
        if (i == w->n) {
                for (const struct leaf *l = node->leaves; l; l = l->next)
                        if (str_eq(l->verb, w->verb)) {
                                w->match->routes = l->routes;
                                w->match->n_values = n_values;
                                return true;
                        }
                return false;
        }
        for (const struct node *n = node->literals; n; n = n->next)
                if (str_eq(n->segment, w->segments[i]) && walk_node(w, n, i + 1, n_values))
                        return true;
        if (!node->variable || w->segments[i].n == 0 || n_values == ROUTE_VARIABLES_MAX)
                return false;
        w->match->values[n_values] = w->segments[i];
        return walk_node(w, node->variable, i + 1, n_values + 1);
}

/* Cuts the path into decoded segments, and the verb off the last one. False: no path of ours. */
static bool path_cut(struct walk *w, struct arena *arena, struct str path)
{
        if (path.n < 2 || path.p[0] != '/' || path.p[path.n - 1] == '/')
                return false;
        path = (struct str){path.p + 1, path.n - 1};
        while (path.n) {
                if (w->n == PATH_SEGMENTS_MAX)
                        return false;
                struct str segment = str_cut(&path, '/');
                const char *colon = path.n == 0 ? memrchr(segment.p, ':', segment.n) : NULL;
                if (colon) {
                        w->verb = (struct str){colon + 1, (size_t)(segment.p + segment.n - colon - 1)};
                        segment.n = (size_t)(colon - segment.p);
                        if (w->verb.n == 0)
                                return false;
                }
                if (segment.n && memchr(segment.p, '%', segment.n) && http_decode(arena, segment, false, &segment) < 0)
                        return false;
                w->segments[w->n++] = segment;
        }
        return true;
}

bool route_find(const struct route_table *t, struct arena *arena, struct str path, struct route_match *ret_match)
{
        struct route_match match = {0};
        struct walk w = {.match = &match};
        if (!path_cut(&w, arena, path) || !walk_node(&w, t->root, 0, 0))
                return false;
        *ret_match = match;
        return true;
}

const char *route_allow(struct arena *arena, const struct route_match *match)
{
        static const char *const names[] = {"GET, HEAD", "POST", "PUT", "PATCH", "DELETE"};
        const char *allow = "OPTIONS";
        for (int i = ROUTE_HTTP_METHODS - 1; i >= 0; i--)
                if (match->routes[i])
                        allow = arena_printf(arena, "%s, %s", names[i], allow);
        return allow;
}
