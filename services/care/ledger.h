/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger as the service's handlers use it, within the call's own transaction: what is refused is a refusal of the call, with
 * the facts; what is done is stored, told and due with whatever else the call does.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "store_ledger.h"

/* --- transfers -------------------------------------------------------------------------------------------------------- */

/* Enters them in their order, all or none: on anything but 0 nothing of the call may stay (RPC_REFUSED rolls it back).
 *   asked: kind, debit, credit, amount, of ("#0": of the first of these), reason, case_id, actor, expire_us; texts "" where not
 *   given, never NULL. Filled on return: all.
 * permission: "ledger.write": the caller must hold it at the organisations whose accounts are debited; NULL: has been decided.
 * pointer: where they stand in the request ("/transfers"), for what is said of one of them; NULL: nowhere. */
int ledger_apply(struct rpc_call *call, const char *permission, const char *pointer, struct ledger_row *rows, size_t n) MUST_USE;

/* Sets aside what an organisation is to pay to recipients of a programme: PENDING rows, one an account that it takes of,
 * grants before donations, the oldest first. PROBLEM_BUDGET_OVERDRAWN if they do not suffice together. */
struct ledger_need {
        const char *organization, *path; /* that pays */
        const char *purpose, *programme, *unit, *case_id, *actor;
        int64_t amount;    /* at least 1 */
        int64_t expire_us; /* 0: never */
};
int ledger_reserve(struct rpc_call *call, const struct ledger_need *need, struct ledger_row **ret_rows, size_t *ret_n) MUST_USE;
/* Posts or voids all of them, each whole: kind is LEDGER_POST or LEDGER_VOID. reason: "" or why. */
int ledger_settle(struct rpc_call *call, int kind, const char *const *pending, size_t n, const char *actor, const char *reason) MUST_USE;

#define DUE_EXPIRE "ledger.expire"
int due_expire(struct rpc_call *call, const char *key, struct str payload); /* key: the pending transfer */

/* --- accounts ---------------------------------------------------------------------------------------------------------- */

/* The account of these terms (kind, fund, purpose, organization, path, programme), made if there is none. *ret_opened: it was.
 * Refuses what its fund does not allow. */
int ledger_open(struct rpc_call *call, const struct ledger_account *terms, struct ledger_account *ret, bool *ret_opened) MUST_USE;

/* --- tracing ------------------------------------------------------------------------------------------------------------ */

#define TRACE_PARTS 1000
#define TRACE_WAY   16
struct traced_part {
        int64_t amount;
        const struct ledger_row **way; /* from the source on */
        size_t n;
};
struct trace {
        struct traced_part *parts;
        size_t n;
        bool more; /* there are more, or longer ways, than fit */
};
/* Within an account what came first goes first; but what left a SPENT account is what came in with the transfer that was
 * reversed. In the call's arena. */
int ledger_trace(struct store_conn *db, struct arena *arena, const struct ledger_row *row, bool forward, struct trace *ret) MUST_USE;

/* --- the chain ------------------------------------------------------------------------------------------------------------ */

/* Tells the chain of what is new besides transfers. */
int ledger_note(struct rpc_call *call, enum ledger_thing thing, const char *id, const char *organization) MUST_USE;
