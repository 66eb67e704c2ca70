/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry behind /metrics.
 */
#include "common/base/metric.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t bounds[METRIC_BUCKETS - 1] = {
        50,    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
        50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};
static const int64_t plain_bounds[METRIC_BUCKETS - 1] = {
        1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 4096,
};

struct metric_registry {
        pthread_mutex_t lock;
        struct metric *first;
        struct metric **tail;
};

struct metric_registry *metric_registry_new(void)
{
        struct metric_registry *r = mem_zalloc(sizeof(*r));
        pthread_mutex_init(&r->lock, NULL);
        r->tail = &r->first;
        return r;
}

struct metric_registry *metric_registry_free(struct metric_registry *r)
{
        if (!r)
                return NULL;
        while (r->first) {
                struct metric *m = r->first;
                r->first = m->next;
                free(m->labels);
                free(m);
        }
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

/* Takes labels. Series of one family stay together, as the text format asks. */
static struct metric *add(struct metric_registry *r, const struct metric_family *family, char *labels, bool unit_us)
{
        struct metric *m, *last_of_family = NULL;
        pthread_mutex_lock(&r->lock);
        for (m = r->first; m; m = m->next) {
                if (m->family != family)
                        continue;
                last_of_family = m;
                if (strcmp(m->labels, labels) == 0)
                        break;
        }
        if (m) {
                free(labels);
        } else {
                m = mem_zalloc(sizeof(*m));
                m->family = family;
                m->labels = labels;
                m->unit_us = unit_us;
                struct metric **at = last_of_family ? &last_of_family->next : r->tail;
                m->next = *at;
                *at = m;
                if (!m->next)
                        r->tail = &m->next;
        }
        pthread_mutex_unlock(&r->lock);
        return m;
}

struct metric *metric_new(struct metric_registry *r, const struct metric_family *family, const char *format, ...)
{
        char *labels = NULL;
        va_list args;
        va_start(args, format);
        if (vasprintf(&labels, format, args) < 0)
                abort();
        va_end(args);
        return add(r, family, labels, true);
}

struct metric *metric_new_plain(struct metric_registry *r, const struct metric_family *family)
{
        return add(r, family, mem_strdup(""), false);
}

void metric_observe(struct metric *m, int64_t value)
{
        const int64_t *limits = m->unit_us ? bounds : plain_bounds;
        size_t i = 0;
        if (value < 0)
                value = 0;
        while (i < METRIC_BUCKETS - 1 && value > limits[i])
                i++;
        atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&m->sum, (uint64_t)value, memory_order_relaxed);
        atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

int64_t metric_quantile(const struct metric *m, double q)
{
        const int64_t *limits = m->unit_us ? bounds : plain_bounds;
        uint64_t count = atomic_load_explicit(&m->count, memory_order_relaxed), seen = 0;
        if (!count)
                return 0;
        for (size_t i = 0; i < METRIC_BUCKETS - 1; i++) {
                seen += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
                if ((double)seen >= q * (double)count)
                        return limits[i];
        }
        return limits[METRIC_BUCKETS - 2];
}

static void write_bound(struct buf *out, const struct metric *m, int64_t bound)
{
        if (m->unit_us)
                buf_printf(out, "%g", (double)bound / 1e6);
        else
                buf_printf(out, "%" PRId64, bound);
}

static void write_histogram(const struct metric *m, struct buf *out)
{
        const char *comma = m->labels[0] ? "," : "";
        const int64_t *limits = m->unit_us ? bounds : plain_bounds;
        uint64_t seen = 0;
        for (size_t i = 0; i < METRIC_BUCKETS; i++) {
                seen += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
                buf_printf(out, "%s_bucket{%s%sle=\"", m->family->name, m->labels, comma);
                if (i < METRIC_BUCKETS - 1)
                        write_bound(out, m, limits[i]);
                else
                        buf_add_z(out, "+Inf");
                buf_printf(out, "\"} %" PRIu64 "\n", seen);
        }
        double sum = (double)atomic_load_explicit(&m->sum, memory_order_relaxed);
        const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
        buf_printf(out, "%s_sum%s%s%s %g\n", m->family->name, open, m->labels, close, m->unit_us ? sum / 1e6 : sum);
        buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", m->family->name, open, m->labels, close, seen);
}

void metric_write(struct metric_registry *r, struct buf *out)
{
        static const char *const kinds[] = {"counter", "gauge", "histogram"};
        const struct metric_family *family = NULL;
        pthread_mutex_lock(&r->lock);
        for (const struct metric *m = r->first; m; m = m->next) {
                if (m->family != family) {
                        family = m->family;
                        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                                   kinds[family->kind]);
                }
                if (family->kind == METRIC_HISTOGRAM)
                        write_histogram(m, out);
                else
                        buf_printf(out, "%s%s%s%s %" PRId64 "\n", family->name, m->labels[0] ? "{" : "", m->labels,
                                   m->labels[0] ? "}" : "", metric_get(m));
        }
        pthread_mutex_unlock(&r->lock);
}
