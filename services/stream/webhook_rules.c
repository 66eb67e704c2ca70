/* SPDX-License-Identifier: Apache-2.0
 *
 * What an attempt to deliver means for its endpoint.
 */
#include "webhook.h"

#include <assert.h>
#include <inttypes.h>
#include <strings.h>

#define RETRY_AFTER_MOST CLOCK_DAY_US /* that an endpoint is granted at once */

static const uint8_t may_become[] = {
        [WEBHOOK_ACTIVE] = 1 << WEBHOOK_PAUSED | 1 << WEBHOOK_DISABLED,
        [WEBHOOK_PAUSED] = 1 << WEBHOOK_ACTIVE | 1 << WEBHOOK_DISABLED,
        [WEBHOOK_DISABLED] = 1 << WEBHOOK_ACTIVE,
};

bool webhook_may_become(int from, int to)
{
        return from >= WEBHOOK_ACTIVE && from <= WEBHOOK_DISABLED && to >= WEBHOOK_ACTIVE && to <= WEBHOOK_DISABLED &&
               may_become[from] & 1 << to;
}

int64_t webhook_retry_us(int64_t made, uint32_t random)
{
        static const int64_t after_us[WEBHOOK_ATTEMPTS - 1] = {
                5 * CLOCK_SECOND_US, 5 * CLOCK_MINUTE_US, 30 * CLOCK_MINUTE_US, 2 * CLOCK_HOUR_US,  5 * CLOCK_HOUR_US,
                10 * CLOCK_HOUR_US,  14 * CLOCK_HOUR_US,  20 * CLOCK_HOUR_US,   24 * CLOCK_HOUR_US,
        };
        if (made < 1 || made >= WEBHOOK_ATTEMPTS)
                return -1;
        int64_t wait = after_us[made - 1];
        return wait + (int64_t)((uint64_t)(wait / 10000) * random / UINT32_MAX) * 1000;
}

static bool is_redriving(const struct endpoint *e)
{
        return e->redrive_next && e->redrive_next <= e->redrive_through;
}

void webhook_next(const struct endpoint *e, int64_t *ret_after, int64_t *ret_through)
{
        *ret_after = is_redriving(e) ? e->redrive_next - 1 : e->position;
        *ret_through = is_redriving(e) ? e->redrive_through : 0;
}

int64_t webhook_spacing_us(const struct endpoint *e)
{
        return e->allowed_rate ? CLOCK_MINUTE_US / e->allowed_rate : 0;
}

/* --- bodies ----------------------------------------------------------------------------------------------------------- */

struct str webhook_body(struct arena *arena, struct str event, const char *dead)
{
        if (!dead[0])
                return event;
        return str_of(arena_printf(arena, "{\"deadletters\":\"%s\",%.*s", dead, (int)event.n - 1, event.p + 1));
}

/* The newest few, by their sequences. */
static const char *dead_with(struct arena *arena, const char *dead, int64_t seq)
{
        struct str all = str_of(arena_printf(arena, "%s%s%" PRId64, dead, dead[0] ? " " : "", seq)), rest = all;
        size_t n = 1;
        for (size_t i = 0; i < all.n; i++)
                n += all.p[i] == ' ';
        for (; n > WEBHOOK_DEAD_NAMED; n--)
                (void)str_cut(&rest, ' ');
        return rest.p;
}

/* --- what came of it ---------------------------------------------------------------------------------------------------- */

/* Did it agree, and to how many a minute (0: any number)? NULL, or why not. */
static const char *handshake_refusal(const struct attempt *a, const char *origin, int64_t *ret_rate)
{
        int64_t rate = 0;
        bool named = strcmp(a->allowed_origin, "*") == 0 || strcasecmp(a->allowed_origin, origin) == 0;
        if (!a->allowed_origin[0])
                return "it does not say WebHook-Allowed-Origin";
        if (!named)
                return "its WebHook-Allowed-Origin is another";
        if (a->allowed_rate[0] && strcmp(a->allowed_rate, "*") != 0 &&
            str_to_i64(str_of(a->allowed_rate), 1, INT64_MAX, &rate) != 0)
                return "its WebHook-Allowed-Rate is no rate";
        *ret_rate = rate < WEBHOOK_RATE ? rate : 0;
        return NULL;
}

/* NULL: it went well. */
static const char *failure(const struct attempt *a, const char *origin, int64_t *ret_rate)
{
        bool success = a->status >= 200 && a->status < 300;
        if (!success && a->status)
                return a->status >= 300 && a->status < 400 ? "it redirects, which is not followed" : "it refused";
        if (!success)
                return a->error;
        return a->kind == WEBHOOK_HANDSHAKE ? handshake_refusal(a, origin, ret_rate) : NULL;
}

/* Is what was tried still to be done? Another instance may have gone on, or the operator ended a redrive. */
static bool is_in_hand(const struct endpoint *e, const struct attempt *a)
{
        if (a->kind == WEBHOOK_HANDSHAKE)
                return !e->allowed_us;
        if (a->redriven)
                return is_redriving(e) && a->seq >= e->redrive_next && a->seq <= e->redrive_through;
        return a->seq > e->position;
}

void webhook_pass(struct endpoint *e, bool redriven, int64_t through)
{
        if (!redriven)
                e->position = through;
        else if (through < e->redrive_through)
                e->redrive_next = through + 1;
        else
                e->redrive_next = e->redrive_through = 0;
}

static void become(struct endpoint *e, int state, const char *reason)
{
        assert(webhook_may_become(e->state, state));
        e->state = state;
        e->reason = reason;
}

static void fail(struct endpoint *e, const struct attempt *a, const char *error, int64_t now_us, uint32_t random,
                 struct arena *arena)
{
        if (e->hand != a->seq)
                e->attempts = 0;
        e->hand = a->seq;
        e->attempts++;
        int64_t wait_us = webhook_retry_us(e->attempts, random), asked_us = a->retry_after_us;
        bool may_ask = a->status == 429 || a->status == 503;
        if (wait_us < 0) {
                become(e, WEBHOOK_PAUSED, a->status ? arena_printf(arena, "retries ended: %s (%u)", error, a->status)
                                                    : arena_printf(arena, "retries ended: %s", error));
                return;
        }
        if (asked_us > RETRY_AFTER_MOST)
                asked_us = RETRY_AFTER_MOST;
        e->next_us = now_us + (may_ask && asked_us > wait_us ? asked_us : wait_us);
}

static void agree(struct endpoint *e, int64_t rate, int64_t now_us)
{
        e->allowed_us = now_us;
        e->allowed_rate = rate;
}

enum webhook_outcome webhook_after(struct endpoint *e, const struct attempt *a, const char *origin, int64_t now_us,
                                   uint32_t random, struct arena *arena, const char **ret_error)
{
        int64_t rate = 0;
        const char *error = a->kind == WEBHOOK_DEAD ? NULL : failure(a, origin, &rate);
        *ret_error = error ? error : a->kind == WEBHOOK_DEAD ? a->error : "";
        if (!is_in_hand(e, a))
                return WEBHOOK_PASSED;
        if (a->status == 410 && e->state != WEBHOOK_DISABLED) {
                become(e, WEBHOOK_DISABLED, "it answered 410 Gone");
                return WEBHOOK_GONE;
        }
        if (error && e->state != WEBHOOK_ACTIVE) /* stopped meanwhile: the retries begin anew with its resumption */
                return WEBHOOK_RETRY;
        if (error) {
                fail(e, a, error, now_us, random, arena);
                return e->state == WEBHOOK_ACTIVE ? WEBHOOK_RETRY : WEBHOOK_ENDED;
        }
        e->hand = e->attempts = e->next_us = 0;
        if (a->kind == WEBHOOK_HANDSHAKE)
                agree(e, rate, now_us);
        else
                webhook_pass(e, a->redriven, a->seq);
        if (a->kind == WEBHOOK_DELIVERY)
                e->dead = "";
        else if (a->kind == WEBHOOK_DEAD && !a->redriven)
                e->dead = dead_with(arena, e->dead, a->seq);
        return WEBHOOK_DONE;
}

/* --- by the operator ------------------------------------------------------------------------------------------------------ */

void webhook_pause(struct endpoint *e, const char *reason)
{
        become(e, WEBHOOK_PAUSED, reason);
}

void webhook_resume(struct endpoint *e)
{
        if (e->state != WEBHOOK_ACTIVE)
                become(e, WEBHOOK_ACTIVE, "");
        e->hand = e->attempts = e->next_us = 0;
        e->allowed_us = 0; /* it is asked again */
}
