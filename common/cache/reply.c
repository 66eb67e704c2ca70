/* SPDX-License-Identifier: Apache-2.0
 *
 * Redis's replies as struct cache_reply: hiredis parses, these are its makers of objects. A reply lives in
 * the reader's arena until the next one is asked for, so none is ever freed alone.
 */
#include "common/cache/cache_internal.h"

#include <hiredis/read.h>
#include <stdlib.h>

enum { ITEMS_MAX = 1024 * 1024, UNREAD_MAX = 64 * 1024 * 1024 };

struct reply_reader {
        redisReader *parser;
        struct arena *arena;
        bool lent; /* the arena holds a whole reply; else it may hold the beginning of one */
};

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

struct reply_reader *reply_reader_new(void)
{
        static redisReplyObjectFunctions makers = {make_text, make_array, make_integer, make_nil, NULL};
        struct reply_reader *reader = mem_zalloc(sizeof(*reader));
        reader->parser = redisReaderCreateWithFunctions(&makers);
        if (!reader->parser)
                abort();
        reader->arena = arena_new(4096);
        reader->parser->privdata = reader->arena;
        return reader;
}

struct reply_reader *reply_reader_free(struct reply_reader *reader)
{
        if (!reader)
                return NULL;
        redisReaderFree(reader->parser);
        arena_free(reader->arena);
        free(reader);
        return NULL;
}

void reply_feed(struct reply_reader *reader, struct str bytes)
{
        if (redisReaderFeed(reader->parser, bytes.p, bytes.n) != REDIS_OK)
                abort(); /* out of memory */
}

int reply_next(struct reply_reader *reader, const struct cache_reply **ret_reply)
{
        void *reply;
        if (reader->lent)
                arena_reset(reader->arena);
        reader->lent = false;
        if (redisReaderGetReply(reader->parser, &reply) != REDIS_OK || reader->parser->len > UNREAD_MAX)
                return -EPROTO;
        if (!reply)
                return 0;
        reader->lent = true;
        *ret_reply = reply;
        return 1;
}

bool reply_is_error(const struct cache_reply *reply, const char *code)
{
        return reply->kind == CACHE_ERROR && str_starts(reply->text, str_of(code));
}
