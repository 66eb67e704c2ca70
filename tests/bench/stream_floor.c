/* SPDX-License-Identifier: Apache-2.0
 *
 * The least that an event's way to an agency can take here: one fsync of a small write, then two bare ZeroMQ hops, over ipc
 * and over TCP, without CURVE; at a steady pace, from before the write to the receipt.
 *
 *   stream_floor FOLDER PER_SECOND SECONDS
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { SIZE = 512, SAMPLES = 1 << 20 };

static char first[300], second[300];
static int64_t ages[SAMPLES];
static size_t n_ages, wanted;

static int64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *must(void *p)
{
        if (!p) {
                fprintf(stderr, "%s\n", zmq_strerror(errno));
                exit(1);
        }
        return p;
}

static void check(int r)
{
        if (r < 0)
                must(NULL);
}

/* Who stands between: a process of its own has a context of its own. */
static void *relay(void *arg)
{
        void *context = must(zmq_ctx_new()), *in = must(zmq_socket(context, ZMQ_PULL)), *out = must(zmq_socket(context, ZMQ_PUSH));
        char body[SIZE];
        (void)arg;
        check(zmq_bind(in, first));
        check(zmq_connect(out, second));
        for (size_t i = 0; i < wanted; i++) {
                int n = zmq_recv(in, body, SIZE, 0);
                check(n);
                check(zmq_send(out, body, (size_t)n, 0));
        }
        zmq_close(in);
        zmq_close(out);
        zmq_ctx_term(context);
        return NULL;
}

static void *receiver(void *arg)
{
        char body[SIZE];
        for (size_t i = 0; i < wanted; i++) {
                int64_t sent;
                check(zmq_recv(arg, body, SIZE, 0));
                memcpy(&sent, body, sizeof(sent));
                ages[n_ages++] = now_ns() - sent;
        }
        return NULL;
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                fprintf(stderr, "stream_floor FOLDER PER_SECOND SECONDS\n");
                return 2;
        }
        int64_t every = 1000000000ll / atoll(argv[2]);
        wanted = (size_t)(atoll(argv[2]) * atoll(argv[3]));
        if (wanted > SAMPLES)
                wanted = SAMPLES;
        snprintf(first, sizeof(first), "ipc://%s/floor", argv[1]);
        snprintf(second, sizeof(second), "tcp://127.0.0.1:*");
        void *mine = must(zmq_ctx_new()), *theirs = must(zmq_ctx_new());
        void *out = must(zmq_socket(mine, ZMQ_PUSH)), *in = must(zmq_socket(theirs, ZMQ_PULL));
        size_t n = sizeof(second);
        check(zmq_bind(in, second));
        check(zmq_getsockopt(in, ZMQ_LAST_ENDPOINT, second, &n));
        check(zmq_connect(out, first));
        pthread_t threads[2];
        if (pthread_create(&threads[0], NULL, relay, NULL) || pthread_create(&threads[1], NULL, receiver, in))
                return 1;

        char path[300], body[SIZE] = "";
        snprintf(path, sizeof(path), "%s/floor.log", argv[1]);
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0)
                return 1;
        int64_t next = now_ns();
        for (size_t i = 0; i < wanted; i++, next += every) {
                struct timespec t = {next / 1000000000, next % 1000000000};
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
                        ;
                int64_t now = now_ns();
                memcpy(body, &now, sizeof(now));
                if (write(fd, body, SIZE) != SIZE || fdatasync(fd) < 0)
                        return 1;
                check(zmq_send(out, body, SIZE, 0));
        }
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        qsort(ages, n_ages, sizeof(ages[0]), by_value);
        printf("{\"events\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", n_ages, (double)ages[n_ages / 2] / 1e3, (double)ages[n_ages * 99 / 100] / 1e3);
        return 0;
}
