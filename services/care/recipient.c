/* SPDX-License-Identifier: Apache-2.0
 *
 * A recipient's key and what it seals; finding a recipient; and leaving nothing of one.
 */
#include "store_recipient.h"
#include "store_payment.h"

#include "case.h"

#define TABLE      "recipient_secret"
#define INDEX_SIZE 16 /* of a blind index: half of it tells people apart as well, in half the pages */

/* --- what is sealed -------------------------------------------------------------------------------------------- */

static int unwrap(struct rpc_call *call, const char *recipient, const struct recipient_secret *secret, struct person_key *ret)
{
        return person_key_unwrap(rpc_keyring(call), secret->wrapped_key, recipient, ret);
}

int recipient_key(struct rpc_call *call, const char *recipient, struct person_key *ret)
{
        struct recipient_secret secret;
        int r = recipient_secret_load(rpc_db(call), rpc_arena(call), recipient, &secret);
        return r == 0 ? unwrap(call, recipient, &secret, ret) : r;
}

struct str recipient_seal(struct rpc_call *call, const struct person_key *key, const char *table, const char *column,
                          const char *row, const char *text)
{
        return text[0] ? crypto_seal(rpc_arena(call), key, table, column, row, str_of(text)) : (struct str){0};
}

int recipient_open(struct rpc_call *call, const struct person_key *key, const char *table, const char *column,
                   const char *row, struct str sealed, const char **ret_text)
{
        struct str plain = {0};
        int r = sealed.n ? crypto_open(rpc_arena(call), key, table, column, row, sealed, &plain) : 0;
        if (r == 0)
                *ret_text = arena_strndup(rpc_arena(call), plain.p, plain.n);
        return r;
}

static int open_column(struct rpc_call *call, const struct person_key *key, const char *column, const char *recipient,
                       struct str sealed, const char **ret_text)
{
        return recipient_open(call, key, TABLE, column, recipient, sealed, ret_text);
}

int recipient_particulars(struct rpc_call *call, const char *recipient, struct particulars *ret)
{
        struct person_key key;
        return recipient_unlock(call, recipient, &key, ret);
}

int recipient_unlock(struct rpc_call *call, const char *recipient, struct person_key *ret_key, struct particulars *ret)
{
        struct recipient_secret s;
        struct person_key key;
        struct particulars p;
        const char *special;
        int r = recipient_secret_load(rpc_db(call), rpc_arena(call), recipient, &s);
        if (r == 0)
                r = unwrap(call, recipient, &s, &key);
        if (r == 0)
                r = open_column(call, &key, "id_number", recipient, s.id_number, &p.id_number);
        if (r == 0)
                r = open_column(call, &key, "phone", recipient, s.phone, &p.phone);
        if (r == 0)
                r = open_column(call, &key, "bank_account", recipient, s.bank_account, &p.bank_account);
        if (r == 0)
                r = open_column(call, &key, "special", recipient, s.special, &special);
        if (r != 0)
                return r;
        p.special = strcmp(special, "1") == 0;
        *ret_key = key;
        *ret = p;
        return 0;
}

int recipient_is_special(struct rpc_call *call, const char *recipient, bool *ret)
{
        struct particulars p;
        int r = recipient_particulars(call, recipient, &p);
        if (r == 0)
                *ret = p.special;
        return r;
}

int recipient_age(struct rpc_call *call, const char *recipient, const char *date, int *ret_years)
{
        struct particulars p;
        int r = recipient_particulars(call, recipient, &p);
        if (r == 0)
                *ret_years = particulars_age(&p, date);
        return r;
}

/* --- masking and sealing ---------------------------------------------------------------------------------------- */

static char *mask(struct rpc_call *call, const char *text, size_t size, void (*how)(const char *, char *))
{
        char *masked = arena_zalloc(rpc_arena(call), size);
        if (text[0])
                how(text, masked);
        return masked;
}

static void mask_changeable(struct rpc_call *call, const struct particulars *p, struct recipient *r)
{
        r->phone_masked = mask(call, p->phone, PHONE_SIZE, phone_mask);
        r->bank_account_masked = mask(call, p->bank_account, BANK_ACCOUNT_SIZE, bank_account_mask);
}

struct str recipient_index(struct rpc_call *call, const char *id_number)
{
        unsigned char *index = arena_alloc(rpc_arena(call), BLIND_INDEX_SIZE);
        crypto_blind_index(rpc_keyring(call), "recipient.id_number", str_of(id_number), index);
        return str_bytes(index, INDEX_SIZE);
}

static struct str seal(struct rpc_call *call, const struct person_key *key, const char *column, const char *recipient,
                       const char *text)
{
        return recipient_seal(call, key, TABLE, column, recipient, text);
}

static void seal_changeable(struct rpc_call *call, const struct person_key *key, const char *id,
                            const struct particulars *p, struct recipient_secret *s)
{
        s->phone = seal(call, key, "phone", id, p->phone);
        s->bank_account = seal(call, key, "bank_account", id, p->bank_account);
        s->special = seal(call, key, "special", id, p->special ? "1" : "0");
}

static int insert_secret(struct rpc_call *call, const char *id, const struct particulars *p)
{
        unsigned char *wrapped = arena_alloc(rpc_arena(call), WRAPPED_KEY_SIZE);
        struct person_key key;
        person_key_new(&key);
        person_key_wrap(rpc_keyring(call), &key, id, wrapped);
        struct recipient_secret s = {
                .wrapped_key = str_bytes(wrapped, WRAPPED_KEY_SIZE),
                .id_number = seal(call, &key, "id_number", id, p->id_number),
                .id_number_index = recipient_index(call, p->id_number),
        };
        seal_changeable(call, &key, id, p, &s);
        return recipient_secret_insert(rpc_db(call), id, &s);
}

int recipient_enter(struct rpc_call *call, struct recipient *r, const struct particulars *p)
{
        r->id_number_masked = mask(call, p->id_number, ID_NUMBER_SIZE, id_number_mask);
        mask_changeable(call, p, r);
        int x = recipient_insert(rpc_db(call), r);
        return x == 0 ? insert_secret(call, r->id, p) : x;
}

int recipient_reseal(struct rpc_call *call, struct recipient *r, const struct particulars *p)
{
        struct recipient_secret s = {0};
        struct person_key key;
        int x = recipient_key(call, r->id, &key);
        if (x != 0)
                return x;
        seal_changeable(call, &key, r->id, p, &s);
        mask_changeable(call, p, r);
        return recipient_secret_save(rpc_db(call), r->id, &s);
}

/* --- finding --------------------------------------------------------------------------------------------------- */

const char *recipient_person(const struct recipient *r)
{
        return r->member[0] ? r->member : r->id;
}

int recipient_find(struct rpc_call *call, const char *id_number, struct recipient *ret)
{
        return recipient_by_id_number(rpc_db(call), rpc_arena(call), recipient_index(call, id_number), ret);
}

int find_recipient(struct rpc_call *call, const char *id, struct recipient *ret)
{
        int r = recipient_load(rpc_db(call), rpc_arena(call), id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require(call, str_of(ret->path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        return r;
}

int find_recipient_kept(struct rpc_call *call, const char *id, struct recipient *ret)
{
        int r = find_recipient(call, id, ret);
        return r == 0 && ret->erased_us ? rpc_refuse(call, PROBLEM(RECIPIENT_ERASED)) : r;
}

/* --- erasing --------------------------------------------------------------------------------------------------- */

int recipient_forget(struct rpc_call *call, struct recipient *r)
{
        RecipientErased event = NUANXIN__CARE__V1__RECIPIENT_ERASED__INIT;
        int x = visits_end(call, r->id);
        if (x == 0)
                x = recipient_secret_delete(rpc_db(call), r->id);
        if (x == 0)
                x = payments_forget(rpc_db(call), r->id);
        if (x == 0)
                x = cases_forget(rpc_db(call), r->id);
        r->member = r->name = r->id_number_masked = r->phone_masked = r->bank_account_masked = "";
        r->state = recipient_state_erased(r->state);
        r->updated_us = r->erased_us = rpc_now(call);
        if (x == 0)
                x = recipient_save(rpc_db(call), r);
        event.recipient = (char *)r->id;
        event.organization = (char *)r->organization;
        return x == 0 ? rpc_emit(call, &care_v1_recipient_erased_msg, &event, r->id, r->organization) : x;
}

int recipient_forget_member(struct rpc_call *call, const char *member)
{
        struct recipient recipient;
        int r = recipient_by_member(rpc_db(call), rpc_arena(call), member, &recipient);
        if (r == CARE_E_ABSENT)
                return 0;
        if (r == 0)
                r = recipient_forget(call, &recipient);
        return r == 0 ? cases_end_of(call, recipient.id) : r;
}
