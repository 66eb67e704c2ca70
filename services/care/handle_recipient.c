/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipients: one handler a method.
 */
#include "handle_recipient.h"

#include "case.h"
#include "store_recipient.h"

#define HOUSEHOLD 50 /* of a household's persons, for whether it is within reach */

/* --- answering --------------------------------------------------------------------------------------------------- */

/* Whoever may have it opened sees the name; the rest of it is masked for everybody. */
static void fill(struct rpc_call *call, const struct recipient *r, Recipient *out)
{
        out->id = (char *)r->id;
        out->member = (char *)r->member;
        out->organization = (char *)r->organization;
        out->state = (Recipient__State)r->state;
        out->name = (char *)r->name;
        out->id_number_masked = (char *)r->id_number_masked;
        out->phone_masked = (char *)r->phone_masked;
        out->bank_account_masked = (char *)r->bank_account_masked;
        out->household = (char *)r->household;
        out->create_time = rpc_timestamp(call, r->created_us);
        out->update_time = rpc_timestamp(call, r->updated_us);
        out->erase_time = rpc_timestamp(call, r->erased_us);
        out->etag = etag_of(call, r->revision);
        if (!rpc_allows(call, "recipient.reveal", str_of(r->path)))
                message_mask(rpc_arena(call), &care_v1_recipient_msg, out, NUANXIN__PRIVACY__PUBLIC);
}

/* --- what a request says ----------------------------------------------------------------------------------------- */

static int take_name(struct rpc_call *call, const char *text, const char **ret)
{
        struct str name;
        if (name_parse(str_of(text), &name) != 0)
                return rpc_invalid(call, "/name", "name", "is empty or has characters that no name has",
                                   "姓名为空或含有无效字符。");
        *ret = arena_strndup(rpc_arena(call), name.p, name.n);
        return 0;
}

static int take_id_number(struct rpc_call *call, const char *text, struct particulars *p)
{
        char *number = arena_alloc(rpc_arena(call), ID_NUMBER_SIZE);
        if (id_number_parse(str_of(text), today(call), number) != 0)
                return rpc_about(call, "/idNumber", rpc_refuse(call, PROBLEM(ID_NUMBER_INVALID)));
        p->id_number = number;
        return 0;
}

static int take_phone(struct rpc_call *call, const char *text, struct particulars *p)
{
        char *phone = arena_zalloc(rpc_arena(call), PHONE_SIZE);
        if (text[0] && phone_parse(str_of(text), phone) != 0)
                return rpc_about(call, "/phone", rpc_refuse(call, PROBLEM(PHONE_INVALID)));
        p->phone = phone;
        return 0;
}

static int take_bank_account(struct rpc_call *call, const char *text, struct particulars *p)
{
        char *account = arena_zalloc(rpc_arena(call), BANK_ACCOUNT_SIZE);
        int r = text[0] ? bank_account_parse(str_of(text), account) : 0;
        if (r == -EBADMSG)
                return rpc_about(call, "/bankAccount", rpc_refuse(call, PROBLEM(BANK_ACCOUNT_CHECKSUM)));
        if (r != 0)
                return rpc_invalid(call, "/bankAccount", "bankAccount", "is no card number: 15 to 19 digits",
                                   "不是银行卡号：应为 15 至 19 位数字。");
        p->bank_account = account;
        return 0;
}

/* Of the caller's organisations, and of no other recipient: the store says that. */
static int take_member(struct rpc_call *call, const char *id, const char **ret)
{
        struct member m;
        int r = id[0] ? member_load(rpc_db(call), rpc_arena(call), id, &m) : 0;
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        if (r == CARE_E_ABSENT ||
            (id[0] && (m.erased || !m.path[0] || !rpc_allows(call, "recipient.write", str_of(m.path)))))
                return rpc_about(call, "/member", rpc_refuse(call, PROBLEM(MEMBER_UNKNOWN), id));
        *ret = id;
        return 0;
}

/* One that a person has whom the caller may keep; or a new one. */
static int take_household(struct rpc_call *call, const char *id, const char **ret)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        bool reached = !id[0];
        int r = id[0] ? household_query(rpc_db(call), id, HOUSEHOLD, &rows) : 0;
        while (r == 0 && rows && (r = store_next(rows)) == 1) {
                struct recipient one;
                recipient_read(rows, rpc_arena(call), &one);
                reached = reached || rpc_allows(call, "recipient.write", str_of(one.path));
                r = 0;
        }
        if (r != 0)
                return r;
        if (!reached)
                return rpc_about(call, "/household", rpc_refuse(call, PROBLEM(RECIPIENT_UNKNOWN)));
        *ret = id[0] ? id : rpc_new_id(call);
        return 0;
}

/* --- entering ---------------------------------------------------------------------------------------------------- */

static int take_new(struct rpc_call *call, const CreateRecipientRequest *request, struct recipient *r, struct particulars *p)
{
        struct organization o;
        int x = take_name(call, request->name, &r->name);
        if (x == 0)
                x = take_id_number(call, request->id_number, p);
        if (x == 0)
                x = take_phone(call, request->phone, p);
        if (x == 0)
                x = take_bank_account(call, request->bank_account, p);
        if (x == 0)
                x = take_member(call, request->member, &r->member);
        if (x == 0)
                x = take_household(call, request->household, &r->household);
        if (x == 0)
                x = find_valid_organization(call, request->organization, &o);
        if (x != 0)
                return x;
        p->special = request->special;
        r->organization = o.code;
        r->path = o.path;
        return 0;
}

int handle_create_recipient(struct rpc_call *call, const CreateRecipientRequest *request, Recipient *response)
{
        struct recipient r = {
                .id = rpc_new_id(call),
                .state = RECIPIENT_ACTIVE,
                .created_us = rpc_now(call),
                .updated_us = rpc_now(call),
                .revision = 1,
        };
        struct recipient other;
        struct particulars p = {0};
        int x = take_new(call, request, &r, &p);
        if (x != 0)
                return x;
        x = recipient_find(call, p.id_number, &other);
        if (x != CARE_E_ABSENT)
                return x == 0 ? rpc_about(call, "/idNumber", rpc_refuse(call, PROBLEM(RECIPIENT_EXISTS))) : x;
        x = recipient_enter(call, &r, &p);
        if (x == STORE_E_CONSTRAINT)
                return rpc_about(call, "/member", rpc_refuse(call, PROBLEM(RECIPIENT_EXISTS)));
        if (x != 0)
                return x;
        rpc_audit_subject(call, r.id, r.organization);
        fill(call, &r, response);
        return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

int handle_get_recipient(struct rpc_call *call, const GetRecipientRequest *request, Recipient *response)
{
        struct recipient r;
        int x = find_recipient(call, request->recipient, &r);
        if (x == 0)
                fill(call, &r, response);
        return x;
}

int handle_list_recipients(struct rpc_call *call, const ListRecipientsRequest *request, ListRecipientsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct subtree_page page;
        struct recipient r;
        int x = subtree_page_start(call, request->organization, request->household, request->page_size,
                                   request->page_token, &page);
        if (x != 0)
                return x;
        const struct recipient_filter filter = {page.path, request->household, page.after_path, page.after_id};
        response->recipients = ARENA_ARRAY(arena, Recipient *, (size_t)page.size);
        x = recipients_query(rpc_db(call), arena, &filter, page.size + 1, &rows);
        while (x == 0 && (x = store_next(rows)) == 1) {
                x = 0;
                if ((int64_t)response->n_recipients == page.size) {
                        response->next_page_token = subtree_page_next(call, &page, r.path, r.id);
                        continue;
                }
                recipient_read(rows, arena, &r);
                Recipient *one = message_new(arena, &care_v1_recipient_msg);
                fill(call, &r, one);
                response->recipients[response->n_recipients++] = one;
        }
        return x;
}

int handle_reveal_recipient(struct rpc_call *call, const RevealRecipientRequest *request, RevealedRecipient *response)
{
        struct recipient r;
        struct particulars p;
        rpc_audit_purpose(call, request->purpose);
        int x = find_recipient_kept(call, request->recipient, &r);
        if (x == 0)
                x = recipient_particulars(call, r.id, &p);
        if (x != 0)
                return x;
        response->recipient = (char *)r.id;
        response->name = (char *)r.name;
        response->id_number = (char *)p.id_number;
        response->phone = (char *)p.phone;
        response->bank_account = (char *)p.bank_account;
        response->special = p.special;
        return 0;
}

/* --- correcting -------------------------------------------------------------------------------------------------- */

/* To another place, where the caller keeps recipients too. */
static int move(struct rpc_call *call, const char *code, struct recipient *r)
{
        struct organization o;
        if (strcmp(code, r->organization) == 0)
                return 0;
        int x = find_organization(call, code, &o);
        if (x == 0 && !rpc_allows(call, "recipient.write", str_of(o.path)))
                return rpc_about(call, "/organization", rpc_refuse(call, PROBLEM(NOT_FOUND)));
        if (x == 0)
                x = find_valid_organization(call, code, &o);
        if (x == 0) {
                r->organization = o.code;
                r->path = o.path;
        }
        return x;
}

static int set_state(struct rpc_call *call, int state, struct recipient *r)
{
        if (state < RECIPIENT_ACTIVE || state > RECIPIENT_DECEASED)
                return rpc_invalid(call, "/state", "in", "is no state of a recipient", "不是有效的对象状态。");
        r->state = state;
        return 0;
}

static int change_row(struct rpc_call *call, const UpdateRecipientRequest *request, struct recipient *r)
{
        const Google__Protobuf__FieldMask *m = request->update_mask;
        const RecipientChanges *c = request->changes;
        int x = 0;
        if (is_changed(m, "name", c->name[0]))
                x = take_name(call, c->name, &r->name);
        if (x == 0 && is_changed(m, "organization", c->organization[0]))
                x = move(call, c->organization, r);
        if (x == 0 && is_changed(m, "member", c->member[0]))
                x = take_member(call, c->member, &r->member);
        if (x == 0 && is_changed(m, "household", c->household[0]))
                x = take_household(call, c->household, &r->household);
        if (x == 0 && is_changed(m, "state", c->state))
                x = set_state(call, (int)c->state, r);
        return x;
}

/* What is sealed is sealed anew, all of it: from outside nobody sees which of it has changed. */
static int change_secret(struct rpc_call *call, const UpdateRecipientRequest *request, struct recipient *r)
{
        const Google__Protobuf__FieldMask *m = request->update_mask;
        const RecipientChanges *c = request->changes;
        bool phone = is_changed(m, "phone", c->phone[0]), account = is_changed(m, "bank_account", c->bank_account[0]);
        bool special = is_changed(m, "special", c->special);
        struct particulars p;
        if (!phone && !account && !special)
                return 0;
        int x = recipient_particulars(call, r->id, &p);
        if (x == 0 && phone)
                x = take_phone(call, c->phone, &p);
        if (x == 0 && account)
                x = take_bank_account(call, c->bank_account, &p);
        if (special)
                p.special = c->special;
        return x == 0 ? recipient_reseal(call, r, &p) : x;
}

int handle_update_recipient(struct rpc_call *call, const UpdateRecipientRequest *request, Recipient *response)
{
        struct recipient r;
        int x = find_recipient_kept(call, request->recipient, &r);
        int was = x == 0 ? r.state : 0;
        if (x == 0)
                x = check_etag(call, request->etag, r.revision);
        if (x == 0)
                x = change_row(call, request, &r);
        if (x == 0)
                x = change_secret(call, request, &r);
        if (x != 0)
                return x;
        r.updated_us = rpc_now(call);
        x = recipient_save(rpc_db(call), &r);
        if (x == STORE_E_CONSTRAINT)
                return rpc_about(call, "/member", rpc_refuse(call, PROBLEM(RECIPIENT_EXISTS)));
        if (x == 0 && was == RECIPIENT_ACTIVE && r.state != was)
                x = cases_end_of(call, r.id);
        if (x == 0)
                fill(call, &r, response);
        return x;
}

/* --- erasing ----------------------------------------------------------------------------------------------------- */

/* What is open would go on without knowing for whom. */
static int check_cases(struct rpc_call *call, const char *recipient)
{
        struct care_case open;
        int x = case_next_open(rpc_db(call), rpc_arena(call), recipient, "", &open);
        if (x == 0)
                return rpc_refuse(call, PROBLEM(CASE_OPEN), open.number);
        return x == CARE_E_ABSENT ? 0 : x;
}

int handle_erase_recipient(struct rpc_call *call, const EraseRecipientRequest *request, Recipient *response)
{
        struct recipient r;
        rpc_audit_purpose(call, request->purpose);
        int x = find_recipient_kept(call, request->recipient, &r);
        if (x == 0)
                x = check_etag(call, request->etag, r.revision);
        if (x == 0)
                x = check_cases(call, r.id);
        if (x == 0)
                x = recipient_forget(call, &r);
        if (x == 0)
                fill(call, &r, response);
        return x;
}
