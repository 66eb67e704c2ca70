/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bus must not let happen: endpoints open to strangers, broken messages, frames that die with their
 * message, callers without a key.
 */
#include "tests/support/bus_scene.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <zmq.h>

/* --- endpoints ------------------------------------------------------------------------------------------ */

static int try_bind(struct scene *s, const char *endpoint)
{
        char bound[128];
        int r = bus_server_new(s->bus, s->loop, endpoint, on_request, s, &s->server, bound);
        if (r == 0)
                s->server = bus_server_free(s->server);
        return r;
}

static void endpoints_open_to_strangers_are_refused(void)
{
        struct scene s;
        scene_init(&s);
        CHECK_INT(try_bind(&s, "tcp://0.0.0.0:*"), -EACCES);
        CHECK_INT(try_bind(&s, "tcp://*:5555"), -EACCES);
        CHECK_INT(try_bind(&s, "tcp://[::]:5555"), -EACCES);
        CHECK_INT(try_bind(&s, "tcp://localhost:5555"), -EACCES);
        CHECK_INT(try_bind(&s, "ipc://@abstract"), -EINVAL);
        CHECK_INT(try_bind(&s, "ipc://*"), -EINVAL);
        CHECK_INT(try_bind(&s, "inproc://x"), -EINVAL);
        CHECK_INT(try_bind(&s, "ipc:///nowhere-there-is/x"), -ENOENT);
        CHECK_INT(bus_link_new(s.bus, s.loop, "echo", "tcp://192.0.2.1:5555", &link_ops, &s, &s.link), -EACCES);
        CHECK_INT(try_bind(&s, s.endpoint), 0);
        CHECK_INT(chmod(s.folder, 0750), 0);
        CHECK_INT(try_bind(&s, s.endpoint), -EACCES);
        CHECK_INT(bus_link_new(s.bus, s.loop, "echo", s.endpoint, &link_ops, &s, &s.link), -EACCES);
        CHECK_INT(chmod(s.folder, 0700), 0);
        char lengthy[200];
        snprintf(lengthy, sizeof(lengthy), "ipc://%s/%0120d", s.folder, 0);
        CHECK_INT(try_bind(&s, lengthy), -ENAMETOOLONG);
        scene_done(&s);
}

static void a_living_servers_endpoint_is_not_taken_and_a_left_file_is(void)
{
        struct scene s;
        scene_start(&s);
        struct bus_server *second;
        char bound[128];
        CHECK_INT(bus_server_new(s.bus, s.loop, s.endpoint, on_request, &s, &second, bound), -EADDRINUSE);
        round_trip(&s);
        s.server = bus_server_free(s.server);
        CHECK(access(s.endpoint + strlen("ipc://"), F_OK) < 0);

        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, s.endpoint + strlen("ipc://"));
        CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd); /* the file stays */
        scene_serve(&s);
        WAIT(&s, s.ups == 2);
        scene_done(&s);
}

/* --- broken messages ------------------------------------------------------------------------------------ */

static void send_raw(void *socket, int frames, size_t size)
{
        static const char zeros[1024 * 1024];
        for (int i = 0; i < frames; i++)
                CHECK(zmq_send(socket, zeros, size, i + 1 < frames ? ZMQ_SNDMORE : 0) >= 0);
}

static void broken_messages_are_dropped_and_counted(void)
{
        struct scene s;
        scene_start(&s);
        void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_DEALER);
        int linger = 1000;
        zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof(linger));
        CHECK_INT(zmq_connect(raw, s.endpoint), 0);
        send_raw(raw, 1, 3);           /* no pair */
        send_raw(raw, 3, 3);           /* one and a half */
        send_raw(raw, 130, 1);         /* 65 pairs */
        send_raw(raw, 6, 1000 * 1000); /* beyond 4 MiB */
        send_raw(raw, 128, 1);         /* 64 pairs are fine */
        send_raw(raw, 4, 1024 * 1024); /* and so are 4 MiB */
        WAIT(&s, s.requests == 66 && bus_malformed_total(s.bus) == 4);
        round_trip(&s);
        zmq_close(raw);

        /* A routing id that libzmq did not make is none of ours. */
        raw = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_setsockopt(raw, ZMQ_ROUTING_ID, "sixteen letters!", 16);
        CHECK_INT(zmq_connect(raw, s.endpoint), 0);
        send_raw(raw, 2, 3);
        zmq_close(raw);
        zmq_ctx_term(context);
        s.replies = 0;
        while (bus_malformed_total(s.bus) < 5 && !s.late) { /* its arrival tells nobody */
                CHECK_INT(say(&s, "e", "p"), 0);
                int before = s.replies;
                WAIT(&s, s.replies > before);
        }
        CHECK_INT(bus_malformed_total(s.bus), 5);
        scene_done(&s);
}

static void a_link_recovers_from_a_frame_beyond_the_limit(void)
{
        struct scene s;
        scene_init(&s);
        void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_ROUTER);
        CHECK_INT(zmq_bind(raw, s.endpoint), 0);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        CHECK_INT(say(&s, "e", "p"), 0);
        loop_timer_set(s.deadline, 0);
        loop_run(s.loop);
        char id[16];
        int n = zmq_recv(raw, id, sizeof(id), 0);
        CHECK(n > 0);
        char *big = calloc(1, 4 * 1024 * 1024 + 1);
        CHECK(zmq_send(raw, id, (size_t)n, ZMQ_SNDMORE) > 0);
        CHECK(zmq_send(raw, "e", 1, ZMQ_SNDMORE) > 0);
        CHECK(zmq_send(raw, big, 4 * 1024 * 1024 + 1, 0) > 0);
        WAIT(&s, s.downs == 1);
        WAIT(&s, s.ups == 2);
        CHECK_INT(s.replies, 0);
        free(big);
        int linger = 0;
        zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_close(raw);
        zmq_ctx_term(context);
        scene_done(&s);
}

/* --- frames across threads ------------------------------------------------------------------------------ */

static void *check_and_close(void *arg)
{
        struct bus_frame *frame = arg;
        struct str bytes = bus_frame_bytes(frame);
        long sum = 0;
        for (size_t i = 0; i < bytes.n; i++)
                sum += bytes.p[i];
        bus_frame_close(frame);
        bus_frame_close(frame); /* empty now */
        return (void *)sum;
}

static void a_kept_payload_outlives_its_message_on_another_thread(void)
{
        static const size_t sizes[] = {0, 1, 20, 33, 34, 1000, 100000};
        struct scene s;
        scene_start(&s);
        char *ones = malloc(100000);
        memset(ones, 1, 100000);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                s.requests = 0;
                s.kept = (struct bus_frame){0};
                CHECK_INT(bus_link_send(s.link, STR("keep"), str_bytes(ones, sizes[i])), 0);
                CHECK_INT(bus_link_send(s.link, STR("e"), STR("another in the same message")), 0);
                WAIT(&s, s.requests == 2);
                struct bus_frame moved = s.kept;
                pthread_t thread;
                void *sum;
                pthread_create(&thread, NULL, check_and_close, &moved);
                pthread_join(thread, &sum);
                CHECK_INT((long)sum, sizes[i]);
        }
        free(ones);
        scene_done(&s);
}

/* --- CURVE ---------------------------------------------------------------------------------------------- */

static void write_key(const char *folder, const char *name, const char *key, int mode)
{
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
        CHECK(fd >= 0);
        CHECK(dprintf(fd, "%s\n", key) == 41);
        close(fd);
}

/* A role `name` below the scene's folder: its key, and the folders of those that it knows. */
static void make_role(const struct scene *s, const char *name, char path[64], char public[41])
{
        char secret[41], below[80];
        snprintf(path, 64, "%s/%s", s->folder, name);
        CHECK_INT(mkdir(path, 0700), 0);
        CHECK_INT(zmq_curve_keypair(public, secret), 0);
        write_key(path, "self.key", secret, 0600);
        snprintf(below, sizeof(below), "%s/callers", path);
        CHECK_INT(mkdir(below, 0700), 0);
        snprintf(below, sizeof(below), "%s/services", path);
        CHECK_INT(mkdir(below, 0700), 0);
}

/* A service and its caller, each with a bus and a role of its own. */
struct guarded {
        struct scene s;
        struct bus *caller;
        char service_folder[64], caller_folder[64], service_key[41], caller_key[41];
        int refusals, refusal;
        atomic_int notices, next_notice;
        char notice[16][256]; /* threads write them, each its own */
};

static void on_notice(void *arg, const char *what, const char *detail)
{
        struct guarded *g = arg;
        int i = atomic_fetch_add(&g->next_notice, 1) % 16;
        snprintf(g->notice[i], sizeof(g->notice[i]), "%s: %s", what, detail);
        atomic_fetch_add(&g->notices, 1);
}

static bool was_noticed(struct guarded *g, const char *text)
{
        for (int i = 0; i < atomic_load(&g->notices); i++)
                if (strstr(g->notice[i], text))
                        return true;
        return false;
}

static void on_refused(void *arg, int error)
{
        struct guarded *g = arg; /* a scene, at its beginning */
        g->refusals++;
        g->refusal = error;
        loop_stop(g->s.loop);
}

static const struct bus_link_ops guarded_link_ops = {on_up, on_down, on_pair, on_refused};

static void guarded_init(struct guarded *g)
{
        const char *error = "";
        memset(g, 0, sizeof(*g));
        scene_init(&g->s);
        bus_free(g->s.bus);
        make_role(&g->s, "echo", g->service_folder, g->service_key);
        make_role(&g->s, "gateway", g->caller_folder, g->caller_key);
        write_key(g->caller_folder, "services/echo.pub", g->service_key, 0644);
        write_key(g->service_folder, "callers/gateway.pub", g->caller_key, 0644);
        const struct bus_options service = {.curve_folder = g->service_folder, .on_notice = on_notice, .notice_arg = g};
        CHECK_INT(bus_new(&service, &g->s.bus, &error), 0);
        strcpy(g->s.endpoint, "tcp://127.0.0.1:*");
        scene_serve(&g->s);
}

static void guarded_call(struct guarded *g)
{
        const char *error = "";
        CHECK_INT(bus_new(&(struct bus_options){.curve_folder = g->caller_folder}, &g->caller, &error), 0);
        CHECK_INT(bus_link_new(g->caller, g->s.loop, "echo", g->s.endpoint, &guarded_link_ops, g, &g->s.link), 0);
}

static void guarded_done(struct guarded *g)
{
        g->s.link = bus_link_free(g->s.link);
        bus_free(g->caller);
        scene_done(&g->s);
}

/* While the loop runs for some time, so that what happens on other threads is seen. */
#define WAIT_QUIETLY(g, condition)                                                                           \
        do {                                                                                                 \
                int64_t until_ = clock_monotonic_us() + 10 * CLOCK_SECOND_US;                                \
                while (!(condition) && clock_monotonic_us() < until_) {                                      \
                        loop_timer_set((g)->s.deadline, 20000);                                              \
                        loop_run((g)->s.loop);                                                               \
                }                                                                                            \
                CHECK(condition);                                                                            \
        } while (0)

static void curve_lets_known_keys_in(void)
{
        struct guarded g;
        guarded_init(&g);
        CHECK_INT(try_bind(&(struct scene){.bus = g.s.bus, .loop = g.s.loop}, "tcp://0.0.0.0:*"), 0);
        guarded_call(&g);
        WAIT(&g.s, g.s.ups == 1);
        round_trip(&g.s);
        CHECK_TEXT(g.s.peer.role, "gateway");
        CHECK_INT(atomic_load(&g.notices), 0);
        struct bus_link *other;
        CHECK_INT(bus_link_new(g.caller, g.s.loop, "other", g.s.endpoint, &link_ops, &g.s, &other), -ENOKEY);
        guarded_done(&g);
}

static void curve_keeps_an_unknown_key_out_and_says_so_once(void)
{
        struct guarded g;
        char other[41], secret[41];
        guarded_init(&g);
        CHECK_INT(zmq_curve_keypair(other, secret), 0);
        write_key(g.caller_folder, "self.key", secret, 0600);
        guarded_call(&g);
        WAIT(&g.s, g.refusals == 3);
        CHECK_INT(g.refusal, -EACCES);
        CHECK_INT(g.s.ups + g.s.requests, 0);
        CHECK_INT(atomic_load(&g.notices), 1);
        CHECK(was_noticed(&g, other));
        guarded_done(&g);
}

static void curve_keeps_plain_callers_out(void)
{
        struct guarded g;
        guarded_init(&g);
        void *context = zmq_ctx_new(), *plain = zmq_socket(context, ZMQ_DEALER);
        int linger = 0;
        zmq_setsockopt(plain, ZMQ_LINGER, &linger, sizeof(linger));
        CHECK_INT(zmq_connect(plain, g.s.endpoint), 0);
        CHECK(zmq_send(plain, "e", 1, ZMQ_SNDMORE) > 0 && zmq_send(plain, "p", 1, 0) > 0);
        WAIT_QUIETLY(&g, atomic_load(&g.notices) == 1);
        CHECK(was_noticed(&g, "CURVE"));
        CHECK_INT(g.s.requests, 0);
        zmq_close(plain);
        zmq_ctx_term(context);
        guarded_done(&g);
}

static void curve_tells_nothing_to_who_has_not_the_services_key(void)
{
        struct guarded g;
        char other[41], secret[41];
        guarded_init(&g);
        CHECK_INT(zmq_curve_keypair(other, secret), 0);
        write_key(g.caller_folder, "services/echo.pub", other, 0644);
        guarded_call(&g);
        WAIT(&g.s, g.refusals == 1);
        CHECK_INT(g.refusal, -EKEYREJECTED);
        CHECK_INT(g.s.ups + g.s.requests, 0);
        /* Of two keys, each has its turn: so one can take another's place. */
        char both[100];
        snprintf(both, sizeof(both), "%s/services/echo.pub", g.caller_folder);
        int fd = open(both, O_WRONLY | O_APPEND);
        CHECK(dprintf(fd, "%s\n", g.service_key) == 41);
        close(fd);
        WAIT(&g.s, g.s.ups == 1);
        round_trip(&g.s);
        guarded_done(&g);
}

static void a_key_that_is_taken_out_counts_for_standing_connections_too(void)
{
        struct guarded g;
        char path[100];
        guarded_init(&g);
        guarded_call(&g);
        WAIT(&g.s, g.s.ups == 1);
        round_trip(&g.s);
        snprintf(path, sizeof(path), "%s/callers/gateway.pub", g.service_folder);
        CHECK_INT(unlink(path), 0);
        WAIT_QUIETLY(&g, atomic_load(&g.notices) == 1); /* read again */
        int requests = g.s.requests;
        CHECK_INT(say(&g.s, "e", "p"), 0);
        WAIT_QUIETLY(&g, atomic_load(&g.notices) == 2);
        CHECK(was_noticed(&g, g.caller_key));
        CHECK_INT(g.s.requests, requests);
        /* And again, when it is back. */
        write_key(g.service_folder, "callers/gateway.pub", g.caller_key, 0644);
        WAIT_QUIETLY(&g, atomic_load(&g.notices) == 3);
        CHECK_INT(say(&g.s, "e", "p"), 0);
        WAIT(&g.s, g.s.requests == requests + 1);
        guarded_done(&g);
}

/* Says something as who has this secret, under a routing id of its own choice. */
static void say_raw(struct guarded *g, const char *secret, const char *id)
{
        char public[41];
        int linger = 0, requests = g->s.requests;
        void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_DEALER);
        CHECK_INT(zmq_curve_public(public, secret), 0);
        zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_setsockopt(raw, ZMQ_ROUTING_ID, id, strlen(id));
        zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, g->service_key, 41);
        zmq_setsockopt(raw, ZMQ_CURVE_PUBLICKEY, public, 41);
        zmq_setsockopt(raw, ZMQ_CURVE_SECRETKEY, secret, 41);
        CHECK_INT(zmq_connect(raw, g->s.endpoint), 0);
        CHECK(zmq_send(raw, "e", 1, ZMQ_SNDMORE) > 0 && zmq_send(raw, "p", 1, 0) > 0);
        int64_t until = clock_monotonic_us() + CLOCK_SECOND_US; /* an id that is still in use is not let in */
        while (g->s.requests == requests && clock_monotonic_us() < until) {
                loop_timer_set(g->s.deadline, 20000);
                loop_run(g->s.loop);
        }
        zmq_close(raw);
        zmq_ctx_term(context);
}

static void a_role_is_not_taken_over_with_a_routing_id(void)
{
        struct guarded g;
        char operator[41], operator_secret[41], gateway[41], gateway_secret[41];
        guarded_init(&g);
        CHECK_INT(zmq_curve_keypair(operator, operator_secret), 0);
        write_key(g.service_folder, "callers/operator.pub", operator, 0644);
        CHECK_INT(zmq_curve_keypair(gateway, gateway_secret), 0);
        write_key(g.service_folder, "callers/gateway.pub", gateway, 0644);
        WAIT_QUIETLY(&g, was_noticed(&g, "read again"));
        say_raw(&g, operator_secret, "chosen");
        CHECK_TEXT(g.s.peer.role, "operator");
        int before = g.s.requests;
        for (int i = 0; i < 10 && g.s.requests == before; i++)
                say_raw(&g, gateway_secret, "chosen");
        CHECK_INT(g.s.requests, before + 1);
        CHECK_INT(g.s.peer.n, strlen("chosen"));
        CHECK_TEXT(g.s.peer.role, "gateway");
        guarded_done(&g);
}

static void bad_keys_are_refused_with_a_line(void)
{
        struct scene s;
        struct bus *bus;
        const char *error = NULL;
        scene_init(&s);
        struct bus_options options = {.curve_folder = "/nowhere-there-is"};
        char role[64], key[41], path[80];
        CHECK_INT(bus_new(&options, &bus, &error), -ENOENT);
        CHECK(error);
        make_role(&s, "echo", role, key);
        options.curve_folder = role;
        write_key(role, "callers/other.pub", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", 0644);
        CHECK_INT(bus_new(&options, &bus, &error), -EINVAL);
        CHECK(strstr(error, "callers"));
        write_key(role, "callers/other.pub", key, 0644);
        write_key(role, "callers/another.pub", key, 0644);
        CHECK_INT(bus_new(&options, &bus, &error), -EINVAL);
        CHECK(strstr(error, "two names"));
        snprintf(path, sizeof(path), "%s/self.key", role);
        CHECK_INT(chmod(path, 0640), 0);
        CHECK_INT(bus_new(&options, &bus, &error), -EINVAL);
        CHECK(strstr(error, "self.key"));
        scene_done(&s);
}

int main(void)
{
        static const struct check_case cases[] = {
            {"endpoints open to strangers are refused", endpoints_open_to_strangers_are_refused},
            {"a living server's endpoint is not taken, a left file is",
             a_living_servers_endpoint_is_not_taken_and_a_left_file_is},
            {"broken messages are dropped and counted", broken_messages_are_dropped_and_counted},
            {"a link recovers from a frame beyond the limit", a_link_recovers_from_a_frame_beyond_the_limit},
            {"a kept payload outlives its message on another thread",
             a_kept_payload_outlives_its_message_on_another_thread},
            {"CURVE lets known keys in", curve_lets_known_keys_in},
            {"CURVE keeps an unknown key out and says so once", curve_keeps_an_unknown_key_out_and_says_so_once},
            {"CURVE keeps plain callers out", curve_keeps_plain_callers_out},
            {"CURVE tells nothing to who has not the service's key", curve_tells_nothing_to_who_has_not_the_services_key},
            {"a key that is taken out counts for standing connections too",
             a_key_that_is_taken_out_counts_for_standing_connections_too},
            {"a role is not taken over with a routing id", a_role_is_not_taken_over_with_a_routing_id},
            {"bad keys are refused with a line", bad_keys_are_refused_with_a_line},
        };
        return CHECK_MAIN(cases);
}
