/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips over the bus between two processes, and what each costs: one line for each number in flight. Run by
 * hand: build/tests/bench/bus_bench [SECONDS_EACH]
 */
#include "common/base/clock.h"
#include "common/bus/bus.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENVELOPE_SIZE = 120, PAYLOAD_SIZE = 200 };

struct server {
        struct loop *loop;
        struct bus_server *server;
};

struct caller {
        struct loop *loop;
        struct bus_link *link;
        struct loop_timer *end;
        int in_flight;
        int64_t round_trips;
        char envelope[ENVELOPE_SIZE], payload[PAYLOAD_SIZE];
};

static void on_request(void *arg, const struct bus_peer *from, struct str envelope, struct bus_frame *payload)
{
        struct server *s = arg;
        if (bus_server_send(s->server, from, envelope, bus_frame_bytes(payload)) < 0)
                abort();
}

static void on_term(void *arg)
{
        loop_stop(((struct server *)arg)->loop);
}

static int serve(const char *endpoint)
{
        struct server s = {.loop = loop_new()};
        struct bus *bus;
        const char *error;
        char bound[128];
        if (bus_new(&(struct bus_options){0}, &bus, &error) < 0 ||
            bus_server_new(bus, s.loop, endpoint, on_request, &s, &s.server, bound) < 0)
                return 1;
        struct loop_signal *term = loop_signal_new(s.loop, SIGTERM, on_term, &s);
        loop_run(s.loop);
        loop_signal_free(term);
        bus_server_free(s.server);
        bus_free(bus);
        loop_free(s.loop);
        return 0;
}

static void ask(struct caller *c)
{
        if (bus_link_send(c->link, str_bytes(c->envelope, ENVELOPE_SIZE),
                          str_bytes(c->payload, PAYLOAD_SIZE)) < 0)
                abort();
}

static void on_up(void *arg)
{
        struct caller *c = arg;
        loop_stop(c->loop);
}

static void on_down(void *arg)
{
        (void)arg;
        abort();
}

static void on_pair(void *arg, struct str envelope, struct str payload)
{
        struct caller *c = arg;
        (void)envelope;
        (void)payload;
        c->round_trips++;
        ask(c);
}

static void on_end(void *arg)
{
        loop_stop(((struct caller *)arg)->loop);
}

static double cpu_seconds(int who)
{
        struct rusage u;
        getrusage(who, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int measure(const char *self, const char *endpoint, int in_flight, int64_t duration_us)
{
        static const struct bus_link_ops ops = {on_up, on_down, on_pair};
        struct caller c = {.loop = loop_new(), .in_flight = in_flight};
        struct bus *bus;
        const char *error;
        pid_t pid = fork();
        if (pid == 0) {
                execl(self, self, "serve", endpoint, NULL);
                _exit(127);
        }
        if (bus_new(&(struct bus_options){0}, &bus, &error) < 0 ||
            bus_link_new(bus, c.loop, "bench", endpoint, &ops, &c, &c.link) < 0)
                return 1;
        loop_run(c.loop); /* until it is up */
        c.end = loop_timer_new(c.loop, on_end, &c);
        double own = cpu_seconds(RUSAGE_SELF), theirs = cpu_seconds(RUSAGE_CHILDREN);
        int64_t start_us = clock_monotonic_us();
        for (int i = 0; i < in_flight; i++)
                ask(&c);
        loop_timer_set(c.end, duration_us);
        loop_run(c.loop);
        double seconds = (double)(clock_monotonic_us() - start_us) / 1e6, n = (double)c.round_trips;
        own = cpu_seconds(RUSAGE_SELF) - own;
        bus_link_free(c.link);
        bus_free(bus);
        loop_timer_free(c.end);
        loop_free(c.loop);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        theirs = cpu_seconds(RUSAGE_CHILDREN) - theirs;
        printf("%4d in flight: %7.0f round trips/s, %6.1f us each; CPU per round trip: caller %5.2f us, "
               "server %5.2f us\n",
               in_flight, n / seconds, seconds / n * in_flight * 1e6, own / n * 1e6, theirs / n * 1e6);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], "serve") == 0)
                return serve(argv[2]);
        static const int in_flight[] = {1, 8, 64, 256};
        int64_t duration_us = (argc > 1 ? atoi(argv[1]) : 2) * CLOCK_SECOND_US;
        char folder[] = "/tmp/bus_bench.XXXXXX", endpoint[64];
        if (!mkdtemp(folder))
                return 1;
        snprintf(endpoint, sizeof(endpoint), "ipc://%s/server", folder);
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(in_flight) && r == 0; i++)
                r = measure("/proc/self/exe", endpoint, in_flight[i], duration_us);
        rmdir(folder);
        return r;
}
