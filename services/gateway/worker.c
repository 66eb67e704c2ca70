/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting, watching and draining one thread.
 */
#include "services/gateway/worker.h"

#include "common/base/log.h"
#include "common/service/outside.h"
#include "services/gateway/request.h"
#include "services/gateway/revocations.h"
#include "services/gateway/session.h"
#include "services/gateway/sse.h"
#include "services/gateway/waits.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCH_FIRST_US   (2 * 1000ll)  /* until it is open */
#define WATCH_FAST_US    (20 * 1000ll) /* while a service is missing, and draining */
#define WATCH_US         (500 * 1000ll)
#define OPEN_LATEST_US   (2 * CLOCK_SECOND_US)
#define DRAIN_LONGEST_US (20 * CLOCK_SECOND_US)
#define REDIS_TIMEOUT_US (250 * 1000ll)

static const struct metric_family family_in_flight = {"nuanxin_gateway_requests_in_flight",
                                                      "Requests without an answer yet.", METRIC_GAUGE};
static const struct metric_family family_connections = {"nuanxin_gateway_connections", "Open client connections.",
                                                        METRIC_GAUGE};

size_t worker_services(const char *names[32])
{
        size_t n = 0;
        for (unsigned i = 0; i < contract_n_methods; i++) {
                const struct contract_method *m = contract_methods[i];
                size_t k = 0;
                while (m->path && k < n && strcmp(names[k], m->service) != 0)
                        k++;
                if (m->path && k == n && n < 31)
                        names[n++] = m->service;
        }
        names[n] = NULL;
        return n;
}

/* All but --without's, by bit of worker_services. */
static int waited_for(const struct gateway *g, uint32_t *ret, const char **ret_error)
{
        const char *names[32];
        size_t n = worker_services(names);
        uint32_t mask = (uint32_t)((1ull << n) - 1);
        for (size_t i = 0; i < g->without.n; i++) {
                size_t k = 0;
                while (k < n && strcmp(names[k], g->without.items[i]) != 0)
                        k++;
                if (k == n) {
                        *ret_error = "--without: give a service's name, such as care";
                        return -EINVAL;
                }
                mask &= ~(1u << k);
        }
        *ret = mask;
        return 0;
}

/* --- Redis's news ---------------------------------------------------------------------------------------------------- */

static void on_cache_state(void *arg, bool up)
{
        struct worker *w = arg;
        callers_redis(w->callers, up);
        if (up) {
                session_close_again(w->callers);
                revocations_redis_back(w->revocations);
        }
        log_write(up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, up ? "Redis is there" : "Redis is gone", "thread=%d", w->index);
}

static void on_told(void *arg, struct str channel, struct str payload)
{
        struct worker *w = arg;
        (void)channel;
        if (str_is(payload, SESSION_ALL))
                callers_told(w->callers, true);
        else
                callers_drop(w->callers, payload);
}

static void on_alive(void *arg, bool alive)
{
        struct worker *w = arg;
        callers_told(w->callers, alive);
}

/* --- watching -------------------------------------------------------------------------------------------------------- */

static bool watch_services(struct worker *w)
{
        const char *names[32];
        uint32_t up = 0;
        size_t n = worker_services(names);
        for (size_t i = 0; i < n; i++)
                up |= (uint32_t)rpc_client_has(w->rpc, names[i], false) << i;
        atomic_store(&w->services_up, up);
        return (up & w->waited_for) == w->waited_for;
}

/* One that joins others must not answer worse than they do. If it is a service or Redis that is down, those who need
 * neither are served after a moment all the same. */
static void open_when_ready(struct worker *w, bool all_up)
{
        bool ready = all_up && callers_are_told(w->callers) && cache_is_up(w->cache);
        if (!ready && loop_now_us(w->loop) < w->open_until_us)
                return;
        w->open_until_us = 0;
        http_server_open(w->http);
        w->on_open(w->process);
}

static void on_timer(void *arg)
{
        struct worker *w = arg;
        bool all_up = watch_services(w);
        if (w->open_until_us && !w->drain_until_us)
                open_when_ready(w, all_up);
        metric_set(w->connections, (int64_t)http_server_connections(w->http));
        if (w->drain_until_us &&
            (http_server_connections(w->http) == 0 || loop_now_us(w->loop) >= w->drain_until_us)) {
                loop_stop(w->loop);
                return;
        }
        bool calm = all_up && !w->drain_until_us;
        loop_timer_set(w->timer, w->open_until_us ? WATCH_FIRST_US : calm ? WATCH_US : WATCH_FAST_US);
}

static void drain(void *arg)
{
        struct worker *w = arg;
        if (w->drain_until_us)
                return;
        w->drain_until_us = loop_now_us(w->loop) + DRAIN_LONGEST_US;
        http_server_drain(w->http);
        sse_drain(w->sse);
        waits_drain(w);
        loop_timer_set(w->timer, 0);
}

void worker_drain(struct worker *w)
{
        loop_post(w->loop, drain, w);
}

void worker_run(struct worker *w)
{
        w->open_until_us = clock_monotonic_us() + OPEN_LATEST_US;
        loop_timer_set(w->timer, 0);
        loop_run(w->loop);
        if (http_server_connections(w->http))
                log_error("drain took too long: connections are cut", "connections=%zu", http_server_connections(w->http));
        w->on_ended(w->process);
}

/* --- start ------------------------------------------------------------------------------------------------------------- */

static int64_t utc_us(void *arg)
{
        struct worker *w = arg;
        return clock_now_us(&w->gateway->clock);
}

static int connect_redis(struct worker *w, const char **ret_error)
{
        static const char *const channels[] = {SESSION_CHANNEL};
        static const struct cache_subscription_ops ops = {.on_message = on_told, .on_alive = on_alive};
        const struct gateway *g = w->gateway;
        const struct cache_options options = {
                .address = g->redis, .auth = &g->redis_auth, .timeout_us = REDIS_TIMEOUT_US, .max_in_flight = 65536};
        int r = cache_new(w->loop, &options, &w->cache);
        if (r < 0) {
                *ret_error = "--redis: give unix:PATH, HOST:PORT or sentinel://HOST:PORT,…/NAME";
                return r;
        }
        w->callers = callers_new(w->loop, w->cache, &g->clock, g->rate_scale, (int)(g->threads * g->gateways), g->metrics);
        cache_on_state(w->cache, on_cache_state, w);
        r = cache_subscribe(w->loop, &options, channels, ARRAY_LEN(channels), &ops, w, &w->subscription);
        *ret_error = "--redis: can't subscribe there";
        return r;
}

size_t worker_max_connections(const struct gateway *g)
{
        return (size_t)((g->max_connections + g->threads - 1) / g->threads);
}

static bool is_among(const char *const *texts, const char *text)
{
        while (*texts && strcmp(*texts, text) != 0)
                texts++;
        return *texts != NULL;
}

static int connect_services(struct worker *w, const char **ret_error)
{
        const struct gateway *g = w->gateway;
        const char *peers[CONFIG_LIST_MAX + 33] = {NULL}, *names[32];
        char instance[80], known[32][160];
        size_t n = 0, n_names = worker_services(names);
        for (; n < g->peers.n; n++)
                peers[n] = g->peers.items[n];
        for (size_t i = 0; i < n_names && g->bus_folder; i++) {
                snprintf(known[i], sizeof(known[i]), "%s=ipc://%s/%s-1.sock", names[i], g->bus_folder, names[i]);
                if (!is_among(peers, known[i]))
                        peers[n++] = known[i];
        }
        snprintf(instance, sizeof(instance), "%s.%d", g->instance, w->index);
        const struct rpc_client_options options = {
                .loop = w->loop, .bus = g->bus, .cache = w->cache, .peers = peers,
                .self_service = "gateway", .self_instance = instance, .metrics = g->metrics,
        };
        int r = rpc_client_new(&options, &w->rpc);
        const char *refusal = outside_refusal("tcp://", r);
        *ret_error = refusal ? refusal : "--peer: give SERVICE=ENDPOINT";
        return r;
}

int worker_new(struct gateway *g, int index, const char *address, struct worker **ret_worker, int *ret_port,
               const char **ret_error)
{
        struct worker *w = mem_zalloc(sizeof(*w));
        int r;

        w->gateway = g;
        w->index = index;
        w->loop = loop_new();
        w->timer = loop_timer_new(w->loop, on_timer, w);
        w->routes = route_table_new(contract_methods, contract_n_methods);
        w->nowhere.label = "none";
        TAILQ_INIT(&w->polls);
        w->sse = sse_new(w);
        w->in_flight = metric_new(g->metrics, &family_in_flight, "thread=\"%d\"", index);
        w->connections = metric_new(g->metrics, &family_connections, "thread=\"%d\"", index);
        if ((r = waited_for(g, &w->waited_for, ret_error)) < 0 || (r = connect_redis(w, ret_error)) < 0 ||
            (r = connect_services(w, ret_error)) < 0) {
                worker_free(w);
                return r;
        }
        if (index == 0)
                w->revocations = revocations_new(w);
        const struct http_server_options options = {
                .address = address, .tls = g->tls, .limits = g->limits,
                .max_connections = worker_max_connections(g), .opens_later = true,
                .utc_us = utc_us,
        };
        if ((r = http_server_new(w->loop, &options, &request_ops, w, &w->http, ret_port)) < 0) {
                *ret_error = "--http: can't listen there";
                worker_free(w);
                return r;
        }
        *ret_worker = w;
        return 0;
}

struct worker *worker_free(struct worker *w)
{
        if (!w)
                return NULL;
        http_server_free(w->http);
        sse_free(w->sse);
        revocations_free(w->revocations);
        cache_subscription_free(w->subscription);
        cache_free(w->cache);
        rpc_client_free(w->rpc);
        callers_free(w->callers);
        route_table_free(w->routes);
        loop_timer_free(w->timer);
        buf_done(&w->json);
        buf_done(&w->gzip);
        loop_free(w->loop);
        free(w);
        return NULL;
}
