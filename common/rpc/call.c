/* SPDX-License-Identifier: Apache-2.0
 *
 * The call in hand: what a handler may ask for, and how what it said becomes a reply.
 */
#include "common/rpc/call.h"

#include "common/base/log.h"
#include "common/rpc/envelope.h"
#include "common/rpc/server_internal.h"

#include "contract/internal_v1.h"
#include <string.h>

#define NO_KEY_RETRY_MS 1000

#define ANSWER_MAX (4 * 1024 * 1024 - ENVELOPE_MAX_BYTES) /* with its envelope it must fit into a message of the bus */

/* --- surroundings ----------------------------------------------------------------------------------------------- */

struct arena *rpc_arena(struct rpc_call *call)
{
        return call->arena;
}

struct store_conn *rpc_db(struct rpc_call *call)
{
        return call->db;
}

int64_t rpc_now(const struct rpc_call *call)
{
        return call->now_us;
}

char *rpc_new_id(struct rpc_call *call)
{
        char *id = arena_alloc(call->arena, ID_TEXT_SIZE);
        id_new(id, call->now_us);
        return id;
}

const struct keyring *rpc_keyring(const struct rpc_call *call)
{
        return call->server->options.keyring;
}

const Principal *rpc_principal(const struct rpc_call *call)
{
        return call->principal;
}

const char *rpc_address(const struct rpc_call *call)
{
        return call->address;
}

void *rpc_state(const struct rpc_call *call)
{
        return call->server->options.state;
}

void rpc_prepared_set(struct rpc_call *call, void *result)
{
        call->prepared = result;
}

void *rpc_prepared(const struct rpc_call *call)
{
        return call->prepared;
}

int rpc_later(struct rpc_call *call, int64_t position)
{
        call->said.later_than = call->waited_past = position;
        call->said.later_news = false;
        return RPC_LATER;
}

int rpc_later_news(struct rpc_call *call, int64_t position)
{
        call->said.later_than = call->waited_past = position;
        call->said.later_news = true;
        return RPC_LATER;
}

struct metric_registry *rpc_metrics(const struct rpc_call *call)
{
        return call->server->options.metrics;
}

void rpc_wait_at_most(struct rpc_call *call, int64_t wait_us)
{
        if (call->received_us + wait_us < call->park_until_us)
                call->park_until_us = call->received_us + wait_us;
}

int64_t rpc_waited_past(const struct rpc_call *call)
{
        return call->waited_past;
}

bool rpc_deadline_near(const struct rpc_call *call)
{
        return clock_monotonic_us() >= call->park_until_us || server_is_draining(call->server);
}

Timestamp *rpc_timestamp(struct rpc_call *call, int64_t us)
{
        if (us == 0)
                return NULL;
        Timestamp *t = arena_alloc(call->arena, sizeof(*t));
        google__protobuf__timestamp__init(t);
        int64_t rest = us % CLOCK_SECOND_US;
        t->seconds = us / CLOCK_SECOND_US;
        if (rest < 0) { /* nanos count forward, before 1970 too */
                rest += CLOCK_SECOND_US;
                t->seconds--;
        }
        t->nanos = (int32_t)(rest * 1000);
        return t;
}

int64_t rpc_timestamp_us(const Timestamp *t)
{
        return t ? t->seconds * CLOCK_SECOND_US + t->nanos / 1000 : 0;
}

/* --- saying no -------------------------------------------------------------------------------------------------- */

int rpc_refuse_args(struct rpc_call *call, Nuanxin__Problem problem, int result, const char *const *args)
{
        struct call_said *said = &call->said;
        size_t n = 0;
        while (args[n] && n < 8)
                n++;
        said->problem = problem;
        said->args = n ? ARENA_ARRAY(call->arena, char *, n) : NULL;
        said->n_args = n;
        for (size_t i = 0; i < n; i++)
                said->args[i] = arena_strdup(call->arena, args[i]);
        return result;
}

static void violate(struct rpc_call *call, const char *pointer, const char *rule, const char *detail,
                    const char *detail_zh)
{
        struct call_said *said = &call->said;
        if (!said->violations)
                said->violations = ARENA_NEW(call->arena, struct violations);
        violation_add(said->violations, arena_strdup(call->arena, pointer), arena_strdup(call->arena, rule),
                      arena_strdup(call->arena, detail), arena_strdup(call->arena, detail_zh));
}

int rpc_invalid(struct rpc_call *call, const char *pointer, const char *rule, const char *detail,
                const char *detail_zh)
{
        violate(call, pointer, rule, detail, detail_zh);
        call->said.problem = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT;
        return RPC_REFUSED;
}

int rpc_about(struct rpc_call *call, const char *pointer, int r)
{
        if (r == RPC_REFUSED) {
                const struct contract_problem *p = contract_problem_of(call->said.problem);
                violate(call, pointer, strrchr(p->type, ':') + 1, p->title, p->title_zh);
        }
        return r;
}

/* --- what a write says of itself -------------------------------------------------------------------------------- */

void rpc_audit_subject(struct rpc_call *call, const char *subject, const char *organization)
{
        call->said.subject = arena_strdup(call->arena, subject);
        call->said.organization = arena_strdup(call->arena, organization);
}

void rpc_audit_purpose(struct rpc_call *call, const char *purpose)
{
        call->said.purpose = arena_strdup(call->arena, purpose);
}

/* --- the run ---------------------------------------------------------------------------------------------------- */

void call_begin(struct rpc_call *call, struct store_conn *db, struct write_lane *writer)
{
        call->db = db;
        call->writer = writer;
        if (call->prepare_result == 0)
                call->said = (struct call_said){.subject = "", .organization = "", .purpose = ""};
        call->replayed = false;
        call->result = 0;
        call->problem = NUANXIN__PROBLEM__PROBLEM_NONE;
        call->answer = (struct str){0};
        call->retry_after_ms = 0;
        log_set_trace(call->trace);
}

bool call_expired(const struct rpc_call *call, int64_t now_us)
{
        return call->served && now_us >= call->deadline_us;
}

/* Once decoded it stays: handlers do not change their request. A refused one is decoded again, and refused again. */
int call_decode(struct rpc_call *call)
{
        const struct contract_message *input = call->served->contract->input;
        struct str bytes = bus_frame_bytes(&call->payload);
        ProtobufCMessage *message;
        if (call->request)
                return 0;
        if (message_unpack(call->arena, input, bytes.p, bytes.n, &message) != 0)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST,
                                  "The payload is no message of the method's input type.");
        struct violations *violations = ARENA_NEW(call->arena, struct violations);
        message_validate(call->arena, input, message, violations);
        if (violations->n) {
                call->said.violations = violations;
                call->said.problem = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT;
                return RPC_REFUSED;
        }
        call->request = message;
        return 0;
}

int call_handle(struct rpc_call *call, ProtobufCMessage **ret_response)
{
        const struct contract_method *contract = call->served->contract;
        int r = access_admit(call);
        if (r == 0)
                r = call_decode(call);
        if (r == 0)
                r = access_at(call);
        if (r != 0)
                return r;
        ProtobufCMessage *response = message_new(call->arena, contract->output);
        r = call->served->method->handle(call, call->request, response);
        if ((r == 0 || r == RPC_KEPT) && !call->said.access_decided) {
                log_error("a handler answered without asking for its permission", "method=%s", contract->name);
                return -EACCES;
        }
        if (r == 0)
                *ret_response = response;
        return r;
}

/* --- the outcome ------------------------------------------------------------------------------------------------ */

void call_answer(struct rpc_call *call, const void *response)
{
        call->problem = NUANXIN__PROBLEM__PROBLEM_NONE;
        call->answer = message_pack(call->arena, response);
}

void call_refused(struct rpc_call *call)
{
        struct call_said *said = &call->said;
        if (said->problem == NUANXIN__PROBLEM__PROBLEM_NONE) {
                log_error("a handler refused without saying why", "method=%s", call->served->contract->name);
                said->problem = NUANXIN__PROBLEM__PROBLEM_INTERNAL;
        }
        size_t n = said->violations ? said->violations->n : 0;
        Nuanxin__Internal__V1__Refusal refusal = NUANXIN__INTERNAL__V1__REFUSAL__INIT;
        Nuanxin__Internal__V1__RefusalViolation violations[ARRAY_LEN(said->violations->items)],
                *pointers[ARRAY_LEN(violations)];
        for (size_t i = 0; i < n; i++) {
                const struct violation *v = &said->violations->items[i];
                nuanxin__internal__v1__refusal_violation__init(&violations[i]);
                violations[i].pointer = (char *)v->pointer;
                violations[i].rule = (char *)v->rule;
                violations[i].detail = (char *)v->detail;
                violations[i].detail_zh = (char *)v->detail_zh;
                pointers[i] = &violations[i];
        }
        refusal.problem = said->problem;
        refusal.args = said->args;
        refusal.n_args = said->n_args;
        refusal.violations = pointers;
        refusal.n_violations = n;
        call->problem = said->problem;
        call->answer = message_pack(call->arena, &refusal);
}

void call_refuse(struct rpc_call *call, Nuanxin__Problem problem)
{
        call->said = (struct call_said){.problem = problem, .subject = "", .organization = "", .purpose = ""};
        call_refused(call);
}

void call_unavailable(struct rpc_call *call, uint32_t retry_after_ms)
{
        call_refuse(call, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE);
        call->retry_after_ms = retry_after_ms;
}

void call_failed(struct rpc_call *call, int error)
{
        const char *detail = call->db ? store_last_error(call->db) : "";
        if (error == -ENOKEY) { /* another instance may have it */
                log_error("this host's keyring lacks the master key that sealed this: copy the newest keyring here, then restart "
                          "this instance",
                          "method=%s", call->served->contract->name);
                call_unavailable(call, NO_KEY_RETRY_MS);
                return;
        }
        log_error("a request failed", "method=%s error=%d store=\"%s\"", call->served->contract->name, error, detail);
        call_refuse(call, NUANXIN__PROBLEM__PROBLEM_INTERNAL);
}

void call_seal(struct rpc_call *call)
{
        Nuanxin__Internal__V1__Reply reply = NUANXIN__INTERNAL__V1__REPLY__INIT;
        if (!call->served && call->job)
                return;
        if (call->answer.n > ANSWER_MAX) {
                log_error("an answer outgrew the bus", "method=%s bytes=%zu", call->served->contract->name, call->answer.n);
                call_refuse(call, NUANXIN__PROBLEM__PROBLEM_INTERNAL);
        }
        reply.problem = call->problem;
        reply.not_writer = call->not_writer;
        reply.queue_us = call->queue_us;
        reply.handler_us = call->handler_us;
        reply.commit_us = call->commit_us;
        reply.retry_after_ms = call->retry_after_ms;
        reply.replayed = call->replayed;
        call->envelope = envelope_pack_reply(call->arena, call->id, &reply);
}
