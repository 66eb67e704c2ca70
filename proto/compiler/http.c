/* SPDX-License-Identifier: Apache-2.0
 *
 * Where request fields travel, and which problems come back.
 */
#include "http.h"

#include "emit.h"

const char *http_path_variable(struct arena *arena, const struct method *x, size_t n, struct field **ret_field)
{
        for (const char *p = strchr(x->path, '{'); p; p = strchr(p + 1, '{')) {
                const char *end = strchr(p, '}');
                if (!end)
                        return NULL;
                if (n-- > 0)
                        continue;
                const char *name = arena_strndup(arena, p + 1, (size_t)(end - p - 1));
                *ret_field = message_find_path(x->input, name);
                return name;
        }
        return NULL;
}

static bool in_path(const struct method *x, const char *name)
{
        size_t n = strlen(name);
        for (const char *p = strchr(x->path, '{'); p; p = strchr(p + 1, '{'))
                if (strncmp(p + 1, name, n) == 0 && p[1 + n] == '}')
                        return true;
        return false;
}

enum carrier http_carrier(const struct method *x, const struct field *f)
{
        static const char *const chunk[] = {"upload", "offset", "data", "last"};
        if (f->rule->internal || f->rule->output_only)
                return CARRIER_HIDDEN;
        for (size_t i = 0; x->rule->upload && i < ARRAY_LEN(chunk); i++)
                if (strcmp(f->name, chunk[i]) == 0)
                        return CARRIER_HIDDEN;
        if (in_path(x, f->name))
                return CARRIER_PATH;
        if (x->body && (strcmp(x->body, "*") == 0 || strcmp(x->body, f->name) == 0))
                return CARRIER_BODY;
        if (strcmp(f->name, "etag") == 0)
                return CARRIER_HIDDEN;
        return f->message && !message_is_wkt(f->message) ? CARRIER_HIDDEN : CARRIER_QUERY;
}

bool http_writes(const struct method *x)
{
        return strcmp(x->http, "GET") != 0;
}

static bool has_etag(const struct message *x)
{
        const struct field *f = message_find_field(x, STR("etag"));
        return f && f->pb->type == TYPE(STRING) && !f->repeated;
}

bool http_takes_etag(const struct method *x)
{
        return http_writes(x) && has_etag(x->input);
}

bool http_gives_etag(const struct method *x)
{
        return has_etag(x->output);
}

bool http_has_body(const struct method *x)
{
        return x->body && !x->rule->upload;
}

const char *http_service(struct arena *arena, const struct method *x)
{
        const char *end = strrchr(x->name, '.'), *from = x->name + strlen(x->package) + 1;
        return arena_strndup(arena, from, (size_t)(end - from));
}

const char *http_first_sentence(struct arena *arena, const char *text)
{
        const char *end = text;
        while (*end && !(*end == '.' && (end[1] == ' ' || end[1] == 0)))
                end++;
        return arena_strndup(arena, text, (size_t)(end - text));
}

/* --- problems ----------------------------------------------------------------------------------------------- */

static const struct enum_value *problem_of(const struct model *m, int32_t value)
{
        const struct enumeration *e = model_enum(m, "nuanxin.Problem");
        for (size_t i = 0; i < e->n_values; i++)
                if (e->values[i].number == value)
                        return &e->values[i];
        return NULL;
}

static size_t problem_add(const struct model *m, const struct enum_value *values[64], size_t n, int32_t value)
{
        const struct enum_value *v = problem_of(m, value);
        for (size_t i = 0; i < n; i++)
                if (values[i] == v)
                        return n;
        if (v && v->problem && n < 64)
                values[n++] = v;
        return n;
}

size_t http_problems(const struct model *m, const struct method *x, const struct enum_value *values[64])
{
        bool public = strcmp(x->rule->permission, "public") == 0, signed_in = strcmp(x->rule->permission, "signedIn") == 0;
        bool lists = message_find_field(x->input, STR("page_token")) != NULL;
        const struct {
                bool when;
                Nuanxin__Problem problem;
        } common[] = {
                {true, NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT},
                {http_has_body(x), NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST},
                {lists, NUANXIN__PROBLEM__PROBLEM_PAGE_TOKEN_INVALID},
                {!public, NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED},
                {!public && !signed_in, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED},
                {strchr(x->path, '{') || x->rule->at[0], NUANXIN__PROBLEM__PROBLEM_NOT_FOUND},
                {http_writes(x), NUANXIN__PROBLEM__PROBLEM_IDEMPOTENCY_IN_FLIGHT},
                {http_takes_etag(x), NUANXIN__PROBLEM__PROBLEM_PRECONDITION_FAILED},
                {x->body != NULL, NUANXIN__PROBLEM__PROBLEM_PAYLOAD_TOO_LARGE},
                {x->body != NULL, NUANXIN__PROBLEM__PROBLEM_UNSUPPORTED_MEDIA_TYPE},
                {http_writes(x), NUANXIN__PROBLEM__PROBLEM_IDEMPOTENCY_MISMATCH},
                {true, NUANXIN__PROBLEM__PROBLEM_RATE_LIMITED},
                {true, NUANXIN__PROBLEM__PROBLEM_INTERNAL},
                {true, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE},
                {true, NUANXIN__PROBLEM__PROBLEM_DEADLINE_EXCEEDED},
        };
        size_t n = 0;
        for (size_t i = 0; i < x->rule->n_problems; i++)
                n = problem_add(m, values, n, (int32_t)x->rule->problems[i]);
        for (size_t i = 0; i < ARRAY_LEN(common); i++)
                if (common[i].when)
                        n = problem_add(m, values, n, (int32_t)common[i].problem);
        return n;
}

const char *problem_name(struct arena *arena, const struct enum_value *value)
{
        return problem_type(arena, value->name) + strlen("urn:nuanxin:problem:");
}

const char *problem_text(struct arena *arena, const char *detail)
{
        struct buf out = {0};
        for (const char *p = detail; *p;) {
                bool argument = p[0] == '{' && p[1] && p[2] == '}';
                argument ? buf_add_z(&out, "…") : buf_add_char(&out, *p);
                p += argument ? 3 : 1;
        }
        const char *z = arena_strndup(arena, out.p ? out.p : "", out.n);
        buf_done(&out);
        return z;
}
