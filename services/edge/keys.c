/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may come in: the stream's list of keys, followed by a long poll. While the stream is away the last list counts: its
 * keys open no more than the door, for each fetch is the stream's to allow.
 */
#include "services/edge/edge.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS        10000
#define ANSWER_MS      5000 /* beyond that */
#define TRY_AGAIN_US   CLOCK_SECOND_US

struct edge_keys {
        struct edge *edge;
        struct arena *arena;
        struct loop_timer *timer;
        struct rpc_pending *pending;
        int64_t revision;
        bool known, missed; /* a list has come; the last attempt failed */
};

static void let_in(struct edge_keys *k, const ListEdgeKeysResponse *list)
{
        struct bus_door_key *keys = ARENA_ARRAY(k->arena, struct bus_door_key, list->n_keys + 1);
        size_t n = 0;
        for (size_t i = 0; i < list->n_keys; i++) {
                const EdgeKey *key = list->keys[i];
                if (!curve_key_is_valid(str_of(key->public_key)) || strchr(key->agency, '/')) {
                        log_error("a key on the stream's list cannot be used", "agency=%s key=%s", key->agency, key->key);
                        continue;
                }
                snprintf(keys[n].key, sizeof(keys[n].key), "%s", key->public_key);
                snprintf(keys[n++].name, sizeof(keys[0].name), "%s/%s", key->agency, key->key);
        }
        bus_door_let_in(k->edge->door, keys, n);
        metric_set(k->edge->count.keys, (int64_t)n);
        log_info("these keys are let in", "keys=%zu revision=%lld", n, (long long)list->revision);
}

static void ask(void *arg);

static void on_list(void *arg, const struct rpc_result *result)
{
        struct edge_keys *k = arg;
        ProtobufCMessage *message;
        k->pending = NULL;
        if (result->error == -ECANCELED)
                return;
        arena_reset(k->arena);
        if (result->error || result->problem != NUANXIN__PROBLEM__PROBLEM_NONE ||
            message_unpack(k->arena, &stream_v1_list_edge_keys_response_msg, result->payload.p, result->payload.n, &message) < 0) {
                if (!k->missed)
                        log_warn("the stream does not say who may come in", "known=%s", k->known ? "the list before counts" : "nobody yet");
                k->missed = true;
                loop_timer_set(k->timer, TRY_AGAIN_US);
                return;
        }
        const ListEdgeKeysResponse *list = (const ListEdgeKeysResponse *)message;
        k->missed = false;
        bool changed = !k->known || list->revision != k->revision;
        if (changed)
                let_in(k, list);
        k->known = true;
        k->revision = list->revision;
        if (changed || result->timing.total_us > TRY_AGAIN_US)
                ask(k);
        else
                loop_timer_set(k->timer, TRY_AGAIN_US); /* it did not wait: it is not asked again and again */
}

static void ask(void *arg)
{
        struct edge_keys *k = arg;
        ListEdgeKeysRequest request = NUANXIN__STREAM__V1__LIST_EDGE_KEYS_REQUEST__INIT;
        Nuanxin__Internal__V1__Principal self = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        self.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE;
        self.id = (char *)"edge";
        request.known_revision = k->revision;
        request.wait_ms = k->known ? WAIT_MS : 0;
        const struct rpc_request call = {
                .method = &stream_v1_list_edge_keys,
                .principal = &self,
                .payload = message_pack(k->arena, &request),
                .deadline_us = (WAIT_MS + ANSWER_MS) * 1000ll,
                .long_poll = true,
        };
        k->pending = rpc_client_call(k->edge->rpc, &call, on_list, k);
}

bool edge_keys_known(const struct edge_keys *k)
{
        return k->known;
}

struct edge_keys *edge_keys_new(struct edge *edge)
{
        struct edge_keys *k = mem_zalloc(sizeof(*k));
        k->edge = edge;
        k->arena = arena_new(4096);
        k->timer = loop_timer_new(edge->loop, ask, k);
        ask(k);
        return k;
}

struct edge_keys *edge_keys_free(struct edge_keys *k)
{
        if (!k)
                return NULL;
        rpc_pending_cancel(k->pending);
        loop_timer_free(k->timer);
        arena_free(k->arena);
        free(k);
        return NULL;
}
