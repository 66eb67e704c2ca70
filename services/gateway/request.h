/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one request: routed → identified and within its rate → decoded → called → answered. It lives in its
 * http_request's arena and may wait at each arrow; it is forgotten when the client goes.
 */
#pragma once

#include "common/base/id.h"
#include "services/gateway/headers.h"
#include "services/gateway/problem.h"
#include "services/gateway/worker.h"

#include <sys/queue.h>

enum request_state {
        REQUEST_ROUTED,     /* known: the method; to do: whose it is, and its rate */
        REQUEST_ADMITTED,   /* known: the principal; to do: the message */
        REQUEST_DECODED,    /* the message is there; a sign-in's account has a rate of its own */
        REQUEST_CALLING,    /* a service has it */
        REQUEST_STREAMING,  /* an upload's chunks or an export's pages come and go */
        REQUEST_FINISHING,  /* the service has answered; Redis keeps or forgets the session */
        REQUEST_ANSWERED,
};

struct charge {
        struct caller *caller; /* pinned */
        Nuanxin__RateClass class;
        bool paid;
};
#define REQUEST_CHARGES_MAX 3

struct request {
        struct worker *worker;
        struct http_request *http;
        enum request_state state;
        struct headers headers;
        struct route *route; /* NULL: no method of the contract */
        struct route_match match;
        const char *allow; /* for 405 and OPTIONS, where it is not the route's */
        const char *address;
        char traceparent[ID_TRACEPARENT_SIZE];
        struct str request_id;
        struct str idempotency_key; /* the client's; {NULL,0} */
        struct str if_match;        /* one strong tag; {NULL,0} */
        /* whose it is */
        struct caller *who; /* pinned; a session, a key, or the address */
        bool identified; /* who is who it says */
        bool stranger;   /* a bad credential: its address pays */
        bool fetched;    /* the key's service has been asked about it */
        struct fetch *fetch; /* … is being asked (auth.c) */
        struct request *fetch_next;
        uint64_t checks_wanted;
        Nuanxin__RateClass class;
        struct charge charges[REQUEST_CHARGES_MAX];
        size_t n_charges;
        struct callers_waiter waiter;
        /* what is asked */
        ProtobufCMessage *message;
        struct rpc_pending *pending;
        bool streamed; /* the body comes in pieces */
        struct upload *upload;
        struct export *export; /* set: as CSV or lines, not as one message */
        struct finish *finish;
        struct caller *payer;      /* one that waits for news: who is counted for it; pinned */
        TAILQ_ENTRY(request) poll; /* … among the worker's polls, */
        bool polls;                /* if it is one, */
        struct sse_reader *reader; /* … or a reader of an event stream */
        /* what it took */
        struct rpc_timing timing;
        int64_t called_us; /* in services, all calls together */
        bool counted, begun; /* begun: and its answer, which has no end */
};

/* http_ops of a worker; arg is the worker. */
extern const struct http_ops request_ops;

/* From upload.c and export.c, too: one call to the request's method. */
void request_call(struct request *request, struct str payload, struct str key, bool client_key, rpc_done_fn done);
/* Answers what a call came to, unless it is the method's output: then false. */
bool request_call_failed(struct request *request, const struct rpc_result *result);
/* Another call in place of the one that the service has: its message has changed. */
void request_call_again(struct request *request);
/* Goes on after a wait. */
void request_go(void *request);
bool request_may_call(const struct request *request); /* false: the session has ended meanwhile */
/* An answer without an end begins: that is counted, not its end. */
void request_begun(struct request *request, unsigned status);
/* It is answered: lets go of what it holds. */
void request_done(struct request *request, unsigned status);
