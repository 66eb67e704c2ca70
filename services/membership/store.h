/* SPDX-License-Identifier: Apache-2.0
 *
 * All of membership's SQL, as functions over a connection. They return 0, -ENOENT for no such row, or what the store
 * says. Texts live in the arena that is given. Nothing here decides.
 */
#pragma once

#include "common/base/arena.h"
#include "common/crypto/crypto.h"
#include "common/store/store.h"
#include "services/membership/rules.h"

/* --- organisations: store_organization.c ---------------------------------------------------------------------------- */

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

int organization_get(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret) MUST_USE;
int organization_insert(struct store_conn *db, const struct organization *o) MUST_USE; /* STORE_E_CONSTRAINT: exists */
int organization_update(struct store_conn *db, const struct organization *o) MUST_USE; /* all but code and version */

/* In the order of their paths, after path `after`, before path `end`. */
struct organization_filter {
        const char *after, *end;
        const char *parent;  /* or "" for all */
        Organization__Kind kind;
        const char *q;       /* part of the name or beginning of the code, or "" */
};
int organization_list(struct store_conn *db, struct arena *arena, const struct organization_filter *filter, int64_t limit,
                      struct organization_list *ret) MUST_USE;
/* The organisation at the path, and all below it, in order: parents first. */
int organization_subtree(struct store_conn *db, struct arena *arena, const char *path,
                         struct organization_list *ret) MUST_USE;

/* --- counts: store_count.c ---------------------------------------------------------------------------------------------- */

#define COUNT_KIND_BASE 100 /* `what` of an organisation is this and its kind; of a member its state */

/* Its path as the counts know it. */
int count_node_get(struct store_conn *db, struct arena *arena, const char *organization, char **ret_path) MUST_USE;
int count_node_set(struct store_conn *db, const char *organization, const char *path) MUST_USE;
int count_own_add(struct store_conn *db, const char *organization, int what, int64_t n) MUST_USE;
int count_subtree_add(struct store_conn *db, struct str organization, int what, int64_t n) MUST_USE;
struct count {
        int what;
        int64_t n;
};
#define COUNT_MAX 16
int count_own_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX], size_t *ret_n) MUST_USE;
int count_subtree_list(struct store_conn *db, const char *organization, struct count out[COUNT_MAX],
                       size_t *ret_n) MUST_USE;
/* Makes the counts anew from what is there now, and keeps the outbox's position to which they belong. */
int count_rebuild(struct store_conn *db) MUST_USE;
int count_base(struct store_conn *db, int64_t *ret_position) MUST_USE; /* 0: never rebuilt */

/* --- imports: store_import.c -------------------------------------------------------------------------------------------- */

enum import_kind { IMPORT_ORGANIZATIONS = 1, IMPORT_MEMBERS = 2 };

struct import {
        char *id, *owner, *organization, *header;
        enum import_kind kind;
        Operation__State state;
        bool validate_only;
        uint32_t utf8;
        int64_t size, next_offset, next_row;
        int64_t total, accepted, unchanged, refused;
        int64_t created, ended;
};
struct import_piece {
        int64_t start, size;
        struct str data; /* as it was given to import_piece_add */
};
struct import_error {
        int64_t row;
        int fault;
        char *column;
};

int import_get(struct store_conn *db, struct arena *arena, const char *id, struct import *ret) MUST_USE;
int import_insert(struct store_conn *db, const struct import *i) MUST_USE;
int import_update(struct store_conn *db, const struct import *i) MUST_USE; /* what changes as it goes on */
int import_delete(struct store_conn *db, const char *id) MUST_USE;        /* with its pieces and errors */
int import_piece_add(struct store_conn *db, const char *import, const struct import_piece *piece) MUST_USE;
/* The piece with the byte at offset. */
int import_piece_at(struct store_conn *db, struct arena *arena, const char *import, int64_t offset,
                    struct import_piece *ret) MUST_USE;
int import_pieces_drop(struct store_conn *db, const char *import, int64_t before) MUST_USE; /* that end there */
int import_error_add(struct store_conn *db, const char *import, const struct import_error *error) MUST_USE;
int import_error_list(struct store_conn *db, struct arena *arena, const char *import, int64_t after_row, size_t limit,
                      struct import_error *out, size_t *ret_n) MUST_USE;
