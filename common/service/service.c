/* SPDX-License-Identifier: Apache-2.0
 *
 * A service process from its options to its end. Who writes is settled in takeover.c.
 */
#include "common/service/service.h"
#include "common/base/log.h"
#include "common/rpc/client.h"
#include "common/rpc/envelope.h"
#include "common/rpc/schema.h"
#include "common/service/notes.h"
#include "common/service/outside.h"
#include "common/service/takeover.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_GRACE_US   (200 * 1000ll)              /* callers have heard of it by then */
#define DRAIN_LONGEST_US (20 * CLOCK_SECOND_US)
#define FAREWELL_US      (20 * 1000ll)               /* the registry's last commands leave */
#define WRITER_STUCK_US  (5 * CLOCK_SECOND_US)
#define AWAY_SAID_US     CLOCK_SECOND_US
#define THREAD_STUCK_US  (60 * CLOCK_SECOND_US)      /* shared store: several waits for a slow database in a row are no bug */

enum service_state {
        SERVICE_STARTING, /* no schema yet: nothing is served */
        SERVICE_READY,    /* serves; writes if the takeover said so */
        SERVICE_MOVED,    /* its store's data is elsewhere: serves nothing, and says so until it is ended */
        SERVICE_DRAINING, /* told its callers; finishes what it has */
        SERVICE_ENDING,   /* the loop is about to stop */
};

struct service {
        const struct service_spec *spec;
        enum service_state state;
        char instance[64];
        char endpoint[128]; /* where others find it */
        char admin_address[64];
        struct loop *loop;
        struct metric_registry *metrics;
        struct clock clock;
        struct store *store;
        struct keyring *keyring;
        struct cache *cache;
        struct cache_auth redis_auth;
        struct bus *bus;
        struct bus_server *bus_server, *edge_server;
        struct rpc_server *server;
        struct rpc_client *client;
        struct rpc_announcer *announcer;
        struct takeover *takeover;
        struct loop_admin *admin;
        struct loop_signal *signals[2];
        struct loop_timer *drain_timer, *watchdog_timer, *end_timer;
        struct notes *notes;
        int64_t watchdog_every_us;
        struct arena *arena; /* of the pair in hand */
        struct buf hello;
        char epoch[RPC_EPOCH_SIZE]; /* of the store, once this instance writes to it */
        void *user;
        char moved[400]; /* where to, of a store that is out of use */
        /* options */
        const char *store_url, *redis, *redis_auth_file, *bus_address, *advertise, *curve, *keys, *admin_option,
                *clock_file, *log_level, *instance_option;
        bool admin_open;
        struct config_list peers;
        int64_t read_threads, slow_threads, write_threads, write_batch;
};

/* --- the bus ------------------------------------------------------------------------------------------------------ */

static void pack_hello(struct service *s)
{
        enum { MOST = 1024 };
        _cleanup_(arena_freep) struct arena *arena = arena_new(16384);
        Nuanxin__Internal__V1__Accepts *accepts = ARENA_ARRAY(arena, Nuanxin__Internal__V1__Accepts, MOST);
        Nuanxin__Internal__V1__Accepts **pointers = ARENA_ARRAY(arena, Nuanxin__Internal__V1__Accepts *, MOST);
        Nuanxin__Internal__V1__Hello hello = NUANXIN__INTERNAL__V1__HELLO__INIT;
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;

        hello.service = (char *)s->spec->rpc->name;
        hello.instance = s->instance;
        hello.build = (char *)contract_build;
        hello.epoch = s->epoch;
        hello.may_write = rpc_server_is_writer(s->server);
        hello.draining = s->state > SERVICE_READY;
        hello.n_accepts = rpc_server_accepts(s->server, accepts, MOST);
        for (size_t i = 0; i < hello.n_accepts; i++)
                pointers[i] = &accepts[i];
        hello.accepts = pointers;
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO;
        envelope.hello = &hello;
        s->hello.n = 0;
        envelope_pack(&s->hello, &envelope);
}

/* Who this instance is has changed: its callers and the registry hear it. */
static void announce(struct service *s)
{
        pack_hello(s);
        bus_server_broadcast(s->bus_server, buf_str(&s->hello), (struct str){0});
        if (s->edge_server)
                bus_server_broadcast(s->edge_server, buf_str(&s->hello), (struct str){0});
        if (s->announcer)
                rpc_announcer_set(s->announcer, rpc_server_is_writer(s->server), s->state > SERVICE_READY);
}

static int send_to(struct service *s, const struct bus_peer *to, struct str envelope, struct str payload)
{
        return bus_server_send(to->server ? s->edge_server : s->bus_server, to, envelope, payload);
}

static void on_pair(void *arg, const struct bus_peer *from, struct str bytes, struct bus_frame *payload)
{
        struct service *s = arg;
        Envelope *envelope;

        arena_reset(s->arena);
        if (envelope_unpack(s->arena, bytes, &envelope) < 0) {
                log_warn("unreadable envelope", "bytes=%zu", bytes.n);
                return;
        }
        if (envelope->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REQUEST)
                rpc_server_submit(s->server, from, envelope, &s->arena, payload);
        else if (envelope->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO &&
                 s->state != SERVICE_STARTING && /* it will be told when there is something to ask */
                 send_to(s, from, buf_str(&s->hello), (struct str){0}) < 0)
                log_warn("greeting not sent", "to=%s", envelope->hello->service);
}

/* Whoever can open that socket is the edge, whatever it says. */
static void on_edge_pair(void *arg, const struct bus_peer *from, struct str bytes, struct bus_frame *payload)
{
        struct bus_peer edge = *from;
        snprintf(edge.role, sizeof(edge.role), "edge");
        edge.server = 1;
        on_pair(arg, &edge, bytes, payload);
}

static void send_reply(void *arg, const struct bus_peer *to, struct str envelope, struct str payload)
{
        struct service *s = arg;
        int r = send_to(s, to, envelope, payload);
        if (r < 0)
                log_info("the caller of an answer is gone", "error=\"%s\"", strerror(-r));
}

/* --- ready, standby, writer -------------------------------------------------------------------------------------------- */

static void on_schema(void *arg)
{
        struct service *s = arg;
        if (s->state != SERVICE_STARTING)
                return;
        s->state = SERVICE_READY;
        rpc_server_open_readers(s->server);
        announce(s);
        service_notify("READY=1");
        log_info("ready", "endpoint=%s admin=%s", s->endpoint, s->admin_address);
}

static void on_writer(void *arg, struct store_writer *writer, const char *epoch)
{
        struct service *s = arg;
        snprintf(s->epoch, sizeof(s->epoch), "%s", epoch);
        if (s->state > SERVICE_READY) { /* the next in line shall not wait for our end */
                store_writer_release(writer);
                return;
        }
        rpc_server_become_writer(s->server, writer, s->client);
        if (store_is_shared(s->store))
                log_info("this instance writes, beside the others", NULL);
        else
                log_info("this instance writes now", "epoch=%lld", (long long)store_writer_epoch(writer));
        on_schema(s);
        announce(s);
}

static void drained_for_good(void *arg)
{
        (void)arg; /* until the signal to end */
}

static void on_moved(void *arg, const char *where)
{
        struct service *s = arg;
        if (s->state > SERVICE_READY)
                return;
        log_error("this store is out of use: nothing is served from it", "store=\"%s\" why=\"%s\"", s->store_url, where);
        s->state = SERVICE_MOVED;
        snprintf(s->moved, sizeof(s->moved), "%s", where);
        announce(s);
        rpc_server_drain(s->server, drained_for_good, s);
}

/* What a store that was moved says to whoever opens it. */
static const char *where_to(struct service *s)
{
        _cleanup_(store_conn_closep) struct store_conn *conn = NULL;
        int r = store_reader_open(s->store, &conn);
        return r != 0 && store_reader_error()[0] ? store_reader_error() : "it was moved";
}

static void on_changed(void *arg, bool gone)
{
        struct service *s = arg;
        if (gone)
                on_moved(arg, where_to(s));
        else if (s->state == SERVICE_READY)
                announce(s);
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void end_loop(void *arg)
{
        struct service *s = arg;
        loop_stop(s->loop);
}

static void say_goodbye(void *arg)
{
        struct service *s = arg;
        if (s->state == SERVICE_ENDING)
                return;
        s->state = SERVICE_ENDING;
        s->announcer = rpc_announcer_free(s->announcer);
        loop_timer_set(s->end_timer, FAREWELL_US);
}

static void drain_timeout(void *arg)
{
        log_error("drain took too long: ending with requests unanswered", "after_s=%lld",
                  (long long)(DRAIN_LONGEST_US / CLOCK_SECOND_US));
        say_goodbye(arg);
}

static void drain_now(void *arg)
{
        struct service *s = arg;
        s->drain_timer = loop_timer_free(s->drain_timer);
        s->drain_timer = loop_timer_new(s->loop, drain_timeout, s);
        loop_timer_set(s->drain_timer, DRAIN_LONGEST_US);
        rpc_server_drain(s->server, say_goodbye, s);
}

static void on_terminate(void *arg)
{
        struct service *s = arg;
        if (s->state >= SERVICE_DRAINING)
                return;
        service_notify("STOPPING=1");
        log_info("draining", NULL);
        s->state = SERVICE_DRAINING;
        announce(s);
        s->drain_timer = loop_timer_new(s->loop, drain_now, s);
        loop_timer_set(s->drain_timer, DRAIN_GRACE_US);
}

/* --- what the manager and the operator look at ----------------------------------------------------------------------------- */

/* For how long the lane that writes has stood still by itself: a database that is away is no reason to be ended. */
static int64_t stuck_us(struct service *s)
{
        int pid;
        int64_t still_us = 0;
        if (store_is_shared(s->store)) {
                still_us = rpc_server_still_us(s->server);
                return still_us < THREAD_STUCK_US ? 0 : still_us;
        }
        if (rpc_server_is_writer(s->server) && store_writer_observe(s->store, &pid, &still_us) < 0)
                still_us = 0;
        return still_us < WRITER_STUCK_US ? 0 : still_us;
}

static void on_watchdog(void *arg)
{
        struct service *s = arg;
        int64_t still_us = stuck_us(s);
        if (!still_us)
                service_notify("WATCHDOG=1");
        else
                log_error("the write lane stands still", "for_ms=%lld", (long long)(still_us / 1000));
        loop_timer_set(s->watchdog_timer, s->watchdog_every_us);
}

static int serve_metrics(void *arg, struct buf *body)
{
        struct service *s = arg;
        metric_write(s->metrics, body);
        buf_printf(body,
                   "# HELP nuanxin_bus_malformed_total Messages dropped because their framing was wrong.\n"
                   "# TYPE nuanxin_bus_malformed_total counter\nnuanxin_bus_malformed_total %lld\n"
                   "# HELP nuanxin_bus_dropped_total Answers whose caller had gone or did not read.\n"
                   "# TYPE nuanxin_bus_dropped_total counter\nnuanxin_bus_dropped_total %lld\n",
                   (long long)bus_malformed_total(s->bus), (long long)bus_dropped_total(s->bus));
        return 200;
}

static int serve_livez(void *arg, struct buf *body)
{
        (void)arg;
        buf_add_z(body, "ok\n");
        return 200;
}

static int serve_readyz(void *arg, struct buf *body)
{
        struct service *s = arg;
        static const char *const words[] = {"starting: waiting for the store's schema\n", "ok\n",
                                            "this store is out of use",
                                            "draining\n", "ending\n"};
        bool shared = store_is_shared(s->store);
        int64_t away_us = rpc_server_away_us(s->server);
        if (s->state == SERVICE_STARTING && takeover_filling(s->takeover)) {
                buf_add_z(body, "starting: the database is being filled\n");
        } else if (s->state == SERVICE_STARTING && shared) {
                buf_add_z(body, "starting: waiting for the database\n");
        } else if (s->state == SERVICE_READY && away_us > AWAY_SAID_US) {
                buf_printf(body, "the database has not been reached for %lld s\n", (long long)(away_us / CLOCK_SECOND_US));
                return 503;
        } else {
                buf_add_z(body, words[s->state]);
                if (s->state == SERVICE_MOVED)
                        buf_printf(body, ": %s\n", s->moved);
        }
        return s->state == SERVICE_READY ? 200 : 503;
}

static const struct loop_admin_page pages[] = {
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", serve_metrics},
        {"/livez", "text/plain; charset=utf-8", serve_livez},
        {"/readyz", "text/plain; charset=utf-8", serve_readyz},
        {0},
};

/* --- start ------------------------------------------------------------------------------------------------------------------ */

/* A line on standard error that says what to do; -EINVAL. */
static int fail(const char *what, const char *value, int r, const char *detail)
{
        log_error(what, "value=\"%s\" error=\"%s\"", value ? value : "", detail ? detail : strerror(-r));
        return r < 0 ? r : -EINVAL;
}

static int open_for_edge(struct service *s)
{
        const char *folder = s->spec->edge_bus ? *s->spec->edge_bus : NULL;
        char endpoint[256], bound[128];
        if (!folder)
                return 0;
        snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.sock", folder, s->instance);
        int r = bus_server_new(s->bus, s->loop, endpoint, on_edge_pair, s, &s->edge_server, bound);
        return r < 0 ? fail("can't bind the edge's socket; give --edge-bus a folder of mode 0700", endpoint, r, outside_refusal(endpoint, r)) : 0;
}

static int open_outside(struct service *s)
{
        const char *error = NULL;
        int r, port;

        if (s->redis_auth_file && (r = cache_auth_read(s->redis_auth_file, &s->redis_auth, &error)) < 0)
                return fail("--redis-auth can't be used", s->redis_auth_file, r, error);
        if ((r = cache_new(s->loop, &(struct cache_options){.address = s->redis, .auth = &s->redis_auth}, &s->cache)) < 0)
                return fail("Redis's address can't be used; give --redis", s->redis, r, NULL);
        if ((r = outside_bus(s->curve, s->spec->rpc->name, &s->bus, &error)) < 0)
                return fail("the bus can't start", s->bus_address, r, error);
        char endpoint[256], bound[128];
        if (strstr(s->bus_address, "://"))
                snprintf(endpoint, sizeof(endpoint), "%s", s->bus_address);
        else
                snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.sock", s->bus_address, s->instance);
        if ((r = bus_server_new(s->bus, s->loop, endpoint, on_pair, s, &s->bus_server, bound)) < 0)
                return fail("can't bind the bus socket; give --bus a folder of mode 0700 or a free endpoint", endpoint, r,
                            outside_refusal(endpoint, r));
        if ((r = open_for_edge(s)) < 0)
                return r;
        if ((r = outside_endpoint(bound, s->advertise, s->endpoint, &error)) < 0)
                return fail("nobody could find this instance", bound, r, error);
        const char *peers[CONFIG_LIST_MAX + 1] = {0};
        memcpy(peers, s->peers.items, s->peers.n * sizeof(*peers));
        if ((r = rpc_client_new(&(struct rpc_client_options){.loop = s->loop, .bus = s->bus, .cache = s->cache, .peers = peers,
                                                             .self_service = s->spec->rpc->name,
                                                             .self_instance = s->instance, .metrics = s->metrics},
                                &s->client)) < 0)
                return fail("a peer can't be used; give --peer SERVICE=ENDPOINT", NULL, r, outside_refusal("tcp://", r));
        if ((r = loop_admin_new(s->loop, s->admin_option, s->admin_open, pages, s, &s->admin, &port)) < 0)
                return fail("can't open the admin port; give --admin a free loopback address", s->admin_option, r, NULL);
        int host = (int)(strrchr(s->admin_option, ':') - s->admin_option);
        snprintf(s->admin_address, sizeof(s->admin_address), "%.*s:%d", host, s->admin_option, port);
        return rpc_announcer_new(&(struct rpc_announcer_options){.loop = s->loop, .cache = s->cache,
                                                                 .service = s->spec->rpc->name, .instance = s->instance,
                                                                 .endpoint = s->endpoint, .admin_address = s->admin_address},
                                 &s->announcer);
}

static int open_inside(struct service *s)
{
        const char *error = NULL;
        int r;

        if ((r = clock_init(&s->clock, s->clock_file)) < 0)
                return fail("can't read --clock-file", s->clock_file, r, NULL);
        if ((r = crypto_init()) < 0)
                return fail("libsodium can't start", NULL, r, NULL);
        if ((r = keyring_load(s->keys, &s->keyring, &error)) != 0)
                return fail(r == -ENOENT ? "no keyring is there; put its backup back, or make a first one: nuanxin keys create --keys FOLDER" :
                                           "the keyring can't be used; put its backup back",
                            s->keys, r, error);
        if ((r = store_open(s->store_url, &(struct store_options){.vfs = getenv("NUANXIN_TEST_VFS")}, &s->store, &error)) != 0)
                return fail("can't open the store; give --store", s->store_url, r, error);
        if (s->spec->start && (r = s->spec->start(&s->user, &error)) < 0)
                return fail("can't start", s->spec->rpc->name, r, error);
        return 0;
}

static int start_server(struct service *s)
{
        const struct rpc_server_options options = {
                .service = s->spec->rpc, .instance = s->instance, .loop = s->loop, .store = s->store,
                .keyring = s->keyring, .clock = &s->clock, .metrics = s->metrics, .state = s->user,
                .read_threads = (int)s->read_threads, .slow_threads = (int)s->slow_threads,
                .write_threads = (int)s->write_threads, .write_batch = (int)s->write_batch,
                .lane_queue = 8192, .answers_kept_us = CLOCK_DAY_US,
                .gateway_answers_kept_us = 10 * CLOCK_MINUTE_US, .reply = send_reply, .reply_arg = s,
                .changed = on_changed,
        };
        int r = rpc_server_new(&options, &s->server);
        return r < 0 ? fail("the lanes can't start", NULL, r, NULL) : 0;
}

static void stop(struct service *s)
{
        takeover_free(s->takeover);
        notes_free(s->notes);
        loop_admin_free(s->admin);
        rpc_announcer_free(s->announcer);
        cache_free(s->cache);
        cache_auth_done(&s->redis_auth);
        rpc_client_free(s->client);
        rpc_server_free(s->server);
        bus_server_free(s->edge_server);
        bus_server_free(s->bus_server);
        bus_free(s->bus);
        if (s->spec->stop && s->user)
                s->spec->stop(s->user);
        store_close(s->store);
        keyring_free(s->keyring);
        loop_timer_free(s->drain_timer);
        loop_timer_free(s->watchdog_timer);
        loop_timer_free(s->end_timer);
        for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
                loop_signal_free(s->signals[i]);
        arena_free(s->arena);
        buf_done(&s->hello);
        metric_registry_free(s->metrics);
        loop_free(s->loop);
}

static int run(struct service *s)
{
        const char *watchdog = getenv("WATCHDOG_USEC");
        int r;

        signal(SIGPIPE, SIG_IGN);
        s->loop = loop_new();
        s->metrics = metric_registry_new();
        s->arena = arena_new(16384);
        s->end_timer = loop_timer_new(s->loop, end_loop, s);
        s->signals[0] = loop_signal_new(s->loop, SIGTERM, on_terminate, s);
        s->signals[1] = loop_signal_new(s->loop, SIGINT, on_terminate, s);
        if ((r = open_inside(s)) < 0 || (r = start_server(s)) < 0 || (r = open_outside(s)) < 0)
                return r;
        s->notes = notes_new(s->loop, s->spec->rpc, s->server, s->client, s->user);
        const struct takeover_options takeover = {
                .loop = s->loop, .store = s->store, .instance = s->instance, .migrations = s->spec->rpc->migrations,
                .keyring = s->keyring, .clock = &s->clock,
                .on_writer = on_writer, .on_schema = on_schema, .on_moved = on_moved, .arg = s,
        };
        if ((r = takeover_new(&takeover, &s->takeover)) < 0)
                return r;
        if (watchdog && str_to_i64(str_of(watchdog), 1000, INT64_MAX, &s->watchdog_every_us) == 0) {
                s->watchdog_every_us /= 2;
                s->watchdog_timer = loop_timer_new(s->loop, on_watchdog, s);
                loop_timer_set(s->watchdog_timer, 0);
        }
        loop_run(s->loop);
        log_info("ended", NULL);
        return 0;
}

/* It names the socket's file, the registry's key and log lines. */
static bool is_instance_name(const char *name)
{
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
        return n && n < sizeof(((struct service *)NULL)->instance) && !name[n] && name[0] != '.';
}

int service_main(const struct service_spec *spec, int argc, char **argv)
{
        struct service s = {.spec = spec, .redis = "127.0.0.1:6379", .bus_address = "var/bus", .keys = "var/keys",
                            .admin_option = "127.0.0.1:0", .log_level = "info", .read_threads = 2, .slow_threads = 1,
                            .write_threads = 4, .write_batch = 256};
        char store_default[80], usage[120];
        const struct config_option shared[] = {
                {"instance", "ID", "this instance's name (default: the service's name and -1)", CONFIG_TEXT, &s.instance_option, 0, 0},
                {"store", "URL", "sqlite:PATH or postgresql://USER@HOST/DATABASE (default: sqlite:var/store/SERVICE.db)", CONFIG_TEXT, &s.store_url, 0, 0},
                {"redis", "ADDRESS", "unix:PATH, HOST:PORT or sentinel://HOST:PORT,…/NAME (default: 127.0.0.1:6379)", CONFIG_TEXT, &s.redis, 0, 0},
                {"redis-auth", "PATH", "file of mode 0600 with lines password TEXT, user NAME, sentinel-password TEXT", CONFIG_TEXT, &s.redis_auth_file, 0, 0},
                {"bus", "FOLDER", "where the socket goes, mode 0700, or an endpoint such as tcp://0.0.0.0:7001 (default: var/bus)", CONFIG_TEXT, &s.bus_address, 0, 0},
                {"advertise", "ENDPOINT", "where other hosts find it, such as tcp://10.0.0.2:7001 (default: what --bus is bound to)", CONFIG_TEXT, &s.advertise, 0, 0},
                {"curve", "FOLDER", "CURVE keys for tcp://: FOLDER/SERVICE is this process's (default: none, this host only)", CONFIG_TEXT, &s.curve, 0, 0},
                {"peer", "SERVICE=ENDPOINT", "a service known without the registry; may be repeated", CONFIG_LIST, &s.peers, 0, 0},
                {"keys", "FOLDER", "the keyring (default: var/keys)", CONFIG_TEXT, &s.keys, 0, 0},
                {"admin", "ADDRESS", "loopback port of /metrics, /livez, /readyz (default: 127.0.0.1:0)", CONFIG_TEXT, &s.admin_option, 0, 0},
                {"admin-open", NULL, "--admin may be off loopback: only where a network policy says who reaches it", CONFIG_FLAG, &s.admin_open, 0, 0},
                {"read-threads", "N", "threads of the read lane (default: 2)", CONFIG_INT, &s.read_threads, 1, 64},
                {"slow-threads", "N", "threads of the slow lane: password hashing (default: 1)", CONFIG_INT, &s.slow_threads, 1, 64},
                {"write-threads", "N", "threads of the write lane on PostgreSQL (default: 4)", CONFIG_INT, &s.write_threads, 1, 64},
                {"write-batch", "N", "most requests of one commit (default: 256; PostgreSQL: 32)", CONFIG_INT, &s.write_batch, 1, 4096},
                {"clock-file", "PATH", "for tests: 8 bytes, an int64 of microseconds added to the time", CONFIG_TEXT, &s.clock_file, 0, 0},
                {"log-level", "LEVEL", "debug, info, warning or error (default: info)", CONFIG_TEXT, &s.log_level, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {shared, spec->options};

        snprintf(store_default, sizeof(store_default), "sqlite:var/store/%s.db", spec->rpc->name);
        s.store_url = store_default;
        snprintf(usage, sizeof(usage), "nuanxin-%s [options]", spec->rpc->name);
        int r = config_parse(usage, spec->about, tables, 2, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        enum log_level level;
        if (!log_level_parse(s.log_level, &level)) {
                fprintf(stderr, "--log-level=%s: give debug, info, warning or error\n", s.log_level);
                return 2;
        }
        if (s.instance_option && !is_instance_name(s.instance_option)) {
                fprintf(stderr, "--instance=%s: give 1 to 63 letters, digits, '.', '_' or '-'\n", s.instance_option);
                return 2;
        }
        log_init(spec->rpc->name, level);
        mem_one_heap();
        contract_init();
        if (s.instance_option)
                snprintf(s.instance, sizeof(s.instance), "%s", s.instance_option);
        else
                snprintf(s.instance, sizeof(s.instance), "%s-1", spec->rpc->name);
        r = run(&s);
        stop(&s);
        return r < 0 ? 1 : 0;
}
