/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract as the compiler sees it: every message, enum and method of a descriptor set, with names resolved
 * and our options decoded. Plain data in one arena; what protoc wrote stays reachable through the pb members.
 */
#pragma once

#include "common/base/arena.h"

#include "google/api/http.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "nuanxin/options.pb-c.h"
#include "nuanxin/problem.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet FileSet;
typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__FieldDescriptorProto FieldProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

#define TYPE(name)  GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name
#define LABEL(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_##name

/* Where in a file something stands: a path as in SourceCodeInfo.Location. */
#define PLACE_MAX 12
struct place {
        const FileProto *file;
        int32_t path[PLACE_MAX];
        size_t n;
};
struct place place_in(struct place p, int32_t field_number, int32_t index);

struct message;

struct enum_value {
        const char *name;
        int32_t number;
        struct place place;
        const Nuanxin__RoleRule *role;       /* or NULL */
        const Nuanxin__ProblemRule *problem; /* or NULL */
};

struct enumeration {
        const char *name; /* nuanxin.type.Role */
        const EnumProto *pb;
        struct place place;
        struct enum_value *values; /* as in the file */
        size_t n_values;
};

struct field {
        const char *name, *json;
        int32_t number;
        const FieldProto *pb;
        struct place place;
        const Nuanxin__FieldRule *rule; /* never NULL */
        struct message *message;        /* the type of a message field */
        struct enumeration *enumeration;
        const char *oneof; /* the name of its oneof, or NULL */
        bool repeated, map;
};

struct message {
        const char *name; /* nuanxin.membership.v1.Member */
        const MessageProto *pb;
        struct place place;
        struct field *fields; /* by ascending number, as protoc-c sorts them */
        size_t n_fields;
        const Nuanxin__EventRule *event; /* or NULL */
        bool map_entry;
        bool emitted;   /* part of the tables */
        bool in_input;  /* reachable from a method's request */
        bool checking;  /* on the stack of the search for recursion */
        uint64_t hash;  /* of its shape; 0 until shape_hash */
};

struct method {
        const char *name; /* nuanxin.membership.v1.Membership.GetMember */
        const char *package;
        const char *service; /* "membership", or NULL for nuanxin.internal */
        const char *rpc;     /* GetMember */
        const MethodProto *pb;
        struct place place;
        const Nuanxin__MethodRule *rule; /* never NULL */
        bool has_rule;
        struct message *input, *output;
        const char *http; /* "GET", "POST" …; NULL: not over HTTP */
        const char *path, *body;
};

struct package {
        const char *name;  /* nuanxin.membership.v1 */
        const char *short_name; /* membership_v1: the prefix of its C names, and its header */
        const FileProto *first; /* the first of its files */
};

struct model {
        struct arena *arena;
        const FileSet *set;
        struct package *packages; /* ours, by name */
        size_t n_packages;
        struct message **messages; /* all, by name */
        size_t n_messages;
        struct enumeration **enums; /* all, by name */
        size_t n_enums;
        struct method *methods; /* by name */
        size_t n_methods;
        const char **permissions; /* "noun.verb", sorted */
        size_t n_permissions;
};

/* Reads a serialized FileDescriptorSet (protoc --include_imports --include_source_info). -EBADMSG if it is none. */
int model_load(struct arena *arena, struct str descriptors, struct model *ret_model) MUST_USE;

struct message *model_message(const struct model *model, const char *name);         /* NULL: none */
struct enumeration *model_enum(const struct model *model, const char *name);        /* NULL: none */
struct field *message_find_field(const struct message *message, struct str name);   /* NULL: none */
/* Follows "member.organization"; NULL if a part does not exist or a part on the way is no singular message. */
struct field *message_find_path(const struct message *message, const char *path);
bool package_is_ours(const char *package); /* nuanxin.something: its messages are emitted */
bool message_is_wkt(const struct message *message);
