/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over a request's header fields, by a table of the names that matter.
 */
#include "services/gateway/headers.h"

static const struct {
        struct str name;
        bool list;
        bool ignore_repeated; /* two of them: as if there were none */
} known[HEADERS] = {
        [HEADER_ACCEPT] = {STR("accept"), .list = true},
        [HEADER_ACCEPT_ENCODING] = {STR("accept-encoding"), .list = true},
        [HEADER_ACCEPT_LANGUAGE] = {STR("accept-language"), .list = true},
        [HEADER_ACCESS_CONTROL_REQUEST_METHOD] = {STR("access-control-request-method")},
        [HEADER_AUTHORIZATION] = {STR("authorization")},
        [HEADER_CONTENT_ENCODING] = {STR("content-encoding"), .list = true},
        [HEADER_CONTENT_TYPE] = {STR("content-type")},
        [HEADER_FORWARDED] = {STR("forwarded"), .list = true},
        [HEADER_IDEMPOTENCY_KEY] = {STR("idempotency-key")},
        [HEADER_IF_MATCH] = {STR("if-match"), .list = true},
        [HEADER_IF_NONE_MATCH] = {STR("if-none-match"), .list = true},
        [HEADER_LAST_EVENT_ID] = {STR("last-event-id")},
        [HEADER_ORIGIN] = {STR("origin")},
        [HEADER_TRACEPARENT] = {STR("traceparent"), .ignore_repeated = true},
        [HEADER_X_HTTP_METHOD_OVERRIDE] = {STR("x-http-method-override")},
        [HEADER_X_REQUEST_ID] = {STR("x-request-id"), .ignore_repeated = true},
};

static int header_of(struct str name)
{
        for (int i = 0; i < HEADERS; i++)
                if (known[i].name.n == name.n && (known[i].name.p[0] | 0x20) == (name.p[0] | 0x20) &&
                    str_case_eq(known[i].name, name))
                        return i;
        return -1;
}

static struct str joined(struct arena *arena, struct str a, struct str b)
{
        char *p = arena_alloc(arena, a.n + b.n + 2);
        memcpy(p, a.p, a.n);
        memcpy(p + a.n, ", ", 2);
        memcpy(p + a.n + 2, b.p, b.n);
        return (struct str){p, a.n + b.n + 2};
}

void headers_read(struct headers *h, const struct http_request *request)
{
        bool dropped[HEADERS] = {false};
        *h = (struct headers){0};
        for (size_t i = 0; i < request->n_fields; i++) {
                const struct http_field *f = &request->fields[i];
                int which = header_of(f->name);
                if (which < 0)
                        continue;
                struct str *value = &h->values[which];
                if (!value->p)
                        *value = (struct str){f->value.p ? f->value.p : "", f->value.n};
                else if (known[which].list)
                        *value = joined(request->arena, *value, f->value);
                else if (known[which].ignore_repeated)
                        dropped[which] = true;
                else
                        h->repeated = known[which].name.p;
        }
        for (int i = 0; i < HEADERS; i++)
                if (dropped[i])
                        h->values[i] = (struct str){NULL, 0};
}
