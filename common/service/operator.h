/* SPDX-License-Identifier: Apache-2.0
 *
 * A command's way to the services: one call at a time over the local bus, waiting for its answer. Who may open the
 * bus folder (mode 0700) is the operator; what they do is audited under their user name.
 */
#pragma once

#include "common/cache/cache.h"
#include "common/json/transcode.h"

#define OPERATOR_E_REFUSED 1 /* the service said no: see the refusal */

struct operator;
struct operator_options {
        const char *bus;   /* folder of the services' sockets */
        const char *redis; /* the registry, for instances elsewhere; NULL: the folder's sockets only */
        const struct cache_auth *redis_auth; /* or NULL */
        const char *curve; /* CURVE keys for those, the operator's in FOLDER/operator; or NULL */
        const char *const *peers; /* "membership=tcp://…", NULL-terminated, or NULL */
        int64_t deadline_us; /* of one call; 0: 30 s */
};
struct operator_refusal {
        const char *type; /* urn:nuanxin:problem:…; in the call's arena */
        const char *title, *detail; /* English */
        const struct violation *violations;
        size_t n_violations;
};

int operator_open(const struct operator_options *options, struct operator **ret_operator, const char **ret_error) MUST_USE;
struct operator *operator_close(struct operator *op);
DEFINE_CLEANUP(struct operator *, operator_close)

struct operator_target {
        const char *service;  /* NULL: the method's own */
        const char *instance; /* this very one, or NULL */
        int64_t deadline_us;  /* 0: the operator's */
};
/* request: a message of method->input. The response lives in the arena. 0; OPERATOR_E_REFUSED; -ETIMEDOUT;
 * -EHOSTUNREACH (no instance within 2 s: is the stack running?). */
int operator_call(struct operator *op, const struct contract_method *method, const struct operator_target *target,
                  struct arena *arena, const void *request, void **ret_response,
                  struct operator_refusal *ret_refusal) MUST_USE;

/* The same with JSON: method by its full name ("nuanxin.membership.v1.Membership.GetMember") or its last part if that
 * is unique ("GetMember"). -ENOENT: no such method; -EINVAL: the JSON does not fit (the refusal says where). */
int operator_call_json(struct operator *op, const char *method, struct str json, struct arena *arena, struct str *ret_json,
                       struct operator_refusal *ret_refusal) MUST_USE;
const struct contract_method *operator_method(const char *name);

/* Sends a whole file (or any text) to an upload method, in chunks, with progress called after each. request: a message
 * with the query's fields set (validate_only …); upload, offset, data and last are filled here. */
int operator_upload(struct operator *op, const struct contract_method *method, struct arena *arena, void *request,
                    struct str content, void (*on_progress)(void *arg, size_t done, size_t total), void *arg,
                    void **ret_response, struct operator_refusal *ret_refusal) MUST_USE;

/* The instances that are known, for `status`: waits for the greetings of all, up to 2 s.
 * Their texts are lent until the next call. */
struct rpc_instance;
size_t operator_instances(struct operator *op, struct rpc_instance *out, size_t room);
/* Those that have greeted by now; waits for nobody. */
size_t operator_known(struct operator *op, struct rpc_instance *out, size_t room);
