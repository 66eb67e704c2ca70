/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's process: one thread here holds signals and the admin port, and starts the workers (worker.c) that
 * serve. It ends when all of them have drained.
 */
#include "services/gateway/process.h"

#include "common/base/log.h"
#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "common/service/outside.h"
#include "common/service/service.h"
#include "services/gateway/pages.h"
#include "services/gateway/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct process {
        struct gateway *gateway;
        struct loop *loop;
        struct loop_admin *admin;
        struct loop_signal *signals[3];
        struct loop_timer *watchdog;
        int64_t watchdog_us;
        struct worker *workers[GATEWAY_THREADS_MAX];
        pthread_t threads[GATEWAY_THREADS_MAX];
        size_t n_workers, n_open, n_ended;
        char address[128]; /* where it is reached */
        int admin_port;
        uint32_t seen; /* services that have been there once */
        int64_t patient_until_us; /* for those that have not; 0: not open yet */
        bool draining;
};

/* --- admin ----------------------------------------------------------------------------------------------------------- */

static int serve_metrics(void *arg, struct buf *body)
{
        struct process *p = arg;
        metric_write(p->gateway->metrics, body);
        return 200;
}

static int serve_livez(void *arg, struct buf *body)
{
        (void)arg;
        buf_add_z(body, "ok\n");
        return 200;
}

#define PATIENCE_US (10 * CLOCK_SECOND_US)

/* Ready once it accepts connections and each service has been seen (but --without's), and as long as one is there: a
 * service that is down takes down its own routes only, not the gateway. So one that has not come for a while is not waited
 * for any longer, or no gateway could be started again meanwhile. */
static int serve_readyz(void *arg, struct buf *body)
{
        struct process *p = arg;
        const char *names[32];
        uint32_t up = UINT32_MAX, all = p->workers[0]->waited_for;
        size_t n = worker_services(names);
        for (size_t i = 0; i < p->n_workers; i++)
                up &= atomic_load(&p->workers[i]->services_up);
        p->seen |= up;
        if (p->draining)
                buf_add_z(body, "draining\n");
        for (size_t i = 0; i < n; i++)
                buf_printf(body, "%s %s\n", names[i], up >> i & 1 ? "up" : "down");
        bool known = (p->seen & all) == all || (p->patient_until_us && loop_now_us(p->loop) >= p->patient_until_us);
        return p->patient_until_us && !p->draining && known && up ? 200 : 503;
}

static const struct loop_admin_page admin_pages[] = {
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", serve_metrics},
        {"/livez", "text/plain; charset=utf-8", serve_livez},
        {"/readyz", "text/plain; charset=utf-8", serve_readyz},
        {NULL, NULL, NULL},
};

/* --- signals ----------------------------------------------------------------------------------------------------------- */

static void worker_open(void *arg) /* on the main loop */
{
        struct process *p = arg;
        if (++p->n_open < p->n_workers)
                return;
        p->patient_until_us = loop_now_us(p->loop) + PATIENCE_US;
        service_notify("READY=1");
        log_info("ready", "http=%s admin_port=%d threads=%zu", p->address, p->admin_port, p->n_workers);
}

static void on_worker_open(void *arg) /* on the worker's thread */
{
        struct process *p = arg;
        loop_post(p->loop, worker_open, p);
}

static void worker_ended(void *arg) /* on the main loop */
{
        struct process *p = arg;
        if (++p->n_ended == p->n_workers)
                loop_stop(p->loop);
}

static void on_worker_ended(void *arg) /* on the worker's thread */
{
        struct process *p = arg;
        loop_post(p->loop, worker_ended, p);
}

static void on_terminate(void *arg)
{
        struct process *p = arg;
        if (p->draining)
                return;
        p->draining = true;
        service_notify("STOPPING=1");
        log_info("draining", NULL);
        for (size_t i = 0; i < p->n_workers; i++)
                worker_drain(p->workers[i]);
}

static void on_hangup(void *arg)
{
        struct process *p = arg;
        const char *error = NULL;
        if (!p->gateway->tls)
                return;
        if (stream_tls_reload(p->gateway->tls, &error) < 0)
                log_error("the certificate was not reloaded", "error=\"%s\"", error ? error : "");
        else
                log_info("the certificate was reloaded", NULL);
}

static void on_watchdog(void *arg)
{
        struct process *p = arg;
        service_notify("WATCHDOG=1");
        loop_timer_set(p->watchdog, p->watchdog_us);
}

/* --- start and end --------------------------------------------------------------------------------------------------- */

static int fail(const char *what, int r, const char *hint)
{
        log_error(what, "error=\"%s\" hint=\"%s\"", strerror(r < 0 ? -r : EINVAL), hint ? hint : "");
        return r < 0 ? r : -EINVAL;
}

static int open_shared(struct gateway *g)
{
        const char *error = NULL;
        int r;
        g->limits = http_default_limits;
        g->limits.header_us = g->header_timeout_ms * 1000;
        g->limits.body_us = g->body_timeout_ms * 1000;
        g->limits.keep_alive_us = g->keep_alive_ms * 1000;
        g->limits.write_us = g->write_timeout_ms * 1000;
        for (size_t i = 0; i < g->proxy_blocks.n; i++)
                if ((r = forwarded_proxies_add(&g->proxies, g->proxy_blocks.items[i])) < 0)
                        return fail("--trusted-proxy is no address block", r, "give 10.0.0.0/8 or 2001:db8::/32");
        if (!g->tls_certificate != !g->tls_key)
                return fail("TLS needs both", -EINVAL, "give --tls-certificate and --tls-key");
        if (g->tls_certificate && (r = stream_tls_new(g->tls_certificate, g->tls_key, &g->tls, &error)) < 0)
                return fail("the certificate can't be used", r, error);
        if ((r = clock_init(&g->clock, g->clock_file)) < 0)
                return fail("--clock-file can't be read", r, g->clock_file);
        if ((r = crypto_init()) < 0)
                return fail("libsodium can't start", r, NULL);
        if (g->redis_auth_file && (r = cache_auth_read(g->redis_auth_file, &g->redis_auth, &error)) < 0)
                return fail("--redis-auth can't be used", r, error);
        if ((r = outside_bus(g->curve, "gateway", &g->bus, &error)) < 0)
                return fail("the bus can't start", r, error);
        g->listen = service_listen_address(g->http);
        if ((r = stream_address_free(g->listen)) < 0)
                return fail("can't listen there", r, "give --http another address, or end what listens on it");
        contract_init();
        g->pages = pages_new();
        return 0;
}

static int open_workers(struct process *p)
{
        struct gateway *g = p->gateway;
        const char *error = NULL;
        int r, port = 0;
        snprintf(p->address, sizeof(p->address), "%s", g->listen);
        for (int i = 0; i < (int)g->threads; i++) {
                if ((r = worker_new(g, i, p->address, &p->workers[i], &port, &error)) < 0)
                        return fail("can't start", r, error);
                p->n_workers++;
                p->workers[i]->on_ended = on_worker_ended;
                p->workers[i]->on_open = on_worker_open;
                p->workers[i]->process = p;
                int host = (int)(strrchr(g->http, ':') - g->http);
                if (g->listen == g->http)
                        snprintf(p->address, sizeof(p->address), "%.*s:%d", host, g->http, port);
        }
        if (g->listen != g->http)
                snprintf(p->address, sizeof(p->address), "%s", g->http);
        if ((r = loop_admin_new(p->loop, g->admin, g->admin_open, admin_pages, p, &p->admin, &p->admin_port)) < 0)
                return fail("the admin port can't be opened", r, "give --admin a free loopback address");
        return 0;
}

static void *thread_main(void *arg)
{
        worker_run(arg);
        return NULL;
}

static int run(struct process *p)
{
        const char *watchdog = getenv("WATCHDOG_USEC");
        int r;

        signal(SIGPIPE, SIG_IGN);
        p->loop = loop_new();
        p->gateway->metrics = metric_registry_new();
        if ((r = open_shared(p->gateway)) < 0 || (r = open_workers(p)) < 0)
                return r;
        p->signals[0] = loop_signal_new(p->loop, SIGTERM, on_terminate, p);
        p->signals[1] = loop_signal_new(p->loop, SIGINT, on_terminate, p);
        p->signals[2] = loop_signal_new(p->loop, SIGHUP, on_hangup, p);
        if (watchdog && str_to_i64(str_of(watchdog), 1000, INT64_MAX, &p->watchdog_us) == 0) {
                p->watchdog_us /= 2;
                p->watchdog = loop_timer_new(p->loop, on_watchdog, p);
                loop_timer_set(p->watchdog, 0);
        }
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are this thread's */
        for (size_t i = 0; i < p->n_workers; i++)
                if (pthread_create(&p->threads[i], NULL, thread_main, p->workers[i]) != 0)
                        abort();
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        loop_run(p->loop);
        for (size_t i = 0; i < p->n_workers; i++)
                pthread_join(p->threads[i], NULL);
        log_info("ended", NULL);
        return 0;
}

static void stop(struct process *p)
{
        for (size_t i = 0; i < p->n_workers; i++)
                worker_free(p->workers[i]);
        loop_admin_free(p->admin);
        for (size_t i = 0; i < ARRAY_LEN(p->signals); i++)
                loop_signal_free(p->signals[i]);
        loop_timer_free(p->watchdog);
        pages_free(p->gateway->pages);
        stream_tls_free(p->gateway->tls);
        cache_auth_done(&p->gateway->redis_auth);
        bus_free(p->gateway->bus);
        metric_registry_free(p->gateway->metrics);
        loop_free(p->loop);
}

int gateway_run(struct gateway *gateway)
{
        struct process p = {.gateway = gateway};
        int r = run(&p);
        stop(&p);
        return r < 0 ? 1 : 0;
}
