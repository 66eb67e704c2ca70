/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's row, its sealed half and its events, kept together. Each person has a key of their own: what it
 * seals can be erased with it.
 */
#include "services/membership/member.h"

#define TABLE        "member_secret"
#define STATE(name)  NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name
#define NUMBER_TRIES 8

/* --- looking up ----------------------------------------------------------------------------------------- */

#define INDEX_SIZE 16 /* of a blind index: half of it tells people apart as well, in half the pages */

static struct str blind_index(struct rpc_call *call, const char *field, const char *value)
{
        unsigned char *index = arena_alloc(rpc_arena(call), BLIND_INDEX_SIZE);
        crypto_blind_index(rpc_keyring(call), field, str_of(value), index);
        return str_bytes(index, INDEX_SIZE);
}

struct str member_id_number_index(struct rpc_call *call, const char *id_number)
{
        return blind_index(call, "member.id_number", id_number);
}

static struct str phone_index(struct rpc_call *call, const char *phone)
{
        return phone[0] ? blind_index(call, "member.phone", phone) : (struct str){0};
}

int member_find_id_number(struct rpc_call *call, const char *id_number, struct member *ret)
{
        return member_by_id_number(rpc_db(call), rpc_arena(call), member_id_number_index(call, id_number), ret);
}

int member_find_phone(struct rpc_call *call, const char *phone, int64_t limit, struct member_list *ret)
{
        return member_by_phone(rpc_db(call), rpc_arena(call), phone_index(call, phone), limit, ret);
}

/* --- sealing -------------------------------------------------------------------------------------------- */

static struct str seal(struct rpc_call *call, const struct person_key *key, const char *column,
                       const char *member, const char *plain)
{
        return plain[0] ? crypto_seal(rpc_arena(call), key, TABLE, column, member, str_of(plain))
                        : (struct str){0};
}

static int open_value(struct rpc_call *call, const struct person_key *key, const char *column,
                      const char *member, struct str sealed, char **ret)
{
        struct str plain = {0};
        int r = sealed.n ? crypto_open(rpc_arena(call), key, TABLE, column, member, sealed, &plain) : 0;
        if (r == 0)
                *ret = arena_strndup(rpc_arena(call), plain.p, plain.n);
        return r;
}

int member_open_secret(struct rpc_call *call, const char *member, char **ret_id_number, char **ret_phone)
{
        struct member_secret secret;
        struct person_key key;
        int r = member_secret_get(rpc_db(call), rpc_arena(call), member, &secret);
        if (r == 0)
                r = person_key_unwrap(rpc_keyring(call), secret.wrapped_key, member, &key);
        if (r == 0)
                r = open_value(call, &key, "id_number", member, secret.id_number, ret_id_number);
        return r == 0 ? open_value(call, &key, "phone", member, secret.phone, ret_phone) : r;
}

static int insert_secret(struct rpc_call *call, const char *member, const struct member_new *new)
{
        unsigned char *wrapped = arena_alloc(rpc_arena(call), WRAPPED_KEY_SIZE);
        struct person_key key;
        person_key_new(&key);
        person_key_wrap(rpc_keyring(call), &key, member, wrapped);
        struct member_secret secret = {
                .wrapped_key = str_bytes(wrapped, WRAPPED_KEY_SIZE),
                .id_number = seal(call, &key, "id_number", member, new->id_number),
                .phone = seal(call, &key, "phone", member, new->phone),
                .id_number_index = member_id_number_index(call, new->id_number),
                .phone_index = phone_index(call, new->phone),
        };
        return member_secret_insert(rpc_db(call), member, &secret);
}

static char *masked_phone(struct rpc_call *call, const char *phone)
{
        char *masked = arena_zalloc(rpc_arena(call), PHONE_SIZE);
        if (phone[0])
                phone_mask(phone, masked);
        return masked;
}

int member_set_phone(struct rpc_call *call, struct member *m, const char *phone)
{
        struct member_secret secret;
        struct person_key key;
        int r = member_secret_get(rpc_db(call), rpc_arena(call), m->id, &secret);
        if (r == 0)
                r = person_key_unwrap(rpc_keyring(call), secret.wrapped_key, m->id, &key);
        if (r != 0)
                return r;
        secret.phone = seal(call, &key, "phone", m->id, phone);
        secret.phone_index = phone_index(call, phone);
        m->phone_masked = masked_phone(call, phone);
        return member_secret_set_phone(rpc_db(call), m->id, &secret);
}

/* --- states --------------------------------------------------------------------------------------------- */

static int emit_state(struct rpc_call *call, const struct member *m, Member__State previous)
{
        MemberStateChanged event = NUANXIN__MEMBERSHIP__V1__MEMBER_STATE_CHANGED__INIT;
        event.member = m->id;
        event.organization = m->organization;
        event.previous = previous;
        event.state = m->state;
        event.since = rpc_timestamp(call, m->state_since);
        return rpc_emit(call, &membership_v1_member_state_changed_msg, &event, m->id, m->organization);
}

static int emit_rights(struct rpc_call *call, const struct member *m)
{
        MemberRightsChanged event = NUANXIN__MEMBERSHIP__V1__MEMBER_RIGHTS_CHANGED__INIT;
        event.member = m->id;
        event.generation = (uint64_t)m->generation;
        return rpc_emit(call, &membership_v1_member_rights_changed_msg, &event, m->id, m->organization);
}

static char *new_number(struct rpc_call *call)
{
        char *number = arena_alloc(rpc_arena(call), MEMBER_NUMBER_SIZE);
        member_number(rpc_now(call), rpc_new_id(call), number);
        return number;
}

static char *today(struct rpc_call *call)
{
        char *date = arena_alloc(rpc_arena(call), DATE_SIZE);
        date_of(rpc_now(call), date);
        return date;
}

/* A number that somebody has is refused by the store; the next one is as random. */
static int write_numbered(struct rpc_call *call, struct member *m, bool insert)
{
        int r = STORE_E_CONSTRAINT;
        for (int tries = 0; r == STORE_E_CONSTRAINT && tries < NUMBER_TRIES; tries++) {
                m->number = new_number(call);
                r = insert ? member_insert(rpc_db(call), m) : member_update(rpc_db(call), m);
        }
        return r == STORE_E_CONSTRAINT ? -EAGAIN : r;
}

int member_create(struct rpc_call *call, const struct member_new *new, struct member *ret)
{
        struct arena *arena = rpc_arena(call);
        char *masked = arena_alloc(arena, ID_NUMBER_SIZE);
        id_number_mask(new->id_number, masked);
        struct member m = {
                .id = rpc_new_id(call),
                .organization = arena_strdup(arena, new->organization),
                .state = new->active ? STATE(ACTIVE) : STATE(APPLIED),
                .name = arena_strdup(arena, new->name),
                .number = arena_strdup(arena, ""),
                .id_number_masked = masked,
                .phone_masked = masked_phone(call, new->phone),
                .join_date =
                new->active && !new->join_date[0] ? today(call) : arena_strdup(arena, new->join_date),
                .created = rpc_now(call),
                .updated = rpc_now(call),
                .version = 1,
                .generation = 1,
                .state_since = rpc_now(call),
        };
        int r = new->active ? write_numbered(call, &m, true) : member_insert(rpc_db(call), &m);
        if (r == 0)
                r = insert_secret(call, m.id, new);
        if (r == 0)
                r = emit_state(call, &m, STATE(STATE_UNSPECIFIED));
        if (r == 0)
                *ret = m;
        return r;
}

int member_change_state(struct rpc_call *call, struct member *m, enum member_action action)
{
        Member__State before = m->state;
        m->state = member_after(before, action);
        if (m->state == STATE(STATE_UNSPECIFIED))
                return rpc_refuse(call, PROBLEM(MEMBER_STATE), member_state_name(before));
        bool had_rights = before == STATE(ACTIVE), numbered = m->state == STATE(ACTIVE) && !m->number[0];
        m->updated = m->state_since = rpc_now(call);
        m->generation += had_rights;
        if (m->state == STATE(ACTIVE) && !m->join_date[0])
                m->join_date = today(call);
        int r = numbered ? write_numbered(call, m, false) : member_update(rpc_db(call), m);
        if (r == 0 && !member_is_live(m->state))
                r = member_secret_retire(rpc_db(call), m->id);
        if (r == 0)
                r = emit_state(call, m, before);
        return r == 0 && had_rights ? emit_rights(call, m) : r;
}

int member_erase_person(struct rpc_call *call, struct member *m)
{
        MemberErased event = NUANXIN__MEMBERSHIP__V1__MEMBER_ERASED__INIT;
        int r = member_is_live(m->state) ? member_change_state(call, m, MEMBER_END) : 0;
        m->erased = rpc_now(call);
        if (r == 0)
                r = member_erase(rpc_db(call), m);
        if (r == 0)
                r = consents_erase(call, m->id);
        event.member = m->id;
        event.organization = m->organization;
        return r == 0 ? rpc_emit(call, &membership_v1_member_erased_msg, &event, m->id, m->organization) : r;
}
