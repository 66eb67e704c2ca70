/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendered events in memory, in segments of neighbours, so that an agency that catches up is answered by copying. What is
 * kept does not depend on who asks but for the projection: whether an event is shown is decided for each row at each time
 * (view.h), so that agencies share what is kept, and a change of an agency's rights needs nothing here.
 *
 * Of every person who occurs in a segment there is one entry, with the purposes that the person consents to. It is as the
 * store was at some position of the log; the changes after that (consents, erasures) are told in the order of the log, and
 * make the entry unknown, or forget the person's events. So nobody who has told all changes up to what its own transaction
 * sees is shown anything older than that.
 *
 * No I/O: who asks loads what is said to be missing. All functions may be called by any thread.
 */
#pragma once

#include "common/base/metric.h"
#include "services/stream/projection.h"

#define SEGMENT_EVENTS 512

struct segments;
/* max_bytes: of what is rendered, and more while a single segment is larger. */
struct segments *segments_new(size_t max_bytes);
struct segments *segments_free(struct segments *segments); /* takes NULL */
size_t segments_bytes(const struct segments *segments);

/* A projection that is shared while it is in use. */
const struct projection *segments_projection(struct segments *segments, Nuanxin__Privacy most, struct view_list withheld);
void segments_projection_release(struct segments *segments, const struct projection *projection); /* takes NULL */

/* Of which log it is: eight characters (log_position's epoch). After a restore under a running process nothing that is kept is
 * true any more. */
uint64_t segments_epoch_of(const char *digits);
void segments_enter(struct segments *segments, uint64_t epoch); /* before anything else; what another says is passed over */

/* --- what has changed ------------------------------------------------------------------------------------------------- */

struct segment_change {
        int64_t seq;
        const char *person; /* "": whatever is known of consents */
        bool erased;        /* the person; else a consent */
};
/* Up to where changes have been told. */
int64_t segments_told(const struct segments *segments);
/* Those after segments_told() up to `through`, in order; again is no harm. */
void segments_tell(struct segments *segments, uint64_t epoch, const struct segment_change *changes, size_t n, int64_t through);
/* Too many changes to tell: nothing is kept. */
void segments_forget(struct segments *segments, uint64_t epoch, int64_t through);

/* --- taking ------------------------------------------------------------------------------------------------------------- */

/* Who consents to what, as a transaction saw it that had seen the log up to as_of; about all persons of events first to last. */
struct segment_consent {
        const char *person, *purpose;
};
struct segment_consents {
        const struct segment_consent *items;
        size_t n;
        int64_t first, last, as_of;
};

/* One event, for who needs them one by one. */
struct segment_event {
        int64_t seq;
        size_t at, n; /* in ask.out */
        char id[37];
        unsigned type; /* index in contract_messages */
};

struct segment_ask {
        /* What is asked for. */
        const struct projection *projection;
        EventFormat format;
        const struct view_profile *profile;
        struct view_types allowed, wanted; /* wanted does not hold notices back */
        uint64_t epoch;                    /* whose it is */
        int64_t latest;                    /* no further than that */
        size_t max_events, max_bytes;      /* bytes: but for the first event */
        size_t max_rows;                   /* looked at */
        struct segment_event *events;      /* room for max_events; or NULL */
        struct segment_consents own;       /* what to go by for whom the cache does not know */
        /* How far it has come. */
        int64_t after;
        size_t n_events, n_rows;
        struct buf out; /* rendered events, with what stands between them */
};

enum segments_need {
        SEGMENTS_ENOUGH,   /* one of the bounds is reached */
        SEGMENTS_EVENTS,   /* what comes after `after` is not here: load it */
        SEGMENTS_CONSENTS, /* to what the person of after + 1 consents is not known: find out */
};
enum segments_need segments_take(struct segments *segments, struct segment_ask *ask) MUST_USE;

/* --- what was missing ---------------------------------------------------------------------------------------------------- */

/* An event of the log, rendered for ask->projection and ask->format. */
struct segment_row {
        struct str bytes;     /* empty: nobody may see it (erased, of an unknown type) */
        unsigned type;        /* index in contract_messages */
        const char *id, *person, *purpose; /* "": none; the purpose of a consent */
        struct str places;    /* see view_in_scope */
        bool erased;          /* the person, of whom there is a notice further on */
};
/* Where a load that begins at seq ends at the latest. */
static inline int64_t segment_end(int64_t seq)
{
        return ((seq - 1) / SEGMENT_EVENTS + 1) * SEGMENT_EVENTS;
}
/* n > 0 events from ask->after + 1 on, up to segment_end of that at most; consents (of exactly these) as found with them; goes on
 * with segments_take. */
enum segments_need segments_load(struct segments *segments, struct segment_ask *ask, const struct segment_row *rows, size_t n,
                                 const struct segment_consents *consents) MUST_USE;
/* Of events from ask->after + 1 on; likewise. */
enum segments_need segments_learn(struct segments *segments, struct segment_ask *ask,
                                  const struct segment_consents *consents) MUST_USE;
