/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema (2020-12, as OpenAPI 3.1 uses it) of messages, fields and enums.
 */
#pragma once

#include "http.h"

/* The schema object of one field; with its rules, comment and privacy class. */
void schema_field(struct json *j, struct arena *arena, const struct field *field);
/* An object of those fields of a message for which `wanted` says yes (NULL: all but internal ones). */
void schema_message(struct json *j, struct arena *arena, const struct message *message, const struct method *method,
                    bool (*wanted)(const struct method *method, const struct field *field));
/* The data of an event, or a message within it: any field may be left out, as an agreement says. */
void schema_event_data(struct json *j, struct arena *arena, const struct message *message);
void schema_enum(struct json *j, struct arena *arena, const struct enumeration *e);
/* The envelope, under its key in components.schemas. */
#define SCHEMA_CLOUD_EVENT "CloudEvent"
void schema_cloud_event(struct json *j);
/* Its key under components.schemas: membership.v1.Member */
const char *schema_name(const char *full);
void schema_ref(struct json *j, struct arena *arena, const char *full); /* {"$ref": …} */
