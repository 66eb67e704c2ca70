/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's place in the server: started and stopped with the consumers, woken by what was committed.
 */
#include "common/rpc/worker.h"

#include "common/rpc/listener.h"

#include <stdlib.h>

struct rpc_worker {
        struct rpc_server *server;
        const struct rpc_worker_kind *kind;
        void *worker;
        bool runs;
};

struct rpc_worker *worker_new(struct rpc_server *server)
{
        if (!server->service->worker)
                return NULL;
        struct rpc_worker *host = mem_zalloc(sizeof(*host));
        host->server = server;
        host->kind = server->service->worker;
        host->worker = host->kind->make(host, server->options.state);
        return host;
}

struct rpc_worker *worker_free(struct rpc_worker *host)
{
        if (host)
                host->kind->free(host->worker);
        free(host);
        return NULL;
}

void worker_start(struct rpc_worker *host)
{
        if (!host || host->runs)
                return;
        host->runs = true;
        host->kind->start(host->worker);
}

void worker_stop(struct rpc_worker *host)
{
        if (!host || !host->runs)
                return;
        host->runs = false;
        host->kind->stop(host->worker);
}

void worker_news(struct rpc_worker *host)
{
        if (host && host->runs)
                host->kind->news(host->worker);
}

void worker_wake(struct rpc_worker *host)
{
        if (host && host->runs)
                host->kind->wake(host->worker);
}

/* --- for the worker ------------------------------------------------------------------------------------------------ */

void rpc_worker_read(struct rpc_worker *host, const struct job *job)
{
        server_submit_read(host->server, job);
}

void rpc_worker_write(struct rpc_worker *host, const struct job *job)
{
        server_submit_job(host->server, job);
}

bool rpc_worker_may_write(const struct rpc_worker *host)
{
        return rpc_server_is_writer(host->server);
}

void rpc_worker_hold(struct rpc_worker *host)
{
        host->server->active++;
}

void rpc_worker_release(struct rpc_worker *host)
{
        host->server->active--;
        server_check_drained(host->server);
}

struct loop *rpc_worker_loop(const struct rpc_worker *host)
{
        return host->server->options.loop;
}

const struct clock *rpc_worker_clock(const struct rpc_worker *host)
{
        return host->server->options.clock;
}

struct metric_registry *rpc_worker_metrics(const struct rpc_worker *host)
{
        return host->server->options.metrics;
}

/* --- for handlers ----------------------------------------------------------------------------------------------------- */

int rpc_wake(struct rpc_call *call)
{
        if (!call->writer)
                return -EPERM;
        if (call->writer->shared)
                return listener_tell(call->writer, 0, LISTENER_WORK); /* this instance hears it too */
        call->writer->wakes = true;
        return 0;
}
