/* SPDX-License-Identifier: Apache-2.0
 *
 * One event at a time out of what the endpoint's agency may see.
 */
#include "services/stream/webhook_fetch.h"

#include "services/stream/fetch.h"

static struct view_list types_of(struct arena *arena, const char *types)
{
        struct str rest = str_of(types);
        const char **items = ARENA_ARRAY(arena, const char *, rest.n / 2 + 1);
        size_t n = 0;
        while (rest.n) {
                struct str type = str_cut(&rest, ' ');
                items[n++] = arena_strndup(arena, type.p, type.n);
        }
        return (struct view_list){items, n};
}

static int refused(Nuanxin__Problem problem)
{
        bool lost = problem == NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE || problem == NUANXIN__PROBLEM__PROBLEM_CURSOR_UNKNOWN;
        return lost ? WEBHOOK_E_LOST : WEBHOOK_E_BARRED;
}

static void take(struct arena *arena, const struct fetch_answer *answer, struct fetched *ret)
{
        const struct segment_event *item = &answer->items[0];
        ret->seq = item->seq;
        ret->id = arena_strdup(arena, item->id);
        ret->json = arena_str(arena, (struct str){answer->events.p + item->at, item->n});
}

int webhook_fetch(struct rpc_call *call, struct arena *arena, const struct endpoint *endpoint, int64_t after, int64_t most,
                  struct fetched *ret)
{
        char cursor[LOG_CURSOR_SIZE];
        struct log_position position;
        struct fetch_answer answer;
        int r = log_position(rpc_db(call), &position);
        if (r != 0)
                return r;
        log_cursor_write(&position, after, cursor);
        const struct fetch_ask ask = {
                .agencies = agencies_of(call),
                .db = rpc_db(call),
                .arena = rpc_arena(call), /* what it reads may be much, and what is found is little */
                .now_us = rpc_now(call),
                .agency = endpoint->agency,
                .cursor = str_of(cursor),
                .types = types_of(rpc_arena(call), endpoint->types),
                .format = NUANXIN__STREAM__V1__EVENT_FORMAT__JSON,
                .max_events = 1,
                .itemize = true,
        };
        r = fetch_for_agency(&ask, &answer);
        if (r != 0)
                return r == FETCH_E_REFUSED ? refused(answer.problem) : r;
        bool in_range = !most || answer.through <= most;
        *ret = (struct fetched){.through = in_range ? answer.through : most, .latest = answer.position.latest};
        if (answer.n_events && in_range)
                take(arena, &answer, ret);
        return 0;
}
