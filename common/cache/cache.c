/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands in flight. Redis answers a connection in order, so a queue pairs replies with callbacks, and the
 * oldest command's deadline is all that needs watching: when it passes, the connection is given up with all
 * that is on it.
 */
#include "common/base/clock.h"
#include "common/cache/cache_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct command {
        cache_reply_fn fn;
        void *arg;
        int64_t deadline_us; /* of one in flight */
        int error;           /* of one that was refused */
        /* An EVALSHA in flight: the script, and the words after it as encoded, to send again as EVAL. */
        struct cache_script *script;
        struct buf words;
        size_t n_words;
};

/* A queue of commands: a ring that doubles. */
struct queue {
        struct command *items;
        size_t first, n, cap;
};

struct cache {
        struct loop *loop;
        struct connection *connection;
        int64_t timeout_us;
        size_t max_in_flight;
        struct queue in_flight;
        struct queue refused;       /* told of from the next turn */
        struct loop_timer *timer;   /* the oldest in flight; set while there is one */
        struct loop_timer *refusal; /* zero */
        bool closing;
        cache_state_fn on_state;
        void *state_arg;
};

/* --- queues --------------------------------------------------------------------------------------------- */

static struct command *queue_push(struct queue *queue)
{
        if (queue->n == queue->cap) {
                size_t cap = queue->cap ? queue->cap * 2 : 64;
                struct command *items = mem_zalloc(cap * sizeof(*items));
                for (size_t i = 0; i < queue->n; i++)
                        items[i] = queue->items[(queue->first + i) % queue->cap];
                free(queue->items);
                *queue = (struct queue){.items = items, .n = queue->n, .cap = cap};
        }
        struct command *command = &queue->items[(queue->first + queue->n++) % queue->cap];
        *command = (struct command){0};
        return command;
}

static struct command queue_pop(struct queue *queue)
{
        struct command command = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->cap;
        queue->n--;
        return command;
}

static void command_finish(struct command *command, int error, const struct cache_reply *reply)
{
        buf_done(&command->words);
        if (command->fn)
                command->fn(command->arg, error, reply);
}

/* --- commands ------------------------------------------------------------------------------------------- */

static void on_refusal(void *arg)
{
        struct cache *cache = arg;
        for (size_t n = cache->refused.n; n > 0;
             n--) { /* what these cause to be refused comes in a later turn */
                struct command command = queue_pop(&cache->refused);
                command_finish(&command, command.error, NULL);
        }
        if (cache->refused.n)
                loop_timer_set(cache->refusal, 0);
}

static void refuse(struct cache *cache, cache_reply_fn fn, void *arg, int error)
{
        struct command *command = queue_push(&cache->refused);
        command->fn = fn;
        command->arg = arg;
        command->error = error;
        loop_timer_set(cache->refusal, 0);
}

static struct command *launch(struct cache *cache, cache_reply_fn fn, void *arg)
{
        struct command *command = queue_push(&cache->in_flight);
        command->fn = fn;
        command->arg = arg;
        command->deadline_us = loop_now_us(cache->loop) + cache->timeout_us;
        if (cache->in_flight.n == 1)
                loop_timer_set(cache->timer, cache->timeout_us);
        return command;
}

/* Whether a command may go; if not, its callback will hear why. */
static bool admit(struct cache *cache, cache_reply_fn fn, void *arg)
{
        if (cache->closing)
                return false;
        bool up = connection_is_up(cache->connection);
        if (up && cache->in_flight.n < cache->max_in_flight)
                return true;
        refuse(cache, fn, arg, up ? -EBUSY : -ENOTCONN);
        return false;
}

void cache_command(struct cache *cache, const struct str *args, size_t n_args, cache_reply_fn fn, void *arg)
{
        if (!admit(cache, fn, arg))
                return;
        connection_send(cache->connection, args, n_args);
        launch(cache, fn, arg);
}

/* --- scripts -------------------------------------------------------------------------------------------- */

static void send_script(struct cache *cache, struct str verb, struct str script, struct str words,
                        size_t n_words)
{
        _cleanup_(buf_done) struct buf head = {0};
        command_head(&head, 2 + n_words);
        command_word(&head, verb);
        command_word(&head, script);
        connection_send_encoded(cache->connection, buf_str(&head));
        connection_send_encoded(cache->connection, words);
}

static void on_script_loaded(void *arg, int error, const struct cache_reply *reply)
{
        struct cache_script *script = arg;
        if (error == 0 && reply->kind == CACHE_TEXT && reply->text.n == sizeof(script->sha1_) - 1)
                memcpy(script->sha1_, reply->text.p, reply->text.n);
}

void cache_eval(struct cache *cache, struct cache_script *script, const struct str *keys, size_t n_keys,
                const struct str *args, size_t n_args, cache_reply_fn fn, void *arg)
{
        if (!admit(cache, fn, arg))
                return;
        char count[24];
        struct buf words = {0};
        command_word(&words, str_bytes(count, (size_t)snprintf(count, sizeof(count), "%zu", n_keys)));
        for (size_t i = 0; i < n_keys; i++)
                command_word(&words, keys[i]);
        for (size_t i = 0; i < n_args; i++)
                command_word(&words, args[i]);
        size_t n_words = 1 + n_keys + n_args;
        if (script->sha1_[0]) {
                send_script(cache, STR("EVALSHA"), str_of(script->sha1_), buf_str(&words), n_words);
                struct command *command = launch(cache, fn, arg);
                command->script = script;
                command->words = words;
                command->n_words = n_words;
                return;
        }
        /* Redis tells a script's name when it loads it: until then, the text. */
        connection_send(cache->connection, (struct str[]){STR("SCRIPT"), STR("LOAD"), str_of(script->text)},
                        3);
        launch(cache, on_script_loaded, script);
        send_script(cache, STR("EVAL"), str_of(script->text), buf_str(&words), n_words);
        launch(cache, fn, arg);
        buf_done(&words);
}

/* --- the connection's events ---------------------------------------------------------------------------- */

static void on_up(void *arg)
{
        struct cache *cache = arg;
        if (cache->on_state)
                cache->on_state(cache->state_arg, true);
}

static void on_reply(void *arg, const struct cache_reply *reply)
{
        struct cache *cache = arg;
        if (cache->in_flight.n == 0) { /* an answer to nothing */
                connection_drop(cache->connection, -EPROTO);
                return;
        }
        struct command command = queue_pop(&cache->in_flight);
        if (command.script && reply_is_error(reply, "NOSCRIPT")) {
                send_script(cache, STR("EVAL"), str_of(command.script->text), buf_str(&command.words),
                            command.n_words);
                launch(cache, command.fn, command.arg);
                buf_done(&command.words);
                return;
        }
        /* It is no primary any more: whoever is shall be looked for. */
        if (reply_is_error(reply, "READONLY") || reply_is_error(reply, "MASTERDOWN"))
                connection_drop(cache->connection, -EROFS);
        command_finish(&command, 0, reply);
}

static void fail_all(struct cache *cache, struct queue *queue, int error)
{
        for (size_t n = queue->n; n > 0; n--) {
                struct command command = queue_pop(queue);
                command_finish(&command, error, NULL);
        }
        loop_timer_clear(cache->timer);
}

static void on_lost(void *arg, int error)
{
        struct cache *cache = arg;
        if (cache->on_state)
                cache->on_state(cache->state_arg, false);
        fail_all(cache, &cache->in_flight, error == -ETIMEDOUT ? -ETIMEDOUT : -ENOTCONN);
}

static void on_timer(void *arg)
{
        struct cache *cache = arg;
        if (cache->in_flight.n == 0)
                return;
        int64_t left_us =
            cache->in_flight.items[cache->in_flight.first].deadline_us - loop_now_us(cache->loop);
        if (left_us > 0)
                loop_timer_set(cache->timer, left_us);
        else
                connection_drop(cache->connection, -ETIMEDOUT);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static const struct connection_ops cache_ops = {on_up, on_reply, on_lost};

int cache_new(struct loop *loop, const struct cache_options *options, struct cache **ret_cache)
{
        struct cache *cache = mem_zalloc(sizeof(*cache));
        int r = connection_new(loop, options, &cache_ops, cache, &cache->connection);
        if (r < 0) {
                free(cache);
                return r;
        }
        cache->loop = loop;
        cache->timeout_us = options->timeout_us > 0 ? options->timeout_us : CLOCK_SECOND_US;
        cache->max_in_flight = options->max_in_flight ? options->max_in_flight : 4096;
        cache->timer = loop_timer_new(loop, on_timer, cache);
        cache->refusal = loop_timer_new(loop, on_refusal, cache);
        *ret_cache = cache;
        return 0;
}

struct cache *cache_free(struct cache *cache)
{
        if (!cache)
                return NULL;
        cache->closing = true;
        connection_free(cache->connection);
        fail_all(cache, &cache->in_flight, -ECANCELED);
        fail_all(cache, &cache->refused, -ECANCELED);
        loop_timer_free(cache->timer);
        loop_timer_free(cache->refusal);
        free(cache->in_flight.items);
        free(cache->refused.items);
        free(cache);
        return NULL;
}

bool cache_is_up(const struct cache *cache)
{
        return connection_is_up(cache->connection);
}

void cache_on_state(struct cache *cache, cache_state_fn fn, void *arg)
{
        cache->on_state = fn;
        cache->state_arg = arg;
}
