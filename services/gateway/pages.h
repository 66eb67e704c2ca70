/* SPDX-License-Identifier: Apache-2.0
 *
 * The fixed pages: /openapi.json, /asyncapi.json, /docs, and / which points at them. Made once, compressed too; cacheable.
 */
#pragma once

#include "services/gateway/answer.h"

struct pages *pages_new(void);
struct pages *pages_free(struct pages *pages);
/* Answers if the path is one of them (405 to other methods than GET, HEAD, OPTIONS). */
bool pages_answer(const struct pages *pages, struct request *request);
