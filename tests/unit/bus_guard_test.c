/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bus must not let happen: endpoints open to strangers, broken messages, frames that die with their
 * message, callers without a key.
 */
#include "tests/support/bus_scene.h"

#include <fcntl.h>
#include <pthread.h>
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
        CHECK_INT(bus_link_new(s.bus, s.loop, "tcp://192.0.2.1:5555", &link_ops, &s, &s.link), -EACCES);
        CHECK_INT(try_bind(&s, s.endpoint), 0);
        CHECK_INT(chmod(s.folder, 0750), 0);
        CHECK_INT(try_bind(&s, s.endpoint), -EACCES);
        CHECK_INT(bus_link_new(s.bus, s.loop, s.endpoint, &link_ops, &s, &s.link), -EACCES);
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

static void make_keys(const char *folder, bool allow)
{
        char secret[41], public[41], peers[64];
        snprintf(peers, sizeof(peers), "%s/peers", folder);
        CHECK_INT(mkdir(peers, 0700), 0);
        CHECK_INT(zmq_curve_keypair(public, secret), 0);
        write_key(folder, "server.key", secret, 0600);
        write_key(folder, "server.pub", public, 0644);
        CHECK_INT(zmq_curve_keypair(public, secret), 0);
        write_key(folder, "client.key", secret, 0600);
        if (!allow)
                CHECK_INT(zmq_curve_keypair(public, secret), 0);
        write_key(folder, "peers/gateway.pub", public, 0644);
}

static void scene_init_curve(struct scene *s, bool allow)
{
        const char *error = "";
        scene_init(s);
        bus_free(s->bus);
        make_keys(s->folder, allow);
        CHECK_INT(bus_new(&(struct bus_options){.curve_folder = s->folder}, &s->bus, &error), 0);
        strcpy(s->endpoint, "tcp://127.0.0.1:*");
        scene_serve(s);
}

static void curve_lets_known_keys_in(void)
{
        struct scene s;
        scene_init_curve(&s, true);
        CHECK_INT(try_bind(&(struct scene){.bus = s.bus, .loop = s.loop}, "tcp://0.0.0.0:*"), 0);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        round_trip(&s);
        scene_done(&s);
}

static void curve_keeps_unknown_keys_and_plain_callers_out(void)
{
        struct scene s;
        scene_init_curve(&s, false);
        scene_link(&s);
        void *context = zmq_ctx_new(), *plain = zmq_socket(context, ZMQ_DEALER);
        int linger = 0;
        zmq_setsockopt(plain, ZMQ_LINGER, &linger, sizeof(linger));
        CHECK_INT(zmq_connect(plain, s.endpoint), 0);
        CHECK(zmq_send(plain, "e", 1, ZMQ_SNDMORE) > 0 && zmq_send(plain, "p", 1, 0) > 0);
        loop_timer_set(s.deadline, CLOCK_SECOND_US / 2);
        loop_run(s.loop);
        CHECK_INT(s.ups, 0);
        CHECK_INT(s.requests, 0);
        zmq_close(plain);
        zmq_ctx_term(context);
        scene_done(&s);
}

static void bad_keys_are_refused_with_a_line(void)
{
        struct scene s;
        struct bus *bus;
        const char *error = NULL;
        scene_init(&s);
        struct bus_options options = {.curve_folder = "/nowhere-there-is"};
        CHECK_INT(bus_new(&options, &bus, &error), -ENOENT);
        CHECK(error);
        make_keys(s.folder, true);
        options.curve_folder = s.folder;
        write_key(s.folder, "peers/other.pub", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", 0644);
        CHECK_INT(bus_new(&options, &bus, &error), -EINVAL);
        CHECK(strstr(error, "peers"));
        char path[64];
        snprintf(path, sizeof(path), "%s/server.key", s.folder);
        CHECK_INT(chmod(path, 0640), 0);
        CHECK_INT(bus_new(&options, &bus, &error), -EINVAL);
        CHECK(strstr(error, "server.key"));
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
            {"CURVE keeps unknown keys and plain callers out",
             curve_keeps_unknown_keys_and_plain_callers_out},
            {"bad keys are refused with a line", bad_keys_are_refused_with_a_line},
        };
        return CHECK_MAIN(cases);
}
