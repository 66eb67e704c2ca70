/* SPDX-License-Identifier: Apache-2.0
 *
 * Erasure: what stands about a person before the notice of it goes, in the log and then in the state; the leaves stay, so
 * that the chain holds. A source may learn of it later than others and still tell of the person: nobody is shown that, and
 * an hour later the notice is given once more, and what came in between goes too.
 */
#include "services/stream/keep.h"

#include "services/stream/append.h"
#include "services/stream/standing.h"
#include "services/stream/store_agency.h"
#include <inttypes.h>

#define AT_ONCE 200
#define SPAN    (1ll << 22) /* of the log, looked through at once */
#define LATE_US CLOCK_HOUR_US

enum erase_phase { ERASE_LOG, ERASE_STATE, ERASE_LATE };

/* Where the work goes on: as text in its payload. */
struct erase_step {
        int64_t by, after, phase;
};

static int add_step(struct rpc_call *call, const char *person, const struct erase_step *step)
{
        const char *text = arena_printf(rpc_arena(call), "%" PRId64 " %" PRId64 " %" PRId64, step->by, step->after, step->phase);
        return rpc_due_add(call, DUE_ERASE, person, rpc_now(call) + (step->phase == ERASE_LATE ? LATE_US : 0), str_of(text));
}

static int read_step(struct str text, struct erase_step *ret)
{
        int r = str_to_i64(str_cut(&text, ' '), 0, INT64_MAX, &ret->by);
        if (r == 0)
                r = str_to_i64(str_cut(&text, ' '), 0, INT64_MAX, &ret->after);
        return r == 0 ? str_to_i64(text, ERASE_LOG, ERASE_LATE, &ret->phase) : r;
}

int erase_start(struct rpc_call *call, const char *person, int64_t seq)
{
        return add_step(call, person, &(struct erase_step){.by = seq});
}

static bool is_notice(const StoredEvent *event)
{
        return contract_is_erasure(contract_message_by_name(str_of(event->type)));
}

/* About this person, and no notice that the person was erased? 1, 0, or an error. */
static int goes(struct rpc_call *call, const struct log_raw *row, const char *person, const StoredEvent **ret_event)
{
        ProtobufCMessage *message;
        int r = message_unpack(rpc_arena(call), &stream_v1_stored_event_msg, row->event.p, row->event.n, &message);
        if (r != 0)
                return r;
        const StoredEvent *event = (const StoredEvent *)message;
        *ret_event = event;
        return strcmp(event->person, person) == 0 && !is_notice(event);
}

static int erase_one(struct rpc_call *call, const struct log_raw *row, const struct erase_step *step, struct log_mark *mark)
{
        if (step->phase == ERASE_STATE)
                return state_delete(rpc_db(call), row->seq);
        mark->freed += (int64_t)row->event.n;
        int r = notice_delete(rpc_db(call), row->seq); /* of a purpose: it is not told any more */
        return r == 0 ? log_erase(rpc_db(call), row, step->by) : r;
}

static int erase_some(struct rpc_call *call, const char *person, const struct erase_step *step, struct log_mark *mark,
                      const struct log_raw *rows, size_t n)
{
        const StoredEvent *event;
        int64_t freed = mark->freed;
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                r = goes(call, &rows[i], person, &event);
                if (r == 1)
                        r = erase_one(call, &rows[i], step, mark);
        }
        return r == 0 && mark->freed != freed ? log_mark_save(rpc_db(call), mark) : r;
}

static int go_on(struct rpc_call *call, const char *person, struct erase_step *step, int64_t through)
{
        step->after = through;
        if (through + 1 >= step->by) {
                step->phase++;
                step->after = 0;
        }
        return add_step(call, person, step);
}

/* --- what came later --------------------------------------------------------------------------------------------------- */

/* The notice itself: in the log, or in the state if that no longer keeps it. */
static int find_notice(struct rpc_call *call, const char *person, int64_t seq, const StoredEvent **ret)
{
        struct log_raw *rows;
        ProtobufCMessage *message;
        size_t n;
        int64_t hash = log_person_hash(str_of(person));
        int r = log_read_person(rpc_db(call), rpc_arena(call), hash, seq - 1, seq + 1, 1, &rows, &n);
        if (r == 0 && n == 0)
                r = state_read_person(rpc_db(call), rpc_arena(call), hash, seq - 1, seq + 1, 1, &rows, &n);
        if (r != 0 || n == 0)
                return r == 0 ? -ENODATA : r;
        r = message_unpack(rpc_arena(call), &stream_v1_stored_event_msg, rows[0].event.p, rows[0].event.n, &message);
        *ret = (const StoredEvent *)message;
        return r;
}

/* Once more as it was, where the late event happened. */
static int give_notice(struct rpc_call *call, const char *person, int64_t by, const StoredEvent *late)
{
        const StoredEvent *was;
        ProtobufCMessage *message;
        int64_t seq;
        int r = find_notice(call, person, by, &was);
        if (r != 0)
                return r;
        const struct contract_message *type = contract_message_by_name(str_of(was->type));
        const struct log_new notice = {
                .source = was->source, .id = rpc_new_id(call), .type = was->type, .subject = was->subject,
                .person = person, .organization = late->organization, .path = late->path, .time_us = rpc_now(call),
                .data = {(const char *)was->data.data, was->data.len},
        };
        r = message_unpack(rpc_arena(call), type, was->data.data, was->data.len, &message);
        if (r == 0)
                r = log_append(call, &notice, 1, &seq);
        if (r == 0)
                r = erase_start(call, person, seq);
        return r == 0 ? standing_note(call, type, message, seq) : r;
}

/* What was told of the person after the notice: 1 and the first of it, 0, or an error. */
static int find_late(struct rpc_call *call, const char *person, read_person_fn *read, int64_t after, const StoredEvent **ret)
{
        struct log_raw *rows;
        size_t n = AT_ONCE;
        while (n == AT_ONCE) {
                int r = read(rpc_db(call), rpc_arena(call), log_person_hash(str_of(person)), after, INT64_MAX, AT_ONCE, &rows, &n);
                for (size_t i = 0; r == 0 && i < n; i++)
                        r = goes(call, &rows[i], person, ret);
                if (r != 0)
                        return r;
                after = n ? rows[n - 1].seq : after;
        }
        return 0;
}

static int erase_late(struct rpc_call *call, const char *person, const struct erase_step *step)
{
        const StoredEvent *late;
        int r = log_end_lock(call);
        if (r == 0)
                r = find_late(call, person, log_read_person, step->by, &late);
        if (r == 0)
                r = find_late(call, person, state_read_person, step->by, &late);
        return r == 1 ? give_notice(call, person, step->by, late) : r;
}

/* --- due --------------------------------------------------------------------------------------------------------------- */

int due_erase(struct rpc_call *call, const char *person, struct str payload)
{
        struct erase_step step;
        struct log_mark mark;
        struct log_raw *rows;
        size_t n;
        int64_t hash = log_person_hash(str_of(person)), before;
        int r = read_step(payload, &step);
        if (r == 0 && step.phase == ERASE_LATE)
                return erase_late(call, person, &step);
        if (r == 0)
                r = log_mark_load(rpc_db(call), &mark);
        if (r != 0)
                return r;
        if (step.phase == ERASE_LOG && step.after < mark.cut)
                step.after = mark.cut;
        before = step.phase == ERASE_LOG && step.by - step.after > SPAN ? step.after + SPAN : step.by;
        read_person_fn *read = step.phase == ERASE_LOG ? log_read_person : state_read_person;
        r = read(rpc_db(call), rpc_arena(call), hash, step.after, before, AT_ONCE, &rows, &n);
        if (r == 0)
                r = erase_some(call, person, &step, &mark, rows, n);
        return r == 0 ? go_on(call, person, &step, n == AT_ONCE ? rows[n - 1].seq : before - 1) : r;
}
