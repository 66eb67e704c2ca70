/* SPDX-License-Identifier: Apache-2.0
 *
 * Retention: from its beginning on the log gives up what is too old, or too much. The newest event of each type and subject
 * among it stays as the state. Each slice ends at a checkpoint that was signed, outside the store, before anything went.
 */
#include "services/stream/keep.h"

#include "services/stream/checkpoint.h"
#include "services/stream/state.h"

#define AT_ONCE  1000
#define LOOK_US  CLOCK_MINUTE_US
#define MIB      (1024 * 1024)

int keep_start(struct rpc_call *call)
{
        return rpc_due_add(call, DUE_KEEP, "", rpc_now(call), (struct str){0});
}

int keep_ask(struct rpc_call *call, int64_t bytes_before, int64_t bytes)
{
        const struct stream_state *state = rpc_state(call);
        int64_t part = state->options->keep_mib * MIB / 16;
        return bytes / part != bytes_before / part ? keep_start(call) : 0;
}

/* How many of these rows, the oldest, are no longer kept, and can be cut, as they were signed. *ret_more: there are more. */
static size_t count_past(struct rpc_call *call, const struct log_raw *rows, size_t n, const struct log_mark *mark,
                         const struct log_end *end, bool *ret_more)
{
        const struct stream_state *state = rpc_state(call);
        int64_t excess = end->bytes - mark->freed - state->options->keep_mib * MIB;
        int64_t least_us = rpc_now(call) - state->options->keep_days * CLOCK_DAY_US;
        size_t past = 0;
        while (past < n && rows[past].seq <= mark->checkpoint && (excess > 0 || rows[past].taken_us < least_us))
                excess -= log_event_bytes(rows[past++].event.n);
        *ret_more = past == n ? n == AT_ONCE : excess > 0 || rows[past].taken_us < least_us;
        return past;
}

/* What the type tells apart beside its subject: without it a consent to one purpose would hide that to another. */
static int subject_of(struct rpc_call *call, const StoredEvent *event, const char **ret)
{
        const struct contract_message *type = contract_message_by_name(str_of(event->type));
        ProtobufCMessage *message;
        *ret = event->subject;
        if (!type || !type->part)
                return 0;
        int r = message_unpack(rpc_arena(call), type, event->data.data, event->data.len, &message);
        if (r != 0)
                return r;
        struct str part = message_text_at(type, message, type->part);
        *ret = arena_printf(rpc_arena(call), "%s/%.*s", event->subject, (int)part.n, part.p ? part.p : "");
        return 0;
}

static int keep_state(struct rpc_call *call, const struct log_raw *row)
{
        ProtobufCMessage *message;
        const char *subject;
        if (!row->event.p)
                return 0;
        int r = message_unpack(rpc_arena(call), &stream_v1_stored_event_msg, row->event.p, row->event.n, &message);
        if (r != 0)
                return r;
        const StoredEvent *event = (const StoredEvent *)message;
        r = subject_of(call, event, &subject);
        int64_t person = event->person[0] ? log_person_hash(str_of(event->person)) : 0;
        return r == 0 ? state_put(rpc_db(call), event->type, subject, row->seq, person, row->event) : r;
}

static int cut(struct rpc_call *call, const struct log_raw *rows, size_t n, struct log_mark *mark)
{
        const struct log_raw *last = &rows[n - 1];
        mark->cut = last->seq;
        memcpy(mark->cut_head, last->head, CHAIN_SIZE);
        int r = checkpoint_cut(call, mark);
        for (size_t i = 0; r == 0 && i < n; i++) {
                mark->freed += log_event_bytes(rows[i].event.n);
                r = keep_state(call, &rows[i]);
        }
        return r == 0 ? log_delete_through(rpc_db(call), last->seq) : r;
}

int due_keep(struct rpc_call *call, const char *key, struct str payload)
{
        struct log_mark mark;
        struct log_end end;
        struct log_raw *rows;
        size_t n, past;
        bool more;
        (void)key, (void)payload;
        int r = log_mark_load(rpc_db(call), &mark);
        if (r == 0)
                r = log_end_load(rpc_db(call), &end);
        if (r == 0)
                r = log_read_raw(rpc_db(call), rpc_arena(call), mark.cut, AT_ONCE, &rows, &n);
        if (r != 0)
                return r;
        past = count_past(call, rows, n, &mark, &end, &more);
        if (past)
                r = cut(call, rows, past, &mark);
        if (r == CHECKPOINT_E_UNWRITTEN) { /* then nothing goes */
                r = 0;
                past = 0;
                more = false;
        }
        if (r == 0 && past)
                r = log_mark_save(rpc_db(call), &mark);
        int64_t wait_us = !more ? LOOK_US : past ? 0 : CLOCK_SECOND_US;
        return r == 0 ? rpc_due_add(call, DUE_KEEP, "", rpc_now(call) + wait_us, (struct str){0}) : r;
}
