/* SPDX-License-Identifier: Apache-2.0
 *
 * A method as an HTTP client sees it: where each request field travels, what problems may come back. Shared by
 * the OpenAPI document and the page of /docs.
 */
#pragma once

#include "json.h"
#include "model.h"

enum carrier { CARRIER_PATH, CARRIER_QUERY, CARRIER_BODY, CARRIER_HIDDEN };

/* Of a top-level field of the request. HIDDEN: internal, or filled by the gateway (chunks, If-Match). */
enum carrier http_carrier(const struct method *method, const struct field *field);
/* The n-th variable of the path ("member", "organization.code") and its field; NULL when there are no more. */
const char *http_path_variable(struct arena *arena, const struct method *method, size_t n, struct field **ret_field);

bool http_writes(const struct method *method);      /* takes an Idempotency-Key */
bool http_takes_etag(const struct method *method);  /* If-Match */
bool http_gives_etag(const struct method *method);  /* ETag */
bool http_has_body(const struct method *method);
const char *http_service(struct arena *arena, const struct method *method); /* "Membership" */
const char *http_first_sentence(struct arena *arena, const char *text);

/* Fills values with the problems this method may meet, its own first, at most 64, without repeats. */
size_t http_problems(const struct model *model, const struct method *method, const struct enum_value *values[64]);
const char *problem_name(struct arena *arena, const struct enum_value *value); /* activity-full */
const char *problem_text(struct arena *arena, const char *detail);              /* with … for each argument */

/* Writes an example of a message, as a client would send it (or the service answer it). */
void example_message(struct json *j, struct arena *arena, const struct message *message, bool answer);
/* An event as CloudEvents; data NULL: an empty object stands for it. */
void example_event(struct json *j, struct arena *arena, const char *type, const char *subject,
                   const struct message *data);
/* The request body of a method; false (nothing written) if it has none in JSON. */
bool example_body(struct json *j, struct arena *arena, const struct method *method);
/* Server-sent events, as a stream of them begins. */
#define EXAMPLE_STREAM "id: 1f2e3d4c:42\ndata: {\"specversion\":\"1.0\",\"type\":\"nuanxin.activity.v1.CheckinRecorded\",…}\n\n"
const char *example_text(struct arena *arena, const struct field *field); /* of a path or query value */
const char *example_path(struct arena *arena, const struct method *method); /* with values for its variables */
