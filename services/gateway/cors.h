/* SPDX-License-Identifier: Apache-2.0
 *
 * Cross-origin requests (the Fetch standard), for the configured origins only.
 */
#pragma once

#include "services/gateway/answer.h"

/* Access-Control-Allow-Origin and what a page may read, and Vary. */
void cors_add(struct head *head, const struct request *request);
/* The answer to a preflight, if it is one. */
void cors_add_preflight(struct head *head, struct request *request);
