/* SPDX-License-Identifier: Apache-2.0
 *
 * From path variables, query parameters and JSON body to a checked request message. Pure.
 *
 * Violations point into the body as it was sent (RFC 6901): with body "*" the request message, with a body field that
 * field's value. A path variable or query parameter is named as "/" and its field's name. The path's variables win over
 * the same fields in a body. A repeated query parameter is one more item of a repeated field, else a violation.
 */
#pragma once

#include "common/contract/message.h"
#include "common/http/http.h"
#include "services/gateway/route.h"

#define DECODE_E_VIOLATIONS 1
#define DECODE_E_MALFORMED  2 /* the query is no form encoding */

int decode_request(const struct http_request *request, const struct route *route, const struct route_match *match,
                   struct violations *violations, ProtobufCMessage **ret_message) MUST_USE;

/* Path and query only, unchecked: for uploads, whose other fields are filled chunk by chunk. */
int decode_parameters(const struct http_request *request, const struct route *route, const struct route_match *match,
                      ProtobufCMessage *message, struct violations *violations) MUST_USE;

const ProtobufCFieldDescriptor *decode_field(const struct contract_message *type, const char *name); /* NULL: none */
void *decode_member(const ProtobufCFieldDescriptor *field, void *message); /* where its value stands */
