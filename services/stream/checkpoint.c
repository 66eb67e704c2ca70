/* SPDX-License-Identifier: Apache-2.0
 *
 * See checkpoint.h. The file is written before the transaction that remembers it ends: if that is undone, the same is
 * signed once more, which does no harm.
 */
#include "services/stream/checkpoint.h"

#include "common/base/log.h"
#include "common/rpc/server.h"
#include "services/stream/state.h"

#include <inttypes.h>
#include <stdio.h>

#define APART    1000
#define AT_ONCE  500 /* lines of one piece of work, if it was long in coming */
#define AGAIN_US (5 * CLOCK_SECOND_US)
#define SAY_US   CLOCK_MINUTE_US
#define WHILE_US (7 * CLOCK_SECOND_US / 10) /* with the look for due work that comes then, a second at most */

/* One row of due work for all events of a while: that it has run already, the store itself knows. */
int checkpoint_ask(struct rpc_call *call)
{
        int64_t number = rpc_now(call) / WHILE_US;
        char key[24];
        snprintf(key, sizeof(key), "%" PRId64, number);
        return rpc_due_add(call, DUE_CHECKPOINT, key, (number + 1) * WHILE_US, (struct str){0});
}

static const struct metric_family unwritten_family = {
        "nuanxin_log_unsigned_total", "Times that checkpoints of the log could not be written.", METRIC_COUNTER};

static const struct metric_family signed_family = {
        "nuanxin_log_signed", "Newest sequence of the log that this instance has signed a checkpoint of.", METRIC_GAUGE};

static void add_line(struct rpc_call *call, struct buf *lines, enum checkpoint_kind kind, const struct log_end *end, int64_t seq,
                     const unsigned char head[CHAIN_SIZE])
{
        struct stream_state *state = rpc_state(call);
        struct checkpoint c = {.kind = kind, .seq = seq, .time_us = rpc_now(call)};
        snprintf(c.epoch, sizeof(c.epoch), "%s", end->epoch);
        memcpy(c.head, head, CHAIN_SIZE);
        checkpoint_sign(&c, stream_key(state, rpc_keyring(call)));
        checkpoint_write(lines, &c);
}

/* Those a thousand events apart, from *seq on, which becomes the last that is signed; and the end, if it comes that far. */
static int add_heads(struct rpc_call *call, struct buf *lines, const struct log_end *end, int64_t *seq)
{
        int r = 0;
        for (int n = 0; r == 0 && n < AT_ONCE && *seq < end->seq; n++) {
                unsigned char head[CHAIN_SIZE];
                int64_t next = (*seq / APART + 1) * APART;
                *seq = next < end->seq ? next : end->seq;
                r = log_head_at(rpc_db(call), *seq, head);
                if (r == 0)
                        add_line(call, lines, CHECKPOINT_HEAD, end, *seq, head);
        }
        return r;
}

static int add_beginning(struct rpc_call *call, struct buf *lines, const struct log_end *end)
{
        unsigned char head[CHAIN_SIZE];
        int r = log_head_at(rpc_db(call), end->begun, head);
        if (r == 0)
                add_line(call, lines, CHECKPOINT_BEGIN, end, end->begun, head);
        return r;
}

/* Writes *mark as it is then. */
static int add_news(struct rpc_call *call, struct buf *lines, const struct log_end *end, struct log_mark *mark)
{
        bool begins = strcmp(end->epoch, mark->epoch) != 0;
        int64_t seq = begins ? end->begun : mark->checkpoint;
        int r = begins ? add_beginning(call, lines, end) : 0;
        if (r == 0)
                r = add_heads(call, lines, end, &seq);
        if (r != 0 || !lines->n)
                return r;
        mark->checkpoint = seq;
        mark->checkpoint_us = rpc_now(call);
        snprintf(mark->epoch, sizeof(mark->epoch), "%s", end->epoch);
        return seq < end->seq ? rpc_due_add(call, DUE_CHECKPOINT, "", rpc_now(call), (struct str){0}) : 0;
}

static int append(struct rpc_call *call, struct str lines)
{
        struct stream_state *state = rpc_state(call);
        int r = lines.n ? checkpoints_append(state->options->checkpoints, lines) : 0;
        if (r == 0)
                return 0;
        metric_add(metric_new(rpc_metrics(call), &unwritten_family, "%s", ""), 1);
        pthread_mutex_lock(&state->lock);
        bool say = rpc_now(call) - state->unwritten_said_us > SAY_US;
        state->unwritten_said_us = say ? rpc_now(call) : state->unwritten_said_us;
        pthread_mutex_unlock(&state->lock);
        if (say)
                log_error("checkpoints cannot be written", "folder=\"%s\" error=\"%s\"", state->options->checkpoints, strerror(-r));
        return CHECKPOINT_E_UNWRITTEN;
}

int checkpoint_now(struct rpc_call *call, struct log_mark *mark)
{
        struct log_end end;
        struct buf lines = {0};
        int r = log_end_load(rpc_db(call), &end);
        if (r == 0 && end.seq)
                r = add_news(call, &lines, &end, mark);
        if (r == 0)
                r = append(call, buf_str(&lines));
        if (r == 0)
                metric_set(metric_new(rpc_metrics(call), &signed_family, "%s", ""), mark->checkpoint);
        buf_done(&lines);
        return r;
}

int checkpoint_cut(struct rpc_call *call, const struct log_mark *mark)
{
        struct log_end end;
        struct buf lines = {0};
        int r = log_end_load(rpc_db(call), &end);
        if (r == 0)
                add_line(call, &lines, CHECKPOINT_CUT, &end, mark->cut, mark->cut_head);
        if (r == 0)
                r = append(call, buf_str(&lines));
        buf_done(&lines);
        return r;
}

/* What cannot be written now is tried again by a row of its own, so that they do not become many. */
static int again(struct rpc_call *call)
{
        return rpc_due_add(call, DUE_CHECKPOINT, "again", rpc_now(call) + AGAIN_US, (struct str){0});
}

int due_checkpoint(struct rpc_call *call, const char *key, struct str payload)
{
        struct log_mark mark;
        (void)key, (void)payload;
        int r = log_mark_load(rpc_db(call), &mark);
        if (r != 0)
                return r;
        int64_t before_us = mark.checkpoint_us;
        r = checkpoint_now(call, &mark);
        if (r == CHECKPOINT_E_UNWRITTEN)
                return again(call);
        return r == 0 && mark.checkpoint_us != before_us ? log_mark_save(rpc_db(call), &mark) : r;
}
