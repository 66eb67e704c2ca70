/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a Redis or a sentinel is, from text.
 */
#include "common/cache/cache_internal.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static int address_unix(struct str path, struct address *ret)
{
        struct sockaddr_un *unix_address = (struct sockaddr_un *)&ret->storage;
        if (!path.n || path.n >= sizeof(unix_address->sun_path))
                return -EINVAL;
        unix_address->sun_family = AF_UNIX;
        memcpy(unix_address->sun_path, path.p, path.n);
        ret->size = sizeof(*unix_address);
        return 0;
}

static int address_tcp(struct str host, struct str port, bool numeric, struct address *ret)
{
        char host_text[256], port_text[8];
        if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
                host = (struct str){host.p + 1, host.n - 2};
        if (!host.n || host.n >= sizeof(host_text) || !port.n || port.n >= sizeof(port_text))
                return -EINVAL;
        snprintf(host_text, sizeof(host_text), "%.*s", (int)host.n, host.p);
        snprintf(port_text, sizeof(port_text), "%.*s", (int)port.n, port.p);
        struct addrinfo *found;
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                       .ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0)};
        if (getaddrinfo(host_text, port_text, &hints, &found) != 0)
                return -EINVAL;
        memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
        ret->size = found->ai_addrlen;
        freeaddrinfo(found);
        return 0;
}

int address_of_pair(struct str host, struct str port, struct address *ret)
{
        struct address address = {0};
        int r = address_tcp(host, port, true, &address);
        if (r == 0)
                *ret = address;
        return r;
}

int address_of_text(struct str text, struct address *ret)
{
        struct address address = {0};
        int r;
        if (str_starts(text, STR("unix:"))) {
                r = address_unix((struct str){text.p + 5, text.n - 5}, &address);
        } else {
                size_t colon = text.n;
                while (colon && text.p[colon - 1] != ':')
                        colon--;
                r = colon ? address_tcp((struct str){text.p, colon - 1}, (struct str){text.p + colon, text.n - colon}, false,
                                        &address)
                          : -EINVAL;
        }
        if (r == 0)
                *ret = address;
        return r;
}

bool address_equal(const struct address *a, const struct address *b)
{
        return a->size == b->size && memcmp(&a->storage, &b->storage, a->size) == 0;
}
