/* SPDX-License-Identifier: Apache-2.0
 *
 * The service manager's side of a process without its library: sd_notify(3)'s datagram, sd_listen_fds(3)'s socket.
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

const char *service_listen_address(const char *address)
{
        const char *n = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
        int64_t for_pid;
        return n && pid && strcmp(n, "1") == 0 && str_to_i64(str_of(pid), 1, INT32_MAX, &for_pid) == 0 && for_pid == getpid() ? "fd:3" :
                                                                                                                               address;
}
