/* SPDX-License-Identifier: Apache-2.0
 *
 * "127.0.0.1:8080" and "[::1]:8080" as socket addresses. libevent's own parser refuses port 0.
 */
#include "common/loop/loop_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

int loop_address_parse(const char *text, struct sockaddr_storage *ret_address, int *ret_size)
{
        const char *colon = strrchr(text, ':');
        int64_t port;
        if (!colon || str_to_i64(str_of(colon + 1), 0, 65535, &port) < 0)
                return -EINVAL;
        struct str host = {text, (size_t)(colon - text)};
        bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
        if (v6)
                host = (struct str){host.p + 1, host.n - 2};
        char z[INET6_ADDRSTRLEN];
        if (host.n >= sizeof(z))
                return -EINVAL;
        memcpy(z, host.p, host.n);
        z[host.n] = 0;

        struct sockaddr_storage address = {.ss_family = v6 ? AF_INET6 : AF_INET};
        struct sockaddr_in *in4 = (struct sockaddr_in *)&address;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
        if (inet_pton(address.ss_family, z, v6 ? (void *)&in6->sin6_addr : (void *)&in4->sin_addr) != 1)
                return -EINVAL;
        if (v6)
                in6->sin6_port = htons((uint16_t)port);
        else
                in4->sin_port = htons((uint16_t)port);
        *ret_address = address;
        *ret_size = v6 ? sizeof(*in6) : sizeof(*in4);
        return 0;
}

int loop_address_port(int fd)
{
        struct sockaddr_storage bound;
        socklen_t size = sizeof(bound);
        if (getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
                return -errno;
        return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                 : ((struct sockaddr_in *)&bound)->sin_port);
}
