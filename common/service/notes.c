/* SPDX-License-Identifier: Apache-2.0
 *
 * See notes.h.
 */
#include "common/service/notes.h"

#include <stdlib.h>

#define EVERY_US       CLOCK_SECOND_US
#define DEADLINE_US    (5 * CLOCK_SECOND_US)
#define INSTANCES_MOST 64

struct notes {
        const struct rpc_service *service;
        struct rpc_server *server;
        struct rpc_client *client;
        void *state;
        struct loop_timer *timer;
        struct rpc_pending *pending;
};

/* Of this service; NULL: it is not known. */
static const char *find_writer(const struct notes *n)
{
        struct rpc_instance all[INSTANCES_MOST];
        size_t count = rpc_client_instances(n->client, all, ARRAY_LEN(all));
        for (size_t i = 0; i < count; i++)
                if (all[i].up && all[i].may_write && strcmp(all[i].service, n->service->name) == 0)
                        return all[i].instance;
        return NULL;
}

static void on_handed(void *arg, const struct rpc_result *result)
{
        struct notes *n = arg;
        n->pending = NULL;
        if (result->error != 0 || result->problem != NUANXIN__PROBLEM__PROBLEM_NONE)
                n->service->notes->lost(n->state);
}

static void hand_on(struct notes *n, const char *writer)
{
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        struct buf request = {0};
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)(uintptr_t)n->service->name;
        if (n->service->notes->pack(n->state, &request)) {
                const struct rpc_request call = {.method = n->service->notes->method,
                                                 .instance = writer,
                                                 .principal = &self,
                                                 .payload = buf_str(&request),
                                                 .deadline_us = DEADLINE_US};
                n->pending = rpc_client_call(n->client, &call, on_handed, n);
        }
        buf_done(&request);
}

static void on_timer(void *arg)
{
        struct notes *n = arg;
        const char *writer = rpc_server_is_writer(n->server) || n->pending ? NULL : find_writer(n);
        if (writer)
                hand_on(n, writer);
        loop_timer_set(n->timer, EVERY_US);
}

struct notes *notes_new(struct loop *loop, const struct rpc_service *service, struct rpc_server *server, struct rpc_client *client,
                        void *state)
{
        if (!service->notes)
                return NULL;
        struct notes *n = mem_zalloc(sizeof(*n));
        n->service = service;
        n->server = server;
        n->client = client;
        n->state = state;
        n->timer = loop_timer_new(loop, on_timer, n);
        loop_timer_set(n->timer, EVERY_US);
        return n;
}

struct notes *notes_free(struct notes *n)
{
        if (!n)
                return NULL;
        if (n->pending)
                rpc_pending_cancel(n->pending);
        loop_timer_free(n->timer);
        free(n);
        return NULL;
}
