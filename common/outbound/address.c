/* SPDX-License-Identifier: Apache-2.0
 *
 * The address rule, as two tables of prefixes. An address that no rule knows is not public.
 */
#include "common/outbound/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct prefix {
        unsigned char bytes[16];
        unsigned char bits;
};

#define V4(a, b, c, d, n) {{a, b, c, d}, n}
#define V6(a, b, c, d, n) {{(a) >> 8, (a) & 255, (b) >> 8, (b) & 255, (c) >> 8, (c) & 255, (d) >> 8, (d) & 255}, n}

static const struct prefix v4_not_public[] = {
        V4(0, 0, 0, 0, 8),        /* this network */
        V4(10, 0, 0, 0, 8),       /* private (RFC 1918) */
        V4(100, 64, 0, 0, 10),    /* shared by carriers (RFC 6598); metadata of Alibaba Cloud */
        V4(127, 0, 0, 0, 8),      /* loopback */
        V4(168, 63, 129, 16, 32), /* Azure's own services, by a public number */
        V4(169, 254, 0, 0, 16),   /* link-local; metadata of most clouds */
        V4(172, 16, 0, 0, 12),    /* private */
        V4(192, 0, 0, 0, 24),     /* protocol assignments; metadata of Oracle Cloud */
        V4(192, 0, 2, 0, 24),     /* documentation */
        V4(192, 31, 196, 0, 24),  /* AS112 */
        V4(192, 52, 193, 0, 24),  /* AMT */
        V4(192, 88, 99, 0, 24),   /* 6to4 relays */
        V4(192, 168, 0, 0, 16),   /* private */
        V4(192, 175, 48, 0, 24),  /* AS112 */
        V4(198, 18, 0, 0, 15),    /* benchmarks */
        V4(198, 51, 100, 0, 24),  /* documentation */
        V4(203, 0, 113, 0, 24),   /* documentation */
        V4(224, 0, 0, 0, 4),      /* multicast */
        V4(240, 0, 0, 0, 4),      /* reserved, broadcast */
};

static const struct prefix v6_global = V6(0x2000, 0, 0, 0, 3);
static const struct prefix v6_not_public[] = {
        V6(0x2001, 0, 0, 0, 23),           /* protocol assignments: Teredo, ORCHID, benchmarks */
        V6(0x2001, 0x0db8, 0, 0, 32),      /* documentation */
        V6(0x2002, 0, 0, 0, 16),           /* 6to4: stands for an IPv4 address */
        V6(0x2620, 0x004f, 0x8000, 0, 48), /* AS112 */
        V6(0x3fff, 0, 0, 0, 20),           /* documentation (RFC 9637) */
};
static const struct prefix v6_nat64 = V6(0x0064, 0xff9b, 0, 0, 96);

static bool within(const unsigned char *address, const struct prefix *prefix)
{
        size_t whole = prefix->bits / 8;
        unsigned rest = prefix->bits % 8;
        unsigned char mask = (unsigned char)(0xff00 >> rest);
        return memcmp(address, prefix->bytes, whole) == 0 && (!rest || ((address[whole] ^ prefix->bytes[whole]) & mask) == 0);
}

static bool within_any(const unsigned char *address, const struct prefix *prefixes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (within(address, &prefixes[i]))
                        return true;
        return false;
}

static enum address_kind kind_v4(const unsigned char address[4])
{
        if (address[0] == 127)
                return ADDRESS_LOOPBACK;
        return within_any(address, v4_not_public, ARRAY_LEN(v4_not_public)) ? ADDRESS_OTHER : ADDRESS_PUBLIC;
}

static enum address_kind kind_v6(const unsigned char address[16])
{
        static const unsigned char loopback[16] = {[15] = 1};
        if (memcmp(address, loopback, sizeof(loopback)) == 0)
                return ADDRESS_LOOPBACK;
        if (within(address, &v6_nat64))
                return kind_v4(address + 12) == ADDRESS_PUBLIC ? ADDRESS_PUBLIC : ADDRESS_OTHER;
        bool global = within(address, &v6_global) && !within_any(address, v6_not_public, ARRAY_LEN(v6_not_public));
        return global ? ADDRESS_PUBLIC : ADDRESS_OTHER;
}

enum address_kind address_kind(const struct sockaddr *address, socklen_t n)
{
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        if (n >= sizeof(in) && address->sa_family == AF_INET) {
                memcpy(&in, address, sizeof(in));
                return kind_v4((const unsigned char *)&in.sin_addr);
        }
        if (n >= sizeof(in6) && address->sa_family == AF_INET6) {
                memcpy(&in6, address, sizeof(in6));
                return kind_v6(in6.sin6_addr.s6_addr);
        }
        return ADDRESS_OTHER;
}

bool address_kind_of_text(struct str text, enum address_kind *ret_kind)
{
        unsigned char bytes[16];
        char z[INET6_ADDRSTRLEN];
        if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
                text = (struct str){text.p + 1, text.n - 2};
        if (text.n >= sizeof(z))
                return false;
        memcpy(z, text.p, text.n);
        z[text.n] = '\0';
        if (inet_pton(AF_INET, z, bytes) == 1)
                *ret_kind = kind_v4(bytes);
        else if (inet_pton(AF_INET6, z, bytes) == 1)
                *ret_kind = kind_v6(bytes);
        else
                return false;
        return true;
}
