/* SPDX-License-Identifier: Apache-2.0
 *
 * The waiting list: who waits gets a place as soon as one is free, in the transaction that freed it.
 */
#include "handle.h"

#define DUE_PROMOTE "activity.promote"

static int tell(struct rpc_call *call, const struct activity *activity, const struct registration *g)
{
        RegistrationPromoted *event = message_new(rpc_arena(call), &activity_v1_registration_promoted_msg);
        event->registration = (char *)g->id;
        event->activity = (char *)g->activity;
        event->campaign = (char *)activity->campaign;
        event->member = (char *)g->member;
        event->organization = (char *)g->organization;
        return rpc_emit(call, &activity_v1_registration_promoted_msg, event, g->id, g->organization);
}

int promote_waiting(struct rpc_call *call, const struct activity *activity, struct seat *seat)
{
        int64_t room = seat->capacity - seat->taken, wanted = seat->waiting < room ? seat->waiting : room;
        int64_t n = wanted < PROMOTE_AT_ONCE ? wanted : PROMOTE_AT_ONCE;
        int r = 0;
        if (n <= 0)
                return 0;
        for (int64_t i = 0; r == 0 && i < n; i++) {
                struct registration g;
                r = registration_promote(rpc_db(call), rpc_arena(call), activity->id, rpc_now(call), &g);
                if (r == ACTIVITY_E_ABSENT)
                        return -EUCLEAN; /* the seat row says that somebody waits */
                if (r == 0)
                        r = tell(call, activity, &g);
        }
        if (r == 0)
                r = seat_change(rpc_db(call), activity->id, n, -n, seat);
        if (r == 0 && n < wanted)
                r = rpc_due_add(call, DUE_PROMOTE, activity->id, rpc_now(call), (struct str){0});
        return r;
}

/* Due work: what did not fit into one transaction. */
int due_promote(struct rpc_call *call, const char *activity, struct str payload)
{
        (void)payload;
        struct activity a;
        struct seat seat;
        int r = activity_load(rpc_db(call), rpc_arena(call), activity, &a);
        if (r == 0)
                r = seat_change(rpc_db(call), activity, 0, 0, &seat);
        if (r == ACTIVITY_E_ABSENT)
                return 0;
        if (r == 0 && (a.state == ACTIVITY_OPEN || a.state == ACTIVITY_CLOSED))
                r = promote_waiting(call, &a, &seat);
        return r;
}
