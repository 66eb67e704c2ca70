/* SPDX-License-Identifier: Apache-2.0
 *
 * Redis's replies as struct cache_reply: hiredis parses, these are its makers of objects. A reply lives in
 * the connection's arena until the next one is begun, so none is ever freed alone.
 */
#include "common/cache/cache_internal.h"

#include <hiredis/read.h>
#include <stdlib.h>

enum { ITEMS_MAX = 1024 * 1024 };

/* Where the reply of this task belongs: its place in the array around it, or a root of its own. */
static struct cache_reply *reply_place(const redisReadTask *task)
{
        if (!task->parent)
                return ARENA_NEW(task->privdata, struct cache_reply);
        struct cache_reply *array = task->parent->obj;
        return (struct cache_reply *)&array->items[task->idx];
}

static void *make_text(const redisReadTask *task, char *p, size_t n)
{
        struct cache_reply *reply = reply_place(task);
        reply->kind = task->type == REDIS_REPLY_ERROR ? CACHE_ERROR : CACHE_TEXT;
        reply->text = arena_str(task->privdata, str_bytes(p, n));
        return reply;
}

static void *make_array(const redisReadTask *task, int n)
{
        if (n > ITEMS_MAX)
                return NULL; /* hiredis gives up on the connection */
        struct cache_reply *reply = reply_place(task);
        reply->kind = CACHE_ARRAY;
        reply->items = ARENA_ARRAY(task->privdata, struct cache_reply, (size_t)n);
        reply->n_items = (size_t)n;
        return reply;
}

static void *make_integer(const redisReadTask *task, long long value)
{
        struct cache_reply *reply = reply_place(task);
        reply->kind = CACHE_INT;
        reply->integer = value;
        return reply;
}

static void *make_nil(const redisReadTask *task)
{
        struct cache_reply *reply = reply_place(task);
        reply->kind = CACHE_NIL;
        return reply;
}

struct redisReader *reply_reader_new(struct arena *arena)
{
        static redisReplyObjectFunctions makers = {make_text, make_array, make_integer, make_nil, NULL};
        redisReader *reader = redisReaderCreateWithFunctions(&makers);
        if (!reader)
                abort();
        reader->privdata = arena;
        return reader;
}

bool reply_is_error(const struct cache_reply *reply, const char *code)
{
        return reply->kind == CACHE_ERROR && str_starts(reply->text, str_of(code));
}
