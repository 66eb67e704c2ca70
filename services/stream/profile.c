/* SPDX-License-Identifier: Apache-2.0
 *
 * Agencies' profiles in memory: each is read once a revision, and kept while it is the newest or in use.
 */
#include "services/stream/agencies.h"

#include "agencies_internal.h"

#include <stdlib.h>

#define PROFILES_MAX 1024 /* beyond that the longest unused go */

struct kept {
        struct profile is; /* first */
        struct kept *next;
        struct arena *arena;
        size_t users; /* the list itself is one */
};

bool profile_has_key(const struct profile *p, const char *key)
{
        for (size_t i = 0; i < p->n_keys; i++)
                if (strcmp(p->keys[i].id, key) == 0)
                        return true;
        return false;
}

/* --- making ----------------------------------------------------------------------------------------------------------- */

/* Is one of these the top of the tree? Its path is its own code alone. */
static int find_top(struct store_conn *db, struct arena *arena, struct view_list organizations, bool *ret)
{
        *ret = false;
        for (size_t i = 0; i < organizations.n && !*ret; i++) {
                const char *path, *code = organizations.items[i];
                int r = organization_path_load(db, arena, str_of(code), &path);
                if (r == STREAM_E_ABSENT)
                        continue;
                if (r != 0)
                        return r;
                *ret = strcmp(path, arena_printf(arena, "/%s/", code)) == 0;
        }
        return 0;
}

static int fill(struct store_conn *db, struct kept *k, const char *id)
{
        struct agency a;
        struct agency_key *keys = NULL;
        int r = agency_load(db, k->arena, id, &a);
        if (r == 0)
                r = agency_keys_load(db, k->arena, id, &keys, &k->is.n_keys);
        if (r != 0)
                return r;
        k->is.id = a.id;
        k->is.agreement = a.agreement;
        k->is.revision = a.revision;
        k->is.keys = keys;
        k->is.view = (struct view_profile){
                .purposes = a.purposes,
                .statutory = a.statutory,
                .types = a.types,
                .organizations = a.organizations,
                .withheld = a.withheld,
                .privacy = a.privacy,
                .suspended = a.suspended,
                .agreement_expire_us = a.agreement_expire_us,
        };
        return find_top(db, k->arena, a.organizations, &k->is.view.top);
}

static void fill_everything(struct kept *k)
{
        k->is.id = k->is.agreement = "";
        k->is.view = (struct view_profile){.everything = true, .privacy = NUANXIN__PRIVACY__PERSONAL};
}

static struct view_types types_of(struct kept *k)
{
        static const char *const all[] = {"nuanxin.*"};
        return view_types_of(k->arena, k->is.view.everything ? (struct view_list){all, 1} : k->is.view.types);
}

static struct kept *destroy(struct agencies *a, struct kept *k)
{
        segments_projection_release(a->segments, k->is.projection);
        arena_free(k->arena);
        free(k);
        return NULL;
}

static int make(struct agencies *a, struct store_conn *db, const char *id, struct kept **ret)
{
        struct kept *k = mem_zalloc(sizeof(*k));
        k->arena = arena_new(4096);
        int r = 0;
        if (id[0])
                r = fill(db, k, id);
        else
                fill_everything(k);
        if (r != 0) {
                destroy(a, k);
                return r;
        }
        k->is.allowed = types_of(k);
        k->is.projection = segments_projection(a->segments, k->is.view.privacy, k->is.view.withheld);
        k->users = 1;
        *ret = k;
        return 0;
}

/* --- keeping ----------------------------------------------------------------------------------------------------------- */

/* Under the lock; what is to be destroyed is put into *gone, for afterwards. */
static void let_go(struct kept *k, struct kept **gone)
{
        if (--k->users)
                return;
        k->next = *gone;
        *gone = k;
}

static void unlink_one(struct agencies *a, struct kept **at, struct kept **gone)
{
        struct kept *k = *at;
        *at = k->next;
        a->n_profiles--;
        let_go(k, gone);
}

static struct kept **find(struct agencies *a, const char *id)
{
        struct kept **at = &a->profiles;
        while (*at && strcmp((*at)->is.id, id) != 0)
                at = &(*at)->next;
        return at;
}

static void destroy_all(struct agencies *a, struct kept *gone)
{
        while (gone) {
                struct kept *k = gone;
                gone = k->next;
                destroy(a, k);
        }
}

static struct kept *hold_kept(struct agencies *a, const char *id, int64_t revision)
{
        pthread_mutex_lock(&a->lock);
        struct kept *k = *find(a, id);
        if (k && k->is.revision == revision)
                k->users++;
        else
                k = NULL;
        pthread_mutex_unlock(&a->lock);
        return k;
}

/* The newest in front; one user for the list and one for the caller. */
static void keep(struct agencies *a, struct kept *k)
{
        struct kept *gone = NULL;
        pthread_mutex_lock(&a->lock);
        struct kept **at = find(a, k->is.id);
        bool newer = *at && (*at)->is.revision > k->is.revision; /* than our transaction sees */
        if (*at && !newer)
                unlink_one(a, at, &gone);
        if (!newer) {
                k->next = a->profiles;
                a->profiles = k;
                a->n_profiles++;
                k->users++;
        }
        if (a->n_profiles > PROFILES_MAX) {
                for (at = &a->profiles; (*at)->next;)
                        at = &(*at)->next;
                unlink_one(a, at, &gone);
        }
        pthread_mutex_unlock(&a->lock);
        destroy_all(a, gone);
}

int profile_hold(struct agencies *a, struct store_conn *db, const char *id, const struct profile **ret)
{
        int64_t revision = 0;
        int r = id[0] ? agency_revision(db, id, &revision) : 0;
        if (r != 0)
                return r;
        struct kept *k = hold_kept(a, id, revision);
        if (!k) {
                r = make(a, db, id, &k);
                if (r != 0)
                        return r;
                keep(a, k);
        }
        *ret = &k->is;
        return 0;
}

void profile_release(struct agencies *a, const struct profile *profile)
{
        struct kept *gone = NULL;
        if (!profile)
                return;
        pthread_mutex_lock(&a->lock);
        let_go((struct kept *)(uintptr_t)profile, &gone);
        pthread_mutex_unlock(&a->lock);
        destroy_all(a, gone);
}

void profiles_done(struct agencies *a)
{
        struct kept *gone = NULL;
        while (a->profiles)
                unlink_one(a, &a->profiles, &gone);
        destroy_all(a, gone);
}
