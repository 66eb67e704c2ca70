/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing sessions to Redis.
 */
#include "services/gateway/session.h"

#include "common/crypto/crypto.h"
#include "services/gateway/ask.h"

#include <inttypes.h>
#include <stdio.h>

#define CLOSED_AGAIN_US CLOCK_MINUTE_US

/* KEYS[1]: the hash. ARGV: its life in ms, then fields and values. */
static const char put_text[] =
        "redis.call('HSET', KEYS[1], unpack(ARGV, 2))\n"
        "return redis.call('PEXPIRE', KEYS[1], ARGV[1])\n";

/* KEYS[1]: the hash. ARGV: channel, what to tell. */
static const char close_text[] =
        "redis.call('DEL', KEYS[1])\n"
        "return redis.call('PUBLISH', ARGV[1], ARGV[2])\n";

/* KEYS[1]: the generation. ARGV: the new one, its life in ms, channel, what to tell. Repeating it, or an older one,
 * changes and tells nothing. */
static const char revoke_text[] =
        "local old = redis.call('GET', KEYS[1])\n"
        "if old and tonumber(old) >= tonumber(ARGV[1]) then return 0 end\n"
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
        "redis.call('PUBLISH', ARGV[3], ARGV[4])\n"
        "return 1\n";

/* KEYS[1]: the time. ARGV: now, channel, what to tell. */
static const char end_all_text[] =
        "redis.call('SET', KEYS[1], ARGV[1])\n"
        "return redis.call('PUBLISH', ARGV[2], ARGV[3])\n";

static struct str number(char out[24], uint64_t value)
{
        return (struct str){out, (size_t)snprintf(out, 24, "%" PRIu64, value)};
}

static void put(struct callers *c, struct str key, int64_t life_us, struct str packed,
                const Nuanxin__Internal__V1__Principal *p, uint64_t client_generation, int64_t until_us,
                cache_reply_fn done, void *arg)
{
        char life[24], generation[24], client[24], until[24], now[24];
        const struct str opened = number(now, (uint64_t)clock_now_us(c->clock));
        const struct str args[] = {
                number(life, (uint64_t)life_us / 1000),
                STR("principal"), packed,
                STR("id"), str_of(p->id),
                STR("generation"), number(generation, p->generation),
                STR("client"), str_of(p->client),
                STR("client_generation"), number(client, client_generation),
                STR("until"), number(until, (uint64_t)until_us),
                STR("opened"), opened,
                STR("seen"), opened,
        };
        c->put.text = put_text;
        cache_eval(c->cache, &c->put, &key, 1, args, ARRAY_LEN(args), done, arg);
}

void session_open(struct callers *c, struct str token, const Nuanxin__Internal__V1__Principal *p,
                  uint64_t client_generation, int64_t until_us, cache_reply_fn done, void *arg)
{
        char key[8 + 65] = "session:";
        struct buf packed = {0};
        size_t n = nuanxin__internal__v1__principal__get_packed_size(p);
        sha256_hex(key + 8, token);
        buf_reserve(&packed, n + 1);
        nuanxin__internal__v1__principal__pack(p, (uint8_t *)packed.p);
        put(c, str_of(key), SESSION_IDLE_US, (struct str){packed.p, n}, p, client_generation, until_us, done, arg);
        buf_done(&packed);
}

static void close_key(struct callers *c, struct str key, cache_reply_fn done, void *arg)
{
        struct str hex = {key.p + key.n - 64, 64};
        const struct str args[] = {STR(SESSION_CHANNEL), hex};
        c->close.text = close_text;
        cache_eval(c->cache, &c->close, &key, 1, args, ARRAY_LEN(args), done, arg);
}

void session_close(struct callers *c, struct caller *caller, cache_reply_fn done, void *arg)
{
        struct closed *closed = &c->closed[c->n_closed++ % CALLERS_CLOSED];
        struct str key = {closed->key, ask_identity_key(closed->key, caller)};
        closed->key_n = key.n;
        closed->at_us = loop_now_us(c->loop);
        caller_forget(caller, closed->at_us);
        callers_drop(c, (struct str){key.p + key.n - 64, 64});
        close_key(c, key, done, arg);
}

void session_close_again(struct callers *c)
{
        int64_t since = loop_now_us(c->loop) - CLOSED_AGAIN_US;
        for (size_t i = 0; i < c->n_closed && i < CALLERS_CLOSED; i++)
                if (c->closed[i].at_us >= since)
                        close_key(c, (struct str){c->closed[i].key, c->closed[i].key_n}, NULL, NULL);
}

void session_keep_key(struct callers *c, const struct caller *caller)
{
        char key[ASK_KEY_SIZE];
        struct str k = {key, ask_identity_key(key, caller)};
        arena_reset(c->scratch);
        put(c, k, SESSION_KEY_US, caller->principal, caller_principal(c->scratch, caller), 0, caller->until_us, NULL,
            NULL);
}

void session_revoke(struct callers *c, struct str id, uint64_t generation, cache_reply_fn done, void *arg)
{
        char key[96], text[24], life[24];
        struct str k = {key, (size_t)snprintf(key, sizeof(key), "generation:%.*s", (int)(id.n < 64 ? id.n : 64), id.p)};
        /* Longer than any session that was given before it. */
        const struct str args[] = {number(text, generation),
                                   number(life, (uint64_t)(SESSION_ABSOLUTE_US + CLOCK_HOUR_US) / 1000),
                                   STR(SESSION_CHANNEL), id};
        c->revoke.text = revoke_text;
        cache_eval(c->cache, &c->revoke, &k, 1, args, ARRAY_LEN(args), done, arg);
}

void session_end_all(struct callers *c, cache_reply_fn done, void *arg)
{
        char now[24];
        const struct str key = STR("session-since");
        const struct str args[] = {number(now, (uint64_t)clock_now_us(c->clock)), STR(SESSION_CHANNEL), STR(SESSION_ALL)};
        c->end_all.text = end_all_text;
        cache_eval(c->cache, &c->end_all, &key, 1, args, ARRAY_LEN(args), done, arg);
}
