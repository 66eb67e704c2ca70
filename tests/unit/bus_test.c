/* SPDX-License-Identifier: Apache-2.0
 *
 * The bus through real sockets: pairs there and back, peers that come, go and die, broken messages, frames
 * that change threads, CURVE.
 */
#include "common/base/clock.h"
#include "common/bus/bus.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

/* A service that echoes and a caller, on one loop. Each event stops the loop, so that the test looks
 * again. */
struct scene {
        struct loop *loop;
        struct bus *bus;
        struct bus_server *server;
        struct bus_link *link;
        struct loop_timer *deadline;
        bool late;
        char folder[32], endpoint[128];
        int ups, downs, requests, replies;
        bool disorder, silent, free_on_pair;
        char last[64];
        struct bus_peer peer;
        struct bus_frame kept;
        int64_t down_at_us;
};

static void on_deadline(void *arg)
{
        struct scene *s = arg;
        s->late = true;
        loop_stop(s->loop);
}

static void on_request(void *arg, const struct bus_peer *from, struct str envelope, struct bus_frame *payload)
{
        struct scene *s = arg;
        s->requests++;
        s->peer = *from;
        if (str_is(envelope, "keep")) {
                s->kept = *payload;
                *payload = (struct bus_frame){0};
        } else if (!s->silent)
                CHECK_INT(bus_server_send(s->server, from, envelope, bus_frame_bytes(payload)), 0);
        loop_stop(s->loop);
}

static void on_up(void *arg)
{
        struct scene *s = arg;
        s->ups++;
        loop_stop(s->loop);
}

static void on_down(void *arg)
{
        struct scene *s = arg;
        s->downs++;
        s->down_at_us = clock_monotonic_us();
        loop_stop(s->loop);
}

static void on_pair(void *arg, struct str envelope, struct str payload)
{
        struct scene *s = arg;
        int number;
        if (envelope.n == sizeof(number)) {
                memcpy(&number, envelope.p, sizeof(number));
                s->disorder |= number != s->replies;
        }
        s->replies++;
        snprintf(s->last, sizeof(s->last), "%.*s", (int)payload.n, payload.p ? payload.p : "");
        if (s->free_on_pair)
                s->link = bus_link_free(s->link);
        loop_stop(s->loop);
}

static const struct bus_link_ops link_ops = {on_up, on_down, on_pair};

/* Runs the loop until the condition holds, 10 s at most. */
#define WAIT(s, condition)                                                                                   \
        do {                                                                                                 \
                (s)->late = false;                                                                           \
                loop_timer_set((s)->deadline, 10 * CLOCK_SECOND_US);                                         \
                while (!(condition) && !(s)->late)                                                           \
                        loop_run((s)->loop);                                                                 \
                loop_timer_clear((s)->deadline);                                                             \
                CHECK(condition);                                                                            \
        } while (0)

static void scene_init(struct scene *s)
{
        const char *error;
        *s = (struct scene){.folder = "/tmp/bus_test.XXXXXX"};
        CHECK(mkdtemp(s->folder));
        snprintf(s->endpoint, sizeof(s->endpoint), "ipc://%s/server", s->folder);
        s->loop = loop_new();
        s->deadline = loop_timer_new(s->loop, on_deadline, s);
        CHECK_INT(bus_new(&(struct bus_options){0}, &s->bus, &error), 0);
}

static void scene_serve(struct scene *s)
{
        char bound[128];
        CHECK_INT(bus_server_new(s->bus, s->loop, s->endpoint, on_request, s, &s->server, bound), 0);
        strcpy(s->endpoint, bound);
}

static void scene_link(struct scene *s)
{
        CHECK_INT(bus_link_new(s->bus, s->loop, s->endpoint, &link_ops, s, &s->link), 0);
}

static void scene_start(struct scene *s)
{
        scene_init(s);
        scene_serve(s);
        scene_link(s);
        WAIT(s, s->ups == 1);
}

static void scene_done(struct scene *s)
{
        bus_link_free(s->link);
        bus_server_free(s->server);
        bus_free(s->bus);
        loop_timer_free(s->deadline);
        loop_free(s->loop);
        char path[160];
        snprintf(path, sizeof(path), "rm -rf %s", s->folder);
        CHECK_INT(system(path), 0);
}

static int say(struct scene *s, const char *envelope, const char *payload)
{
        return bus_link_send(s->link, str_of(envelope), str_of(payload));
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

static void round_trip(struct scene *s)
{
        CHECK(bus_link_is_up(s->link));
        CHECK_INT(say(s, "e", "payload"), 0);
        WAIT(s, s->replies == 1);
        CHECK_TEXT(s->last, "payload");
        CHECK_INT(say(s, "", ""), 0);
        WAIT(s, s->replies == 2);
        CHECK_TEXT(s->last, "");
}

static void a_pair_goes_there_and_back_over_ipc(void)
{
        struct scene s;
        scene_start(&s);
        round_trip(&s);
        scene_done(&s);
}

static void a_pair_goes_there_and_back_over_tcp_on_loopback(void)
{
        struct scene s;
        scene_init(&s);
        strcpy(s.endpoint, "tcp://127.0.0.1:*");
        scene_serve(&s);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        round_trip(&s);
        scene_done(&s);
}

static void many_pairs_of_a_turn_arrive_in_order(void)
{
        struct scene s;
        scene_start(&s);
        for (int i = 0; i < 1000; i++)
                CHECK_INT(bus_link_send(s.link, str_bytes(&i, sizeof(i)), STR("x")), 0);
        WAIT(&s, s.replies == 1000);
        CHECK(!s.disorder);
        CHECK_INT(bus_malformed_total(s.bus), 0);
        scene_done(&s);
}

static void large_pairs_are_split_over_messages_and_too_large_ones_refused(void)
{
        struct scene s;
        scene_start(&s);
        enum { MIB = 1024 * 1024 };
        char *big = calloc(1, 4 * MIB + 1);
        for (int i = 0; i < 6; i++)
                CHECK_INT(bus_link_send(s.link, str_bytes(&i, sizeof(i)), str_bytes(big, 3 * MIB / 2)), 0);
        WAIT(&s, s.replies == 6);
        CHECK(!s.disorder);
        CHECK_INT(bus_link_send(s.link, (struct str){0}, str_bytes(big, 4 * MIB)), 0);
        WAIT(&s, s.replies == 7);
        CHECK_INT(bus_link_send(s.link, STR("e"), str_bytes(big, 4 * MIB)), -EMSGSIZE);
        CHECK_INT(bus_link_send(s.link, str_bytes(big, 4 * MIB + 1), (struct str){0}), -EMSGSIZE);
        CHECK_INT(bus_malformed_total(s.bus), 0);
        CHECK_INT(s.downs, 0);
        free(big);
        scene_done(&s);
}

static void a_link_refuses_while_it_is_down(void)
{
        struct scene s;
        scene_init(&s);
        scene_link(&s);
        CHECK(!bus_link_is_up(s.link));
        CHECK_INT(say(&s, "e", "p"), -ENOTCONN);
        scene_serve(&s);
        WAIT(&s, s.ups == 1);
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.replies == 1);
        scene_done(&s);
}

static void a_broadcast_reaches_who_has_spoken(void)
{
        struct scene s;
        scene_start(&s);
        struct scene other = {.loop = s.loop, .bus = s.bus, .deadline = s.deadline};
        strcpy(other.endpoint, s.endpoint);
        scene_link(&other);
        WAIT(&s, other.ups == 1);
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.replies == 1);
        bus_server_broadcast(s.server, STR("e"), STR("to one"));
        WAIT(&s, s.replies == 2);
        CHECK_INT(say(&other, "e", "p"), 0);
        WAIT(&s, other.replies == 1);
        bus_server_broadcast(s.server, STR("e"), STR("to both"));
        WAIT(&s, s.replies == 3 && other.replies == 2);
        CHECK_TEXT(other.last, "to both");
        bus_link_free(other.link);
        scene_done(&s);
}

static void a_server_forgets_peers_that_left(void)
{
        enum { N = 60 };
        struct scene s;
        scene_start(&s);
        for (int i = 1; i <= N; i++) {
                struct scene passing = {.loop = s.loop, .bus = s.bus, .deadline = s.deadline};
                strcpy(passing.endpoint, s.endpoint);
                scene_link(&passing);
                WAIT(&passing, passing.ups == 1);
                CHECK_INT(say(&passing, "e", "p"), 0);
                WAIT(&passing, passing.replies == 1);
                bus_link_free(passing.link);
        }
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.replies == 1);
        bus_server_broadcast(s.server, STR("e"), STR("news"));
        WAIT(&s, s.replies == 2);
        /* Had it kept them all, N pairs would have been dropped now; some few may not have ended yet. */
        CHECK(bus_dropped_total(s.bus) < N / 2);
        scene_done(&s);
}

static void a_link_may_be_freed_from_its_callback(void)
{
        struct scene s;
        scene_start(&s);
        s.free_on_pair = true;
        CHECK_INT(say(&s, "e", "p"), 0);
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, !s.link && s.requests == 2);
        CHECK_INT(s.replies, 1);
        CHECK_INT(s.downs, 0);
        scene_done(&s);
}

static void an_answer_to_a_peer_that_went_says_so(void)
{
        struct scene s;
        scene_start(&s);
        s.silent = true;
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.requests == 1);
        CHECK_INT(bus_server_send(s.server, &(struct bus_peer){.n = 1, .id = {7}}, STR("e"), STR("p")),
                  -EHOSTUNREACH);
        s.link = bus_link_free(s.link);
        /* The server hears of it only when it sends; libzmq takes a moment to notice. */
        int64_t until = clock_monotonic_us() + 10 * CLOCK_SECOND_US;
        while (bus_server_send(s.server, &s.peer, STR("e"), STR("p")) == 0 && clock_monotonic_us() < until) {
                loop_timer_set(s.deadline, 1000);
                loop_run(s.loop);
        }
        CHECK_INT(bus_server_send(s.server, &s.peer, STR("e"), STR("p")), -EHOSTUNREACH);
        CHECK(bus_dropped_total(s.bus) >= 1);
        scene_done(&s);
}

static void what_a_server_had_queued_leaves_before_it_ends(void)
{
        struct scene s;
        scene_start(&s);
        CHECK_INT(say(&s, "e", "first"), 0);
        WAIT(&s, s.replies == 1);
        for (int i = 0; i < 100; i++)
                CHECK_INT(bus_server_send(s.server, &s.peer, STR("e"), STR("last words")), 0);
        s.server = bus_server_free(s.server);
        WAIT(&s, s.replies == 101);
        CHECK_TEXT(s.last, "last words");
        WAIT(&s, s.downs == 1);
        scene_done(&s);
}

/* --- lives of peers ------------------------------------------------------------------------------------- */

/* A process of its own serves the endpoint until it is killed: it answers each request with how many it
 * saw. */
static void child_on_request(void *arg, const struct bus_peer *from, struct str envelope,
                             struct bus_frame *payload)
{
        struct scene *s = arg;
        s->requests++;
        char text[16];
        snprintf(text, sizeof(text), "%d", s->requests);
        (void)payload;
        if (bus_server_send(s->server, from, envelope, str_of(text)) < 0)
                abort();
}

/* What such a process runs: this program once more, with the endpoint and the descriptor to say "ready"
 * on. */
static int serve(const char *endpoint, int ready)
{
        struct scene s = {.loop = loop_new()};
        char bound[128];
        const char *error;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (bus_new(&(struct bus_options){0}, &s.bus, &error) < 0 ||
            bus_server_new(s.bus, s.loop, endpoint, child_on_request, &s, &s.server, bound) < 0 ||
            write(ready, "r", 1) != 1)
                return 1;
        loop_run(s.loop);
        return 0;
}

static pid_t serve_in_child(const char *endpoint)
{
        int ready[2];
        char byte, number[16];
        CHECK_INT(pipe2(ready, O_CLOEXEC), 0);
        snprintf(number, sizeof(number), "%d", ready[1]);
        pid_t pid = fork();
        if (pid == 0) {
                fcntl(ready[1], F_SETFD, 0);
                execl("/proc/self/exe", "bus_test", "serve", endpoint, number, NULL);
                _exit(127);
        }
        close(ready[1]);
        CHECK_INT(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return pid;
}

static void kill_child(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void a_killed_process_is_noticed_at_once_and_its_successor_found(void)
{
        struct scene s;
        scene_init(&s);
        pid_t pid = serve_in_child(s.endpoint);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.replies == 1);
        int64_t killed_us = clock_monotonic_us();
        kill_child(pid);
        WAIT(&s, s.downs == 1);
        printf("# on_down %lld us after kill -9\n", (long long)(s.down_at_us - killed_us));
        CHECK(s.down_at_us - killed_us < CLOCK_SECOND_US);
        CHECK_INT(say(&s, "e", "p"), -ENOTCONN);
        pid = serve_in_child(s.endpoint); /* over the stale file */
        WAIT(&s, s.ups == 2);
        CHECK_INT(say(&s, "e", "p"), 0);
        WAIT(&s, s.replies == 2);
        kill_child(pid);
        scene_done(&s);
}

static void what_waited_for_a_dead_process_never_reaches_the_next(void)
{
        struct scene s;
        scene_init(&s);
        pid_t pid = serve_in_child(s.endpoint);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        kill(pid, SIGSTOP);
        /* As much as the kernel's and libzmq's queues take, and then some that waits in the link. */
        static char filler[16 * 1024];
        int r = 0, n = 0;
        while (r == 0 && n < 200000) {
                for (int i = 0; i < 64 && r == 0; i++, n++)
                        r = bus_link_send(s.link, STR("e"), str_bytes(filler, sizeof(filler)));
                loop_timer_set(s.deadline, 0);
                loop_run(s.loop);
        }
        CHECK_INT(r, -EAGAIN);
        CHECK_INT(s.downs, 0);
        kill_child(pid);
        pid = serve_in_child(s.endpoint);
        WAIT(&s, s.ups == 2);
        CHECK_INT(s.downs, 1);
        CHECK_INT(s.replies, 0);
        CHECK_INT(say(&s, "e", "how many?"), 0);
        WAIT(&s, s.replies == 1);
        CHECK_TEXT(s.last, "1");
        kill_child(pid);
        scene_done(&s);
}

static void a_blocked_link_goes_on_when_its_peer_does(void)
{
        struct scene s;
        scene_init(&s);
        pid_t pid = serve_in_child(s.endpoint);
        scene_link(&s);
        WAIT(&s, s.ups == 1);
        kill(pid, SIGSTOP);
        static char filler[16 * 1024];
        int r = 0, n = 0;
        while (r == 0 && n < 200000) {
                for (int i = 0; i < 64 && r == 0; i++, n++)
                        r = bus_link_send(s.link, str_bytes(&n, sizeof(n)),
                                          str_bytes(filler, sizeof(filler)));
                loop_timer_set(s.deadline, 0);
                loop_run(s.loop);
        }
        CHECK_INT(r, -EAGAIN);
        kill(pid, SIGCONT);
        WAIT(&s, s.replies == n - 1);
        CHECK(!s.disorder);
        CHECK_INT(s.downs, 0);
        kill_child(pid);
        scene_done(&s);
}

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

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "serve") == 0)
                return serve(argv[2], atoi(argv[3]));
        static const struct check_case cases[] = {
            {"a pair goes there and back over ipc", a_pair_goes_there_and_back_over_ipc},
            {"a pair goes there and back over tcp on loopback",
             a_pair_goes_there_and_back_over_tcp_on_loopback},
            {"many pairs of a turn arrive in order", many_pairs_of_a_turn_arrive_in_order},
            {"large pairs are split over messages, too large ones refused",
             large_pairs_are_split_over_messages_and_too_large_ones_refused},
            {"a link refuses while it is down", a_link_refuses_while_it_is_down},
            {"a broadcast reaches who has spoken", a_broadcast_reaches_who_has_spoken},
            {"a server forgets peers that left", a_server_forgets_peers_that_left},
            {"a link may be freed from its callback", a_link_may_be_freed_from_its_callback},
            {"an answer to a peer that went says so", an_answer_to_a_peer_that_went_says_so},
            {"what a server had queued leaves before it ends",
             what_a_server_had_queued_leaves_before_it_ends},
            {"a killed process is noticed at once, its successor found",
             a_killed_process_is_noticed_at_once_and_its_successor_found},
            {"what waited for a dead process never reaches the next",
             what_waited_for_a_dead_process_never_reaches_the_next},
            {"a blocked link goes on when its peer does", a_blocked_link_goes_on_when_its_peer_does},
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
