/* SPDX-License-Identifier: Apache-2.0
 *
 * A service's own work of each second: what its reads noted in memory goes into the store.
 */
#include "common/rpc/call.h"
#include "common/rpc/write_lane.h"

#include "common/base/clock.h"

int tick_run(struct write_lane *lane, void *ret_wrote)
{
        static const struct job job = {0};
        struct rpc_call call = {.server = lane->server,
                                .arena = lane->arena,
                                .job = &job,
                                .principal = &lane->server->self,
                                .address = "",
                                .now_us = clock_now_us(lane->server->options.clock)};
        call_begin(&call, lane->db, lane);
        return lane->server->service->tick(&call, ret_wrote);
}
