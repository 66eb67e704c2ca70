/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of a move, as requests of the write lane.
 */
#include "common/rpc/move.h"

#include "common/base/log.h"
#include "common/rpc/peer.h"
#include "common/rpc/write_lane.h"
#include "contract/internal_v1.h"

#include <stdio.h>

#define FOLLOW_US (60 * CLOCK_SECOND_US) /* without another word */
#define HOLD_US   (2 * CLOCK_SECOND_US)

typedef Nuanxin__Internal__V1__MoveStoreRequest MoveStoreRequest;
typedef Nuanxin__Internal__V1__MoveStoreResponse MoveStoreResponse;
typedef Nuanxin__Internal__V1__LeaveStoreRequest LeaveStoreRequest;
typedef Nuanxin__Internal__V1__LeaveStoreResponse LeaveStoreResponse;

#define STEP(name) NUANXIN__INTERNAL__V1__MOVE_STORE_REQUEST__STEP__##name

int move_load(struct write_lane *lane)
{
        return lane->shared ? 0 : store_use_read(lane->db, &lane->use);
}

bool move_holds(const struct write_lane *lane)
{
        return lane->use.state == STORE_HELD || lane->use.state == STORE_MOVED;
}

bool move_is_step(const struct rpc_call *call)
{
        return call->served && call->served->contract == &internal_v1_move_store;
}

void move_committed(const struct write_lane *lane, enum store_state before)
{
        if (lane->use.state != before)
                server_use(lane->server, lane->use.state);
}

/* --- steps ----------------------------------------------------------------------------------------------------------- */

static int set_use(struct write_lane *lane, enum store_state state, int64_t until_us)
{
        struct store_use use = lane->use;
        use.state = state;
        use.until_us = until_us;
        int r = store_use_write(lane->db, &use);
        if (r == 0)
                lane->use = use;
        return r;
}

static int follow(struct write_lane *lane, const MoveStoreRequest *request, int64_t now)
{
        bool new_one = lane->use.state == STORE_IN_USE || strcmp(lane->use.id, request->move) != 0;
        int r = 0;
        if (new_one) {
                r = store_follow_end(lane->db); /* of one that was broken off */
                if (r == 0)
                        r = store_follow_begin(lane->db);
                snprintf(lane->use.id, sizeof(lane->use.id), "%s", request->move);
                snprintf(lane->use.other, sizeof(lane->use.other), "%s", request->target);
                log_info("the store is being copied, its changes are noted", "to=\"%s\"", request->target);
        }
        return r == 0 ? set_use(lane, STORE_FOLLOWED, now + FOLLOW_US) : r;
}

static int end(struct write_lane *lane)
{
        int r = store_follow_end(lane->db);
        return r == 0 ? set_use(lane, STORE_IN_USE, 0) : r;
}

/* Of a move that has given up, or that another took the place of, nothing is taken any more. */
static int refuse(MoveStoreResponse *response, const struct store_use *use)
{
        response->refusal = (char *)(use->state == STORE_MOVED ? "the store was moved already" : "this move has ended: nobody went on with it in time");
        return 0;
}

static int take_step(struct rpc_call *call, struct write_lane *lane, const MoveStoreRequest *request, MoveStoreResponse *response)
{
        const struct store_use *use = &lane->use;
        bool ours = strcmp(use->id, request->move) == 0, in_time = call->now_us < use->until_us;
        switch (request->step) {
        case STEP(FOLLOW):
                return use->state == STORE_MOVED ? refuse(response, use) : follow(lane, request, call->now_us);
        case STEP(HOLD):
                return ours && use->state == STORE_FOLLOWED && in_time ? set_use(lane, STORE_HELD, call->now_us + HOLD_US)
                                                                       : refuse(response, use);
        case STEP(RESUME):
                return ours && use->state == STORE_HELD ? set_use(lane, STORE_FOLLOWED, call->now_us + FOLLOW_US) : refuse(response, use);
        case STEP(LEAVE):
                return ours && use->state == STORE_HELD && in_time ? set_use(lane, STORE_MOVED, 0) : refuse(response, use);
        case STEP(END):
                return ours && use->state != STORE_MOVED ? end(lane) : refuse(response, use);
        default:
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT);
        }
}

int handle_move_store(struct rpc_call *call, const MoveStoreRequest *request, MoveStoreResponse *response)
{
        if (call->principal->kind != NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED, "");
        if (call->writer->shared)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_IMPLEMENTED);
        rpc_audit_subject(call, request->move, "");
        return take_step(call, call->writer, request, response);
}

int handle_leave_store(struct rpc_call *call, const LeaveStoreRequest *request, LeaveStoreResponse *response)
{
        struct store_use use;
        (void)request;
        int r = store_use_read(call->db, &use);
        if (r != 0)
                return r;
        response->left = use.state == STORE_MOVED;
        if (response->left)
                server_use(call->server, STORE_MOVED);
        return 0;
}

/* --- the end of what was broken off ------------------------------------------------------------------------------------ */

static int give_up(struct write_lane *lane, void *arg)
{
        (void)arg;
        return end(lane);
}

void move_watch(struct write_lane *lane)
{
        if ((lane->use.state != STORE_FOLLOWED && lane->use.state != STORE_HELD) ||
            clock_now_us(lane->server->options.clock) < lane->use.until_us)
                return;
        log_warn("nobody went on with moving the store: all is as before", "to=\"%s\"", lane->use.other);
        int r = write_lane_transaction(lane, give_up, NULL);
        if (r != 0)
                log_error("the move of the store could not be ended", "error=%d store=\"%s\"", r, store_last_error(lane->db));
}
