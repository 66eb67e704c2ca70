/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as Redis's replies, cut at a place that the first byte chooses: what comes out must be readable to its
 * last leaf.
 */
#include "common/cache/cache_internal.h"

static unsigned walk(const struct cache_reply *reply)
{
        unsigned sum = (unsigned)reply->integer;
        switch (reply->kind) {
        case CACHE_TEXT:
        case CACHE_ERROR:
                for (size_t i = 0; i < reply->text.n; i++)
                        sum += (unsigned char)reply->text.p[i];
                break;
        case CACHE_ARRAY:
                for (size_t i = 0; i < reply->n_items; i++)
                        sum += walk(&reply->items[i]);
                break;
        case CACHE_NIL:
        case CACHE_INT:
                break;
        }
        return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned sum = 0;
        if (size < 1)
                return 0;
        struct str bytes = str_bytes(data + 1, size - 1);
        size_t cut = bytes.n ? data[0] % (bytes.n + 1) : 0;
        struct reply_reader *reader = reply_reader_new();
        const struct str parts[] = {{bytes.p, cut}, {bytes.p + cut, bytes.n - cut}};
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(parts) && r == 0; i++) {
                const struct cache_reply *reply;
                reply_feed(reader, parts[i]);
                while ((r = reply_next(reader, &reply)) == 1)
                        sum += walk(reply);
        }
        reply_reader_free(reader);
        __asm__ volatile("" : : "r"(sum)); /* so that it is really read */
        return 0;
}
