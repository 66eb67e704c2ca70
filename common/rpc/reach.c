/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps since when the store is not reached, as all threads of the process find.
 */
#include "common/rpc/reach.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#define SAY_AFTER_US CLOCK_SECOND_US
#define SAY_EVERY_US CLOCK_MINUTE_US

static const struct metric_family reached_family = {
        "nuanxin_store_reached", "1 while the service's database is reached.", METRIC_GAUGE};

void reach_init(struct reach *reach, struct metric_registry *metrics)
{
        reach->reached = metric_new(metrics, &reached_family, "%s", "");
        metric_set(reach->reached, 1);
}

void reach_lost(struct reach *reach, const char *why)
{
        int64_t now = clock_monotonic_us(), since = 0;
        if (atomic_compare_exchange_strong(&reach->lost_us, &since, now)) {
                metric_set(reach->reached, 0);
                return;
        }
        int64_t said = atomic_load(&reach->said_us);
        if (now - since < SAY_AFTER_US || (said && now - said < SAY_EVERY_US))
                return;
        if (atomic_compare_exchange_strong(&reach->said_us, &said, now))
                log_warn("the database is not reached: requests are told to come again", "for_s=%lld why=\"%s\"",
                         (long long)((now - since) / CLOCK_SECOND_US), why);
}

void reach_found(struct reach *reach)
{
        if (!atomic_load_explicit(&reach->lost_us, memory_order_relaxed))
                return;
        int64_t since = atomic_exchange(&reach->lost_us, 0);
        metric_set(reach->reached, 1);
        if (atomic_exchange(&reach->said_us, 0))
                log_info("the database is reached again", "after_ms=%lld",
                         (long long)((clock_monotonic_us() - since) / 1000));
}

int64_t reach_away_us(const struct reach *reach)
{
        int64_t since = atomic_load_explicit(&reach->lost_us, memory_order_relaxed);
        return since ? clock_monotonic_us() - since : 0;
}
