/* SPDX-License-Identifier: Apache-2.0
 *
 * Imports in the service's store: the upload's pieces, how far it is, what it refused.
 */
#pragma once

#include "common/store/store.h"

struct import {
        char *id, *owner, *organization, *about, *header;
        int kind;  /* struct import_kind's number */
        int state; /* Operation.State */
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

/* -ENOENT: there is none. */
int import_get(struct store_conn *db, struct arena *arena, const char *id, struct import *ret) MUST_USE;
int import_insert(struct store_conn *db, const struct import *i) MUST_USE;
int import_update(struct store_conn *db, const struct import *i) MUST_USE; /* what changes as it goes on */
int import_delete(struct store_conn *db, const char *id) MUST_USE;         /* with its pieces and errors */
int import_piece_add(struct store_conn *db, const char *import, const struct import_piece *piece) MUST_USE;
/* The piece with the byte at offset; -ENOENT. */
int import_piece_at(struct store_conn *db, struct arena *arena, const char *import, int64_t offset,
                    struct import_piece *ret) MUST_USE;
/* Those that end there. */
int import_pieces_drop(struct store_conn *db, const char *import, int64_t before) MUST_USE;
/* Has a row of this import told of that person before? If not, it has from now on. */
enum import_seen { SEEN_NEVER, SEEN_ALIKE, SEEN_OTHERWISE };
int import_see(struct store_conn *db, const char *import, struct str person, struct str says,
               enum import_seen *ret) MUST_USE;
int import_seen_drop(struct store_conn *db, const char *import, int64_t limit, int64_t *ret_dropped) MUST_USE;
int import_error_add(struct store_conn *db, const char *import, const struct import_error *error) MUST_USE;
int import_error_list(struct store_conn *db, struct arena *arena, const char *import, int64_t after_row,
                      size_t limit, struct import_error *out, size_t *ret_n) MUST_USE;
