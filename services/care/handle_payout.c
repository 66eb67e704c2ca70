/* SPDX-License-Identifier: Apache-2.0
 *
 * What insurers paid for claims.
 */
#include "handle_policy.h"

#include "case.h"
#include "store_policy.h"

static void fill_payout(const struct payout *p, Payout *out)
{
        out->case_id = (char *)p->case_id;
        out->reference = (char *)p->reference;
        out->amount = p->amount;
        out->date = (char *)p->date;
        out->policy = (char *)p->policy;
}

/* The claim, if the caller holds the method's permission where it is dealt with; refused as 404 otherwise. */
static int find_claim(struct rpc_call *call, const char *id, struct scene *ret)
{
        int r = scene_load(call, id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(ret->c.path));
        rpc_audit_subject(call, id, r == 0 ? ret->c.organization : "");
        return r;
}

/* The day that the claim is about: the fact that its rules ask of, or the day on which it was made. Of an erased person only
 * that is left. */
static int find_day(struct scene *claim, const char **ret)
{
        char *day = arena_alloc(rpc_arena(claim->call), DATE_SIZE);
        const char *on = "", *value = NULL;
        int r = scene_content(claim);
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        known_facts_of(claim->document, &on);
        if (r == 0 && on[0])
                value = fact_value(claim->content->facts, claim->content->n_facts, on);
        if (!value || date_parse(str_of(value), day) != 0)
                date_of(claim->c.created_us, day);
        *ret = day;
        return 0;
}

/* Which policy pays: the one that is named, else the one in force on that day. */
static int find_policy(struct scene *claim, const char *named, struct policy *ret)
{
        struct rpc_call *call = claim->call;
        const char *day;
        int r = find_day(claim, &day);
        if (r == 0)
                r = named[0] ? policy_load(rpc_db(call), rpc_arena(call), named, ret)
                             : policy_on(rpc_db(call), rpc_arena(call), claim->c.recipient, day, ret);
        if (r == CARE_E_ABSENT || (r == 0 && strcmp(ret->recipient, claim->c.recipient) != 0))
                return rpc_refuse(call, PROBLEM(NOT_INSURED), day);
        return r;
}

/* The same again is the same; otherwise it is not that one. */
static int told_before(struct rpc_call *call, const struct payout *before, const struct payout *now, const char *policy)
{
        if (before->amount != now->amount || strcmp(before->date, now->date) != 0 ||
            (policy[0] && strcmp(before->policy, policy) != 0))
                return rpc_refuse(call, PROBLEM(PAYOUT_DIFFERS), before->reference,
                                  arena_printf(rpc_arena(call), "%lld", (long long)before->amount), before->date);
        return 0;
}

int handle_record_payout(struct rpc_call *call, const RecordPayoutRequest *request, Payout *response)
{
        struct payout before, p = {
                .case_id = request->case_id,
                .reference = request->reference,
                .amount = request->amount,
                .created_us = rpc_now(call),
        };
        struct scene claim;
        struct policy policy;
        int r = find_claim(call, request->case_id, &claim);
        if (r == 0)
                r = policy_day_parse(call, "/date", request->date, &p.date);
        if (r == 0)
                r = payout_load(rpc_db(call), rpc_arena(call), p.case_id, p.reference, &before);
        if (r == 0) {
                r = told_before(call, &before, &p, request->policy);
                if (r == 0)
                        fill_payout(&before, response);
                return r;
        }
        if (r == CARE_E_ABSENT)
                r = find_policy(&claim, request->policy, &policy);
        if (r != 0)
                return r;
        p.policy = policy.id;
        p.group = policy.group;
        r = payout_insert(rpc_db(call), &p);
        if (r == 0)
                fill_payout(&p, response);
        return r;
}
