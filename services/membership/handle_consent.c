/* SPDX-License-Identifier: Apache-2.0
 *
 * Consents: giving, withdrawing and listing them, and telling of them. They are kept as proof; who may see what because
 * of them is decided where events are handed out.
 */
#include "services/membership/handle.h"

#include "common/rpc/server.h"

#define CONSENTS_MAX 1000 /* of one member, ever; as ListConsentsResponse says */

static void fill(struct rpc_call *call, const struct consent *c, Consent *out)
{
        out->member = c->member;
        out->purpose = c->purpose;
        out->version = c->version;
        out->give_time = rpc_timestamp(call, c->given);
        out->withdraw_time = rpc_timestamp(call, c->ended);
}

static ConsentGiven *given_event(struct rpc_call *call, const struct consent *c, const char *organization)
{
        ConsentGiven *event = message_new(rpc_arena(call), &membership_v1_consent_given_msg);
        event->member = c->member;
        event->organization = (char *)organization;
        event->purpose = c->purpose;
        event->version = c->version;
        event->time = rpc_timestamp(call, c->given);
        return event;
}

static ConsentWithdrawn *withdrawn_event(struct rpc_call *call, const struct consent *c, const char *organization)
{
        ConsentWithdrawn *event = message_new(rpc_arena(call), &membership_v1_consent_withdrawn_msg);
        event->member = c->member;
        event->organization = (char *)organization;
        event->purpose = c->purpose;
        event->time = rpc_timestamp(call, c->ended);
        return event;
}

/* --- giving --------------------------------------------------------------------------------------------- */

/* One more of the member's, which holds; what held before gives way to it. */
static int give(struct rpc_call *call, const struct member *m, struct consent *last, struct consent *c)
{
        int64_t kept = 0;
        int r = consent_count(rpc_db(call), m->id, &kept);
        if (r == 0 && kept >= CONSENTS_MAX)
                return rpc_refuse(call, PROBLEM(CONSENT_LIMIT), arena_printf(rpc_arena(call), "%d", CONSENTS_MAX));
        if (r == 0 && last && !last->ended) {
                last->ended = c->given;
                r = consent_end(rpc_db(call), last);
        }
        if (r == 0)
                r = consent_insert(rpc_db(call), c);
        return r == 0 ? rpc_emit(call, &membership_v1_consent_given_msg, given_event(call, c, m->organization), m->id,
                                 m->organization)
                      : r;
}

int handle_give_consent(struct rpc_call *call, const GiveConsentRequest *request, Consent *response)
{
        const Consent *asked = request->consent;
        struct consent last;
        struct member m;
        int r = find_person(call, request->member, OWN_TOO, &m);
        if (r == 0 && !member_is_live(m.state))
                return rpc_refuse(call, PROBLEM(MEMBER_STATE), member_state_name(m.state));
        if (r == 0)
                r = consent_last(rpc_db(call), rpc_arena(call), m.id, asked->purpose, &last);
        if (r != 0 && r != -ENOENT)
                return r;
        bool any = r == 0;
        if (any && !last.ended && strcmp(last.version, asked->version) == 0) {
                fill(call, &last, response); /* given already */
                return 0;
        }
        struct consent c = {
                .member = m.id,
                .purpose = asked->purpose,
                .version = asked->version,
                .giving = any ? last.giving + 1 : 1,
                .given = rpc_now(call),
        };
        r = give(call, &m, any ? &last : NULL, &c);
        if (r == 0)
                fill(call, &c, response);
        return r;
}

/* --- withdrawing ---------------------------------------------------------------------------------------- */

static int withdraw(struct rpc_call *call, const struct member *m, struct consent *c)
{
        c->ended = rpc_now(call);
        int r = consent_end(rpc_db(call), c);
        return r == 0 ? rpc_emit(call, &membership_v1_consent_withdrawn_msg, withdrawn_event(call, c, m->organization),
                                 m->id, m->organization)
                      : r;
}

/* Also of who is no member any more: a consent ends with nothing but its withdrawal, or the person's erasure. */
int handle_withdraw_consent(struct rpc_call *call, const WithdrawConsentRequest *request,
                            ListConsentsResponse *response)
{
        struct consent_list list = {0};
        struct member m;
        int r = find_member(call, request->member, OWN_TOO, &m);
        if (r == 0)
                r = consent_list(rpc_db(call), rpc_arena(call), m.id, &list);
        response->consents = ARENA_ARRAY(rpc_arena(call), Consent *, list.n + 1);
        for (size_t i = 0; r == 0 && i < list.n; i++) {
                struct consent *c = &list.items[i];
                if (c->ended || (request->purpose[0] && strcmp(c->purpose, request->purpose) != 0))
                        continue;
                r = withdraw(call, &m, c);
                Consent *out = message_new(rpc_arena(call), &membership_v1_consent_msg);
                fill(call, c, out);
                response->consents[response->n_consents++] = out;
        }
        if (r == 0 && request->purpose[0] && response->n_consents == 0)
                return rpc_refuse(call, PROBLEM(CONSENT_UNKNOWN), request->purpose);
        return r;
}

/* --- reading -------------------------------------------------------------------------------------------- */

int consents_fill(struct rpc_call *call, const char *member, Consent ***ret, size_t *ret_n)
{
        struct consent_list list = {0};
        int r = consent_list(rpc_db(call), rpc_arena(call), member, &list);
        if (r != 0)
                return r;
        Consent **consents = ARENA_ARRAY(rpc_arena(call), Consent *, list.n + 1);
        for (size_t i = 0; i < list.n; i++) {
                consents[i] = message_new(rpc_arena(call), &membership_v1_consent_msg);
                fill(call, &list.items[i], consents[i]);
        }
        *ret = consents;
        *ret_n = list.n;
        return 0;
}

int handle_list_consents(struct rpc_call *call, const ListConsentsRequest *request, ListConsentsResponse *response)
{
        struct member m;
        int r = find_member(call, request->member, OWN_TOO, &m);
        return r == 0 ? consents_fill(call, m.id, &response->consents, &response->n_consents) : r;
}

/* --- erasing -------------------------------------------------------------------------------------------- */

int consents_erase(struct rpc_call *call, const char *member)
{
        int64_t erased = 0;
        int r = consent_erase(rpc_db(call), member, &erased);
        return r == 0 && erased ? rpc_due_add(call, DUE_FORGET_CONSENTS, member, rpc_now(call), (struct str){0}) : r;
}

/* Due work, some of the outbox at a time: to which purposes somebody consented is told to nobody any more. */
int due_forget_consents(struct rpc_call *call, const char *member, struct str payload)
{
        static const struct contract_message *const types[] = {&membership_v1_consent_given_msg,
                                                                &membership_v1_consent_withdrawn_msg, NULL};
        char next[24];
        int64_t position = 0;
        bool all = false;
        if (payload.n && str_to_i64(payload, 0, INT64_MAX, &position) != 0)
                return -EUCLEAN;
        int r = rpc_forget_events(call, types, member, &position, &all);
        if (r != 0 || all)
                return r;
        struct str rest = {next, str_put_i64(next, position)};
        return rpc_due_add(call, DUE_FORGET_CONSENTS, member, rpc_now(call), rest);
}

/* --- for those who start late --------------------------------------------------------------------------- */

/* Also what was withdrawn: whoever missed that deletes upon it. */
int snapshot_consents(struct rpc_call *call, const char *key, unsigned limit)
{
        struct arena *arena = rpc_arena(call);
        struct consent_state_list list = {0};
        struct str purpose = str_of(key), member = str_cut(&purpose, '\n');
        int r = consent_states(rpc_db(call), arena, arena_strndup(arena, member.p, member.n),
                               arena_strndup(arena, purpose.p, purpose.n), limit, &list);
        for (size_t i = 0; i < list.n && r == 0; i++) {
                const struct consent *c = &list.items[i].consent;
                const char *organization = list.items[i].organization;
                const char *next = arena_printf(arena, "%s\n%s", c->member, c->purpose);
                if (c->ended)
                        r = rpc_snapshot_add(call, &membership_v1_consent_withdrawn_msg,
                                             withdrawn_event(call, c, organization), c->member, organization, next);
                else
                        r = rpc_snapshot_add(call, &membership_v1_consent_given_msg, given_event(call, c, organization),
                                             c->member, organization, next);
        }
        return r;
}
