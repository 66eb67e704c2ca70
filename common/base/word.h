/* SPDX-License-Identifier: Apache-2.0
 *
 * Text eight bytes at a time: loops over text skip what is plain by these, and look at the rest byte by byte. (After
 * Sean Eron Anderson, "Bit Twiddling Hacks".)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_EACH(byte) ((byte) * 0x0101010101010101ull)

static inline uint64_t word_load(const void *p)
{
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        return word;
}

/* Is any of its bytes below n (at most 0x80)? */
static inline bool word_has_below(uint64_t word, uint8_t n)
{
        return (word - WORD_EACH(n)) & ~word & WORD_EACH(0x80);
}

static inline bool word_has(uint64_t word, uint8_t byte)
{
        return word_has_below(word ^ WORD_EACH(byte), 1);
}

static inline bool word_is_ascii(uint64_t word)
{
        return !(word & WORD_EACH(0x80));
}
