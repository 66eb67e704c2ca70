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

static int head_at(void *call, int64_t seq, unsigned char ret_head[CHAIN_SIZE])
{
        return log_head_at(rpc_db(call), seq, ret_head);
}

/* Writes *mark as it is then. */
static int add_news(struct rpc_call *call, struct buf *lines, const struct log_end *end, struct log_mark *mark)
{
        const struct signing_key *key = stream_key(rpc_state(call), rpc_keyring(call));
        const struct chain_tail tail = {.epoch = end->epoch, .begun = end->begun, .seq = end->seq};
        struct chain_mark as_signed = {.checkpoint = mark->checkpoint, .checkpoint_us = mark->checkpoint_us};
        bool more = false;
        snprintf(as_signed.epoch, sizeof(as_signed.epoch), "%s", mark->epoch);
        int r = checkpoints_continue(lines, &tail, &as_signed, key, rpc_now(call), head_at, call, &more);
        if (r != 0)
                return r;
        mark->checkpoint = as_signed.checkpoint;
        mark->checkpoint_us = as_signed.checkpoint_us;
        snprintf(mark->epoch, sizeof(mark->epoch), "%s", as_signed.epoch);
        return more ? rpc_due_add(call, DUE_CHECKPOINT, "", rpc_now(call), (struct str){0}) : 0;
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
                checkpoint_add(&lines, CHECKPOINT_CUT, end.epoch, mark->cut, mark->cut_head,
                               stream_key(rpc_state(call), rpc_keyring(call)), rpc_now(call));
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
