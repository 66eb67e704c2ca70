/* SPDX-License-Identifier: Apache-2.0
 *
 * The agency's side of proto/nuanxin/stream/v1/edge.proto: one fetch in flight, on a DEALER that is replaced whenever it
 * has brought no answer in time. A fetch may be repeated at will: its cursor says where it begins.
 */
#include "common/subscriber/subscriber.h"

#include "nuanxin/stream/v1/edge.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define KEY_SIZE    41
#define CURSOR_SIZE 1101 /* no cursor is longer */
#define PATIENCE_S  5    /* beyond the wait */
#define MAX_EVENTS  500
#define WAIT_S      10
#define GONE        "urn:nuanxin:problem:cursor-gone"
#define SNAPSHOT    "snapshot"

typedef Nuanxin__Stream__V1__Batch Batch;
typedef Nuanxin__Stream__V1__Refused Refused;
typedef Io__Cloudevents__V1__CloudEvent CloudEvent;

struct nuanxin_subscriber {
        void *context, *socket; /* the socket: NULL until it is needed */
        char cursor[CURSOR_SIZE];
        char *endpoints, edge_key[KEY_SIZE], public_key[KEY_SIZE], secret_key[KEY_SIZE];
        char **types;
        size_t n_types;
        int max_events, wait_s;
        unsigned number; /* of the last fetch */
        Batch *batch;    /* what the caller has in hand */
        struct nuanxin_event *events;
        Refused *refused;
        struct nuanxin_refusal refusal;
};

static void *allocate(size_t size)
{
        void *p = calloc(1, size ? size : 1);
        if (!p)
                abort();
        return p;
}

static char *copy(const char *text)
{
        size_t n = strlen(text) + 1;
        return memcpy(allocate(n), text, n);
}

/* --- the connection ------------------------------------------------------------------------------------------------------ */

static void hang_up(struct nuanxin_subscriber *s)
{
        if (s->socket)
                zmq_close(s->socket);
        s->socket = NULL;
}

static int connect_all(void *socket, const char *endpoints)
{
        char *list = copy(endpoints), *rest = list;
        int r = *list ? 0 : -EINVAL;
        for (char *endpoint; r == 0 && (endpoint = strsep(&rest, ","));)
                if (zmq_connect(socket, endpoint) < 0)
                        r = -EINVAL;
        free(list);
        return r;
}

static int call(struct nuanxin_subscriber *s)
{
        const struct {
                int option, value;
        } options[] = {
                {ZMQ_LINGER, 0},
                {ZMQ_IMMEDIATE, 1}, /* a fetch goes to an edge that is there */
                {ZMQ_SNDTIMEO, PATIENCE_S * 1000},
                {ZMQ_HEARTBEAT_IVL, 5000},
                {ZMQ_HEARTBEAT_TIMEOUT, 15000},
                {ZMQ_RECONNECT_IVL, 100},
                {ZMQ_RECONNECT_IVL_MAX, 2000},
        };
        int failed = 0;
        s->socket = zmq_socket(s->context, ZMQ_DEALER);
        if (!s->socket)
                return -errno;
        for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
                failed |= zmq_setsockopt(s->socket, options[i].option, &options[i].value, sizeof(options[i].value));
        failed |= zmq_setsockopt(s->socket, ZMQ_CURVE_SERVERKEY, s->edge_key, KEY_SIZE);
        failed |= zmq_setsockopt(s->socket, ZMQ_CURVE_PUBLICKEY, s->public_key, KEY_SIZE);
        failed |= zmq_setsockopt(s->socket, ZMQ_CURVE_SECRETKEY, s->secret_key, KEY_SIZE);
        int r = failed ? -EINVAL : connect_all(s->socket, s->endpoints);
        if (r < 0)
                hang_up(s);
        return r;
}

/* --- one fetch ------------------------------------------------------------------------------------------------------------ */

static int send_fetch(struct nuanxin_subscriber *s, char id[16])
{
        Nuanxin__Stream__V1__Fetch fetch = NUANXIN__STREAM__V1__FETCH__INIT;
        snprintf(id, 16, "%u", ++s->number);
        fetch.cursor = s->cursor;
        fetch.max = s->max_events;
        fetch.wait = s->wait_s;
        fetch.n_types = s->n_types;
        fetch.types = s->types;
        fetch.id = id;
        size_t n = nuanxin__stream__v1__fetch__get_packed_size(&fetch);
        uint8_t *bytes = allocate(n);
        nuanxin__stream__v1__fetch__pack(&fetch, bytes);
        int r = zmq_send(s->socket, "FETCH", strlen("FETCH"), ZMQ_SNDMORE) < 0 || zmq_send(s->socket, bytes, n, 0) < 0 ? -errno : 0;
        free(bytes);
        return r == -EAGAIN ? NUANXIN_E_SILENT : r;
}

/* The two frames of an answer; what has another number of them is nothing that we know. */
static int receive(struct nuanxin_subscriber *s, zmq_msg_t *word, zmq_msg_t *body)
{
        int n = 0;
        for (bool more = true; more; n++) {
                zmq_msg_t *part = n == 0 ? word : body;
                zmq_msg_close(part);
                zmq_msg_init(part);
                if (zmq_msg_recv(part, s->socket, ZMQ_DONTWAIT) < 0)
                        return -errno;
                more = zmq_msg_more(part);
        }
        return n == 2 ? 0 : -EAGAIN;
}

static bool is_word(zmq_msg_t *frame, const char *word)
{
        return zmq_msg_size(frame) == strlen(word) && memcmp(zmq_msg_data(frame), word, strlen(word)) == 0;
}

static void forget_answer(struct nuanxin_subscriber *s)
{
        if (s->batch)
                nuanxin__stream__v1__batch__free_unpacked(s->batch, NULL);
        if (s->refused)
                nuanxin__stream__v1__refused__free_unpacked(s->refused, NULL);
        free(s->events);
        s->batch = NULL;
        s->refused = NULL;
        s->events = NULL;
}

/* 0: it is the answer to this fetch. */
static int read_answer(struct nuanxin_subscriber *s, const char *id, zmq_msg_t *word, zmq_msg_t *body)
{
        forget_answer(s);
        if (is_word(word, "BATCH"))
                s->batch = nuanxin__stream__v1__batch__unpack(NULL, zmq_msg_size(body), zmq_msg_data(body));
        else if (is_word(word, "REFUSED"))
                s->refused = nuanxin__stream__v1__refused__unpack(NULL, zmq_msg_size(body), zmq_msg_data(body));
        const char *of = s->batch ? s->batch->id : s->refused ? s->refused->id : NULL;
        return of && strcmp(of, id) == 0 ? 0 : -EAGAIN; /* another one: of a fetch that was given up */
}

static int wait_for_answer(struct nuanxin_subscriber *s, const char *id)
{
        zmq_pollitem_t item = {.socket = s->socket, .events = ZMQ_POLLIN};
        zmq_msg_t word, body;
        int r;
        zmq_msg_init(&word);
        zmq_msg_init(&body);
        do {
                int n = zmq_poll(&item, 1, (s->wait_s + PATIENCE_S) * 1000l);
                r = n < 0 ? -errno : n == 0 ? NUANXIN_E_SILENT : receive(s, &word, &body);
                if (r == 0)
                        r = read_answer(s, id, &word, &body);
        } while (r == -EAGAIN);
        zmq_msg_close(&word);
        zmq_msg_close(&body);
        return r;
}

static int fetch(struct nuanxin_subscriber *s)
{
        char id[16];
        int r = s->socket ? 0 : call(s);
        if (r == 0)
                r = send_fetch(s, id);
        if (r == 0)
                r = wait_for_answer(s, id);
        if (r != 0)
                hang_up(s);
        return r;
}

/* --- what the caller sees --------------------------------------------------------------------------------------------------- */

static void show_attributes(struct nuanxin_event *event, const CloudEvent *from)
{
        for (size_t i = 0; i < from->n_attributes; i++) {
                const char *name = from->attributes[i]->key;
                const Io__Cloudevents__V1__CloudEvent__CloudEventAttributeValue *value = from->attributes[i]->value;
                if (!value)
                        continue;
                bool text = value->attr_case == IO__CLOUDEVENTS__V1__CLOUD_EVENT__CLOUD_EVENT_ATTRIBUTE_VALUE__ATTR_CE_STRING;
                bool time = value->attr_case == IO__CLOUDEVENTS__V1__CLOUD_EVENT__CLOUD_EVENT_ATTRIBUTE_VALUE__ATTR_CE_TIMESTAMP;
                if (text && strcmp(name, "subject") == 0)
                        event->subject = value->ce_string;
                else if (text && strcmp(name, "sequence") == 0)
                        event->sequence = strtoll(value->ce_string, NULL, 10);
                else if (time && strcmp(name, "time") == 0)
                        event->time_us = value->ce_timestamp->seconds * 1000000 + value->ce_timestamp->nanos / 1000;
        }
}

static void show_event(struct nuanxin_event *event, const CloudEvent *from)
{
        *event = (struct nuanxin_event){.id = from->id, .source = from->source, .type = from->type, .subject = "", .data = ""};
        show_attributes(event, from);
        if (from->data_case == IO__CLOUDEVENTS__V1__CLOUD_EVENT__DATA_PROTO_DATA && from->proto_data->value.len) {
                event->data = from->proto_data->value.data;
                event->data_size = from->proto_data->value.len;
        }
}

static void show_batch(struct nuanxin_subscriber *s, bool snapshot, struct nuanxin_batch *ret)
{
        const Batch *b = s->batch;
        size_t n = b->events ? b->events->n_events : 0;
        s->events = allocate(n * sizeof(*s->events));
        for (size_t i = 0; i < n; i++)
                show_event(&s->events[i], b->events->events[i]);
        *ret = (struct nuanxin_batch){
                .cursor = b->cursor, .n_events = n, .events = s->events, .snapshot = snapshot,
                .from = b->from, .through = b->through, .latest = b->latest,
                .head = b->head.data, .head_size = b->head.len, .signature = b->signature.data, .signature_size = b->signature.len,
        };
}

/* Waits as it was told; -EINTR. */
static int pause_for(uint32_t ms)
{
        return zmq_poll(NULL, 0, ms < 10 ? 10 : ms > 60000 ? 60000 : (long)ms) < 0 ? -errno : 0;
}

/* 1: the fetch may be tried again. */
static int on_refusal(struct nuanxin_subscriber *s)
{
        const Refused *r = s->refused;
        if (strcmp(r->type, GONE) == 0 && strcmp(s->cursor, SNAPSHOT) != 0) {
                nuanxin_subscriber_resume(s, SNAPSHOT);
                return 1;
        }
        if (r->status == 503 || r->status == 429) {
                int failed = pause_for(r->retry_after_ms);
                return failed < 0 ? failed : 1;
        }
        s->refusal = (struct nuanxin_refusal){.type = r->type, .title = r->title, .detail = r->detail, .status = r->status};
        return 0;
}

int nuanxin_next(struct nuanxin_subscriber *s, struct nuanxin_batch *ret_batch)
{
        int r;
        while ((r = fetch(s)) == 0 && s->refused)
                if ((r = on_refusal(s)) <= 0)
                        return r < 0 ? r : NUANXIN_E_REFUSED;
        if (r != 0)
                return r;
        show_batch(s, strncmp(s->cursor, SNAPSHOT, strlen(SNAPSHOT)) == 0, ret_batch);
        nuanxin_subscriber_resume(s, ret_batch->cursor);
        return 0;
}

void nuanxin_subscriber_resume(struct nuanxin_subscriber *s, const char *cursor)
{
        snprintf(s->cursor, sizeof(s->cursor), "%s", cursor);
}

void nuanxin_subscriber_pace(struct nuanxin_subscriber *s, int max_events, int wait_s)
{
        s->max_events = max_events;
        s->wait_s = wait_s;
}

const struct nuanxin_refusal *nuanxin_refused(const struct nuanxin_subscriber *s)
{
        return &s->refusal;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static bool is_key(const char *key)
{
        uint8_t bytes[32];
        return key && strlen(key) == KEY_SIZE - 1 && zmq_z85_decode(bytes, key);
}

/* The last line of a small file. */
static int read_key(const char *path, char ret_key[KEY_SIZE])
{
        char line[64];
        FILE *file = fopen(path, "re");
        if (!file)
                return -errno;
        ret_key[0] = '\0';
        while (fgets(line, sizeof(line), file))
                snprintf(ret_key, KEY_SIZE, "%.*s", (int)strcspn(line, "\r\n"), line);
        fclose(file);
        explicit_bzero(line, sizeof(line));
        return is_key(ret_key) ? 0 : -EINVAL;
}

static void copy_types(struct nuanxin_subscriber *s, const char *const *types)
{
        while (types && types[s->n_types])
                s->n_types++;
        s->types = allocate((s->n_types + 1) * sizeof(*s->types));
        for (size_t i = 0; i < s->n_types; i++)
                s->types[i] = copy(types[i]);
}

int nuanxin_subscriber_new(const char *endpoints, const char *edge_key, const char *key_file, const char *const *types,
                           struct nuanxin_subscriber **ret_subscriber)
{
        if (!is_key(edge_key))
                return -EINVAL;
        struct nuanxin_subscriber *s = allocate(sizeof(*s));
        s->context = zmq_ctx_new();
        s->endpoints = copy(endpoints);
        memcpy(s->edge_key, edge_key, KEY_SIZE);
        nuanxin_subscriber_pace(s, MAX_EVENTS, WAIT_S);
        copy_types(s, types);
        int r = s->context ? read_key(key_file, s->secret_key) : -errno;
        if (r == 0 && zmq_curve_public(s->public_key, s->secret_key) < 0)
                r = -EINVAL;
        if (r == 0)
                r = call(s);
        if (r < 0)
                nuanxin_subscriber_free(s);
        else
                *ret_subscriber = s;
        return r;
}

struct nuanxin_subscriber *nuanxin_subscriber_free(struct nuanxin_subscriber *s)
{
        if (!s)
                return NULL;
        hang_up(s);
        if (s->context)
                zmq_ctx_term(s->context);
        forget_answer(s);
        for (size_t i = 0; i < s->n_types; i++)
                free(s->types[i]);
        free(s->types);
        free(s->endpoints);
        explicit_bzero(s->secret_key, sizeof(s->secret_key));
        free(s);
        return NULL;
}
