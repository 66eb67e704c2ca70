/* SPDX-License-Identifier: Apache-2.0
 *
 * The proto3 JSON mapping (protobuf.dev, "ProtoJSON format") both ways, driven by the contract's tables. Strict
 * in: unknown or repeated keys, a null in a list, two members of one oneof, wrong types are violations, each with
 * its JSON Pointer. Lower camel case out; both spellings in; int64 as strings; default values, empty lists among
 * them, are written, so that an answer always has the same shape: left out is a message that is not there.
 */
#pragma once

#include "common/contract/message.h"

#define TRANSCODE_E_VIOLATIONS 1 /* well-formed JSON that does not fit: see the violations */
#define TRANSCODE_E_SYNTAX     2 /* not JSON, or nested deeper than 32: the first violation says where */

/* Reads JSON text into a new message. Field rules (lengths, ranges) are not checked here (message_validate).
 * With TRANSCODE_E_VIOLATIONS, too, there is a message, or NULL, of what could be read: to find all that is wrong. */
int transcode_from_json(struct arena *arena, const struct contract_message *type, struct str json,
                        struct violations *violations, ProtobufCMessage **ret_message) MUST_USE;

/* Names the type's fields that a JSON object has, null or empty ones among them: what a partial update changes. */
void transcode_given_fields(struct arena *arena, const struct contract_message *type, struct str json,
                            char ***ret_names, size_t *ret_n);

/* Sets one field (path "member.name" or "pageSize", both spellings) from the text of a URL (path variable or query
 * parameter): scalars, enums by name, wrappers of times and masks; repeated fields append. TRANSCODE_E_VIOLATIONS
 * if there is no such field, it is no scalar, or the text does not fit; the pointer names the parameter. */
int transcode_set_text(struct arena *arena, const struct contract_message *type, void *message, struct str path,
                       struct str value, struct violations *violations) MUST_USE;

/* Appends the message as JSON. Fields marked internal are left out. Bytes marked raw_json are put in as they are (null
 * if there are none): whoever made the message answers for their being JSON. Messages are trusted to be checked. */
void transcode_to_json(struct buf *out, const struct contract_message *type, const void *message);

/* Appends the value of one field (its index in type->fields) as it stands there; false, and nothing, if it is left
 * out. */
bool transcode_field_to_json(struct buf *out, const struct contract_message *type, unsigned field, const void *message);

/* Appends a JSON string literal with its quotes; s is valid UTF-8. */
void transcode_json_string(struct buf *out, struct str s);
