/* SPDX-License-Identifier: Apache-2.0
 *
 * What an agency may see of the log. See fetch.h.
 */
#include "services/stream/fetch.h"

#include "services/stream/fetch_rows.h"
#include "services/stream/render.h"

#define SNAPSHOT_PATH "/v1/events:snapshot"

#define ROWS_AT_MOST   4096           /* looked at in one fetch */
#define BYTES_AT_MOST  (1024 * 1024 - 16) /* of events in one answer, with what stands around them */
#define STATE_AT_ONCE  500
#define CHANGES_AT_ONCE 1000

/* One fetch on its way. */
struct fetch {
        const struct fetch_ask *ask;
        struct fetch_answer *answer;
        const struct profile *profile;
        struct view_types wanted;
        uint64_t epoch;
};

static int refuse(struct fetch *f, Nuanxin__Problem problem, const char *arg)
{
        f->answer->problem = problem;
        f->answer->arg = arg ? arena_strdup(f->ask->arena, arg) : NULL;
        return FETCH_E_REFUSED;
}

/* --- may it? -------------------------------------------------------------------------------------------------------------- */

static int check_profile(struct fetch *f)
{
        const struct profile *p = f->profile;
        if (f->ask->key && !profile_has_key(p, f->ask->key))
                return refuse(f, NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED, NULL);
        switch (view_standing(&p->view, f->ask->now_us)) {
        case VIEW_SUSPENDED:
                return refuse(f, NUANXIN__PROBLEM__PROBLEM_AGENCY_SUSPENDED, NULL);
        case VIEW_EXPIRED:
                return refuse(f, NUANXIN__PROBLEM__PROBLEM_AGREEMENT_EXPIRED, p->agreement);
        case VIEW_STANDS:
                break;
        }
        return 0;
}

static int check_types(struct fetch *f)
{
        const struct view_list *types = &f->ask->types;
        for (size_t i = 0; i < types->n; i++)
                if (!view_pattern_is_known(str_of(types->items[i])))
                        return refuse(f, NUANXIN__PROBLEM__PROBLEM_EVENT_TYPE_UNKNOWN, types->items[i]);
        f->wanted = types->n ? view_types_of(f->ask->arena, *types) : f->profile->allowed;
        return 0;
}

/* The profile is to be released, whatever it returns. */
static int begin(struct fetch *f)
{
        const struct fetch_ask *ask = f->ask;
        int r = log_position(ask->db, &f->answer->position);
        if (r == 0)
                r = profile_hold(ask->agencies, ask->db, ask->agency, &f->profile);
        if (r == STREAM_E_ABSENT)
                return refuse(f, ask->key ? NUANXIN__PROBLEM__PROBLEM_UNAUTHENTICATED : NUANXIN__PROBLEM__PROBLEM_NOT_FOUND, NULL);
        if (r == 0)
                r = check_profile(f);
        return r == 0 ? check_types(f) : r;
}

static int find_start(struct fetch *f)
{
        int r = log_cursor_read(&f->answer->position, f->ask->cursor, &f->answer->from);
        if (r == LOG_E_GONE)
                return refuse(f, NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE, SNAPSHOT_PATH);
        return r == LOG_E_UNKNOWN ? refuse(f, NUANXIN__PROBLEM__PROBLEM_CURSOR_UNKNOWN, NULL) : r;
}

/* --- what has changed since what is kept in memory ------------------------------------------------------------------------- */

static int tell_some(const struct fetch *f, int64_t *told, bool *ret_more)
{
        struct segments *segments = agencies_segments(f->ask->agencies);
        struct standing_change *changes = NULL;
        size_t n = 0;
        int r = standing_changes_load(f->ask->db, f->ask->arena, *told, CHANGES_AT_ONCE, &changes, &n);
        if (r != 0)
                return r;
        *ret_more = n == CHANGES_AT_ONCE;
        *told = *ret_more ? changes[n - 1].seq : f->answer->position.latest;
        struct segment_change *told_of = ARENA_ARRAY(f->ask->arena, struct segment_change, n + 1);
        for (size_t i = 0; i < n; i++)
                told_of[i] = (struct segment_change){changes[i].seq, changes[i].person, changes[i].erased};
        segments_tell(segments, f->epoch, told_of, n, *told);
        return 0;
}

static int tell(const struct fetch *f)
{
        struct segments *segments = agencies_segments(f->ask->agencies);
        segments_enter(segments, f->epoch);
        int64_t told = segments_told(segments), latest = f->answer->position.latest;
        bool more = told < latest;
        int r = 0;
        if (more && (!segments_bytes(segments) || latest - told > STANDING_CHANGES_KEPT / 2)) {
                segments_forget(segments, f->epoch, latest);
                return 0;
        }
        while (r == 0 && more)
                r = tell_some(f, &told, &more);
        return r;
}

/* --- the log ------------------------------------------------------------------------------------------------------------------ */

static int load_consents(const struct fetch *f, const struct segment_ask *take, int64_t through, struct fetch_standing *ret)
{
        int r = fetch_standing_load(f->ask->db, f->ask->arena, STANDING_OF_LOG, take->after, through, ret);
        ret->consents.first = take->after + 1;
        ret->consents.last = through;
        ret->consents.as_of = f->answer->position.latest;
        return r;
}

static int load(const struct fetch *f, struct segment_ask *take, int64_t through, enum segments_need *need)
{
        struct segments *segments = agencies_segments(f->ask->agencies);
        struct fetch_standing standing = {0};
        struct fetch_rows rows = {.db = f->ask->db, .projection = take->projection, .format = take->format, .standing = &standing};
        int r = fetch_rows_read(&rows, take->after, through);
        if (r == 0)
                r = load_consents(f, take, take->after + (int64_t)rows.n, &standing);
        if (r == 0)
                r = fetch_rows_render(&rows);
        if (r == 0)
                *need = segments_load(segments, take, rows.rendered, rows.n, &standing.consents);
        fetch_rows_done(&rows);
        return r;
}

static int learn(const struct fetch *f, struct segment_ask *take, int64_t through, enum segments_need *need)
{
        struct fetch_standing standing = {0};
        int r = load_consents(f, take, through, &standing);
        if (r == 0)
                *need = segments_learn(agencies_segments(f->ask->agencies), take, &standing.consents);
        return r;
}

static int take_all(const struct fetch *f, struct segment_ask *take)
{
        enum segments_need need = segments_take(agencies_segments(f->ask->agencies), take);
        int r = 0;
        while (r == 0 && need != SEGMENTS_ENOUGH) {
                int64_t through = segment_end(take->after + 1);
                through = through < take->latest ? through : take->latest;
                r = need == SEGMENTS_EVENTS ? load(f, take, through, &need) : learn(f, take, through, &need);
        }
        return r;
}

static void finish(const struct fetch *f, struct segment_ask *take)
{
        struct fetch_answer *answer = f->answer;
        buf_add_str(&take->out, render_frame(take->format).end);
        answer->through = take->after;
        answer->n_events = take->n_events;
        answer->events = arena_str(f->ask->arena, buf_str(&take->out));
        answer->items = take->events;
}

static int fetch_log(struct fetch *f)
{
        const struct fetch_ask *ask = f->ask;
        int r = find_start(f);
        f->epoch = segments_epoch_of(f->answer->position.epoch);
        if (r == 0)
                r = tell(f);
        if (r != 0)
                return r;
        struct segment_ask take = {
                .projection = f->profile->projection,
                .format = ask->format,
                .profile = &f->profile->view,
                .allowed = f->profile->allowed,
                .wanted = f->wanted,
                .epoch = f->epoch,
                .latest = f->answer->position.latest,
                .max_events = ask->max_events,
                .max_bytes = BYTES_AT_MOST,
                .max_rows = ROWS_AT_MOST,
                .events = ask->itemize ? ARENA_ARRAY(ask->arena, struct segment_event, ask->max_events) : NULL,
                .after = ask->looked_through > f->answer->from && ask->looked_through <= f->answer->position.latest
                                 ? ask->looked_through
                                 : f->answer->from,
        };
        take.out = agencies_buf_take(ask->agencies);
        buf_add_str(&take.out, render_frame(take.format).begin);
        r = take_all(f, &take);
        if (r == 0)
                finish(f, &take);
        agencies_buf_give(ask->agencies, &take.out);
        return r;
}

int fetch_for_agency(const struct fetch_ask *ask, struct fetch_answer *ret)
{
        struct fetch f = {.ask = ask, .answer = ret};
        *ret = (struct fetch_answer){0};
        int r = begin(&f);
        if (r == 0)
                r = fetch_log(&f);
        profile_release(ask->agencies, f.profile);
        return r;
}

/* --- the state behind it -------------------------------------------------------------------------------------------------------- */

static bool row_shown(const struct fetch *f, const struct fetch_rows *rows, size_t i)
{
        const struct segment_row *row = &rows->rendered[i];
        const struct view_profile *view = &f->profile->view;
        if (!row->bytes.n || !view_types_have(f->profile->allowed, row->type))
                return false;
        const struct view_facts facts = {
                .known = true,
                .allowed = true,
                .in_scope = view_in_scope(view, row->places),
                .about_person = row->person[0],
                .erased = row->erased,
                .consented = fetch_standing_consents(rows->standing, row->person, view->purposes),
                .statutory = view->everything || view->statutory.n,
                .notice = contract_messages[row->type]->notice,
                .names_purpose = row->purpose[0],
                .holds_purpose = view_holds(view, row->purpose),
        };
        return (facts.notice || view_types_have(f->wanted, row->type)) && view_shows(&facts);
}

/* Rows after *after into out. False: the page is full. */
static bool add_state(const struct fetch *f, const struct fetch_rows *rows, struct buf *out, int64_t *after)
{
        struct fetch_answer *answer = f->answer;
        struct render_frame frame = render_frame(f->ask->format);
        for (size_t i = 0; i < rows->n; i++) {
                bool shown = row_shown(f, rows, i);
                size_t n = rows->rendered[i].bytes.n + frame.between.n;
                if (answer->n_events == f->ask->max_events || (shown && answer->n_events && out->n + n > BYTES_AT_MOST))
                        return false;
                *after = rows->log[i].seq;
                if (!shown)
                        continue;
                if (answer->n_events)
                        buf_add_str(out, frame.between);
                buf_add_str(out, rows->rendered[i].bytes);
                answer->n_events++;
        }
        return true;
}

/* *ret_more: there is more after that. */
static int fetch_some_state(const struct fetch *f, struct buf *out, int64_t *after, bool *ret_more)
{
        struct fetch_standing standing = {0};
        struct fetch_rows rows = {
                .db = f->ask->db, .projection = f->profile->projection, .format = f->ask->format, .standing = &standing};
        int r = fetch_rows_read_state(&rows, *after, STATE_AT_ONCE);
        *ret_more = r == 0 && rows.n > 0;
        if (*ret_more)
                r = fetch_standing_load(f->ask->db, f->ask->arena, STANDING_OF_STATE, *after, rows.log[rows.n - 1].seq, &standing);
        if (r == 0 && *ret_more)
                r = fetch_rows_render(&rows);
        if (r == 0 && *ret_more && !add_state(f, &rows, out, after))
                r = FETCH_E_FULL;
        fetch_rows_done(&rows);
        return r;
}

int fetch_state(const struct fetch_ask *ask, int64_t after, struct fetch_answer *ret, bool *ret_more)
{
        struct fetch f = {.ask = ask, .answer = ret};
        struct buf out = {0};
        bool more = true;
        *ret = (struct fetch_answer){.from = after};
        int r = begin(&f);
        buf_add_str(&out, render_frame(ask->format).begin);
        for (size_t looked = 0; r == 0 && more && looked < ROWS_AT_MOST; looked += STATE_AT_ONCE)
                r = fetch_some_state(&f, &out, &after, &more);
        if (r == FETCH_E_FULL)
                r = 0;
        buf_add_str(&out, render_frame(ask->format).end);
        if (r == 0) {
                ret->events = arena_str(ask->arena, buf_str(&out));
                ret->through = after;
                *ret_more = more;
        }
        buf_done(&out);
        profile_release(ask->agencies, f.profile);
        return r;
}
