/* SPDX-License-Identifier: Apache-2.0
 *
 * The batch and its script. What stands in Redis:
 *
 *   session:{sha256}, apikey:{sha256}   a hash: principal (packed), id, generation, client, client_generation; opened,
 *                                       until and seen (UTC µs; to the minute); ends with its idle or absolute time
 *   session-since                       what was opened before this (UTC µs) is over
 *   generation:{id}                     the least generation of that account, member or client that is still good
 *   rate:{class}:{sha256, cut}          GCRA: the theoretical arrival time, µs of Redis's clock; in memory only
 */
#include "services/gateway/ask.h"

#include "services/gateway/session.h"

#include <stdlib.h>

#define BATCH_QUESTIONS 128

static const char script_text[] =
                "local call, floor, ceil = redis.call, math.floor, math.ceil\n"
                "local t = call('TIME')\n"
                "local now = t[1] * 1000000 + t[2]\n"
                "local function superseded(id, generation)\n"
                "  if not id or id == '' then return false end\n"
                "  local least = call('GET', 'generation:' .. id)\n"
                "  return least and tonumber(least) > tonumber(generation or 0)\n"
                "end\n"
                "local since\n"
                /* a: the gateway's UTC; b: how long it may be idle, 0 for no such limit. Its use is noted once a minute. */
                "local function session(key, a, b)\n"
                "  local s = call('HMGET', key, 'principal', 'until', 'seen', 'id', 'generation', 'client',\n"
                "                 'client_generation', 'opened')\n"
                "  if not s[1] then return {} end\n"
                "  since = since or tonumber(call('GET', 'session-since') or 0)\n"
                "  local left, idle = tonumber(s[2]) - a, a - tonumber(s[3])\n"
                "  if left <= 0 or (b > 0 and idle > b) or superseded(s[4], s[5]) or superseded(s[6], s[7]) or\n"
                "     tonumber(s[8]) < since then\n"
                "    call('DEL', key)\n"
                "    return {}\n"
                "  end\n"
                "  if b > 0 and idle >= 60000000 then\n"
                "    call('HSET', key, 'seen', string.format('%.0f', a))\n"
                "    call('PEXPIRE', key, ceil(math.min(b, left) / 1000))\n"
                "  end\n"
                "  return {s[1], s[2]}\n"
                "end\n"
                /* a: interval; b: burst × interval; c: tokens wanted. Not for the log: it is worth nothing in seconds. */
                "local function tokens(key, a, b, c)\n"
                "  local ahead = (call('GET', key) or now) - now\n"
                "  if ahead < 0 then ahead = 0 end\n"
                "  local got = floor((b - ahead) / a)\n"
                "  if got > c then got = c end\n"
                "  if got <= 0 then return {0, ahead} end\n"
                "  ahead = ahead + got * a\n"
                "  redis.set_repl(redis.REPL_NONE)\n"
                "  call('SET', key, string.format('%.0f', now + ahead), 'PX', ceil(ahead / 1000))\n"
                "  redis.set_repl(redis.REPL_ALL)\n"
                "  return {got, ahead}\n"
                "end\n"
                "local out = {}\n"
                "for i, key in ipairs(KEYS) do\n"
                "  local a, b, c = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])\n"
                "  out[i] = c > 0 and tokens(key, a, b, c) or session(key, a, b)\n"
                "end\n"
                "return out\n";

struct question {
        struct caller *caller; /* pinned */
        struct lease *lease;   /* NULL: who is it? */
        int64_t wanted;
};

struct batch {
        struct callers *callers;
        uint64_t serial;
        int64_t asked_us;
        size_t n;
        struct question questions[BATCH_QUESTIONS];
        struct batch *next; /* among the spare ones */
};

size_t ask_identity_key(char out[ASK_KEY_SIZE], const struct caller *x)
{
        char *p = stpcpy(out, x->kind == CALLER_KEY ? "apikey:" : "session:");
        hex_encode(p, x->key, 32);
        return (size_t)(p - out) + 64;
}

static size_t rate_key(char out[ASK_KEY_SIZE], const struct caller *x, const struct lease *l)
{
        char *p = stpcpy(stpcpy(stpcpy(out, "rate:"), rate_class_name(l->class)), ":");
        hex_encode(p, x->key, 16);
        return (size_t)(p - out) + 32;
}

static struct str number(char **at, int64_t value)
{
        struct str text = {*at, str_put_i64(*at, value)};
        *at += text.n;
        return text;
}

/* --- the answer ------------------------------------------------------------------------------------------------------ */

static void on_identity(struct callers *c, struct caller *x, const struct cache_reply *reply, int64_t asked_us)
{
        int64_t until;
        x->checks++;
        x->answered_us = loop_now_us(c->loop);
        if (reply->kind != CACHE_ARRAY || reply->n_items != 2 ||
            str_to_i64(reply->items[1].text, 0, INT64_MAX, &until) < 0 ||
            caller_learn(c, x, reply->items[0].text, until, asked_us) < 0)
                caller_forget(x, asked_us);
}

static void on_tokens(struct callers *c, const struct question *q, const struct cache_reply *reply)
{
        if (reply->kind == CACHE_ARRAY && reply->n_items == 2)
                lease_granted(c, q->caller, q->lease, q->wanted, reply->items[0].integer, reply->items[1].integer);
}

static void resume_waiting(struct callers *c)
{
        while (c->first && c->first->batch_ <= c->answered) {
                struct callers_waiter *w = c->first;
                callers_wait_cancel(c, w);
                w->fn(w->arg);
        }
}

static void on_answer(void *arg, int error, const struct cache_reply *reply)
{
        struct batch *b = arg;
        struct callers *c = b->callers;
        bool good = error == 0 && reply->kind == CACHE_ARRAY && reply->n_items == b->n;
        if (!good) {
                metric_add(c->metrics.gone, 1);
                callers_redis(c, false);
        }
        for (size_t i = 0; i < b->n; i++) {
                struct question *q = &b->questions[i];
                if (good && q->lease)
                        on_tokens(c, q, &reply->items[i]);
                else if (good)
                        on_identity(c, q->caller, &reply->items[i], b->asked_us);
                caller_unpin(q->caller);
        }
        if (b->serial > c->answered)
                c->answered = b->serial;
        b->next = c->spare;
        c->spare = b;
        if (error != -ECANCELED)
                resume_waiting(c);
}

/* --- the question ---------------------------------------------------------------------------------------------------- */

static void batch_send(struct callers *c)
{
        struct batch *b = c->filling;
        struct str keys[BATCH_QUESTIONS], args[3 * BATCH_QUESTIONS];
        char key_text[BATCH_QUESTIONS][ASK_KEY_SIZE], numbers[3 * BATCH_QUESTIONS * STR_I64_SIZE], *at = numbers;

        c->filling = NULL;
        b->asked_us = loop_now_us(c->loop);
        for (size_t i = 0; i < b->n; i++) {
                const struct question *q = &b->questions[i];
                keys[i].p = key_text[i];
                if (q->lease) {
                        struct rate_figure f =
                                rate_figure_of(caller_rate_kind(q->caller), q->lease->class, c->rate_scale);
                        keys[i].n = rate_key(key_text[i], q->caller, q->lease);
                        args[3 * i] = number(&at, f.interval_us);
                        args[3 * i + 1] = number(&at, f.burst * f.interval_us);
                        args[3 * i + 2] = number(&at, q->wanted);
                } else {
                        keys[i].n = ask_identity_key(key_text[i], q->caller);
                        args[3 * i] = number(&at, clock_now_us(c->clock));
                        args[3 * i + 1] = number(&at, q->caller->kind == CALLER_SESSION ? SESSION_IDLE_US : 0);
                        args[3 * i + 2] = STR("0");
                }
        }
        metric_add(c->metrics.batches, 1);
        metric_add(c->metrics.asked, (int64_t)b->n);
        c->ask.text = script_text;
        cache_eval(c->cache, &c->ask, keys, b->n, args, 3 * b->n, on_answer, b);
}

static void on_turn_end(void *arg)
{
        struct callers *c = arg;
        if (c->filling)
                batch_send(c);
}

static struct question *question_new(struct callers *c, struct caller *x)
{
        if (c->filling && c->filling->n == BATCH_QUESTIONS)
                batch_send(c);
        if (!c->filling) {
                struct batch *b = c->spare;
                if (b)
                        c->spare = b->next;
                else
                        b = mem_zalloc(sizeof(*b));
                b->callers = c;
                b->serial = c->serial++;
                b->n = 0;
                c->filling = b;
                c->turn.fn = on_turn_end;
                c->turn.arg = c;
                loop_at_turn_end(c->loop, &c->turn);
        }
        struct question *q = &c->filling->questions[c->filling->n++];
        q->caller = x;
        q->lease = NULL;
        x->pins++;
        return q;
}

void ask_identity(struct callers *c, struct caller *x)
{
        question_new(c, x);
        x->batch = c->filling->serial;
}

void ask_tokens(struct callers *c, struct caller *x, struct lease *l, int64_t wanted)
{
        struct question *q = question_new(c, x);
        q->lease = l;
        q->wanted = wanted;
        l->batch = c->filling->serial;
        l->waiting = 1;
}

void ask_more(struct callers *c, struct lease *l)
{
        l->waiting++;
        if (!c->filling || l->batch != c->filling->serial)
                return;
        for (size_t i = 0; i < c->filling->n; i++) {
                struct question *q = &c->filling->questions[i];
                if (q->lease == l && q->wanted < l->waiting)
                        q->wanted = l->waiting;
        }
}

void ask_free(struct callers *c)
{
        loop_turn_cancel(c->loop, &c->turn);
        free(c->filling);
        while (c->spare) {
                struct batch *b = c->spare;
                c->spare = b->next;
                free(b);
        }
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

void callers_wait(struct callers *c, struct callers_waiter *w)
{
        w->batch_ = c->filling ? c->filling->serial : c->serial - 1;
        w->queued_ = true;
        w->next_ = NULL;
        w->before_ = c->last;
        *(c->last ? &c->last->next_ : &c->first) = w;
        c->last = w;
}

void callers_wait_cancel(struct callers *c, struct callers_waiter *w)
{
        if (!w->queued_)
                return;
        *(w->before_ ? &w->before_->next_ : &c->first) = w->next_;
        *(w->next_ ? &w->next_->before_ : &c->last) = w->before_;
        w->queued_ = false;
}
