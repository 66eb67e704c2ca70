/* SPDX-License-Identifier: Apache-2.0
 *
 * CORS. Tokens travel in Authorization, never in cookies, so credentials mode is not offered.
 */
#include "services/gateway/cors.h"

static bool origin_allowed(const struct request *r)
{
        const struct config_list *origins = &r->worker->gateway->cors_origins;
        struct str origin = r->headers.values[HEADER_ORIGIN];
        for (size_t i = 0; i < origins->n && origin.p; i++)
                if (str_is(origin, origins->items[i]))
                        return true;
        return false;
}

void cors_add(struct head *h, const struct request *r)
{
        if (r->worker->gateway->cors_origins.n == 0)
                return;
        head_vary(h, "Origin");
        if (!origin_allowed(r))
                return;
        head_add(h, "Access-Control-Allow-Origin", r->headers.values[HEADER_ORIGIN]);
        head_add(h, "Access-Control-Expose-Headers",
                 STR("ETag, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-Id"));
}

void cors_add_preflight(struct head *h, struct request *r)
{
        if (!r->headers.values[HEADER_ACCESS_CONTROL_REQUEST_METHOD].p || !origin_allowed(r))
                return;
        head_add(h, "Access-Control-Allow-Methods", str_of(answer_allow(r)));
        head_add(h, "Access-Control-Allow-Headers",
                 STR("Accept-Language, Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                     "Last-Event-ID, traceparent, X-HTTP-Method-Override, X-Request-Id"));
        head_add(h, "Access-Control-Max-Age", STR("600"));
        head_vary(h, "Access-Control-Request-Method");
}
