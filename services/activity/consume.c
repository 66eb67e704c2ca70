/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service follows: membership's events, for its projection of organisations and members; and its own, for
 * the counts, so that no request touches a row that others count in as well.
 */
#include "handle.h"

#include "contract/membership_v1.h"

#include <stdlib.h>

#define ERASE_AT_ONCE 1000

/* --- membership ---------------------------------------------------------------------------------------------------- */

static int on_organization(struct rpc_call *call, const OrganizationChanged *event)
{
        struct organization organization = {
                .code = event->code,
                .parent = event->parent,
                .path = event->path,
                .name = event->name,
                .valid_from_us = rpc_timestamp_us(event->valid_from),
                .valid_to_us = rpc_timestamp_us(event->valid_to),
        };
        return organization_save(rpc_db(call), rpc_arena(call), &organization);
}

static int on_member(struct rpc_call *call, const MemberStateChanged *event)
{
        struct member member = {
                .organization = event->organization,
                .active = event->state == NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__ACTIVE,
                /* Who has only applied was never active. */
                .since_us = event->state == NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__APPLIED
                                    ? 0
                                    : rpc_timestamp_us(event->since),
        };
        return member_save(rpc_db(call), event->member, &member);
}

static int on_erasure(struct rpc_call *call, const MemberErased *event)
{
        int r = member_erase(rpc_db(call), event->member);
        return r == 0 ? due_erase(call, event->member, (struct str){0}) : r;
}

static int on_membership(struct rpc_call *call, const struct contract_message *type, ProtobufCMessage *event)
{
        if (type == &membership_v1_organization_changed_msg)
                return on_organization(call, (OrganizationChanged *)event);
        if (type == &membership_v1_member_state_changed_msg)
                return on_member(call, (MemberStateChanged *)event);
        return on_erasure(call, (MemberErased *)event);
}

static int apply_membership(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct rpc_event *e = &events[i];
                ProtobufCMessage *event;
                if (e->contract != &membership_v1_organization_changed_msg &&
                    e->contract != &membership_v1_member_state_changed_msg &&
                    e->contract != &membership_v1_member_erased_msg)
                        continue;
                r = message_unpack(rpc_arena(call), e->contract, e->data.p, e->data.n, &event);
                if (r == 0)
                        r = on_membership(call, e->contract, event);
        }
        return r;
}

/* Organisations stay until the snapshot has said how each is now: what was counted needs them, and none ever goes. */
static int reset_membership(struct rpc_call *call)
{
        return members_forget(rpc_db(call));
}

/* Due work: check-ins stand by activity, so the activities are gone through, some at a time. */
int due_erase(struct rpc_call *call, const char *member, struct str payload)
{
        const char *last = "", *after = arena_strndup(rpc_arena(call), payload.p, payload.n);
        int r = member_erase_scans(rpc_db(call), rpc_arena(call), member, after, ERASE_AT_ONCE, &last);
        return r == 0 && last[0] ? rpc_due_add(call, DUE_ERASE, member, rpc_now(call), str_of(last)) : r;
}

/* --- own counts ------------------------------------------------------------------------------------------------------ */

/* What events add to one row: of a campaign at an organisation, or of an activity ("" as the organisation). */
struct delta {
        const char *of, *organization;
        int64_t registered, waiting, on_site, online;
};
struct deltas {
        struct delta *items;
        size_t n, room;
};

static struct delta *delta_add(struct rpc_call *call, struct deltas *d, const char *of,
                               const char *organization)
{
        if (d->n == d->room) {
                struct delta *items = ARENA_ARRAY(rpc_arena(call), struct delta, d->room ? 2 * d->room : 64);
                if (d->n)
                        memcpy(items, d->items, d->n * sizeof(*items));
                d->items = items;
                d->room = d->room ? 2 * d->room : 64;
        }
        d->items[d->n] = (struct delta){.of = of, .organization = organization};
        return &d->items[d->n++];
}

static int delta_compare(const void *a, const void *b)
{
        const struct delta *x = a, *y = b;
        int c = strcmp(x->of, y->of);
        return c ? c : strcmp(x->organization, y->organization);
}

/* Sorts, and makes one of those for the same row. */
static void deltas_merge(struct deltas *d)
{
        size_t n = 0;
        if (d->n == 0)
                return;
        qsort(d->items, d->n, sizeof(d->items[0]), delta_compare);
        for (size_t i = 1; i < d->n; i++) {
                struct delta *into = &d->items[n], *from = &d->items[i];
                if (delta_compare(into, from) != 0) {
                        d->items[++n] = *from;
                        continue;
                }
                into->registered += from->registered;
                into->waiting += from->waiting;
                into->on_site += from->on_site;
                into->online += from->online;
        }
        d->n = n + 1;
}

static void count_way(struct delta *delta, int way, int64_t by)
{
        if (way == WAY_ONLINE)
                delta->online += by;
        else
                delta->on_site += by;
}

static void count_registration(struct delta *delta, int state, int64_t by)
{
        if (state == REGISTRATION_WAITING)
                delta->waiting += by;
        else
                delta->registered += by;
}

struct tally {
        struct deltas activities, campaigns;
};

static void count_recorded(struct rpc_call *call, struct tally *t, const CheckinRecorded *e)
{
        count_way(delta_add(call, &t->activities, e->activity, ""), (int)e->way, 1);
        count_way(delta_add(call, &t->campaigns, e->campaign, e->organization), (int)e->way, 1);
}

static void count_amended(struct rpc_call *call, struct tally *t, const CheckinAmended *e)
{
        count_way(delta_add(call, &t->activities, e->activity, ""), (int)e->previous_way, -1);
        count_way(delta_add(call, &t->activities, e->activity, ""), (int)e->way, 1);
        count_way(delta_add(call, &t->campaigns, e->campaign, e->previous_organization), (int)e->previous_way,
                  -1);
        count_way(delta_add(call, &t->campaigns, e->campaign, e->organization), (int)e->way, 1);
}

static void count_promoted(struct rpc_call *call, struct tally *t, const RegistrationPromoted *e)
{
        struct delta *delta = delta_add(call, &t->activities, e->activity, "");
        delta->waiting--;
        delta->registered++;
}

/* Reads one event into the tally; those that count nothing are skipped. */
static int count_event(struct rpc_call *call, struct tally *t, const struct rpc_event *e)
{
        const struct contract_message *type = e->contract;
        ProtobufCMessage *m;
        if (type != &activity_v1_checkin_recorded_msg && type != &activity_v1_checkin_amended_msg &&
            type != &activity_v1_registration_created_msg && type != &activity_v1_registration_promoted_msg &&
            type != &activity_v1_registration_cancelled_msg)
                return 0;
        int r = message_unpack(rpc_arena(call), type, e->data.p, e->data.n, &m);
        if (r != 0)
                return r;
        if (type == &activity_v1_checkin_recorded_msg) {
                count_recorded(call, t, (CheckinRecorded *)m);
        } else if (type == &activity_v1_checkin_amended_msg) {
                count_amended(call, t, (CheckinAmended *)m);
        } else if (type == &activity_v1_registration_promoted_msg) {
                count_promoted(call, t, (RegistrationPromoted *)m);
        } else if (type == &activity_v1_registration_created_msg) {
                RegistrationCreated *created = (RegistrationCreated *)m;
                count_registration(delta_add(call, &t->activities, created->activity, ""),
                                   (int)created->state, 1);
        } else {
                RegistrationCancelled *cancelled = (RegistrationCancelled *)m;
                count_registration(delta_add(call, &t->activities, cancelled->activity, ""),
                                   (int)cancelled->previous_state, -1);
        }
        return 0;
}

/* What counts at an organisation counts at all above it. */
static int climb(struct rpc_call *call, const struct deltas *at, struct deltas *up)
{
        for (size_t i = 0; i < at->n; i++) {
                const struct delta *from = &at->items[i];
                const char *codes[ORGANIZATION_MAX_DEPTH];
                size_t n;
                int r = organization_ancestors(rpc_db(call), rpc_arena(call), from->organization, codes, &n);
                if (r != 0)
                        return r;
                for (size_t k = 0; k < n; k++) {
                        struct delta *to = delta_add(call, up, from->of, codes[k]);
                        to->on_site = from->on_site;
                        to->online = from->online;
                }
        }
        return 0;
}

static int write_activities(struct rpc_call *call, const struct deltas *deltas)
{
        struct store_value *counts = ARENA_ARRAY(rpc_arena(call), struct store_value, 5 * deltas->n);
        for (size_t i = 0; i < deltas->n; i++) {
                const struct delta *d = &deltas->items[i];
                struct store_value *v = counts + 5 * i;
                v[0] = TEXTZ(d->of);
                v[1] = I64(d->registered);
                v[2] = I64(d->waiting);
                v[3] = I64(d->on_site);
                v[4] = I64(d->online);
        }
        return activity_count_add(rpc_db(call), counts, deltas->n);
}

static int write_tree(struct rpc_call *call, const struct deltas *deltas)
{
        struct store_value *counts = ARENA_ARRAY(rpc_arena(call), struct store_value, 4 * deltas->n);
        for (size_t i = 0; i < deltas->n; i++) {
                const struct delta *d = &deltas->items[i];
                struct store_value *v = counts + 4 * i;
                v[0] = TEXTZ(d->of);
                v[1] = TEXTZ(d->organization);
                v[2] = I64(d->on_site);
                v[3] = I64(d->online);
        }
        return campaign_count_add(rpc_db(call), counts, deltas->n);
}

static int apply_counts(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        struct tally tally = {0};
        struct deltas tree = {0};
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = count_event(call, &tally, &events[i]);
        deltas_merge(&tally.activities);
        deltas_merge(&tally.campaigns);
        if (r == 0)
                r = climb(call, &tally.campaigns, &tree);
        deltas_merge(&tree);
        if (r == 0)
                r = write_activities(call, &tally.activities);
        return r == 0 ? write_tree(call, &tree) : r;
}

static int reset_counts(struct rpc_call *call)
{
        return counts_rebuild(rpc_db(call));
}

static const char *const membership_topics[] = {"organization", "member", "erasure", NULL};

const struct rpc_consumer activity_consumers[] = {
        {.source = "membership",
         .name = "activity.membership",
         .topics = membership_topics,
         .apply = apply_membership,
         .reset = reset_membership},
        {.source = "activity", .name = "activity.counts", .apply = apply_counts, .reset = reset_counts},
        {0},
};
