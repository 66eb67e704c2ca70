/* SPDX-License-Identifier: Apache-2.0
 *
 * Follows membership's outbox for changed rights, and tells Redis which generation of an account, member or client is
 * still good. Every gateway does so; doing it twice changes nothing. The cursor is kept in Redis, moved only after what
 * stood before it was told, so nothing is missed between gateways.
 */
#pragma once

#include "services/gateway/worker.h"

struct revocations *revocations_new(struct worker *worker);
/* Redis is there again, maybe with less than it had been told: goes on from the cursor that it has. NULL: nothing. */
void revocations_redis_back(struct revocations *revocations);
struct revocations *revocations_free(struct revocations *revocations);
