/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQL of agencies, of what holds of persons, and of positions, behind plain structs. Functions run inside the caller's
 * transaction; texts that they hand out live in the given arena. Results: 0; STREAM_E_ABSENT where said; STORE_E_RETRY and
 * negative errors are for the caller's caller.
 */
#pragma once

#include "services/stream/store.h"
#include "services/stream/view.h"

/* Lists as they stand in a column: an item a line. */
struct str list_join(struct arena *arena, struct view_list list);
struct view_list list_split(struct arena *arena, struct str text);

/* --- agencies (store_agency.c) --------------------------------------------------------------------------------------- */

struct agency {
        const char *id, *name, *agreement;
        struct view_list purposes, statutory, types, organizations, withheld;
        Nuanxin__Privacy privacy;
        int64_t agreement_expire_us;
        bool suspended;
        int64_t created_us, updated_us, revision;
};
int agency_load(struct store_conn *db, struct arena *arena, const char *id, struct agency *ret) MUST_USE; /* or ABSENT */
int agency_revision(struct store_conn *db, const char *id, int64_t *ret) MUST_USE;                        /* or ABSENT */
int agency_insert(struct store_conn *db, const struct agency *agency) MUST_USE; /* STORE_E_CONSTRAINT: it exists */
/* Writes what may change and raises the revision, here too. STORE_E_RETRY if somebody else did so meanwhile. */
int agency_save(struct store_conn *db, struct agency *agency) MUST_USE;
/* By id, after `after`. */
int agencies_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void agency_read(const struct store_rows *rows, struct arena *arena, struct agency *ret);
/* Agencies at this organisation must be read anew. */
int agencies_touch(struct store_conn *db, const char *organization) MUST_USE;

struct agency_key {
        const char *id, *agency, *value;
        int kind;
        int64_t created_us;
};
/* Those that are valid, oldest first. */
int agency_keys_load(struct store_conn *db, struct arena *arena, const char *agency, struct agency_key **ret,
                     size_t *ret_n) MUST_USE;
int agency_key_insert(struct store_conn *db, const struct agency_key *key) MUST_USE; /* STORE_E_CONSTRAINT: it was used already */
int agency_key_revoke(struct store_conn *db, const char *agency, const char *id, int64_t now_us) MUST_USE; /* or ABSENT */
int agency_key_find(struct store_conn *db, struct arena *arena, int kind, const char *value,
                    struct agency_key *ret) MUST_USE; /* or ABSENT */
/* All valid ones of a kind, by agency and id. */
int agency_keys_of_kind(struct store_conn *db, struct arena *arena, int kind, struct agency_key **ret, size_t *ret_n) MUST_USE;

/* --- persons and notices (store_standing.c) ----------------------------------------------------------------------------- */

struct standing {
        const char *person, *purpose; /* purpose "": the person has been erased */
};
enum standing_of { STANDING_OF_LOG, STANDING_OF_STATE };
/* What holds of the persons of the rows after `after` up to `through`, of the log (at most 512) or of the state (at most 1000). */
int standing_load(struct store_conn *db, struct arena *arena, enum standing_of of, int64_t after, int64_t through,
                  struct standing **ret, size_t *ret_n) MUST_USE;
int standing_set(struct store_conn *db, const char *person, const char *purpose, int64_t seq) MUST_USE;
/* purpose "": all of it. */
int standing_clear(struct store_conn *db, const char *person, const char *purpose) MUST_USE;
int standing_clear_all(struct store_conn *db) MUST_USE; /* but for who has been erased */

struct standing_change {
        int64_t seq;
        const char *person;
        bool erased;
};
int standing_change_add(struct store_conn *db, const struct standing_change *change) MUST_USE;
/* After `after`, at most `limit`, in order. */
int standing_changes_load(struct store_conn *db, struct arena *arena, int64_t after, int64_t limit, struct standing_change **ret,
                          size_t *ret_n) MUST_USE;
/* Who has seen nothing of the log for longer than that must take it that everything has changed. */
#define STANDING_CHANGES_KEPT 1000000
int standing_changes_trim(struct store_conn *db, int64_t through, int64_t *ret_n) MUST_USE;

struct notice {
        int64_t seq;
        const char *type, *purpose;
        struct str places;
};
int notice_insert(struct store_conn *db, const struct notice *notice) MUST_USE;
int notice_delete(struct store_conn *db, int64_t seq) MUST_USE; /* if it is one */
int notices_load(struct store_conn *db, struct arena *arena, int64_t after, int64_t through, int64_t limit, struct notice **ret,
                 size_t *ret_n) MUST_USE;

/* --- positions (store_position.c) ------------------------------------------------------------------------------------------ */

struct subscriber {
        const char *agency, *transport;
        int64_t position, seen_us;
};
int subscriber_save(struct store_conn *db, const struct subscriber *subscriber) MUST_USE; /* unless a later one is there */
int subscribers_load(struct store_conn *db, struct arena *arena, struct subscriber **ret, size_t *ret_n) MUST_USE;

/* Before anything else of a transaction that acknowledges: others may do so at the same time. */
int receipts_lock(struct rpc_call *call) MUST_USE;
int receipt_insert(struct store_conn *db, const char *agency, int64_t notice, int64_t now_us) MUST_USE;
/* Up to where the log's notices were looked through for an agency, and how many of them it has acknowledged. */
struct receipt_mark {
        int64_t seq, receipts;
};
int receipt_mark_load(struct store_conn *db, const char *agency, struct receipt_mark *ret) MUST_USE; /* zero if there is none */
int receipt_mark_save(struct store_conn *db, const char *agency, const struct receipt_mark *mark) MUST_USE;
