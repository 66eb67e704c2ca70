/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's counters, declared once.
 */
#include "services/edge/edge.h"

#include <stdlib.h>

static const struct metric_family fetches = {"nuanxin_edge_fetches_total", "Fetches that agencies have sent.", METRIC_COUNTER};
static const struct metric_family batches = {"nuanxin_edge_batches_total", "Fetches answered with a batch.", METRIC_COUNTER};
static const struct metric_family event_bytes = {"nuanxin_edge_event_bytes_total", "Bytes of events in those batches.",
                                                 METRIC_COUNTER};
static const struct metric_family refusals = {"nuanxin_edge_refusals_total", "Fetches refused, by the type of problem.",
                                              METRIC_COUNTER};
static const struct metric_family asked_again = {"nuanxin_edge_asked_again_total",
                                                 "Fetches for which the stream was asked again, being busy or away.", METRIC_COUNTER};
static const struct metric_family undelivered = {"nuanxin_edge_undelivered_total",
                                                 "Answers whose connection had gone or took no more.", METRIC_COUNTER};
static const struct metric_family strangers = {"nuanxin_edge_strangers_total",
                                               "Handshakes refused because the key is not an agency's.", METRIC_COUNTER};
static const struct metric_family cuts = {
        "nuanxin_edge_cut_total",
        "Connections ended here, by reason: handshake (no CURVE, or a key that is no agency's), protocol (a frame beyond 1 MiB, or no "
        "ZMTP), silent, crowd, unfinished, stalled, full, asked.",
        METRIC_COUNTER};
static const struct metric_family connections = {"nuanxin_edge_connections", "Open connections.", METRIC_GAUGE};
static const struct metric_family unspoken = {"nuanxin_edge_connections_unspoken", "Of them those that have not said a word.",
                                              METRIC_GAUGE};
static const struct metric_family unsent = {"nuanxin_edge_unsent_bytes", "Bytes sent that have not reached the agencies' hosts.",
                                            METRIC_GAUGE};
static const struct metric_family in_flight = {"nuanxin_edge_fetches_in_flight", "Fetches without an answer yet.", METRIC_GAUGE};
static const struct metric_family keys = {"nuanxin_edge_keys", "Keys of agencies that are let in.", METRIC_GAUGE};

void count_init(struct edge *e)
{
        struct metric_registry *r = e->metrics;
        e->count.fetches = metric_new(r, &fetches, "%s", "");
        e->count.batches = metric_new(r, &batches, "%s", "");
        e->count.event_bytes = metric_new(r, &event_bytes, "%s", "");
        e->count.asked_again = metric_new(r, &asked_again, "%s", "");
        e->count.undelivered = metric_new(r, &undelivered, "%s", "");
        e->count.strangers = metric_new(r, &strangers, "%s", "");
        e->count.connections = metric_new(r, &connections, "%s", "");
        e->count.unspoken = metric_new(r, &unspoken, "%s", "");
        e->count.unsent_bytes = metric_new(r, &unsent, "%s", "");
        e->count.in_flight = metric_new(r, &in_flight, "%s", "");
        e->count.keys = metric_new(r, &keys, "%s", "");
        for (size_t i = 0; i < BUS_DOOR_CUTS; i++)
                e->count.cuts[i] = metric_new(r, &cuts, "reason=\"%s\"", bus_door_cut_names[i]);
        e->count.refusals = mem_zalloc(contract_n_problems * sizeof(*e->count.refusals));
}

void count_refusal(struct edge *e, Nuanxin__Problem problem)
{
        const struct contract_problem *p = contract_problem_of(problem);
        struct metric **metric = &e->count.refusals[p - contract_problems];
        if (!*metric)
                *metric = metric_new(e->metrics, &refusals, "type=\"%s\"", p->type);
        metric_add(*metric, 1);
}

void count_look(struct edge *e)
{
        struct bus_door_figures figures = bus_door_figures(e->door);
        metric_set(e->count.connections, (int64_t)figures.connections);
        metric_set(e->count.unspoken, (int64_t)figures.unspoken);
        metric_set(e->count.unsent_bytes, (int64_t)figures.unsent_bytes);
        metric_set(e->count.in_flight, (int64_t)fetches_in_flight(e));
}
