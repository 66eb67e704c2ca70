/* SPDX-License-Identifier: Apache-2.0
 *
 * All of membership's SQL, as functions over a connection. They return 0, -ENOENT for no such row, or what
 * the store says. Texts live in the arena that is given. Nothing here decides.
 */
#pragma once

#include "common/base/arena.h"
#include "common/crypto/crypto.h"
#include "common/store/store.h"
#include "services/membership/rules.h"

/* --- organisations: store_organization.c ---------------------------------------------------------------- */

struct organization {
        char *code, *parent, *name, *path; /* parent: "" at the top */
        Organization__Kind kind;
        int64_t valid_from, valid_to; /* 0: open */
        int64_t version;
};

struct organization_list {
        struct organization *items;
        size_t n, room;
};
struct organization *organization_list_add(struct organization_list *list, struct arena *arena);

int organization_get(struct store_conn *db, struct arena *arena, struct str code,
                     struct organization *ret) MUST_USE;
int organization_insert(struct store_conn *db,
                        const struct organization *o) MUST_USE; /* STORE_E_CONSTRAINT: exists */
int organization_update(struct store_conn *db,
                        const struct organization *o) MUST_USE; /* all but code and version */

/* In the order of their paths, after path `after`, before path `end`. */
struct organization_filter {
        const char *after, *end;
        const char *parent; /* or "" for all */
        Organization__Kind kind;
        const char *q;    /* part of the name or beginning of the code, or "" */
        int64_t valid_at; /* only those valid then; 0: all */
};
int organization_list(struct store_conn *db, struct arena *arena, const struct organization_filter *filter,
                      int64_t limit, struct organization_list *ret) MUST_USE;
/* The organisation at the path, and all below it, in order: parents first. */
int organization_subtree(struct store_conn *db, struct arena *arena, const char *path,
                         struct organization_list *ret) MUST_USE;

/* --- counts: store_count.c ------------------------------------------------------------------------------ */

#define COUNT_KIND_BASE 100 /* `what` of an organisation is this and its kind; of a member its state */

/* Its path as the counts know it. */
int count_node_get(struct store_conn *db, struct arena *arena, const char *organization,
                   char **ret_path) MUST_USE;
int count_node_set(struct store_conn *db, const char *organization, const char *path) MUST_USE;
/* n times the organisation's code, what is counted, and by how much; each pair once. */
int count_own_add(struct store_conn *db, const struct store_value *counts, size_t n) MUST_USE;
int count_subtree_add(struct store_conn *db, const struct store_value *counts, size_t n) MUST_USE;
struct count {
        int what;
        int64_t n;
};
#define COUNT_MAX 16
int count_own_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX],
                   size_t *ret_n) MUST_USE;
int count_subtree_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX],
                       size_t *ret_n) MUST_USE;
/* Makes the counts anew from what is there now. */
int count_rebuild(struct store_conn *db) MUST_USE;

/* --- accounts and clients: store_account.c -------------------------------------------------------------- */

struct role_grant {
        int role;
        char *organization;
};
#define ROLE_GRANT_MAX 64

/* Of an account or a client, by its id. */
int role_grants_get(struct store_conn *db, struct arena *arena, const char *holder,
                    struct role_grant out[ROLE_GRANT_MAX], size_t *ret_n) MUST_USE;
int role_grants_set(struct store_conn *db, const char *holder, const struct role_grant *grants,
                    size_t n) MUST_USE;

struct account {
        char *id, *login, *display_name, *organization, *password;
        bool disabled;
        int64_t generation, created;
};
int account_get(struct store_conn *db, struct arena *arena, const char *id, struct account *ret) MUST_USE;
int account_by_login(struct store_conn *db, struct arena *arena, const char *login,
                     struct account *ret) MUST_USE;
int account_insert(struct store_conn *db,
                   const struct account *a) MUST_USE; /* STORE_E_CONSTRAINT: login is taken */
int account_update(struct store_conn *db,
                   const struct account *a) MUST_USE; /* password, disabled, generation */
/* Those of the subtree at path, after this organisation's path and id. */
int account_list(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                 const char *after_id, int64_t limit, struct account *out, char **out_paths,
                 size_t *ret_n) MUST_USE;
/* In the order of their ids, after that one. */
int account_states(struct store_conn *db, struct arena *arena, const char *after, int64_t limit, struct account *out,
                   size_t *ret_n) MUST_USE;

struct client {
        char *id, *name, *organization, *key_hash;
        bool disabled;
        int64_t generation, created;
};
int client_get(struct store_conn *db, struct arena *arena, const char *id, struct client *ret) MUST_USE;
int client_by_key(struct store_conn *db, struct arena *arena, const char *key_hash,
                  struct client *ret) MUST_USE;
int client_insert(struct store_conn *db, const struct client *c) MUST_USE;
int client_update(struct store_conn *db,
                  const struct client *c) MUST_USE; /* key_hash, disabled, generation */
int client_list(struct store_conn *db, struct arena *arena, struct str path, const char *after_path,
                const char *after_id, int64_t limit, struct client *out, char **out_paths,
                size_t *ret_n) MUST_USE;

/* --- members: store_member.c ---------------------------------------------------------------------------- */

struct member {
        char *id, *organization, *path; /* path: the organisation's; read only */
        Member__State state;
        char *name, *number, *id_number_masked, *phone_masked, *join_date;
        int64_t created, updated, version, generation;
        int64_t state_since;
        int64_t erased; /* when; 0: not */
};
struct member_secret {
        struct str wrapped_key, id_number, phone; /* phone: empty for none */
        struct str id_number_index, phone_index;
};
struct member_list {
        struct member *items;
        size_t n, room;
};

int member_get(struct store_conn *db, struct arena *arena, const char *id, struct member *ret) MUST_USE;
/* Of those whose membership has not ended. */
int member_by_id_number(struct store_conn *db, struct arena *arena, struct str index,
                        struct member *ret) MUST_USE;
int member_by_phone(struct store_conn *db, struct arena *arena, struct str index, int64_t limit,
                    struct member_list *ret) MUST_USE;
int member_insert(struct store_conn *db,
                  const struct member *m) MUST_USE; /* STORE_E_CONSTRAINT: number is taken */
/* All but id, organization, created and erased; raises the version. STORE_E_CONSTRAINT: number is taken. */
int member_update(struct store_conn *db, struct member *m) MUST_USE;
/* In the order of their ids, after that one; only id, organization, state and state_since are filled. */
int member_states(struct store_conn *db, struct arena *arena, const char *after, int64_t limit,
                  struct member_list *ret) MUST_USE;
/* Likewise, of those that were erased. */
int member_erasures(struct store_conn *db, struct arena *arena, const char *after, int64_t limit,
                    struct member_list *ret) MUST_USE;
/* After (path, state, id), all empty or 0 for the first page; state 0: all. */
struct member_filter {
        struct str path;
        Member__State state;
        const char *after_path, *after_id;
        int64_t after_state;
};
int member_list(struct store_conn *db, struct arena *arena, const struct member_filter *filter, int64_t limit,
                struct member_list *ret) MUST_USE;

int member_secret_get(struct store_conn *db, struct arena *arena, const char *member,
                      struct member_secret *ret) MUST_USE;
int member_secret_insert(struct store_conn *db, const char *member, const struct member_secret *s) MUST_USE;
int member_secret_set_phone(struct store_conn *db, const char *member,
                            const struct member_secret *s) MUST_USE;
int member_secret_retire(struct store_conn *db,
                         const char *member) MUST_USE; /* its ID number is free again */
/* The person's key and all that it sealed go, and everything personal here; m->erased says when. */
int member_erase(struct store_conn *db, struct member *m) MUST_USE;

/* --- consents: store_consent.c -------------------------------------------------------------------------- */

/* One giving. */
struct consent {
        char *member, *purpose, *version;
        int64_t giving; /* 1, 2, …: of the member for the purpose; only the last may hold */
        int64_t given;
        int64_t ended; /* withdrawn, or another version took its place; 0: it holds */
};
struct consent_list {
        struct consent *items;
        size_t n, room;
};
struct consent_state {
        struct consent consent; /* the last giving */
        char *organization;     /* the member's */
};
struct consent_state_list {
        struct consent_state *items;
        size_t n;
};

/* All of a member, by purpose and giving. */
int consent_list(struct store_conn *db, struct arena *arena, const char *member,
                 struct consent_list *ret) MUST_USE;
int consent_last(struct store_conn *db, struct arena *arena, const char *member, const char *purpose,
                 struct consent *ret) MUST_USE;
int consent_count(struct store_conn *db, const char *member, int64_t *ret) MUST_USE;
/* STORE_E_RETRY: somebody else has given or ended one meanwhile. */
int consent_insert(struct store_conn *db, const struct consent *c) MUST_USE; /* it holds */
int consent_end(struct store_conn *db, const struct consent *c) MUST_USE;    /* as c->ended says */
int consent_erase(struct store_conn *db, const char *member, int64_t *ret_erased) MUST_USE;
/* Of every member and purpose, in that order, after these two. */
int consent_states(struct store_conn *db, struct arena *arena, const char *after_member,
                   const char *after_purpose, int64_t limit, struct consent_state_list *ret) MUST_USE;
