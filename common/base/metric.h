/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters, gauges and histograms, declared once with their documentation; /metrics comes from there
 * (Prometheus text format 0.0.4). Updates are relaxed atomics, from any thread; registration happens before
 * the threads start, or under the registry's lock for series that appear later.
 */
#pragma once

#include "common/base/str.h"

#include <stdatomic.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Declare as a static const, once, where it is counted. name: nuanxin_<what>_<unit>[_total]. */
struct metric_family {
        const char *name;
        const char *help;
        enum metric_kind kind;
};

/* Durations in histograms are given in microseconds and shown in seconds: upper bounds 50 us … 10 s; what
 * is not a duration (a batch size) uses METRIC_HISTOGRAM with the same bounds read as plain numbers when
 * `unit_us` is false. */
#define METRIC_BUCKETS 18

struct metric {
        const struct metric_family *family;
        char *labels; /* 'method="…",code="…"' or "" */
        bool unit_us;
        _Atomic int64_t value; /* counter or gauge */
        _Atomic uint64_t buckets[METRIC_BUCKETS];
        _Atomic uint64_t count;
        _Atomic uint64_t sum;
        struct metric *next;
};

struct metric_registry;
struct metric_registry *metric_registry_new(void);
struct metric_registry *metric_registry_free(struct metric_registry *registry);
DEFINE_CLEANUP(struct metric_registry *, metric_registry_free)

/* One series of a family; the registry owns it, its address is stable. The same family and labels give the
 * same series. labels_format: printf of already escaped label pairs, or "" for none. */
struct metric *metric_new(struct metric_registry *registry, const struct metric_family *family,
                          const char *labels_format, ...) PRINTF(3, 4);
/* A histogram of plain numbers (batch sizes) instead of durations. */
struct metric *metric_new_plain(struct metric_registry *registry, const struct metric_family *family);

static inline void metric_add(struct metric *m, int64_t n)
{
        atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

static inline void metric_set(struct metric *m, int64_t v)
{
        atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

static inline int64_t metric_get(const struct metric *m)
{
        return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void metric_observe(struct metric *m, int64_t value);

/* The value under which fraction q (0..1) of observations fell, by bucket; 0 with none. For `status`. */
int64_t metric_quantile(const struct metric *m, double q);

/* Appends the whole registry as Prometheus text. */
void metric_write(struct metric_registry *registry, struct buf *out);
