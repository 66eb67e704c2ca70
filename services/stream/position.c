/* SPDX-License-Identifier: Apache-2.0
 *
 * How far agencies have come: noted in memory where they fetch, stored once a second where this instance may write; and the
 * receipts that follow: an agency's own cursor past a notice acknowledges it, and that is kept.
 */
#include "common/rpc/server.h"
#include "services/stream/agencies_internal.h"
#include "services/stream/handle.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define STILL_THERE_US (CLOCK_MINUTE_US) /* how often one that has not moved is stored again */
#define NOTICES_AT_ONCE 500
#define NOTICES_COUNTED 10000

static const struct metric_family behind_family = {
        "nuanxin_stream_subscriber_behind", "Events in the log after the one up to which an agency has come.", METRIC_GAUGE};

struct note {
        struct note *next;
        char agency[64], transport[17];
        int64_t position, seen_us;
        int64_t acknowledged; /* its own cursor; 0: it has shown none */
        int64_t receipted;    /* up to there the receipts are known to be kept */
        int64_t handed_us, handed; /* where this instance only reads: when it was last handed on, and how far it was then */
};

/* --- noting ----------------------------------------------------------------------------------------------------------- */

void position_note(struct agencies *a, const char *agency, const char *transport, int64_t position, bool acknowledges, int64_t now_us)
{
        struct note **bucket = &a->notes[(str_hash(str_of(agency)) ^ str_hash(str_of(transport))) % NOTE_BUCKETS];
        pthread_mutex_lock(&a->lock);
        struct note *n = *bucket;
        while (n && (strcmp(n->agency, agency) != 0 || strcmp(n->transport, transport) != 0))
                n = n->next;
        if (!n) {
                n = mem_zalloc(sizeof(*n));
                snprintf(n->agency, sizeof(n->agency), "%s", agency);
                snprintf(n->transport, sizeof(n->transport), "%s", transport);
                n->next = *bucket;
                *bucket = n;
        }
        n->position = position;
        n->seen_us = now_us;
        if (acknowledges)
                n->acknowledged = position;
        pthread_mutex_unlock(&a->lock);
}

static void note_receipted(struct agencies *a, const struct note *copy)
{
        struct note *n = a->notes[(str_hash(str_of(copy->agency)) ^ str_hash(str_of(copy->transport))) % NOTE_BUCKETS];
        pthread_mutex_lock(&a->lock);
        while (n && (strcmp(n->agency, copy->agency) != 0 || strcmp(n->transport, copy->transport) != 0))
                n = n->next;
        if (n)
                n->receipted = copy->acknowledged;
        pthread_mutex_unlock(&a->lock);
}

void notes_done(struct agencies *a)
{
        for (size_t i = 0; i < NOTE_BUCKETS; i++)
                while (a->notes[i]) {
                        struct note *n = a->notes[i];
                        a->notes[i] = n->next;
                        free(n);
                }
}

/* All of them, copied into the arena. */
static struct note *notes_copy(struct agencies *a, struct arena *arena, size_t *ret_n)
{
        size_t n = 0, room = 0;
        pthread_mutex_lock(&a->lock);
        for (size_t i = 0; i < NOTE_BUCKETS; i++)
                for (const struct note *note = a->notes[i]; note; note = note->next)
                        room++;
        struct note *notes = ARENA_ARRAY(arena, struct note, room + 1);
        for (size_t i = 0; i < NOTE_BUCKETS; i++)
                for (const struct note *note = a->notes[i]; note; note = note->next)
                        notes[n++] = *note;
        pthread_mutex_unlock(&a->lock);
        *ret_n = n;
        return notes;
}

/* --- receipts ------------------------------------------------------------------------------------------------------------ */

static bool is_for(const struct notice *notice, const struct profile *profile)
{
        const struct view_facts facts = {
                .known = true,
                .allowed = view_list_allows(profile->view.types, notice->type),
                .in_scope = view_in_scope(&profile->view, notice->places),
                .about_person = true,
                .notice = true,
                .names_purpose = notice->purpose[0],
                .holds_purpose = view_holds(&profile->view, notice->purpose),
        };
        return view_shows(&facts);
}

/* Some of those between the mark and the position. */
static int acknowledge_some(struct rpc_call *call, const struct profile *profile, int64_t position, struct receipt_mark *mark)
{
        struct notice *notices;
        size_t n = 0;
        int r = notices_load(rpc_db(call), rpc_arena(call), mark->seq, position, NOTICES_AT_ONCE, &notices, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (!is_for(&notices[i], profile))
                        continue;
                r = receipt_insert(rpc_db(call), profile->id, notices[i].seq, rpc_now(call));
                mark->receipts++;
        }
        mark->seq = n == NOTICES_AT_ONCE ? notices[n - 1].seq : position;
        return r;
}

static int acknowledge(struct rpc_call *call, const struct profile *profile, int64_t position, bool *ret_kept)
{
        struct receipt_mark mark;
        int r = receipt_mark_load(rpc_db(call), profile->id, &mark);
        *ret_kept = r == 0 && mark.seq >= position;
        if (r != 0 || *ret_kept)
                return r;
        while (r == 0 && mark.seq < position)
                r = acknowledge_some(call, profile, position, &mark);
        return r == 0 ? receipt_mark_save(rpc_db(call), profile->id, &mark) : r;
}

/* That they are kept is known when they have been found so: what this run writes may not stay. */
static int acknowledge_one(struct rpc_call *call, const struct note *note, bool *ret_wrote)
{
        struct agencies *a = agencies_of(call);
        const struct profile *profile = NULL;
        bool kept = true;
        int r = profile_hold(a, rpc_db(call), note->agency, &profile);
        if (r == 0)
                r = acknowledge(call, profile, note->acknowledged, &kept);
        profile_release(a, profile);
        if (r != 0 && r != STREAM_E_ABSENT)
                return r;
        if (kept)
                note_receipted(a, note);
        else
                *ret_wrote = true;
        return 0;
}

/* --- each second ------------------------------------------------------------------------------------------------------------ */

static struct subscriber *find(struct subscriber *all, size_t n, const struct note *note)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i].agency, note->agency) == 0 && strcmp(all[i].transport, note->transport) == 0)
                        return &all[i];
        return NULL;
}

static int store_note(struct rpc_call *call, const struct note *note, struct subscriber *stored, bool *ret_wrote)
{
        const struct subscriber now = {note->agency, note->transport, note->position, note->seen_us};
        bool is_stored = stored && (stored->seen_us >= note->seen_us ||
                                    (stored->position == note->position && note->seen_us - stored->seen_us < STILL_THERE_US));
        int r = 0;
        if (!is_stored) {
                *ret_wrote = true;
                r = subscriber_save(rpc_db(call), &now);
                if (r == 0 && stored)
                        *stored = now;
        }
        return r == 0 && note->acknowledged > note->receipted ? acknowledge_one(call, note, ret_wrote) : r;
}

static void show(struct rpc_call *call, const struct subscriber *s, int64_t latest)
{
        struct metric *m = metric_new(rpc_metrics(call), &behind_family, "agency=\"%s\",transport=\"%s\"", s->agency, s->transport);
        metric_set(m, latest > s->position ? latest - s->position : 0);
}

static bool any_acknowledges(const struct note *notes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (notes[i].acknowledged > notes[i].receipted)
                        return true;
        return false;
}

int position_tick(struct rpc_call *call, bool *ret_wrote)
{
        struct subscriber *all = NULL;
        size_t n_all = 0, n_notes;
        int64_t latest, trimmed = 0;
        const struct note *notes = notes_copy(agencies_of(call), rpc_arena(call), &n_notes);
        int r = any_acknowledges(notes, n_notes) ? receipts_lock(call) : 0;
        if (r == 0)
                r = log_latest(rpc_db(call), &latest);
        if (r == 0)
                r = subscribers_load(rpc_db(call), rpc_arena(call), &all, &n_all);
        for (size_t i = 0; r == 0 && i < n_notes; i++)
                r = store_note(call, &notes[i], find(all, n_all, &notes[i]), ret_wrote);
        for (size_t i = 0; r == 0 && i < n_all; i++)
                show(call, &all[i], latest);
        if (r == 0)
                r = standing_changes_trim(rpc_db(call), latest - STANDING_CHANGES_KEPT, &trimmed);
        *ret_wrote = *ret_wrote || trimmed;
        return r;
}

/* --- from an instance that only reads -------------------------------------------------------------------------------------- */

#define HANDED_AT_ONCE 1000

static bool is_news(const struct note *n)
{
        return n->seen_us > n->handed_us && (n->position != n->handed || n->seen_us - n->handed_us >= STILL_THERE_US);
}

static NotedPosition *position_message(struct arena *arena, const struct note *n)
{
        NotedPosition *p = message_new(arena, &stream_v1_noted_position_msg);
        p->agency = arena_strdup(arena, n->agency);
        p->transport = arena_strdup(arena, n->transport);
        p->position = n->position;
        p->acknowledged = n->acknowledged;
        p->time = message_new(arena, contract_message_by_name(STR("google.protobuf.Timestamp")));
        p->time->seconds = n->seen_us / CLOCK_SECOND_US;
        p->time->nanos = (int32_t)(n->seen_us % CLOCK_SECOND_US) * 1000;
        return p;
}

static bool pack_notes(void *state, struct buf *request)
{
        struct agencies *a = agencies_in(state);
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        NotePositionsRequest *r = message_new(arena, &stream_v1_note_positions_request_msg);
        r->positions = ARENA_ARRAY(arena, NotedPosition *, HANDED_AT_ONCE);
        pthread_mutex_lock(&a->lock);
        for (size_t i = 0; i < NOTE_BUCKETS; i++)
                for (struct note *n = a->notes[i]; n && r->n_positions < HANDED_AT_ONCE; n = n->next) {
                        if (!is_news(n))
                                continue;
                        r->positions[r->n_positions++] = position_message(arena, n);
                        n->handed_us = n->seen_us;
                        n->handed = n->position;
                }
        pthread_mutex_unlock(&a->lock);
        if (r->n_positions)
                message_pack_buf(request, r);
        return r->n_positions;
}

static void notes_lost(void *state)
{
        struct agencies *a = agencies_in(state);
        pthread_mutex_lock(&a->lock);
        for (size_t i = 0; i < NOTE_BUCKETS; i++)
                for (struct note *n = a->notes[i]; n; n = n->next)
                        n->handed_us = 0, n->handed = -1;
        pthread_mutex_unlock(&a->lock);
}

const struct rpc_notes position_notes = {.method = &stream_v1_note_positions, .pack = pack_notes, .lost = notes_lost};

int handle_note_positions(struct rpc_call *call, const NotePositionsRequest *request, NotePositionsResponse *response)
{
        struct agencies *a = agencies_of(call);
        (void)response;
        for (size_t i = 0; i < request->n_positions; i++) {
                const NotedPosition *p = request->positions[i];
                int64_t at = rpc_timestamp_us(p->time);
                if (p->acknowledged)
                        position_note(a, p->agency, p->transport, p->acknowledged, true, at);
                if (p->position != p->acknowledged)
                        position_note(a, p->agency, p->transport, p->position, false, at);
        }
        return 0;
}

/* --- showing them -------------------------------------------------------------------------------------------------------------- */

static int fill_receipts(struct rpc_call *call, Subscriber *s, int64_t latest)
{
        struct agencies *a = agencies_of(call);
        const struct profile *profile = NULL;
        struct receipt_mark mark;
        struct notice *notices;
        size_t n = 0;
        int r = profile_hold(a, rpc_db(call), s->agency, &profile);
        if (r == 0)
                r = receipt_mark_load(rpc_db(call), s->agency, &mark);
        if (r == 0)
                r = notices_load(rpc_db(call), rpc_arena(call), mark.seq, latest, NOTICES_COUNTED, &notices, &n);
        if (r == 0)
                s->notices = s->receipts = mark.receipts;
        for (size_t i = 0; r == 0 && i < n; i++)
                s->notices += is_for(&notices[i], profile);
        profile_release(a, profile);
        return r;
}

int position_fill(struct rpc_call *call, int64_t latest, Log *response)
{
        struct subscriber *all;
        size_t n;
        int r = subscribers_load(rpc_db(call), rpc_arena(call), &all, &n);
        if (r != 0)
                return r;
        response->subscribers = ARENA_ARRAY(rpc_arena(call), Subscriber *, n + 1);
        for (size_t i = 0; r == 0 && i < n; i++) {
                Subscriber *s = message_new(rpc_arena(call), &stream_v1_subscriber_msg);
                s->agency = (char *)all[i].agency;
                s->transport = (char *)all[i].transport;
                s->position = all[i].position;
                s->behind = latest > s->position ? latest - s->position : 0;
                s->seen_time = rpc_timestamp(call, all[i].seen_us);
                r = fill_receipts(call, s, latest);
                response->subscribers[response->n_subscribers++] = s;
        }
        return r;
}
