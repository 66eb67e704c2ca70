/* SPDX-License-Identifier: Apache-2.0
 *
 * protobuf messages in arenas, checked: what libprotobuf-c accepts and we do not (invalid UTF-8, a NUL inside a
 * string, deep nesting, unbounded repetition) is refused here, before any handler sees it.
 */
#pragma once

#include "common/base/arena.h"
#include "common/contract/contract.h"

#define MESSAGE_MAX_DEPTH 32

/* Unpacks n bytes into the arena. -EBADMSG: not a valid message of that type. The message and all in it live
 * as long as the arena's contents. */
int message_unpack(struct arena *arena, const struct contract_message *type, const void *bytes, size_t n,
                   ProtobufCMessage **ret_message) MUST_USE;

/* A message of that type with every field at its default. */
void *message_new(struct arena *arena, const struct contract_message *type);

struct str message_pack(struct arena *arena, const void *message);
void message_pack_buf(struct buf *out, const void *message); /* appends */

/* One violation of the contract's field rules. */
struct violation {
        const char *pointer; /* JSON Pointer (RFC 6901) into the request body, with JSON names: /member/name */
        const char *rule;    /* "required", "maxLength", "pattern", "range", "in", "uuid", "unique", "maxItems",
                                "type", "unknownField", "duplicateKey", "oneof", "null", "utf8" or a handler's own */
        const char *detail;  /* English */
        const char *detail_zh;
};
struct violations {
        struct violation items[32]; /* the first 32 are kept */
        size_t n;
};
void violation_add(struct violations *v, const char *pointer, const char *rule, const char *detail,
                   const char *detail_zh);

/* Checks every field rule, recursively; adds what it finds (texts in the arena). A value that is not given
 * (proto3's default) meets only `required`. If the request carries a FieldMask that is not empty, `required` below
 * the first plain message beside it is asked only of masked fields, and the mask's paths must exist in it.
 * Output-only fields are cleared, not refused. Internal ones are for processes to give each other: what reads JSON or a
 * URL knows no such field. */
void message_validate(struct arena *arena, const struct contract_message *type, void *message,
                      struct violations *violations);

/* Reads the text or number at a path such as "member.organization"; {NULL,0} if a message on the way is absent.
 * Only string fields. */
struct str message_text_at(const struct contract_message *type, const void *message, const char *path);

/* Blanks every field above `most` (PUBLIC keeps public only, PERSONAL keeps both, SENSITIVE changes nothing),
 * recursively. Strings become the mask's text (first character kept, the rest ＊; at most 16), others default. */
void message_mask(struct arena *arena, const struct contract_message *type, void *message, Nuanxin__Privacy most);

const struct contract_field *message_field(const struct contract_message *type, struct str name_or_json_name);
