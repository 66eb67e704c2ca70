/* SPDX-License-Identifier: Apache-2.0
 *
 * Leaves and heads, and what a signature under a batch covers.
 */
#include "common/chain/chain.h"

#include <stdio.h>

void chain_what(unsigned char out[CHAIN_SIZE], struct str salt, struct str event)
{
        sha256_pair(out, salt, event);
}

void chain_leaf(unsigned char out[CHAIN_SIZE], struct str person, int64_t seq, const unsigned char what[CHAIN_SIZE])
{
        unsigned char number[8], whom[CHAIN_SIZE];
        for (size_t i = 0; i < sizeof(number); i++)
                number[i] = (unsigned char)((uint64_t)seq >> (56 - 8 * i));
        sha256_pair(whom, person, str_bytes(number, sizeof(number)));
        sha256_pair(out, str_bytes(whom, CHAIN_SIZE), str_bytes(what, CHAIN_SIZE));
}

void chain_next(unsigned char head[CHAIN_SIZE], const unsigned char leaf[CHAIN_SIZE])
{
        unsigned char next[CHAIN_SIZE];
        sha256_pair(next, str_bytes(head, CHAIN_SIZE), str_bytes(leaf, CHAIN_SIZE));
        memcpy(head, next, CHAIN_SIZE);
}

struct str chain_batch_text(char out[CHAIN_BATCH_TEXT_MAX], const char *cursor, const unsigned char head[CHAIN_SIZE])
{
        char hex[2 * CHAIN_SIZE + 1];
        hex_encode(hex, head, CHAIN_SIZE);
        int n = snprintf(out, CHAIN_BATCH_TEXT_MAX, "nuanxin batch 1\n%.64s\n%s\n", cursor, hex);
        return (struct str){out, (size_t)n};
}
