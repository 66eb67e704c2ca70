/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handler sees: the call in hand. A handler is a plain synchronous function over a transaction and an arena:
 * decode (done before it) → check → decide → store → emit. It may be run again from the start, so it has no effect
 * but through the transaction. Everything a call hands out lives until the handler returns.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "common/store/store.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "nuanxin/internal/v1/bus.pb-c.h"

typedef Nuanxin__Internal__V1__Principal Principal;
typedef Nuanxin__Internal__V1__Grant Grant;

struct rpc_call;

/* What a handler returns: 0 (the answer is filled), a negative errno (an internal error: nothing is kept, 500, or
 * run again if the store asked for it), or one of these. */
#define RPC_REFUSED 1000 /* rpc_refuse was called: rolled back to before the handler; the answer is the refusal */
#define RPC_KEPT    1001 /* rpc_refuse_kept was called: a refusal whose writes and events stay */
#define RPC_LATER   1002 /* rpc_later was called: run again on news or at the deadline (read lane only) */

typedef int (*rpc_handle)(struct rpc_call *call, const void *request, void *response);
typedef int (*rpc_prepare)(struct rpc_call *call, const void *request);

/* A service's table, one line a method, made with the generated macros:
 *   static const struct rpc_method methods[] = { MEMBERSHIP_V1_GET_MEMBER(handle_get_member), … }; */
struct rpc_method {
        const struct contract_method *contract;
        rpc_handle handle;
        rpc_prepare prepare; /* SLOW_WRITE only: runs first, in the slow lane, without a transaction */
};

/* --- surroundings ------------------------------------------------------------------------------------------------ */

struct arena *rpc_arena(struct rpc_call *call);
/* Inside the transaction; in prepare a read-only connection without one (apply checks again what was learnt there). */
struct store_conn *rpc_db(struct rpc_call *call);
int64_t rpc_now(const struct rpc_call *call);     /* UTC µs; the same all through the call and when run again */
char *rpc_new_id(struct rpc_call *call);          /* UUIDv7 */
const struct keyring *rpc_keyring(const struct rpc_call *call);
const Principal *rpc_principal(const struct rpc_call *call); /* never NULL */
const char *rpc_address(const struct rpc_call *call); /* the client's network address, or "" */
void *rpc_state(const struct rpc_call *call); /* what the service's start() made; read-only for handlers */

/* prepare leaves its result for apply (the handle of a SLOW_WRITE method); memory from rpc_arena. */
void rpc_prepared_set(struct rpc_call *call, void *result);
void *rpc_prepared(const struct rpc_call *call);

/* --- saying no --------------------------------------------------------------------------------------------------- */

/* return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_ACTIVITY_FULL, activity->title); args fill {0}, {1}. */
#define rpc_refuse(call, problem, ...) \
        rpc_refuse_args((call), (problem), RPC_REFUSED, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define rpc_refuse_kept(call, problem, ...) \
        rpc_refuse_args((call), (problem), RPC_KEPT, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
int rpc_refuse_args(struct rpc_call *call, Nuanxin__Problem problem, int result, const char *const *args);
/* Says which field of the body a refusal is about, so that a form can show it there; passes r on:
 * return rpc_about(call, "/phone", rpc_refuse(call, …)). */
int rpc_about(struct rpc_call *call, const char *pointer, int r);
/* Adds a violation (JSON Pointer, rule, texts) and returns RPC_REFUSED with PROBLEM_INVALID_ARGUMENT. */
int rpc_invalid(struct rpc_call *call, const char *pointer, const char *rule, const char *detail,
                const char *detail_zh);

/* --- who may ------------------------------------------------------------------------------------------------------- */

/* path: an organisation's materialised path, "/43/4301/430102/": a grant at any code in it holds. The one place
 * where access is decided. */

/* The method's own permission at path: 0; RPC_REFUSED as 404 if no grant reaches there (out of scope does not
 * exist), as 403 if a grant reaches it but its role lacks the permission. */
int rpc_require(struct rpc_call *call, struct str path) MUST_USE;
/* Likewise, but a MEMBER session of this member passes with "<noun>.self", the noun being the permission's. */
int rpc_require_member(struct rpc_call *call, const char *member, struct str path) MUST_USE;
/* Passes who holds the permission at any organisation; for what then filters its answer by scope. */
int rpc_require_somewhere(struct rpc_call *call) MUST_USE;
/* Anything signed in passes (the handler has decided otherwise, e.g. filters the answer by rpc_scope). */
void rpc_require_nothing(struct rpc_call *call);
/* May the caller use this permission ("member.reveal") at path? For masking and the like; refuses nothing. */
bool rpc_allows(const struct rpc_call *call, const char *permission, struct str path);
/* Of anybody's grant (a role at an organisation, "*": everywhere), as events tell of it: does it hold this permission at path? */
bool rpc_grant_allows(int role, const char *organization, const char *permission, struct str path);
/* The organisation codes at which the caller holds the method's permission (empty: none; everywhere: {"*"}). For
 * lists without a given organisation. n ≤ 64. */
size_t rpc_scope(struct rpc_call *call, const char *codes[64]);

/* --- what a write leaves behind --------------------------------------------------------------------------------------- */

/* An event in this transaction. subject: the id of what it happened to; organization: code or "". */
int rpc_emit(struct rpc_call *call, const struct contract_message *type, const void *event, const char *subject,
             const char *organization) MUST_USE;
/* Overwrites the events of these types (NULL-terminated) about `subject` that stand in the outbox, some positions at a time,
 * after *position (0 at first), which it moves. For due work once the person is erased: whoever has not read them yet needs
 * them no more. *ret_all: nothing that was told before this work was added is left. */
int rpc_forget_events(struct rpc_call *call, const struct contract_message *const *types, const char *subject,
                      int64_t *position, bool *ret_all) MUST_USE;
/* The audit row is written for every write by itself; these say more in it. Copied. */
void rpc_audit_subject(struct rpc_call *call, const char *subject, const char *organization);
void rpc_audit_purpose(struct rpc_call *call, const char *purpose); /* of revealing SENSITIVE data */

/* On a shared store, before anything else of the transaction: lock is a LOCK TABLE statement (a static text), which makes those
 * who say the same come one after the other instead of into conflict. No effect where one writes anyway. */
int rpc_take_turns(struct rpc_call *call, const char *lock) MUST_USE;

/* Work that falls due: one row by (kind, key); adding it again moves it. Runs as a write on the service's clock by the
 * instance that writes; payload ≤ 64 KiB. */
int rpc_due_add(struct rpc_call *call, const char *kind, const char *key, int64_t at_us, struct str payload) MUST_USE;
int rpc_due_cancel(struct rpc_call *call, const char *kind, const char *key) MUST_USE;

/* Read lane: run this call again when this service's outbox has grown past `position`, or at its deadline (then
 * rpc_deadline_near() is true and the handler answers what there is). Returns RPC_LATER. */
int rpc_later(struct rpc_call *call, int64_t position);
/* Likewise for something of the service's own that grows, such as its log (rpc_service's news): rpc_news in the transaction
 * that brings it to `position` tells those who wait, in every instance, once that has committed. */
int rpc_later_news(struct rpc_call *call, int64_t position);
int rpc_news(struct rpc_call *call, int64_t position) MUST_USE;
/* It waits no longer than so many µs since it came, though its caller may have more time. Say it in each run. */
void rpc_wait_at_most(struct rpc_call *call, int64_t wait_us);
/* The position that this call waited past before it was run again; 0: this is its first run. */
int64_t rpc_waited_past(const struct rpc_call *call);
bool rpc_deadline_near(const struct rpc_call *call);

/* --- lists ------------------------------------------------------------------------------------------------------------ */

/* An opaque page token holds where the next page starts (`key`, any bytes) and is bound to the method and `filter`
 * (any text that says what is listed). */
char *rpc_page_token(struct rpc_call *call, struct str filter, struct str key);
/* Reads one: "" gives {NULL,0}; RPC_REFUSED (PROBLEM_PAGE_TOKEN_INVALID) if it is not from this list. */
int rpc_page_start(struct rpc_call *call, const char *token, struct str filter, struct str *ret_key) MUST_USE;
/* 0 → 50; more than 1000 → 1000. */
int64_t rpc_page_size(int32_t asked);
/* A page also ends with the item that brings its bytes here: long texts must not outgrow a message of the bus. */
#define RPC_PAGE_BYTES (1024 * 1024)

/* --- small helpers for answers ---------------------------------------------------------------------------------------- */

typedef Google__Protobuf__Timestamp Timestamp;
Timestamp *rpc_timestamp(struct rpc_call *call, int64_t us); /* NULL for 0 */
int64_t rpc_timestamp_us(const Timestamp *timestamp);        /* 0 for NULL */
