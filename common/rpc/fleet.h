/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the calling half: the instances that a client knows, how well each answers, and which to choose. Knows
 * nothing of requests but their number.
 *
 * An instance that owes answers and has said nothing for 1 s is asked for a sign of life (a Hello, which a living
 * process answers from its loop, however slow its lanes are); without one within another second it is silent: it gets
 * nothing until it speaks again, and what waits for it goes elsewhere. The socket's heartbeats would take 8 s.
 */
#pragma once

#include "common/base/arena.h"
#include "common/bus/bus.h"
#include "common/rpc/compat.h"
#include "common/rpc/envelope.h"

#include <sys/queue.h>

struct fleet;
struct rpc_pending;
TAILQ_HEAD(pending_list, rpc_pending);

struct instance {
        LIST_ENTRY(instance) all;
        struct fleet *fleet;
        struct bus_link *link;
        char service[32];
        char id[64]; /* "" until it has said Hello, for a configured endpoint */
        char endpoint[128];
        bool configured; /* stays, whatever the registry says */
        bool listed;     /* the registry named it last time */
        bool greeted;    /* it said Hello on this connection */
        bool may_write, draining;
        unsigned outstanding;
        int64_t latency_us;       /* moving average, 0 before the first answer */
        int64_t measured_us;      /* when the last figure went into it */
        int64_t heard_us;         /* when it last said anything */
        int64_t asked_us;         /* when a sign of life was asked for; 0: none is due */
        bool silent;              /* it gave none */
        bool handshake_said;      /* that none came about; once */
        int failures;             /* in a row */
        int ejections;            /* in a row: the next lasts longer */
        int64_t ejected_until_us; /* monotonic */
        struct pending_list in_flight; /* the client's */
        struct compat compat;     /* from its Hello */
        char build[64];
        char epoch[40];           /* of its store; "": not known */
        bool astray;              /* its store is not the one that the others of its service share */
        bool refused_said;        /* that it is of another build and gets none of some requests */
};

struct fleet_ops {
        void (*on_ready)(void *arg, struct instance *instance); /* greeted, changed what it may do, or speaks again */
        void (*on_lost)(void *arg, struct instance *instance);  /* its connection is gone */
        void (*on_silent)(void *arg, struct instance *instance); /* it gives no sign of life, and may yet wake up */
        void (*on_reply)(void *arg, struct instance *instance, const Envelope *envelope, struct str payload);
};

struct fleet_options {
        struct loop *loop;
        struct bus *bus;
        const char *self_service, *self_instance;
        const struct fleet_ops *ops;
        void *arg;
};
struct fleet *fleet_new(const struct fleet_options *options);
bool fleet_is_self(const struct fleet *fleet, struct str service); /* is it the service that calls? */
struct fleet *fleet_free(struct fleet *fleet);

/* Finds or makes the instance of a service at an endpoint. -ENAMETOOLONG; -ENOSPC: too many are known; errors of the
 * endpoint. */
int fleet_add(struct fleet *fleet, const char *service, const char *endpoint, bool configured,
              struct instance **ret_instance) MUST_USE;
/* A round of the registry begins: nothing is listed; and ends: what is neither listed nor connected nor configured
 * goes. */
void fleet_round_begin(struct fleet *fleet);
void fleet_round_end(struct fleet *fleet);

struct fleet_need {
        const char *service;
        const char *instance; /* this very one, or NULL */
        bool write;
        const struct contract_method *method; /* NULL: whatever it accepts */
        const struct instance *avoid;     /* taken only if there is no other */
};
struct instance *fleet_choose(struct fleet *fleet, const struct fleet_need *need); /* NULL: none fits now */
/* When none fits: says so in the log, once a minute and not once a request, if one would but for that method's shapes:
 * one side is of another build. */
void fleet_say_mismatch(struct fleet *fleet, const struct fleet_need *need);

/* latency_us < 0: it says nothing of the instance (a long poll). */
void fleet_succeeded(struct instance *instance, int64_t latency_us);
void fleet_failed(struct instance *instance);
bool instance_is_ejected(const struct instance *instance); /* or silent */
struct instance *fleet_first(const struct fleet *fleet); /* walk with LIST_NEXT(i, all) */
