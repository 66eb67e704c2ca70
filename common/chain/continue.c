/* SPDX-License-Identifier: Apache-2.0
 *
 * Which checkpoints a chain that grows is to have.
 */
#include "common/chain/chain.h"

#include <stdio.h>

#define APART   1000
#define AT_ONCE 500 /* lines, if it was long in coming */

void checkpoint_add(struct buf *lines, enum checkpoint_kind kind, const char *epoch, int64_t seq, const unsigned char head[CHAIN_SIZE],
                    const struct signing_key *key, int64_t now_us)
{
        struct checkpoint c = {.kind = kind, .seq = seq, .time_us = now_us};
        snprintf(c.epoch, sizeof(c.epoch), "%s", epoch);
        memcpy(c.head, head, CHAIN_SIZE);
        checkpoint_sign(&c, key);
        checkpoint_write(lines, &c);
}

int checkpoints_continue(struct buf *lines, const struct chain_tail *tail, struct chain_mark *mark, const struct signing_key *key,
                         int64_t now_us, chain_head_fn head_at, void *arg, bool *ret_more)
{
        bool begins = strcmp(tail->epoch, mark->epoch) != 0;
        int64_t seq = begins ? tail->begun : mark->checkpoint;
        unsigned char head[CHAIN_SIZE];
        size_t before = lines->n;
        int r = begins ? head_at(arg, seq, head) : 0;
        if (r == 0 && begins)
                checkpoint_add(lines, CHECKPOINT_BEGIN, tail->epoch, seq, head, key, now_us);
        for (int n = 0; r == 0 && n < AT_ONCE && seq < tail->seq; n++) {
                int64_t next = (seq / APART + 1) * APART;
                seq = next < tail->seq ? next : tail->seq;
                r = head_at(arg, seq, head);
                if (r == 0)
                        checkpoint_add(lines, CHECKPOINT_HEAD, tail->epoch, seq, head, key, now_us);
        }
        if (r != 0)
                return r;
        *ret_more = seq < tail->seq;
        if (lines->n == before)
                return 0;
        mark->checkpoint = seq;
        mark->checkpoint_us = now_us;
        snprintf(mark->epoch, sizeof(mark->epoch), "%s", tail->epoch);
        return 0;
}
