/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's network address: the peer's, or what a trusted proxy says in Forwarded (RFC 7239). Pure.
 */
#pragma once

#include "common/base/arena.h"

#define FORWARDED_PROXIES_MAX 32

/* An address block: IPv4 is kept as IPv6-mapped. */
struct forwarded_block {
        unsigned char address[16];
        unsigned bits;
};

struct forwarded_proxies {
        struct forwarded_block blocks[FORWARDED_PROXIES_MAX];
        size_t n;
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. -EINVAL: neither; -ENOSPC. */
int forwarded_proxies_add(struct forwarded_proxies *proxies, const char *block) MUST_USE;
bool forwarded_is_trusted(const struct forwarded_proxies *proxies, const char *address);

/* The nearest address that is no trusted proxy, going back from the peer through the header's elements; where an
 * element hides or garbles its address, the last one that a trusted proxy vouched for. In the arena, or `peer`. */
const char *forwarded_client(struct arena *arena, const struct forwarded_proxies *proxies, const char *peer,
                             struct str header);

/* What a rate limit counts for an address: itself, or an IPv6 address's /64, which one subscriber has whole. */
void forwarded_rate_key(char out[48], const char *address);
