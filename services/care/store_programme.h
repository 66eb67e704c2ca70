/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmes and calendars in the store. What store.h says of its functions holds here, too.
 */
#pragma once

#include "store.h"

struct programme {
        const char *id, *organization;
        int64_t version, current_version;
        int64_t created_us, activated_us; /* of this version; activated 0: a draft */
        struct str document;              /* packed */
};
/* version 0: the current one. CARE_E_ABSENT: there is no such programme, or version. */
int programme_load(struct store_conn *db, struct arena *arena, const char *id, int64_t version, struct programme *ret) MUST_USE;
/* As programme_load, without the document. */
int programme_find(struct store_conn *db, struct arena *arena, const char *id, int64_t version, int64_t *ret_version,
                   const char **ret_hash) MUST_USE;
/* The version with a document of that hash. CARE_E_ABSENT: there is none. */
int programme_load_hash(struct store_conn *db, struct arena *arena, const char *id, const char *hash, struct programme *ret) MUST_USE;
/* CARE_E_ABSENT: there is no such programme. */
int programme_organization(struct store_conn *db, struct arena *arena, const char *id, const char **ret_organization) MUST_USE;
/* Adds a version: p->id, organization, created_us and document are given, its number is set. */
int programme_add(struct store_conn *db, struct programme *p, const char *hash) MUST_USE;
/* From now on this version is the current one. */
int programme_activate(struct store_conn *db, const char *id, int64_t version, int64_t now_us) MUST_USE;
/* All versions of one, in their order. programme_read after each store_next. */
int programme_versions_query(struct store_conn *db, const char *id, struct store_rows **ret_rows) MUST_USE;
/* The current versions by id, after that one. programme_read after each store_next. */
int programmes_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void programme_read(const struct store_rows *rows, struct arena *arena, struct programme *ret);

/* --- calendars --------------------------------------------------------------------------------------------------- */

int calendar_save(struct store_conn *db, int year, struct str packed, int64_t now_us) MUST_USE;
/* CARE_E_ABSENT: none of that year. */
int calendar_load(struct store_conn *db, struct arena *arena, int year, struct str *ret_packed) MUST_USE;
/* Those of the years from that one on; the only column is the calendar, packed. */
int calendars_query(struct store_conn *db, int from_year, struct store_rows **ret_rows) MUST_USE;
