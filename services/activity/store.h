/* SPDX-License-Identifier: Apache-2.0
 *
 * All of this service's SQL, behind plain structs. Functions run inside the caller's transaction; texts that they hand
 * out live in the given arena. Results: 0; ACTIVITY_E_ABSENT where said; STORE_E_RETRY and negative errors are for the
 * caller's caller.
 */
#pragma once

#include "common/store/store.h"

#define ACTIVITY_E_ABSENT 900 /* there is no such row */

extern const struct store_migration activity_migrations[];

/* The texts from `path` to path_end are an organisation and all below it; {"/"} is everything. */
struct str path_end(struct arena *arena, struct str path);

/* --- projections (store_projection.c) ------------------------------------------------------------------------ */

struct organization {
        const char *code, *parent, *path, *name;
        int64_t valid_from_us, valid_to_us; /* 0: no limit */
};
int organization_load(struct store_conn *db, struct arena *arena, struct str code, struct organization *ret) MUST_USE;
/* As membership has it now. With a new parent, what was counted below it moves along; with a new path, campaigns and
 * activities follow. */
int organization_save(struct store_conn *db, struct arena *arena, const struct organization *organization) MUST_USE;

/* The organisation itself and all above it, by their parents; upwards. A tree deeper than that is cut. */
#define ORGANIZATION_MAX_DEPTH 16
int organization_ancestors(struct store_conn *db, struct arena *arena, const char *code,
                           const char *ret_codes[ORGANIZATION_MAX_DEPTH], size_t *ret_n) MUST_USE;

struct member {
        const char *organization; /* code */
        bool active;
        int64_t since_us; /* active, or not, since then */
        const char *path; /* read only: of the organisation; "" if that is not known */
};
int member_load(struct store_conn *db, struct arena *arena, const char *id, struct member *ret) MUST_USE;
int member_save(struct store_conn *db, const char *id, const struct member *member) MUST_USE;
int members_forget(struct store_conn *db) MUST_USE;
/* Erases what is kept of a member beyond the id: the codes of registrations at once; devices and nonces of check-ins, and
 * refused scans, at the next `limit` activities after that one. The last of these, or "" after the end. */
int member_erase(struct store_conn *db, const char *id) MUST_USE;
int member_erase_scans(struct store_conn *db, struct arena *arena, const char *id, const char *after, int64_t limit,
                       const char **ret_last) MUST_USE;

/* --- campaigns (store_campaign.c) ------------------------------------------------------------------------------ */

struct campaign {
        const char *id, *organization, *path, *title, *description;
        int64_t start_us, end_us;
        int state;
        int64_t closed_us; /* 0 while not closed */
        int64_t created_us, updated_us;
        int64_t revision;
};
int campaign_load(struct store_conn *db, struct arena *arena, const char *id, struct campaign *ret) MUST_USE;
int campaign_insert(struct store_conn *db, const struct campaign *campaign) MUST_USE;
/* Writes what may change and raises the revision, here too. STORE_E_RETRY if somebody else did so meanwhile. */
int campaign_save(struct store_conn *db, struct campaign *campaign) MUST_USE;
/* Newest first, those older than `before` ("": from the newest); state 0: any. campaign_read after each store_next. */
int campaigns_query(struct store_conn *db, struct str path, struct str end, int state, const char *before,
                    int64_t limit, struct store_rows **ret_rows) MUST_USE;
/* All of them by id, from that one on. */
int campaigns_from_query(struct store_conn *db, const char *id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void campaign_read(const struct store_rows *rows, struct arena *arena, struct campaign *ret);

/* --- activities (store_activity.c) ----------------------------------------------------------------------------- */

struct activity {
        const char *id, *campaign, *organization, *path, *title, *description;
        int category, mode;
        const char *place, *link;
        int64_t start_us, end_us;
        int64_t registration_start_us, registration_end_us; /* 0: not given */
        int64_t capacity;                                   /* 0: unlimited */
        bool no_waiting_list, registration_required;
        int state;
        int64_t closed_us; /* when it was closed or cancelled; 0: it is not */
        int64_t created_us, updated_us;
        int64_t revision;
        int64_t registered, waiting, on_site, online; /* read only */
        int campaign_state;                          /* read only */
        const char *campaign_organization;            /* read only */
};
/* For deciding: without the four counts, so that whoever writes does not depend on whoever counts. */
int activity_load(struct store_conn *db, struct arena *arena, const char *id, struct activity *ret) MUST_USE;
int activity_load_counted(struct store_conn *db, struct arena *arena, const char *id, struct activity *ret) MUST_USE;
int activity_insert(struct store_conn *db, const struct activity *activity) MUST_USE;
/* Like campaign_save; the capacity by seat_resize. */
int activity_save(struct store_conn *db, struct activity *activity) MUST_USE;
struct activity_filter {
        const char *campaign, *audience; /* "": any; the audience is an organisation below those that run them */
        int state;                       /* 0: any */
};
/* By path, then id, after (after_path, after_id). */
int activities_query(struct store_conn *db, struct str after_path, const char *after_id, struct str end,
                     const struct activity_filter *filter, int64_t limit, struct store_rows **ret_rows) MUST_USE;
/* All of them by id, from that one on; without the counts. */
int activities_from_query(struct store_conn *db, const char *id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void activity_read(const struct store_rows *rows, struct arena *arena, struct activity *ret);

/* --- places and registrations (store_registration.c) ------------------------------------------------------------- */

struct seat {
        int64_t capacity, taken, waiting, last_position;
};
/* Takes a place or a position in the waiting list: waiting is 0 in the result if it is a place. */
int seat_take(struct store_conn *db, const char *activity, struct seat *ret) MUST_USE;
/* Gives back a place (taken, -1) or a position in the waiting list (waiting, -1), and locks the row. */
int seat_change(struct store_conn *db, const char *activity, int64_t taken, int64_t waiting, struct seat *ret) MUST_USE;
/* ACTIVITY_E_ABSENT if more places than that are taken. */
int seat_resize(struct store_conn *db, const char *activity, int64_t capacity, struct seat *ret) MUST_USE;
int seat_insert(struct store_conn *db, const char *activity, int64_t capacity) MUST_USE;
int seat_delete(struct store_conn *db, const char *activity) MUST_USE;

struct registration {
        const char *id, *activity, *member, *organization;
        int state;
        const char *code;
        int64_t position;
        int64_t created_us, changed_us;
        bool attended;    /* read only */
        const char *path; /* read only: of its organisation; "" if that is not known */
};
/* ACTIVITY_E_ABSENT if the member (or the code) is taken in this activity. */
int registration_insert(struct store_conn *db, const struct registration *registration) MUST_USE;
/* Writes organization, state, position and changed_us. STORE_E_RETRY if its state is no more `was`. */
int registration_save(struct store_conn *db, const struct registration *registration, int was) MUST_USE;
int registration_load(struct store_conn *db, struct arena *arena, const char *activity, const char *id,
                      struct registration *ret) MUST_USE;
int registration_of_member(struct store_conn *db, struct arena *arena, const char *activity, const char *member,
                           struct registration *ret) MUST_USE;
int registration_of_code(struct store_conn *db, struct arena *arena, const char *activity, const char *code,
                         struct registration *ret) MUST_USE;
/* Who waits first has a place from now on. ACTIVITY_E_ABSENT: nobody waits. */
int registration_promote(struct store_conn *db, struct arena *arena, const char *activity, int64_t now_us,
                         struct registration *ret) MUST_USE;
int registrations_query(struct store_conn *db, const char *activity, int state, int64_t after_position,
                        const char *after_id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
int registrations_of_member_query(struct store_conn *db, const char *member, const char *before, int64_t limit,
                                  struct store_rows **ret_rows) MUST_USE;
void registration_read(const struct store_rows *rows, struct arena *arena, struct registration *ret);
/* What others are told of a registration: of all by id, after that one. */
struct registration_state {
        const char *id, *activity, *campaign, *member, *organization;
        int state;
};
int registration_states_query(struct store_conn *db, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void registration_state_read(const struct store_rows *rows, struct arena *arena, struct registration_state *ret);

/* --- check-ins (store_checkin.c) ---------------------------------------------------------------------------------- */

/* What there is to know before a scan is judged, in one look-up. */
struct scan_context {
        const char *campaign, *path; /* of the activity */
        int campaign_state, activity_state, mode;
        int64_t campaign_closed_us, start_us, end_us, closed_us;
        bool registration_required, organization_known;
        bool inactive; /* the member, since: */
        int64_t inactive_us;
        int registration; /* its state; 0: none */
        int64_t registration_changed_us;
};
/* member and organization may be "" when they are not known. ACTIVITY_E_ABSENT: no such activity. */
int scan_context_load(struct store_conn *db, struct arena *arena, const char *activity, const char *member,
                      const char *organization, struct scan_context *ret) MUST_USE;

struct attendance {
        const char *id, *activity, *member, *organization;
        int way;
        const char *device, *nonce;
        int64_t occurred_us, created_us;
        const char *previous_organization; /* after an amendment */
        int previous_way;
        int refusal; /* read only: of a refused scan, a Nuanxin__Problem */
};
enum attendance_outcome {
        ATTENDANCE_RECORDED, /* the first of this member */
        ATTENDANCE_AMENDED,  /* there was one, but this scan is the earlier: it replaced that */
        ATTENDANCE_REPEATED, /* there was one, and it stays */
};
/* Of two scans the one with the smaller (time, nonce, device, organization, way) stays, in whatever order they come. On
 * return *attendance is what stands in the store. */
int attendance_record(struct store_conn *db, struct arena *arena, struct attendance *attendance,
                      enum attendance_outcome *ret_outcome) MUST_USE;
/* The same scan again changes nothing. */
int refused_scan_record(struct store_conn *db, const struct attendance *scan, int reason) MUST_USE;
int attendances_query(struct store_conn *db, const char *activity, const char *after_member, int64_t limit,
                      struct store_rows **ret_rows) MUST_USE;
int refused_scans_query(struct store_conn *db, const char *activity, const char *after_id, int64_t limit,
                        struct store_rows **ret_rows) MUST_USE;
void attendance_read(const struct store_rows *rows, struct arena *arena, struct attendance *ret);
/* What others are told of an attendance: of all by activity and member, after these. */
struct attendance_state {
        const char *id, *activity, *campaign, *member, *organization;
        int way;
        int64_t occurred_us;
};
int attendance_states_query(struct store_conn *db, const char *after_activity, const char *after_member, int64_t limit,
                            struct store_rows **ret_rows) MUST_USE;
void attendance_state_read(const struct store_rows *rows, struct arena *arena, struct attendance_state *ret);

/* --- counts (store_count.c) ------------------------------------------------------------------------------------------ */

/* n times the activity, and by how much: registered, waiting, on site, online; each activity once. */
int activity_count_add(struct store_conn *db, const struct store_value *counts, size_t n) MUST_USE;
/* n times the campaign, the organisation, and by how much: on site, online; each pair once. */
int campaign_count_add(struct store_conn *db, const struct store_value *counts, size_t n) MUST_USE;

struct organization_count {
        const char *organization, *name;
        int64_t on_site, online;
};
int campaign_count_load(struct store_conn *db, struct arena *arena, const char *campaign, const char *organization,
                        struct organization_count *ret) MUST_USE;
/* Of the organisations right below `parent`, by code, after `after`. */
int campaign_counts_query(struct store_conn *db, const char *campaign, const char *parent, const char *after,
                          int64_t limit, struct store_rows **ret_rows) MUST_USE;
void organization_count_read(const struct store_rows *rows, struct arena *arena, struct organization_count *ret);
/* Makes all counts anew from what was recorded. */
int counts_rebuild(struct store_conn *db) MUST_USE;
