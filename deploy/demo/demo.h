/* SPDX-License-Identifier: Apache-2.0
 *
 * What the demo's steps share.
 */
#pragma once

#include "deploy/demo/people.h"
#include "deploy/demo/web.h"

#include <stdatomic.h>

struct member {
        char id[40];
        size_t village; /* index into divisions */
};

struct activity {
        char id[40];
        bool on_site, online;
};

struct demo {
        const char *http, *var, *data;
        int64_t members_wanted, activities_wanted, connections;
        struct divisions divisions;
        char admin_login[80], admin_password[80], api_key[80], campaign[40];
        struct member *members;
        size_t n_members;
        struct activity *activities;
        size_t n_activities;
        /* what the gateway acknowledged */
        _Atomic int64_t registered, waiting, refused, repeated, done;
        _Atomic int64_t *attended; /* by division: of the village itself */
        int64_t last_ack_us;
};

/* Each returns 0, or negative after a line on standard error. */
int setup_credentials(struct demo *demo) MUST_USE; /* credentials.json */
int setup_members(struct demo *demo) MUST_USE;     /* import over HTTP, then the list with their ids */
int setup_activities(struct demo *demo) MUST_USE;  /* a campaign of this run's own and its activities, opened */
int rush_run(struct demo *demo) MUST_USE;          /* registrations and check-ins */
int proof_run(struct demo *demo) MUST_USE;         /* counts at every level against what was acknowledged */

/* A line that is rewritten: done of total, rate, remaining. */
void show_progress(const char *what, int64_t done, int64_t total, int64_t started_us);
void show_done(const char *what, int64_t total, int64_t started_us);
