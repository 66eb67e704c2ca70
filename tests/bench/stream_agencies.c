/* SPDX-License-Identifier: Apache-2.0
 *
 * Agencies over ZeroMQ, as fast as they can go: it fetches batches, counts what is in them, and gives their cursors back.
 * No event is decoded. Each line on standard input is the key pair of an agency: "PUBLIC SECRET", in Z85.
 *
 *   stream_agencies catchup ENDPOINT SERVER_KEY json|protobuf MAX UNTIL   all from the oldest event to sequence UNTIL
 *   stream_agencies wait ENDPOINT SERVER_KEY CURSOR SECONDS               one that waits for news: how old they are when they come
 *
 * A line of JSON says what it found.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { AGENCIES = 256, SAMPLES = 1 << 20 };

struct agency {
        void *socket;
        char cursor[65];
        int64_t through, events, bytes, batches;
        bool done;
};

struct fetching {
        bool json;
        int max, wait;
        int64_t until;
};

static void die(const char *what)
{
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(errno));
        exit(1);
}

static int64_t now_us(clockid_t clock)
{
        struct timespec t;
        clock_gettime(clock, &t);
        return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

/* --- a fetch and its answer, as bytes --------------------------------------------------------------------------- */

static size_t put_varint(unsigned char *at, uint64_t v)
{
        size_t n = 0;
        for (; v >= 128; v >>= 7)
                at[n++] = (unsigned char)(v | 128);
        at[n++] = (unsigned char)v;
        return n;
}

static uint64_t get_varint(const unsigned char **p, const unsigned char *end)
{
        uint64_t v = 0;
        for (int shift = 0; *p < end && shift < 64; shift += 7) {
                unsigned char c = *(*p)++;
                v |= (uint64_t)(c & 127) << shift;
                if (c < 128)
                        return v;
        }
        fprintf(stderr, "a batch is cut short\n");
        exit(1);
}

static void fetch(struct agency *a, const struct fetching *how)
{
        unsigned char body[256];
        size_t n = 0, cursor = strlen(a->cursor);
        if (how->json) {
                n = (size_t)snprintf((char *)body, sizeof(body), "{\"cursor\":\"%s\",\"max\":%d,\"wait\":%d}", a->cursor, how->max,
                                     how->wait);
        } else {
                body[n++] = 1 << 3 | 2;
                body[n++] = (unsigned char)cursor;
                memcpy(body + n, a->cursor, cursor);
                n += cursor;
                body[n++] = 2 << 3;
                n += put_varint(body + n, (uint64_t)how->max);
                body[n++] = 3 << 3;
                n += put_varint(body + n, (uint64_t)how->wait);
        }
        if (zmq_send(a->socket, "FETCH", 5, ZMQ_SNDMORE) < 0 || zmq_send(a->socket, body, n, 0) < 0)
                die("send");
}

static void set_cursor(struct agency *a, const void *text, size_t n)
{
        if (n >= sizeof(a->cursor)) {
                fprintf(stderr, "a cursor of %zu bytes\n", n);
                exit(1);
        }
        memcpy(a->cursor, text, n);
        a->cursor[n] = 0;
}

static void count_packed_events(struct agency *a, const unsigned char *p, const unsigned char *end)
{
        while (p < end) {
                uint64_t tag = get_varint(&p, end), n = get_varint(&p, end);
                if (tag != (1 << 3 | 2) || n > (uint64_t)(end - p)) {
                        fprintf(stderr, "not a batch of events\n");
                        exit(1);
                }
                a->events++;
                a->bytes += (int64_t)n;
                p += n;
        }
}

static void take_packed(struct agency *a, const unsigned char *p, size_t size)
{
        const unsigned char *end = p + size;
        while (p < end) {
                uint64_t tag = get_varint(&p, end), v = get_varint(&p, end);
                if ((tag & 7) != 2) {
                        if (tag >> 3 == 4)
                                a->through = (int64_t)v;
                        continue;
                }
                if (v > (uint64_t)(end - p)) {
                        fprintf(stderr, "a batch is cut short\n");
                        exit(1);
                }
                if (tag >> 3 == 2)
                        set_cursor(a, p, v);
                if (tag >> 3 == 8)
                        count_packed_events(a, p, p + v);
                p += v;
        }
}

/* The text after `"name":` in the batch's own members, which stand before or after its events. */
static const char *member(const char *text, size_t n, const char *name)
{
        const char *at = memmem(text, n, name, strlen(name));
        if (!at) {
                fprintf(stderr, "a batch without %s\n", name);
                exit(1);
        }
        return at + strlen(name);
}

static void take_json(struct agency *a, const char *text, size_t n)
{
        static const char mark[] = "\"specversion\":";
        const char *cursor = member(text, n, "\"cursor\":\""), *through = member(text, n, "\"through\":\"");
        const char *events = member(text, n, "\"events\":");
        set_cursor(a, cursor, (size_t)((const char *)memchr(cursor, '"', (size_t)(text + n - cursor)) - cursor));
        a->through = strtoll(through, NULL, 10);
        for (const char *p = events; (p = memmem(p, (size_t)(text + n - p), mark, sizeof(mark) - 1)); p += sizeof(mark))
                a->events++;
        a->bytes += text + n - events;
}

/* Receives a whole answer; its body stays in *ret until it is closed. */
static void receive(struct agency *a, zmq_msg_t *ret)
{
        char word[16] = "";
        int n = zmq_recv(a->socket, word, sizeof(word) - 1, 0);
        if (n < 0 || zmq_msg_init(ret) < 0 || zmq_msg_recv(ret, a->socket, 0) < 0)
                die("receive");
        if (n != 5 || memcmp(word, "BATCH", 5) != 0) {
                fprintf(stderr, "%s %.*s\n", word, (int)zmq_msg_size(ret), (const char *)zmq_msg_data(ret));
                exit(1);
        }
        a->batches++;
}

static void *agency_connect(void *context, const char *endpoint, const char *server, const char *public, const char *secret)
{
        void *socket = zmq_socket(context, ZMQ_DEALER);
        int none = 0;
        if (!socket || zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, 41) < 0 ||
            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, 41) < 0 ||
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 41) < 0 ||
            zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) < 0 || zmq_connect(socket, endpoint) < 0)
                die("connect");
        return socket;
}

static size_t read_agencies(struct agency *agencies, void *context, const char *endpoint, const char *server)
{
        char public[41], secret[41];
        size_t n = 0;
        for (; n < AGENCIES && scanf("%40s %40s", public, secret) == 2; n++)
                agencies[n].socket = agency_connect(context, endpoint, server, public, secret);
        if (n == 0) {
                fprintf(stderr, "no keys on standard input\n");
                exit(2);
        }
        return n;
}

/* --- all from the start ------------------------------------------------------------------------------------------- */

static void step(struct agency *a, const struct fetching *how, size_t *left)
{
        zmq_msg_t m;
        receive(a, &m);
        if (how->json)
                take_json(a, zmq_msg_data(&m), zmq_msg_size(&m));
        else
                take_packed(a, zmq_msg_data(&m), zmq_msg_size(&m));
        zmq_msg_close(&m);
        if (a->through >= how->until) {
                a->done = true;
                (*left)--;
        } else {
                fetch(a, how);
        }
}

static int catch_up(struct agency *agencies, size_t n, const struct fetching *how)
{
        zmq_pollitem_t items[AGENCIES];
        size_t left = n;
        int64_t began = now_us(CLOCK_MONOTONIC), events = 0, bytes = 0, batches = 0;
        for (size_t i = 0; i < n; i++) {
                items[i] = (zmq_pollitem_t){.socket = agencies[i].socket, .events = ZMQ_POLLIN};
                fetch(&agencies[i], how);
        }
        while (left) {
                if (zmq_poll(items, (int)n, 30000) <= 0)
                        die("no answer within 30 s");
                for (size_t i = 0; i < n; i++)
                        if (items[i].revents && !agencies[i].done)
                                step(&agencies[i], how, &left);
        }
        int64_t us = now_us(CLOCK_MONOTONIC) - began;
        for (size_t i = 0; i < n; i++) {
                events += agencies[i].events;
                bytes += agencies[i].bytes;
                batches += agencies[i].batches;
        }
        printf("{\"events\":%" PRId64 ",\"bytes\":%" PRId64 ",\"batches\":%" PRId64 ",\"us\":%" PRId64 ",\"per_s\":%.1f,\"each\":[", events, bytes,
               batches, us, (double)events * 1e6 / (double)us);
        for (size_t i = 0; i < n; i++)
                printf("%s%" PRId64, i ? "," : "", agencies[i].events);
        printf("]}\n");
        return 0;
}

/* --- one that waits ------------------------------------------------------------------------------------------------- */

/* Microseconds since 1970 of "2026-11-22T10:00:00.123456Z". */
static int64_t time_us(const char *text)
{
        struct tm t = {0};
        int64_t us = 0, scale = 100000;
        const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
        if (!p)
                return -1;
        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
                        us += (*p - '0') * scale;
        return timegm(&t) * 1000000ll + us;
}

static int64_t ages[SAMPLES];
static size_t n_ages;

static void note_ages(const char *text, size_t n, int64_t now)
{
        static const char mark[] = "\"time\":\"";
        for (const char *p = text; (p = memmem(p, (size_t)(text + n - p), mark, sizeof(mark) - 1)) && n_ages < SAMPLES; p += sizeof(mark))
                ages[n_ages++] = now - time_us(p + sizeof(mark) - 1);
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

static int wait_for_news(struct agency *a, int64_t seconds)
{
        const struct fetching how = {.json = true, .max = 1000, .wait = 1};
        int64_t until = now_us(CLOCK_MONOTONIC) + seconds * 1000000;
        while (now_us(CLOCK_MONOTONIC) < until) {
                zmq_msg_t m;
                fetch(a, &how);
                receive(a, &m);
                int64_t now = now_us(CLOCK_REALTIME);
                take_json(a, zmq_msg_data(&m), zmq_msg_size(&m));
                note_ages(zmq_msg_data(&m), zmq_msg_size(&m), now);
                zmq_msg_close(&m);
        }
        qsort(ages, n_ages, sizeof(ages[0]), by_value);
        printf("{\"events\":%zu,\"batches\":%" PRId64 ",\"p50_us\":%" PRId64 ",\"p90_us\":%" PRId64 ",\"p99_us\":%" PRId64 ",\"cursor\":\"%s\"}\n",
               n_ages, a->batches, n_ages ? ages[n_ages / 2] : 0, n_ages ? ages[n_ages * 9 / 10] : 0, n_ages ? ages[n_ages * 99 / 100] : 0,
               a->cursor);
        return 0;
}

int main(int argc, char **argv)
{
        static struct agency agencies[AGENCIES];
        void *context = zmq_ctx_new();
        bool catching_up = argc == 7 && strcmp(argv[1], "catchup") == 0;
        if (!catching_up && (argc != 6 || strcmp(argv[1], "wait") != 0)) {
                fprintf(stderr, "see the head of tests/bench/stream_agencies.c\n");
                return 2;
        }
        zmq_ctx_set(context, ZMQ_IO_THREADS, 2);
        size_t n = read_agencies(agencies, context, argv[2], argv[3]);
        if (!catching_up) {
                snprintf(agencies[0].cursor, sizeof(agencies[0].cursor), "%s", argv[4]);
                return wait_for_news(&agencies[0], atoll(argv[5]));
        }
        const struct fetching how = {
                .json = strcmp(argv[4], "json") == 0, .max = atoi(argv[5]), .until = atoll(argv[6])};
        return catch_up(agencies, n, &how);
}
