/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows from memory to who may see them: decided one by one, and copied.
 */
#include "services/stream/render.h"
#include "services/stream/segment_internal.h"

/* What one call of segments_take finds out once. */
struct taking {
        struct segment_ask *ask;
        const struct word *purposes[64]; /* the agency's, of those that occur at all */
        size_t n_purposes;
        struct str between;
        signed char in_scope[SEGMENT_EVENTS]; /* by place; -1: not yet asked */
};

static bool own_consents(const struct taking *t, const struct person *person)
{
        const struct segment_consents *own = &t->ask->own;
        for (size_t i = 0; i < own->n; i++)
                if (strcmp(own->items[i].person, person->is.name.p) == 0 &&
                    view_list_has(t->ask->profile->purposes, own->items[i].purpose))
                        return true;
        return false;
}

static bool consents(const struct taking *t, const struct person *person)
{
        if (!person->known)
                return own_consents(t, person);
        for (size_t i = 0; i < person->n_purposes; i++)
                for (size_t k = 0; k < t->n_purposes; k++)
                        if (person->purposes[i] == t->purposes[k])
                                return true;
        return false;
}

static bool in_scope(struct taking *t, const struct segment *g, const struct row *row)
{
        signed char *known = &t->in_scope[row->place];
        if (*known < 0)
                *known = view_in_scope(t->ask->profile, segment_place(g, row->place));
        return *known;
}

/* 1: it is shown; 0: it is not; -1: the person's consents must be known first. */
static int decide(struct taking *t, const struct segment *g, const struct row *row, int64_t seq)
{
        const struct segment_ask *ask = t->ask;
        const struct view_profile *profile = ask->profile;
        if (!row->n || !view_types_have(ask->allowed, row->type))
                return 0;
        struct view_facts facts = {
                .known = true,
                .allowed = true,
                .about_person = row->person,
                .erased = row->person && row->person->erased,
                .statutory = profile->everything || profile->statutory.n,
                .notice = contract_messages[row->type]->notice,
                .names_purpose = row->purpose,
                .holds_purpose = row->purpose && view_holds(profile, row->purpose->is.name.p),
        };
        if (!facts.notice && !view_types_have(ask->wanted, row->type))
                return 0;
        facts.in_scope = in_scope(t, g, row);
        if (row->person && facts.in_scope && !facts.erased && !facts.statutory && !facts.notice) {
                if (!row->person->known && (seq < ask->own.first || seq > ask->own.last))
                        return -1;
                facts.consented = consents(t, row->person);
        }
        return view_shows(&facts);
}

static void copy(struct taking *t, const struct segment *g, const struct row *row, int64_t seq)
{
        struct segment_ask *ask = t->ask;
        if (ask->n_events)
                buf_add_str(&ask->out, t->between);
        if (ask->events) {
                struct segment_event *e = &ask->events[ask->n_events];
                *e = (struct segment_event){.seq = seq, .at = ask->out.n, .n = row->n, .type = row->type};
                memcpy(e->id, row->id, sizeof(e->id));
        }
        buf_add(&ask->out, g->bytes.p + row->at, row->n);
        ask->n_events++;
}

/* The rows of one segment, from where the ask stands. True: go on with the next segment. */
static bool take_rows(struct taking *t, const struct segment *g, enum segments_need *ret_need)
{
        struct segment_ask *ask = t->ask;
        memset(t->in_scope, -1, sizeof(t->in_scope));
        for (unsigned i = (unsigned)(ask->after % SEGMENT_EVENTS); i < g->end && ask->after < ask->latest; i++) {
                const struct row *row = &g->rows[i];
                int shown = ask->n_rows < ask->max_rows ? decide(t, g, row, ask->after + 1) : -2;
                bool fits = ask->n_events == 0 || ask->out.n + row->n + t->between.n <= ask->max_bytes;
                if (shown < 0 || (shown && !fits)) {
                        *ret_need = shown == -1 ? SEGMENTS_CONSENTS : SEGMENTS_ENOUGH;
                        return false;
                }
                if (shown)
                        copy(t, g, row, ask->after + 1);
                ask->after++;
                ask->n_rows++;
                if (ask->n_events == ask->max_events) {
                        *ret_need = SEGMENTS_ENOUGH;
                        return false;
                }
        }
        *ret_need = ask->after < ask->latest ? SEGMENTS_EVENTS : SEGMENTS_ENOUGH;
        return ask->after < ask->latest && ask->after % SEGMENT_EVENTS == 0;
}

enum segments_need segment_take(struct segments *s, struct segment_ask *ask)
{
        enum segments_need need = ask->after < ask->latest && ask->n_rows < ask->max_rows ? SEGMENTS_EVENTS : SEGMENTS_ENOUGH;
        struct taking t = {.ask = ask, .between = render_frame(ask->format).between};
        bool go_on = need == SEGMENTS_EVENTS;
        for (size_t i = 0; i < ask->profile->purposes.n && t.n_purposes < ARRAY_LEN(t.purposes); i++) {
                const struct word *word = word_find(&s->people, ask->profile->purposes.items[i]);
                if (word)
                        t.purposes[t.n_purposes++] = word;
        }
        while (go_on) {
                struct segment *g = segment_find(s, ask);
                unsigned at = (unsigned)(ask->after % SEGMENT_EVENTS);
                if (!g || at < g->begin || at >= g->end)
                        return SEGMENTS_EVENTS;
                atomic_store_explicit(&g->used, atomic_fetch_add_explicit(&s->clock, 1, memory_order_relaxed), memory_order_relaxed);
                go_on = take_rows(&t, g, &need);
        }
        return need;
}

enum segments_need segments_take(struct segments *s, struct segment_ask *ask)
{
        pthread_rwlock_rdlock(&s->lock);
        enum segments_need need = segment_take(s, ask);
        pthread_rwlock_unlock(&s->lock);
        return need;
}
