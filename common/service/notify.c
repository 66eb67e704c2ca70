/* SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify(3)'s protocol without its library: one datagram to the service manager.
 */
#include "common/service/service.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void service_notify(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        size_t n = path ? strlen(path) : 0;

        if (!n || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(to.sun_path, path, n);
        if (path[0] == '@')
                to.sun_path[0] = '\0';
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        ssize_t ignored = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
        (void)ignored;
        close(fd);
}
