/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipients, for their own handlers and for the other rooms: their rows, and what is sealed about them. Whatever else is
 * sensitive about a person stands sealed under the recipient's key, in whichever table; erasing deletes that key.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "rules_recipient.h"
#include "store.h"

/* --- rows (store_recipient.c) ------------------------------------------------------------------------------------ */

struct recipient {
        const char *id, *organization;
        const char *path;      /* of the organisation, as the projection has it now */
        const char *member;    /* "": none is known */
        const char *household; /* those who live together have the same */
        const char *name, *id_number_masked, *phone_masked, *bank_account_masked;
        int state; /* RECIPIENT_ACTIVE … */
        int64_t created_us, updated_us;
        int64_t erased_us; /* 0: not; else nothing personal is left, and no key */
        int64_t revision;
};
int recipient_load(struct store_conn *db, struct arena *arena, const char *id, struct recipient *ret) MUST_USE;
int recipient_by_member(struct store_conn *db, struct arena *arena, const char *member, struct recipient *ret) MUST_USE;
/* STORE_E_CONSTRAINT: the member is another recipient's. */
int recipient_insert(struct store_conn *db, const struct recipient *r) MUST_USE;
/* Writes all but id and created, and raises the revision, here too. STORE_E_RETRY if somebody else did so meanwhile;
 * STORE_E_CONSTRAINT as above. */
int recipient_save(struct store_conn *db, struct recipient *r) MUST_USE;

/* Of an organisation and all below it, in the order (path, id), after these two; household "": any. recipient_read after
 * each store_next. */
struct recipient_filter {
        struct str path;
        const char *household;
        const char *after_path, *after_id;
};
int recipients_query(struct store_conn *db, struct arena *arena, const struct recipient_filter *filter, int64_t limit,
                     struct store_rows **ret_rows) MUST_USE;
void recipient_read(const struct store_rows *rows, struct arena *arena, struct recipient *ret);
/* Wherever they live: at most so many. */
int household_query(struct store_conn *db, const char *household, int64_t limit, struct store_rows **ret_rows) MUST_USE;

struct recipient_secret {
        struct str wrapped_key, id_number, phone, bank_account, special; /* phone, bank_account: empty for none */
        struct str id_number_index;                                      /* for inserting */
};
int recipient_secret_load(struct store_conn *db, struct arena *arena, const char *id,
                          struct recipient_secret *ret) MUST_USE;
/* STORE_E_RETRY: somebody else has entered the ID number meanwhile. */
int recipient_secret_insert(struct store_conn *db, const char *id, const struct recipient_secret *s) MUST_USE;
/* phone, bank_account and special. */
int recipient_secret_save(struct store_conn *db, const char *id, const struct recipient_secret *s) MUST_USE;
int recipient_by_id_number(struct store_conn *db, struct arena *arena, struct str index, struct recipient *ret) MUST_USE;
/* The key, what it seals here, the flags. */
int recipient_secret_delete(struct store_conn *db, const char *id) MUST_USE;

struct flag {
        const char *id, *until_date; /* until_date: "" for none */
        struct str sealed;
        int64_t created_us;
};
#define FLAGS_MAX 100
int flag_insert(struct store_conn *db, const char *recipient, const struct flag *flag) MUST_USE;
int flag_load(struct store_conn *db, struct arena *arena, const char *recipient, const char *id, struct flag *ret) MUST_USE;
int flag_delete(struct store_conn *db, const char *id) MUST_USE;
/* Those whose last day was before. */
int flags_expire(struct store_conn *db, const char *recipient, const char *today) MUST_USE;
int flags_load(struct store_conn *db, struct arena *arena, const char *recipient, struct flag out[FLAGS_MAX],
               size_t *ret_n) MUST_USE;

/* --- what is sealed (recipient.c) -------------------------------------------------------------------------------- */

/* The key of a recipient; CARE_E_ABSENT: erased (or never there), and so is all that it sealed. */
int recipient_key(struct rpc_call *call, const char *recipient, struct person_key *ret) MUST_USE;
/* A text in a column of a row of any table of this service. The row is named by its whole primary key. "" gives, and comes
 * from, no bytes at all. */
struct str recipient_seal(struct rpc_call *call, const struct person_key *key, const char *table, const char *column,
                          const char *row, const char *text);
int recipient_open(struct rpc_call *call, const struct person_key *key, const char *table, const char *column,
                   const char *row, struct str sealed, const char **ret_text) MUST_USE;
/* All that recipient_secret holds, for deciding and paying; whoever shows it asks for recipient.reveal and a purpose first.
 * CARE_E_ABSENT: erased. */
int recipient_particulars(struct rpc_call *call, const char *recipient, struct particulars *ret) MUST_USE;
/* Both at once. */
int recipient_unlock(struct rpc_call *call, const char *recipient, struct person_key *ret_key, struct particulars *ret) MUST_USE;
int recipient_is_special(struct rpc_call *call, const char *recipient, bool *ret) MUST_USE;
int recipient_age(struct rpc_call *call, const char *recipient, const char *date, int *ret_years) MUST_USE;

/* Enters a person: r says id, places, household, name and state, and is given what is masked; a key is made and seals p.
 * STORE_E_CONSTRAINT: the member is another recipient's; STORE_E_RETRY: the ID number has been entered meanwhile. */
int recipient_enter(struct rpc_call *call, struct recipient *r, const struct particulars *p) MUST_USE;
/* What may change of p is sealed anew, and masked in r, which the caller saves. */
int recipient_reseal(struct rpc_call *call, struct recipient *r, const struct particulars *p) MUST_USE;
/* The blind index of an ID number (normal form), and who has it: CARE_E_ABSENT for nobody. */
struct str recipient_index(struct rpc_call *call, const char *id_number);
int recipient_find(struct rpc_call *call, const char *id_number, struct recipient *ret) MUST_USE;

/* Whom events are about, and under whom consent stands: the member, else the recipient. */
const char *recipient_person(const struct recipient *r);

/* The recipient with this id if the caller holds the method's permission where the person lives; refused as 404 otherwise.
 * Tells the audit. */
int find_recipient(struct rpc_call *call, const char *id, struct recipient *ret) MUST_USE;
/* Likewise, but somebody of whom there is more than the id: else PROBLEM_RECIPIENT_ERASED. */
int find_recipient_kept(struct rpc_call *call, const char *id, struct recipient *ret) MUST_USE;

/* Nothing of the person is left but id, place, household and state. */
int recipient_forget(struct rpc_call *call, struct recipient *r) MUST_USE;
/* Of the member, if there is one: consume.c. */
int recipient_forget_member(struct rpc_call *call, const char *member) MUST_USE;
