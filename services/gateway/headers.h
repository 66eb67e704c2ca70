/* SPDX-License-Identifier: Apache-2.0
 *
 * The header fields that the gateway reads, picked out in one pass. Those that may be lists come joined by ", "
 * (RFC 9110, 5.3); those that may not and come twice are named in `repeated`.
 */
#pragma once

#include "common/http/http.h"

enum header {
        HEADER_ACCEPT,
        HEADER_ACCEPT_ENCODING,
        HEADER_ACCEPT_LANGUAGE,
        HEADER_ACCESS_CONTROL_REQUEST_METHOD,
        HEADER_AUTHORIZATION,
        HEADER_CONTENT_ENCODING,
        HEADER_CONTENT_TYPE,
        HEADER_FORWARDED,
        HEADER_IDEMPOTENCY_KEY,
        HEADER_IF_MATCH,
        HEADER_IF_NONE_MATCH,
        HEADER_LAST_EVENT_ID,
        HEADER_ORIGIN,
        HEADER_TRACEPARENT,
        HEADER_X_HTTP_METHOD_OVERRIDE,
        HEADER_X_REQUEST_ID,
        HEADERS
};

struct headers {
        struct str values[HEADERS]; /* {NULL,0}: absent */
        const char *repeated;       /* the name of a field that must not, but does, come twice; NULL: none */
};

void headers_read(struct headers *headers, const struct http_request *request);
