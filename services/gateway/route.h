/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's method and path to a method of the contract: a trie over the contract's HTTP rules, and what the
 * gateway works out once a method, so that no request has to. Pure: no I/O. One table a thread.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/metric.h"
#include "common/contract/contract.h"

#define ROUTE_VARIABLES_MAX 4
#define ROUTE_STATUSES_MAX  12

struct route {
        const struct contract_method *method;
        const char *label; /* "Membership.GetMember" */
        struct str variables[ROUTE_VARIABLES_MAX]; /* field paths, in the order of the path */
        size_t n_variables;
        bool has_body, body_whole; /* body: "*" */
        const struct contract_field *body; /* body: "member" */
        const ProtobufCFieldDescriptor *body_pb;
        const ProtobufCFieldDescriptor *answer_tag;  /* the output's `etag`, which becomes ETag; NULL: none */
        const ProtobufCFieldDescriptor *request_tag; /* the input's, which takes If-Match */
        uint32_t request_tag_max;                    /* its longest value */
        const ProtobufCFieldDescriptor *wait;        /* a read's input's `wait`: seconds for which it may wait for news; NULL */
        const ProtobufCFieldDescriptor *cursor;      /* an event stream's input's `cursor`: where it goes on */
        /* The answer may show SENSITIVE values (the permission's verb is "reveal"): the session is asked of Redis
         * each time. */
        bool always_check;
        /* Answers counted by status, made when first seen; and their durations. */
        struct {
                unsigned status;
                struct metric *metric;
        } counted[ROUTE_STATUSES_MAX];
        struct metric *duration;
};

#define ROUTE_HTTP_METHODS 5 /* as enum contract_http */

struct route_match {
        struct route *const *routes; /* by enum contract_http; NULL where there is none */
        struct str values[ROUTE_VARIABLES_MAX]; /* decoded, in the request's arena */
        size_t n_values;
};

struct route_table;
struct route_table *route_table_new(const struct contract_method *const *methods, size_t n);
struct route_table *route_table_free(struct route_table *table);

/* False: no such path. A raw colon in the last segment starts a custom verb; an encoded one (%3A) does not. */
bool route_find(const struct route_table *table, struct arena *arena, struct str path, struct route_match *ret_match);

/* "GET, HEAD, OPTIONS" of what stands at a path. */
const char *route_allow(struct arena *arena, const struct route_match *match);

struct route *route_at(const struct route_table *table, size_t i); /* NULL past the last */
