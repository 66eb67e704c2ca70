/* SPDX-License-Identifier: Apache-2.0
 *
 * Check-ins: who is it, may it count, keep the earliest. Whether a scan counts depends on the scan, the activity and the
 * membership (rules.h), never on other scans, and which of several an attendance keeps is a total order (store.h): so
 * devices may upload what they gathered in any order, and repeat it, and the end is the same.
 *
 * A card's signature takes longer to verify than all that the store does for a scan, so that is prepared in the slow
 * lane, and the write lane only looks at what came out.
 */
#include "handle.h"

static void fill(struct rpc_call *call, Checkin *out, const struct attendance *t, int refusal)
{
        out->id = (char *)t->id;
        out->activity = (char *)t->activity;
        out->member = (char *)t->member;
        out->organization = (char *)t->organization;
        out->way = t->way;
        out->device = (char *)t->device;
        out->nonce = (char *)t->nonce;
        out->occurred_time = rpc_timestamp(call, t->occurred_us);
        out->create_time = rpc_timestamp(call, t->created_us);
        if (refusal)
                out->refusal = (char *)contract_problem_of((Nuanxin__Problem)refusal)->type;
}

/* --- who is it ----------------------------------------------------------------------------------------------------- */

static int64_t occurred_us(const struct rpc_call *call, const Scan *scan)
{
        return scan->occurred_time ? rpc_timestamp_us(scan->occurred_time) : rpc_now(call);
}

static struct who identify_by_card(struct rpc_call *call, const Scan *scan)
{
        struct card card;
        /* At the time of the scan: a card that expires while the device is offline was good. */
        int r = card_verify(rpc_keyring(call), str_of(scan->card), occurred_us(call, scan), &card);
        if (r != 0 && r != CARD_E_EXPIRED)
                return (struct who){"", "", "", NUANXIN__PROBLEM__PROBLEM_CHECKIN_CARD_FORGED};
        return (struct who){
                .member = arena_strdup(rpc_arena(call), card.member),
                .organization = arena_strdup(rpc_arena(call), card.organization),
                .path = "", /* not needed where a card is shown */
                .problem = r == 0 ? NUANXIN__PROBLEM__PROBLEM_NONE
                                  : NUANXIN__PROBLEM__PROBLEM_CHECKIN_CARD_EXPIRED,
        };
}

/* What is prepared: whose card it is, for each scan by card. */
static int prepare(struct rpc_call *call, Scan *const *scans, size_t n)
{
        struct who *cards = ARENA_ARRAY(rpc_arena(call), struct who, n);
        for (size_t i = 0; i < n; i++)
                if (scans[i]->who_case == NUANXIN__ACTIVITY__V1__SCAN__WHO_CARD)
                        cards[i] = identify_by_card(call, scans[i]);
        rpc_prepared_set(call, cards);
        return 0;
}

int prepare_create_checkin(struct rpc_call *call, const CreateCheckinRequest *request)
{
        return prepare(call, &request->scan, 1);
}

int prepare_batch_create_checkins(struct rpc_call *call, const BatchCreateCheckinsRequest *request)
{
        return prepare(call, request->scans, request->n_scans);
}

static int identify_by_code(struct rpc_call *call, const char *activity, const char *typed, struct who *ret)
{
        char code[REGISTRATION_CODE_SIZE];
        struct registration g;
        *ret = (struct who){"", "", "", NUANXIN__PROBLEM__PROBLEM_CHECKIN_CODE_INVALID};
        if (registration_code_parse(str_of(typed), code) != 0)
                return 0;
        int r = registration_of_code(rpc_db(call), rpc_arena(call), activity, code, &g);
        ret->problem = NUANXIN__PROBLEM__PROBLEM_CHECKIN_CODE_UNKNOWN;
        if (r == ACTIVITY_E_ABSENT)
                return 0;
        if (r == 0)
                *ret = (struct who){g.member, g.organization, g.path, NUANXIN__PROBLEM__PROBLEM_NONE};
        return r;
}

/* card: as prepared. */
static int identify(struct rpc_call *call, const char *activity, const Scan *scan, const struct who *card,
                    struct who *ret, int *ret_way)
{
        switch (scan->who_case) {
        case NUANXIN__ACTIVITY__V1__SCAN__WHO_CARD:
                *ret_way = WAY_CARD;
                *ret = *card;
                return 0;
        case NUANXIN__ACTIVITY__V1__SCAN__WHO_CODE:
                *ret_way = WAY_CODE;
                return identify_by_code(call, activity, scan->code, ret);
        case NUANXIN__ACTIVITY__V1__SCAN__WHO_MEMBER:
        case NUANXIN__ACTIVITY__V1__SCAN__WHO_ONLINE: {
                bool online = scan->who_case == NUANXIN__ACTIVITY__V1__SCAN__WHO_ONLINE;
                const char *id = online ? scan->online : scan->member;
                *ret_way = online ? WAY_ONLINE : WAY_STAFF;
                return find_member(call, id[0] ? id : rpc_principal(call)->member,
                                   NUANXIN__PROBLEM__PROBLEM_CHECKIN_MEMBER_UNKNOWN,
                                   NUANXIN__PROBLEM__PROBLEM_NONE, ret);
        }
        default:
                return rpc_invalid(call, "", "oneof", "needs one of card, code, member and online",
                                   "card、code、member、online 须填其一");
        }
}

/* --- one scan ------------------------------------------------------------------------------------------------------ */

/* What a scan comes to: counted (problem is PROBLEM_NONE) or to be kept as refused. */
struct judged {
        struct scan_context context;
        const char *member_path; /* of a scan online */
        struct attendance scan;
        Nuanxin__Problem problem;
};

static int judge(struct rpc_call *call, const char *activity, const Scan *scan, const struct who *card,
                 struct judged *ret)
{
        struct who who;
        int way = 0, r = identify(call, activity, scan, card, &who, &way);
        if (r == 0)
                r = scan_context_load(rpc_db(call), rpc_arena(call), activity, who.member, who.organization,
                                      &ret->context);
        if (r == ACTIVITY_E_ABSENT)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_NOT_FOUND);
        if (r != 0)
                return r;
        ret->member_path = who.path;
        ret->scan = (struct attendance){
                .id = rpc_new_id(call),
                .activity = activity,
                .member = who.member,
                .organization = who.organization,
                .way = way,
                .device = scan->device,
                .nonce = scan->nonce,
                .occurred_us = occurred_us(call, scan),
                .created_us = rpc_now(call),
        };
        struct scan_facts facts = {
                .now_us = rpc_now(call),
                .occurred_us = ret->scan.occurred_us,
                .way = way,
                .identity = who.problem,
                .organization_known = ret->context.organization_known,
                .inactive = ret->context.inactive,
                .inactive_us = ret->context.inactive_us,
                .campaign_state = ret->context.campaign_state,
                .campaign_closed_us = ret->context.campaign_closed_us,
                .activity_state = ret->context.activity_state,
                .mode = ret->context.mode,
                .start_us = ret->context.start_us,
                .end_us = ret->context.end_us,
                .closed_us = ret->context.closed_us,
                .registration_required = ret->context.registration_required,
                .registration = ret->context.registration,
                .registration_changed_us = ret->context.registration_changed_us,
        };
        ret->problem = scan_decide(&facts);
        return 0;
}

static int emit_recorded(struct rpc_call *call, const char *campaign, const struct attendance *t)
{
        CheckinRecorded *event = message_new(rpc_arena(call), &activity_v1_checkin_recorded_msg);
        event->checkin = (char *)t->id;
        event->activity = (char *)t->activity;
        event->campaign = (char *)campaign;
        event->member = (char *)t->member;
        event->organization = (char *)t->organization;
        event->way = t->way;
        event->occurred_time = rpc_timestamp(call, t->occurred_us);
        return rpc_emit(call, &activity_v1_checkin_recorded_msg, event, t->id, t->organization);
}

static int emit_amended(struct rpc_call *call, const char *campaign, const struct attendance *t)
{
        CheckinAmended *event = message_new(rpc_arena(call), &activity_v1_checkin_amended_msg);
        event->checkin = (char *)t->id;
        event->activity = (char *)t->activity;
        event->campaign = (char *)campaign;
        event->member = (char *)t->member;
        event->organization = (char *)t->organization;
        event->way = t->way;
        event->occurred_time = rpc_timestamp(call, t->occurred_us);
        event->previous_organization = (char *)t->previous_organization;
        event->previous_way = t->previous_way;
        return rpc_emit(call, &activity_v1_checkin_amended_msg, event, t->id, t->organization);
}

/* Keeps what was judged, and says what now stands. */
static int keep(struct rpc_call *call, struct judged *judged, Checkin *out)
{
        struct attendance *t = &judged->scan;
        enum attendance_outcome outcome;
        int r;
        if (judged->problem != NUANXIN__PROBLEM__PROBLEM_NONE) {
                fill(call, out, t, judged->problem);
                return refused_scan_record(rpc_db(call), t, judged->problem);
        }
        r = attendance_record(rpc_db(call), rpc_arena(call), t, &outcome);
        if (r == 0 && outcome == ATTENDANCE_RECORDED)
                r = emit_recorded(call, judged->context.campaign, t);
        if (r == 0 && outcome == ATTENDANCE_AMENDED)
                r = emit_amended(call, judged->context.campaign, t);
        if (r != 0)
                return r;
        fill(call, out, t, 0);
        out->repeated = outcome != ATTENDANCE_RECORDED;
        return 0;
}

/* --- methods ------------------------------------------------------------------------------------------------------- */

/* On site: who runs the check-in at the activity. Online: the member too, or an app backend for its member. */
static int require(struct rpc_call *call, const struct judged *judged)
{
        struct str activity_path = str_of(judged->context.path);
        if (judged->scan.way != WAY_ONLINE)
                return rpc_require(call, activity_path);
        return require_member_or_staff(call, "checkin.self", "checkin.write", judged->scan.member,
                                       str_of(judged->member_path), activity_path);
}

int handle_create_checkin(struct rpc_call *call, const CreateCheckinRequest *request, Checkin *response)
{
        struct judged judged;
        int r = judge(call, request->activity, request->scan, rpc_prepared(call), &judged);
        if (r == 0)
                r = require(call, &judged);
        if (r == 0)
                r = keep(call, &judged, response);
        if (r != 0)
                return r;
        rpc_audit_subject(call, response->id, response->organization);
        return judged.problem == NUANXIN__PROBLEM__PROBLEM_NONE ? 0 : rpc_refuse_kept(call, judged.problem);
}

int handle_batch_create_checkins(struct rpc_call *call, const BatchCreateCheckinsRequest *request,
                                 BatchCreateCheckinsResponse *response)
{
        const struct who *cards = rpc_prepared(call);
        struct activity a;
        int r = find_activity(call, request->activity, &a);
        if (r == 0)
                r = rpc_require(call, str_of(a.path));
        if (r != 0)
                return r;
        rpc_audit_subject(call, a.id, a.organization);
        response->checkins = ARENA_ARRAY(rpc_arena(call), Checkin *, request->n_scans);
        for (size_t i = 0; r == 0 && i < request->n_scans; i++) {
                struct judged judged;
                Checkin *out = message_new(rpc_arena(call), &activity_v1_checkin_msg);
                r = judge(call, a.id, request->scans[i], &cards[i], &judged);
                if (r == 0)
                        r = keep(call, &judged, out);
                response->checkins[response->n_checkins++] = out;
                if (out->refusal[0])
                        response->refused++;
                else
                        response->accepted++;
        }
        return r;
}

int handle_list_checkins(struct rpc_call *call, const ListCheckinsRequest *request,
                         ListCheckinsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct str filter = str_of(arena_printf(arena, "%s|%d", request->activity, request->refused)), key;
        struct activity a;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = find_activity(call, request->activity, &a);
        if (r == 0)
                r = rpc_require(call, str_of(a.path));
        if (r == 0)
                r = rpc_page_start(call, request->page_token, filter, &key);
        if (r != 0)
                return r;
        const char *after = arena_strndup(arena, key.p, key.n);
        size_t size = (size_t)rpc_page_size(request->page_size);
        response->checkins = ARENA_ARRAY(arena, Checkin *, size);
        r = request->refused ? refused_scans_query(rpc_db(call), a.id, after, (int64_t)size + 1, &rows)
                             : attendances_query(rpc_db(call), a.id, after, (int64_t)size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct attendance t;
                r = 0;
                if (response->n_checkins == size) {
                        const Checkin *last = response->checkins[size - 1];
                        response->next_page_token = rpc_page_token(
                                call, filter, str_of(request->refused ? last->id : last->member));
                        return 0;
                }
                attendance_read(rows, arena, &t);
                Checkin *out = message_new(arena, &activity_v1_checkin_msg);
                fill(call, out, &t, t.refusal);
                response->checkins[response->n_checkins++] = out;
        }
        return r;
}
