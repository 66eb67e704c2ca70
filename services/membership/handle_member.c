/* SPDX-License-Identifier: Apache-2.0
 *
 * Members: one handler a method. What differs between the changes of state is one word in a table of rules.c.
 */
#include "services/membership/member.h"

#include "common/base/clock.h"
#include "common/rpc/server.h"
#include "contract/internal_v1.h"

#define KIND(name)   NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name
#define STATE(name)  NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name
#define FOUND_MAX    50
#define CARD_LIFE_US (90 * CLOCK_DAY_US)

/* --- shared --------------------------------------------------------------------------------------------- */

static bool is_self(struct rpc_call *call, const char *member)
{
        const Principal *p = rpc_principal(call);
        return p->kind == KIND(MEMBER) && strcmp(p->member, member) == 0;
}

static void fill_in_full(struct rpc_call *call, const struct member *m, Member *out)
{
        char etag[ETAG_SIZE];
        etag_of(m->version, etag);
        out->id = m->id;
        out->organization = m->organization;
        out->state = m->state;
        out->name = m->name;
        out->number = m->number;
        out->id_number_masked = m->id_number_masked;
        out->phone_masked = m->phone_masked;
        out->join_date = m->join_date;
        out->create_time = rpc_timestamp(call, m->created);
        out->update_time = rpc_timestamp(call, m->updated);
        out->erase_time = rpc_timestamp(call, m->erased);
        out->etag = arena_strdup(rpc_arena(call), etag);
}

/* Members see their own, and whoever keeps members there sees whom they keep; others see a masked view. */
static void fill_member(struct rpc_call *call, const struct member *m, Member *out)
{
        fill_in_full(call, m, out);
        if (!is_self(call, m->id) && !rpc_allows(call, "member.write", str_of(m->path)))
                message_mask(rpc_arena(call), &membership_v1_member_msg, out, NUANXIN__PRIVACY__PUBLIC);
}

/* --- applying and states -------------------------------------------------------------------------------- */

static int take_phone(struct rpc_call *call, const char *text, char out[PHONE_SIZE])
{
        out[0] = 0;
        if (text[0] && phone_parse(str_of(text), out) != 0)
                return rpc_about(call, "/phone", rpc_refuse(call, PROBLEM(PHONE_INVALID)));
        return 0;
}

static int take_id_number(struct rpc_call *call, const char *text, char out[ID_NUMBER_SIZE])
{
        char today[DATE_SIZE];
        date_of(rpc_now(call), today);
        if (id_number_parse(str_of(text), today, out) == 0)
                return 0;
        return rpc_about(call, "/idNumber", rpc_refuse(call, PROBLEM(ID_NUMBER_INVALID)));
}

static int take_name(struct rpc_call *call, const char *text, char **ret)
{
        struct str name;
        if (name_parse(str_of(text), &name) != 0)
                return rpc_invalid(call, "/name", "name", "is empty or has characters that no name has",
                                   "姓名为空或含有无效字符。");
        *ret = arena_strndup(rpc_arena(call), name.p, name.n);
        return 0;
}

static int take_date(struct rpc_call *call, const char *text, char out[DATE_SIZE])
{
        out[0] = 0;
        if (text[0] && date_parse(str_of(text), out) != 0)
                return rpc_invalid(call, "/joinDate", "date", "is no day of the calendar", "日期不存在。");
        return 0;
}

int handle_apply_member(struct rpc_call *call, const ApplyMemberRequest *request, Member *response)
{
        char id_number[ID_NUMBER_SIZE], phone[PHONE_SIZE], join_date[DATE_SIZE], *name;
        struct organization o;
        struct member m;
        int r = take_name(call, request->name, &name);
        if (r == 0)
                r = take_id_number(call, request->id_number, id_number);
        if (r == 0)
                r = take_phone(call, request->phone, phone);
        if (r == 0)
                r = take_date(call, request->join_date, join_date);
        if (r == 0)
                r = find_valid_organization(call, request->organization, &o);
        if (r != 0)
                return r;
        r = member_find_id_number(call, id_number, &m);
        if (r != -ENOENT)
                return r == 0 ? rpc_about(call, "/idNumber", rpc_refuse(call, PROBLEM(MEMBER_EXISTS))) : r;
        r = member_create(call,
                          &(struct member_new){.organization = o.code,
                                               .name = name,
                                               .id_number = id_number,
                                               .phone = phone,
                                               .join_date = join_date},
                          &m);
        if (r != 0)
                return r;
        m.path = o.path;
        rpc_audit_subject(call, m.id, m.organization);
        fill_member(call, &m, response);
        return 0;
}

static int change_state(struct rpc_call *call, const char *id, const char *etag, enum member_action action,
                        Member *response)
{
        struct organization o;
        struct member m;
        int r = find_person(call, id, STAFF_ONLY, &m);
        if (r == 0)
                r = etag_check(call, etag, m.version);
        if (r == 0 && action == MEMBER_APPROVE)
                r = find_valid_organization(call, m.organization, &o);
        if (r == 0)
                r = member_change_state(call, &m, action);
        if (r == 0)
                fill_member(call, &m, response);
        return r;
}

int handle_approve_member(struct rpc_call *call, const ApproveMemberRequest *request, Member *response)
{
        return change_state(call, request->member, request->etag, MEMBER_APPROVE, response);
}

int handle_suspend_member(struct rpc_call *call, const SuspendMemberRequest *request, Member *response)
{
        return change_state(call, request->member, request->etag, MEMBER_SUSPEND, response);
}

int handle_resume_member(struct rpc_call *call, const ResumeMemberRequest *request, Member *response)
{
        return change_state(call, request->member, request->etag, MEMBER_RESUME, response);
}

int handle_end_member(struct rpc_call *call, const EndMemberRequest *request, Member *response)
{
        return change_state(call, request->member, request->etag, MEMBER_END, response);
}

int handle_mark_member_deceased(struct rpc_call *call, const MarkMemberDeceasedRequest *request,
                                Member *response)
{
        return change_state(call, request->member, request->etag, MEMBER_MARK_DECEASED, response);
}

/* --- reading -------------------------------------------------------------------------------------------- */

int handle_get_member(struct rpc_call *call, const GetMemberRequest *request, Member *response)
{
        struct member m;
        int r = find_member(call, request->member, OWN_TOO, &m);
        if (r == 0)
                fill_member(call, &m, response);
        return r;
}

static Member **fill_members(struct rpc_call *call, const struct member *members, size_t n)
{
        Member **list = ARENA_ARRAY(rpc_arena(call), Member *, n);
        for (size_t i = 0; i < n; i++) {
                list[i] = message_new(rpc_arena(call), &membership_v1_member_msg);
                fill_member(call, &members[i], list[i]);
        }
        return list;
}

int handle_list_members(struct rpc_call *call, const ListMembersRequest *request,
                        ListMembersResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct member_list list = {0};
        struct subtree_page page;
        int r =
                subtree_page_start(call, request->organization, arena_printf(arena, "%d", (int)request->state),
                               request->page_size, request->page_token, &page);
        if (r != 0)
                return r;
        /* Within an organisation by state, then id. */
        struct str id = str_of(page.after_id), state = str_cut(&id, '\n');
        struct member_filter filter = {.path = page.path,
                                       .state = request->state,
                                       .after_path = page.after_path,
                                       .after_id = arena_strndup(arena, id.p, id.n)};
        if (state.n && str_to_i64(state, 0, STATE(DECEASED), &filter.after_state) != 0)
                return rpc_refuse(call, PROBLEM(PAGE_TOKEN_INVALID));
        r = member_list(rpc_db(call), arena, &filter, page.size + 1, &list);
        if (r != 0)
                return r;
        if ((int64_t)list.n > page.size) {
                list.n = (size_t)page.size;
                const struct member *last = &list.items[list.n - 1];
                response->next_page_token = subtree_page_next(
                    call, &page, last->path, arena_printf(arena, "%d\n%s", (int)last->state, last->id));
        }
        response->n_members = list.n;
        response->members = fill_members(call, list.items, list.n);
        return 0;
}

int handle_reveal_member(struct rpc_call *call, const RevealMemberRequest *request, RevealedMember *response)
{
        struct member m;
        rpc_audit_purpose(call, request->purpose);
        int r = find_person(call, request->member, STAFF_ONLY, &m);
        if (r != 0)
                return r;
        response->member = m.id;
        response->name = m.name;
        return member_open_secret(call, m.id, &response->id_number, &response->phone);
}

int handle_export_member_data(struct rpc_call *call, const ExportMemberDataRequest *request,
                              MemberData *response)
{
        struct organization o;
        struct member m;
        rpc_audit_purpose(call, request->purpose);
        int r = find_person(call, request->member, OWN_TOO, &m);
        if (r == 0 && !is_self(call, m.id) && str_code_points(str_of(request->purpose)) < 2)
                return rpc_invalid(call, "/purpose", "required", "is required of all but the member",
                                   "非会员本人须说明用途");
        if (r == 0)
                r = find_organization(call, m.organization, &o);
        if (r != 0)
                return r;
        response->member = message_new(rpc_arena(call), &membership_v1_member_msg);
        fill_in_full(call, &m, response->member);
        response->organization_name = o.name;
        response->export_time = rpc_timestamp(call, rpc_now(call));
        r = consents_fill(call, m.id, &response->consents, &response->n_consents);
        if (r != 0)
                return r;
        return is_self(call, m.id) ? 0 : member_open_secret(call, m.id, &response->id_number, &response->phone);
}

static int find_by(struct rpc_call *call, const FindMembersRequest *request, struct member_list *list)
{
        char id_number[ID_NUMBER_SIZE], phone[PHONE_SIZE];
        if (!request->id_number[0] == !request->phone[0])
                return rpc_invalid(call, "", "oneof", "needs exactly one of idNumber and phone",
                                   "idNumber 与 phone 须且只须提供一个。");
        int r = request->phone[0] ? take_phone(call, request->phone, phone)
                                  : take_id_number(call, request->id_number, id_number);
        if (r != 0)
                return r;
        if (request->phone[0])
                return member_find_phone(call, phone, FOUND_MAX, list);
        list->items = ARENA_NEW(rpc_arena(call), struct member);
        r = member_find_id_number(call, id_number, list->items);
        list->n = r == 0;
        return r == -ENOENT ? 0 : r;
}

int handle_find_members(struct rpc_call *call, const FindMembersRequest *request,
                        FindMembersResponse *response)
{
        struct member_list list = {0};
        size_t kept = 0;
        rpc_audit_purpose(call, request->purpose);
        int r = rpc_require_somewhere(call); /* what is out of scope is not found */
        if (r == 0)
                r = find_by(call, request, &list);
        if (r != 0)
                return r;
        for (size_t i = 0; i < list.n; i++)
                if (rpc_allows(call, "member.read", str_of(list.items[i].path)))
                        list.items[kept++] = list.items[i];
        if (kept == 1)
                rpc_audit_subject(call, list.items[0].id, list.items[0].organization);
        response->n_members = kept;
        response->members = fill_members(call, list.items, kept);
        return 0;
}

/* --- correcting ----------------------------------------------------------------------------------------- */

int handle_update_member(struct rpc_call *call, const UpdateMemberRequest *request, Member *response)
{
        const MemberChanges *asked = request->changes;
        bool name = mask_has(request->update_mask, "name", asked->name[0]);
        bool phone = mask_has(request->update_mask, "phone", asked->phone[0]);
        char new_phone[PHONE_SIZE];
        struct member m;
        int r = find_person(call, request->member, OWN_TOO, &m);
        if (r == 0)
                r = etag_check(call, request->etag, m.version);
        if (r == 0 && name && is_self(call, m.id))
                return rpc_refuse(call, PROBLEM(PERMISSION_DENIED), "member.write");
        if (r == 0 && name)
                r = take_name(call, asked->name, &m.name);
        if (r == 0 && phone)
                r = take_phone(call, asked->phone, new_phone);
        if (r == 0 && phone)
                r = member_set_phone(call, &m, new_phone);
        if (r != 0)
                return r;
        m.updated = rpc_now(call);
        r = member_update(rpc_db(call), &m);
        if (r == 0)
                fill_member(call, &m, response);
        return r;
}

/* --- erasing -------------------------------------------------------------------------------------------- */

int handle_erase_member(struct rpc_call *call, const EraseMemberRequest *request, Member *response)
{
        struct member m;
        rpc_audit_purpose(call, request->purpose);
        int r = find_person(call, request->member, STAFF_ONLY, &m);
        if (r == 0)
                r = etag_check(call, request->etag, m.version);
        if (r == 0)
                r = member_erase_person(call, &m);
        if (r == 0)
                fill_member(call, &m, response);
        return r;
}

/* --- the card, and sessions for the member -------------------------------------------------------------- */

int handle_get_member_card(struct rpc_call *call, const GetMemberCardRequest *request, MemberCard *response)
{
        struct arena *arena = rpc_arena(call);
        struct card card = {.issued_us = rpc_now(call), .expires_us = rpc_now(call) + CARD_LIFE_US};
        struct member m;
        int r = find_member(call, request->member, OWN_TOO, &m);
        if (r != 0)
                return r;
        if (m.state != STATE(ACTIVE))
                return rpc_refuse(call, PROBLEM(MEMBER_NOT_ACTIVE), member_state_name(m.state));
        strncpy(card.member, m.id, sizeof(card.member) - 1);
        strncpy(card.organization, m.organization, sizeof(card.organization) - 1);
        strncpy(card.number, m.number, sizeof(card.number) - 1);
        struct str token = card_sign(arena, rpc_keyring(call), &card);
        response->member = m.id;
        response->organization = m.organization;
        response->number = m.number;
        response->token = arena_strndup(arena, token.p, token.n);
        response->issue_time = rpc_timestamp(call, card.issued_us);
        response->expire_time = rpc_timestamp(call, card.expires_us);
        return 0;
}

/* Only an app backend stands for having verified the member, so nobody else may open such a session. */
int handle_exchange_session(struct rpc_call *call, const ExchangeSessionRequest *request, Session *response)
{
        const Principal *backend = rpc_principal(call);
        struct member m;
        int r = find_member(call, request->member, STAFF_ONLY, &m);
        if (r != 0)
                return r;
        if (backend->kind != KIND(CLIENT))
                return rpc_refuse(call, PROBLEM(PERMISSION_DENIED), "session.exchange");
        if (m.state != STATE(ACTIVE))
                return rpc_refuse(call, PROBLEM(MEMBER_NOT_ACTIVE), member_state_name(m.state));
        Principal *principal = message_new(rpc_arena(call), &internal_v1_principal_msg);
        principal->kind = KIND(MEMBER);
        principal->id = m.id;
        principal->member = m.id;
        principal->generation = (uint64_t)m.generation;
        principal->client = backend->id;
        principal->client_grants = backend->grants;
        principal->n_client_grants = backend->n_grants;
        response->principal = principal;
        response->member = m.id;
        return 0;
}

/* --- for those who start late --------------------------------------------------------------------------- */

int snapshot_members(struct rpc_call *call, const char *key, unsigned limit)
{
        struct member_list list = {0};
        int r = member_states(rpc_db(call), rpc_arena(call), key, limit, &list);
        for (size_t i = 0; i < list.n && r == 0; i++) {
                const struct member *m = &list.items[i];
                MemberStateChanged event = NUANXIN__MEMBERSHIP__V1__MEMBER_STATE_CHANGED__INIT;
                event.member = m->id;
                event.organization = m->organization;
                event.state = m->state;
                event.since = rpc_timestamp(call, m->state_since);
                r = rpc_snapshot_add(call, &membership_v1_member_state_changed_msg, &event, m->id,
                                     m->organization, m->id);
        }
        return r;
}

int snapshot_erasures(struct rpc_call *call, const char *key, unsigned limit)
{
        struct member_list list = {0};
        int r = member_erasures(rpc_db(call), rpc_arena(call), key, limit, &list);
        for (size_t i = 0; i < list.n && r == 0; i++) {
                const struct member *m = &list.items[i];
                MemberErased event = NUANXIN__MEMBERSHIP__V1__MEMBER_ERASED__INIT;
                event.member = m->id;
                event.organization = m->organization;
                r = rpc_snapshot_add(call, &membership_v1_member_erased_msg, &event, m->id, m->organization, m->id);
        }
        return r;
}
