/* SPDX-License-Identifier: Apache-2.0
 *
 * Many readers of server-sent events: how old each event is when each of them has it. Its age is counted from the CloudEvents
 * attribute `time` in its data. Each line on standard input is an Authorization; they are taken in turn.
 *
 *   sse_readers PORT PATH READERS SECONDS
 *
 * It says `open` when all have the head of their answer, reads for so long, and ends with a line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 16384, KEYS = 1024, SAMPLES = 1 << 23 };

struct reader {
        int fd;
        bool in_head, at_open;
        size_t n;
        int64_t events;
        char line[LINE];
};

static char *keys[KEYS];
static size_t n_keys, n_open;
static int64_t *ages;
static size_t n_ages;

static void die(const char *what)
{
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
}

static int64_t now_us(clockid_t clock)
{
        struct timespec t;
        clock_gettime(clock, &t);
        return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

/* Microseconds since 1970 of "2026-11-22T10:00:00.123456Z". */
static int64_t time_us(const char *text)
{
        struct tm t = {0};
        int64_t us = 0, scale = 100000;
        const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
        if (!p) {
                fprintf(stderr, "no time: %.40s\n", text);
                exit(1);
        }
        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
                        us += (*p - '0') * scale;
        return timegm(&t) * 1000000ll + us;
}

static void take_line(struct reader *r, int64_t now)
{
        static const char mark[] = "\"time\":\"";
        r->line[r->n] = 0;
        if (r->in_head) {
                if (strncmp(r->line, "HTTP/1.1 ", 9) == 0 && strncmp(r->line + 9, "200", 3) != 0) {
                        fprintf(stderr, "%s\n", r->line);
                        exit(1);
                }
                if (r->line[0] == '\r' || r->n == 0) {
                        r->in_head = false;
                        n_open += !r->at_open;
                        r->at_open = true;
                }
        } else if (strncmp(r->line, "data:", 5) == 0) {
                for (const char *p = r->line; (p = strstr(p, mark)); p += sizeof(mark)) {
                        r->events++;
                        if (n_ages < SAMPLES)
                                ages[n_ages++] = now - time_us(p + sizeof(mark) - 1);
                }
        }
        r->n = 0;
}

/* False: the other side has closed. */
static bool read_some(struct reader *r)
{
        char buffer[65536];
        ssize_t n = read(r->fd, buffer, sizeof(buffer));
        int64_t now = now_us(CLOCK_REALTIME);
        if (n <= 0)
                return n < 0 && errno == EAGAIN;
        for (const char *p = buffer, *end = buffer + n; p < end;) {
                const char *stop = memchr(p, '\n', (size_t)(end - p));
                size_t piece = (size_t)((stop ? stop : end) - p);
                if (r->n + piece >= LINE) {
                        fprintf(stderr, "a line is longer than %d bytes\n", LINE);
                        exit(1);
                }
                memcpy(r->line + r->n, p, piece);
                r->n += piece;
                p += piece;
                if (stop) {
                        take_line(r, now);
                        p++;
                }
        }
        return true;
}

static void reader_open(struct reader *r, const char *port, const char *path, const char *key)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char ask[1024];
        int n = snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAccept: text/event-stream\r\n%s%s%s\r\n", path, port,
                         key ? "Authorization: " : "", key ? key : "", key ? "\r\n" : "");
        r->in_head = true;
        r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (r->fd < 0 || connect(r->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
                die("connect");
        if (write(r->fd, ask, (size_t)n) != n)
                die("ask");
}

static void read_keys(void)
{
        char line[512];
        while (n_keys < KEYS && fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = 0;
                if (line[0])
                        keys[n_keys++] = strdup(line);
        }
}

static void read_until(int poll, struct reader *readers, size_t n, int64_t until)
{
        struct epoll_event ready[256];
        for (;;) {
                int64_t left = until ? until - now_us(CLOCK_MONOTONIC) : 30000000;
                if (left <= 0 || (!until && n_open == n))
                        return;
                int got = epoll_wait(poll, ready, 256, (int)(left / 1000) + 1);
                if (got < 0 && errno != EINTR)
                        die("epoll");
                if (got == 0 && !until) {
                        fprintf(stderr, "%zu of %zu readers have an answer\n", n_open, n);
                        exit(1);
                }
                for (int i = 0; i < got; i++)
                        if (!read_some(&readers[ready[i].data.u32])) {
                                fprintf(stderr, "a reader was cut\n");
                                exit(1);
                        }
        }
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        if (argc != 5) {
                fprintf(stderr, "sse_readers PORT PATH READERS SECONDS\n");
                return 2;
        }
        size_t n = (size_t)atoll(argv[3]);
        struct reader *readers = calloc(n, sizeof(*readers));
        ages = malloc(SAMPLES * sizeof(*ages));
        int poll = epoll_create1(EPOLL_CLOEXEC);
        if (!readers || !ages || poll < 0)
                die("memory");
        read_keys();
        for (size_t i = 0; i < n; i++) {
                struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
                reader_open(&readers[i], argv[1], argv[2], n_keys ? keys[i % n_keys] : NULL);
                if (epoll_ctl(poll, EPOLL_CTL_ADD, readers[i].fd, &e) < 0)
                        die("epoll");
        }
        read_until(poll, readers, n, 0);
        printf("open\n");
        fflush(stdout);
        n_ages = 0;
        read_until(poll, readers, n, now_us(CLOCK_MONOTONIC) + atoll(argv[4]) * 1000000);
        int64_t least = INT64_MAX, most = 0;
        for (size_t i = 0; i < n; i++) {
                least = readers[i].events < least ? readers[i].events : least;
                most = readers[i].events > most ? readers[i].events : most;
        }
        qsort(ages, n_ages, sizeof(*ages), by_value);
        printf("{\"events\":%zu,\"least\":%" PRId64 ",\"most\":%" PRId64 ",\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64 ",\"max_us\":%" PRId64 "}\n",
               n_ages, least, most, n_ages ? ages[n_ages / 2] : 0, n_ages ? ages[n_ages * 99 / 100] : 0, n_ages ? ages[n_ages - 1] : 0);
        return 0;
}
