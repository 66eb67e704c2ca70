/* SPDX-License-Identifier: Apache-2.0
 *
 * The webhooks' counters and gauges.
 */
#include "services/stream/webhook_figures.h"

#include "common/base/log.h"

#define BEHIND_US CLOCK_HOUR_US

static const struct metric_family attempts_family = {
        "nuanxin_webhook_attempts_total", "Requests sent to webhooks, and events that never can be, by outcome.", METRIC_COUNTER};
static const struct metric_family took_family = {
        "nuanxin_webhook_attempt_seconds", "Time until a webhook answered, or did not.", METRIC_HISTOGRAM};
static const struct metric_family under_way_family = {
        "nuanxin_webhook_under_way", "Requests to webhooks under way.", METRIC_GAUGE};
static const struct metric_family endpoints_family = {
        "nuanxin_webhook_endpoints", "Webhook endpoints, by state.", METRIC_GAUGE};
static const struct metric_family behind_family = {
        "nuanxin_webhook_behind", "Events in the log after an endpoint's position.", METRIC_GAUGE};
static const struct metric_family behind_seconds_family = {
        "nuanxin_webhook_behind_seconds",
        "Age of the first event in the log after an endpoint's position; alert on it.", METRIC_GAUGE};
static const struct metric_family failures_family = {
        "nuanxin_webhook_failures_total", "Jobs of the webhook worker that failed and were tried again.", METRIC_COUNTER};

void webhook_figures_init(struct webhook_figures *f, struct metric_registry *metrics)
{
        static const char *const outcomes[] = {[WEBHOOK_DONE] = "done", [WEBHOOK_RETRY] = "retry", [WEBHOOK_ENDED] = "ended",
                                               [WEBHOOK_GONE] = "gone", [WEBHOOK_PASSED] = "passed"};
        static const char *const states[] = {[WEBHOOK_ACTIVE] = "active", [WEBHOOK_PAUSED] = "paused",
                                             [WEBHOOK_DISABLED] = "disabled"};
        f->metrics = metrics;
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
                f->outcomes[i] = metric_new(metrics, &attempts_family, "outcome=\"%s\"", outcomes[i]);
        f->dead = metric_new(metrics, &attempts_family, "outcome=\"dead\"");
        for (int i = WEBHOOK_ACTIVE; i <= WEBHOOK_DISABLED; i++)
                f->by_state[i] = metric_new(metrics, &endpoints_family, "state=\"%s\"", states[i]);
        f->took = metric_new(metrics, &took_family, "%s", "");
        f->under_way = metric_new(metrics, &under_way_family, "%s", "");
        f->failures = metric_new(metrics, &failures_family, "%s", "");
}

static void show(const struct webhook_figures *f, const struct endpoint_standing *item, int64_t behind, int64_t age_us)
{
        metric_set(metric_new(f->metrics, &behind_family, "agency=\"%s\",endpoint=\"%s\"", item->agency, item->id), behind);
        metric_set(metric_new(f->metrics, &behind_seconds_family, "agency=\"%s\",endpoint=\"%s\"", item->agency, item->id),
                   age_us > 0 ? age_us / CLOCK_SECOND_US : 0);
}

static void say(struct endpoint_standing *item, bool said, int64_t age_us)
{
        item->said = age_us > BEHIND_US;
        if (item->said && !said)
                log_warn("an endpoint falls behind", "endpoint=%s agency=%s events=%lld", item->id, item->agency,
                         (long long)item->behind);
}

/* Both lists are in rising order of their ids. */
void webhook_figures_show(struct webhook_figures *f, const struct survey *before, struct survey *now, int64_t now_us)
{
        int64_t by_state[WEBHOOK_DISABLED + 1] = {0};
        size_t k = 0;
        for (size_t i = 0; i < now->n; i++) {
                struct endpoint_standing *item = &now->items[i];
                int64_t age_us = item->since_us ? now_us - item->since_us : 0;
                while (k < before->n && strcmp(before->items[k].id, item->id) < 0)
                        show(f, &before->items[k++], 0, 0); /* deleted */
                bool knew = k < before->n && strcmp(before->items[k].id, item->id) == 0;
                say(item, knew && before->items[k].said, age_us);
                k += knew;
                show(f, item, item->behind, age_us);
                by_state[item->state]++;
        }
        while (k < before->n)
                show(f, &before->items[k++], 0, 0);
        for (int state = WEBHOOK_ACTIVE; state <= WEBHOOK_DISABLED; state++)
                metric_set(f->by_state[state], by_state[state]);
}

void webhook_figures_hide(struct webhook_figures *f, struct survey *shown)
{
        for (size_t i = 0; i < shown->n; i++)
                show(f, &shown->items[i], 0, 0);
        for (int state = WEBHOOK_ACTIVE; state <= WEBHOOK_DISABLED; state++)
                metric_set(f->by_state[state], 0);
        shown->n = 0;
}
