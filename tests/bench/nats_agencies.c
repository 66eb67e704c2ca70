/* SPDX-License-Identifier: Apache-2.0
 *
 * The yardstick for agencies that catch up: nats-server's JetStream, with durable pull consumers through its own C library.
 * Each has a connection and a thread, fetches batches, and acknowledges a batch by its last message.
 *
 *   nats_agencies publish URL FILE                     a file-backed stream of FILE's events, each after its length (4 bytes, host order)
 *   nats_agencies catchup URL NAME CONSUMERS BATCH N   CONSUMERS new ones, named from NAME, until each has N messages
 *
 * A line of JSON says what it found. Needs libnats; tests/bench/streams.py builds it.
 */
#include <inttypes.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONSUMERS = 256, BATCH_WAIT_MS = 10000, PENDING = 4096 };

struct agency {
        natsConnection *connection;
        jsCtx *stream;
        natsSubscription *subscription;
        int batch;
        int64_t wanted, events, bytes, batches;
        pthread_t thread;
};

static void check(natsStatus s, const char *what)
{
        if (s != NATS_OK) {
                fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(s));
                exit(1);
        }
}

static int64_t now_us(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static int publish(const char *url, const char *path)
{
        static char body[1 << 20];
        natsConnection *connection = NULL;
        jsCtx *js = NULL;
        jsOptions options;
        jsStreamConfig config;
        uint32_t size;
        int64_t n = 0, bytes = 0, began = now_us();
        FILE *f = fopen(path, "rb");
        if (!f)
                return 1;
        check(natsConnection_ConnectTo(&connection, url), "connect");
        check(jsOptions_Init(&options), "options");
        options.PublishAsync.MaxPending = PENDING;
        options.PublishAsync.StallWait = 10000;
        check(natsConnection_JetStream(&js, connection, &options), "jetstream");
        check(jsStreamConfig_Init(&config), "stream");
        config.Name = "EVENTS";
        config.Subjects = (const char *[1]){"events"};
        config.SubjectsLen = 1;
        config.Storage = js_FileStorage;
        check(js_AddStream(NULL, js, &config, NULL, NULL), "stream");
        while (fread(&size, sizeof(size), 1, f) == 1) {
                if (size > sizeof(body) || fread(body, 1, size, f) != size)
                        return 1;
                check(js_PublishAsync(js, "events", body, (int)size, NULL), "publish");
                n++;
                bytes += size;
        }
        check(js_PublishAsyncComplete(js, NULL), "publish");
        fclose(f);
        printf("{\"events\":%" PRId64 ",\"bytes\":%" PRId64 ",\"us\":%" PRId64 "}\n", n, bytes, now_us() - began);
        return 0;
}

static void agency_connect(struct agency *a, const char *url, const char *name, int number)
{
        char durable[64];
        jsSubOptions options;
        snprintf(durable, sizeof(durable), "%s-%d", name, number);
        check(natsConnection_ConnectTo(&a->connection, url), "connect");
        check(natsConnection_JetStream(&a->stream, a->connection, NULL), "jetstream");
        check(jsSubOptions_Init(&options), "options");
        options.Config.AckPolicy = js_AckAll;
        options.Config.DeliverPolicy = js_DeliverAll;
        check(js_PullSubscribe(&a->subscription, a->stream, "events", durable, NULL, &options, NULL), "subscribe");
}

static void *catch_up(void *arg)
{
        struct agency *a = arg;
        while (a->events < a->wanted) {
                natsMsgList list = {0};
                check(natsSubscription_Fetch(&list, a->subscription, a->batch, BATCH_WAIT_MS, NULL), "fetch");
                for (int i = 0; i < list.Count; i++)
                        a->bytes += natsMsg_GetDataLength(list.Msgs[i]);
                check(natsMsg_Ack(list.Msgs[list.Count - 1], NULL), "acknowledge");
                a->events += list.Count;
                a->batches++;
                natsMsgList_Destroy(&list);
        }
        return NULL;
}

static int catch_up_all(const char *url, const char *name, int n, int batch, int64_t wanted)
{
        static struct agency agencies[CONSUMERS];
        int64_t events = 0, bytes = 0, batches = 0;
        if (n < 1 || n > CONSUMERS)
                return 2;
        for (int i = 0; i < n; i++) {
                agencies[i].batch = batch;
                agencies[i].wanted = wanted;
                agency_connect(&agencies[i], url, name, i);
        }
        int64_t began = now_us();
        for (int i = 0; i < n; i++)
                if (pthread_create(&agencies[i].thread, NULL, catch_up, &agencies[i]))
                        return 1;
        for (int i = 0; i < n; i++)
                pthread_join(agencies[i].thread, NULL);
        int64_t us = now_us() - began;
        for (int i = 0; i < n; i++) {
                events += agencies[i].events;
                bytes += agencies[i].bytes;
                batches += agencies[i].batches;
        }
        printf("{\"events\":%" PRId64 ",\"bytes\":%" PRId64 ",\"batches\":%" PRId64 ",\"us\":%" PRId64 ",\"per_s\":%.1f}\n", events, bytes, batches,
               us, (double)events * 1e6 / (double)us);
        fflush(stdout);
        _Exit(0); /* connections need no farewell */
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "publish") == 0)
                return publish(argv[2], argv[3]);
        if (argc == 7 && strcmp(argv[1], "catchup") == 0)
                return catch_up_all(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), atoll(argv[6]));
        fprintf(stderr, "see the head of tests/bench/nats_agencies.c\n");
        return 2;
}
