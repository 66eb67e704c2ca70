/* SPDX-License-Identifier: Apache-2.0
 *
 * One request on its way through a server, seen from inside common/rpc. It belongs to one thread at a time: the loop,
 * then a lane, then the loop again.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/rpc/rpc.h"
#include "common/rpc/worker.h"
#include "nuanxin/internal/v1/peer.pb-c.h"

struct rpc_server;
struct write_lane;
struct metric;

/* One line of the request table, with what is derived from it once. */
struct served {
        const struct rpc_method *method;
        const struct contract_method *contract;
        int self_permission; /* "<noun>.self" of the permission's noun, or -1 */
        bool peers_only;     /* permission "service" */
        bool operator_only;  /* permission "operator" */
        struct metric *duration, *ok, *refused, *failed;
};

struct call_list {
        struct rpc_call *first, *last;
        size_t n;
};

/* What a handler said beside its return value; begins anew with each run. */
struct call_said {
        bool access_decided;
        Nuanxin__Problem problem;
        char **args;
        size_t n_args;
        struct violations *violations;
        const char *subject, *organization, *purpose;
        int64_t later_than;
        bool later_news; /* of the service's own, not of the outbox */
};

struct rpc_call {
        struct rpc_call *next;
        struct rpc_server *server;
        struct arena *arena;
        const struct served *served; /* NULL: a job */
        const struct job *job;       /* NULL: a request */

        /* As it came. Times are monotonic, but for now_us. */
        struct bus_peer from;
        uint64_t id;
        struct bus_frame payload;
        const Principal *principal;
        const char *actor; /* of writes: "account:ID", as in the audit */
        const char *address;
        const char *key;
        struct str trace;
        bool client_key;
        bool uncertain; /* it may have been done here already: the connection was lost while it was committed */
        uint32_t attempt;
        int64_t received_us, deadline_us, park_until_us, queued_us;
        int64_t now_us; /* UTC */
        int64_t waited_past; /* of rpc_later and rpc_later_news, over all runs */

        /* The loop's: who is in flight with this key, and who waits for it. */
        uint64_t flight_hash;
        struct rpc_call *flight_next;
        struct call_list waiting;
        bool in_flight;
        bool told; /* to come again: it was answered so, and its outcome is not sent */

        /* The run. */
        struct store_conn *db;
        struct write_lane *writer; /* in the write lane; else NULL */
        void *request;             /* decoded and checked; stays for further runs */
        void *prepared;
        int prepare_result; /* 0 or RPC_REFUSED */
        const char *due_kind; /* of due work, for its audit row */
        struct call_said said;
        Nuanxin__Internal__V1__PullSnapshotResponse *snapshot; /* where rpc_snapshot_add appends */
        size_t snapshot_limit, snapshot_bytes;

        /* The outcome. */
        bool shed, parked, replayed, not_writer;
        int result;               /* of a job */
        Nuanxin__Problem problem; /* PROBLEM_NONE: answer is the output; else a packed Refusal */
        struct str answer, envelope;
        uint32_t retry_after_ms, queue_us, handler_us, commit_us;
};

void call_list_add(struct call_list *list, struct rpc_call *call);
void call_list_join(struct call_list *list, struct call_list *more); /* empties more */
struct rpc_call *call_list_take(struct call_list *list);             /* the first, or NULL */

/* Clears what a run left behind, so that it can run again. A refusal of prepare stays. */
void call_begin(struct rpc_call *call, struct store_conn *db, struct write_lane *writer);
bool call_expired(const struct rpc_call *call, int64_t now_us);

/* decode → check → access → handler, on a fresh run. Returns what a handler may return; *ret_response is the output. */
int call_handle(struct rpc_call *call, ProtobufCMessage **ret_response) MUST_USE;
int call_decode(struct rpc_call *call) MUST_USE;

/* The outcome: an answer, the refusal that was said, a refusal without more, or a failure of ours (logged). */
void call_answer(struct rpc_call *call, const void *response);
void call_refused(struct rpc_call *call);
void call_refuse(struct rpc_call *call, Nuanxin__Problem problem);
void call_unavailable(struct rpc_call *call, uint32_t retry_after_ms);
void call_failed(struct rpc_call *call, int error);
/* Packs the reply's envelope: the last step in a lane, once the outcome and its times are known. */
void call_seal(struct rpc_call *call);

/* May this principal call this method at all? 0 or RPC_REFUSED. */
int access_admit(struct rpc_call *call) MUST_USE;
/* The method's permission at the organisation that the request names, where the contract says so. */
int access_at(struct rpc_call *call) MUST_USE;
int access_permission_id(const char *permission); /* -1: unknown */
