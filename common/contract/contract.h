/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of what the contract compiler makes (build/gen/contract/): methods, messages, fields with their
 * rules, problems, roles. All of it is constant data; everything that derives from proto/ is read from here.
 */
#pragma once

#include "common/base/str.h"

#include <protobuf-c/protobuf-c.h>

#include "nuanxin/options.pb-c.h" /* enums Nuanxin__Lane, Nuanxin__RateClass, Nuanxin__Privacy, … */
#include "nuanxin/problem.pb-c.h"

struct contract_message;

/* How a field appears in JSON beyond its protobuf type. */
enum contract_wkt {
        CONTRACT_WKT_NONE,
        CONTRACT_WKT_TIMESTAMP,  /* google.protobuf.Timestamp: RFC 3339 text */
        CONTRACT_WKT_DURATION,   /* google.protobuf.Duration: "1.5s" */
        CONTRACT_WKT_FIELD_MASK, /* google.protobuf.FieldMask: "a,b.c" */
        CONTRACT_WKT_EMPTY,
};

struct contract_field {
        const char *name;      /* member_id */
        const char *json_name; /* memberId */
        struct str json_key;   /* "memberId": with its quotes and colon, to write */
        const struct contract_message *message; /* of a message field, else NULL */
        Nuanxin__Privacy privacy;
        bool required, uuid, unique, output_only, internal;
        bool has_range;
        bool raw_json; /* bytes that are a list of CloudEvents in JSON, as it stands */
        bool is_map; /* repeated entry message with key = 1, value = 2 */
        uint32_t min_length, max_length, max_items; /* 0: no bound (only where the compiler allows it) */
        int64_t range_min, range_max;
        const char *pattern;   /* anchored POSIX ERE, or NULL */
        unsigned pattern_id;   /* of a field with a pattern: below contract_n_patterns */
        const char *const *in; /* NULL-terminated, or NULL */
};

struct contract_message {
        const char *name; /* nuanxin.membership.v1.Member */
        const ProtobufCMessageDescriptor *pb;
        const struct contract_field *fields; /* fields[i] describes pb->fields[i] (by ascending tag) */
        unsigned n_fields;
        enum contract_wkt wkt;
        uint64_t hash; /* of its shape: names, numbers, types, labels, recursively */
        /* events only */
        const char *topic;   /* NULL: not an event */
        const char *subject; /* field name */
        const char *person;  /* field name, or NULL: it is about nobody */
        const char *part;    /* field name, or NULL: what beside the subject tells one state from another */
        bool event_internal, notice;
};

enum contract_http { CONTRACT_GET, CONTRACT_POST, CONTRACT_PUT, CONTRACT_PATCH, CONTRACT_DELETE };

struct contract_method {
        uint64_t id;         /* str_hash of the full name: what travels in the envelope */
        uint64_t input_hash, output_hash;
        const char *name;    /* nuanxin.membership.v1.Membership.GetMember */
        const char *service; /* "membership": the process that serves it, from the package's second part;
                                NULL for methods that every service has (nuanxin.internal) */
        const struct contract_message *input, *output;
        const char *permission; /* as in the contract: "member.read", "public", "signedIn", "service", "operator" */
        int permission_id;      /* index into contract_permissions, -1 for those four words */
        const char *at;         /* request field path, or NULL: the handler asks */
        Nuanxin__RateClass rate;
        Nuanxin__Lane lane;
        Nuanxin__SessionEffect session;
        bool secret_answer, upload, export, event_stream;
        const Nuanxin__Problem *problems;
        unsigned n_problems;
        /* HTTP; path NULL: not reachable over HTTP */
        enum contract_http http;
        const char *path; /* "/v1/members/{member}:approve": single-segment variables named after request fields */
        const char *body; /* "*", a field's name, or NULL */
        const char *summary; /* the leading comment */
};

/* All methods of all packages, sorted by id. */
extern const struct contract_method *const contract_methods[];
extern const unsigned contract_n_methods;
const struct contract_method *contract_method_by_id(uint64_t id); /* NULL: unknown */

/* All messages reachable from methods and events, sorted by name. */
extern const struct contract_message *const contract_messages[];
extern const unsigned contract_n_messages;
const struct contract_message *contract_message_by_name(struct str name);
/* An event that says that all of its person goes? (A notice that has a part, a consent's purpose, says so of that only.) NULL: no. */
bool contract_is_erasure(const struct contract_message *type);
extern const unsigned contract_n_patterns;

/* Compiles the patterns of all fields: call it once at the start of a process, before any thread (else the first
 * check of a pattern does it). */
void contract_init(void);

/* Hash over everything above: two processes with equal hashes were built from the same contract. */
extern const char contract_hash[65];

/* This build's name for logs and operators: its release and the first letters of contract_hash, "0.3.0+1f2e3d4c". */
extern const char contract_build[];

/* Earlier shapes of a method's input and output (from the lock file's history). Whoever sends such an input is
 * understood; whoever expects such an output understands ours. */
extern const struct contract_past {
        uint64_t method, hash;
} contract_past_inputs[], contract_past_outputs[];
extern const unsigned contract_n_past_inputs, contract_n_past_outputs;

/* "noun.verb" names; a role's set is a bit mask over their indexes (at most 128). */
extern const char *const contract_permissions[];
extern const unsigned contract_n_permissions;
struct contract_role {
        const char *name; /* ROLE_ADMINISTRATOR */
        int value;
        uint64_t permissions[2];
};
extern const struct contract_role contract_roles[];
extern const unsigned contract_n_roles;
bool contract_role_has(int role, int permission_id); /* unknown role: false */

struct contract_problem {
        Nuanxin__Problem value;
        const char *type; /* urn:nuanxin:problem:activity-full */
        unsigned status;
        const char *title, *title_zh, *detail, *detail_zh;
};
extern const struct contract_problem contract_problems[];
extern const unsigned contract_n_problems;
const struct contract_problem *contract_problem_of(Nuanxin__Problem value); /* never NULL: unknown reads as internal */
/* Appends a detail with its {0} … {7} filled in. args: NULL-terminated if fewer; what is not given is left out. */
void contract_problem_fill(struct buf *out, const char *detail, const char *const args[8]);

/* The OpenAPI 3.1 document (JSON), the AsyncAPI 3.0 document of the events (JSON) and their readable page (HTML), as bytes. */
extern const char contract_openapi_json[];
extern const size_t contract_openapi_json_size;
extern const char contract_asyncapi_json[];
extern const size_t contract_asyncapi_json_size;
extern const char contract_docs_html[];
extern const size_t contract_docs_html_size;
