/* SPDX-License-Identifier: Apache-2.0
 *
 * Insurance: groups, who is insured, what insurers paid, and the figures that this gives.
 */
#include "handle_policy.h"

#include "common/people/people.h"
#include "handle.h"
#include "rules_policy.h"
#include "store_policy.h"
#include "store_recipient.h"

/* --- groups ------------------------------------------------------------------------------------------------------ */

static void fill_group(struct rpc_call *call, const struct policy_group *g, PolicyGroup *out)
{
        out->id = (char *)g->id;
        out->organization = (char *)g->organization;
        out->title = (char *)g->title;
        out->insurer = (char *)g->insurer;
        out->start_date = (char *)g->start_date;
        out->end_date = (char *)g->end_date;
        out->premium = g->premium;
        out->purpose = (char *)g->purpose;
        out->create_time = rpc_timestamp(call, g->created_us);
}

int policy_day_parse(struct rpc_call *call, const char *pointer, const char *text, const char **ret)
{
        char *date = arena_alloc(rpc_arena(call), DATE_SIZE);
        if (date_parse(str_of(text), date) != 0)
                return rpc_invalid(call, pointer, "date", "is no day of the calendar", "日期不存在。");
        *ret = date;
        return 0;
}

int handle_create_policy_group(struct rpc_call *call, const CreatePolicyGroupRequest *request, PolicyGroup *response)
{
        const PolicyGroup *asked = request->group;
        struct organization o;
        struct policy_group g = {
                .id = rpc_new_id(call),
                .organization = asked->organization,
                .title = asked->title,
                .insurer = asked->insurer,
                .premium = asked->premium,
                .purpose = asked->purpose,
                .created_us = rpc_now(call),
        };
        int r = policy_day_parse(call, "/startDate", asked->start_date, &g.start_date);
        if (r == 0)
                r = policy_day_parse(call, "/endDate", asked->end_date, &g.end_date);
        if (r == 0 && strcmp(g.start_date, g.end_date) > 0)
                r = rpc_invalid(call, "/endDate", "order", "is before the first day", "早于起始日期。");
        if (r == 0)
                r = find_valid_organization(call, g.organization, &o);
        if (r != 0)
                return r;
        g.path = o.path;
        r = policy_group_insert(rpc_db(call), &g);
        if (r != 0)
                return r;
        rpc_audit_subject(call, g.id, g.organization);
        fill_group(call, &g, response);
        return 0;
}

/* The group with this id if the caller holds the method's permission where it was concluded; refused as 404 otherwise. */
static int find_group(struct rpc_call *call, const char *id, struct policy_group *ret)
{
        int r = policy_group_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(ret->path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        return r;
}

int handle_get_policy_group(struct rpc_call *call, const GetPolicyGroupRequest *request, PolicyGroup *response)
{
        struct policy_group g;
        int r = find_group(call, request->group, &g);
        if (r == 0)
                fill_group(call, &g, response);
        return r;
}

int handle_list_policy_groups(struct rpc_call *call, const ListPolicyGroupsRequest *request, ListPolicyGroupsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct subtree_page page;
        struct policy_group g;
        int r = subtree_page_start(call, request->organization, "", request->page_size, request->page_token, &page);
        if (r != 0)
                return r;
        const struct policy_group_filter filter = {page.path, page.after_path, page.after_id};
        response->groups = ARENA_ARRAY(arena, PolicyGroup *, (size_t)page.size);
        r = policy_groups_query(rpc_db(call), arena, &filter, page.size + 1, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = 0;
                if ((int64_t)response->n_groups == page.size) {
                        response->next_page_token = subtree_page_next(call, &page, g.path, g.id);
                        continue;
                }
                policy_group_read(rows, arena, &g);
                PolicyGroup *one = message_new(arena, &care_v1_policy_group_msg);
                fill_group(call, &g, one);
                response->groups[response->n_groups++] = one;
        }
        return r;
}

int handle_get_policy_figures(struct rpc_call *call, const GetPolicyGroupRequest *request, PolicyFigures *response)
{
        struct policy_figures figures;
        struct policy_group g;
        int r = find_group(call, request->group, &g);
        if (r == 0)
                r = policy_figures_load(rpc_db(call), g.id, &figures);
        if (r != 0)
                return r;
        response->group = (char *)g.id;
        response->insured = figures.insured;
        response->premiums = figures.insured * g.premium;
        response->claims = figures.claims;
        response->payouts = figures.payouts;
        response->loss_ratio_basis_points = policy_loss_ratio(response->premiums, figures.payouts);
        return 0;
}

/* --- policies ---------------------------------------------------------------------------------------------------- */

int handle_list_policies(struct rpc_call *call, const ListPoliciesRequest *request, ListPoliciesResponse *response)
{
        struct policy *policies = ARENA_ARRAY(rpc_arena(call), struct policy, POLICIES_MAX);
        struct recipient recipient;
        size_t n = 0;
        int r = find_recipient(call, request->recipient, &recipient);
        if (r == 0)
                r = policies_of(rpc_db(call), rpc_arena(call), recipient.id, policies, &n);
        if (r != 0)
                return r;
        response->policies = ARENA_ARRAY(rpc_arena(call), Policy *, n);
        for (response->n_policies = 0; response->n_policies < n; response->n_policies++) {
                const struct policy *p = &policies[response->n_policies];
                Policy *one = message_new(rpc_arena(call), &care_v1_policy_msg);
                one->id = (char *)p->id;
                one->group = (char *)p->group;
                one->recipient = (char *)p->recipient;
                one->start_date = (char *)p->start_date;
                one->end_date = (char *)p->end_date;
                response->policies[response->n_policies] = one;
        }
        return 0;
}
