/* SPDX-License-Identifier: Apache-2.0
 *
 * Instances: greeting, latency, ejection, choice.
 */
#include "common/rpc/fleet.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define EJECT_AFTER_FAILURES 5
#define EJECT_FIRST_US       CLOCK_SECOND_US
#define EJECT_LONGEST_US     (30 * CLOCK_SECOND_US)
#define LATENCY_WEIGHT       8 /* a new figure moves the average by one eighth */
#define LATENCY_HALVES_US    CLOCK_SECOND_US /* an average that nothing refreshes fades, so that it is tried again */
#define INSTANCES_MAX        256
#define SERVICES_MAX         16
#define HOME_GONE_US         (30 * CLOCK_SECOND_US)
#define MISMATCH_EVERY_US    CLOCK_MINUTE_US /* of its log line */
#define LOOK_EVERY_US        (CLOCK_SECOND_US / 2)
#define SILENCE_US           CLOCK_SECOND_US /* until a sign of life is asked for, and until it is missed */

/* The store that a service's instances share, by its epoch. */
struct home {
        char service[32];
        char epoch[40];
        int64_t seen_us; /* when an instance of it was last there */
};

struct fleet {
        struct fleet_options o;
        LIST_HEAD(, instance) instances;
        unsigned n_instances;
        struct loop_timer *look_timer;
        int64_t looked_us;
        int64_t mismatch_said_us;
        struct home homes[SERVICES_MAX];
        struct arena *arena; /* of the pair in hand */
        struct buf hello;    /* our own greeting, packed */
};

struct instance *fleet_first(const struct fleet *f)
{
        return LIST_FIRST(&f->instances);
}

static void on_up(void *arg)
{
        struct instance *i = arg;
        if (bus_link_send(i->link, buf_str(&i->fleet->hello), (struct str){0}) < 0)
                log_warn("greeting not sent", "service=%s endpoint=%s", i->service, i->endpoint);
}

static void on_down(void *arg)
{
        struct instance *i = arg;
        bool was_greeted = i->greeted;
        i->greeted = i->silent = false;
        i->asked_us = 0;
        if (was_greeted)
                i->fleet->o.ops->on_lost(i->fleet->o.arg, i);
}

/* --- one store a service -------------------------------------------------------------------------------------------- */

static struct home *home_of(struct fleet *f, const char *service)
{
        for (size_t n = 0; n < SERVICES_MAX; n++) {
                struct home *h = &f->homes[n];
                if (!h->service[0])
                        snprintf(h->service, sizeof(h->service), "%s", service);
                if (strcmp(h->service, service) == 0)
                        return h;
        }
        return NULL;
}

static void settle(struct instance *i, const struct home *home)
{
        bool was_astray = i->astray;
        i->astray = i->epoch[0] && strcmp(i->epoch, home->epoch) != 0;
        if (i->astray && !was_astray)
                log_error("an instance has a store of its own, younger than that of the others: it gets nothing. Give it their --store",
                          "service=%s instance=%s epoch=%s others=%s", i->service, i->id, i->epoch, home->epoch);
        else if (was_astray && !i->astray)
                i->fleet->o.ops->on_ready(i->fleet->o.arg, i);
}

/* Two stores of one service would each acknowledge what the other never hears of. The older one (an epoch begins with its
 * time) is meant, and no other before it was gone for a while, as when it was restored from a backup. */
static void look_at_store(struct instance *i, int64_t now)
{
        struct home *home = home_of(i->fleet, i->service);
        if (!i->epoch[0]) /* it stands by, or is of a build that does not say */
                i->astray = false;
        if (!home || !i->epoch[0] || !i->greeted || i->silent)
                return;
        int order = home->epoch[0] ? strcmp(i->epoch, home->epoch) : -1;
        bool moves = order < 0 || (order > 0 && now - home->seen_us > HOME_GONE_US);
        if (moves)
                snprintf(home->epoch, sizeof(home->epoch), "%s", i->epoch);
        if (moves || order == 0)
                home->seen_us = now;
        if (!moves) {
                settle(i, home);
                return;
        }
        LIST_FOREACH(i, &i->fleet->instances, all)
                if (strcmp(i->service, home->service) == 0)
                        settle(i, home);
}

/* --- what an instance says ------------------------------------------------------------------------------------------- */

static void take_hello(struct instance *i, const Nuanxin__Internal__V1__Hello *hello)
{
        if (strcmp(hello->service, i->service) != 0) {
                log_error("another service answers at this endpoint", "expected=%s found=%s endpoint=%s", i->service,
                          hello->service, i->endpoint);
                return;
        }
        snprintf(i->id, sizeof(i->id), "%s", hello->instance);
        i->may_write = hello->may_write;
        i->draining = hello->draining;
        compat_read(&i->compat, hello);
        snprintf(i->build, sizeof(i->build), "%s", hello->build[0] ? hello->build : "unknown");
        if (!i->greeted) { /* another process, maybe: what the last one did is not held against it */
                i->refused_said = false;
                i->failures = i->ejections = 0;
                i->ejected_until_us = i->latency_us = 0;
        }
        i->greeted = true;
        i->handshake_said = false;
        snprintf(i->epoch, sizeof(i->epoch), "%s", hello->epoch);
        look_at_store(i, loop_now_us(i->fleet->o.loop));
        i->fleet->o.ops->on_ready(i->fleet->o.arg, i);
}

static void on_pair(void *arg, struct str bytes, struct str payload)
{
        struct instance *i = arg;
        Envelope *envelope;

        i->asked_us = 0;
        i->heard_us = loop_now_us(i->fleet->o.loop);
        if (i->silent) {
                log_info("a silent instance speaks again", "service=%s instance=%s", i->service, i->id);
                i->silent = false;
                i->fleet->o.ops->on_ready(i->fleet->o.arg, i);
        }
        arena_reset(i->fleet->arena);
        if (envelope_unpack(i->fleet->arena, bytes, &envelope) < 0) {
                log_warn("unreadable envelope", "service=%s instance=%s", i->service, i->id);
                return;
        }
        if (envelope->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO)
                take_hello(i, envelope->hello);
        else if (envelope->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REPLY)
                i->fleet->o.ops->on_reply(i->fleet->o.arg, i, envelope, payload);
}

/* Once an instance, until it greets. */
static void on_refused(void *arg, int error)
{
        struct instance *i = arg;
        if (i->handshake_said)
                return;
        i->handshake_said = true;
        log_error(error == -EACCES ? "an instance refuses our CURVE key: let this role in there (nuanxin keys curve allow)" :
                                     "what stands at this endpoint has not proved to be the service: none of its CURVE keys fits",
                  "service=%s endpoint=%s", i->service, i->endpoint);
}

/* --- signs of life ------------------------------------------------------------------------------------------------- */

static void look_at(struct instance *i, int64_t now)
{
        if (i->silent && now - i->asked_us >= SILENCE_US) { /* who heard nothing of us will, when it listens again */
                (void)!bus_link_send(i->link, buf_str(&i->fleet->hello), (struct str){0});
                i->asked_us = now;
        }
        if (!i->greeted || i->silent || !i->outstanding)
                return;
        if (i->asked_us && now - i->asked_us >= SILENCE_US) {
                log_warn("an instance gives no sign of life", "service=%s instance=%s outstanding=%u", i->service, i->id,
                         i->outstanding);
                i->silent = true;
                i->fleet->o.ops->on_silent(i->fleet->o.arg, i);
        } else if (!i->asked_us && now - i->heard_us >= SILENCE_US) {
                int r = bus_link_send(i->link, buf_str(&i->fleet->hello), (struct str){0});
                if (r == 0 || r == -EAGAIN) /* it reads nothing: that is no sign of life either */
                        i->asked_us = now;
        }
}

static void on_look(void *arg)
{
        struct fleet *f = arg;
        int64_t now = loop_now_us(f->o.loop);
        bool slept = now - f->looked_us > 2 * LOOK_EVERY_US; /* it may be us who stood still: answers may lie unread */
        struct instance *i;

        f->looked_us = now;
        LIST_FOREACH(i, &f->instances, all) {
                if (slept && i->asked_us)
                        i->asked_us = now;
                look_at_store(i, now);
                look_at(i, now);
        }
        loop_timer_set(f->look_timer, LOOK_EVERY_US);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct fleet *fleet_new(const struct fleet_options *options)
{
        struct fleet *f = mem_zalloc(sizeof(*f));
        f->o = *options;
        f->arena = arena_new(16384);
        f->look_timer = loop_timer_new(options->loop, on_look, f);
        f->looked_us = loop_now_us(options->loop);
        loop_timer_set(f->look_timer, LOOK_EVERY_US);
        Nuanxin__Internal__V1__Hello hello = NUANXIN__INTERNAL__V1__HELLO__INIT;
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;
        hello.service = (char *)options->self_service;
        hello.instance = (char *)options->self_instance;
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO;
        envelope.hello = &hello;
        envelope_pack(&f->hello, &envelope);
        return f;
}

static void instance_free(struct instance *i)
{
        LIST_REMOVE(i, all);
        i->fleet->n_instances--;
        bus_link_free(i->link);
        compat_done(&i->compat);
        free(i);
}

struct fleet *fleet_free(struct fleet *f)
{
        if (!f)
                return NULL;
        while (!LIST_EMPTY(&f->instances))
                instance_free(LIST_FIRST(&f->instances));
        loop_timer_free(f->look_timer);
        arena_free(f->arena);
        buf_done(&f->hello);
        free(f);
        return NULL;
}

bool fleet_is_self(const struct fleet *f, struct str service)
{
        return str_is(service, f->o.self_service);
}

int fleet_add(struct fleet *f, const char *service, const char *endpoint, bool configured,
              struct instance **ret_instance)
{
        static const struct bus_link_ops ops = {
                .on_up = on_up, .on_down = on_down, .on_pair = on_pair, .on_refused = on_refused};
        struct instance *i;

        LIST_FOREACH(i, &f->instances, all) {
                if (strcmp(i->service, service) == 0 && strcmp(i->endpoint, endpoint) == 0) {
                        i->configured |= configured;
                        *ret_instance = i;
                        return 0;
                }
        }
        if (strlen(service) >= sizeof(i->service) || strlen(endpoint) >= sizeof(i->endpoint))
                return -ENAMETOOLONG;
        if (f->n_instances == INSTANCES_MAX)
                return -ENOSPC;
        i = mem_zalloc(sizeof(*i));
        i->fleet = f;
        i->configured = configured;
        TAILQ_INIT(&i->in_flight);
        snprintf(i->service, sizeof(i->service), "%s", service);
        snprintf(i->endpoint, sizeof(i->endpoint), "%s", endpoint);
        int r = bus_link_new(f->o.bus, f->o.loop, i->service, i->endpoint, &ops, i, &i->link);
        if (r < 0) {
                free(i);
                return r;
        }
        LIST_INSERT_HEAD(&f->instances, i, all);
        f->n_instances++;
        *ret_instance = i;
        return 0;
}

void fleet_round_begin(struct fleet *f)
{
        struct instance *i;
        LIST_FOREACH(i, &f->instances, all)
                i->listed = false;
}

void fleet_round_end(struct fleet *f)
{
        struct instance *i = LIST_FIRST(&f->instances), *next;
        for (; i; i = next) {
                next = LIST_NEXT(i, all);
                if (!i->listed && !i->configured && !bus_link_is_up(i->link) && TAILQ_EMPTY(&i->in_flight))
                        instance_free(i);
        }
}

bool instance_is_ejected(const struct instance *i)
{
        return i->silent || i->ejected_until_us > loop_now_us(i->fleet->o.loop);
}

static bool accepts(const struct instance *i, const struct fleet_need *need)
{
        return need->instance || !need->method || compat_has(&i->compat, need->method->id);
}

static bool fits_but_for_contract(const struct instance *i, const struct fleet_need *need)
{
        if (!i->greeted || i->silent || strcmp(i->service, need->service) != 0)
                return false;
        if (need->instance && strcmp(i->id, need->instance) != 0)
                return false;
        if (need->instance)
                return true; /* asked for by name: for the operator, whatever its state */
        return !i->draining && !i->astray && (!need->write || i->may_write);
}

/* Once a greeting: the first such method stands for all. */
static void say_refused(struct instance *i, const struct fleet_need *need)
{
        if (i->refused_said)
                return;
        i->refused_said = true;
        log_warn("an instance of another build gets none of the requests that it and this build understand differently",
                 "service=%s instance=%s method=%s build=%s our_build=%s", i->service, i->id, need->method->name, i->build,
                 contract_build);
}

static bool fits(struct instance *i, const struct fleet_need *need)
{
        if (!fits_but_for_contract(i, need))
                return false;
        if (accepts(i, need))
                return true;
        say_refused(i, need);
        return false;
}

void fleet_say_mismatch(struct fleet *f, const struct fleet_need *need)
{
        const struct instance *i, *refused = NULL;
        int64_t now = loop_now_us(f->o.loop);

        if (f->mismatch_said_us && now - f->mismatch_said_us < MISMATCH_EVERY_US)
                return;
        LIST_FOREACH(i, &f->instances, all) {
                if (!fits_but_for_contract(i, need))
                        continue;
                if (accepts(i, need))
                        return;
                refused = i;
        }
        if (!refused)
                return;
        f->mismatch_said_us = now;
        log_error("no instance understands a method as this build does: upgrade the service before its callers",
                  "service=%s method=%s build=%s our_build=%s", need->service, need->method->name, refused->build,
                  contract_build);
}

/* (outstanding + 1) × latency. Of one that has not answered yet only the first factor is known. */
static bool is_busier(const struct instance *a, const struct instance *b)
{
        int64_t now = loop_now_us(a->fleet->o.loop);
        int64_t faded_a = (now - a->measured_us) / LATENCY_HALVES_US, faded_b = (now - b->measured_us) / LATENCY_HALVES_US;
        int64_t latency_a = a->latency_us >> (faded_a < 30 ? faded_a : 30), latency_b = b->latency_us >> (faded_b < 30 ? faded_b : 30);
        if (!latency_a || !latency_b)
                latency_a = latency_b = 1;
        return (int64_t)(a->outstanding + 1) * latency_a > (int64_t)(b->outstanding + 1) * latency_b;
}

struct instance *fleet_choose(struct fleet *f, const struct fleet_need *need)
{
        struct instance *i, *usable[INSTANCES_MAX], *ejected = NULL, *avoided = NULL;
        size_t n = 0;

        LIST_FOREACH(i, &f->instances, all) {
                if (!fits(i, need))
                        continue;
                if (i == need->avoid)
                        avoided = i;
                else if (instance_is_ejected(i))
                        ejected = i;
                else
                        usable[n++] = i;
        }
        if (!n)
                return ejected ? ejected : avoided;
        if (n == 1)
                return usable[0];
        uint16_t random[2];
        id_random(random, sizeof(random));
        size_t first = random[0] % n, second = (first + 1 + random[1] % (n - 1)) % n; /* never the same */
        return is_busier(usable[first], usable[second]) ? usable[second] : usable[first];
}

void fleet_succeeded(struct instance *i, int64_t latency_us)
{
        i->failures = 0;
        i->ejections = 0;
        i->ejected_until_us = 0;
        if (latency_us < 0)
                return;
        i->measured_us = loop_now_us(i->fleet->o.loop);
        if (!i->latency_us)
                i->latency_us = latency_us > 0 ? latency_us : 1;
        else
                i->latency_us += (latency_us - i->latency_us) / LATENCY_WEIGHT;
}

void fleet_failed(struct instance *i)
{
        unsigned same = 0, already = 0;
        const struct instance *other;

        if (++i->failures < EJECT_AFTER_FAILURES || instance_is_ejected(i))
                return;
        LIST_FOREACH(other, &i->fleet->instances, all) {
                if (strcmp(other->service, i->service) != 0 || !other->greeted)
                        continue;
                same++;
                already += instance_is_ejected(other);
        }
        if (2 * (already + 1) > same)
                return; /* never more than half of a fleet */
        int64_t life = EJECT_FIRST_US << (i->ejections < 5 ? i->ejections : 5);
        i->ejections++;
        i->failures = 0;
        i->ejected_until_us = loop_now_us(i->fleet->o.loop) + (life < EJECT_LONGEST_US ? life : EJECT_LONGEST_US);
        log_warn("instance set aside after failures in a row", "service=%s instance=%s for_ms=%lld", i->service, i->id,
                 (long long)(life / 1000));
}
