/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process keeps in memory of agencies: its life and its figures.
 */
#include "services/stream/agencies.h"

#include "services/stream/agencies_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SPARE_MOST (2 * 1024 * 1024)

static const struct metric_family sent_family = {
        "nuanxin_stream_events_sent_total", "Events that agencies were given, by transport.", METRIC_COUNTER};
static const struct metric_family refused_family = {
        "nuanxin_stream_refusals_total", "Fetches that were refused, by problem.", METRIC_COUNTER};
static const struct metric_family bytes_family = {
        "nuanxin_stream_segment_bytes", "Memory that rendered events take.", METRIC_GAUGE};

struct agencies *agencies_new(size_t segment_bytes)
{
        struct agencies *a = mem_zalloc(sizeof(*a));
        pthread_mutex_init(&a->lock, NULL);
        a->segments = segments_new(segment_bytes);
        return a;
}

struct agencies *agencies_free(struct agencies *a)
{
        if (!a)
                return NULL;
        profiles_done(a);
        notes_done(a);
        segments_free(a->segments);
        while (a->n_spares)
                buf_done(&a->spares[--a->n_spares]);
        pthread_mutex_destroy(&a->lock);
        free(a);
        return NULL;
}

struct segments *agencies_segments(struct agencies *a)
{
        return a->segments;
}

void agencies_count_sent(struct agencies *a, struct metric_registry *metrics, const char *transport, size_t n)
{
        if (n)
                metric_add(metric_new(metrics, &sent_family, "transport=\"%s\"", transport), (int64_t)n);
        metric_set(metric_new(metrics, &bytes_family, "%s", ""), (int64_t)segments_bytes(a->segments));
}

void agencies_count_refused(struct metric_registry *metrics, Nuanxin__Problem problem)
{
        const char *type = contract_problem_of(problem)->type;
        metric_add(metric_new(metrics, &refused_family, "problem=\"%s\"", strrchr(type, ':') + 1), 1);
}

struct buf agencies_buf_take(struct agencies *a)
{
        struct buf buf = {0};
        pthread_mutex_lock(&a->lock);
        if (a->n_spares)
                buf = a->spares[--a->n_spares];
        pthread_mutex_unlock(&a->lock);
        return buf;
}

void agencies_buf_give(struct agencies *a, struct buf *buf)
{
        pthread_mutex_lock(&a->lock);
        bool kept = a->n_spares < SPARES && buf->cap <= SPARE_MOST;
        if (kept)
                a->spares[a->n_spares++] = (struct buf){.p = buf->p, .cap = buf->cap};
        pthread_mutex_unlock(&a->lock);
        if (!kept)
                buf_done(buf);
        *buf = (struct buf){0};
}

static bool is_signed(const struct signed_batch *s, const char *epoch, int64_t through, const unsigned char *head)
{
        return s->through == through && strcmp(s->epoch, epoch) == 0 && memcmp(s->head, head, CHAIN_SIZE) == 0;
}

void agencies_sign(struct rpc_call *call, const char epoch[LOG_EPOCH_SIZE], int64_t through, const unsigned char head[CHAIN_SIZE],
                   unsigned char out[SIGNATURE_SIZE])
{
        struct agencies *a = agencies_of(call);
        struct signed_batch *kept = &a->signatures[(uint64_t)through % SIGNED];
        pthread_mutex_lock(&a->lock);
        bool found = is_signed(kept, epoch, through, head);
        if (found)
                memcpy(out, kept->signature, SIGNATURE_SIZE);
        pthread_mutex_unlock(&a->lock);
        if (found)
                return;
        log_sign(call, epoch, through, head, out);
        pthread_mutex_lock(&a->lock);
        snprintf(kept->epoch, sizeof(kept->epoch), "%s", epoch);
        kept->through = through;
        memcpy(kept->head, head, CHAIN_SIZE);
        memcpy(kept->signature, out, SIGNATURE_SIZE);
        pthread_mutex_unlock(&a->lock);
}
