/* SPDX-License-Identifier: Apache-2.0
 *
 * Address blocks, and reading Forwarded from its end.
 */
#include "services/gateway/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>

#define ELEMENTS_MAX 32

static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool address_parse(unsigned char out[16], const char *text)
{
        if (inet_pton(AF_INET6, text, out) == 1)
                return true;
        memcpy(out, mapped_prefix, sizeof(mapped_prefix));
        return inet_pton(AF_INET, text, out + 12) == 1;
}

int forwarded_proxies_add(struct forwarded_proxies *proxies, const char *text)
{
        struct forwarded_block b;
        char address[INET6_ADDRSTRLEN];
        struct str bits = str_of(text), host = str_cut(&bits, '/');
        int64_t n = 0;

        if (proxies->n == FORWARDED_PROXIES_MAX)
                return -ENOSPC;
        if (host.n >= sizeof(address))
                return -EINVAL;
        memcpy(address, host.p, host.n);
        address[host.n] = '\0';
        if (!address_parse(b.address, address))
                return -EINVAL;
        bool v4 = memcmp(b.address, mapped_prefix, sizeof(mapped_prefix)) == 0;
        if (host.n == strlen(text))
                n = 128;
        else if (str_to_i64(bits, 0, v4 ? 32 : 128, &n) < 0)
                return -EINVAL;
        else if (v4)
                n += 96;
        b.bits = (unsigned)n;
        proxies->blocks[proxies->n++] = b;
        return 0;
}

static bool block_has(const struct forwarded_block *b, const unsigned char address[16])
{
        unsigned whole = b->bits / 8, rest = b->bits % 8;
        if (memcmp(b->address, address, whole) != 0)
                return false;
        unsigned char mask = (unsigned char)(0xff00u >> rest);
        return rest == 0 || ((b->address[whole] ^ address[whole]) & mask) == 0;
}

bool forwarded_is_trusted(const struct forwarded_proxies *proxies, const char *address)
{
        unsigned char a[16];
        if (proxies->n == 0 || !address_parse(a, address))
                return false;
        for (size_t i = 0; i < proxies->n; i++)
                if (block_has(&proxies->blocks[i], a))
                        return true;
        return false;
}

/* Ends s before the first `c` that stands outside quotes, and returns what was before; s becomes the rest. */
static struct str cut_unquoted(struct str *s, char c)
{
        bool quoted = false;
        for (size_t i = 0; i < s->n; i++) {
                if (s->p[i] == '"')
                        quoted = !quoted;
                else if (s->p[i] == '\\' && quoted)
                        i++;
                else if (s->p[i] == c && !quoted) {
                        struct str head = {s->p, i};
                        *s = (struct str){s->p + i + 1, s->n - i - 1};
                        return head;
                }
        }
        struct str head = *s;
        *s = (struct str){s->p + s->n, 0};
        return head;
}

/* node = nodename [ ":" port ], where IPv6 stands in brackets. NULL: hidden ("unknown", "_x") or garbled. */
static const char *node_address(struct arena *arena, struct str node)
{
        unsigned char ignored[16];
        if (node.n >= 2 && node.p[0] == '"' && node.p[node.n - 1] == '"')
                node = (struct str){node.p + 1, node.n - 2};
        struct str port = {NULL, 0};
        bool bracket = node.n > 0 && node.p[0] == '[';
        if (bracket) {
                const char *end = memchr(node.p, ']', node.n);
                if (!end)
                        return NULL;
                port = (struct str){end + 1, (size_t)(node.p + node.n - end - 1)};
                node = (struct str){node.p + 1, (size_t)(end - node.p - 1)};
                if (port.n && port.p[0] != ':')
                        return NULL;
        } else {
                const char *colon = node.n ? memchr(node.p, ':', node.n) : NULL;
                if (colon) {
                        port = (struct str){colon, (size_t)(node.p + node.n - colon)};
                        node.n = (size_t)(colon - node.p);
                }
        }
        int64_t n;
        if (port.n && (str_to_i64((struct str){port.p + 1, port.n - 1}, 0, 65535, &n) < 0))
                return NULL;
        if (node.n == 0 || node.n >= INET6_ADDRSTRLEN)
                return NULL;
        const char *text = arena_strndup(arena, node.p, node.n);
        return inet_pton(bracket ? AF_INET6 : AF_INET, text, ignored) == 1 ? text : NULL;
}

/* The address in one element's for=; NULL as above. */
static const char *element_address(struct arena *arena, struct str element)
{
        const char *found = NULL;
        while (element.n) {
                struct str value = str_trim(cut_unquoted(&element, ';'));
                struct str name = str_cut(&value, '=');
                if (!str_case_eq(name, STR("for")))
                        continue;
                if (found)
                        return NULL;
                found = node_address(arena, value);
        }
        return found;
}

const char *forwarded_client(struct arena *arena, const struct forwarded_proxies *proxies, const char *peer,
                             struct str header)
{
        struct str elements[ELEMENTS_MAX];
        size_t n = 0;
        if (!header.p || !forwarded_is_trusted(proxies, peer))
                return peer;
        while (header.n) {
                if (n == ELEMENTS_MAX)
                        return peer;
                elements[n++] = str_trim(cut_unquoted(&header, ','));
        }
        const char *client = peer;
        while (n > 0 && forwarded_is_trusted(proxies, client)) {
                const char *before = element_address(arena, elements[--n]);
                if (!before)
                        return client;
                client = before;
        }
        return client;
}

void forwarded_rate_key(char out[48], const char *address)
{
        unsigned char a[16];
        if (inet_pton(AF_INET6, address, a) == 1 && memcmp(a, mapped_prefix, sizeof(mapped_prefix)) != 0) {
                memset(a + 8, 0, 8);
                inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN);
        } else {
                snprintf(out, 48, "%.46s", address);
        }
}
