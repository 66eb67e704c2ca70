/* SPDX-License-Identifier: Apache-2.0
 *
 * The request table of a server: the service's own methods and those that every service has, by id.
 */
#include "common/rpc/server_internal.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const struct metric_family duration_family = {
        "nuanxin_rpc_seconds", "Time from a request's arrival to its reply, by method.", METRIC_HISTOGRAM};
static const struct metric_family replies_family = {
        "nuanxin_rpc_replies_total", "Replies by method and outcome: ok, refused (by the rules), failed (by us).",
        METRIC_COUNTER};

static int served_compare(const void *a, const void *b)
{
        uint64_t x = ((const struct served *)a)->contract->id, y = ((const struct served *)b)->contract->id;
        return x < y ? -1 : x > y;
}

static int self_permission(const char *permission)
{
        char name[80];
        const char *dot = strchr(permission, '.');
        if (!dot)
                return -1;
        snprintf(name, sizeof(name), "%.*s.self", (int)(dot - permission), permission);
        return access_permission_id(name);
}

static void served_init(struct served *s, const struct rpc_method *method, struct metric_registry *metrics)
{
        const struct contract_method *contract = method->contract;
        s->method = method;
        s->contract = contract;
        s->self_permission = self_permission(contract->permission);
        s->peers_only = strcmp(contract->permission, "service") == 0;
        s->operator_only = strcmp(contract->permission, "operator") == 0;
        s->duration = metric_new(metrics, &duration_family, "method=\"%s\"", contract->name);
        s->ok = metric_new(metrics, &replies_family, "method=\"%s\",outcome=\"ok\"", contract->name);
        s->refused = metric_new(metrics, &replies_family, "method=\"%s\",outcome=\"refused\"", contract->name);
        s->failed = metric_new(metrics, &replies_family, "method=\"%s\",outcome=\"failed\"", contract->name);
}

static size_t table_length(const struct rpc_method *methods)
{
        size_t n = 0;
        while (methods && methods[n].contract)
                n++;
        return n;
}

/* -EINVAL: a table that cannot be right. */
int table_make(struct rpc_server *server)
{
        const struct rpc_method *tables[] = {server->service->methods, peer_methods};
        size_t n = table_length(tables[0]) + table_length(tables[1]), at = 0;
        server->served = mem_zalloc(n * sizeof(server->served[0]));
        for (size_t t = 0; t < ARRAY_LEN(tables); t++)
                for (const struct rpc_method *m = tables[t]; m && m->contract; m++)
                        served_init(&server->served[at++], m, server->options.metrics);
        server->n_served = n;
        qsort(server->served, n, sizeof(server->served[0]), served_compare);
        for (size_t i = 0; i < n; i++) {
                const struct served *s = &server->served[i];
                bool slow = s->contract->lane == NUANXIN__LANE__SLOW_WRITE;
                bool twice = i && s->contract->id == server->served[i - 1].contract->id;
                if (twice || slow != !!s->method->prepare || !s->method->handle) {
                        log_error("the request table is wrong", "method=%s", s->contract->name);
                        return -EINVAL;
                }
        }
        return 0;
}

const struct served *server_find(const struct rpc_server *server, uint64_t method)
{
        size_t low = 0, high = server->n_served;
        while (low < high) {
                size_t middle = (low + high) / 2;
                uint64_t id = server->served[middle].contract->id;
                if (id == method)
                        return &server->served[middle];
                if (id < method)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

bool table_accepts(const struct contract_method *contract, uint64_t input_hash)
{
        if (input_hash == contract->input_hash)
                return true;
        for (unsigned i = 0; i < contract_n_past_inputs; i++)
                if (contract_past_inputs[i].method == contract->id && contract_past_inputs[i].hash == input_hash)
                        return true;
        return false;
}

static size_t add_accepts(Nuanxin__Internal__V1__Accepts *out, size_t n, size_t room, uint64_t method, uint64_t input,
                          uint64_t output)
{
        if (n < room) {
                nuanxin__internal__v1__accepts__init(&out[n]);
                out[n].method = method;
                out[n].input_hash = input;
                out[n].output_hash = output;
        }
        return n < room ? n + 1 : n;
}

size_t rpc_server_accepts(const struct rpc_server *server, Nuanxin__Internal__V1__Accepts *out, size_t room)
{
        size_t n = 0;
        for (size_t i = 0; i < server->n_served; i++) {
                const struct contract_method *m = server->served[i].contract;
                n = add_accepts(out, n, room, m->id, m->input_hash, m->output_hash);
        }
        for (unsigned i = 0; i < contract_n_past_inputs; i++)
                if (server_find(server, contract_past_inputs[i].method))
                        n = add_accepts(out, n, room, contract_past_inputs[i].method, contract_past_inputs[i].hash, 0);
        for (unsigned i = 0; i < contract_n_past_outputs; i++)
                if (server_find(server, contract_past_outputs[i].method))
                        n = add_accepts(out, n, room, contract_past_outputs[i].method, 0, contract_past_outputs[i].hash);
        return n;
}
