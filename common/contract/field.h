/* SPDX-License-Identifier: Apache-2.0
 *
 * Where libprotobuf-c keeps a field's value inside a message: for code that walks messages by their tables.
 */
#pragma once

#include "common/contract/contract.h"

static inline void *field_value(const void *message, const ProtobufCFieldDescriptor *pb)
{
        return (char *)(uintptr_t)message + pb->offset;
}

static inline bool field_repeated(const ProtobufCFieldDescriptor *pb)
{
        return pb->label == PROTOBUF_C_LABEL_REPEATED;
}

static inline bool field_in_oneof(const ProtobufCFieldDescriptor *pb)
{
        return pb->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

/* How many items a repeated field has. */
static inline size_t *field_count(const void *message, const ProtobufCFieldDescriptor *pb)
{
        return (size_t *)((char *)(uintptr_t)message + pb->quantifier_offset);
}

/* The number of the member that is set in the field's oneof; 0: none. */
static inline uint32_t *field_case(const void *message, const ProtobufCFieldDescriptor *pb)
{
        return (uint32_t *)((char *)(uintptr_t)message + pb->quantifier_offset);
}

/* Of a member of a oneof: is it the one that is set? True for every other field. */
static inline bool field_chosen(const void *message, const ProtobufCFieldDescriptor *pb)
{
        return !field_in_oneof(pb) || *field_case(message, pb) == pb->id;
}

/* Bytes that one value takes in memory. */
static inline size_t field_size(const ProtobufCFieldDescriptor *pb)
{
        switch (pb->type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        default:
                return 4;
        }
}

/* The default value of proto3 (zero, empty, absent)? */
bool field_is_default(const ProtobufCFieldDescriptor *pb, const void *value);

/* Back to the default, whatever its label; a oneof that has it chosen has nothing chosen then. */
void field_clear(void *message, const ProtobufCFieldDescriptor *pb);

/* The singular scalar, enum or message of a map's entry: fields[0] is the key, fields[1] the value. */
static inline bool field_is_text(const ProtobufCFieldDescriptor *pb)
{
        return pb->type == PROTOBUF_C_TYPE_STRING;
}
