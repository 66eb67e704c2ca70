/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service follows: membership's events, for its projection of organisations, members, consents and accounts; and its
 * own, for the ledger's chain and for figures.
 * What a person's erasure, or the loss of an account's rights, means here happens in the transaction that learns of it.
 */
#include "case.h"

#include "contract/membership_v1.h"
#include "figure.h"
#include "ledger_chain.h"
#include "store_recipient.h"

/* --- membership ---------------------------------------------------------------------------------------------------- */

static int on_organization(struct rpc_call *call, const OrganizationChanged *event)
{
        const struct organization organization = {
                .code = event->code,
                .parent = event->parent,
                .kind = (int)event->kind,
                .path = event->path,
                .name = event->name,
                .valid_from_us = rpc_timestamp_us(event->valid_from),
                .valid_to_us = rpc_timestamp_us(event->valid_to),
        };
        struct organization was;
        int known = organization_load(rpc_db(call), rpc_arena(call), str_of(event->code), &was);
        if (known != 0 && known != CARE_E_ABSENT)
                return known;
        int r = organization_save(rpc_db(call), rpc_arena(call), &organization);
        return r == 0 && known == 0 ? organization_moved(call, &was, &organization) : r;
}

static int on_erasure(struct rpc_call *call, const MemberErased *event)
{
        int r = member_mark_erased(rpc_db(call), event->member, event->organization);
        return r == 0 ? recipient_forget_member(call, event->member) : r;
}

static int on_rights(struct rpc_call *call, const AccountRightsChanged *event)
{
        struct account account = {.generation = (int64_t)event->generation, .disabled = event->disabled};
        bool newer;
        for (size_t i = 0; i < event->n_grants && i < RIGHTS_MAX; i++)
                account.rights[account.n_rights++] =
                        (struct right){(int)event->grants[i]->role, event->grants[i]->organization};
        int r = account_save(rpc_db(call), event->account, &account, &newer);
        return r == 0 && newer ? contacts_check(call, event->account) : r;
}

static int on_membership(struct rpc_call *call, const struct contract_message *type, const ProtobufCMessage *event)
{
        if (type == &membership_v1_organization_changed_msg)
                return on_organization(call, (const OrganizationChanged *)event);
        if (type == &membership_v1_member_state_changed_msg) {
                const MemberStateChanged *e = (const MemberStateChanged *)event;
                return member_save(rpc_db(call), e->member, e->organization, (int)e->state);
        }
        if (type == &membership_v1_member_erased_msg)
                return on_erasure(call, (const MemberErased *)event);
        if (type == &membership_v1_consent_given_msg) {
                const ConsentGiven *e = (const ConsentGiven *)event;
                return consent_save(rpc_db(call), e->member, e->purpose, e->version, rpc_timestamp_us(e->time));
        }
        if (type == &membership_v1_consent_withdrawn_msg) {
                const ConsentWithdrawn *e = (const ConsentWithdrawn *)event;
                return consent_end(rpc_db(call), e->member, e->purpose);
        }
        return on_rights(call, (const AccountRightsChanged *)event);
}

static bool is_followed(const struct contract_message *type)
{
        const struct contract_message *const followed[] = {
                &membership_v1_organization_changed_msg, &membership_v1_member_state_changed_msg,
                &membership_v1_member_erased_msg,        &membership_v1_consent_given_msg,
                &membership_v1_consent_withdrawn_msg,    &membership_v1_account_rights_changed_msg,
        };
        for (size_t i = 0; i < ARRAY_LEN(followed); i++)
                if (type == followed[i])
                        return true;
        return false;
}

static int apply_membership(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct rpc_event *e = &events[i];
                ProtobufCMessage *event;
                if (!is_followed(e->contract))
                        continue;
                r = message_unpack(rpc_arena(call), e->contract, e->data.p, e->data.n, &event);
                if (r == 0)
                        r = on_membership(call, e->contract, event);
        }
        return r;
}

/* Organisations stay until the snapshot has said how each is now: what stands at them needs them, and none ever goes. */
static int reset_membership(struct rpc_call *call)
{
        return members_forget(rpc_db(call));
}

static const char *const membership_topics[] = {"organization", "member", "erasure", "consent", "account", NULL};

const struct rpc_consumer care_consumers[] = {
        {.source = "membership",
         .name = "care.membership",
         .topics = membership_topics,
         .apply = apply_membership,
         .reset = reset_membership},
        {.source = "care", .name = "care.figures", .apply = figures_apply, .reset = figures_reset},
        {.source = "care", .name = "care.ledger", .apply = ledger_chain_apply, .reset = ledger_chain_reset},
        {0},
};
