/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of callers, least recently used last, and how long a copy is believed.
 */
#include "services/gateway/callers.h"

#include "common/base/id.h"
#include "common/crypto/crypto.h"
#include "common/rpc/envelope.h"
#include "services/gateway/ask.h"

#include <malloc.h>
#include <stdlib.h>

#define SWEEP_US      (5 * CLOCK_SECOND_US)
#define USED_GRAIN_US CLOCK_SECOND_US
#define TRIM_BEYOND   4096 /* callers forgotten in one sweep after which their memory goes back to the system */

static const struct metric_family family_hits = {"nuanxin_gateway_session_copies_total",
                                                 "Requests whose session was believed from this gateway's copy.",
                                                 METRIC_COUNTER};
static const struct metric_family family_asked = {"nuanxin_gateway_redis_questions_total",
                                                  "Sessions and rates asked of Redis.", METRIC_COUNTER};
static const struct metric_family family_batches = {"nuanxin_gateway_redis_batches_total",
                                                    "Script calls to Redis that carried those questions.",
                                                    METRIC_COUNTER};
static const struct metric_family family_limited = {"nuanxin_gateway_rate_limited_total",
                                                    "Requests refused because a rate was used up.", METRIC_COUNTER};
static const struct metric_family family_gone = {"nuanxin_gateway_redis_failures_total",
                                                 "Batches that Redis did not answer.", METRIC_COUNTER};

static unsigned slot_of(struct str text)
{
        return text.n ? (unsigned)(str_hash(text) % CALLERS_SLOTS) : 0;
}

static unsigned slot_of_key(const unsigned char key[32])
{
        char hex[65];
        hex_encode(hex, key, 32);
        return slot_of((struct str){hex, 64});
}

/* FNV-1a from a secret start. */
static uint64_t hash_of(const struct callers *c, enum caller_kind kind, struct str name)
{
        uint64_t h = c->seed ^ (uint64_t)kind;
        for (size_t i = 0; i < name.n; i++)
                h = (h ^ (unsigned char)name.p[i]) * 0x100000001b3ull;
        return h ^ h >> 32;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void list_remove(struct callers *c, struct caller *x)
{
        *(x->newer ? &x->newer->older : &c->newest) = x->older;
        *(x->older ? &x->older->newer : &c->oldest) = x->newer;
        x->newer = x->older = NULL;
}

static void list_put_first(struct callers *c, struct caller *x)
{
        x->newer = NULL;
        x->older = c->newest;
        *(c->newest ? &c->newest->newer : &c->oldest) = x;
        c->newest = x;
}

/* Neighbours in the list are far away in memory: it is kept in order to the second. */
static void touch(struct callers *c, struct caller *x)
{
        list_remove(c, x);
        list_put_first(c, x);
        x->used_us = loop_now_us(c->loop);
}

static void caller_clear(struct caller *x)
{
        free((char *)x->principal.p);
        x->principal = (struct str){NULL, 0};
        x->client = caller_unpin(x->client);
}

static void caller_free(struct callers *c, struct caller *x)
{
        struct caller **at = &c->buckets[x->hash % CALLERS_BUCKETS];
        while (*at != x)
                at = &(*at)->chain;
        *at = x->chain;
        list_remove(c, x);
        caller_clear(x);
        while (x->leases) {
                struct lease *lease = x->leases;
                x->leases = lease->next;
                free(lease);
        }
        explicit_bzero(x->name, x->name_n);
        free(x);
        c->n--;
}

/* Forgets unpinned callers from the old end while there are too many, or while they have been idle. */
static size_t forget_old(struct callers *c, size_t most, int64_t idle_since_us)
{
        size_t forgotten = 0;
        for (struct caller *x = c->oldest; x && (c->n > most || x->used_us < idle_since_us);) {
                struct caller *newer = x->newer;
                if (x->pins == 0) {
                        caller_free(c, x);
                        forgotten++;
                }
                x = newer;
        }
        return forgotten;
}

static void on_sweep(void *arg)
{
        struct callers *c = arg;
        if (forget_old(c, CALLERS_MAX, loop_now_us(c->loop) - CALLER_IDLE_US) >= TRIM_BEYOND)
                malloc_trim(0);
        loop_timer_set(c->sweep, SWEEP_US);
}

static struct caller *caller_new(struct callers *c, enum caller_kind kind, struct str name, uint64_t hash)
{
        static const char *const prefixes[] = {[CALLER_SESSION] = "",        [CALLER_KEY] = "",
                                               [CALLER_CLIENT] = "client:",  [CALLER_AGENCY] = "agency:",
                                               [CALLER_ADDRESS] = "address:", [CALLER_ACCOUNT] = "account:"};
        struct buf text = {0};
        forget_old(c, CALLERS_MAX - 1, 0);
        struct caller *x = mem_zalloc(sizeof(*x) + name.n);
        buf_add_z(&text, prefixes[kind]);
        buf_add_str(&text, name);
        sha256(x->key, buf_str(&text));
        explicit_bzero(text.p, text.n);
        buf_done(&text);
        memcpy(x->name, name.p ? name.p : "", name.n);
        x->name_n = name.n;
        x->hash = hash;
        x->kind = kind;
        x->state = kind == CALLER_SESSION || kind == CALLER_KEY ? CALLER_UNKNOWN : CALLER_ALIVE;
        x->slot_key = slot_of_key(x->key);
        x->chain = c->buckets[hash % CALLERS_BUCKETS];
        c->buckets[hash % CALLERS_BUCKETS] = x;
        x->used_us = loop_now_us(c->loop);
        list_put_first(c, x);
        c->n++;
        return x;
}

struct caller *callers_get(struct callers *c, enum caller_kind kind, struct str name)
{
        uint64_t hash = hash_of(c, kind, name);
        struct caller *x = c->buckets[hash % CALLERS_BUCKETS];
        while (x && (x->hash != hash || x->kind != kind || !secret_equal((struct str){x->name, x->name_n}, name)))
                x = x->chain;
        if (!x)
                x = caller_new(c, kind, name, hash);
        else if (loop_now_us(c->loop) - x->used_us > USED_GRAIN_US)
                touch(c, x);
        x->pins++;
        return x;
}

struct caller *caller_unpin(struct caller *x)
{
        if (x)
                x->pins--;
        return NULL;
}

struct callers *callers_new(struct loop *loop, struct cache *cache, const struct clock *clock, int64_t rate_scale,
                            int gateway_threads, struct metric_registry *metrics)
{
        struct callers *c = mem_zalloc(sizeof(*c));
        c->loop = loop;
        c->cache = cache;
        c->clock = clock;
        c->rate_scale = rate_scale;
        c->gateway_threads = gateway_threads;
        c->metrics.hits = metric_new(metrics, &family_hits, "%s", "");
        c->metrics.asked = metric_new(metrics, &family_asked, "%s", "");
        c->metrics.batches = metric_new(metrics, &family_batches, "%s", "");
        c->metrics.limited = metric_new(metrics, &family_limited, "%s", "");
        c->metrics.gone = metric_new(metrics, &family_gone, "%s", "");
        c->serial = 1;
        c->scratch = arena_new(4096);
        id_random(&c->seed, sizeof(c->seed));
        c->sweep = loop_timer_new(loop, on_sweep, c);
        loop_timer_set(c->sweep, SWEEP_US);
        return c;
}

struct callers *callers_free(struct callers *c)
{
        if (!c)
                return NULL;
        loop_timer_free(c->sweep);
        ask_free(c);
        for (struct caller *x = c->newest; x; x = x->older)
                x->client = caller_unpin(x->client);
        while (c->newest)
                caller_free(c, c->newest);
        arena_free(c->scratch);
        free(c);
        return NULL;
}

/* --- what a copy is worth ------------------------------------------------------------------------------------------ */

void callers_told(struct callers *c, bool alive)
{
        c->told = alive;
        c->told_since_us = loop_now_us(c->loop);
}

bool callers_are_told(const struct callers *c)
{
        return c->told;
}

void callers_drop(struct callers *c, struct str slot_text)
{
        c->dropped_us[slot_of(slot_text)] = loop_now_us(c->loop);
}

void callers_redis(struct callers *c, bool up)
{
        c->gone_until_us = up ? 0 : loop_now_us(c->loop) + CLOCK_SECOND_US / 2;
}

bool callers_redis_gone(const struct callers *c)
{
        return loop_now_us(c->loop) < c->gone_until_us;
}

static bool was_dropped(const struct callers *c, const struct caller *x)
{
        return x->checked_us <= c->dropped_us[x->slot_key] ||
               (x->slot_id && x->checked_us <= c->dropped_us[x->slot_id]) ||
               (x->slot_client && x->checked_us <= c->dropped_us[x->slot_client]);
}

static Nuanxin__Internal__V1__Principal *principal_unpack(struct arena *arena, struct str packed)
{
        ProtobufCAllocator allocator = envelope_allocator(arena);
        return nuanxin__internal__v1__principal__unpack(&allocator, packed.n, (const uint8_t *)packed.p);
}

Nuanxin__Internal__V1__Principal *caller_principal(struct arena *arena, const struct caller *x)
{
        return x->principal.p ? principal_unpack(arena, x->principal) : NULL;
}

int caller_learn(struct callers *c, struct caller *x, struct str packed, int64_t until_us, int64_t asked_us)
{
        arena_reset(c->scratch);
        const Nuanxin__Internal__V1__Principal *p = principal_unpack(c->scratch, packed);
        if (!p)
                return -EBADMSG;
        caller_clear(x);
        char *copy = mem_realloc(NULL, packed.n + 1);
        memcpy(copy, packed.p, packed.n);
        x->principal = (struct str){copy, packed.n};
        x->state = CALLER_ALIVE;
        x->until_us = until_us;
        x->checked_us = asked_us;
        x->slot_id = slot_of(str_of(p->id));
        x->slot_client = slot_of(str_of(p->client));
        if (p->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__AGENCY)
                x->client = callers_get(c, CALLER_AGENCY, str_of(p->id));
        else if (p->client[0] || x->kind == CALLER_KEY)
                x->client = callers_get(c, CALLER_CLIENT, str_of(p->client[0] ? p->client : p->id));
        return 0;
}

void caller_forget(struct caller *x, int64_t asked_us)
{
        caller_clear(x);
        x->state = CALLER_DEAD;
        x->checked_us = asked_us;
        x->slot_id = x->slot_client = 0;
}

enum admission caller_identify(struct callers *c, struct caller *x, uint64_t at_least)
{
        int64_t now = loop_now_us(c->loop), age = now - x->checked_us;
        bool expired = x->until_us && clock_now_us(c->clock) >= x->until_us;
        bool checked = x->checks >= at_least;

        if (checked && x->state != CALLER_UNKNOWN && c->told && x->checked_us > c->told_since_us &&
            age <= CALLER_FRESH_US && !was_dropped(c, x)) {
                if (x->answered_us != now)
                        metric_add(c->metrics.hits, 1);
                return x->state == CALLER_ALIVE && !expired ? ADMITTED : ADMISSION_DEAD;
        }
        if (callers_redis_gone(c)) {
                bool known = x->state == CALLER_ALIVE && !expired && age <= CALLER_GONE_US && !was_dropped(c, x);
                return known && at_least == 0 ? ADMITTED : ADMISSION_GONE;
        }
        /* The answer that this request waited for, or one of this very turn. */
        if (checked && x->state != CALLER_UNKNOWN && x->batch <= c->answered && x->answered_us == now)
                return x->state == CALLER_ALIVE && !expired ? ADMITTED : ADMISSION_DEAD;
        if (x->batch <= c->answered)
                ask_identity(c, x);
        return ADMISSION_WAITS;
}

/* --- rates ----------------------------------------------------------------------------------------------------------- */

enum rate_kind caller_rate_kind(const struct caller *x)
{
        switch (x->kind) {
        case CALLER_SESSION:
                return RATE_PERSON;
        case CALLER_ADDRESS:
                return RATE_ADDRESS;
        case CALLER_ACCOUNT:
                return RATE_ACCOUNT;
        case CALLER_AGENCY:
                return RATE_AGENCY;
        case CALLER_KEY:
        case CALLER_CLIENT:
                break;
        }
        return RATE_CLIENT;
}

static struct lease *lease_of(struct caller *x, Nuanxin__RateClass class)
{
        for (struct lease *l = x->leases; l; l = l->next)
                if (l->class == class)
                        return l;
        struct lease *l = mem_zalloc(sizeof(*l));
        l->class = class;
        l->next = x->leases;
        x->leases = l;
        return l;
}

int64_t caller_take_local(struct callers *c, struct caller *x, Nuanxin__RateClass class)
{
        struct rate_figure figure = rate_figure_of(caller_rate_kind(x), class, c->rate_scale);
        if (!figure.interval_us)
                return 0;
        return rate_take_local(figure, c->gateway_threads, loop_now_us(c->loop), &lease_of(x, class)->local_us);
}

enum admission caller_take(struct callers *c, struct caller *x, Nuanxin__RateClass class, int64_t *ret_wait_us)
{
        struct rate_figure figure = rate_figure_of(caller_rate_kind(x), class, c->rate_scale);
        int64_t now = loop_now_us(c->loop);
        if (!figure.interval_us)
                return ADMITTED;
        struct lease *l = lease_of(x, class);
        if (l->tokens > 0 && now <= l->dies_us) {
                l->tokens--;
                l->used++;
                return ADMITTED;
        }
        if (now < l->denied_us) {
                *ret_wait_us = l->denied_us - now;
                return ADMISSION_DENIED;
        }
        if (callers_redis_gone(c)) {
                *ret_wait_us = caller_take_local(c, x, class);
                return *ret_wait_us ? ADMISSION_DENIED : ADMITTED;
        }
        if (l->batch > c->answered)
                ask_more(c, l);
        else
                ask_tokens(c, x, l, rate_lease_size(figure, class, c->gateway_threads, l->used));
        return ADMISSION_WAITS;
}

void lease_granted(struct callers *c, struct caller *x, struct lease *l, int64_t wanted, int64_t got,
                   int64_t ahead_us)
{
        struct rate_figure figure = rate_figure_of(caller_rate_kind(x), l->class, c->rate_scale);
        int64_t now = loop_now_us(c->loop);
        bool leases = rate_lease_size(figure, l->class, c->gateway_threads, figure.burst) > 1;
        l->tokens = got;
        l->used = 0;
        l->dies_us = leases ? now + RATE_LEASE_US : now; /* now: for those that wait in this turn, and no longer */
        l->ahead_us = ahead_us;
        l->said_us = now;
        l->waiting = 0;
        l->denied_us = got < wanted ? now + rate_wait_us(figure, ahead_us) : 0;
}

bool caller_rate_state(const struct callers *c, const struct caller *x, Nuanxin__RateClass class,
                       struct caller_rate *ret_rate)
{
        struct rate_figure figure = rate_figure_of(caller_rate_kind(x), class, c->rate_scale);
        const struct lease *l = x->leases;
        while (l && l->class != class)
                l = l->next;
        if (!figure.interval_us || !l)
                return false;
        int64_t now = loop_now_us(c->loop), ahead = l->ahead_us - (now - l->said_us);
        if (ahead < 0)
                ahead = 0;
        int64_t remaining = rate_tokens(figure, ahead) + (now <= l->dies_us ? l->tokens : 0);
        if (now < l->denied_us)
                remaining = 0;
        *ret_rate = (struct caller_rate){
                .quota = figure.burst,
                .window_s = (figure.burst * figure.interval_us + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US,
                .remaining = remaining < figure.burst ? remaining : figure.burst,
                .reset_s = (ahead + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US,
        };
        return true;
}
