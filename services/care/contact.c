/* SPDX-License-Identifier: Apache-2.0
 *
 * Contacts (联系人): named, gone, lost with an account's rights. No case at a CARE stage is without one and without a task to name
 * another.
 */
#include "handle_case.h"

#define AT_ONCE 200 /* contacts that an account loses in one transaction */

/* --- losing ---------------------------------------------------------------------------------------------------------- */

static int tell(struct scene *s, const char *role, const char *account)
{
        ContactChanged event = NUANXIN__CARE__V1__CONTACT_CHANGED__INIT;
        event.case_id = (char *)s->c.id;
        event.role = (char *)role;
        event.organization = (char *)s->c.organization;
        event.person = (char *)s->person;
        event.account = (char *)account;
        return rpc_emit(s->call, &care_v1_contact_changed_msg, &event, s->c.id, s->c.organization);
}

int contact_lost(struct scene *s, const char *role)
{
        const Stage *stage = s->c.state == CASE_OPEN ? document_stage(s->document, s->c.stage) : NULL;
        const ContactRule *rule = document_contact(s->document, role);
        struct str place = path_at_level(str_of(s->c.path), rule ? (int)rule->level : 0);
        int r = tell(s, role, "");
        if (r != 0 || !rule || !stage || stage->kind != STAGE_CARE)
                return r;
        struct care_task task = {
                .kind = TASK_CONTACT,
                .case_id = s->c.id,
                .programme = s->c.programme,
                .stage = role,
                .place_path = arena_strndup(rpc_arena(s->call), place.p, place.n),
                .person = s->person,
                .assignee = "",
                .due_us = rpc_now(s->call) + CONTACT_DAYS * CLOCK_DAY_US,
        };
        return task_open(s->call, &task);
}

static int may_be(struct scene *s, const ContactRule *rule, const char *account, bool *ret)
{
        return account_may(s->call, account, "visit.write", path_at_level(str_of(s->c.path), (int)rule->level), ret);
}

static int check_one(struct rpc_call *call, const struct contact_place *place, const char *account)
{
        struct scene s;
        bool may = false, was;
        int r = scene_load(call, place->case_id, &s);
        const ContactRule *rule = r == 0 ? document_contact(s.document, place->role) : NULL;
        if (r == 0 && rule)
                r = may_be(&s, rule, account, &may);
        if (r != 0 || may)
                return r;
        r = contact_delete(rpc_db(call), place->case_id, place->role, &was);
        return r == 0 && was ? contact_lost(&s, place->role) : r;
}

int contacts_check_case(struct scene *s)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < s->n_contacts; i++) {
                const struct contact_place place = {s->c.id, s->contacts[i].role};
                if (s->contacts[i].account[0])
                        r = check_one(s->call, &place, s->contacts[i].account);
        }
        return r;
}

static int check_after(struct rpc_call *call, const char *account, const char *after)
{
        struct contact_place *places = ARENA_ARRAY(rpc_arena(call), struct contact_place, AT_ONCE);
        size_t n = 0;
        int r = contacts_of_account(rpc_db(call), rpc_arena(call), account, after, places, AT_ONCE, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = check_one(call, &places[i], account);
        if (r == 0 && n == AT_ONCE) /* the last case may have another role of the account's: it comes again */
                r = rpc_due_add(call, DUE_CONTACTS, account, rpc_now(call) + 1, str_of(places[n - 2].case_id));
        return r;
}

int contacts_check(struct rpc_call *call, const char *account)
{
        return check_after(call, account, "");
}

int due_contacts(struct rpc_call *call, const char *key, struct str payload)
{
        return check_after(call, key, arena_strndup(rpc_arena(call), payload.p, payload.n));
}

/* --- naming ---------------------------------------------------------------------------------------------------------- */

static int find_rule(struct scene *s, const char *role, const ContactRule **ret)
{
        *ret = document_contact(s->document, role);
        return *ret ? 0
                    : rpc_refuse(s->call, PROBLEM(CONTACT_ROLE_UNKNOWN), s->c.programme, arena_printf(rpc_arena(s->call), "%d", s->c.version), role);
}

static const char *organization_at(struct scene *s, const ContactRule *rule)
{
        struct str code = path_code(path_at_level(str_of(s->c.path), (int)rule->level));
        return arena_strndup(rpc_arena(s->call), code.p, code.n);
}

/* Of a level: an account that may record visits there. Else somebody outside, by name. */
static int check_contact(struct scene *s, const ContactRule *rule, const Contact *asked, struct contact *ret)
{
        bool may = false;
        int r = 0;
        *ret = (struct contact){.role = rule->role, .account = "", .name = asked->name, .phone = asked->phone, .since_us = rpc_now(s->call)};
        if (!rule->level && !asked->name[0])
                return rpc_invalid(s->call, "/contact/name", "required", "is required of somebody outside", "外部联系人须填写姓名");
        if (!rule->level)
                return 0;
        if (asked->account[0])
                r = may_be(s, rule, asked->account, &may);
        if (r == 0 && !may)
                return rpc_refuse(s->call, PROBLEM(CONTACT_LEVEL), rule->role, organization_at(s, rule));
        ret->account = asked->account;
        return r;
}

static int reload_contacts(struct scene *s)
{
        return contacts_load(rpc_db(s->call), rpc_arena(s->call), s->c.id, s->contacts, &s->n_contacts);
}

int handle_set_contact(struct rpc_call *call, const SetContactRequest *request, Case *response)
{
        const ContactRule *rule;
        struct contact contact;
        struct scene s;
        int r = find_kept_scene(call, request->case_id, &s);
        if (r == 0 && s.c.closed_us)
                return rpc_refuse(call, PROBLEM(CASE_CLOSED));
        if (r == 0)
                r = find_rule(&s, request->contact->role, &rule);
        if (r == 0)
                r = check_contact(&s, rule, request->contact, &contact);
        if (r == 0)
                r = contact_save(rpc_db(call), s.c.id, &contact);
        if (r == 0)
                r = tasks_close(call, s.c.id, TASK_CONTACT, rule->role);
        if (r == 0)
                r = tell(&s, rule->role, contact.account);
        if (r == 0)
                r = reload_contacts(&s);
        return r == 0 ? case_fill(&s, response) : r;
}

int handle_end_contact(struct rpc_call *call, const EndContactRequest *request, Case *response)
{
        const ContactRule *rule;
        struct scene s;
        bool was = false;
        int r = find_kept_scene(call, request->case_id, &s);
        if (r == 0)
                r = find_rule(&s, request->role, &rule);
        if (r == 0)
                r = contact_delete(rpc_db(call), s.c.id, rule->role, &was);
        if (r == 0 && was)
                r = contact_lost(&s, rule->role);
        if (r == 0)
                r = reload_contacts(&s);
        return r == 0 ? case_fill(&s, response) : r;
}
