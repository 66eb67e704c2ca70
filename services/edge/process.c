/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting, watching and ending the edge. Its memory is limited before anything else is done: what strangers can make it
 * hold is bounded part by part, and should a bound be wrong this process ends, and no other of the machine.
 */
#include "services/edge/process.h"

#include "common/base/log.h"
#include "common/service/outside.h"
#include "common/service/service.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOK_US           CLOCK_SECOND_US
#define DRAIN_LOOK_US     (20 * 1000ll)
#define DRAIN_LONGEST_US  (5 * CLOCK_SECOND_US)
#define KEPT_BYTES        (32 << 20) /* of memory, while there is something to do */
#define LENT_FD           3 /* sd_listen_fds(3) */
#define STRANGERS_SAID_US CLOCK_SECOND_US

struct process {
        struct edge *edge;
        struct loop_admin *admin;
        struct loop_signal *signals[2];
        struct loop_timer *look, *drain, *watchdog;
        int64_t watchdog_us, drain_until_us, stranger_said_us;
        int64_t fetches; /* when we last looked, */
        bool busy;       /* and whether there were new ones then */
        char endpoint[128], public_key[CURVE_KEY_SIZE];
};

/* --- the door ------------------------------------------------------------------------------------------------------------ */

static void on_message(void *arg, uint64_t connection, const char *name, const struct str *parts, size_t n)
{
        struct process *p = arg;
        fetches_message(p->edge, connection, name, parts, n);
}

static void on_gone(void *arg, uint64_t connection)
{
        struct process *p = arg;
        fetches_gone(p->edge, connection);
}

static void on_stranger(void *arg, const char *address, const char *key)
{
        struct process *p = arg;
        int64_t now = clock_monotonic_us();
        metric_add(p->edge->count.strangers, 1);
        if (p->stranger_said_us && now - p->stranger_said_us < STRANGERS_SAID_US)
                return;
        p->stranger_said_us = now;
        log_warn("refused at the door: the key is no agency's", "address=%s key=\"%s\" total=%lld", address, key,
                 (long long)metric_get(p->edge->count.strangers));
}

static void on_cut(void *arg, enum bus_door_cut why, const char *address)
{
        struct process *p = arg;
        metric_add(p->edge->count.cuts[why], 1);
        if (why != BUS_DOOR_CUT_HANDSHAKE && why != BUS_DOOR_CUT_CROWD) /* of these anybody can make as many as he likes */
                log_info("a connection was ended", "address=%s reason=%s", address, bus_door_cut_names[why]);
}

static const struct bus_door_ops door_ops = {on_message, on_gone, on_stranger, on_cut};

/* --- admin --------------------------------------------------------------------------------------------------------------- */

static int serve_metrics(void *arg, struct buf *body)
{
        struct process *p = arg;
        count_look(p->edge);
        metric_write(p->edge->metrics, body);
        return 200;
}

static int serve_livez(void *arg, struct buf *body)
{
        (void)arg;
        buf_add_z(body, "ok\n");
        return 200;
}

/* Ready once it knows who may come in, as long as the stream is there. */
static int serve_readyz(void *arg, struct buf *body)
{
        struct process *p = arg;
        bool stream = rpc_client_has(p->edge->rpc, "stream", false), known = edge_keys_known(p->edge->keys);
        buf_add_z(body, p->edge->draining ? "draining\n" : known ? "" : "waiting for the list of agencies' keys\n");
        buf_printf(body, "stream %s\n", stream ? "up" : "down");
        return stream && known && !p->edge->draining ? 200 : 503;
}

static const struct loop_admin_page pages[] = {
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", serve_metrics},
        {"/livez", "text/plain; charset=utf-8", serve_livez},
        {"/readyz", "text/plain; charset=utf-8", serve_readyz},
        {0},
};

static void on_watchdog(void *arg)
{
        struct process *p = arg;
        service_notify("WATCHDOG=1");
        loop_timer_set(p->watchdog, p->watchdog_us);
}

/* --- the stream's instances ------------------------------------------------------------------------------------------------ */

/* Those on this host, by their sockets. */
static void look_for_streams(struct process *p)
{
        DIR *dir = opendir(p->edge->bus_folder);
        char endpoint[128];
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                struct str name = str_of(entry->d_name);
                if (!str_starts(name, STR("stream-")) || name.n < 5 || strcmp(name.p + name.n - 5, ".sock") != 0)
                        continue;
                if (snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", p->edge->bus_folder, name.p) < (int)sizeof(endpoint) &&
                    rpc_client_add_peer(p->edge->rpc, "stream", endpoint) < 0)
                        log_debug("not used", "endpoint=%s", endpoint);
        }
        if (dir)
                closedir(dir);
}

/* Memory is kept for the next batch until nothing was asked for a second. */
static void on_look(void *arg)
{
        struct process *p = arg;
        int64_t fetches = metric_get(p->edge->count.fetches);
        if (p->edge->bus_folder)
                look_for_streams(p);
        if (p->busy && fetches == p->fetches)
                mem_rest();
        p->busy = fetches != p->fetches;
        p->fetches = fetches;
        loop_timer_set(p->look, LOOK_US);
}

/* --- the end --------------------------------------------------------------------------------------------------------------- */

static void on_drain(void *arg)
{
        struct process *p = arg;
        if (bus_door_figures(p->edge->door).unsent_bytes == 0 || loop_now_us(p->edge->loop) >= p->drain_until_us)
                loop_stop(p->edge->loop);
        else
                loop_timer_set(p->drain, DRAIN_LOOK_US);
}

/* Nobody comes in any more, who waits is told to come again: to another edge, or to this one's successor. */
static void on_terminate(void *arg)
{
        struct process *p = arg;
        if (p->edge->draining)
                return;
        p->edge->draining = true;
        service_notify("STOPPING=1");
        log_info("draining", "fetches=%zu", fetches_in_flight(p->edge));
        bus_door_close(p->edge->door);
        fetches_drain(p->edge);
        p->drain_until_us = loop_now_us(p->edge->loop) + DRAIN_LONGEST_US;
        loop_timer_set(p->drain, DRAIN_LOOK_US);
}

static int fail(const char *what, const char *value, int r, const char *hint)
{
        log_error(what, "value=\"%s\" error=\"%s\"", value ? value : "", hint ? hint : strerror(-r));
        return r < 0 ? r : -EINVAL;
}

/* What may not be limited here was limited by who started us. */
static void limit_resources(const struct edge *e)
{
#ifndef __SANITIZE_ADDRESS__ /* which reserves more than there is */
        struct rlimit memory = {(rlim_t)e->memory_mib << 20, (rlim_t)e->memory_mib << 20};
        if (setrlimit(RLIMIT_DATA, &memory) < 0)
                log_info("the limit of memory is left as it is", "error=\"%s\"", strerror(errno));
#else
        (void)e;
#endif
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
                files.rlim_cur = files.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &files) < 0)
                        log_info("the limit of descriptors is left as it is", "error=\"%s\"", strerror(errno));
        }
}

/* --- start ----------------------------------------------------------------------------------------------------------------- */

static int open_inside(struct edge *e)
{
        const char *peers[CONFIG_LIST_MAX + 1] = {0}, *error = NULL;
        int r = outside_bus(e->curve, "edge", &e->inside, &error);
        if (r < 0)
                return fail("the bus can't start", e->curve, r, error);
        memcpy(peers, e->peers.items, e->peers.n * sizeof(*peers));
        const struct rpc_client_options options = {.loop = e->loop, .bus = e->inside, .peers = peers, .self_service = "edge",
                                                   .self_instance = e->instance, .metrics = e->metrics};
        r = rpc_client_new(&options, &e->rpc);
        return r < 0 ? fail("a peer can't be used; give --peer stream=ENDPOINT", NULL, r, outside_refusal("tcp://", r)) : 0;
}

static int open_door(struct process *p)
{
        struct edge *e = p->edge;
        const char *error = NULL;
        char secret[CURVE_KEY_SIZE];
        bool lent = service_listen_address(e->listen) != e->listen;
        struct bus_door_options options = {.endpoint = e->listen, .listen_fd = lent ? LENT_FD : -1, .secret = secret,
                                           .limits = bus_door_limits};
        options.limits.unsent_max = (size_t)e->memory_mib << 18; /* a quarter */
        int r = secret_open(e->key, secret);
        if (r < 0)
                return fail("the edge's key can't be used; give --key", e->key, r,
                            r == -EINVAL ? "it must be one CURVE secret key: 40 characters of Z85, mode 0600" : NULL);
        if ((r = curve_key_public(secret, p->public_key)) == 0 &&
            (r = bus_new(&(struct bus_options){.io_threads = (int)e->io_threads}, &e->outside, &error)) == 0)
                r = bus_door_new(e->outside, e->loop, &options, &door_ops, p, &e->door, p->endpoint);
        explicit_bzero(secret, sizeof(secret));
        return r < 0 ? fail("can't listen there; give --listen a free endpoint such as tcp://0.0.0.0:9080", e->listen, r, error) : 0;
}

static int run(struct process *p)
{
        struct edge *e = p->edge;
        const char *watchdog = getenv("WATCHDOG_USEC");
        int r, port;

        signal(SIGPIPE, SIG_IGN);
        limit_resources(e);
        mem_one_heap();
        mem_keep(KEPT_BYTES);
        contract_init();
        e->loop = loop_new();
        e->metrics = metric_registry_new();
        e->agencies = agencies_new();
        e->fetches = fetches_new();
        p->drain = loop_timer_new(e->loop, on_drain, p);
        p->signals[0] = loop_signal_new(e->loop, SIGTERM, on_terminate, p);
        p->signals[1] = loop_signal_new(e->loop, SIGINT, on_terminate, p);
        count_init(e);
        if ((r = open_inside(e)) < 0 || (r = open_door(p)) < 0)
                return r;
        if ((r = loop_admin_new(e->loop, e->admin, e->admin_open, pages, p, &p->admin, &port)) < 0)
                return fail("can't open the admin port; give --admin a free loopback address", e->admin, r, NULL);
        e->keys = edge_keys_new(e);
        p->look = loop_timer_new(e->loop, on_look, p);
        loop_timer_set(p->look, 0);
        if (watchdog && str_to_i64(str_of(watchdog), 1000, INT64_MAX, &p->watchdog_us) == 0) {
                p->watchdog_us /= 2;
                p->watchdog = loop_timer_new(e->loop, on_watchdog, p);
                loop_timer_set(p->watchdog, 0);
        }
        service_notify("READY=1");
        int host = (int)(strrchr(e->admin, ':') - e->admin);
        log_info("ready", "endpoint=%s public_key=\"%s\" admin=%.*s:%d", p->endpoint, p->public_key, host, e->admin, port);
        loop_run(e->loop);
        log_info("ended", NULL);
        return 0;
}

static void stop(struct process *p)
{
        struct edge *e = p->edge;
        loop_admin_free(p->admin);
        edge_keys_free(e->keys);
        if (e->fetches)
                e->fetches = fetches_free(e->fetches);
        rpc_client_free(e->rpc);
        bus_door_free(e->door);
        bus_free(e->outside);
        bus_free(e->inside);
        agencies_free(e->agencies);
        for (size_t i = 0; i < ARRAY_LEN(p->signals); i++)
                loop_signal_free(p->signals[i]);
        loop_timer_free(p->look);
        loop_timer_free(p->drain);
        loop_timer_free(p->watchdog);
        free(e->count.refusals);
        metric_registry_free(e->metrics);
        loop_free(e->loop);
}

int edge_run(struct edge *edge)
{
        struct process p = {.edge = edge};
        int r = run(&p);
        stop(&p);
        return r < 0 ? 1 : 0;
}
