/* SPDX-License-Identifier: Apache-2.0
 *
 * What /metrics says of webhooks.
 */
#pragma once

#include "common/base/metric.h"
#include "services/stream/webhook_look.h"

struct webhook_figures {
        struct metric_registry *metrics;
        struct metric *outcomes[WEBHOOK_PASSED + 1], *dead, *took, *under_way, *by_state[WEBHOOK_DISABLED + 1], *failures;
};
void webhook_figures_init(struct webhook_figures *figures, struct metric_registry *metrics);

/* How the endpoints stand now, and `before`. Who falls behind by an hour is said in the log too, once. */
void webhook_figures_show(struct webhook_figures *figures, const struct survey *before, struct survey *now, int64_t now_us);
/* While this instance does not lead it shows nothing, since another does. Empties the survey. */
void webhook_figures_hide(struct webhook_figures *figures, struct survey *shown);
