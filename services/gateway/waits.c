/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting who waits, and hurrying the polls when the gateway drains.
 */
#include "services/gateway/waits.h"

#include "common/contract/message.h"
#include "services/gateway/answer.h"
#include "services/gateway/decode.h"

bool waits_enter(struct request *r)
{
        struct worker *w = r->worker;
        const struct gateway *g = w->gateway;
        struct caller *payer = r->who->client ? r->who->client : r->who;
        if (w->n_waiting >= worker_max_connections(g) / 2) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, NULL);
                return false;
        }
        if (payer->waiting >= g->max_streams) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_TOO_MANY_FETCHES,
                               arena_printf(r->http->arena, "%lld", (long long)g->max_streams));
                return false;
        }
        w->n_waiting++;
        payer->waiting++;
        payer->pins++;
        r->payer = payer;
        return true;
}

void waits_leave(struct request *r)
{
        if (r->polls)
                TAILQ_REMOVE(&r->worker->polls, r, poll);
        r->polls = false;
        if (!r->payer)
                return;
        r->worker->n_waiting--;
        r->payer->waiting--;
        r->payer = caller_unpin(r->payer);
}

bool waits_poll(struct request *r, int64_t *ret_wait_us)
{
        int32_t *wait = decode_member(r->route->wait, r->message);
        if (r->worker->drain_until_us)
                *wait = 0;
        if (*wait > 0 && !waits_enter(r))
                return false;
        if (*wait > 0) {
                TAILQ_INSERT_TAIL(&r->worker->polls, r, poll);
                r->polls = true;
        }
        *ret_wait_us = *wait * CLOCK_SECOND_US;
        return true;
}

void waits_drain(struct worker *w)
{
        struct request *r;
        while ((r = TAILQ_FIRST(&w->polls))) {
                waits_leave(r);
                request_call_again(r);
        }
}
