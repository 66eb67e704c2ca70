/* SPDX-License-Identifier: Apache-2.0
 *
 * The serving half of a process: lanes, the one transaction around a batch of writes, stored answers, audit,
 * outbox, consumers and due work. It lives between the bus (which brings pairs) and the handlers. All functions are
 * for the loop's thread unless said otherwise.
 */
#pragma once

#include "common/base/metric.h"
#include "common/bus/bus.h"
#include "common/rpc/rpc.h"

struct rpc_server;
struct rpc_client;
struct rpc_worker_kind;

/* One event of an outbox, as a consumer gets it. */
struct rpc_event {
        int64_t seq;
        int64_t time_us;
        const char *id, *type, *subject, *organization;
        const struct contract_message *contract; /* NULL: a type that this build does not know; skip it */
        struct str data;                         /* message_unpack(arena, contract, data.p, data.n, …) */
};

/* Follows the outbox of `source` (its own for counters): batches arrive in order and are applied in one write
 * transaction together with the cursor, so each event has its effect exactly once. */
struct rpc_consumer {
        const char *source; /* "membership" */
        const char *name;   /* "activity.organizations": unique */
        /* -EAGAIN: something else must come first; it is tried again soon. */
        int (*apply)(struct rpc_call *call, const struct rpc_event *events, size_t n);
        /* The source has another history, or has forgotten what we need: clear what was derived. The source's snapshot
         * then arrives through apply, and after it the events from its position on. */
        int (*reset)(struct rpc_call *call);
        /* Which topics of the source its snapshot is made of, in this order; NULL-terminated. NULL: none, the consumer
         * goes on from the newest position. What a page shows may come again as an event: apply must bear that. */
        const char *const *topics;
        bool takes_unknown; /* apply takes events of types that this build does not know: they are not passed over */
};

/* What a consumer that starts late gets first: the present state as events. Called again with the last key until it
 * gives none. Read lane. */
struct rpc_snapshot {
        const char *topic; /* as in the events' contract: "organization" */
        /* Appends up to `limit` events from after `key` ("" at first) by rpc_snapshot_add. */
        int (*page)(struct rpc_call *call, const char *key, unsigned limit);
};
int rpc_snapshot_add(struct rpc_call *call, const struct contract_message *type, const void *event, const char *subject,
                     const char *organization, const char *key) MUST_USE;

/* In apply: until when (UTC, microseconds) another consumer has everything that its source had; 0: it is not known, or it does
 * not follow yet. */
int64_t rpc_settled_us(const struct rpc_call *call, const char *consumer);
/* The newest position of this service's own outbox, for rpc_later; 0: there was never an event. */
int rpc_outbox_head(struct rpc_call *call, int64_t *ret_head) MUST_USE;
/* For figures of the service's own; any thread. */
struct metric_registry *rpc_metrics(const struct rpc_call *call);

struct rpc_due_kind {
        const char *kind;
        int (*run)(struct rpc_call *call, const char *key, struct str payload); /* as a write; 0 ends the row */
};

/* What an instance that only reads hands on to the one that writes, and whose tick then stores it: about each second, as a call
 * of one of the service's own methods (lane READ, permission "service"). */
struct rpc_notes {
        const struct contract_method *method;
        /* The request, packed; false: there is nothing new. On the loop's thread. */
        bool (*pack)(void *state, struct buf *request);
        void (*lost)(void *state); /* what was packed last has not arrived: it is new again */
};

/* What a service is, beyond its process: all constant. Tables end with a zeroed entry. */
struct rpc_service {
        const char *name; /* "membership" */
        const struct rpc_method *methods;
        const struct store_migration *migrations;
        const struct rpc_consumer *consumers;
        const struct rpc_snapshot *snapshots;
        const struct rpc_due_kind *due;
        /* About each second, on every instance that may write, as a write of its own (it may run again): for what reads noted
         * in memory. On a shared store others may write the same rows meanwhile. *ret_wrote: it wrote anything. */
        int (*tick)(struct rpc_call *call, bool *ret_wrote);
        const struct rpc_notes *notes; /* or NULL */
        /* The position that rpc_news tells of, as the store has it; NULL: there is none. */
        int (*news)(struct store_conn *db, int64_t *ret_position);
        const struct rpc_worker_kind *worker; /* worker.h; or NULL */
        /* The materialised path of an organisation ("/43/4301/"), for permissions asked `at` a request's field.
         * RPC_REFUSED (rpc_refuse PROBLEM_NOT_FOUND or the like) if there is none. */
        int (*organization_path)(struct rpc_call *call, struct str code, struct str *ret_path);
};

struct rpc_server_options {
        const struct rpc_service *service;
        const char *instance;
        struct loop *loop;
        struct store *store;
        const struct keyring *keyring;
        const struct clock *clock;
        struct metric_registry *metrics;
        void *state;
        int read_threads;   /* 2 */
        int slow_threads;   /* 1 */
        int write_threads;  /* 4; on a shared store. Else there is one */
        int write_batch;    /* 256; on a shared store at most 32 */
        size_t lane_queue;  /* 8192 requests waiting in a lane; then 503 */
        int64_t answers_kept_us, gateway_answers_kept_us; /* 24 h, 10 min */
        /* The loop's thread: whether this instance may write has changed for a moment (a store is being moved), or for ever:
         * gone says that its store is out of use, so that it has nothing to serve. */
        void (*changed)(void *arg, bool gone);
        /* Sends a reply pair; lent bytes. On the loop's thread. */
        void (*reply)(void *arg, const struct bus_peer *to, struct str envelope, struct str payload);
        void *reply_arg;
};

int rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret_server) MUST_USE;
/* Stops and joins the lanes; what is still queued is not answered. */
struct rpc_server *rpc_server_free(struct rpc_server *server);

/* A request pair from the bus. Takes the payload, and the arena into which the envelope was unpacked: an empty one
 * stands in its place afterwards. Always answers, once. */
void rpc_server_submit(struct rpc_server *server, const struct bus_peer *from,
                       const Nuanxin__Internal__V1__Envelope *envelope, struct arena **arena,
                       struct bus_frame *payload);

/* This process writes from now on (its migrations have run): the write lane's threads take the connection over, and
 * due work and consumers start (on a shared store: while this instance leads); `client` carries the consumers' pulls.
 * Before that, writes are answered not_writer.
 * The server owns the writer from now on and releases it at its end. */
void rpc_server_become_writer(struct rpc_server *server, struct store_writer *writer, struct rpc_client *client);
bool rpc_server_is_writer(const struct rpc_server *server);
/* Does it give events their positions, follow, run due work? On a shared store one of the writers does. Any thread. */
bool rpc_server_leads(const struct rpc_server *server);
/* Shared store: for how long the database has not been reached (0: it is), and for how long a write thread has not come
 * round, which is longer than any wait for the database if it hangs in our own code. */
int64_t rpc_server_away_us(const struct rpc_server *server);
int64_t rpc_server_still_us(const struct rpc_server *server);
/* The schema is there: read connections may open. */
void rpc_server_open_readers(struct rpc_server *server);

/* Takes nothing new (503, retry elsewhere), finishes what it has, then calls on_drained on the loop. If it leads, another
 * may at once. */
void rpc_server_drain(struct rpc_server *server, loop_fn on_drained, void *arg);

/* What GetStatus answers, and what a Hello announces: method and input hash of all it serves, own and common. */
size_t rpc_server_accepts(const struct rpc_server *server, Nuanxin__Internal__V1__Accepts *out, size_t room);
