/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the serving half share: the server itself and the ways between its loop and its lanes.
 */
#pragma once

#include "common/rpc/lane.h"
#include "common/rpc/reach.h"
#include "common/rpc/server.h"

#include <stdatomic.h>

struct followers;
struct write_lanes;
struct readers;
struct flights;
struct parking;

/* A lane's threads. */
struct lane_thread {
        struct rpc_server *server;
        pthread_t thread;
        struct store_conn *db; /* its connection, opened at the first need */
        bool rests;            /* has given back what it held, and sleeps until there is work */
        int64_t failed_us;     /* when it last did not reach the store; 0: has reached it since */
};

struct rpc_server {
        struct rpc_server_options options;
        const struct rpc_service *service;
        struct served *served; /* by method id */
        size_t n_served;
        Principal self; /* who jobs act as */
        int64_t started_us;
        struct metric *commit; /* durations */
        struct metric *head;
        struct metric *out_of_role; /* requests */
        int64_t out_of_role_said_us;
        struct reach reach;

        struct lane read, slow, write;
        struct lane_thread *threads; /* of read and slow */
        size_t n_threads;
        struct write_lanes *writers; /* NULL until rpc_server_become_writer */

        atomic_bool is_writer;
        _Atomic int use;  /* enum store_state, as the last commit left it */
        int use_seen;     /* the loop's: what was told of it */
        atomic_bool hears_news; /* of every commit, at once */
        bool readable;
        atomic_bool draining;
        size_t active; /* requests taken and not yet answered */
        loop_fn on_drained;
        void *drained_arg;

        struct loop_turn turn_end;
        struct call_list pool;
        struct flights *flights;
        struct parking *parking;
        struct readers *readers;     /* who pulls our outbox */
        struct followers *followers; /* whose outboxes we follow, while we lead; NULL until writer */
        struct rpc_worker *worker;   /* likewise; NULL too if the service has none */

        /* From the lanes to the loop. */
        pthread_mutex_t done_lock;
        struct call_list done;
        bool done_posted, woken;
        _Atomic int64_t outbox_head; /* the last committed position, as far as this process knows */
        int64_t outbox_seen;         /* the loop's: news up to here were told */
        _Atomic int64_t news;        /* of the service's own (rpc_news), likewise */
        int64_t news_seen;
};

bool server_is_draining(const struct rpc_server *server);
const struct served *server_find(const struct rpc_server *server, uint64_t method);

/* Queues a job for the write lane, or the read lane; the loop's thread. */
void server_submit_job(struct rpc_server *server, const struct job *job);
void server_submit_read(struct rpc_server *server, const struct job *job);
/* The loop's thread: nothing may be left to wait for. */
void server_check_drained(struct rpc_server *server);
/* Any thread: these calls have their outcome (or are parked); empties the list. One wake of the loop. */
void server_finished(struct rpc_server *server, struct call_list *calls);
/* Any thread: the outbox has grown to head, durably; what is known already is no news. */
void server_news(struct rpc_server *server, int64_t head);
/* Likewise of the service's own position; and reads it from the store. */
void server_own_news(struct rpc_server *server, int64_t position);
int server_read_own_news(struct rpc_server *server, struct store_conn *db) MUST_USE;

/* Any thread: a handler has woken the worker. */
void server_wake(struct rpc_server *server);

/* Any thread: what is done with the store as a whole has changed (enum store_state). */
void server_use(struct rpc_server *server, int state);

/* table.c: -EINVAL: a table that cannot be right (logged). */
int table_make(struct rpc_server *server) MUST_USE;
bool table_accepts(const struct contract_method *contract, uint64_t input_hash);

/* threads.c: what a thread of the read lane and of the slow lane runs; arg: its lane_thread. */
void *read_main(void *arg);
void *slow_main(void *arg);

/* worker.c. The loop's thread; all take NULL. It stands until it is started. */
struct rpc_worker *worker_new(struct rpc_server *server);
struct rpc_worker *worker_free(struct rpc_worker *host); /* after the lanes */
void worker_start(struct rpc_worker *host);
void worker_stop(struct rpc_worker *host);
void worker_news(struct rpc_worker *host);
void worker_wake(struct rpc_worker *host);

/* --- the loop's halves ------------------------------------------------------------------------------------------- */

/* flights.c: requests of which the outcome is awaited, by principal, method and key. */
struct flights *flights_new(struct rpc_server *server);
struct flights *flights_free(struct flights *flights);
struct rpc_call *flights_find(struct flights *flights, struct rpc_call *like);
void flights_add(struct flights *flights, struct rpc_call *call);
void flights_remove(struct flights *flights, struct rpc_call *call);

/* parking.c: reads that wait for news. */
struct parking *parking_new(struct rpc_server *server);
struct parking *parking_free(struct parking *parking);
void parking_add(struct parking *parking, struct rpc_call *call);
void parking_wake(struct parking *parking); /* those whose news or time has come */
struct call_list parking_empty(struct parking *parking);

/* accept.c: takes what a request's envelope, which lies in the call's arena, says; false if it breaks a bound. */
bool call_accept(struct rpc_call *call, const Nuanxin__Internal__V1__Request *request);
/* Then: may a connection of this role carry a principal of this kind? Without roles (ipc://), any. What it refuses is counted
 * and logged. */
bool call_fits_role(struct rpc_call *call);

/* peer.c: the methods that every service has, as a table that ends with a zeroed entry. */
extern const struct rpc_method peer_methods[];
/* Fill an answer from this store, on any connection. Results as a handler's. */
int outbox_pull(struct rpc_call *call, const char *epoch, int64_t after, unsigned limit,
                Nuanxin__Internal__V1__PullEventsResponse *response) MUST_USE;
int snapshot_pull(struct rpc_call *call, const char *topic, const char *key, unsigned limit,
                  Nuanxin__Internal__V1__PullSnapshotResponse *response) MUST_USE;

/* readers.c: how far the consumers of this outbox have come, as their pulls say. Any thread. */
struct readers *readers_new(void);
struct readers *readers_free(struct readers *readers);
void readers_note(struct readers *readers, const char *name, int64_t position, int64_t now_us);
/* Tells what was noted since the last time; stops at the first that is not 0. */
typedef int (*readers_save_fn)(void *arg, const char *name, int64_t position, int64_t seen_us);
int readers_save(struct readers *readers, readers_save_fn save, void *arg) MUST_USE;
